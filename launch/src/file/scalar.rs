//! Plain scalars of parameters, the same wherever one is written: in a parameter file, after `-p`, in `omnimind param set`.

use super::yaml::Kind;

/// A scalar without quotes, by the rules of rcl_yaml_param_parser (`parse.c`, `get_value`): YAML 1.1's words for truth values, whole
/// numbers as `strtol` with base 0 reads them (`0x10`, `010` is 8), other numbers as `strtod` does and `.inf` and `.nan`. All else is
/// text, `null` too; hexadecimal numbers with a fraction are text here. Nothing at all is [`Kind::Null`].
#[must_use]
pub fn resolve_parameter(text: &str) -> Kind {
    match text {
        "" => return Kind::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Kind::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if let Some(value) = integer(text) {
        return Kind::Int(value);
    }
    // `f64::from_str` takes the words that `strtod` takes. A number that is too large is none for `strtod`.
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite() || !text.contains(|c: char| c.is_ascii_digit()));
    number.map_or_else(|| Kind::Text(text.to_owned()), Kind::Float)
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None => match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => (8, octal),
            _ => (10, digits),
        },
    };
    // A second sign would be taken by `from_str_radix`.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_what_strtol_and_strtod_make_of_them() {
        for (text, kind) in [
            ("010", Kind::Int(8)),
            ("08", Kind::Float(8.0)),
            ("0", Kind::Int(0)),
            ("-0x10", Kind::Int(-16)),
            ("+5", Kind::Int(5)),
            ("-9223372036854775808", Kind::Int(i64::MIN)),
            ("9223372036854775808", Kind::Float(9_223_372_036_854_775_808.0)),
            ("1e3", Kind::Float(1000.0)),
            ("5.", Kind::Float(5.0)),
            ("-.5", Kind::Float(-0.5)),
            ("inf", Kind::Float(f64::INFINITY)),
            ("-Infinity", Kind::Float(f64::NEG_INFINITY)),
            ("-.INF", Kind::Float(f64::NEG_INFINITY)),
            ("", Kind::Null),
        ] {
            assert_eq!(resolve_parameter(text), kind, "{text}");
        }
        for text in ["nan", ".NaN"] {
            assert!(matches!(resolve_parameter(text), Kind::Float(v) if v.is_nan()), "{text}");
        }
        for text in ["null", "~", "1e999", "-+5", "--5", "0x", "0xg", "1.2.3", ".iNf", "5 m", "nobody", "."] {
            assert_eq!(resolve_parameter(text), Kind::Text(text.into()), "{text}");
        }
    }
}
