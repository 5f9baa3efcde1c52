//! Quality of service in liveliness tokens: `rel:dur:hist,depth:deadline:lifespan:liveliness`, a field is empty where it has its
//! default (rmw_zenoh: `detail/liveliness_utils.cpp`, `qos_to_keyexpr`).

use graph::{Durability, History, Qos, Reliability};

/// Depth that stands for "not given" (rmw_zenoh: `detail/qos.hpp`).
pub const DEFAULT_DEPTH: usize = 42;

/// The token's text, e.g. `::,10:,:,:,,`. Deadline, lifespan and liveliness always have their defaults here.
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
    format!("{reliability}:{durability}:{history}:,:,:,,")
}

/// Reads a token's text; `None` if it has another form. Deadline, lifespan and liveliness are not kept.
pub fn parse_qos(text: &str) -> Option<Qos> {
    let mut parts = text.split(':');
    let reliability = match parts.next()? {
        "" | "1" => Reliability::Reliable,
        "2" => Reliability::BestEffort,
        _ => return None,
    };
    let durability = match parts.next()? {
        "1" => Durability::TransientLocal,
        "" | "2" => Durability::Volatile,
        _ => return None,
    };
    let (history, depth) = parts.next()?.split_once(',')?;
    let depth = if depth.is_empty() { DEFAULT_DEPTH } else { depth.parse().ok()? };
    let history = match history {
        "" | "1" => History::KeepLast(depth),
        "2" => History::KeepAll,
        _ => return None,
    };
    // Deadline, lifespan, liveliness: present, and not looked at.
    (parts.count() == 3).then_some(Qos { reliability, durability, history })
}

/// How many samples a transient-local cache holds.
pub(crate) fn cache_depth(qos: &Qos) -> usize {
    match qos.history {
        History::KeepLast(0) => DEFAULT_DEPTH,
        History::KeepLast(depth) => depth,
        // A bound all the same: a cache without one would be a leak.
        History::KeepAll => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_seen_on_the_wire_of_rmw_zenoh() {
        assert_eq!(format_qos(&Qos::reliable(10)), "::,10:,:,:,,");
        assert_eq!(format_qos(&Qos::sensor_data()), "2::,5:,:,:,,");
        assert_eq!(format_qos(&Qos::state()), ":1:,1:,:,:,,");
        // /rosout has a lifespan of 10 s, which is read and not kept.
        assert_eq!(parse_qos(":1:,1000:,:10,0:,,"), Some(Qos::latched(1000)));
    }

    #[test]
    fn every_profile_survives_the_round_trip() {
        for qos in [Qos::sensor_data(), Qos::reliable(7), Qos::reliable(42), Qos::state(), Qos::keep_all()] {
            let back = parse_qos(&format_qos(&qos)).expect("parses");
            assert_eq!(back, qos);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "::", "9::,1:,:,:,,", "::x,1:,:,:,,", "::,x:,:,:,,", "::,1"] {
            assert_eq!(parse_qos(text), None, "{text}");
        }
    }
}
