//! The peers, each behind its feature.

#[cfg(feature = "copper")]
mod copper;
#[cfg(feature = "hiroz")]
mod hiroz;
#[cfg(feature = "iceoryx2")]
mod iceoryx2;
#[cfg(feature = "omnimind")]
mod omnimind;
#[cfg(feature = "ros2-client")]
mod ros2_client;
#[cfg(feature = "zenoh")]
mod zenoh;

use anyhow::{Result, bail};

use crate::run::Plan;

/// Those that go from process to process.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "omnimind")]
    "omnimind",
    #[cfg(feature = "omnimind")]
    "omnimind-loan",
    #[cfg(feature = "omnimind")]
    "omnimind-network",
    #[cfg(feature = "zenoh")]
    "zenoh-tcp",
    #[cfg(feature = "zenoh")]
    "zenoh-tcp-recv",
    #[cfg(feature = "zenoh")]
    "zenoh-shm",
    #[cfg(feature = "iceoryx2")]
    "iceoryx2",
    #[cfg(feature = "hiroz")]
    "hiroz",
    #[cfg(feature = "hiroz")]
    "hiroz-shm",
    #[cfg(feature = "ros2-client")]
    "ros2-client",
];

/// Publishes as planned; how many samples were lost.
pub fn publish(peer: &str, plan: &Plan, router: &str) -> Result<u32> {
    match peer {
        #[cfg(feature = "omnimind")]
        "omnimind" | "omnimind-loan" | "omnimind-network" => omnimind::publish(peer, plan, router),
        #[cfg(feature = "zenoh")]
        "zenoh-tcp" | "zenoh-tcp-recv" | "zenoh-shm" => zenoh::publish(peer == "zenoh-shm", plan, router),
        #[cfg(feature = "iceoryx2")]
        "iceoryx2" => iceoryx2::publish(plan),
        #[cfg(feature = "hiroz")]
        "hiroz" | "hiroz-shm" => hiroz::publish(peer == "hiroz-shm", plan, router),
        #[cfg(feature = "ros2-client")]
        "ros2-client" => ros2_client::publish(plan),
        other => bail!("there is no peer `{other}` in this build"),
    }
}

/// Listens as planned.
pub fn listen(peer: &str, plan: &Plan, router: &str) -> Result<()> {
    match peer {
        #[cfg(feature = "omnimind")]
        "omnimind" | "omnimind-loan" | "omnimind-network" => omnimind::listen(peer, plan, router),
        #[cfg(feature = "zenoh")]
        "zenoh-tcp-recv" => zenoh::receive(plan, router),
        #[cfg(feature = "zenoh")]
        "zenoh-tcp" | "zenoh-shm" => zenoh::listen(peer == "zenoh-shm", plan, router),
        #[cfg(feature = "iceoryx2")]
        "iceoryx2" => iceoryx2::listen(plan),
        #[cfg(feature = "hiroz")]
        "hiroz" | "hiroz-shm" => hiroz::listen(peer == "hiroz-shm", plan, router),
        #[cfg(feature = "ros2-client")]
        "ros2-client" => ros2_client::listen(plan),
        other => bail!("there is no peer `{other}` in this build"),
    }
}

/// From one node or task to the next within a process; prints times as listeners do.
pub fn inprocess(peer: &str, bytes: usize, count: u32) -> Result<()> {
    match peer {
        #[cfg(feature = "omnimind")]
        "omnimind-lockstep" | "omnimind-free" => omnimind::inprocess(peer == "omnimind-lockstep", bytes, count),
        #[cfg(feature = "copper")]
        "copper" => copper::inprocess(bytes, count),
        other => bail!("there is no peer `{other}` within a process in this build"),
    }
}
