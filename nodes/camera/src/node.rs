//! The camera node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::Bytes;
use msgs::builtin_interfaces::msg::Time as Stamp;
use msgs::sensor_msgs::msg::{CameraInfo, Image};

use crate::calibration;
use crate::check::{Kind, check_image, check_info};
use crate::folder::Folder;
use crate::frame::{pinhole_info, rgb_message};
use crate::straight::Straightener;
use crate::video::{Clip, Shown, scaled};

/// Counters of one stream.
#[derive(Debug, Default)]
struct Stream {
    accepted: u64,
    rejected: u64,
    last: Option<Time>,
    last_stamp: Option<Time>,
}

/// What drives the camera where no topic does.
enum Driver {
    /// `device/camera/*`.
    Topic,
    Folder(Folder),
    Video {
        clip: Box<Clip>,
        /// When the clip began; `None` until the first turn.
        begin: Option<Time>,
    },
    /// Held until the end: dropping it ends the capture.
    #[cfg(feature = "v4l2")]
    V4l2 {
        _capture: crate::v4l2::Capturing,
    },
    /// Held until the end: dropping it ends the capture.
    #[cfg(feature = "opencv")]
    OpenCv {
        _capture: crate::opencv::Capturing,
    },
    /// It could not be started, or is over.
    None,
}

/// Publishes `camera/image_raw`, `camera/depth/image_raw` and `camera/camera_info` from the source of its choice.
pub struct Camera {
    source: String,
    path: PathBuf,
    ffmpeg: PathBuf,
    size: (u32, u32),
    repeat: bool,
    end_graph: bool,
    frame_id: String,
    fov: f64,
    camera_info_file: PathBuf,
    /// What is in that file.
    calibration: Option<CameraInfo>,
    stale_after: Param<f64>,
    #[cfg(any(feature = "v4l2", feature = "opencv"))]
    injector: graph::Injector<Self>,
    driver: Driver,
    color: Publisher<Image>,
    depth: Publisher<Image>,
    info: Publisher<CameraInfo>,
    /// Only if pictures are to be straightened.
    straight: Option<(Straightener, Publisher<Image>)>,
    color_stream: Stream,
    depth_stream: Stream,
}

