//! Sound of any length into text: cut where nobody speaks into pieces that a recogniser takes, transcribed one by one.

use crate::diarise::{Turn, speaker_between};
use crate::features::{SAMPLE_RATE, rms};
use crate::recogniser::{Disbelief, Guards, Recogniser, TranscribeError};
use crate::segmenter::modulation_db;
use crate::vad::{Vad, VadSettings};
use std::collections::VecDeque;
use std::ops::Range;

/// How long sound is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CutSettings {
    /// Voice activity.
    pub vad: VadSettings,
    /// Pauses shorter than this do not end a segment, s.
    pub join_pause_s: f64,
    /// Longest segment, s; at most 30.
    pub max_length_s: f64,
    /// Sound kept before the first and after the last speech of a segment, s.
    pub margin_s: f64,
    /// Segments with less speech are dropped, s.
    pub min_speech_s: f64,
    /// Segments whose level varies less are taken for noise or a tone and dropped, dB.
    pub min_modulation_db: f32,
}

impl Default for CutSettings {
    fn default() -> Self {
        Self {
            vad: VadSettings::default(),
            join_pause_s: 0.5,
            max_length_s: 15.0,
            margin_s: 0.25,
            min_speech_s: 0.2,
            min_modulation_db: 3.0,
        }
    }
}

const RATE: f64 = SAMPLE_RATE as f64;
/// Length over which the quietest place of a long stretch is looked for, samples (0.1 s).
const QUIET: usize = 1_600;

/// Where somebody speaks in 16 kHz mono: ranges of samples in order, that do not overlap, none longer than the maximum. Stretches of speech that are
/// too long are cut at the longest pause within them, or at their quietest tenth of a second.
pub fn cut(samples: &[f32], settings: &CutSettings) -> Vec<Range<usize>> {
    let mut vad = Vad::new(settings.vad);
    let mut runs: Vec<Range<usize>> = Vec::new();
    for frame in vad.push(samples).into_iter().filter(|f| f.speech) {
        let start = frame.start_sample as usize;
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = start + Vad::FRAME,
            _ => runs.push(start..start + Vad::FRAME),
        }
    }
    let at = |s: f64| (s * RATE) as usize;
    let longest = at(settings.max_length_s.clamp(1.0, 30.0)) - 2 * at(settings.margin_s.clamp(0.0, 0.4));
    let mut joined: Vec<Vec<Range<usize>>> = Vec::new();
    for run in runs {
        let near = |group: &Vec<Range<usize>>| group.last().is_some_and(|r| run.start - r.end < at(settings.join_pause_s));
        match joined.last_mut() {
            Some(group) if near(group) => group.push(run),
            _ => joined.push(vec![run]),
        }
    }
    let mut stretches = Vec::new();
    for group in joined {
        split(&group, samples, longest, &mut stretches);
    }
    let mut out: Vec<Range<usize>> = Vec::new();
    for (speech, stretch) in stretches {
        let from = out.last().map_or(0, |last| last.end);
        let start = stretch.start.saturating_sub(at(settings.margin_s)).max(from);
        let range = start..(stretch.end + at(settings.margin_s)).min(samples.len()).max(start);
        let enough = speech as f64 / RATE >= settings.min_speech_s;
        if enough && modulation_db(&samples[range.clone()]) >= settings.min_modulation_db {
            out.push(range);
        }
    }
    out
}

/// Puts runs of speech into stretches of at most `longest` samples, each with how many samples of it are speech.
fn split(runs: &[Range<usize>], samples: &[f32], longest: usize, out: &mut Vec<(usize, Range<usize>)>) {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
    let whole = first.start..last.end;
    if whole.len() <= longest {
        out.push((runs.iter().map(ExactSizeIterator::len).sum(), whole));
        return;
    }
    // The longest pause, a pause in the middle before one at the edge.
    let middle = (whole.start + whole.end) / 2;
    let pause = (1..runs.len()).max_by_key(|i| {
        let gap = runs[*i].start - runs[i - 1].end;
        (gap, usize::MAX - runs[*i].start.abs_diff(middle))
    });
    if let Some(i) = pause {
        split(&runs[..i], samples, longest, out);
        split(&runs[i..], samples, longest, out);
        return;
    }
    // One run without a pause: cut at the quietest place of the second half of what fits.
    let window = whole.start + longest / 2..whole.start + longest;
    let quietest = window
        .clone()
        .step_by(QUIET / 4)
        .min_by(|a, b| {
            let level = |i: usize| rms(&samples[i.min(samples.len())..(i + QUIET).min(samples.len())]);
            level(*a).total_cmp(&level(*b))
        })
        .map_or(window.end, |i| (i + QUIET / 2).min(window.end));
    out.push((quietest - whole.start, whole.start..quietest));
    split(std::slice::from_ref(&(quietest..whole.end)), samples, longest, out);
}

