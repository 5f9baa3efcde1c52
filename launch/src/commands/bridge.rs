//! `omnimind bridge`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{BridgeCommand, BridgeDdsArgs};

/// Bridges until it is interrupted.
pub fn run(command: &BridgeCommand) -> Result<ExitCode> {
    let BridgeCommand::Dds(args) = command;
    dds(args)
}

#[cfg(not(feature = "dds"))]
fn dds(_args: &BridgeDdsArgs) -> Result<ExitCode> {
    anyhow::bail!(
        "this program was built without the feature `dds`: see bridge/README.md for how to build it with a ROS 2 prefix"
    )
}

#[cfg(feature = "dds")]
fn dds(args: &BridgeDdsArgs) -> Result<ExitCode> {
    use crate::cli::BridgeRange;
    use bridge::DiscoveryRange;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        // The second interrupt does not wait for an orderly end.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let range = match args.range {
        Some(BridgeRange::Localhost) => DiscoveryRange::Localhost,
        Some(BridgeRange::Subnet) => DiscoveryRange::Subnet,
        Some(BridgeRange::Off) => DiscoveryRange::Off,
        None if std::env::var_os("ROS_AUTOMATIC_DISCOVERY_RANGE").is_some() => DiscoveryRange::Environment,
        // ROS 2's own default is the subnet: a bridge does not put a robot on the network unasked.
        None => DiscoveryRange::Localhost,
    };
    let report = match args.status {
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds.max(0.1))?),
        None => None,
    };
    let options = bridge::Options {
        domain: args.domain,
        range,
        allow: args.allow.clone(),
        deny: args.deny.clone(),
        wire: wire::WireConfig::from_env()?,
        report,
        list_once: args.once_list,
    };
    bridge::run(&options, &stop, &mut |text| println!("{text}"))?;
    Ok(ExitCode::SUCCESS)
}
