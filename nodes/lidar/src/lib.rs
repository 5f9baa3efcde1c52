//! Lidar: checks of a scan's geometry and of every range before anybody navigates by it.

mod node;
pub mod scan;

pub use node::Lidar;
