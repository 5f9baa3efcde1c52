//! `omnimind bench`: what this machine does. Every figure is measured here and now; nothing is quoted. How, and what came out
//! elsewhere: `docs/benchmarks.md`.

mod demo;
mod edge;
mod machine;
mod perception;
mod process;
mod report;
mod simulator;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{BenchArgs, BenchPart};
use machine::Machine;

pub use process::publish;

/// Prints a table, or JSON.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    let seconds = args.seconds.clamp(0.2, 60.0);
    let machine = Machine::here();
    let mut groups = Vec::new();
    for part in BenchPart::ALL {
        if !args.parts.is_empty() && !args.parts.contains(&part) {
            continue;
        }
        // A line on standard error while it lasts; the result comes at the end.
        eprintln!("measuring: {}", part.name());
        groups.push(match part {
            BenchPart::Simulator => simulator::measure(seconds)?,
            BenchPart::Edge => edge::measure(seconds)?,
            BenchPart::Process => process::measure(seconds),
            BenchPart::Perception => perception::measure(seconds),
            BenchPart::Demo => demo::measure(seconds),
        });
    }
    if args.json {
        println!("{}", report::json(&machine.json(), &groups));
    } else {
        print!("{}", report::table(&machine.describe(), &groups));
    }
    Ok(ExitCode::SUCCESS)
}
