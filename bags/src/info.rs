//! What `bag info` prints, in the form of `ros2 bag info`.

use std::fmt::Write as _;

use crate::survey::{Bag, BagChannel};

/// The report on a bag; times are UTC.
#[must_use]
pub fn text(bag: &Bag) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(out, "{label:<19}{value}");
    };
    let names: Vec<String> =
        bag.files.iter().map(|f| f.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())).collect();
    line("Files:", &names.join(&format!("\n{:19}", "")));
    line("Bag size:", &size(bag.bytes));
    line("Storage id:", "mcap");
    let distro = bag.metadata.as_ref().map(|m| m.ros_distro.as_str()).filter(|d| !d.is_empty());
    line("ROS Distro:", distro.unwrap_or("unknown"));
    line("Duration:", &format!("{}s", seconds(bag.end_ns.saturating_sub(bag.start_ns))));
    line("Start:", &moment(bag.start_ns));
    line("End:", &moment(bag.end_ns));
    let is_service = |c: &&BagChannel| c.topic.ends_with("/_service_event") && c.message_type.ends_with("_Event");
    let events: u64 = bag.channels.iter().filter(is_service).map(|c| c.messages).fold(0, u64::saturating_add);
    line("Messages:", &bag.messages.saturating_sub(events).to_string());
    let mut topics: Vec<&BagChannel> = bag.channels.iter().filter(|c| !is_service(c)).collect();
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    let topics: Vec<String> = topics
        .iter()
        .map(|c| {
            let BagChannel { topic, message_type, messages, encoding, .. } = c;
            format!("Topic: {topic} | Type: {message_type} | Count: {messages} | Serialization Format: {encoding}")
        })
        .collect();
    line("Topic information:", &topics.join(&format!("\n{:19}", "")));
    let mut services: Vec<&BagChannel> = bag.channels.iter().filter(is_service).collect();
    services.sort_by(|a, b| a.topic.cmp(&b.topic));
    line("Service:", &services.len().to_string());
    let services: Vec<String> = services
        .iter()
        .map(|c| {
            let name = c.topic.trim_end_matches("/_service_event");
            let kind = c.message_type.trim_end_matches("_Event");
            format!("Service: {name} | Type: {kind} | Event Count: {} | Serialization Format: {}", c.messages, c.encoding)
        })
        .collect();
    line("Service information: ", &services.join(&format!("\n{:21}", "")));
    if let Some(metadata) = &bag.metadata {
        for (key, value) in &metadata.custom {
            line("Custom data:", &format!("{key}: {value}"));
        }
    }
    if bag.writing {
        line("Incomplete:", "the bag is still being written");
    } else if bag.cut {
        line("Incomplete:", "a file ends before its end mark, or is damaged; `omnimind bag recover` makes the bag whole");
    } else if bag.metadata.is_none() && bag.path.is_dir() {
        line("Incomplete:", "there is no metadata.yaml; `omnimind bag recover` writes it");
    }
    out
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

#[allow(clippy::cast_precision_loss)]
fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit < 4 {
        value /= 1024.0;
        unit += 1;
    }
    let unit_name = ["B", "KiB", "MiB", "GiB", "TiB"][unit];
    if unit == 0 { format!("{value:.0} {unit_name}") } else { format!("{value:.1} {unit_name}") }
}

/// `Nov  2 2026 20:15:01.000000005 (1793650501.000000005)`, UTC.
fn moment(ns: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds_of = ns / 1_000_000_000;
    let (year, month, day) = civil(seconds_of / 86_400);
    let rest = seconds_of % 86_400;
    let month = MONTHS[(month - 1) as usize];
    format!(
        "{month} {day:2} {year} {:02}:{:02}:{:02}.{:09} ({})",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        ns % 1_000_000_000,
        seconds(ns)
    )
}

/// Year, month and day of a day since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days).
#[must_use]
pub fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    (yoe + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_lines_of_ros2_bag_info() {
        let channel = |topic: &str, kind: &str, messages| BagChannel {
            topic: topic.into(),
            message_type: kind.into(),
            encoding: "cdr".into(),
            messages,
            ..BagChannel::default()
        };
        let bag = Bag {
            path: "bag".into(),
            files: vec!["x/bag_0.mcap".into(), "x/bag_1.mcap".into()],
            bytes: 3_000_000,
            channels: vec![
                channel("/scan", "sensor_msgs/msg/LaserScan", 7),
                channel("/add/_service_event", "example_interfaces/srv/AddTwoInts_Event", 2),
                channel("/chatter", "std_msgs/msg/String", 3),
            ],
            start_ns: 951_782_400_000_000_005,
            end_ns: 951_782_401_500_000_005,
            messages: 12,
            ..Bag::default()
        };
        let lines: Vec<String> = text(&bag).lines().map(str::to_owned).collect();
        let expected = [
            "Files:             bag_0.mcap",
            "                   bag_1.mcap",
            "Bag size:          2.9 MiB",
            "Storage id:        mcap",
            "ROS Distro:        unknown",
            "Duration:          1.500000000s",
            "Start:             Feb 29 2000 00:00:00.000000005 (951782400.000000005)",
            "End:               Feb 29 2000 00:00:01.500000005 (951782401.500000005)",
            "Messages:          10",
            "Topic information: Topic: /chatter | Type: std_msgs/msg/String | Count: 3 | Serialization Format: cdr",
            "                   Topic: /scan | Type: sensor_msgs/msg/LaserScan | Count: 7 | Serialization Format: cdr",
            "Service:           1",
            "Service information: Service: /add | Type: example_interfaces/srv/AddTwoInts | Event Count: 2 | Serialization Format: cdr",
        ];
        assert_eq!(lines, expected);
        assert!(text(&Bag { cut: true, ..bag.clone() }).contains("bag recover"));
        let writing = text(&Bag { cut: true, writing: true, ..bag.clone() });
        assert!(writing.contains("still being written") && !writing.contains("recover"), "{writing}");
        // What a file says of itself may be anything.
        let hostile = text(&Bag { end_ns: 0, start_ns: u64::MAX, messages: 1, ..bag });
        assert!(hostile.contains("Duration:          0.000000000s") && hostile.contains("Messages:          0"), "{hostile}");
    }

    #[test]
    fn sizes_are_those_of_rosbag2() {
        assert_eq!([999, 1024, 1_572_864].map(size), ["999 B", "1.0 KiB", "1.5 MiB"]);
    }
}