impl Node for Camera {
    const NAME: &'static str = "camera";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let source = s
            .param("source", "topic".to_owned())
            .one_of(&["topic", "folder", "video", "v4l2", "opencv"])
            .describe(
                "where frames come from: device/camera/*, pictures of a folder, a video file, a V4L2 device, a camera of OpenCV",
            )
            .read_only()
            .declare()?
            .get();
        let path = s
            .param("path", String::new())
            .describe("the folder, the video file, or the device (/dev/video0; for opencv also a number or a stream)")
            .read_only()
            .declare()?
            .get();
        let ffmpeg = s
            .param("ffmpeg", "ffmpeg".to_owned())
            .describe("the program for videos that are not decoded by OmniMind itself; empty for none")
            .read_only()
            .declare()?
            .get();
        let width = s
            .param("width", 0_i64)
            .unit("px")
            .range(0.0, 16384.0)
            .describe("frame width; 0 takes what comes (640 for v4l2 and opencv)")
            .read_only()
            .declare()?
            .get();
        let height = s
            .param("height", 0_i64)
            .unit("px")
            .range(0.0, 16384.0)
            .describe("frame height; 0 takes what comes (480 for v4l2 and opencv)")
            .read_only()
            .declare()?
            .get();
        let rate = s
            .param("rate_hz", 5.0)
            .unit("Hz")
            .range(0.1, 60.0)
            .describe("frames per second, for source folder and video")
            .read_only()
            .declare()?
            .get();
        let repeat = s
            .param("repeat", false)
            .describe("begin again after the last picture, for source folder and video")
            .read_only()
            .declare()?
            .get();
        let end_graph = s
            .param("end_graph", false)
            .describe("end the graph after the last picture, for source folder and video")
            .read_only()
            .declare()?
            .get();
        let frame_id = s
            .param("frame_id", "camera_optical_frame".to_owned())
            .describe("frame of the pictures, for all sources but topic")
            .read_only()
            .declare()?
            .get();
        let fov = s
            .param("horizontal_fov", 1.10)
            .unit("rad")
            .range(0.05, 3.0)
            .describe("field of view for camera_info without camera_info_file, for all sources but topic")
            .read_only()
            .declare()?
            .get();
        let camera_info_file = s
            .param("camera_info_file", String::new())
            .describe("calibration as camera_calibration writes it (YAML), for all sources but topic; empty: an ideal lens")
            .read_only()
            .declare()?
            .get();
        let rectify = s
            .param("rectify", false)
            .describe("publish camera/image_rect: camera/image_raw without the lens' distortion, by camera_info")
            .read_only()
            .declare()?
            .get();
        let stale_after = s
            .param("stale_after_s", 1.0)
            .unit("s")
            .range(0.05, 60.0)
            .describe("without a frame for so long, the camera is reported as stale")
            .declare()?;
        let color = s.publisher("camera/image_raw", Qos::sensor_data())?;
        let depth = s.publisher("camera/depth/image_raw", Qos::sensor_data())?;
        let info = s.publisher("camera/camera_info", Qos::sensor_data())?;
        let straight = match rectify {
            true => Some((Straightener::default(), s.publisher("camera/image_rect", Qos::sensor_data())?)),
            false => None,
        };
        match source.as_str() {
            "topic" => {
                s.subscribe("device/camera/image", Qos::sensor_data(), Self::on_color)?;
                s.subscribe("device/camera/depth", Qos::sensor_data(), Self::on_depth)?;
                s.subscribe("device/camera/camera_info", Qos::sensor_data(), Self::on_info)?;
            }
            "folder" => s.timer(Duration::from_secs_f64(1.0 / rate), Self::next_picture)?,
            "video" => s.timer(Duration::from_secs_f64(1.0 / rate), Self::next_frame)?,
            _ => {}
        }
        s.timer(Duration::from_millis(500), Self::watch)?;
        let side = |v: i64| u32::try_from(v).unwrap_or(0);
        Ok(Self {
            source,
            path: path.into(),
            ffmpeg: ffmpeg.into(),
            size: (side(width), side(height)),
            repeat,
            end_graph,
            frame_id,
            fov,
            camera_info_file: camera_info_file.into(),
            calibration: None,
            stale_after,
            #[cfg(any(feature = "v4l2", feature = "opencv"))]
            injector: s.injector(),
            driver: Driver::None,
            color,
            depth,
            info,
            straight,
            color_stream: Stream::default(),
            depth_stream: Stream::default(),
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        if !self.camera_info_file.as_os_str().is_empty() {
            match calibration::read(&self.camera_info_file) {
                Ok(info) => self.calibration = Some(info),
                Err(error) => ctx.status(Level::Error, "camera_info", error.to_string()),
            }
        }
        match self.open() {
            Ok(driver) => {
                self.driver = driver;
                let told = match &self.driver {
                    Driver::Video { clip, .. } => format!(": {}", clip.told()),
                    _ => String::new(),
                };
                ctx.status(Level::Ok, "source", format!("frames come from {} {}{told}", self.source, self.path.display()));
            }
            Err(error) => ctx.status(Level::Error, "source", error),
        }
        Ok(())
    }

    fn stop(&mut self, _ctx: &mut Context) -> HandlerResult {
        self.driver = Driver::None;
        Ok(())
    }
}

impl Camera {
    fn open(&self) -> Result<Driver, String> {
        match self.source.as_str() {
            "topic" => Ok(Driver::Topic),
            "folder" => Folder::open(&self.path, self.repeat).map(Driver::Folder).map_err(|e| e.to_string()),
            "video" => self.open_video(),
            "opencv" => self.open_opencv(),
            _ => self.open_v4l2(),
        }
    }

