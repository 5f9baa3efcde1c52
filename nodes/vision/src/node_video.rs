//! The vision node's action `vision/process_video`: a video file, a frame a turn, so that the camera's pictures are looked at meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use graph::{Context, GoalHandle, GoalId, HandlerResult, Param, Setup, SetupError};
use msgs::omnimind_msgs::action::{ProcessVideo, ProcessVideoFeedback, ProcessVideoResult};
use msgs::sensor_msgs::msg::Image;
use video::{Options, Video};

use crate::node::{Vision, scene_msg, tell_scene};
use crate::watch::Watcher;

/// Between two frames other handlers have their turn.
const TURN: Duration = Duration::from_millis(20);

/// The video that is looked at, if one is.
pub(crate) struct Watching {
    ffmpeg: Param<String>,
    job: Option<Job>,
}

struct Job {
    handle: GoalHandle<ProcessVideo>,
    clip: Video,
    watcher: Watcher,
    told: ProcessVideoResult,
}

impl Watching {
    /// Declares parameter, action and timer.
    pub(crate) fn declare(s: &mut Setup<Vision>) -> Result<Self, SetupError> {
        let ffmpeg = s
            .param("ffmpeg", "ffmpeg".to_owned())
            .describe("the program for videos that are not decoded by OmniMind itself; empty for none")
            .declare()?;
        s.action_server::<ProcessVideo>("vision/process_video", Vision::on_video, Vision::on_video_cancel)?;
        s.timer(TURN, Vision::watch_on)?;
        Ok(Self { ffmpeg, job: None })
    }
}

impl Vision {
    fn on_video(&mut self, ctx: &mut Context, handle: GoalHandle<ProcessVideo>) -> HandlerResult {
        if self.watching.job.is_some() {
            ctx.warn(format!("a video is being looked at already: {} is left out", handle.goal().path));
            handle.reject(ctx);
            return Ok(());
        }
        let goal = handle.goal();
        let ffmpeg = self.watching.ffmpeg.get();
        let ffmpeg = (!ffmpeg.is_empty()).then(|| PathBuf::from(ffmpeg));
        let options = Options { every: u64::from(goal.every_n.max(1)), ffmpeg, ..Options::default() };
        match Video::open(Path::new(&goal.path), &options) {
            Ok(clip) => {
                let told = ProcessVideoResult { message: clip.info().to_string(), ..ProcessVideoResult::default() };
                self.watching.job = Some(Job { clip, watcher: Watcher::new(self.settings()), told, handle });
            }
            Err(error) => {
                let message = format!("{}: {error}", goal.path);
                handle.abort(ctx, ProcessVideoResult { message, ..ProcessVideoResult::default() });
            }
        }
        Ok(())
    }

    fn on_video_cancel(&mut self, ctx: &mut Context, id: GoalId) -> HandlerResult {
        if let Some(mut job) = self.watching.job.take_if(|job| job.handle.id() == id) {
            job.told.message = "called off".to_owned();
            job.handle.canceled(ctx, job.told);
        }
        Ok(())
    }

    /// The next frame.
    fn watch_on(&mut self, ctx: &mut Context) -> HandlerResult {
        let report_time = self.report_time.get();
        let (Some(job), Some(analyser)) = (&mut self.watching.job, &mut self.analyser) else { return Ok(()) };
        let most = u64::from(job.handle.goal().max_frames);
        let next = if most > 0 && job.told.frames >= most { None } else { job.clip.next() };
        let end = match next {
            Some(Ok(frame)) => match job.watcher.look(analyser, &frame.picture, frame.time_s) {
                Ok(seen) => {
                    tell_scene(ctx, analyser);
                    (job.told.frames, job.told.until_s) = (job.told.frames + 1, frame.time_s);
                    job.told.tracks = job.watcher.tracks();
                    let analysis = scene_msg(&Image::default(), &seen.analysis, seen.motion.map(|m| m.score), report_time);
                    job.handle.feedback(ctx, ProcessVideoFeedback { frame: frame.number, time_s: frame.time_s, analysis });
                    return Ok(());
                }
                Err(error) => Some(error.to_string()),
            },
            Some(Err(error)) if error.is_one_frame() => {
                job.told.damaged += 1;
                ctx.warn(error.to_string());
                return Ok(());
            }
            Some(Err(error)) => Some(error.to_string()),
            None => None,
        };
        let Some(mut job) = self.watching.job.take() else { return Ok(()) };
        match end {
            None => {
                job.told.success = true;
                job.handle.succeed(ctx, job.told);
            }
            Some(why) => {
                job.told.message = why;
                job.handle.abort(ctx, job.told);
            }
        }
        Ok(())
    }
}
