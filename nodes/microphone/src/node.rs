//! The `microphone` node.

use crate::condition::{Conditioner, Report, check_format};
use crate::playback::Playback;
use graph::{Context, HandlerResult, Level, Node, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::omnimind_msgs::msg::AudioChunk;
use msgs::std_msgs::msg::Header;
use std::sync::Arc;
use std::time::Duration;

/// Length of one published chunk from a file.
const CHUNK: Duration = Duration::from_millis(20);
/// Silence after the end of a file: 1.5 s.
const QUIET_CHUNKS: u32 = 75;
/// Share of clipped samples in a chunk that is worth a warning.
const MUCH_CLIPPING: f32 = 0.01;

/// Driver of the microphone array.
pub struct Microphone {
    out: Publisher<AudioChunk>,
    gain_db: Param<f64>,
    timeout_s: Param<f64>,
    frame_id: String,
    source: Source,
    conditioner: Option<Conditioner>,
    last_chunk: Option<Time>,
    /// Silence still to be played after the end of a file.
    quiet_chunks: u32,
    #[cfg(feature = "alsa")]
    injector: graph::Injector<Self>,
    #[cfg(feature = "alsa")]
    card: Option<crate::card::Card>,
    #[cfg(feature = "alsa")]
    retry: crate::retry::Retry,
    #[cfg(feature = "alsa")]
    stamps: crate::stamps::Stamps,
    /// Buffers of the card that the node had no room for, since it was opened.
    #[cfg(feature = "alsa")]
    dropped: u64,
}

enum Source {
    Topic,
    Wav(String, bool, Option<Playback>),
    /// The input's name, empty for the default one.
    #[cfg_attr(not(feature = "alsa"), allow(dead_code, reason = "there are no cards to choose from"))]
    Card(String),
}

impl Node for Microphone {
    const NAME: &'static str = "microphone";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let gain_db =
            s.param("gain_db", 0.0).unit("dB").range(-40.0, 40.0).describe("amplification of the raw sound").declare()?;
        let timeout_s = s
            .param("timeout_s", 1.0)
            .unit("s")
            .range(0.1, 60.0)
            .describe("silence of the source after which the microphone counts as lost")
            .declare()?;
        let frame_id = s
            .param("frame_id", "microphone".to_owned())
            .describe("frame of the array, used where the source names none")
            .read_only()
            .declare()?
            .get();
        let source = s
            .param("source", "topic".to_owned())
            .one_of(&["topic", "wav", "alsa"])
            .describe("topic: device/microphone; wav: the sound file in path; alsa: a sound card")
            .read_only()
            .declare()?
            .get();
        let path = s
            .param("path", String::new())
            .describe("WAV, MP3, Ogg Vorbis or FLAC file for source = wav")
            .read_only()
            .declare()?
            .get();
        let repeat = s.param("repeat", false).describe("play the file again and again").read_only().declare()?.get();
        let device = s
            .param("device", String::new())
            .describe("sound card for source = alsa: its name or a part of it, empty for the default input")
            .read_only()
            .declare()?
            .get();
        let out = s.publisher::<AudioChunk>("microphone/audio", Qos::reliable(500))?;
        let source = match source.as_str() {
            "wav" => {
                s.timer(CHUNK, Self::play_on)?;
                Source::Wav(path, repeat, None)
            }
            "alsa" => Source::Card(device),
            _ => {
                s.subscribe("device/microphone", Qos::sensor_data(), Self::on_raw)?;
                Source::Topic
            }
        };
        s.timer(Duration::from_millis(500), Self::watch)?;
        Ok(Self {
            out,
            gain_db,
            timeout_s,
            frame_id,
            source,
            conditioner: None,
            last_chunk: None,
            quiet_chunks: QUIET_CHUNKS,
            #[cfg(feature = "alsa")]
            injector: s.injector(),
            #[cfg(feature = "alsa")]
            card: None,
            #[cfg(feature = "alsa")]
            retry: crate::retry::Retry::default(),
            #[cfg(feature = "alsa")]
            stamps: crate::stamps::Stamps::default(),
            #[cfg(feature = "alsa")]
            dropped: 0,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        self.last_chunk = Some(ctx.now());
        match &mut self.source {
            Source::Topic => {}
            Source::Wav(path, repeat, playback) => match Playback::open(&*path, *repeat) {
                Ok(opened) => *playback = Some(opened),
                Err(e) => ctx.status(Level::Error, "source", e.to_string()),
            },
            Source::Card(_) => self.open_card(ctx),
        }
        Ok(())
    }
}

impl Microphone {
    #[cfg(not(feature = "alsa"))]
    fn open_card(&mut self, ctx: &mut Context) {
        let what = "this program was built without sound cards (cargo feature alsa): the microphone stays silent";
        ctx.status(Level::Error, "source", what);
    }

    #[cfg(feature = "alsa")]
    fn open_card(&mut self, ctx: &mut Context) {
        let Source::Card(name) = &self.source else { return };
        match crate::card::Card::open(self.injector.clone(), name) {
            Ok(card) => {
                ctx.status(Level::Ok, "source", card.description());
                self.last_chunk = Some(ctx.now());
                self.card = Some(card);
                (self.stamps, self.dropped) = (crate::stamps::Stamps::default(), 0);
            }
            Err(e) => self.card_failed(ctx, &e.to_string()),
        }
    }

    /// Closes the card, says why, and tries again later.
    #[cfg(feature = "alsa")]
    fn card_failed(&mut self, ctx: &mut Context, reason: &str) {
        self.card = None;
        let pause_s = self.retry.failed(ctx.now().as_secs_f64());
        ctx.status(Level::Error, "source", format!("{reason}; trying again in {pause_s} s"));
    }

    /// Looks after the card: what it lost, whether it still speaks, whether it is time to open it again.
    #[cfg(feature = "alsa")]
    fn watch_card(&mut self, ctx: &mut Context, silent_s: f64) {
        let now_s = ctx.now().as_secs_f64();
        if let Some(card) = &self.card {
            if silent_s > self.timeout_s.get() {
                self.card_failed(ctx, "the sound card gives no sound any more");
                return;
            }
            let (overruns, dropped) = (card.overruns(), self.dropped);
            if overruns + dropped > 0 {
                let what = format!("{overruns} overruns of the card, {dropped} buffers dropped because the node was late");
                ctx.status(Level::Warn, "losses", what);
            } else {
                ctx.status(Level::Ok, "losses", "none");
            }
        } else if self.retry.is_due(now_s) {
            self.open_card(ctx);
        }
    }

    fn on_raw(&mut self, ctx: &mut Context, chunk: Arc<AudioChunk>) -> HandlerResult {
        let mut header = chunk.header.clone();
        if header.frame_id.is_empty() {
            header.frame_id.clone_from(&self.frame_id);
        }
        self.pass(ctx, header, chunk.sample_rate, chunk.channels, chunk.samples.clone());
        Ok(())
    }

    fn play_on(&mut self, ctx: &mut Context) -> HandlerResult {
        let Source::Wav(_, _, Some(playback)) = &mut self.source else { return Ok(()) };
        let format = playback.format();
        let played = playback.next(CHUNK.as_secs_f64()).or_else(|| {
            // A room is quiet after a voice: without it nobody would know that the last words are over.
            self.quiet_chunks = self.quiet_chunks.checked_sub(1)?;
            let samples = f64::from(format.sample_rate) * CHUNK.as_secs_f64();
            Some(vec![0.0; samples.round() as usize * usize::from(format.channels)])
        });
        let Some(samples) = played else {
            ctx.status(Level::Ok, "source", "the file is over");
            // Not a lost microphone.
            self.last_chunk = None;
            return Ok(());
        };
        let header = self.header(ctx.now());
        self.pass(ctx, header, format.sample_rate, format.channels, samples);
        Ok(())
    }

    /// A chunk from the sound card's thread.
    #[cfg(feature = "alsa")]
    pub(crate) fn from_card(&mut self, ctx: &mut Context, buffer: crate::card::Buffer) -> HandlerResult {
        // The card works: the next failure is a first one.
        self.retry.succeeded();
        let crate::card::Buffer { sequence, recorded, rate, channels, samples } = buffer;
        let age_ns = i64::try_from(recorded.elapsed().as_nanos()).unwrap_or(0);
        let frames = samples.len() / usize::from(channels.max(1));
        let stamped = self.stamps.next(sequence, ctx.now().as_nanos() - age_ns, frames, rate);
        self.dropped += stamped.lost;
        let header = self.header(Time::from_nanos(stamped.stamp_ns));
        self.pass(ctx, header, rate, channels, samples);
        Ok(())
    }

    /// The sound card's thread says that the card is gone.
    #[cfg(feature = "alsa")]
    pub(crate) fn card_lost(&mut self, ctx: &mut Context, reason: &str) -> HandlerResult {
        if self.card.is_some() {
            self.card_failed(ctx, reason);
        }
        Ok(())
    }

    fn header(&self, now: Time) -> Header {
        Header { stamp: now.to_msg(), frame_id: self.frame_id.clone() }
    }

    fn pass(&mut self, ctx: &mut Context, header: Header, sample_rate: u32, channels: u16, mut samples: Vec<f32>) {
        self.last_chunk = Some(ctx.now());
        let format = match check_format(sample_rate, channels, samples.len()) {
            Ok(format) => format,
            Err(e) => return ctx.status(Level::Error, "chunk", format!("dropped: {e}")),
        };
        let gain_db = self.gain_db.get();
        let conditioner = match &mut self.conditioner {
            Some(c) if c.format() == format => c,
            other => other.insert(Conditioner::new(format, gain_db)),
        };
        conditioner.set_gain_db(gain_db);
        match conditioner.process(&mut samples) {
            Ok(report) => {
                judge(ctx, &report);
                self.out.publish(ctx, AudioChunk { header, sample_rate, channels, samples });
            }
            Err(e) => ctx.status(Level::Error, "chunk", format!("dropped: {e}")),
        }
    }

    fn watch(&mut self, ctx: &mut Context) -> HandlerResult {
        let Some(last) = self.last_chunk else { return Ok(()) };
        let silent_s = ctx.now().seconds_since(last);
        #[cfg(feature = "alsa")]
        self.watch_card(ctx, silent_s);
        if silent_s > self.timeout_s.get() {
            ctx.status(Level::Stale, "stream", format!("no sound for {silent_s:.1} s"));
        } else {
            ctx.status(Level::Ok, "stream", "sound arrives");
        }
        Ok(())
    }
}

fn judge(ctx: &mut Context, report: &Report) {
    if report.not_finite > 0 {
        ctx.status(Level::Warn, "chunk", format!("{} samples were no numbers and were bridged", report.not_finite));
    } else if report.clipped_share > MUCH_CLIPPING {
        ctx.status(
            Level::Warn,
            "chunk",
            format!("{:.0} % of the samples are clipped by the source", report.clipped_share * 100.0),
        );
    } else if report.overdriven_share > MUCH_CLIPPING {
        ctx.status(
            Level::Warn,
            "chunk",
            format!("the gain drives {:.0} % of the samples beyond full scale", report.overdriven_share * 100.0),
        );
    } else {
        ctx.status(Level::Ok, "chunk", "clean");
    }
}