    /// The configured size, or 640 x 480 where the driver has to be told one.
    #[cfg(any(feature = "v4l2", feature = "opencv"))]
    fn driver_size(&self) -> (u32, u32) {
        let or = |v: u32, default: u32| if v == 0 { default } else { v };
        (or(self.size.0, 640), or(self.size.1, 480))
    }

    fn open_video(&self) -> Result<Driver, String> {
        let clip = Clip::open(&self.path, &self.ffmpeg).map_err(|e| format!("{}: {e}", self.path.display()))?;
        Ok(Driver::Video { clip: Box::new(clip), begin: None })
    }

    /// What a driver's thread does with a frame.
    #[cfg(any(feature = "v4l2", feature = "opencv"))]
    fn deliverer(&self) -> impl FnMut(Result<(u32, u32, Vec<u8>), String>) -> bool + Send + 'static {
        let injector = self.injector.clone();
        move |frame| {
            injector.send(move |node: &mut Self, ctx| {
                match frame {
                    Ok((width, height, pixels)) => node.publish_pixels(ctx, width, height, pixels),
                    Err(error) => {
                        node.driver = Driver::None;
                        ctx.status(Level::Error, "source", format!("the device stopped: {error}"));
                    }
                }
                Ok(())
            })
        }
    }

    #[cfg(feature = "opencv")]
    fn open_opencv(&self) -> Result<Driver, String> {
        crate::opencv::start(&self.path, self.driver_size(), self.deliverer())
            .map(|capture| Driver::OpenCv { _capture: capture })
            .map_err(|e| e.to_string())
    }

    #[cfg(not(feature = "opencv"))]
    fn open_opencv(&self) -> Result<Driver, String> {
        Err("OpenCV's cameras cannot be opened: this program was built without the feature `opencv`".to_owned())
    }

    #[cfg(feature = "v4l2")]
    fn open_v4l2(&self) -> Result<Driver, String> {
        let path = if self.path.as_os_str().is_empty() { Path::new("/dev/video0") } else { &self.path };
        crate::v4l2::start(path, self.driver_size(), self.deliverer())
            .map(|capture| Driver::V4l2 { _capture: capture })
            .map_err(|e| e.to_string())
    }

    #[cfg(not(feature = "v4l2"))]
    fn open_v4l2(&self) -> Result<Driver, String> {
        let path = if self.path.as_os_str().is_empty() { Path::new("/dev/video0") } else { &self.path };
        Err(format!("{} cannot be opened: this program was built without the feature `v4l2`", path.display()))
    }

    fn on_color(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if accept(
            &mut self.color_stream,
            ctx,
            "image",
            check_image(&image, Kind::Color, self.size).map_err(|e| e.to_string()),
            &image.header.stamp,
        ) {
            self.publish_straight(ctx, &image);
            self.color.publish(ctx, image);
        }
        Ok(())
    }

    fn publish_straight(&mut self, ctx: &mut Context, image: &Image) {
        let Some((straightener, publisher)) = &mut self.straight else { return };
        match straightener.straighten(image) {
            Ok(Some(straight)) => publisher.publish(ctx, straight),
            Ok(None) => {}
            Err(why) => ctx.status(Level::Error, "image_rect", why),
        }
    }

    /// Makes the map for pictures that come after this calibration.
    fn calibrate(&mut self, ctx: &mut Context, info: &CameraInfo) {
        let Some((straightener, _)) = &mut self.straight else { return };
        match straightener.calibrate(info) {
            Ok(()) => ctx.status(Level::Ok, "image_rect", "pictures are straightened"),
            Err(why) => ctx.status(Level::Error, "image_rect", why),
        }
    }

