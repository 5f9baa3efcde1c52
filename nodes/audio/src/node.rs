//! The `audio` node: microphone in; features, transcripts, speakers, moods and the robot's own voice out.

mod speak;
mod spectrograph;

use crate::ear::{BlockFeatures, Ear, EarSettings, HeardUtterance};
use crate::emotion;
use crate::features::SAMPLE_RATE;
use crate::resample::resample;
use crate::segmenter::SegmenterSettings;
use crate::speaker::{self, Embedding, SpeakerBook, SpeakerEncoder};
use crate::stt::{self, Moonshine, Transcription};
use crate::vad::VadSettings;
use crate::wav::to_mono;
use graph::{Context, HandlerResult, Level, Node, NodeError, Param, Publisher, Qos, Setup, SetupError, Time};
use msgs::omnimind_msgs::msg::{AudioChunk, AudioFeatures, Provenance, SpeakerMatch, SpeechEmotion, SpeechSegment, Transcript};
use msgs::omnimind_msgs::srv::{EnrollSpeaker, EnrollSpeakerRequest, EnrollSpeakerResponse};
use msgs::std_msgs::msg::Header;
use speak::Speaking;
use spectrograph::Spectrograph;
use std::sync::Arc;

/// Hearing and speaking. See the crate's README for topics and parameters.
pub struct Audio {
    settings: Settings,
    hearing: Hearing,
    features: Publisher<AudioFeatures>,
    transcript: Publisher<Transcript>,
    speaker: Publisher<SpeakerMatch>,
    emotion: Publisher<SpeechEmotion>,
    ear: Ear,
    recogniser: Option<Moonshine>,
    encoder: Option<SpeakerEncoder>,
    speaking: Speaking,
    spectrograph: Spectrograph,
    book: SpeakerBook,
    frame_id: String,
}

struct Settings {
    min_confidence: Param<f64>,
    speaker_threshold: Param<f64>,
    emotion_threshold: Param<f64>,
    transcribe: Param<bool>,
    identify: Param<bool>,
    report_time: Param<bool>,
}

/// How the recogniser searches.
struct Hearing {
    vocabulary: Vec<String>,
    boost: f64,
    beam_width: i64,
}

