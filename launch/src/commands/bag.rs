//! `omnimind bag`: record, play, look at, recover. Options have the names that `ros2 bag` gives them.

mod choice;
mod play;
mod record;
mod scout;
mod types;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

pub use play::PlayArgs;
pub use record::RecordArgs;

/// `omnimind bag`
#[derive(Debug, Subcommand)]
pub enum BagCommand {
    /// Record topics of the running graph, of any process and any maker
    Record(RecordArgs),
    /// Play a bag into the running graph
    Play(PlayArgs),
    /// What a bag holds
    Info {
        /// The bag: a folder or an MCAP file
        bag: PathBuf,
    },
    /// Make a bag whole whose recorder was killed; a whole bag is left as it is
    Recover {
        /// The bag: a folder or an MCAP file
        bag: PathBuf,
    },
    /// As `recover`: metadata.yaml and indexes anew
    Reindex {
        /// The bag: a folder or an MCAP file
        bag: PathBuf,
    },
}

/// Runs `omnimind bag`.
///
/// # Errors
/// One sentence for the user.
pub fn run(command: &BagCommand) -> Result<ExitCode> {
    match command {
        BagCommand::Record(args) => record::run(args),
        BagCommand::Play(args) => play::run(args),
        BagCommand::Info { bag } => {
            print!("{}", bags::info::text(&bags::Bag::open(bag)?));
            Ok(ExitCode::SUCCESS)
        }
        BagCommand::Recover { bag } | BagCommand::Reindex { bag } => recover(bag),
    }
}

fn recover(path: &std::path::Path) -> Result<ExitCode> {
    let done = bags::recover(path)?;
    for file in &done.files {
        let name = file.path.display();
        match (&file.unreadable, file.rebuilt) {
            (Some(why), _) => println!("{name}: nothing can be read ({why}); it is left as it is and not part of the bag"),
            (None, true) => {
                let tail = if file.cut { "; what came after them in its last, unfinished chunk is lost" } else { "" };
                let last = file.last_ns;
                let at = format!("{}.{:09}", last / 1_000_000_000, last % 1_000_000_000);
                println!("{name}: {} messages kept, the last at {at} s{tail}", file.messages);
                if let Some(damage) = &file.damage {
                    println!(
                        "{name}: {} damaged parts left out, the first: {damage}; the old file is {name}.damaged",
                        file.damaged
                    );
                }
                if file.attachments > 0 {
                    println!("{name}: {} attachments left out", file.attachments);
                }
            }
            (None, false) => println!("{name}: whole, {} messages", file.messages),
        }
    }
    if done.metadata_written {
        println!("metadata.yaml: written, {} messages on {} topics", done.metadata.messages, done.metadata.topics.len());
    }
    if done.was_whole() {
        println!("the bag is whole: nothing was changed");
    }
    Ok(ExitCode::SUCCESS)
}

/// A regular expression of the command line; an empty one is none.
fn pattern(text: &str) -> Result<Option<regex::Regex>> {
    if text.is_empty() {
        return Ok(None);
    }
    regex::Regex::new(text).map(Some).with_context(|| format!("`{text}` is no regular expression"))
}
