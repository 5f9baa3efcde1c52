//! Messages in Rerun's words: one function per kind of message, all of them total (odd messages are skipped, not fatal).

use std::sync::Arc;

use msgs::geometry_msgs::msg::{Pose, PoseStamped};
use msgs::nav_msgs::msg::{OccupancyGrid, Odometry, Path};
use msgs::omnimind_msgs::msg::{Belief, EnergyForecast, MissionState, Plan, SimState};
use msgs::rcl_interfaces::msg::Log;
use msgs::sensor_msgs::msg::{BatteryState, CameraInfo, Image, LaserScan};
use msgs::vision_msgs::msg::Detection2DArray;
use re_sdk::{RecordingStream, RecordingStreamResult};
use re_sdk_types::archetypes::{
    Arrows3D, Boxes2D, Boxes3D, Cylinders3D, EncodedDepthImage, EncodedImage, GridMap, LineStrips2D, LineStrips3D, Pinhole,
    Points3D, Scalars, SeriesLines, TextDocument, TextLog, Transform3D, ViewCoordinates,
};
use re_sdk_types::components::{Colormap, FillMode, MediaType, TextLogLevel};
use re_sdk_types::datatypes::ImageFormat;

use crate::plan_text;
use crate::sound::{self, Heard};
use crate::tracks::{self, Way};
use pictures::jpeg;

/// Name of the timeline: the graph's clock.
pub const TIMELINE: &str = "graph_time";

/// Something to show.
#[derive(Clone, Debug)]
pub enum Item {
    /// What the camera sees.
    Camera(Arc<Image>),
    /// Distances, 32FC1 in metres.
    Depth(Arc<Image>),
    /// The camera's lens.
    CameraInfo(Arc<CameraInfo>),
    /// Boxes in the camera image.
    Detections(Arc<Detection2DArray>),
    /// Where followed objects have been in the camera image.
    Tracks(Vec<Way>),
    /// Lidar beams.
    Scan(Arc<LaserScan>),
    /// The map.
    Map(Arc<OccupancyGrid>),
    /// The path that is being followed.
    Path(Arc<Path>),
    /// Where the robot believes to be, in the map.
    RobotPose(Pose),
    /// Where it has been, in the map, m.
    Trail(Vec<[f32; 3]>),
    /// Odometry, for the speed.
    Odometry(Arc<Odometry>),
    /// What is believed about the world.
    Belief(Arc<Belief>),
    /// The simulator's truth.
    Truth(Arc<SimState>),
    /// The judge.
    Mission(Arc<MissionState>),
    /// The plan.
    Plan(Arc<Plan>),
    /// The battery.
    Battery(Arc<BatteryState>),
    /// The energy account.
    Energy(Arc<EnergyForecast>),
    /// What was heard.
    Heard(Heard),
    /// A log line.
    Log(Arc<Log>),
}

impl Item {
    /// Whether it may be left out when the writer cannot keep up.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Camera(_) | Self::Depth(_) | Self::Scan(_) | Self::Heard(Heard::Spectrogram(_) | Heard::Features(_)))
    }
}

/// How the robot looks: a cylinder, and where the camera sits on it.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// Radius of the base, m.
    pub radius: f32,
    /// Height of the base, m.
    pub height: f32,
    /// Camera position in base_link, m.
    pub camera_position: [f32; 3],
    /// Camera pitch, positive downward, rad.
    pub camera_pitch: f32,
    /// Lidar position in base_link, m.
    pub lidar_position: [f32; 3],
}

impl Default for Body {
    fn default() -> Self {
        Self {
            radius: 0.164,
            height: 0.12,
            camera_position: [0.05, 0.0, 0.62],
            camera_pitch: 0.35,
            lidar_position: [0.0, 0.0, 0.16],
        }
    }
}

