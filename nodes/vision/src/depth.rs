//! Detections with a depth image: boxes in space.

use std::collections::VecDeque;
use std::sync::Arc;

use glam::DVec2;
use msgs::geometry_msgs::msg::{Point, Pose, Quaternion, Vector3};
use msgs::sensor_msgs::msg::Image;
use msgs::vision_msgs::msg::{BoundingBox3D, Detection2D, Detection2DArray, Detection3D, Detection3DArray};
use spatial::Pinhole;
use spatial::depth::{DepthError, DepthLimits, DepthView, PixelBox, distances, foreground, seen_box};

/// Depth images, and detections, that wait for their partner at most.
pub const WAITING: usize = 4;

/// Why a depth image says nothing about a picture.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// The depth image itself.
    #[error(transparent)]
    Depth(#[from] DepthError),
    /// It was taken by another eye.
    #[error("depth is in the frame `{depth}` and the picture in `{picture}`: it is not registered to the picture")]
    Frame {
        /// Frame of the depth image.
        depth: String,
        /// Frame of the picture.
        picture: String,
    },
    /// Picture, depth image and camera do not show the same.
    #[error(
        "depth is {depth:?}, the picture {picture:?} and the camera's image {camera:?} pixels: their sides have another ratio"
    )]
    Shape {
        /// Width and height of the depth image.
        depth: (u32, u32),
        /// Of the picture.
        picture: (u32, u32),
        /// Of the camera's image.
        camera: (u32, u32),
    },
}

/// The detections of a picture of `size` (width, height) that have a distance, in the camera's optical frame, and how many had none.
/// Depth may have another resolution than the picture, but must be registered to it (REP 118). A box is that of the visible side
/// ([`spatial::depth::seen_box`]).
///
/// # Errors
/// [`PlaceError`].
pub fn in_space(
    detections: &Detection2DArray,
    size: (u32, u32),
    camera: &Pinhole,
    depth: &Image,
    limits: &DepthLimits,
) -> Result<(Detection3DArray, usize), PlaceError> {
    let (of_depth, of_picture) = (&depth.header.frame_id, &detections.header.frame_id);
    if !of_depth.is_empty() && !of_picture.is_empty() && of_depth != of_picture {
        return Err(PlaceError::Frame { depth: of_depth.clone(), picture: of_picture.clone() });
    }
    let sizes = [(depth.width, depth.height), size, (camera.width, camera.height)];
    let ratios = sizes.map(|(width, height)| f64::from(width) / f64::from(height.max(1)));
    if ratios.iter().any(|r| (r / ratios[0] - 1.0).abs() > 0.02) || size.0 == 0 {
        return Err(PlaceError::Shape { depth: sizes[0], picture: sizes[1], camera: sizes[2] });
    }
    let (width, height) = (depth.width as usize, depth.height as usize);
    let values = distances(width, height, depth.step as usize, &depth.encoding, depth.is_bigendian != 0, &depth.data)?;
    let view = DepthView::new(width, height, &values)?;
    let camera = scaled(camera, f64::from(depth.width) / f64::from(camera.width.max(1)), depth);
    let scale = f64::from(depth.width) / f64::from(size.0);
    let placed: Vec<Detection3D> =
        detections.detections.iter().filter_map(|d| place(d, detections, scale, &camera, &view, limits)).collect();
    let missing = detections.detections.len() - placed.len();
    Ok((Detection3DArray { header: detections.header.clone(), detections: placed }, missing))
}

/// The camera with an image of another resolution: pixels count from the centre of the first, so the corner stays.
fn scaled(camera: &Pinhole, factor: f64, depth: &Image) -> Pinhole {
    let center = |c: f64| (c + 0.5) * factor - 0.5;
    Pinhole {
        width: depth.width,
        height: depth.height,
        fx: camera.fx * factor,
        fy: camera.fy * factor,
        cx: center(camera.cx),
        cy: center(camera.cy),
    }
}

