//! The camera: frames of a simulator or driver (`device/camera/*`), of a folder of pictures, of a video file or of a V4L2
//! device or OpenCV's camera, checked and published as `camera/image_raw`, `camera/depth/image_raw` and `camera/camera_info`; straightened as
//! `camera/image_rect` if that is asked for.

pub mod calibration;
pub mod check;
pub mod folder;
pub mod frame;
mod node;
#[cfg(feature = "opencv")]
pub mod opencv;
pub mod straight;
#[cfg(feature = "v4l2")]
mod v4l2;
pub mod video;

pub use node::Camera;