/// Logs what does not change.
///
/// # Errors
/// Rerun's own, when its types do not serialise.
pub fn log_static(rec: &RecordingStream, body: &Body) -> RecordingStreamResult<()> {
    rec.log_static("world", &ViewCoordinates::RIGHT_HAND_Z_UP())?;
    sound::log_static(rec)?;
    let base = Cylinders3D::from_lengths_and_radii([body.height], [body.radius])
        .with_centers([[0.0, 0.0, body.height / 2.0]])
        .with_fill_mode(FillMode::Solid)
        .with_colors([0x3C78_C8FF]);
    rec.log_static("world/robot/base", &base)?;
    let nose = Arrows3D::from_vectors([[body.radius + 0.1, 0.0, 0.0]])
        .with_origins([[0.0, 0.0, body.height]])
        .with_colors([0xFFFF_FFFF]);
    rec.log_static("world/robot/heading", &nose)?;
    let mast = LineStrips3D::new([[[-0.1, 0.0, body.height], [-0.1, 0.0, body.camera_position[2]], body.camera_position]])
        .with_radii([0.012]);
    rec.log_static("world/robot/mast", &mast)?;
    rec.log_static("world/robot/scan", &Transform3D::from_translation(body.lidar_position))?;
    for (path, name, colour) in [
        ("battery/charge_wh", "charge", 0x32DC_64FF_u32),
        ("battery/to_dock_wh", "needed to the dock", 0xFF78_3CFF),
        ("battery/percent", "charge", 0x32DC_64FF),
        ("battery/power_w", "power", 0xFFC8_32FF),
        ("motion/speed_m_per_s", "speed", 0x64A0_FFFF),
    ] {
        rec.log_static(path, &SeriesLines::new().with_names([name]).with_colors([colour]).with_widths([1.5]))?;
    }
    // Optical frame (REP 103): z forward, x right, y down; then pitched downward.
    let (sin, cos) = body.camera_pitch.sin_cos();
    let columns = [[0.0, -1.0, 0.0], [-sin, 0.0, -cos], [cos, 0.0, -sin]];
    rec.log_static("world/robot/camera", &Transform3D::from_translation_mat3x3(body.camera_position, columns))
}

