//! The wire between sessions that each stand for a process. One program: every one that links Zenoh takes minutes to build.

mod client;
mod common;
mod hostile;
mod loopback;
mod neighbours;
mod quality;
mod router;
