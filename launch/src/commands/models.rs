//! `omnimind models`: the catalogue of networks and their files.

use std::process::ExitCode;

use anyhow::Result;
use models::{BarProgress, Store};

use crate::cli::ModelsCommand;

/// `list` always succeeds; `verify` has exit code 1 when a file is missing or not the right one.
pub fn run(command: &ModelsCommand) -> Result<ExitCode> {
    let store = Store::open()?;
    let chosen = |names: &[String]| -> Vec<String> {
        if names.is_empty() { store.catalogue().models().map(|m| m.name.clone()).collect() } else { names.to_vec() }
    };
    match command {
        ModelsCommand::List => {
            for model in store.catalogue().models() {
                let state = if store.verify(&model.name).is_ok() { "here" } else { "missing" };
                println!("{:<28} {:<10} {state:<8} {}", model.name, model.version, model.licence);
            }
            println!("files: {}", store.cache().display());
        }
        ModelsCommand::Fetch { names } => {
            let names = chosen(names);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            store.ensure(&names, &mut BarProgress::default())?;
        }
        ModelsCommand::Verify { names } => {
            let mut good = true;
            for name in chosen(names) {
                match store.verify(&name) {
                    Ok(()) => println!("ok      {name}"),
                    Err(error) => {
                        good = false;
                        println!("failed  {name}: {error}");
                    }
                }
            }
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
    }
    Ok(ExitCode::SUCCESS)
}
