//! The `omnimind` program.

use std::process::ExitCode;

use clap::Parser as _;

#[allow(unsafe_code)]
fn main() -> ExitCode {
    // SAFETY: nothing else runs yet, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(models::TELEMETRY_OFF, "1") };
    leave_quietly_when_nobody_reads();
    // As a link named after a node (`lib/omnimind/camera`), it is that node: so `ros2 run omnimind camera` works.
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let name = words.first().map(std::path::PathBuf::from).and_then(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()));
    if let Some(name) = name
        && omnimind::registry::factory(&name).is_some()
    {
        words.splice(1..1, ["run".into(), name.into()]);
    }
    omnimind::commands::execute(omnimind::cli::Cli::parse_from(words)).unwrap_or_else(|error| {
        if error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(is_unread) {
            return ExitCode::from(UNREAD);
        }
        eprintln!("omnimind: {}", sentence(&error));
        ExitCode::from(2)
    })
}

/// What shells see of a program that SIGPIPE ended.
const UNREAD: u8 = 141;

fn is_unread(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

/// `omnimind topic echo ... | head -1`: once `head` has gone, `println!` panics. SIGPIPE itself stays ignored: it would also end a graph
/// when a child process does not read its input.
fn leave_quietly_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let unread = |text: &str| text.starts_with("failed printing to stdout") && text.contains("Broken pipe");
        if panic.payload_as_str().is_some_and(unread) {
            std::process::exit(UNREAD.into());
        }
        usual(panic);
    }));
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