fn place(
    detection: &Detection2D,
    all: &Detection2DArray,
    scale: f64,
    camera: &Pinhole,
    view: &DepthView<'_>,
    limits: &DepthLimits,
) -> Option<Detection3D> {
    let b = &detection.bbox;
    let region = PixelBox {
        // A box counts from the corner of the first pixel, the camera from its centre.
        center: DVec2::new(b.center.position.x, b.center.position.y) * scale - 0.5,
        size: DVec2::new(b.size_x, b.size_y) * scale,
    };
    let front = foreground(view, &region, limits)?;
    let seen = seen_box(camera, &region, &front);
    if !(seen.center.is_finite() && seen.size.is_finite()) {
        return None;
    }
    let center = Pose {
        position: Point { x: seen.center.x, y: seen.center.y, z: seen.center.z },
        orientation: Quaternion { w: 1.0, ..Quaternion::default() },
    };
    let mut results = detection.results.clone();
    results.iter_mut().for_each(|r| r.pose.pose = center.clone());
    Some(Detection3D {
        header: all.header.clone(),
        results,
        bbox: BoundingBox3D { center, size: Vector3 { x: seen.size.x, y: seen.size.y, z: seen.size.z } },
        id: detection.id.clone(),
    })
}

/// Detections that wait for the depth image of their moment, and the other way round.
#[derive(Debug, Clone, Default)]
pub struct Pairing {
    depths: VecDeque<Arc<Image>>,
    waiting: VecDeque<(Arc<Detection2DArray>, (u32, u32))>,
    /// Arrays of detections for which no depth image came.
    pub alone: u64,
}

/// What waits in a [`Pairing`]: depth images, and detections with the size of their picture, the oldest first.
pub type PairingParts = (Vec<Arc<Image>>, Vec<(Arc<Detection2DArray>, (u32, u32))>, u64);

/// Detections, the size of their picture, and the depth image of the same moment.
pub type Pair = (Arc<Detection2DArray>, (u32, u32), Arc<Image>);

fn nanos(header: &msgs::std_msgs::msg::Header) -> i64 {
    i64::from(header.stamp.sec) * 1_000_000_000 + i64::from(header.stamp.nanosec)
}

impl Pairing {
    /// A depth image came.
    pub fn depth(&mut self, image: Arc<Image>) {
        self.depths.push_back(image);
        while self.depths.len() > WAITING {
            self.depths.pop_front();
        }
    }

    /// Something was detected in a picture of this width and height.
    pub fn detections(&mut self, detections: Arc<Detection2DArray>, size: (u32, u32)) {
        self.waiting.push_back((detections, size));
        while self.waiting.len() > WAITING {
            self.waiting.pop_front();
            self.alone += 1;
        }
    }

    /// The next detections whose depth image is there: the one whose stamp is nearest, at most `limit_ns` away.
    pub fn next(&mut self, limit_ns: i64) -> Option<Pair> {
        for at in 0..self.waiting.len() {
            let stamp = nanos(&self.waiting[at].0.header);
            let far = |depth: &Image| nanos(&depth.header).abs_diff(stamp);
            let partner = self.depths.iter().filter(|d| far(d) <= limit_ns.max(0).unsigned_abs()).min_by_key(|d| far(d)).cloned();
            if let Some(depth) = partner {
                let (detections, size) = self.waiting.remove(at)?;
                return Some((detections, size, depth));
            }
        }
        None
    }

    /// What waits.
    pub fn parts(&self) -> PairingParts {
        (self.depths.iter().cloned().collect(), self.waiting.iter().cloned().collect(), self.alone)
    }

