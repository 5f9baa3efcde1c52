//! Quality of service in liveliness tokens: `rel:dur:hist,depth:deadline:lifespan:liveliness`, a field is empty where it has its
//! default (rmw_zenoh: `detail/liveliness_utils.cpp`, `qos_to_keyexpr`).

use graph::{Durability, History, Liveliness, Qos, Reliability};
use std::time::Duration;

/// Depth that stands for "not given" (rmw_zenoh: `detail/qos.hpp`).
pub const DEFAULT_DEPTH: usize = 42;

/// Seconds and nanoseconds of a time without end (rmw: `RMW_DURATION_INFINITE`). Each half is left out where it has this value.
const INFINITE: (u64, u64) = (9_223_372_036, 854_775_807);

/// The token's text, e.g. `::,10:,:,:,,`.
pub fn format_qos(qos: &Qos) -> String {
    let reliability = match qos.reliability {
        Reliability::Reliable => "",
        Reliability::BestEffort => "2",
    };
    let durability = match qos.durability {
        Durability::TransientLocal => "1",
        Durability::Volatile => "",
    };
    let history = match qos.history {
        History::KeepLast(0 | DEFAULT_DEPTH) => ",".to_owned(),
        History::KeepLast(depth) => format!(",{depth}"),
        History::KeepAll => "2,".to_owned(),
    };
    let liveliness = match qos.liveliness {
        Liveliness::Automatic => "",
        Liveliness::ManualByTopic => "3",
    };
    let (deadline, lifespan) = (format_duration(qos.finite_deadline()), format_duration(qos.finite_lifespan()));
    let lease = format_duration(qos.finite_lease());
    format!("{reliability}:{durability}:{history}:{deadline}:{lifespan}:{liveliness},{lease}")
}

/// Reads a token's text; `None` if it has another form. Fields after the known ones are ignored, as rmw_zenoh does.
pub fn parse_qos(text: &str) -> Option<Qos> {
    let mut parts = text.split(':');
    // Zero is rmw's "system default".
    let reliability = match parts.next()? {
        "" | "0" | "1" => Reliability::Reliable,
        "2" => Reliability::BestEffort,
        _ => return None,
    };
    let durability = match parts.next()? {
        "1" => Durability::TransientLocal,
        "" | "0" | "2" => Durability::Volatile,
        _ => return None,
    };
    let (history, depth) = parts.next()?.split_once(',')?;
    let depth = parse_number(depth, DEFAULT_DEPTH as u64)?;
    let history = match history {
        "" | "0" | "1" => History::KeepLast(usize::try_from(depth).ok()?),
        "2" => History::KeepAll,
        _ => return None,
    };
    let deadline = parse_duration(parts.next()?)?;
    let lifespan = parse_duration(parts.next()?)?;
    let (liveliness, lease) = parts.next()?.split_once(',')?;
    let liveliness = match liveliness {
        "" | "0" | "1" => Liveliness::Automatic,
        "3" => Liveliness::ManualByTopic,
        _ => return None,
    };
    let lease = parse_duration(lease)?;
    Some(Qos { reliability, durability, history, deadline, lifespan, liveliness, lease })
}

/// `seconds,nanoseconds`.
fn format_duration(duration: Option<Duration>) -> String {
    let endless = Duration::new(INFINITE.0, INFINITE.1 as u32);
    let Some(duration) = duration.filter(|duration| *duration < endless) else { return ",".to_owned() };
    let field = |value: u64, default: u64| if value == default { String::new() } else { value.to_string() };
    format!("{},{}", field(duration.as_secs(), INFINITE.0), field(u64::from(duration.subsec_nanos()), INFINITE.1))
}

/// Reads `seconds,nanoseconds`; the inner `None` is without end, which is also what zero ("not given") means.
fn parse_duration(text: &str) -> Option<Option<Duration>> {
    let (seconds, nanoseconds) = text.split_once(',')?;
    let (seconds, nanoseconds) = (parse_number(seconds, INFINITE.0)?, parse_number(nanoseconds, INFINITE.1)?);
    let duration = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanoseconds));
    let endless = Duration::new(INFINITE.0, INFINITE.1 as u32);
    Some(duration.filter(|duration| *duration < endless && !duration.is_zero()))
}

/// Digits only: Rust's own parser would take a sign.
fn parse_number(text: &str, default: u64) -> Option<u64> {
    if text.is_empty() {
        return Some(default);
    }
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn texts_are_those_seen_on_the_wire_of_rmw_zenoh() {
        for (qos, text) in [
            (Qos::reliable(10), "::,10:,:,:,,"),
            (Qos::sensor_data(), "2::,5:,:,:,,"),
            (Qos::state(), ":1:,1:,:,:,,"),
            (Qos::rosout(), ":1:,1000:,:10,0:,,"),
        ] {
            assert_eq!(format_qos(&qos), text);
            assert_eq!(parse_qos(text), Some(qos));
        }
    }

    /// rmw_zenoh: `qos_to_keyexpr` compares seconds and nanoseconds with those of "infinite" one by one.
    #[test]
    fn durations_are_seconds_and_nanoseconds_and_empty_when_without_end() {
        let strict = Qos::keep_all().deadline(1500 * MS).lifespan(MS).manual_liveliness(Duration::from_secs(3));
        assert_eq!(format_qos(&strict), "::2,:1,500000000:0,1000000:3,3,0");
        assert_eq!(parse_qos("::,10:1,:,:,,").and_then(|q| q.deadline), Some(Duration::new(1, 854_775_807)));
        assert_eq!(format_qos(&Qos::reliable(10).deadline(Duration::new(1, 854_775_807))), "::,10:1,:,:,,");
        assert_eq!(parse_qos("::,10:,:9223372036,854775807:,0,0"), Some(Qos::reliable(10)), "without end, and not given");
        assert_eq!(format_qos(&Qos::reliable(10).deadline(Duration::MAX).lease(Duration::ZERO)), "::,10:,:,:,,");
    }

    #[test]
    fn every_profile_survives_the_round_trip() {
        for qos in [
            Qos::sensor_data(),
            Qos::reliable(7),
            Qos::system_default(),
            Qos::state(),
            Qos::parameters(),
            Qos::clock(),
            Qos::reliable(3).deadline(7 * MS).lifespan(8 * MS).lease(9 * MS),
            Qos::reliable(3).manual_liveliness(9 * MS),
        ] {
            assert_eq!(parse_qos(&format_qos(&qos)), Some(qos));
        }
        let all = parse_qos(&format_qos(&Qos::keep_all())).expect("parses");
        assert_eq!(all.history, History::KeepAll);
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "::",
            "9::,1:,:,:,,",
            "::x,1:,:,:,,",
            "::,x:,:,:,,",
            "::,1",
            "::,1:,:,:",
            "::,1:,:,:,",
            "::,1:-1,0:,:,,",
            "::,+1:,:,:,,",
            "::,1:,:,:7,,",
            "::,99999999999999999999999:,:,:,,",
            ":3:,1:,:,:,,",
            "::,1::,:,,",
        ] {
            assert_eq!(parse_qos(text), None, "{text}");
        }
        assert!(
            parse_qos("::,18446744073709551615:18446744073709551615,18446744073709551615:,:,,").is_some(),
            "large, not too large"
        );
    }
}
