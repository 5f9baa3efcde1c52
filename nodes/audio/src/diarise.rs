//! Who spoke when: voice activity, a speaker embedding every 0.4 s, agglomerative clustering by cosine, and a second pass that gives every tenth of a
//! second to the nearest voice.

use crate::features::SAMPLE_RATE;
use crate::speaker::{SpeakerEncoder, SpeakerError, WINDOW_SAMPLES, cosine, normalise};
use crate::vad::{Vad, VadSettings};
use std::ops::Range;

/// How speakers are told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiariseSettings {
    /// Voice activity.
    pub vad: VadSettings,
    /// Mean cosine from which two groups of windows are joined at first. So high that voices stay apart, and one may be in several groups.
    pub same_group: f32,
    /// Cosine of the means of two groups from which they are one voice: means waver less than windows (measured: docs/hearing.md).
    pub same_voice: f32,
    /// Voices with less speech than this are given to the nearest other one, s.
    pub min_voice_s: f64,
    /// Turns shorter than this are given to their neighbour, s.
    pub min_turn_s: f64,
    /// Most speakers.
    pub max_speakers: usize,
}

impl Default for DiariseSettings {
    fn default() -> Self {
        Self {
            vad: VadSettings::default(),
            same_group: 0.78,
            same_voice: 0.80,
            min_voice_s: 1.5,
            min_turn_s: 0.5,
            max_speakers: 10,
        }
    }
}

/// Somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Begin, s.
    pub start_s: f64,
    /// End, s.
    pub end_s: f64,
    /// Who, counted from 0 in the order of appearance.
    pub speaker: usize,
}

/// Turns in order, and one embedding (unit vector) per speaker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diarisation {
    /// Turns, by time; they do not overlap.
    pub turns: Vec<Turn>,
    /// Mean embedding of each speaker.
    pub voices: Vec<Vec<f32>>,
}

/// Why a recording was not diarised.
#[derive(Debug, thiserror::Error)]
pub enum DiariseError {
    /// The clustering compares every window with every other.
    #[error("{0:.0} s of speech are more than the {MAX_SPEECH_S} s that are compared at once")]
    TooLong(f64),
    /// The embedding failed.
    #[error(transparent)]
    Speaker(#[from] SpeakerError),
}

const RATE: f64 = SAMPLE_RATE as f64;
/// Windows embedded in one step.
const AT_ONCE: usize = 32;
/// Step between embeddings, samples (0.4 s).
const HOP: usize = 6_400;
/// Length of the pieces that are given to voices, samples (0.1 s).
const PIECE: usize = 1_600;
/// Pauses up to this length stay in a turn, samples (0.3 s).
const JOIN: usize = 4_800;
/// Most speech of one recording, s: 3,000 windows, whose similarities take 36 MB.
pub const MAX_SPEECH_S: usize = 1_200;

/// Who speaks when in 16 kHz mono sound; nobody in silence.
///
/// # Errors
/// [`DiariseError`].
pub fn diarise(encoder: &mut SpeakerEncoder, samples: &[f32], settings: &DiariseSettings) -> Result<Diarisation, DiariseError> {
    let mut work = DiariseWork::new(samples, settings)?;
    while work.step(encoder, samples)? {}
    Ok(work.finish())
}

/// [`diarise`], some windows at a time.
#[derive(Debug, Clone)]
pub struct DiariseWork {
    settings: DiariseSettings,
    runs: Vec<Range<usize>>,
    /// Stretch and first sample of each window.
    starts: Vec<(usize, usize)>,
    vectors: Vec<Vec<f32>>,
}

impl DiariseWork {
    /// Finds where somebody speaks in 16 kHz mono sound.
    ///
    /// # Errors
    /// [`DiariseError::TooLong`].
    pub fn new(samples: &[f32], settings: &DiariseSettings) -> Result<Self, DiariseError> {
        let runs = speech(samples, settings.vad);
        let seconds = runs.iter().map(|r| r.len() as f64).sum::<f64>() / RATE;
        if seconds > MAX_SPEECH_S as f64 {
            return Err(DiariseError::TooLong(seconds));
        }
        let starts = runs.iter().enumerate().flat_map(|(r, run)| windows(run).map(move |start| (r, start))).collect();
        Ok(Self { settings: *settings, runs, starts, vectors: Vec::new() })
    }

