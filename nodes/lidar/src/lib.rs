//! Lidar: checks of a scan's geometry and of every range before anybody navigates by it.

pub mod scan;
mod node;

pub use node::Lidar;