/// Logs one item at the time that is set on `rec`.
///
/// # Errors
/// Rerun's own, when its types do not serialise.
pub fn log(rec: &RecordingStream, item: &Item, jpeg_quality: u8) -> RecordingStreamResult<()> {
    match item {
        Item::Camera(image) => {
            if let Ok(jpeg) = jpeg::encode(&image.encoding, image.width, image.height, image.step, &image.data, jpeg_quality) {
                let media = EncodedImage::from_file_contents(jpeg).with_media_type(MediaType::JPEG);
                rec.log("world/robot/camera/image", &media)?;
            }
            Ok(())
        }
        Item::Depth(image) => depth(rec, image),
        Item::CameraInfo(info) => {
            if info.k[0] <= 0.0 || info.width == 0 {
                return Ok(());
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let lens = Pinhole::from_focal_length_and_resolution(
                [info.k[0] as f32, info.k[4] as f32],
                [info.width as f32, info.height as f32],
            )
            .with_principal_point([info.k[2] as f32, info.k[5] as f32])
            .with_image_plane_distance(0.7);
            rec.log_static("world/robot/camera", &lens)
        }
        Item::Detections(array) => detections(rec, array),
        Item::Tracks(ways) => {
            let strips = LineStrips2D::new(ways.iter().map(|w| w.points.clone()));
            let colors = ways.iter().map(|w| tracks::color(&w.class));
            rec.log("world/robot/camera/image/detections/tracks", &strips.with_colors(colors).with_radii([-1.5]))
        }
        Item::Scan(scan) => {
            rec.log("world/robot/scan", &Points3D::new(scan_points(scan)).with_radii([0.025]).with_colors([0xFF50_50FF]))
        }
        Item::Map(grid) => map(rec, grid),
        Item::Path(path) => {
            let points: Vec<[f32; 3]> = path.poses.iter().map(|p| lifted(p, 0.02)).collect();
            rec.log("world/path", &LineStrips3D::new([points]).with_radii([0.03]).with_colors([0x14AA_46FF]))
        }
        Item::RobotPose(pose) => rec.log("world/robot", &transform(pose)),
        Item::Trail(points) => {
            rec.log("world/trail", &LineStrips3D::new([points.clone()]).with_radii([0.02]).with_colors([0x3C78_C8FF]))
        }
        Item::Odometry(odometry) => rec.log("motion/speed_m_per_s", &Scalars::single(odometry.twist.twist.linear.x)),
        Item::Belief(belief) => beliefs(rec, belief),
        Item::Truth(state) => truth(rec, state),
        Item::Mission(mission) => {
            let text = format!("mission: {} {}", mission.phase, mission.reason);
            rec.log("log/mission", &TextLog::new(text).with_level(TextLogLevel::INFO))
        }
        Item::Plan(plan) => rec.log("plan", &TextDocument::from_markdown(plan_text::markdown(plan))),
        Item::Battery(battery) => {
            rec.log("battery/percent", &Scalars::single(f64::from(battery.percentage) * 100.0))?;
            rec.log("battery/power_w", &Scalars::single(f64::from(battery.voltage * battery.current)))
        }
        Item::Energy(energy) => {
            rec.log("battery/charge_wh", &Scalars::single(f64::from(energy.charge_wh)))?;
            rec.log("battery/to_dock_wh", &Scalars::single(f64::from(energy.to_dock_wh)))
        }
        Item::Heard(heard) => sound::log(rec, heard, jpeg_quality),
        Item::Log(line) => {
            let level = match line.level {
                Log::ERROR | Log::FATAL => TextLogLevel::ERROR,
                Log::WARN => TextLogLevel::WARN,
                Log::DEBUG => TextLogLevel::DEBUG,
                _ => TextLogLevel::INFO,
            };
            rec.log("log/rosout", &TextLog::new(format!("{}: {}", line.name, line.msg)).with_level(level))
        }
    }
}

fn depth(rec: &RecordingStream, image: &Image) -> RecordingStreamResult<()> {
    let row = image.width as usize * 4;
    if image.encoding != "32FC1"
        || image.is_bigendian != 0
        || image.step as usize != row
        || image.data.len() != row * image.height as usize
    {
        return Ok(());
    }
    let Some(png) = depth_png(image.width, image.height, &image.data) else { return Ok(()) };
    let archetype = EncodedDepthImage::from_file_contents(png)
        .with_media_type(MediaType::PNG)
        .with_meter(DEPTH_UNITS_PER_M)
        .with_depth_range([0.0, f64::from(5.0 * DEPTH_UNITS_PER_M)])
        .with_colormap(Colormap::Turbo);
    rec.log("world/robot/camera/depth", &archetype)
}

/// For looking at, 2 cm are enough: what is finer is the sensor's noise, which no compression makes smaller.
const DEPTH_UNITS_PER_M: f32 = 50.0;

fn depth_png(width: u32, height: u32, metres: &[u8]) -> Option<Vec<u8>> {
    use image::ImageEncoder;
    let samples = metres.chunks_exact(4).flat_map(|b| {
        // A cast from float to whole number saturates, and makes NaN zero.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let value = (f32::from_le_bytes([b[0], b[1], b[2], b[3]]) * DEPTH_UNITS_PER_M).round() as u16;
        value.to_ne_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out).write_image(&samples, width, height, image::ExtendedColorType::L16).ok()?;
    Some(out)
}

#[allow(clippy::cast_possible_truncation)]
fn detections(rec: &RecordingStream, array: &Detection2DArray) -> RecordingStreamResult<()> {
    let mut centers = Vec::new();
    let mut sizes = Vec::new();
    for detection in &array.detections {
        let bbox = &detection.bbox;
        centers.push([bbox.center.position.x as f32, bbox.center.position.y as f32]);
        sizes.push([bbox.size_x as f32, bbox.size_y as f32]);
    }
    let labels = array.detections.iter().map(tracks::label);
    let colors = array.detections.iter().map(|d| tracks::color(tracks::class(d)));
    let boxes = Boxes2D::from_centers_and_sizes(centers, sizes).with_labels(labels).with_colors(colors).with_radii([-2.0]);
    rec.log("world/robot/camera/image/detections", &boxes)
}

/// The beams of a scan that hit something, as points in the scan's frame, m.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn scan_points(scan: &LaserScan) -> Vec<[f32; 3]> {
    scan.ranges
        .iter()
        .enumerate()
        .filter(|(_, r)| r.is_finite() && **r >= scan.range_min && **r <= scan.range_max)
        .map(|(i, r)| {
            let (sin, cos) = (scan.angle_min + i as f32 * scan.angle_increment).sin_cos();
            [r * cos, r * sin, 0.0]
        })
        .collect()
}

#[allow(clippy::cast_possible_truncation)]
fn map(rec: &RecordingStream, grid: &OccupancyGrid) -> RecordingStreamResult<()> {
    let (width, height) = (grid.info.width, grid.info.height);
    if grid.data.len() != width as usize * height as usize || grid.data.is_empty() {
        return Ok(());
    }
    let origin = &grid.info.origin.position;
    let cells = GridMap::new(map_pixels(&grid.data, width as usize), ImageFormat::l8([width, height]), grid.info.resolution)
        .with_translation([origin.x as f32, origin.y as f32, -0.01])
        .with_colormap(Colormap::Grayscale);
    rec.log("world/map", &cells)?;
    #[allow(clippy::cast_precision_loss)]
    let place = |cell: f32, offset: f64| offset as f32 + cell * grid.info.resolution;
    let mut centers = Vec::new();
    let mut half_sizes = Vec::new();
    for block in blocks(&grid.data, width as usize) {
        let [x0, y0, x1, y1] = block.map(|v| v as f32);
        centers.push([place((x0 + x1) / 2.0, origin.x), place((y0 + y1) / 2.0, origin.y), WALL_M / 2.0]);
        half_sizes.push([(x1 - x0) / 2.0 * grid.info.resolution, (y1 - y0) / 2.0 * grid.info.resolution, WALL_M / 2.0]);
    }
    let walls =
        Boxes3D::from_centers_and_half_sizes(centers, half_sizes).with_fill_mode(FillMode::Solid).with_colors([0x78_82_91_FF]);
    rec.log("world/walls", &walls)
}

/// Height at which what the map calls occupied is drawn: the map does not know, and higher walls would hide the robot. m.
const WALL_M: f32 = 0.22;

/// The occupied cells as few rectangles (first column, first row, end column, end row), without overlap.
#[must_use]
pub fn blocks(cells: &[i8], width: usize) -> Vec<[usize; 4]> {
    let width = width.max(1);
    let height = cells.len() / width;
    let mut taken: Vec<bool> = cells.iter().map(|cell| *cell < 65).collect();
    let mut found = Vec::new();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let free = |taken: &[bool], x: usize, y: usize| !taken[y * width + x];
            if !free(&taken, x, y) {
                x += 1;
                continue;
            }
            let end = (x..width).find(|i| !free(&taken, *i, y)).unwrap_or(width);
            let bottom = (y..height).find(|j| !(x..end).all(|i| free(&taken, i, *j))).unwrap_or(height);
            for j in y..bottom {
                taken[j * width + x..j * width + end].fill(true);
            }
            found.push([x, y, end, bottom]);
            x = end;
        }
    }
    found
}

