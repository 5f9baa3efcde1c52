//! The `audio` node: microphone in; features, transcripts, speakers, moods and the robot's own voice out.

mod hear;
mod speak;
mod spectrograph;

use crate::array::ArrayFinder;
use crate::ear::{BlockFeatures, Ear, EarSettings};
use crate::features::SAMPLE_RATE;
use crate::segmenter::SegmenterSettings;
use crate::silero::Silero;
use crate::vad::{Vad, VadSettings};
use graph::{Context, HandlerResult, Level, Node, NodeError, Publisher, Qos, Setup, SetupError, Time};
use hear::Hearing;
use msgs::omnimind_msgs::msg::{AudioChunk, AudioFeatures, Provenance};
use msgs::std_msgs::msg::Header;
use msgs::std_srvs::srv::{Trigger, TriggerRequest, TriggerResponse};
use speak::Speaking;
use spectrograph::Spectrograph;
use std::sync::Arc;

/// Hearing and speaking. See the crate's README for topics and parameters.
pub struct Audio {
    hearing: Hearing,
    /// Set where Silero's network is to tell voice.
    silero_vad: Option<VadSettings>,
    /// Failures of that network that were told already.
    vad_failures: u64,
    features: Publisher<AudioFeatures>,
    ear: Ear,
    speaking: Speaking,
    spectrograph: Spectrograph,
    frame_id: String,
}

impl Node for Audio {
    const NAME: &'static str = "audio";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let ear_settings = ear_settings(s)?;
        let mut ear = Ear::new(ear_settings);
        if let Some(array) = microphone_array(s)? {
            ear = ear.with_array(array);
        }
        let silero = s
            .param("vad_engine", "earshot".to_owned())
            .one_of(&["earshot", "silero"])
            .describe("network that tells voice: earshot (built in) or silero (model silero_vad)")
            .read_only()
            .declare()?
            .get()
            == "silero";
        let hearing = hear::declare(s)?;
        let features = s.publisher::<AudioFeatures>("audio/features", Qos::sensor_data())?;
        // Deep: while an utterance is being transcribed, the sound that goes on must not be lost.
        s.subscribe("microphone/audio", Qos::reliable(500), Self::on_audio)?;
        s.service::<Trigger>("audio/clear_cache", Self::on_clear_cache)?;
        let speaking = speak::declare(s, hearing.report_time(), &ear_settings)?;
        let spectrograph = Spectrograph::declare(s)?;
        Ok(Self {
            hearing,
            silero_vad: silero.then_some(ear_settings.vad),
            vad_failures: 0,
            features,
            ear,
            speaking,
            spectrograph,
            frame_id: String::new(),
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        if let Some(settings) = self.silero_vad {
            let opened =
                models::Broker::shared().map_err(|e| e.to_string()).and_then(|b| Silero::open(&b).map_err(|e| e.to_string()));
            if let Some(silero) = hear::or_degraded(ctx, "voice activity", "earshot is used instead of silero", opened) {
                self.ear.set_vad(Vad::with_silero(settings, silero));
            }
        }
        self.hearing.start(ctx);
        self.speaking.start(ctx);
        Ok(())
    }
}

fn ear_settings(s: &mut Setup<Audio>) -> Result<EarSettings, SetupError> {
    let vad = VadSettings::default();
    let cut = SegmenterSettings::default();
    let threshold = s
        .param("vad_threshold", f64::from(vad.start_threshold))
        .range(0.05, 0.95)
        .describe("probability of voice from which speech begins")
        .read_only()
        .declare()?
        .get() as f32;
    let mut seconds = |name: &str, default: f64, low: f64, high: f64, what: &str| -> Result<f64, SetupError> {
        Ok(s.param(name, default).unit("s").range(low, high).describe(what).read_only().declare()?.get())
    };
    let mut segmenter = SegmenterSettings {
        min_modulation_db: cut.min_modulation_db,
        pre_roll_s: seconds("pre_roll_s", cut.pre_roll_s, 0.0, 1.0, "sound kept from before the first speech")?,
        end_silence_s: seconds("end_silence_s", cut.end_silence_s, 0.2, 3.0, "silence that ends an utterance")?,
        min_speech_s: seconds("min_speech_s", cut.min_speech_s, 0.05, 2.0, "utterances with less speech are dropped")?,
        max_length_s: seconds("max_utterance_s", cut.max_length_s, 2.0, 29.0, "an utterance is cut at this length")?,
    };
    segmenter.min_modulation_db = s
        .param("min_modulation_db", f64::from(cut.min_modulation_db))
        .unit("dB")
        .range(0.0, 20.0)
        .describe("utterances whose level varies less are taken for noise and dropped")
        .read_only()
        .declare()?
        .get() as f32;
    let mic_spacing_m = s
        .param("mic_spacing_m", 0.10)
        .unit("m")
        .range(0.01, 1.0)
        .describe("distance of the two microphones")
        .read_only()
        .declare()?
        .get();
    let vad = VadSettings { start_threshold: threshold, stop_threshold: threshold * 0.7, ..vad };
    let noise_suppression = s
        .param("noise_suppression", false)
        .describe("clean utterances by RNNoise before they are transcribed; off, because the recogniser does better without")
        .read_only()
        .declare()?
        .get();
    Ok(EarSettings { vad, segmenter, mic_spacing_m, noise_suppression })
}

/// The array of more than two microphones, if its places are given.
fn microphone_array(s: &mut Setup<Audio>) -> Result<Option<ArrayFinder>, SetupError> {
    let places = s
        .param("mic_positions", Vec::<f64>::new())
        .unit("m")
        .describe("places of three or more microphones in the order of the channels: x ahead and y left of each; empty: two, mic_spacing_m apart")
        .read_only()
        .declare()?
        .get();
    if places.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<[f64; 2]> = places.as_chunks().0.to_vec();
    if places.len() % 2 != 0 || pairs.len() < 3 || places.iter().any(|v| v.abs() > 10.0) {
        let what = "mic_positions must hold x and y, at most 10 m, of at least three microphones";
        return Err(s.failed(what));
    }
    ArrayFinder::new(&pairs).map(Some).map_err(|e| s.failed(format!("mic_positions: {e}")))
}

impl Audio {
    fn on_audio(&mut self, ctx: &mut Context, chunk: Arc<AudioChunk>) -> HandlerResult {
        self.frame_id.clone_from(&chunk.header.frame_id);
        for message in self.spectrograph.push(&chunk)? {
            self.spectrograph.publisher.publish(ctx, message);
        }
        for (chunk, own_voice) in self.gate(ctx, chunk)? {
            self.hear(ctx, &chunk, own_voice)?;
        }
        Ok(())
    }

