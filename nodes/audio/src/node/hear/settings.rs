//! Parameters of hearing.

use super::Audio;
use crate::recogniser::Search;
use crate::{speaker_book, stt};
use graph::{Param, Setup, SetupError};
use std::path::PathBuf;

pub(super) struct Settings {
    pub(super) min_confidence: Param<f64>,
    pub(super) speaker_threshold: Param<f64>,
    pub(super) speaker_min_score: Param<f64>,
    pub(super) emotion_threshold: Param<f64>,
    pub(super) transcribe: Param<bool>,
    pub(super) identify: Param<bool>,
    pub(super) report_time: Param<bool>,
    pub(super) partial_interval_s: Param<f64>,
    pub(super) diarise_from_s: Param<f64>,
    pub(super) wake_likeness: Param<f64>,
    pub(super) wake_log_probability: Param<f64>,
    pub(super) wake_listen_s: Param<f64>,
    pub(super) wake_phrase: String,
    pub(super) language: String,
    pub(super) model: String,
    pub(super) mood_model: String,
    pub(super) search: Search,
    speakers_file: String,
}

impl Settings {
    pub(super) fn declare(s: &mut Setup<Audio>) -> Result<Self, SetupError> {
        let search = Search::default();
        let text = |s: &mut Setup<Audio>, name: &str, default: &str, what: &str| -> Result<String, SetupError> {
            Ok(s.param(name, default.to_owned()).describe(what).read_only().declare()?.get())
        };
        Ok(Self {
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
            speaker_min_score: s
                .param("speaker_min_score", 1.0)
                .range(-20.0, 50.0)
                .describe("cosine normalised by the cohort of strangers, in standard deviations, that an enrolled speaker must reach too")
                .declare()?,
            emotion_threshold: s
                .param("emotion_threshold", 0.55)
                .range(0.0, 1.0)
                .describe("share of the nearest prototype, or probability by the network, below which a mood is unknown")
                .declare()?,
            transcribe: s.param("transcribe", true).describe("turn utterances into text").declare()?,
            identify: s.param("identify_speakers", true).describe("compute speaker embeddings").declare()?,
            report_time: s
                .param("report_inference_time", true)
                .describe("fill in provenance.inference_ms; off where runs must agree byte for byte")
                .declare()?,
            partial_interval_s: s
                .param("partial_interval_s", 1.0)
                .unit("s")
                .range(0.0, 5.0)
                .describe("while somebody speaks, what was said so far is decoded each time it has grown by this; 0: not at all")
                .declare()?,
            diarise_from_s: s
                .param("diarise_from_s", 5.0)
                .unit("s")
                .range(0.0, 30.0)
                .describe("utterances of at least this length are searched for several speakers; 0: none is")
                .declare()?,
            wake_phrase: text(
                s,
                "wake_phrase",
                "hey omni",
                "only what follows this phrase is taken for a command; empty: everything is",
            )?,
            wake_likeness: s
                .param("wake_likeness", 0.78)
                .range(0.0, 1.0)
                .describe("likeness in sound of a transcript's words with the wake phrase from which it counts")
                .declare()?,
            wake_log_probability: s
                .param("wake_log_probability", -13.0)
                .unit("nat")
                .range(-60.0, 0.0)
                .describe("log-probability of the wake phrase as the first words from which it counts, whatever was written")
                .declare()?,
            wake_listen_s: s
                .param("wake_listen_s", 8.0)
                .unit("s")
                .range(0.0, 120.0)
                .describe("utterances that begin within this time after the wake phrase are commands too")
                .declare()?,
            language: text(s, "language", "", "language that is spoken (BCP 47); empty: the recogniser tells, or knows only one")?,
            model: text(s, "stt_model", stt::MODEL, "recogniser of the model catalogue, decoder moonshine or whisper")?,
            mood_model: text(s, "emotion_model", "", "mood network of the model catalogue, decoder emotion; empty: rules on the prosody")?,
            speakers_file: text(
                s,
                "speakers_file",
                "",
                "file that keeps the enrolled speakers, default: that of the command line; empty: they are forgotten when the node stops",
            )?,
            search: Search {
                vocabulary: s
                    .param("vocabulary", Vec::<String>::new())
                    .describe("phrases to expect, in lower case: names of things, rooms, the robot's own")
                    .read_only()
                    .declare()?
                    .get(),
                vocabulary_boost: s
                    .param("vocabulary_boost", search.vocabulary_boost)
                    .unit("nat")
                    .range(0.0, 10.0)
                    .describe("what each word of an expected phrase is worth in the search")
                    .read_only()
                    .declare()?
                    .get(),
                beam_width: s
                    .param("beam_width", search.beam_width as i64)
                    .range(1, 8)
                    .describe("hypotheses kept in the search; 1 is greedy and the fastest")
                    .read_only()
                    .declare()?
                    .get() as usize,
                views: s
                    .param("stt_views", search.views as i64)
                    .range(1, 3)
                    .describe("times that the recogniser looks at an utterance, each time at another place: more are surer and slower")
                    .read_only()
                    .declare()?
                    .get() as usize,
            },
        })
    }

    /// Where the book of speakers is kept.
    pub(super) fn book_file(&self) -> Option<PathBuf> {
        match self.speakers_file.as_str() {
            "" => None,
            "default" => speaker_book::default_path(),
            path => Some(PathBuf::from(path)),
        }
    }
}