/// A stretch of a long recording with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct LongSegment {
    /// Its words.
    pub text: String,
    /// Begin in the recording, s.
    pub start_s: f64,
    /// End, s.
    pub end_s: f64,
    /// exp of the mean log-probability of its tokens, 0..1.
    pub confidence: f32,
    /// Language (BCP 47).
    pub language: String,
    /// Decoding was stopped instead of ended.
    pub stopped: bool,
    /// Who speaks, as numbered by the turns given; `None` without turns.
    pub speaker: Option<usize>,
}

/// The text of a long recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LongTranscript {
    /// Stretches in order.
    pub segments: Vec<LongSegment>,
    /// What sounded like speech but whose text was not believed: begin and end in s, and why.
    pub refused: Vec<(f64, f64, Disbelief)>,
    /// Wall time inside the networks, ms.
    pub run_ms: f32,
    /// Where they ran; empty if they did not.
    pub device: String,
}

impl LongTranscript {
    /// All words.
    pub fn text(&self) -> String {
        self.segments.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Mean of the segments' confidences by their length, 0 without any.
    pub fn confidence(&self) -> f32 {
        let length: f64 = self.segments.iter().map(|s| s.end_s - s.start_s).sum();
        let sum: f64 = self.segments.iter().map(|s| f64::from(s.confidence) * (s.end_s - s.start_s)).sum();
        if length > 0.0 { (sum / length) as f32 } else { 0.0 }
    }

    /// The language of most of the sound; empty without words.
    pub fn language(&self) -> String {
        let length = |code: &str| self.segments.iter().filter(|s| s.language == code).map(|s| s.end_s - s.start_s).sum::<f64>();
        let best = self.segments.iter().max_by(|a, b| length(&a.language).total_cmp(&length(&b.language)));
        best.map(|s| s.language.clone()).unwrap_or_default()
    }
}

/// Cuts ranges again where another speaker takes over. Of a range that lies in no turn, the speaker is not known.
fn by_speaker(ranges: Vec<Range<usize>>, turns: &[Turn]) -> Vec<(Range<usize>, Option<usize>)> {
    let at = |s: f64| (s * RATE) as usize;
    let mut out = Vec::new();
    for range in ranges {
        let mut start = range.start;
        for pair in turns.windows(2).filter(|p| p[0].speaker != p[1].speaker) {
            let change = at(f64::midpoint(pair[0].end_s, pair[1].start_s));
            if change > start && change < range.end {
                out.push(start..change);
                start = change;
            }
        }
        out.push(start..range.end);
    }
    let who = |r: &Range<usize>| speaker_between(turns, r.start as f64 / RATE, r.end as f64 / RATE);
    out.into_iter().map(|r| (r.clone(), who(&r))).collect()
}

/// Text of 16 kHz mono sound of any length: [`cut`], and again where the speaker of `turns` changes, transcribed stretch by stretch, without what the
/// guards do not believe. Silence, noise and tones give no segments.
///
/// # Errors
/// [`TranscribeError`] from a network, or for a language that the recogniser does not know.
pub fn transcribe(
    recogniser: &mut dyn Recogniser,
    samples: &[f32],
    language: &str,
    turns: &[Turn],
    settings: &CutSettings,
    guards: &Guards,
) -> Result<LongTranscript, TranscribeError> {
    let mut work = LongWork::new(samples, language, turns, settings, *guards);
    while work.step(recogniser, samples)? {}
    Ok(work.finish())
}

/// [`transcribe`], one stretch at a time.
#[derive(Debug, Clone)]
pub struct LongWork {
    stretches: VecDeque<(Range<usize>, Option<usize>)>,
    language: String,
    guards: Guards,
    out: LongTranscript,
}

impl LongWork {
    /// Finds the stretches of 16 kHz mono sound.
    pub fn new(samples: &[f32], language: &str, turns: &[Turn], settings: &CutSettings, guards: Guards) -> Self {
        let mut stretches = by_speaker(cut(samples, settings), turns);
        stretches.retain(|(range, _)| range.len() as f64 / RATE >= settings.min_speech_s.max(0.1));
        Self { stretches: stretches.into(), language: language.to_owned(), guards, out: LongTranscript::default() }
    }