    /// Embeds the next windows (13 s of speech) of `samples`, the sound of before. False when none is left.
    ///
    /// # Errors
    /// [`DiariseError::Speaker`].
    pub fn step(&mut self, encoder: &mut SpeakerEncoder, samples: &[f32]) -> Result<bool, DiariseError> {
        let next: Vec<usize> = self.starts.iter().skip(self.vectors.len()).take(AT_ONCE).map(|(_, s)| *s).collect();
        self.vectors.extend(encoder.embed_windows(samples, &next)?);
        Ok(self.vectors.len() < self.starts.len())
    }

    /// Tells the voices apart, in the windows embedded so far.
    pub fn finish(mut self) -> Diarisation {
        self.starts.truncate(self.vectors.len());
        grouped(&self.runs, &self.starts, &self.vectors, &self.settings)
    }
}

fn grouped(runs: &[Range<usize>], starts: &[(usize, usize)], vectors: &[Vec<f32>], settings: &DiariseSettings) -> Diarisation {
    let mut labels = cluster(vectors, settings.same_group);
    let mut voices = centroids(vectors, &labels);
    while let Some((a, b)) = most_alike(&voices, settings.same_voice) {
        labels.iter_mut().for_each(|l| *l = if *l == b { a } else { *l - usize::from(*l > b) });
        voices = centroids(vectors, &labels);
    }
    // Weak voices go first, and then as many as there are too many.
    let in_run = |r: usize| starts.iter().filter(|(of, _)| *of == r).count().max(1);
    let each_s: Vec<f64> = starts.iter().map(|(r, _)| runs[*r].len() as f64 / in_run(*r) as f64 / RATE).collect();
    let speech_s = |labels: &[usize], v: usize| labels.iter().zip(&each_s).filter(|(l, _)| **l == v).map(|(_, s)| s).sum::<f64>();
    loop {
        let weakest = (0..voices.len()).min_by(|a, b| speech_s(&labels, *a).total_cmp(&speech_s(&labels, *b)));
        let Some(weakest) = weakest.filter(|_| voices.len() > 1) else { break };
        if speech_s(&labels, weakest) >= settings.min_voice_s && voices.len() <= settings.max_speakers.max(1) {
            break;
        }
        voices.remove(weakest);
        labels = vectors.iter().map(|v| nearest(v, &voices)).collect();
        voices = centroids(vectors, &labels);
    }
    let mut turns = Vec::new();
    for (r, run) in runs.iter().enumerate() {
        let mine: Vec<(usize, &Vec<f32>)> =
            starts.iter().zip(vectors).filter(|((of, _), _)| *of == r).map(|((_, s), v)| (*s, v)).collect();
        assign(run, &mine, &voices, settings.min_turn_s, &mut turns);
    }
    in_order_of_appearance(turns, voices)
}

/// Stretches of speech, pauses of up to 0.3 s included.
fn speech(samples: &[f32], settings: VadSettings) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for frame in Vad::new(settings).push(samples).into_iter().filter(|f| f.speech) {
        let start = frame.start_sample as usize;
        match runs.last_mut() {
            Some(run) if start - run.end <= JOIN => run.end = start + Vad::FRAME,
            _ => runs.push(start..start + Vad::FRAME),
        }
    }
    runs.retain(|r| r.len() >= PIECE);
    runs
}