    /// The pairing in which this waits.
    pub fn from_parts((depths, waiting, alone): PairingParts) -> Self {
        Self { depths: depths.into(), waiting: waiting.into(), alone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::vision_msgs::msg::{ObjectHypothesis, ObjectHypothesisWithPose};

    fn camera() -> Pinhole {
        Pinhole::new(64, 48, 50.0, 50.0, 31.5, 23.5).unwrap()
    }

    /// A wall at 3 m with a plate 1.5 m away in the columns 40 to 55 and rows 10 to 25, in millimetres.
    fn depth() -> Image {
        let mm = |x: u32, y: u32| if (40..56).contains(&x) && (10..26).contains(&y) { 1500_u16 } else { 3000 };
        let data: Vec<u8> = (0..48).flat_map(|y| (0..64).flat_map(move |x| mm(x, y).to_le_bytes())).collect();
        let mut image =
            Image { width: 64, height: 48, step: 128, encoding: "16UC1".into(), data: data.into(), ..Image::default() };
        image.header.frame_id = "camera_optical_frame".into();
        image
    }

    fn detection(x: f64, y: f64, side: f64) -> Detection2D {
        let mut d = Detection2D { id: "7".into(), ..Detection2D::default() };
        d.bbox.center.position.x = x;
        d.bbox.center.position.y = y;
        (d.bbox.size_x, d.bbox.size_y) = (side, side);
        d.results.push(ObjectHypothesisWithPose {
            hypothesis: ObjectHypothesis { class_id: "cup".into(), score: 0.5 },
            ..ObjectHypothesisWithPose::default()
        });
        d
    }

    fn seen(list: Vec<Detection2D>) -> Detection2DArray {
        let mut array = Detection2DArray { detections: list, ..Detection2DArray::default() };
        array.header.frame_id = "camera_optical_frame".into();
        array.header.stamp.sec = 5;
        array
    }

    #[test]
    fn a_plate_is_where_it_is_and_what_has_no_depth_is_left_out() {
        // The picture has four times the resolution of the depth image.
        let array = seen(vec![detection(192.0, 72.0, 64.0), detection(9999.0, 0.0, 20.0)]);
        let (placed, missing) = in_space(&array, (256, 192), &camera(), &depth(), &DepthLimits::default()).unwrap();
        assert_eq!((placed.detections.len(), missing), (1, 1));
        let cup = &placed.detections[0];
        // The box is 40..56 x 10..26 in the depth image: its centre 16 columns and -5.5 .. rows from the axis, at 1.5 m.
        let at = &cup.bbox.center.position;
        assert!(
            (at.x - 16.0 / 50.0 * 1.5).abs() < 1e-6 && (at.y + 6.0 / 50.0 * 1.5).abs() < 1e-6 && (at.z - 1.5).abs() < 1e-6,
            "{at:?}"
        );
        let size = &cup.bbox.size;
        assert!((size.x - 0.48).abs() < 1e-6 && (size.y - 0.48).abs() < 1e-6 && size.z.abs() < 1e-6, "a plate: {size:?}");
        assert_eq!((cup.id.as_str(), cup.results[0].hypothesis.class_id.as_str()), ("7", "cup"));
        assert_eq!((&cup.header, &cup.results[0].pose.pose), (&array.header, &cup.bbox.center));
        assert_eq!(placed.header, array.header);
    }

    #[test]
    fn what_does_not_belong_together_is_refused_in_words() {
        let array = seen(vec![detection(48.0, 18.0, 16.0)]);
        let place = |depth: &Image, size| in_space(&array, size, &camera(), depth, &DepthLimits::default());
        assert!(place(&depth(), (64, 48)).is_ok());
        let mut other = depth();
        other.header.frame_id = "depth_eye".into();
        assert!(place(&other, (64, 48)).unwrap_err().to_string().contains("not registered"));
        assert!(matches!(place(&depth(), (64, 64)), Err(PlaceError::Shape { .. })));
        assert!(matches!(place(&depth(), (0, 0)), Err(PlaceError::Shape { .. })));
        let bytes = Image { encoding: "rgb8".into(), ..depth() };
        assert!(matches!(place(&bytes, (64, 48)), Err(PlaceError::Depth(DepthError::Encoding { .. }))));
        let short = Image { data: vec![0; 10].into(), ..depth() };
        assert!(matches!(place(&short, (64, 48)), Err(PlaceError::Depth(DepthError::Bytes { .. }))));
        let none = Image { width: 0, height: 0, ..depth() };
        assert!(place(&none, (64, 48)).is_err());
    }

    #[test]
    fn partners_find_each_other_whoever_comes_first_and_the_queues_are_bounded() {
        let depth_at = |sec| {
            let mut image = depth();
            image.header.stamp.sec = sec;
            Arc::new(image)
        };
        let seen_at = |sec| {
            let mut array = seen(vec![]);
            array.header.stamp.sec = sec;
            Arc::new(array)
        };
        let mut pairing = Pairing::default();
        pairing.detections(seen_at(5), (64, 48));
        assert!(pairing.next(50_000_000).is_none());
        pairing.depth(depth_at(4));
        assert!(pairing.next(50_000_000).is_none());
        pairing.depth(depth_at(5));
        let (detections, _, depth) = pairing.next(50_000_000).unwrap();
        assert_eq!((detections.header.stamp.sec, depth.header.stamp.sec), (5, 5));
        for sec in 10..30 {
            pairing.detections(seen_at(sec), (64, 48));
            pairing.depth(depth_at(sec + 100));
        }
        let parts = pairing.parts();
        assert_eq!((parts.0.len(), parts.1.len(), parts.2), (WAITING, WAITING, 16));
        assert_eq!(Pairing::from_parts(parts.clone()).parts(), parts);
    }
}