    /// Transcribes the next stretch of `samples`, the sound of before. False when none is left.
    ///
    /// # Errors
    /// Those of [`transcribe`].
    pub fn step(&mut self, recogniser: &mut dyn Recogniser, samples: &[f32]) -> Result<bool, TranscribeError> {
        let Some((range, speaker)) = self.stretches.pop_front() else { return Ok(false) };
        let start_s = range.start as f64 / RATE;
        let seconds = range.len() as f64 / RATE;
        let text = recogniser.transcribe(samples.get(range).unwrap_or_default(), &self.language)?;
        self.out.run_ms += text.run_ms;
        self.out.device.clone_from(&text.device);
        if let Some(doubt) = self.guards.doubt(&text, seconds) {
            self.out.refused.push((start_s, start_s + seconds, doubt));
            return Ok(!self.stretches.is_empty());
        }
        for piece in text.pieces {
            self.out.segments.push(LongSegment {
                text: piece.text,
                start_s: start_s + piece.start_s,
                end_s: start_s + piece.end_s,
                confidence: piece.confidence,
                language: text.language.clone(),
                stopped: text.stopped,
                speaker,
            });
        }
        Ok(!self.stretches.is_empty())
    }

    /// What was found until now.
    pub fn so_far(&self) -> &LongTranscript {
        &self.out
    }

    /// The text.
    pub fn finish(self) -> LongTranscript {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recogniser::{Piece, Transcription};

    #[test]
    fn long_speech_is_cut_at_its_longest_pause_and_without_one_at_its_quietest_place() {
        let mut out = Vec::new();
        let samples = vec![0.1; 40_000];
        split(&[0..5_000, 5_500..10_000, 12_000..15_000], &samples, 11_000, &mut out);
        assert_eq!(out, [(9_500, 0..10_000), (3_000, 12_000..15_000)]);
        let mut quiet = samples;
        quiet[15_000..17_000].fill(0.0);
        out.clear();
        split(std::slice::from_ref(&(0..35_000)), &quiet, 20_000, &mut out);
        assert_eq!(out.iter().map(|(n, _)| n).sum::<usize>(), 35_000);
        assert!((15_000..17_000).contains(&out[0].1.end) && out.iter().all(|(_, r)| r.len() <= 20_000), "{out:?}");
        assert!(out.windows(2).all(|w| w[0].1.end == w[1].1.start));
    }

    #[test]
    fn sound_without_speech_has_no_stretches() {
        for sound in [vec![], vec![0.0; 10], vec![0.0; 160_000], vec![f32::NAN; 50_000], vec![1.0; 50_000]] {
            assert_eq!(cut(&sound, &CutSettings::default()), []);
        }
    }

    #[test]
    fn a_stretch_is_cut_where_another_speaker_takes_over() {
        let turn = |start_s, end_s, speaker| Turn { start_s, end_s, speaker };
        let turns = [turn(0.0, 1.0, 0), turn(1.0, 2.0, 1), turn(3.0, 4.0, 1)];
        let cut = by_speaker(vec![0..40_000, 48_000..64_000, 80_000..90_000], &turns);
        assert_eq!(cut, [(0..16_000, Some(0)), (16_000..40_000, Some(1)), (48_000..64_000, Some(1)), (80_000..90_000, None)]);
        assert_eq!(by_speaker(std::iter::once(0..10).collect(), &[]), [(0..10, None)]);
    }

    struct Parrot;
    impl Recogniser for Parrot {
        fn model(&self) -> &str {
            "parrot"
        }
        fn version(&self) -> &str {
            "1"
        }
        fn transcribe(&mut self, samples: &[f32], _: &str) -> Result<Transcription, TranscribeError> {
            let end_s = samples.len() as f64 / RATE;
            let piece = Piece { text: "hello".to_owned(), start_s: 0.0, end_s, confidence: 0.9 };
            Ok(Transcription {
                text: "hello".to_owned(),
                pieces: vec![piece],
                language: "en".to_owned(),
                confidence: 0.9,
                ..Default::default()
            })
        }
        fn draft(&mut self, samples: &[f32], language: &str) -> Result<Transcription, TranscribeError> {
            self.transcribe(samples, language)
        }
    }

    #[test]
    fn a_recogniser_that_hears_words_in_everything_is_not_asked_about_noise() {
        let noise: Vec<f32> =
            (0..80_000_u32).map(|i| 0.1 * ((i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)).collect();
        let heard = transcribe(&mut Parrot, &noise, "", &[], &CutSettings::default(), &Guards::default()).unwrap();
        assert_eq!(
            (heard.segments.len(), heard.text().as_str(), heard.confidence(), heard.language().as_str()),
            (0, "", 0.0, "")
        );
    }
}