    fn on_depth(&mut self, ctx: &mut Context, image: Arc<Image>) -> HandlerResult {
        if accept(
            &mut self.depth_stream,
            ctx,
            "depth",
            check_image(&image, Kind::Depth, self.size).map_err(|e| e.to_string()),
            &image.header.stamp,
        ) {
            self.depth.publish(ctx, image);
        }
        Ok(())
    }

    fn on_info(&mut self, ctx: &mut Context, info: Arc<CameraInfo>) -> HandlerResult {
        match check_info(&info) {
            Ok(()) => {
                ctx.status(Level::Ok, "camera_info", "calibration is usable");
                self.calibrate(ctx, &info);
                self.info.publish(ctx, info);
            }
            Err(fault) => ctx.status(Level::Error, "camera_info", fault.to_string()),
        }
        Ok(())
    }

    fn next_picture(&mut self, ctx: &mut Context) -> HandlerResult {
        let Driver::Folder(folder) = &mut self.driver else { return Ok(()) };
        match folder.next_picture() {
            Some((_, Ok(picture))) => {
                let (width, height) = picture.dimensions();
                self.publish_pixels(ctx, width, height, picture.into_raw());
            }
            Some((file, Err(error))) => {
                self.color_stream.rejected += 1;
                ctx.status(Level::Warn, "image", format!("{} passed over: {error}", file.display()));
            }
            None => {
                self.driver = Driver::None;
                let told = format!("all {} pictures are shown", self.color_stream.accepted);
                ctx.status(Level::Warn, "source", &told);
                if self.end_graph {
                    ctx.shutdown(told);
                }
            }
        }
        Ok(())
    }

    /// Plays the clip by the graph's clock.
    fn next_frame(&mut self, ctx: &mut Context) -> HandlerResult {
        let Driver::Video { clip, begin } = &mut self.driver else { return Ok(()) };
        let begun = *begin.get_or_insert(ctx.now());
        match clip.at(ctx.now().seconds_since(begun)) {
            Shown::Frame(picture, time_s) => {
                let picture = scaled(picture, self.size);
                let (width, height) = picture.dimensions();
                let stamp = begun + Duration::from_secs_f64(time_s.max(0.0));
                self.publish_stamped(ctx, stamp, width, height, picture.into_raw());
            }
            Shown::Same => {}
            Shown::Damaged(why) => {
                self.color_stream.rejected += 1;
                ctx.status(Level::Warn, "image", format!("passed over: {why}"));
            }
            Shown::Over(None) if self.repeat && self.color_stream.accepted > 0 => match self.open_video() {
                Ok(again) => self.driver = again,
                Err(error) => {
                    self.driver = Driver::None;
                    ctx.status(Level::Error, "source", error);
                }
            },
            Shown::Over(why) => {
                self.driver = Driver::None;
                let (level, told) = match why {
                    Some(why) => (Level::Error, format!("{}: {why}", self.path.display())),
                    None => (Level::Warn, format!("the video is over, {} frames are shown", self.color_stream.accepted)),
                };
                ctx.status(level, "source", &told);
                if self.end_graph {
                    ctx.shutdown(told);
                }
            }
        }
        Ok(())
    }

    /// Publishes a frame of a driver of this node, with the calibration of an ideal camera.
    fn publish_pixels(&mut self, ctx: &mut Context, width: u32, height: u32, pixels: impl Into<Bytes>) {
        let now = ctx.now();
        self.publish_stamped(ctx, now, width, height, pixels);
    }

