//! A video frame by frame: for each frame the analysis, with objects that are followed, and the motion since the frame before.

use image::RgbImage;

use crate::analyse::{Analyser, Analysis, Origin, VisionError};
use crate::detect::DetectorSettings;
use crate::features::features_of_look;
use crate::frame::frame_id;
use crate::gray::GrayF;
use crate::motion::{Motion, MotionFrame};
use crate::track::{BYTETRACK, Tracker, TrackerSettings};

/// So many detections, weak ones among them, are shown to the tracker.
const TRACKED_OBJECTS: usize = 100;

/// What a frame shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// What is in it; its hash is in it, too.
    pub analysis: Analysis,
    /// Since the frame before; `None` for the first.
    pub motion: Option<Motion>,
}

/// Looks at one frame after the other.
#[derive(Debug)]
pub struct Watcher {
    settings: DetectorSettings,
    following: TrackerSettings,
    tracker: Tracker,
    before: Option<MotionFrame>,
}

impl Watcher {
    /// With what is kept of the detector's output.
    #[must_use]
    pub fn new(settings: DetectorSettings) -> Self {
        let following = TrackerSettings { high_score: settings.confidence_threshold, ..TrackerSettings::default() };
        Self { settings, following, tracker: Tracker::new(), before: None }
    }

    /// Looks at the frame that is shown `time_s` after the video's beginning.
    ///
    /// # Errors
    /// [`VisionError`].
    pub fn look(&mut self, analyser: &mut Analyser, image: &RgbImage, time_s: f64) -> Result<Watched, VisionError> {
        analyser.set_settings(self.settings);
        // The tracker is shown weak detections, too; they are not given back.
        let shown = DetectorSettings {
            confidence_threshold: self.following.low_score.min(self.settings.confidence_threshold),
            max_objects: self.settings.max_objects.max(TRACKED_OBJECTS),
            ..self.settings
        };
        let mut detections = analyser.detect_with(image, &shown)?;
        if let Some(found) = &mut detections {
            let stamp_ns = (time_s * 1e9).round() as i64;
            self.tracker.follow(&self.following, stamp_ns, image.width(), image.height(), &mut found.objects);
            found.objects.retain(|o| o.confidence >= self.settings.confidence_threshold);
            found.objects.truncate(self.settings.max_objects);
            found.origin = std::mem::take(&mut found.origin).and(&Origin::algorithm(BYTETRACK));
        }
        let opinion = analyser.classify(image)?;
        let look = GrayF::look(image);
        let numbers = features_of_look(image, &look);
        let analysis = analyser.compose(image, &look, frame_id(image), detections.as_ref(), opinion.as_ref(), &numbers);
        let now = MotionFrame::new(&look);
        let motion = self.before.as_ref().and_then(|before| now.motion_since(before));
        self.before = Some(now);
        Ok(Watched { analysis, motion })
    }

    /// Objects that were followed so far.
    #[must_use]
    pub fn tracks(&self) -> u64 {
        u64::from(self.tracker.issued())
    }
}
