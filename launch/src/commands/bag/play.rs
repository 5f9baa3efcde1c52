//! `omnimind bag play`: a graph of one node, the player, on the wire.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use graph::{Graph, GraphConfig, Mode, NodeFactory, NodeSpec, ParamValue};
use wire::{Wire, WireConfig};

use super::pattern;
use crate::remote::full;

/// `omnimind bag play`
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// The bag: a folder or an MCAP file
    pub bag: PathBuf,
    /// Seconds of recording per second
    #[arg(short = 'r', long, default_value_t = 1.0)]
    pub rate: f64,
    /// Topics to play; none: all
    #[arg(long, num_args = 1..)]
    pub topics: Vec<String>,
    /// Topics to play as well, by regular expression
    #[arg(short = 'e', long, default_value = "")]
    pub regex: String,
    /// Topics to leave out
    #[arg(long, num_args = 1..)]
    pub exclude_topics: Vec<String>,
    /// Topics to leave out, by regular expression
    #[arg(short = 'x', long, default_value = "")]
    pub exclude_regex: String,
    /// Begin again at the end
    #[arg(short = 'l', long = "loop")]
    pub repeat: bool,
    /// Topics to play under another name, from:=to
    #[arg(short = 'm', long, num_args = 1..)]
    pub remap: Vec<String>,
    /// Publish the recording's time on /clock, so many times a second
    #[arg(long, num_args = 0..=1, default_value_t = 0.0, default_missing_value = "40")]
    pub clock: f64,
    /// Seconds to wait before the first message
    #[arg(short = 'd', long, default_value_t = 0.0)]
    pub delay: f64,
    /// Seconds of recording to leave out at the start
    #[arg(long, default_value_t = 0.0)]
    pub start_offset: f64,
    /// Seconds of recording to play; below zero: all
    #[arg(long, default_value_t = -1.0, allow_negative_numbers = true)]
    pub playback_duration: f64,
    /// Wait for the space bar, or for ~/resume
    #[arg(short = 'p', long)]
    pub start_paused: bool,
    /// Messages read ahead
    #[arg(long, default_value_t = 1000)]
    pub read_ahead_queue_size: i64,
    /// Offered qualities of service by topic, a YAML file
    #[arg(long)]
    pub qos_profile_overrides_path: Option<PathBuf>,
    /// No keys: space pauses, cursor right plays the next message, up and down change the rate
    #[arg(long)]
    pub disable_keyboard_controls: bool,
    /// Name of the player's node, which is also that of its services
    #[arg(long, default_value = "rosbag2_player")]
    pub node_name: String,
}

/// The topics of a bag that the options ask for.
fn chosen(args: &PlayArgs, recorded: &[&str]) -> Result<Vec<String>> {
    let (include, exclude) = (pattern(&args.regex)?, pattern(&args.exclude_regex)?);
    let names: Vec<String> = args.topics.iter().map(|t| full(t)).collect();
    let left_out: Vec<String> = args.exclude_topics.iter().map(|t| full(t)).collect();
    if let Some(odd) = names.iter().find(|name| !recorded.contains(&name.as_str())) {
        bail!("the bag has no topic `{odd}`{}", graph::suggest::hint(odd, recorded.iter().copied()));
    }
    let all = names.is_empty() && include.is_none();
    let wanted = |topic: &&&str| {
        let named = names.iter().any(|n| n == **topic) || include.as_ref().is_some_and(|p| p.is_match(topic));
        let out = left_out.iter().any(|n| n == **topic) || exclude.as_ref().is_some_and(|p| p.is_match(topic));
        (all || named) && !out
    };
    let topics: Vec<String> = recorded.iter().filter(wanted).map(|t| (*t).to_owned()).collect();
    if topics.is_empty() {
        bail!("no topic of the bag is left to play");
    }
    Ok(topics)
}

/// Runs `omnimind bag play`.
pub(super) fn run(args: &PlayArgs) -> Result<ExitCode> {
    let bag = bags::Bag::open(&args.bag)?;
    let recorded: Vec<&str> = bag.channels.iter().map(|c| c.topic.as_str()).collect();
    let topics = chosen(args, &recorded)?;
    let path = args.bag.to_str().context("the bag's path is no text")?;
    let overrides = args.qos_profile_overrides_path.as_ref().map_or(Some(""), |p| p.to_str());
    let parameters: Vec<(&str, ParamValue)> = vec![
        ("path", path.into()),
        ("rate", args.rate.into()),
        ("loop", args.repeat.into()),
        ("topics", topics.into()),
        ("remap", args.remap.clone().into()),
        ("clock_hz", args.clock.into()),
        ("delay", args.delay.into()),
        ("start_offset", args.start_offset.into()),
        ("playback_duration", args.playback_duration.into()),
        ("start_paused", args.start_paused.into()),
        ("read_ahead", args.read_ahead_queue_size.into()),
        ("qos_overrides", overrides.context("the override file's path is no text")?.into()),
        ("keyboard", (!args.disable_keyboard_controls).into()),
        // As it was recorded: on the wall clock, pictures packed as they are.
        ("recorded_times", false.into()),
        ("decode_images", false.into()),
        ("period_ms", 1_i64.into()),
    ];
    let config = GraphConfig {
        mode: Mode::FreeRunning,
        transport: Some(Arc::new(Wire::open(WireConfig::from_env()?)?)),
        log: graph::stderr_sink(),
        threads: 2,
        ..GraphConfig::default()
    };
    let mut graph = Graph::new(config)?;
    let flag = graph.stop_flag();
    // Fails only where a handler is installed already: that one serves.
    let _ = ctrlc::set_handler(move || flag.stop("interrupted"));
    let spec = NodeSpec {
        name: Some(args.node_name.clone()),
        parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..NodeSpec::default()
    };
    graph.add(NodeFactory::of::<omnimind_player::Player>(), spec)?;
    let report = graph.run();
    eprintln!("{}", report.reason);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PlayArgs,
    }

    fn parse(words: &[&str]) -> PlayArgs {
        Line::parse_from([&["play", "bag"], words].concat()).args
    }

    #[test]
    fn topics_are_chosen_as_ros2_bag_play_chooses_them() {
        let recorded = ["/a", "/b/c", "/b/d", "/tf"];
        let chosen = |words: &[&str]| chosen(&parse(words), &recorded).map_err(|e| e.to_string());
        assert_eq!(chosen(&[]).unwrap(), recorded);
        assert_eq!(chosen(&["--topics", "/a", "tf"]).unwrap(), ["/a", "/tf"]);
        assert_eq!(chosen(&["-e", "/b/.*", "-x", "d$"]).unwrap(), ["/b/c"]);
        assert_eq!(chosen(&["--exclude-topics", "/a", "/tf"]).unwrap(), ["/b/c", "/b/d"]);
        assert!(chosen(&["--topics", "/bc"]).unwrap_err().contains("did you mean"));
        assert!(chosen(&["-x", "."]).unwrap_err().contains("left to play"));
        assert!(chosen(&["-e", "("]).unwrap_err().contains("no regular expression"));
    }

    #[test]
    fn the_clock_has_a_rate_only_if_asked_for() {
        assert_eq!(parse(&[]).clock, 0.0);
        assert_eq!(parse(&["--clock"]).clock, 40.0);
        assert_eq!(parse(&["--clock", "10", "-p", "--playback-duration", "-1"]).clock, 10.0);
    }
}
