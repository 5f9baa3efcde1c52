//! Detections with a depth image: boxes in space.

use std::collections::VecDeque;
use std::sync::Arc;

use glam::DVec2;
use msgs::geometry_msgs::msg::{Point, Pose, Quaternion, Vector3};
use msgs::sensor_msgs::msg::{CameraInfo, Image};
use msgs::vision_msgs::msg::{BoundingBox3D, Detection2D, Detection2DArray, Detection3D, Detection3DArray};
use pictures::rectify::{Lens, LensError};
use spatial::Pinhole;
use spatial::camera::CameraError;
use spatial::depth::{DepthError, DepthLimits, DepthView, PixelBox, distances, foreground, seen_box};

/// Depth images, and detections, that wait for their partner at most.
pub const WAITING: usize = 4;

/// A camera as it is calibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct Eye {
    camera: Pinhole,
    /// `None` for pictures that are straight.
    lens: Option<Lens>,
}

/// Why a calibration is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EyeError {
    /// Its matrix.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// Its lens.
    #[error("places in space need a lens that is known: {0}")]
    Lens(#[from] LensError),
}

impl Eye {
    /// By a calibration. `rectified` says that the pictures were straightened with it: then its projection `P` counts, and no lens.
    ///
    /// # Errors
    /// [`EyeError`].
    pub fn of(info: &CameraInfo, rectified: bool) -> Result<Self, EyeError> {
        let camera = |k: &[f64; 9]| Pinhole::from_k(info.width, info.height, k);
        let p = &info.p;
        if rectified && p.iter().any(|v| *v != 0.0) {
            return Ok(Self { camera: camera(&[p[0], p[1], p[2], p[4], p[5], p[6], p[8], p[9], p[10]])?, lens: None });
        }
        let camera = camera(&info.k)?;
        if rectified || info.d.iter().all(|v| *v == 0.0) && info.distortion_model != "equidistant" {
            return Ok(Self { camera, lens: None });
        }
        let lens = Lens {
            width: info.width,
            height: info.height,
            model: info.distortion_model.clone(),
            d: info.d.clone(),
            k: info.k,
            r: info.r,
            p: info.p,
        };
        lens.check()?;
        Ok(Self { camera, lens: Some(lens) })
    }

    /// The box as the same camera without a lens would show it: its centre, and the middles of its sides, are where their rays are. `None`
    /// where no ray comes through the lens.
    fn straight(&self, region: &PixelBox) -> Option<PixelBox> {
        let Some(lens) = &self.lens else { return Some(*region) };
        let pixel = |right: f64, down: f64| {
            let at = region.center + region.size * DVec2::new(right, down);
            let [x, y] = lens.straight([at.x, at.y])?;
            Some(DVec2::new(x * self.camera.fx + self.camera.cx, y * self.camera.fy + self.camera.cy))
        };
        let [top_left, top_right] = [pixel(-0.5, -0.5)?, pixel(0.5, -0.5)?];
        let [low_left, low_right] = [pixel(-0.5, 0.5)?, pixel(0.5, 0.5)?];
        let size = 0.5 * (top_right + low_right - top_left - low_left).with_y((low_left + low_right - top_left - top_right).y);
        Some(PixelBox { center: pixel(0.0, 0.0)?, size })
    }
}

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
/// Depth may have another resolution than the picture, but must be registered to it (REP 118): it is bent by the same lens. A box is that of
/// the visible side ([`spatial::depth::seen_box`]), seen through that lens.
///
/// # Errors
/// [`PlaceError`].
pub fn in_space(
    detections: &Detection2DArray,
    size: (u32, u32),
    eye: &Eye,
    depth: &Image,
    limits: &DepthLimits,
) -> Result<(Detection3DArray, usize), PlaceError> {
    let (of_depth, of_picture) = (&depth.header.frame_id, &detections.header.frame_id);
    if !of_depth.is_empty() && !of_picture.is_empty() && of_depth != of_picture {
        return Err(PlaceError::Frame { depth: of_depth.clone(), picture: of_picture.clone() });
    }
    let camera = &eye.camera;
    let sizes = [(depth.width, depth.height), size, (camera.width, camera.height)];
    let ratios = sizes.map(|(width, height)| f64::from(width) / f64::from(height.max(1)));
    if ratios.iter().any(|r| (r / ratios[0] - 1.0).abs() > 0.02) || size.0 == 0 {
        return Err(PlaceError::Shape { depth: sizes[0], picture: sizes[1], camera: sizes[2] });
    }
    let (width, height) = (depth.width as usize, depth.height as usize);
    let values = distances(width, height, depth.step as usize, &depth.encoding, depth.is_bigendian != 0, &depth.data)?;
    let view = DepthView::new(width, height, &values)?;
    let scale = [f64::from(depth.width), f64::from(camera.width)].map(|width| width / f64::from(size.0));
    let placed: Vec<Detection3D> =
        detections.detections.iter().filter_map(|d| place(d, detections, scale, eye, &view, limits)).collect();
    let missing = detections.detections.len() - placed.len();
    Ok((Detection3DArray { header: detections.header.clone(), detections: placed }, missing))
}