/// Grey values of a map, first row on top: free is light, occupied dark, unknown in between (map_server's trinary colours).
#[must_use]
pub fn map_pixels(cells: &[i8], width: usize) -> Vec<u8> {
    let grey = |cell: &i8| match *cell {
        cell @ 0..=100 => 254 - (i16::from(cell) * 254 / 100) as u8,
        _ => 205,
    };
    cells.chunks(width.max(1)).rev().flat_map(|row| row.iter().map(grey)).collect()
}

#[allow(clippy::cast_possible_truncation)]
fn beliefs(rec: &RecordingStream, belief: &Belief) -> RecordingStreamResult<()> {
    let points = belief.objects.iter().map(|o| [o.position.x as f32, o.position.y as f32, o.position.z as f32]);
    let labels = belief.objects.iter().map(|o| format!("{} {:.0} %", o.label, o.confidence * 100.0));
    let radii = belief.objects.iter().map(|o| o.position_sigma.clamp(0.03, 0.3));
    let objects = Points3D::new(points).with_labels(labels).with_radii(radii).with_colors([0xFFC8_32FF]);
    rec.log("world/beliefs", &objects)
}

#[allow(clippy::cast_possible_truncation)]
fn truth(rec: &RecordingStream, state: &SimState) -> RecordingStreamResult<()> {
    let centers: Vec<[f32; 3]> = state.objects.iter().map(|o| translation(&o.pose)).collect();
    let labels: Vec<String> = state.objects.iter().map(|o| o.name.clone()).collect();
    let boxes = Boxes3D::from_centers_and_half_sizes(centers, state.objects.iter().map(|_| [0.04_f32, 0.04, 0.07]))
        .with_labels(labels)
        .with_show_labels(false)
        .with_colors([0xE6E6_E6FF]);
    rec.log("world/truth/objects", &boxes)?;
    let [x, y, _] = translation(&state.robot_pose);
    let circle: Vec<[f32; 3]> = (0..=32)
        .map(|i| (i as f32 * std::f32::consts::TAU / 32.0).sin_cos())
        .map(|(s, c)| [x + 0.17 * c, y + 0.17 * s, 0.005])
        .collect();
    rec.log("world/truth/robot", &LineStrips3D::new([circle]).with_colors([0xB4B4_B4FF]).with_radii([0.006]))
}

