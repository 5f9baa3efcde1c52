//! The `omnimind` program.

use std::process::ExitCode;

use clap::Parser as _;

#[allow(unsafe_code)]
fn main() -> ExitCode {
    // SAFETY: nothing else runs yet, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(models::TELEMETRY_OFF, "1") };
    // As a link named after a node (`lib/omnimind/camera`), it is that node: so `ros2 run omnimind camera` works.
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let name = words.first().map(std::path::PathBuf::from).and_then(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()));
    if let Some(name) = name
        && omnimind::registry::factory(&name).is_some()
    {
        words.splice(1..1, ["run".into(), name.into()]);
    }
    omnimind::commands::execute(omnimind::cli::Cli::parse_from(words)).unwrap_or_else(|error| {
        eprintln!("omnimind: {}", sentence(&error));
        ExitCode::from(2)
    })
}

/// The error with its causes, in one line; a cause that its error already names is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.replace('\n', " ")
}
