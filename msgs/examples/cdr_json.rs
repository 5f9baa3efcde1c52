//! Turns messages between JSON and CDR, line by line, for checks against other implementations (`tests/interop/cdr_oracle.py`).
//!
//! Each line of the standard input is a request of three columns, separated by tabs: `encode`, a type and JSON; `decode`, a type and
//! hexadecimal CDR; or `define`, a type and its definition text as a JSON string. Each is answered by a line `ok` or `error` and, after
//! a tab, CDR, JSON, the type's hash, or the reason. A type that was compiled in is decoded in three ways (generated code, field table,
//! its own definition text read at run time), which must agree.

use msgs::definition::Definition;
use msgs::registry;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, Write};

type Answer = Result<String, Box<dyn std::error::Error>>;

fn main() -> std::io::Result<()> {
    let mut defined = HashMap::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        match answer(&mut defined, &line?) {
            Ok(text) => writeln!(out, "ok\t{text}")?,
            Err(error) => writeln!(out, "error\t{}", error.to_string().replace('\n', " "))?,
        }
        out.flush()?;
    }
    Ok(())
}

fn answer(defined: &mut HashMap<String, Definition>, line: &str) -> Answer {
    let mut columns = line.splitn(3, '\t');
    let mut next = || columns.next().ok_or("three columns are needed");
    let (verb, name, text) = (next()?, next()?, next()?);
    match verb {
        "define" => {
            let definition = Definition::parse(name, &serde_json::from_str::<String>(text)?)?;
            let hash = definition.hash();
            defined.insert(name.to_owned(), definition);
            Ok(hash)
        }
        // JSON is YAML, and this reader takes every float for the nearest number, which serde_json's default does not.
        "encode" => encode(defined, name, &serde_yaml_ng::from_str(text)?),
        "decode" => decode(defined, name, &from_hex(text)?),
        other => Err(format!("`{other}` is none of encode, decode, define").into()),
    }
}

fn encode(defined: &HashMap<String, Definition>, name: &str, value: &Value) -> Answer {
    if let Some(definition) = defined.get(name) {
        return Ok(hex(&definition.encode_json(value)?));
    }
    let known = registry::find(name).ok_or_else(|| format!("there is no type {name}"))?;
    let bytes = registry::encode_json(known, value)?;
    let dynamic = Definition::parse(name, known.definition)?;
    if dynamic.hash() != known.hash || dynamic.encode_json(value)? != bytes {
        return Err("the definition read at run time is not the one compiled in".into());
    }
    Ok(hex(&bytes))
}

fn decode(defined: &HashMap<String, Definition>, name: &str, bytes: &[u8]) -> Answer {
    if let Some(definition) = defined.get(name) {
        definition.recode(bytes)?;
        return Ok(definition.decode_json(bytes)?.to_string());
    }
    let known = registry::find(name).ok_or_else(|| format!("there is no type {name}"))?;
    let value = registry::decode_json(known, bytes)?;
    let dynamic = Definition::parse(name, known.definition)?;
    if dynamic.decode_json(bytes)? != value || dynamic.recode(bytes)? != known.recode(bytes)? {
        return Err("generated code and the definition read at run time decode to different values".into());
    }
    Ok(value.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits.iter().map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