/// Starts of the windows over one stretch: every 0.4 s, the last one at its end; one in the middle of a stretch shorter than a window.
fn windows(run: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
    let last = run.end.saturating_sub(WINDOW_SAMPLES);
    let first = if run.len() < WINDOW_SAMPLES { (run.start + run.end).saturating_sub(WINDOW_SAMPLES) / 2 } else { run.start };
    let tail = (last > first && !(last - first).is_multiple_of(HOP)).then_some(last);
    (first..=last.max(first)).step_by(HOP).chain(tail)
}

/// Average-linkage clustering of unit vectors by cosine, joined from `threshold` on: labels counted from 0. The chain of nearest neighbours finds the
/// same tree as always joining the nearest pair (Murtagh, 1983), in quadratic time.
fn cluster(vectors: &[Vec<f32>], threshold: f32) -> Vec<usize> {
    let n = vectors.len();
    let mut similarity = vec![vec![0.0_f32; n]; n];
    for i in 0..n {
        for j in 0..i {
            let s = cosine(&vectors[i], &vectors[j]);
            (similarity[i][j], similarity[j][i]) = (s, s);
        }
    }
    let mut size = vec![1_usize; n];
    let mut parent: Vec<usize> = (0..n).collect();
    let mut joins: Vec<(f32, usize, usize)> = Vec::new();
    let mut chain: Vec<usize> = Vec::new();
    for _ in 1..n {
        if chain.is_empty() {
            chain.extend((0..n).find(|i| size[*i] > 0));
        }
        while let Some(&tip) = chain.last() {
            let before = chain.len().checked_sub(2).map(|i| chain[i]);
            // The one before wins a tie, so that the chain ends.
            let mut best = before;
            for other in (0..n).filter(|o| *o != tip && size[*o] > 0) {
                if best.is_none_or(|b| similarity[tip][other] > similarity[tip][b]) {
                    best = Some(other);
                }
            }
            let Some(best) = best else { break };
            if before != Some(best) {
                chain.push(best);
                continue;
            }
            chain.truncate(chain.len() - 2);
            joins.push((similarity[tip][best], tip, best));
            let (a, b) = (size[tip] as f32, size[best] as f32);
            for other in 0..n {
                let mean = (a * similarity[tip][other] + b * similarity[best][other]) / (a + b);
                (similarity[best][other], similarity[other][best]) = (mean, mean);
            }
            size[best] += size[tip];
            size[tip] = 0;
            break;
        }
    }
    fn root(parent: &[usize], mut i: usize) -> usize {
        while parent[i] != i {
            i = parent[i];
        }
        i
    }
    for (_, a, b) in joins.iter().filter(|j| j.0 >= threshold) {
        let (a, b) = (root(&parent, *a), root(&parent, *b));
        parent[a] = b;
    }
    let mut names: Vec<usize> = Vec::new();
    (0..n)
        .map(|i| {
            let r = root(&parent, i);
            names.iter().position(|x| *x == r).unwrap_or_else(|| {
                names.push(r);
                names.len() - 1
            })
        })
        .collect()
}

fn centroids(vectors: &[Vec<f32>], labels: &[usize]) -> Vec<Vec<f32>> {
    let count = labels.iter().max().map_or(0, |m| m + 1);
    let mut out = vec![vec![0.0_f32; vectors.first().map_or(0, Vec::len)]; count];
    for (v, l) in vectors.iter().zip(labels) {
        out[*l].iter_mut().zip(v).for_each(|(o, x)| *o += x);
    }
    out.iter_mut().for_each(|v| normalise(v));
    out
}