    fn publish_stamped(&mut self, ctx: &mut Context, stamp: Time, width: u32, height: u32, pixels: impl Into<Bytes>) {
        let Some(mut image) = rgb_message(width, height, pixels) else {
            self.color_stream.rejected += 1;
            ctx.status(Level::Error, "image", format!("the driver's frame is not {width} x {height}"));
            return;
        };
        image.header.stamp = stamp.to_msg();
        image.header.frame_id.clone_from(&self.frame_id);
        let stamp = image.header.stamp.clone();
        if accept(
            &mut self.color_stream,
            ctx,
            "image",
            check_image(&image, Kind::Color, (0, 0)).map_err(|e| e.to_string()),
            &stamp,
        ) {
            let mut info = self.own_info(ctx, width, height);
            info.header.clone_from(&image.header);
            self.publish_straight(ctx, &image);
            self.color.publish(ctx, image);
            self.info.publish(ctx, info);
        }
    }

    /// The calibration of a picture that comes from this node's own driver: that of the file, if it is for such pictures, else an ideal lens.
    fn own_info(&mut self, ctx: &mut Context, width: u32, height: u32) -> CameraInfo {
        let file = self.camera_info_file.display();
        let ideal = match &self.calibration {
            Some(info) if (info.width, info.height) == (width, height) => {
                let info = info.clone();
                ctx.status(Level::Ok, "camera_info", format!("calibration of {file}"));
                self.calibrate(ctx, &info);
                return info;
            }
            Some(info) => {
                let of = format!("{} x {} pixels, pictures have {width} x {height}", info.width, info.height);
                let text = format!("the calibration {file} is for {of}: an ideal lens is told instead");
                ctx.status(Level::Error, "camera_info", text);
                format!("the calibration is for {of}")
            }
            None if self.camera_info_file.as_os_str().is_empty() => "camera_info_file is not set".to_owned(),
            None => format!("{file} was not read"),
        };
        let info = pinhole_info(width, height, self.fov);
        self.calibrate(ctx, &info);
        if self.straight.is_some() {
            let text = format!("no calibration: {ideal}, so camera/image_rect shows what camera/image_raw does");
            ctx.status(Level::Warn, "image_rect", text);
        }
        info
    }

    fn watch(&mut self, ctx: &mut Context) -> HandlerResult {
        let silent_s = self.color_stream.last.map(|t| ctx.now().seconds_since(t));
        match silent_s {
            Some(s) if s <= self.stale_after.get() => {
                let text = format!(
                    "{} frames, {} refused; {} depth frames, {} refused",
                    self.color_stream.accepted,
                    self.color_stream.rejected,
                    self.depth_stream.accepted,
                    self.depth_stream.rejected
                );
                ctx.status(Level::Ok, "frames", text);
            }
            Some(s) => ctx.status(Level::Stale, "frames", format!("no frame for {s:.1} s")),
            None => ctx.status(Level::Stale, "frames", "no frame yet"),
        }
        // A device may be plugged in later.
        if self.source == "v4l2" && matches!(self.driver, Driver::None) && cfg!(feature = "v4l2") {
            if let Ok(driver) = self.open() {
                self.driver = driver;
                ctx.status(Level::Ok, "source", "the device is there");
            }
        }
        Ok(())
    }
}

/// Counts a frame and says whether to pass it on: sound, and not older than the one before.
fn accept(stream: &mut Stream, ctx: &mut Context, what: &str, check: Result<(), String>, stamp: &Stamp) -> bool {
    let stamp = Time::from_msg(stamp);
    let verdict = check.and_then(|()| match stream.last_stamp {
        Some(before) if stamp.seconds_since(before) < 0.0 => {
            Err(format!("its time is {:.3} s before the last frame's", before.seconds_since(stamp)))
        }
        _ => Ok(()),
    });
    match verdict {
        Ok(()) => {
            (stream.last, stream.last_stamp) = (Some(ctx.now()), Some(stamp));
            stream.accepted += 1;
            ctx.status(Level::Ok, what, "frames are sound");
            true
        }
        Err(why) => {
            stream.rejected += 1;
            // After a restart of the source its clock begins again: the next frame is then taken.
            stream.last_stamp = None;
            ctx.status(Level::Error, what, format!("frame refused ({} so far): {why}", stream.rejected));
            false
        }
    }
}