fn place(
    detection: &Detection2D,
    all: &Detection2DArray,
    [to_depth, to_camera]: [f64; 2],
    eye: &Eye,
    view: &DepthView<'_>,
    limits: &DepthLimits,
) -> Option<Detection3D> {
    let b = &detection.bbox;
    // A box counts from the corner of the first pixel, the camera from its centre.
    let region = |scale: f64| PixelBox {
        center: DVec2::new(b.center.position.x, b.center.position.y) * scale - 0.5,
        size: DVec2::new(b.size_x, b.size_y) * scale,
    };
    let front = foreground(view, &region(to_depth), limits)?;
    let seen = seen_box(&eye.camera, &eye.straight(&region(to_camera))?, &front);
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
    waiting: VecDeque<Waiting>,
    /// Arrays of detections for which no depth image came.
    pub alone: u64,
}

/// Detections, width and height of their picture, and when they came, ns of the clock of whoever asks.
pub type Waiting = (Arc<Detection2DArray>, (u32, u32), i64);

/// What waits in a [`Pairing`]: depth images and detections, the oldest first.
pub type PairingParts = (Vec<Arc<Image>>, Vec<Waiting>, u64);

/// Detections, the size of their picture, and the depth image of the same moment.
pub type Pair = (Arc<Detection2DArray>, (u32, u32), Arc<Image>);

