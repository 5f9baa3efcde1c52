//! What each command does. Results go to standard output; a command that fails returns one sentence.

pub mod audio;
pub mod bag;
mod bench;
mod bridge;
mod component;
mod doctor;
mod graph;
mod inspect;
mod install;
mod models;
mod photos;
mod start;
mod top;
pub mod vision;

pub use component::ComponentCommand;

use std::process::ExitCode;

use crate::cli::{Cli, Command, DemoArgs};

/// Runs a command line. The exit code is 0 when the command (or the mission) succeeded, 1 when it did not.
///
/// # Errors
/// One sentence for the user.
pub fn execute(cli: Cli) -> Result<ExitCode, anyhow::Error> {
    match cli.command {
        None => start::demo(&DemoArgs {
            seed: None,
            headless: false,
            rate: None,
            json: false,
            rerun: false,
            out: None,
            launch: "demo.yaml".into(),
            duration: None,
            no_wire: false,
            arguments: Vec::new(),
        }),
        Some(Command::Demo(args)) => start::demo(&args),
        Some(Command::Launch(args)) => start::launch(&args),
        Some(Command::Run(args)) => start::run_node(&args),
        Some(Command::Node(command)) => inspect::node(&command),
        Some(Command::Topic(command)) => inspect::topic(&command),
        Some(Command::Param(command)) => inspect::param(&command),
        Some(Command::Service(command)) => inspect::service(&command),
        Some(Command::Component(command)) => component::run(&command),
        Some(Command::Graph(args)) => graph::run(&args),
        Some(Command::Top(args)) => top::run(&args),
        Some(Command::Goal { words }) => inspect::goal(&words.join(" ")),
        Some(Command::Map) => inspect::map(),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Install(args)) => install::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::BenchPublish(args)) => bench::publish(&args),
        Some(Command::Models(command)) => models::run(&command),
        Some(Command::Audio(command)) => audio::run(&command),
        Some(Command::Bag(command)) => bag::run(&command),
        Some(Command::Vision(command)) => vision::run(&command),
        Some(Command::Bridge(command)) => bridge::run(&command),
    }
}