impl Node for Audio {
    const NAME: &'static str = "audio";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let ear = Ear::new(ear_settings(s)?);
        let settings = Settings {
            min_confidence: s
                .param("min_confidence", 0.35)
                .range(0.0, 1.0)
                .describe("transcripts less sure than this are logged, not published (exp of the mean token log-probability)")
                .declare()?,
            speaker_threshold: s
                .param("speaker_threshold", 0.75)
                .range(-1.0, 1.0)
                .describe("cosine from which an enrolled speaker is named")
                .declare()?,
            emotion_threshold: s
                .param("emotion_threshold", 0.55)
                .range(0.0, 1.0)
                .describe("share of the nearest prototype below which a mood is unknown")
                .declare()?,
            transcribe: s.param("transcribe", true).describe("turn utterances into text").declare()?,
            identify: s.param("identify_speakers", true).describe("compute speaker embeddings").declare()?,
            report_time: s
                .param("report_inference_time", true)
                .describe("fill in provenance.inference_ms; off where runs must agree byte for byte")
                .declare()?,
        };
        let hearing = Hearing {
            vocabulary: s
                .param("vocabulary", Vec::<String>::new())
                .describe("phrases to expect, in lower case: names of things, rooms, the robot's own")
                .read_only()
                .declare()?
                .get(),
            boost: s
                .param("vocabulary_boost", 6.0)
                .unit("nat")
                .range(0.0, 10.0)
                .describe("what each word of an expected phrase is worth in the search")
                .read_only()
                .declare()?
                .get(),
            beam_width: s
                .param("beam_width", 4_i64)
                .range(1, 8)
                .describe("hypotheses kept in the search; 1 is greedy and the fastest")
                .read_only()
                .declare()?
                .get(),
        };
        let features = s.publisher::<AudioFeatures>("audio/features", Qos::sensor_data())?;
        let transcript = s.publisher::<Transcript>("speech/transcript", Qos::reliable(10))?;
        let speaker = s.publisher::<SpeakerMatch>("speech/speaker", Qos::reliable(10))?;
        let emotion = s.publisher::<SpeechEmotion>("speech/emotion", Qos::reliable(10))?;
        // Deep: while an utterance is being transcribed, the sound that goes on must not be lost.
        s.subscribe("microphone/audio", Qos::reliable(500), Self::on_audio)?;
        s.service::<EnrollSpeaker>("audio/enroll_speaker", Self::on_enroll)?;
        let speaking = speak::declare(s, &settings.report_time)?;
        let spectrograph = Spectrograph::declare(s)?;
        Ok(Self {
            settings,
            hearing,
            features,
            transcript,
            speaker,
            emotion,
            ear,
            recogniser: None,
            encoder: None,
            speaking,
            spectrograph,
            book: SpeakerBook::default(),
            frame_id: String::new(),
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        match models::Broker::shared() {
            Ok(broker) => {
                let search = &self.hearing;
                let stt = Moonshine::open(&broker)
                    .map(|m| m.with_beam(search.beam_width as usize).with_vocabulary(&search.vocabulary, search.boost))
                    .map_err(|e| e.to_string());
                self.recogniser = or_degraded(ctx, "speech recognition", "no transcripts", stt);
                let encoder = SpeakerEncoder::open(&broker).map_err(|e| e.to_string());
                self.encoder = or_degraded(ctx, "speaker recognition", "speakers are not told apart", encoder);
            }
            Err(e) => {
                let what = format!("no transcripts and no speaker recognition: {e}");
                ctx.status(Level::Warn, "speech recognition", what);
            }
        }
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
        max_length_s: seconds("max_utterance_s", cut.max_length_s, 2.0, 30.0, "an utterance is cut at this length")?,
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
    Ok(EarSettings { vad, segmenter, mic_spacing_m })
}

/// Keeps what was opened; otherwise says on the diagnostics what is missing because of it.
fn or_degraded<T>(ctx: &mut Context, what: &str, missing: &str, opened: Result<T, String>) -> Option<T> {
    match opened {
        Ok(value) => {
            ctx.status(Level::Ok, what, "ready");
            Some(value)
        }
        Err(reason) => {
            ctx.status(Level::Warn, what, format!("{missing}: {reason}"));
            None
        }
    }
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
        for block in &heard.blocks {
            self.features.publish(ctx, features_message(block, self.header(block.stamp_ns)));
        }
        for utterance in &heard.utterances {
            self.understand(ctx, utterance)?;
        }
        Ok(())
    }

    fn header(&self, stamp_ns: i64) -> Header {
        Header { stamp: Time::from_nanos(stamp_ns).to_msg(), frame_id: self.frame_id.clone() }
    }

    /// Everything that is told from a whole utterance. Runs networks, so only once somebody spoke.
    fn understand(&mut self, ctx: &mut Context, utterance: &HeardUtterance) -> HandlerResult {
        let header = self.header(utterance.stamp_ns);
        let who = self.who(ctx, utterance)?;
        let mood = emotion::prosody(&utterance.mono)
            .map(|p| emotion::classify(&p, self.settings.emotion_threshold.get() as f32))
            .unwrap_or(emotion::Mood { label: "unknown", confidence: 0.0 });
        let mut speaker_id = String::new();
        if let Some((embedding, found)) = who {
            speaker_id.clone_from(&found.speaker_id);
            let run_ms = if self.settings.report_time.get() { embedding.run_ms } else { 0.0 };
            let provenance = model_provenance(speaker::MODEL, speaker::MODEL_VERSION, run_ms, &embedding.device);
            let message = SpeakerMatch {
                header: header.clone(),
                speaker_id: found.speaker_id,
                similarity: found.similarity,
                embedding: embedding.vector,
                provenance,
            };
            self.speaker.publish(ctx, message);
        }
        let message = SpeechEmotion {
            header: header.clone(),
            emotion: mood.label.to_owned(),
            confidence: mood.confidence,
            provenance: algorithm_provenance(emotion::ALGORITHM, emotion::VERSION, true),
        };
        self.emotion.publish(ctx, message);
        if let Some(mut text) = self.transcribe(ctx, utterance)? {
            text.run_ms = if self.settings.report_time.get() { text.run_ms } else { 0.0 };
            let message = transcript_message(header, utterance, text, speaker_id, mood.label);
            self.transcript.publish(ctx, message);
        }
        Ok(())
    }

    fn who(
        &mut self,
        ctx: &mut Context,
        utterance: &HeardUtterance,
    ) -> Result<Option<(Embedding, speaker::SpeakerMatch)>, NodeError> {
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.settings.identify.get()) else { return Ok(None) };
        match encoder.embed(&utterance.mono) {
            Ok(embedding) => {
                let found = self.book.identify(&embedding.vector, self.settings.speaker_threshold.get() as f32);
                Ok(Some((embedding, found)))
            }
            Err(speaker::SpeakerError::TooShort(_)) => Ok(None),
            Err(e) => {
                ctx.status(Level::Error, "speaker recognition", e.to_string());
                Ok(None)
            }
        }
    }

