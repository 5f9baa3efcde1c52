//! Space: poses, the tree of frames, the camera model, occupancy grids and what is computed on them, and the model of the home.
//!
//! Everything is a plain function or a plain struct; nothing here knows the graph. Lengths are metres, angles radians,
//! frames follow REP 103 and REP 105 (x forward, y left, z up; optical frames z forward, x right, y down).
//! The only module that knows messages is [`convert`].

pub mod angle;
pub mod camera;
pub mod convert;
pub mod depth;
pub mod distance;
pub mod grid;
pub mod home;
pub mod map_file;
pub mod plain;
pub mod polygon;
pub mod pose;
pub mod ray;
pub mod search;
pub mod tf;
mod tf_query;

pub use camera::Pinhole;
pub use grid::{Cell, Grid};
pub use home::{Home, Room, Surface};
pub use pose::{Pose2, Pose3};
pub use tf::{TfBuffer, TfError, TfInsertError};
pub use tf_query::TfErrorKind;