/// The two voices that are most alike, the lower number first, if they reach the threshold.
fn most_alike(voices: &[Vec<f32>], threshold: f32) -> Option<(usize, usize)> {
    let pairs = (0..voices.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let alike = |(a, b): (usize, usize)| cosine(&voices[a], &voices[b]);
    pairs.max_by(|x, y| alike(*x).total_cmp(&alike(*y))).filter(|pair| alike(*pair) >= threshold)
}

fn nearest(vector: &[f32], voices: &[Vec<f32>]) -> usize {
    let best = voices.iter().enumerate().max_by(|a, b| cosine(vector, a.1).total_cmp(&cosine(vector, b.1)));
    best.map_or(0, |(i, _)| i)
}

/// Gives every tenth of a second of one stretch to the voice that the windows over it are nearest to: those whose middle is near count more.
fn assign(run: &Range<usize>, windows: &[(usize, &Vec<f32>)], voices: &[Vec<f32>], min_turn_s: f64, out: &mut Vec<Turn>) {
    let pieces: Vec<usize> = (run.start..run.end)
        .step_by(PIECE)
        .map(|start| {
            let middle = start as f64 + PIECE as f64 / 2.0;
            let mut scores = vec![0.0_f64; voices.len()];
            for (from, vector) in windows {
                let distance = (middle - (*from as f64 + WINDOW_SAMPLES as f64 / 2.0)).abs() / (WINDOW_SAMPLES as f64 / 2.0);
                let weight = (1.0 - distance).max(0.001);
                for (score, voice) in scores.iter_mut().zip(voices) {
                    *score += weight * f64::from(cosine(vector, voice));
                }
            }
            scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i)
        })
        .collect();
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for voice in pieces {
        match groups.last_mut() {
            Some((last, n)) if *last == voice => *n += 1,
            _ => groups.push((voice, 1)),
        }
    }
    // The shortest turn that is too short goes to the longer of its neighbours, until none is.
    let least = (min_turn_s * RATE / PIECE as f64).round() as usize;
    while groups.len() > 1 {
        let Some(at) = (0..groups.len()).filter(|i| groups[*i].1 < least).min_by_key(|i| groups[*i].1) else { break };
        let (_, n) = groups.remove(at);
        let left = at.checked_sub(1).map_or(0, |i| groups[i].1);
        let to = if at < groups.len() && groups[at].1 >= left { at } else { at - 1 };
        groups[to].1 += n;
        groups.dedup_by(|b, a| {
            let same = a.0 == b.0;
            if same {
                a.1 += b.1;
            }
            same
        });
    }
    let mut start = run.start;
    for (speaker, n) in groups {
        let end = (start + n * PIECE).min(run.end);
        out.push(Turn { start_s: start as f64 / RATE, end_s: end as f64 / RATE, speaker });
        start = end;
    }
}

fn in_order_of_appearance(mut turns: Vec<Turn>, voices: Vec<Vec<f32>>) -> Diarisation {
    let mut order: Vec<usize> = Vec::new();
    for turn in &mut turns {
        let known = order.iter().position(|o| *o == turn.speaker);
        turn.speaker = known.unwrap_or_else(|| {
            order.push(turn.speaker);
            order.len() - 1
        });
    }
    Diarisation { turns, voices: order.into_iter().map(|o| voices[o].clone()).collect() }
}

/// The speaker of most of the time between two times; `None` where nobody speaks.
pub fn speaker_between(turns: &[Turn], start_s: f64, end_s: f64) -> Option<usize> {
    let mut time = std::collections::BTreeMap::<usize, f64>::new();
    for t in turns {
        let overlap = t.end_s.min(end_s) - t.start_s.max(start_s);
        if overlap > 0.0 {
            *time.entry(t.speaker).or_default() += overlap;
        }
    }
    time.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(speaker, _)| speaker)
}

/// Diarisation error: missed speech, false alarm and confused speakers, in seconds, and the seconds of reference speech that were scored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DiarisationError {
    /// Speech given to nobody, s.
    pub missed_s: f64,
    /// Somebody where nobody speaks, s.
    pub false_alarm_s: f64,
    /// Speech given to another speaker, s.
    pub confused_s: f64,
    /// Reference speech, s.
    pub speech_s: f64,
}

impl DiarisationError {
    /// The diarisation error rate: all errors over the reference speech.
    pub fn rate(&self) -> f64 {
        (self.missed_s + self.false_alarm_s + self.confused_s) / self.speech_s.max(1e-9)
    }
}

