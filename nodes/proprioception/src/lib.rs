//! Proprioception: where the body's joints are, how it turns, and how far it has rolled.
//!
//! [`gyro`] estimates the gyroscope's bias at rest, [`odometry`] joins wheels and gyroscope into a pose with an honest
//! covariance, [`joints`] checks the joint states, [`frames`] lays out the fixed frames of the body.

pub mod frames;
pub mod gyro;
pub mod joints;
mod node;
pub mod odometry;

pub use node::Proprioception;