    fn hear(&mut self, ctx: &mut Context, chunk: &AudioChunk, muted: bool) -> HandlerResult {
        let stamp = Time::from_msg(&chunk.header.stamp);
        let heard = self.ear.push(stamp.as_nanos(), chunk.sample_rate, chunk.channels, &chunk.samples, muted)?;
        match heard.gap_s {
            Some(gap) => {
                let what = format!("{gap:+.3} s between two chunks of sound, or another format: the stream began anew");
                ctx.status(Level::Warn, "microphone stream", what);
            }
            None => ctx.status(Level::Ok, "microphone stream", "continuous"),
        }
        if let Some(wanted) = self.ear.microphones() {
            let fits = wanted == usize::from(chunk.channels);
            let what = format!("{} channels come from the {wanted} microphones of mic_positions", chunk.channels);
            let what = if fits { what } else { format!("{what}: bearings are those of the first two") };
            ctx.status(if fits { Level::Ok } else { Level::Warn }, "microphone array", what);
        }
        let vad = self.ear.vad().map_or("", Vad::name);
        if self.silero_vad.is_some() {
            self.tell_of_failures(ctx);
        }
        for block in &heard.blocks {
            self.features.publish(ctx, features_message(block, self.header(block.stamp_ns), vad));
        }
        for utterance in &heard.utterances {
            let header = self.header(utterance.stamp_ns);
            self.hearing.understand(ctx, utterance, header)?;
        }
        self.follow(ctx)
    }

    fn on_clear_cache(&mut self, _: &mut Context, _: TriggerRequest) -> Result<TriggerResponse, NodeError> {
        let (texts, sounds) = (self.hearing.transcripts.clear(), self.speaking.sounds.clear());
        Ok(TriggerResponse { success: true, message: format!("{texts} transcripts and {sounds} spoken texts were forgotten") })
    }

    /// Says on the diagnostics if Silero's network fails while it runs.
    fn tell_of_failures(&mut self, ctx: &mut Context) {
        let Some(failures) = self.ear.vad().map(Vad::failures).filter(|n| *n > self.vad_failures) else { return };
        self.vad_failures = failures;
        let judge = self.ear.vad().map_or("", Vad::name);
        ctx.status(Level::Warn, "voice activity", format!("Silero's network failed {failures} times; {judge} judges now"));
    }

    fn header(&self, stamp_ns: i64) -> Header {
        Header { stamp: Time::from_nanos(stamp_ns).to_msg(), frame_id: self.frame_id.clone() }
    }
}

fn model_provenance(model: &str, version: &str, inference_ms: f32, device: &str) -> Provenance {
    Provenance {
        model: model.to_owned(),
        version: version.to_owned(),
        device: device.to_owned(),
        inference_ms,
        simulated: false,
        degraded: false,
    }
}

fn algorithm_provenance(name: &str, version: &str, degraded: bool) -> Provenance {
    Provenance { degraded, ..model_provenance(name, version, 0.0, "cpu") }
}

fn features_message(block: &BlockFeatures, header: Header, vad: &str) -> AudioFeatures {
    AudioFeatures {
        header,
        duration: crate::ear::BLOCK as f32 / SAMPLE_RATE as f32,
        sample_rate: SAMPLE_RATE,
        rms: block.rms,
        dbfs: block.dbfs,
        voiced: block.voiced,
        pitch: block.pitch_hz,
        spectral_centroid: block.centroid_hz,
        zero_crossing_rate: block.zero_crossing_rate,
        mfcc: block.mfcc,
        speech_probability: block.speech_probability,
        direction: block.bearing_rad.map_or(f32::NAN, |b| b as f32),
        provenance: algorithm_provenance(&format!("dsp+{vad}"), "1", false),
    }
}