/// Scores turns against a reference without overlaps, in steps of 10 ms, without `collar_s` before and after each reference boundary (NIST's
/// `md-eval`). The speakers are paired so that most time agrees: all pairings up to 8 speakers, the greedy one above.
pub fn error(reference: &[Turn], heard: &[Turn], collar_s: f64) -> DiarisationError {
    const STEP_S: f64 = 0.01;
    let end = reference.iter().chain(heard).map(|t| t.end_s).fold(0.0, f64::max);
    let at = |turns: &[Turn], t: f64| turns.iter().find(|x| x.start_s <= t && t < x.end_s).map(|x| x.speaker);
    let scored: Vec<(Option<usize>, Option<usize>)> = (0..(end / STEP_S) as usize)
        .map(|k| (k as f64 + 0.5) * STEP_S)
        .filter(|t| !reference.iter().any(|r| (t - r.start_s).abs() < collar_s || (t - r.end_s).abs() < collar_s))
        .map(|t| (at(reference, t), at(heard, t)))
        .collect();
    let count = |turns: &[Turn]| turns.iter().map(|t| t.speaker + 1).max().unwrap_or(0);
    let (rows, columns) = (count(reference), count(heard));
    let mut together = vec![vec![0_usize; columns]; rows];
    for (r, h) in &scored {
        if let (Some(r), Some(h)) = (r, h) {
            together[*r][*h] += 1;
        }
    }
    let agreed =
        if rows.max(columns) <= 8 { best_pairing(&together, 0, &mut vec![false; columns]) } else { greedy_pairing(together) };
    let n = |f: fn(&(Option<usize>, Option<usize>)) -> bool| scored.iter().filter(|x| f(x)).count() as f64 * STEP_S;
    DiarisationError {
        missed_s: n(|(r, h)| r.is_some() && h.is_none()),
        false_alarm_s: n(|(r, h)| r.is_none() && h.is_some()),
        confused_s: n(|(r, h)| r.is_some() && h.is_some()) - agreed as f64 * STEP_S,
        speech_s: n(|(r, _)| r.is_some()),
    }
}

fn best_pairing(together: &[Vec<usize>], row: usize, taken: &mut Vec<bool>) -> usize {
    let Some(times) = together.get(row) else { return 0 };
    let mut best = best_pairing(together, row + 1, taken);
    for column in 0..times.len() {
        if !taken[column] && times[column] > 0 {
            taken[column] = true;
            best = best.max(times[column] + best_pairing(together, row + 1, taken));
            taken[column] = false;
        }
    }
    best
}