    fn transcribe(&mut self, ctx: &mut Context, utterance: &HeardUtterance) -> Result<Option<Transcription>, NodeError> {
        if !self.settings.transcribe.get() {
            return Ok(None);
        }
        let Some(recogniser) = self.recogniser.as_mut() else {
            ctx.warn("somebody spoke, but there is no speech recognition: nothing is understood");
            return Ok(None);
        };
        let text = recogniser.transcribe(&utterance.mono)?;
        let sure = f64::from(text.confidence) >= self.settings.min_confidence.get();
        let words = text.text.chars().any(char::is_alphanumeric);
        if sure && words {
            ctx.info(format!("heard \"{}\" (confidence {:.2})", text.text, text.confidence));
            return Ok(Some(text));
        }
        ctx.info(format!("heard something like \"{}\", not sure enough ({:.2})", text.text, text.confidence));
        Ok(None)
    }

    fn on_enroll(&mut self, _ctx: &mut Context, request: EnrollSpeakerRequest) -> Result<EnrollSpeakerResponse, NodeError> {
        let refuse = |message: String| EnrollSpeakerResponse { success: false, message, confidence: 0.0 };
        let Some(encoder) = self.encoder.as_mut() else {
            return Ok(refuse("there is no speaker recognition: its model is not available".to_owned()));
        };
        let mut embeddings = Vec::with_capacity(request.samples.len());
        for (i, chunk) in request.samples.iter().enumerate() {
            let mono = to_mono(&chunk.samples, chunk.channels);
            let embedding = resample(&mono, 1, chunk.sample_rate, SAMPLE_RATE)
                .map_err(|e| e.to_string())
                .and_then(|samples| encoder.embed(&samples).map_err(|e| e.to_string()));
            match embedding {
                Ok(embedding) => embeddings.push(embedding.vector),
                Err(reason) => return Ok(refuse(format!("sample {i}: {reason}"))),
            }
        }
        Ok(match self.book.enroll(&request.speaker_id, &embeddings) {
            Ok(confidence) => EnrollSpeakerResponse {
                success: true,
                message: format!("{} learnt from {} samples", request.speaker_id, embeddings.len()),
                confidence,
            },
            Err(e) => refuse(e.to_string()),
        })
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

fn features_message(block: &BlockFeatures, header: Header) -> AudioFeatures {
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
        provenance: algorithm_provenance("dsp+earshot", "1", false),
    }
}

fn transcript_message(
    header: Header,
    utterance: &HeardUtterance,
    text: Transcription,
    speaker_id: String,
    mood: &str,
) -> Transcript {
    let segment = SpeechSegment {
        text: text.text.clone(),
        start_time: 0.0,
        end_time: utterance.mono.len() as f64 / f64::from(SAMPLE_RATE),
        confidence: text.confidence,
        speaker_id,
        emotion: mood.to_owned(),
        language: stt::LANGUAGE.to_owned(),
    };
    Transcript {
        header,
        segments: vec![segment],
        text: text.text,
        confidence: text.confidence,
        language: stt::LANGUAGE.to_owned(),
        num_speakers: 1,
        direction: utterance.bearing.map_or(f32::NAN, |b| b.bearing_rad as f32),
        provenance: Provenance {
            degraded: text.stopped,
            ..model_provenance(stt::MODEL, stt::MODEL_VERSION, text.run_ms, &text.device)
        },
    }
}