/// So long the depth image of a moment may be later than what was detected at it. After that the nearest one is taken.
const PATIENCE_NS: i64 = 250_000_000;

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

    /// Something was detected in a picture of this width and height. If there are too many that wait, the oldest goes: with the depth image
    /// that is nearest to it, if one is at most `limit_ns` away.
    pub fn detections(
        &mut self,
        now_ns: i64,
        detections: Arc<Detection2DArray>,
        size: (u32, u32),
        limit_ns: i64,
    ) -> Option<Pair> {
        self.waiting.push_back((detections, size, now_ns));
        if self.waiting.len() <= WAITING {
            return None;
        }
        let (detections, size, _) = self.waiting.pop_front()?;
        match self.nearest(nanos(&detections.header), limit_ns) {
            Some(depth) => Some((detections, size, depth)),
            None => {
                self.alone += 1;
                None
            }
        }
    }

    fn nearest(&self, stamp: i64, limit_ns: i64) -> Option<Arc<Image>> {
        let far = |depth: &Image| nanos(&depth.header).abs_diff(stamp);
        self.depths.iter().filter(|d| far(d) <= limit_ns.max(0).unsigned_abs()).min_by_key(|d| far(d)).cloned()
    }

    /// The next detections whose depth image is there: the one whose stamp is nearest, at most `limit_ns` away. A depth image from before
    /// the picture is only taken when none as old as the picture will come: when a newer one is there, or the detections
    /// have waited for a quarter of a second.
    pub fn next(&mut self, now_ns: i64, limit_ns: i64) -> Option<Pair> {
        let newest = self.depths.iter().map(|d| nanos(&d.header)).max()?;
        for at in 0..self.waiting.len() {
            let (detections, _, came) = &self.waiting[at];
            let stamp = nanos(&detections.header);
            if newest < stamp && now_ns.saturating_sub(*came) < PATIENCE_NS {
                continue;
            }
            if let Some(depth) = self.nearest(stamp, limit_ns) {
                let (detections, size, _) = self.waiting.remove(at)?;
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

    fn info() -> CameraInfo {
        let k = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0];
        CameraInfo { width: 64, height: 48, k, ..CameraInfo::default() }
    }

    fn camera() -> Eye {
        Eye::of(&info(), false).unwrap()
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
    fn a_bent_lens_puts_things_where_their_rays_are() {
        // The corner of the picture seen through a barrel lens: the plate is farther out, and larger, than an ideal camera would say.
        let bent = CameraInfo { distortion_model: "plumb_bob".into(), d: vec![-0.3, 0.1, 0.0, 0.0, 0.0], ..info() };
        let array = seen(vec![detection(48.0, 18.0, 16.0)]);
        let at = |eye: &Eye| {
            let placed = in_space(&array, (64, 48), eye, &depth(), &DepthLimits::default()).unwrap().0;
            placed.detections[0].bbox.clone()
        };
        let (ideal, real) = (at(&camera()), at(&Eye::of(&bent, false).unwrap()));
        // By hand: the ray x = 0.331997, y = -0.124499 has r2 = 0.125722, and 1 - 0.3 r2 + 0.1 r2^2 = 0.963864 of it is x' = 0.32, y' = -0.12.
        let ray = |pixels: f64| pixels / 50.0 / 0.963_864 * 1.5;
        let place = &real.center.position;
        assert!(
            (place.x - ray(16.0)).abs() < 1e-3 && (place.y - ray(-6.0)).abs() < 1e-3 && (place.z - 1.5).abs() < 1e-6,
            "{place:?}"
        );
        assert!(real.size.x > 1.03 * ideal.size.x && real.size.y > 1.03 * ideal.size.y, "{real:?} {ideal:?}");
        // Straightened pictures have no lens, but the projection of their calibration.
        let p = [40.0, 0.0, 31.5, 0.0, 0.0, 40.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0];
        let straight = at(&Eye::of(&CameraInfo { p, ..bent.clone() }, true).unwrap());
        assert!((straight.center.position.x - 16.0 / 40.0 * 1.5).abs() < 1e-6);
        let unknown = Eye::of(&CameraInfo { distortion_model: "tilted".into(), ..bent }, false).unwrap_err().to_string();
        assert!(unknown.contains("`tilted` is not known"), "{unknown}");
    }

    #[test]
    fn of_two_depth_images_that_of_the_same_moment_is_taken_though_it_comes_last() {
        const SYNC: i64 = 50_000_000;
        let depth_at = |ms: u32| {
            let mut image = depth();
            (image.header.stamp.sec, image.header.stamp.nanosec) = (7, ms * 1_000_000);
            Arc::new(image)
        };
        let seen_at = |ms: u32| {
            let mut array = seen(vec![]);
            (array.header.stamp.sec, array.header.stamp.nanosec) = (7, ms * 1_000_000);
            Arc::new(array)
        };
        let ms = |pair: Option<Pair>| pair.map(|(_, _, depth)| depth.header.stamp.nanosec / 1_000_000);
        let mut pairing = Pairing::default();
        pairing.depth(depth_at(100));
        assert!(pairing.detections(0, seen_at(133), (64, 48), SYNC).is_none());
        assert_eq!(ms(pairing.next(0, SYNC)), None, "that of its own moment may still come");
        pairing.depth(depth_at(133));
        assert_eq!(ms(pairing.next(5_000_000, SYNC)), Some(133));
        // A depth camera whose stamps are 4 ms before the pictures': the next one tells that no nearer comes.
        pairing.detections(0, seen_at(166), (64, 48), SYNC);
        pairing.depth(depth_at(162));
        assert_eq!(ms(pairing.next(0, SYNC)), None);
        pairing.depth(depth_at(195));
        assert_eq!(ms(pairing.next(0, SYNC)), Some(162));
        // Depth that has ended: the nearest, after a while.
        pairing.detections(0, seen_at(220), (64, 48), SYNC);
        assert_eq!(ms(pairing.next(PATIENCE_NS - 1, SYNC)), None);
        assert_eq!(ms(pairing.next(PATIENCE_NS, SYNC)), Some(195));
        // Too many wait: the oldest takes the nearest, and is not counted as alone.
        let went: Vec<_> = (0..=WAITING as u32).map(|n| ms(pairing.detections(0, seen_at(230 + n), (64, 48), SYNC))).collect();
        assert_eq!((went.last().unwrap(), pairing.alone), (&Some(195), 0));
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
        pairing.detections(0, seen_at(5), (64, 48), 50_000_000);
        assert!(pairing.next(0, 50_000_000).is_none());
        pairing.depth(depth_at(4));
        assert!(pairing.next(0, 50_000_000).is_none());
        pairing.depth(depth_at(5));
        let (detections, _, depth) = pairing.next(0, 50_000_000).unwrap();
        assert_eq!((detections.header.stamp.sec, depth.header.stamp.sec), (5, 5));
        for sec in 10..30 {
            pairing.detections(0, seen_at(sec), (64, 48), 50_000_000);
            pairing.depth(depth_at(sec + 100));
        }
        let parts = pairing.parts();
        assert_eq!((parts.0.len(), parts.1.len(), parts.2), (WAITING, WAITING, 16));
        assert_eq!(Pairing::from_parts(parts.clone()).parts(), parts);
    }
}
