//! Which object is which over time.
//!
//! ByteTrack (Zhang et al. 2021, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box"): each track carries a Kalman filter of
//! its box; detections of high score are assigned first, by overlap weighed with the score, those of low score then to the tracks that got
//! none, so that an object that is half hidden is not lost. Only a detection of high score begins a track, and it has to be seen again
//! in the next picture to count. A track that gets nothing is kept for a while.
//!
//! Two things are not in the paper: time comes from stamps and not from the number of frames, so pictures may come at any rate and may be missing;
//! and a detection with another label than the track's counts for less ([`TrackerSettings::other_label`]). The camera's own motion is not
//! compensated: a quick turn loses tracks.

mod assign;
mod kalman;

use serde::{Deserialize, Serialize};

pub use assign::assign;
use kalman::{Motion, RATE_HZ};

use crate::detect::DetectedObject;

/// Name and version of the tracker, for the provenance.
pub const BYTETRACK: (&str, &str) = ("bytetrack", "1");

/// How objects are followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerSettings {
    /// Detections of at least this score are assigned first and may begin a track, 0..1.
    pub high_score: f32,
    /// Detections below this score are not looked at, 0..1.
    pub low_score: f32,
    /// So much more than `high_score` is needed to begin a track (0.1 in the paper).
    pub birth_margin: f32,
    /// A track that got nothing for so long is forgotten, s (30 frames at 30 Hz in the paper).
    pub buffer_s: f64,
    /// Overlap with a detection of another label counts so much of its value, 0..1 (the paper knows one label: 1).
    pub other_label: f64,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self { high_score: 0.5, low_score: 0.1, birth_margin: 0.0, buffer_s: 1.0, other_label: 0.5 }
    }
}

/// Costs (1 less the overlap) below which pairs are made: high scores, low scores, and tracks seen once (the paper's code).
const FIRST_LIMIT: f64 = 0.8;
const SECOND_LIMIT: f64 = 0.5;
const NEW_LIMIT: f64 = 0.7;
/// Between two pictures that follow each other may lie so much.
const PICTURE_GAP_NS: i64 = 1_000_000_000;
/// A followed and a lost track that overlap more are the same.
const SAME: f64 = 0.85;
/// Tracks that are remembered at most; the longest lost go first.
pub const MAX_TRACKS: usize = 256;

/// What the tracker is shown of a detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation<'a> {
    /// Left, top, right and bottom edge in pixels.
    pub edges: [f64; 4],
    /// The detector's score.
    pub score: f32,
    /// The detector's label.
    pub label: &'a str,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Track {
    /// From the moment that it counts.
    id: Option<u32>,
    label: String,
    motion: Motion,
    began_ns: i64,
    seen_ns: i64,
    lost: bool,
}

impl Track {
    fn take(&mut self, seen: &Observation<'_>, now_ns: i64) {
        self.motion.update(&seen.edges);
        if self.label != seen.label {
            seen.label.clone_into(&mut self.label);
        }
        self.seen_ns = now_ns;
        self.lost = false;
    }
}

