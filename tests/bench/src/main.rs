//! `peers publish|listen|inprocess`: one side of a measurement. `run.py` starts them and counts.

mod peers;
mod run;
mod sample;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use run::Plan;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = words.split_first() else {
        bail!("usage: peers publish|listen|inprocess|list --peer P --bytes N --count K --listeners S --hz R|closed --touch yes|no --acks SOCKET --id I --router ENDPOINT");
    };
    if command == "list" {
        println!("{}", peers::NAMES.join(" "));
        return Ok(());
    }
    let options: BTreeMap<&str, &str> = rest.chunks_exact(2).map(|pair| (pair[0].trim_start_matches("--"), pair[1].as_str())).collect();
    let option = |name: &str| options.get(name).copied().with_context(|| format!("--{name} is missing"));
    let peer = option("peer")?;
    let bytes = option("bytes")?.parse::<usize>()?.max(sample::HEAD);
    let count = option("count")?.parse()?;
    if command == "inprocess" {
        return peers::inprocess(peer, bytes, count);
    }
    let plan = Plan {
        bytes,
        count,
        listeners: option("listeners")?.parse()?,
        hz: match option("hz")? {
            "closed" => None,
            hz => Some(hz.parse()?),
        },
        touch: option("touch")? == "yes",
        acks: option("acks")?.into(),
        id: option("id")?.parse()?,
    };
    let router = option("router")?;
    match command.as_str() {
        "publish" => println!("lost {}", peers::publish(peer, &plan, router)?),
        "listen" => peers::listen(peer, &plan, router)?,
        other => bail!("there is no command `{other}`"),
    }
    Ok(())
}