fn greedy_pairing(mut together: Vec<Vec<usize>>) -> usize {
    let mut sum = 0;
    loop {
        let cells = together.iter().enumerate().flat_map(|(r, row)| row.iter().enumerate().map(move |(c, n)| (*n, r, c)));
        match cells.max() {
            Some((n, r, c)) if n > 0 => {
                sum += n;
                together[r].fill(0);
                together.iter_mut().for_each(|row| row[c] = 0);
            }
            _ => return sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(start_s: f64, end_s: f64, speaker: usize) -> Turn {
        Turn { start_s, end_s, speaker }
    }

    #[test]
    fn the_error_counts_time_missed_added_and_confused_whatever_the_names() {
        let reference = [turn(0.0, 10.0, 0), turn(12.0, 20.0, 1)];
        let renamed = [turn(0.0, 10.0, 1), turn(12.0, 20.0, 0)];
        assert!(error(&reference, &renamed, 0.0).rate() < 1e-9);
        let e = error(&reference, &[turn(0.0, 11.0, 0), turn(12.0, 16.0, 1), turn(16.0, 18.0, 0)], 0.0);
        let near = |a: f64, b: f64| (a - b).abs() < 0.02;
        assert!(
            near(e.false_alarm_s, 1.0) && near(e.missed_s, 2.0) && near(e.confused_s, 2.0) && near(e.speech_s, 18.0),
            "{e:?}"
        );
        let collar = error(&reference, &[turn(0.2, 9.8, 0), turn(12.2, 20.0, 1)], 0.25);
        assert!(collar.rate() < 1e-9 && near(collar.speech_s, 17.0), "{collar:?}");
        assert!((error(&reference, &[], 0.0).rate() - 1.0).abs() < 1e-3);
        let many: Vec<Turn> = (0..12).map(|k| turn(k as f64, k as f64 + 1.0, k)).collect();
        assert!(error(&many, &many, 0.0).rate() < 1e-9);
    }

    #[test]
    fn windows_of_one_voice_are_one_group_and_of_two_are_two() {
        let voice = |axis: usize, tilt: f32| {
            let mut v = vec![0.0; 8];
            (v[axis], v[axis + 1]) = (1.0, tilt);
            normalise(&mut v);
            v
        };
        let vectors = [voice(0, 0.1), voice(4, 0.0), voice(0, -0.2), voice(4, 0.3), voice(0, 0.0)];
        assert_eq!(cluster(&vectors, 0.7), [0, 1, 0, 1, 0]);
        assert_eq!(cluster(&vectors, -1.0), [0; 5]);
        assert_eq!(cluster(&vectors, 1.1), [0, 1, 2, 3, 4]);
        assert_eq!(cluster(&[], 0.5), Vec::<usize>::new());
        // The same tree as by always joining the most similar pair of groups.
        let ring: Vec<Vec<f32>> = (0..9_u8)
            .map(|k| {
                let a = f32::from(k * k) / 9.0;
                vec![a.cos(), a.sin()]
            })
            .collect();
        for threshold in [0.95, 0.8, 0.5, 0.0] {
            let mut groups: Vec<Vec<usize>> = (0..ring.len()).map(|i| vec![i]).collect();
            loop {
                let mean = |a: &[usize], b: &[usize]| {
                    a.iter().flat_map(|i| b.iter().map(move |j| (*i, *j))).map(|(i, j)| cosine(&ring[i], &ring[j])).sum::<f32>()
                        / (a.len() * b.len()) as f32
                };
                let pairs = (0..groups.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
                let Some((i, j)) =
                    pairs.max_by(|x, y| mean(&groups[x.0], &groups[x.1]).total_cmp(&mean(&groups[y.0], &groups[y.1])))
                else {
                    break;
                };
                if mean(&groups[i], &groups[j]) < threshold {
                    break;
                }
                let gone = groups.remove(i);
                groups[j].extend(gone);
            }
            let labels = cluster(&ring, threshold);
            for i in 0..ring.len() {
                for j in 0..i {
                    let together = groups.iter().any(|g| g.contains(&i) && g.contains(&j));
                    assert_eq!(labels[i] == labels[j], together, "{threshold} {i} {j}");
                }
            }
        }
    }

    #[test]
    fn windows_cover_a_stretch_and_turns_are_numbered_as_they_come() {
        assert_eq!(windows(&(0..WINDOW_SAMPLES)).collect::<Vec<_>>(), [0]);
        assert_eq!(windows(&(100_000..104_000)).collect::<Vec<_>>(), [102_000 - WINDOW_SAMPLES / 2]);
        assert_eq!(windows(&(0..4_000)).collect::<Vec<_>>(), [0]);
        let w: Vec<usize> = windows(&(1_000..41_000)).collect();
        assert_eq!((w[0], *w.last().unwrap()), (1_000, 41_000 - WINDOW_SAMPLES));
        let d = in_order_of_appearance(
            vec![turn(0.0, 1.0, 2), turn(1.0, 2.0, 0), turn(2.0, 3.0, 2)],
            vec![vec![0.0], vec![1.0], vec![2.0]],
        );
        assert_eq!(d.turns.iter().map(|t| t.speaker).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(d.voices, [[2.0], [0.0]]);
        assert_eq!((speaker_between(&d.turns, 0.5, 1.8), speaker_between(&d.turns, 5.0, 6.0)), (Some(1), None));
    }
}