/// Follows objects. The same observations give the same numbers; its state can be written and read again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tracker {
    tracks: Vec<Track>,
    last_ns: Option<i64>,
    issued: u32,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tracks that are remembered, lost ones among them.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether there are no tracks.
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// Numbers given out so far. They are never given again.
    pub fn issued(&self) -> u32 {
        self.issued
    }

    /// Shows the tracker a picture's objects and writes into each which one it is. `width` and `height` are the picture's.
    pub fn follow(&mut self, settings: &TrackerSettings, stamp_ns: i64, width: u32, height: u32, objects: &mut [DetectedObject]) {
        let size = [width, height, width, height].map(f64::from);
        let labels: Vec<_> = objects.iter().map(|o| o.label.clone()).collect();
        let seen: Vec<Observation<'_>> = objects
            .iter()
            .zip(&labels)
            .map(|(o, label)| {
                let edges = o.bounding_box.edges();
                Observation { edges: [0, 1, 2, 3].map(|n| f64::from(edges[n]) * size[n]), score: o.confidence, label }
            })
            .collect();
        let numbers = self.update(settings, stamp_ns, &seen);
        objects.iter_mut().zip(numbers).for_each(|(object, number)| object.track = number);
    }

    /// Takes in what was seen at `stamp_ns` and says which object each is: `None` for what is not followed (yet). Observations without an area
    /// are passed over. If time has gone back, everything is forgotten but the numbers given out.
    pub fn update(&mut self, settings: &TrackerSettings, stamp_ns: i64, seen: &[Observation<'_>]) -> Vec<Option<u32>> {
        if self.last_ns.is_some_and(|last| stamp_ns < last) {
            self.tracks.clear();
            self.last_ns = None;
        }
        let first = self.last_ns.is_none();
        let passed_s = self.last_ns.map_or(0.0, |last| stamp_ns.saturating_sub(last) as f64 * 1e-9);
        self.last_ns = Some(stamp_ns);
        let buffer_ns = (settings.buffer_s.clamp(0.0, 1e6) * 1e9) as i64;
        // Those whose time is over are gone before anything is assigned. What was there in the last picture may wait for the next one longer.
        let patience_ns = |t: &Track| if t.lost { buffer_ns } else { buffer_ns.max(PICTURE_GAP_NS) };
        self.tracks.retain(|t| stamp_ns.saturating_sub(t.seen_ns) <= patience_ns(t));
        for track in &mut self.tracks {
            if track.lost {
                track.motion.hold_height();
            }
            track.motion.predict(passed_s * RATE_HZ);
        }
        self.tracks.retain(|t| t.motion.is_sound());

        let sound = |o: &Observation<'_>| {
            o.score.is_finite() && o.edges.iter().all(|v| v.is_finite()) && o.edges[2] > o.edges[0] && o.edges[3] > o.edges[1]
        };
        let chosen = |range: &dyn Fn(f32) -> bool| -> Vec<usize> {
            (0..seen.len()).filter(|n| sound(&seen[*n]) && range(seen[*n].score)).collect()
        };
        let high = chosen(&|score| score >= settings.high_score);
        let low = chosen(&|score| score >= settings.low_score && score < settings.high_score);
        let mut of = vec![None; seen.len()];

        // First: all that count, followed or lost, with the high scores.
        let pool = self.chosen(|t| t.id.is_some());
        let left = self.pair(&pool, seen, &high, settings, true, FIRST_LIMIT, stamp_ns, &mut of);
        // Second: those followed until now that got none, with the low scores.
        let rest: Vec<usize> = pool.into_iter().filter(|n| !of.contains(&Some(*n)) && !self.tracks[*n].lost).collect();
        self.pair(&rest, seen, &low, settings, false, SECOND_LIMIT, stamp_ns, &mut of);
        // Third: those seen once, with the high scores that are left.
        let new = self.chosen(|t| t.id.is_none());
        let left = self.pair(&new, seen, &left, settings, true, NEW_LIMIT, stamp_ns, &mut of);
        // What was seen again counts from now on. What was seen once only was nothing; the others are lost for now.
        for (n, track) in self.tracks.iter_mut().enumerate() {
            track.lost = !of.contains(&Some(n));
            if !track.lost && track.id.is_none() {
                self.issued = self.issued.saturating_add(1);
                track.id = Some(self.issued);
            }
        }
        for n in left.into_iter().filter(|n| seen[*n].score >= settings.high_score + settings.birth_margin) {
            // In the very first picture there is nothing to wait for.
            let id = first.then(|| {
                self.issued = self.issued.saturating_add(1);
                self.issued
            });
            of[n] = Some(self.tracks.len());
            let motion = Motion::new(&seen[n].edges);
            let label = seen[n].label.to_owned();
            self.tracks.push(Track { id, label, motion, began_ns: stamp_ns, seen_ns: stamp_ns, lost: false });
        }
        let ids: Vec<Option<u32>> = self.tracks.iter().map(|t| t.id).collect();
        let numbers: Vec<Option<u32>> = of.into_iter().map(|track| track.and_then(|n| ids[n])).collect();
        self.forget(settings);
        numbers
    }

    fn chosen(&self, which: impl Fn(&Track) -> bool) -> Vec<usize> {
        (0..self.tracks.len()).filter(|n| which(&self.tracks[*n])).collect()
    }

    /// Assigns some observations to some tracks, and gives the observations that are left.
    fn pair(
        &mut self,
        tracks: &[usize],
        seen: &[Observation<'_>],
        which: &[usize],
        settings: &TrackerSettings,
        weigh: bool,
        limit: f64,
        now_ns: i64,
        of: &mut [Option<usize>],
    ) -> Vec<usize> {
        let mut cost = Vec::with_capacity(tracks.len() * which.len());
        for track in tracks.iter().map(|n| &self.tracks[*n]) {
            let edges = track.motion.edges();
            for observation in which.iter().map(|n| &seen[*n]) {
                let label = if track.label == observation.label { 1.0 } else { settings.other_label };
                let score = if weigh { f64::from(observation.score) } else { 1.0 };
                cost.push(1.0 - iou(&edges, &observation.edges) * label * score);
            }
        }
        let pairs = assign(&cost, tracks.len(), which.len(), limit);
        for (track, at) in tracks.iter().zip(&pairs) {
            if let Some(n) = at.map(|at| which[at]) {
                self.tracks[*track].take(&seen[n], now_ns);
                of[n] = Some(*track);
            }
        }
        which.iter().copied().filter(|n| of[*n].is_none()).collect()
    }

    /// Drops what was seen once only, of two tracks of one object the younger, and what is too much.
    fn forget(&mut self, settings: &TrackerSettings) {
        self.tracks.retain(|t| t.id.is_some() || !t.lost);
        let age = |t: &Track| t.seen_ns.saturating_sub(t.began_ns);
        let mut double = vec![false; self.tracks.len()];
        for (a, followed) in self.tracks.iter().enumerate().filter(|(_, t)| !t.lost) {
            for (b, lost) in self.tracks.iter().enumerate().filter(|(_, t)| t.lost) {
                let label = if followed.label == lost.label { 1.0 } else { settings.other_label };
                if iou(&followed.motion.edges(), &lost.motion.edges()) * label > SAME {
                    double[if age(followed) > age(lost) { b } else { a }] = true;
                }
            }
        }
        let mut double = double.into_iter();
        self.tracks.retain(|_| !double.next().unwrap_or(false));
        if self.tracks.len() > MAX_TRACKS {
            self.tracks.sort_by_key(|t| (t.lost, std::cmp::Reverse(t.seen_ns)));
            self.tracks.truncate(MAX_TRACKS);
        }
    }
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let overlap = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |e: &[f64; 4]| (e[2] - e[0]) * (e[3] - e[1]);
    let shared = overlap(0, 2) * overlap(1, 3);
    let all = area(a) + area(b) - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests;
