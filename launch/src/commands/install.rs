//! `omnimind install`: an ament package, for `ros2 launch omnimind ...` and `ros2 run omnimind ...`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::InstallArgs;
use crate::install::{How, Installation, remove};
use crate::share;

/// `omnimind install`
pub fn run(args: &InstallArgs) -> Result<ExitCode> {
    if args.remove {
        let count = remove(&args.prefix)?;
        println!("{count} files removed from {}", args.prefix.display());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(source) = share::dir() else {
        bail!("OmniMind's folder is not found: run in it, or set OMNIMIND_HOME");
    };
    let how = if args.link { How::Link } else { How::Copy };
    let installation = Installation { source, program: std::env::current_exe()?, prefix: args.prefix.clone(), how };
    let count = installation.install()?;
    let prefix = args.prefix.canonicalize()?;
    println!("{count} files in {}", prefix.display());
    println!("next: . {}/share/omnimind/local_setup.bash && ros2 launch omnimind demo.launch.py", prefix.display());
    Ok(ExitCode::SUCCESS)
}