#[allow(clippy::cast_possible_truncation)]
fn translation(pose: &Pose) -> [f32; 3] {
    [pose.position.x as f32, pose.position.y as f32, pose.position.z as f32]
}

#[allow(clippy::cast_possible_truncation)]
fn lifted(pose: &PoseStamped, z: f32) -> [f32; 3] {
    [pose.pose.position.x as f32, pose.pose.position.y as f32, z]
}

#[allow(clippy::cast_possible_truncation)]
fn transform(pose: &Pose) -> Transform3D {
    let q = &pose.orientation;
    // A quaternion of zeros (an unset message) is no rotation.
    let xyzw = if q.x == 0.0 && q.y == 0.0 && q.z == 0.0 && q.w == 0.0 {
        [0.0, 0.0, 0.0, 1.0]
    } else {
        [q.x as f32, q.y as f32, q.z as f32, q.w as f32]
    };
    Transform3D::from_translation_rotation(translation(pose), re_sdk_types::datatypes::Quaternion(xyzw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_points_leave_out_what_did_not_hit() {
        let scan = LaserScan {
            angle_min: 0.0,
            angle_increment: std::f32::consts::FRAC_PI_2,
            range_min: 0.1,
            range_max: 12.0,
            ranges: vec![1.0, 2.0, f32::INFINITY, 0.05],
            ..LaserScan::default()
        };
        let points = scan_points(&scan);
        assert_eq!(points.len(), 2);
        assert!((points[0][0] - 1.0).abs() < 1e-6 && (points[1][1] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn occupied_cells_become_few_blocks() {
        let map = [100, 100, 0, 100, 100, -1, 0, 0, 100];
        assert_eq!(blocks(&map, 3), [[0, 0, 2, 2], [2, 2, 3, 3]]);
        assert!(blocks(&[], 0).is_empty());
    }

    #[test]
    fn maps_are_drawn_with_their_first_row_at_the_bottom() {
        assert_eq!(map_pixels(&[0, 100, -1, 50], 2), [205, 127, 254, 0]);
    }
}
