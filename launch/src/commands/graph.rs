//! `omnimind graph`: what runs and how it is connected, as text, JSON, a drawing or a screen to walk through.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::atlas::Atlas;
use crate::cli::GraphArgs;
use crate::counts::Counts;
use crate::explain::Ear;
use crate::explorer;
use crate::remote::Remote;

/// What each process told last comes at once. One that has just been started, and a program of others that keeps nothing of what it says on
/// /diagnostics, tells within a second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Exit code 1 when something does not fit together.
pub fn run(args: &GraphArgs) -> Result<ExitCode> {
    let remote = Remote::connect()?;
    let view = remote.view()?;
    let ear = Ear::open(&remote)?;
    let counts = Counts::listen(&remote, &view)?;
    if args.tui {
        let mut first = Some(Atlas::new(view, &counts.all(PATIENCE)).with(&ear.problems()));
        explorer::explore(|| match first.take() {
            Some(atlas) => Ok(atlas),
            None => Ok(Atlas::new(remote.view()?, &counts.now()).with(&ear.problems())),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let begun = Instant::now();
    ear.settle(&view, PATIENCE);
    let atlas = Atlas::new(view, &counts.all(PATIENCE.saturating_sub(begun.elapsed())));
    let fits = atlas.problems().is_empty();
    let atlas = atlas.with(&ear.problems());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&atlas.to_json())?);
    } else if args.dot {
        print!("{}", atlas.to_dot(args.all));
    } else {
        print(&atlas);
    }
    Ok(if fits { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(atlas: &Atlas) {
    let topics = atlas.topics();
    println!("{} nodes, {} topics", atlas.nodes().len(), topics.len());
    for topic in &topics {
        let names = |ends: &[wire::EndpointInfo]| ends.iter().map(|e| e.node.as_str()).collect::<Vec<_>>().join(", ");
        println!("{:<32} {} -> {}", topic.name, names(&topic.sources), names(&topic.sinks));
    }
    if !atlas.edges().is_empty() {
        println!("\n{:<32} {:<14} {:>6} {:>9} {:>9} {:>8}  why", "edge", "transport", "copies", "rate Hz", "p99 us", "dropped");
    }
    for edge in atlas.edges() {
        println!(
            "{:<32} {:<14} {:>6} {:>9.1} {:>9.0} {:>8}  {} -> {}: {}",
            edge.topic,
            edge.transport,
            edge.copies,
            edge.rate,
            edge.p99_us,
            edge.dropped,
            edge.publisher,
            edge.subscriber,
            edge.why
        );
    }
    for sentence in atlas.problems() {
        println!("! {sentence}");
    }
}
