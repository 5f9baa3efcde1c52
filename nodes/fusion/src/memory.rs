//! Object memory: which things stand where, and how sure that is.
//!
//! Sightings are associated with remembered objects by Mahalanobis distance (same label first, another label only when it
//! is practically at the same place), positions are updated by a Kalman filter, and the existence of each object is a
//! log-odds sum: every sighting speaks for it, every look at its place without seeing it speaks against it.

use std::collections::{BTreeMap, VecDeque};

use glam::DVec3;

/// One sighting: a detection placed in the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The detector's label.
    pub label: String,
    /// The detector's score, 0..1.
    pub score: f64,
    /// Centre in the map, m.
    pub position: DVec3,
    /// Standard deviation per axis, m.
    pub sigma: f64,
    /// Size, m.
    pub size: DVec3,
}

/// What a look at the expected place of an object showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The place is not in view, too far, or hidden behind something.
    NotInView,
    /// In view and not detected.
    Missing,
    /// In view, not detected, and the camera sees through the place: surely absent.
    SeenThrough,
}

/// A remembered object.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Object {
    /// Stable identity.
    pub id: u32,
    /// Centre in the map, m.
    #[serde(with = "spatial::plain::dvec3")]
    pub position: DVec3,
    /// Variance per axis, m2.
    pub variance: f64,
    /// Size, m.
    #[serde(with = "spatial::plain::dvec3")]
    pub size: DVec3,
    /// Log-odds of being there.
    pub log_odds: f64,
    /// Sightings under every label, with the sum of scores.
    pub labels: BTreeMap<String, (u32, f64)>,
    /// Time of the last sighting, ns.
    pub last_seen_ns: i64,
    /// Whether the robot holds it.
    pub held: bool,
    /// Spoken of in the last transcripts.
    pub mentioned: bool,
    /// Places it was seen at, newest last.
    #[serde(with = "places")]
    pub history: VecDeque<(i64, DVec3)>,
    updated_ns: i64,
}

/// For serde's `with`: a history.
mod places {
    use std::collections::VecDeque;

    use glam::DVec3;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(places: &VecDeque<(i64, DVec3)>, serializer: S) -> Result<S::Ok, S::Error> {
        places.iter().map(|(at, place)| (*at, place.to_array())).collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<(i64, DVec3)>, D::Error> {
        let places = Vec::<(i64, [f64; 3])>::deserialize(deserializer)?;
        Ok(places.into_iter().map(|(at, place)| (at, DVec3::from_array(place))).collect())
    }
}

impl Object {
    /// The label with most evidence; the alphabetically first of equals.
    #[must_use]
    pub fn label(&self) -> &str {
        let mut best = ("", -1.0);
        for (label, (_, score)) in &self.labels {
            if *score > best.1 {
                best = (label, *score);
            }
        }
        best.0
    }

    /// Sightings under that label.
    #[must_use]
    pub fn sightings(&self) -> u32 {
        self.labels.get(self.label()).map_or(0, |l| l.0)
    }

    /// Probability that it is there: the log-odds, but never above 0.5 after one sighting and 0.6 after two, because one
    /// glitch of the detector lasts as long as one view does.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let cap = match self.sightings() {
            0 | 1 => 0.5,
            2 => 0.6,
            _ => 0.99,
        };
        (1.0 / (1.0 + (-self.log_odds).exp())).min(cap)
    }
}

/// Settings of the memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemorySettings {
    /// Gate of the association with the same label, in standard deviations.
    pub gate_sigmas: f64,
    /// Never associate beyond this distance, m.
    pub gate_m: f64,
    /// Another label is the same thing within this distance, m.
    pub relabel_m: f64,
    /// Growth of the position variance, m2/s (things are moved, the robot's pose drifts).
    pub drift_m2_per_s: f64,
    /// Log-odds of a look without sighting.
    pub missing: f64,
    /// Log-odds of a look through the place.
    pub seen_through: f64,
    /// Objects below this confidence are forgotten.
    pub forget: f64,
    /// Most objects remembered.
    pub capacity: usize,
    /// Most places remembered per object.
    pub history: usize,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            gate_sigmas: 3.5,
            gate_m: 0.45,
            relabel_m: 0.12,
            drift_m2_per_s: 2e-6,
            missing: -0.25,
            seen_through: -1.0,
            forget: 0.05,
            capacity: 200,
            history: 32,
        }
    }
}

/// The memory.
#[derive(Clone, Debug, Default)]
pub struct ObjectMemory {
    settings: MemorySettings,
    objects: Vec<Object>,
    next_id: u32,
}

const LOG_ODDS_LIMIT: f64 = 6.0;

impl ObjectMemory {
    /// An empty memory.
    #[must_use]
    pub fn new(settings: MemorySettings) -> Self {
        Self { settings, objects: Vec::new(), next_id: 1 }
    }

    /// What is remembered, without the settings: the objects, and the next identity.
    #[must_use]
    pub fn content(&self) -> (&[Object], u32) {
        (&self.objects, self.next_id)
    }

    /// Remembers what [`ObjectMemory::content`] gave.
    pub fn set_content(&mut self, objects: Vec<Object>, next_id: u32) {
        (self.objects, self.next_id) = (objects, next_id);
    }

    /// The objects, oldest first.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// One object.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Object> {
        self.objects.iter().find(|o| o.id == id)
    }

    /// Takes the sightings of one picture. `look` tells for an unseen object what the picture shows at its place.
    /// Sightings that are not finite are left out.
    pub fn observe(&mut self, sightings: &[Sighting], stamp_ns: i64, look: impl Fn(&Object) -> Look) {
        let s = self.settings;
        for object in &mut self.objects {
            let dt = (stamp_ns - object.updated_ns).max(0) as f64 * 1e-9;
            object.variance = (object.variance + s.drift_m2_per_s * dt).min(1.0);
            object.updated_ns = object.updated_ns.max(stamp_ns);
        }
        let usable: Vec<&Sighting> = sightings
            .iter()
            .filter(|x| x.position.is_finite() && x.sigma.is_finite() && x.sigma > 0.0 && x.size.is_finite())
            .collect();
        let mut pairs = Vec::new();
        for (i, sighting) in usable.iter().enumerate() {
            for (j, object) in self.objects.iter().enumerate() {
                let distance = sighting.position.distance(object.position);
                let mahalanobis = distance / (object.variance + sighting.sigma * sighting.sigma).sqrt();
                let same = object.label() == sighting.label;
                let near = if same { mahalanobis <= s.gate_sigmas && distance <= s.gate_m } else { distance <= s.relabel_m };
                if near {
                    // Any match of the same label goes before any match of another.
                    pairs.push((!same, mahalanobis, i, j));
                }
            }
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then((a.2, a.3).cmp(&(b.2, b.3))));
        let mut sighting_used = vec![false; usable.len()];
        let mut object_seen = vec![false; self.objects.len()];
        for (_, _, i, j) in pairs {
            if !sighting_used[i] && !object_seen[j] {
                sighting_used[i] = true;
                object_seen[j] = true;
                Self::update(&mut self.objects[j], usable[i], stamp_ns, s.history);
            }
        }
        for (object, seen) in self.objects.iter_mut().zip(&object_seen) {
            if *seen || object.held {
                continue;
            }
            let evidence = match look(object) {
                Look::NotInView => 0.0,
                Look::Missing => s.missing,
                Look::SeenThrough => s.seen_through,
            };
            object.log_odds = (object.log_odds + evidence).max(-LOG_ODDS_LIMIT);
        }
        for (sighting, used) in usable.iter().zip(&sighting_used) {
            if !used {
                self.add(sighting, stamp_ns);
            }
        }
        self.objects.retain(|o| o.held || o.confidence() >= s.forget);
        while self.objects.len() > s.capacity {
            let weakest = self
                .objects
                .iter()
                .enumerate()
                .filter(|(_, o)| !o.held)
                .min_by(|a, b| a.1.confidence().total_cmp(&b.1.confidence()).then(a.1.last_seen_ns.cmp(&b.1.last_seen_ns)));
            match weakest.map(|(i, _)| i) {
                Some(i) => drop(self.objects.remove(i)),
                None => break,
            }
        }
    }

    /// Marks an object as held: it stays at `position` (the gripper) until it is let go.
    pub fn hold(&mut self, id: u32, position: DVec3, stamp_ns: i64) {
        for object in &mut self.objects {
            object.held = object.id == id;
            if object.held {
                object.position = position;
                object.variance = 0.02 * 0.02;
                object.last_seen_ns = stamp_ns;
                object.updated_ns = stamp_ns;
            }
        }
    }

    /// Nothing is held any more; what was held is believed where the gripper let it go.
    pub fn let_go(&mut self) {
        for object in self.objects.iter_mut().filter(|o| o.held) {
            object.held = false;
            object.variance = 0.05 * 0.05;
        }
    }

    /// The likely object nearest to a place within a distance (m): what the gripper has just closed on.
    #[must_use]
    pub fn nearest(&self, position: DVec3, within_m: f64) -> Option<&Object> {
        self.objects
            .iter()
            .filter(|o| o.position.distance(position) <= within_m)
            .min_by(|a, b| a.position.distance(position).total_cmp(&b.position.distance(position)))
    }

    /// Marks the objects whose label is among the words as mentioned, and only those.
    pub fn mention(&mut self, text: &str) {
        let words = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
        for object in &mut self.objects {
            object.mentioned = words.contains(&format!(" {} ", object.label()));
        }
    }

    fn add(&mut self, sighting: &Sighting, stamp_ns: i64) {
        let id = self.next_id;
        self.next_id += 1;
        self.objects.push(Object {
            id,
            position: sighting.position,
            variance: sighting.sigma * sighting.sigma,
            size: sighting.size,
            log_odds: support(sighting.score) - 0.5,
            labels: BTreeMap::from([(sighting.label.clone(), (1, sighting.score))]),
            last_seen_ns: stamp_ns,
            held: false,
            mentioned: false,
            history: VecDeque::from([(stamp_ns, sighting.position)]),
            updated_ns: stamp_ns,
        });
    }

    fn update(object: &mut Object, sighting: &Sighting, stamp_ns: i64, history: usize) {
        let r = sighting.sigma * sighting.sigma;
        let gain = object.variance / (object.variance + r);
        if !object.held {
            object.position += gain * (sighting.position - object.position);
            // Errors of one viewpoint repeat: the variance never falls below a tenth of one measurement's.
            object.variance = ((1.0 - gain) * object.variance).max(0.1 * r);
        }
        object.size += gain.max(0.1) * (sighting.size - object.size);
        object.log_odds = (object.log_odds + support(sighting.score)).min(LOG_ODDS_LIMIT);
        let entry = object.labels.entry(sighting.label.clone()).or_insert((0, 0.0));
        entry.0 += 1;
        entry.1 += sighting.score;
        object.last_seen_ns = object.last_seen_ns.max(stamp_ns);
        object.history.push_back((stamp_ns, sighting.position));
        while object.history.len() > history {
            object.history.pop_front();
        }
    }
}

/// Log-odds that a sighting with this score adds: 0.3 at a score of 0.2, 1.5 at 1.
fn support(score: f64) -> f64 {
    if score.is_finite() { 1.5 * score.clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cup(x: f64, y: f64) -> Sighting {
        Sighting { label: "cup".into(), score: 0.7, position: DVec3::new(x, y, 0.45), sigma: 0.05, size: DVec3::splat(0.1) }
    }

    fn unseen(_: &Object) -> Look {
        Look::NotInView
    }

    #[test]
    fn one_sighting_is_never_believed_and_three_are() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        m.observe(&[Sighting { score: 1.0, ..cup(1.0, 1.0) }], 0, unseen);
        assert!(m.objects()[0].confidence() <= 0.6);
        m.observe(&[Sighting { score: 1.0, ..cup(1.0, 1.0) }], 1, unseen);
        assert!(m.objects()[0].confidence() <= 0.6);
        m.observe(&[cup(1.0, 1.0)], 2, unseen);
        assert!(m.objects()[0].confidence() > 0.8);
        assert_eq!((m.objects().len(), m.objects()[0].sightings()), (1, 3));
    }

    #[test]
    fn a_transient_false_positive_is_forgotten() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        m.observe(&[cup(1.0, 1.0)], 0, unseen);
        for i in 1..30 {
            m.observe(&[], i, |_| Look::Missing);
        }
        assert!(m.objects().is_empty());
    }

    #[test]
    fn averaging_brings_the_place_nearer_to_the_truth() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        for i in 0..40 {
            let e = if i % 2 == 0 { 0.04 } else { -0.04 };
            m.observe(&[cup(2.0 + e, 3.0 - e)], i * 200_000_000, unseen);
        }
        let o = &m.objects()[0];
        assert!((o.position - DVec3::new(2.0, 3.0, 0.45)).length() < 0.02);
        assert!(o.variance.sqrt() < 0.05 && o.variance.sqrt() > 0.01);
        assert!(o.history.len() <= 32);
    }

    #[test]
    fn two_cups_stay_two_and_keep_their_identities() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        for i in 0..10 {
            m.observe(&[cup(1.0, 1.0), cup(1.0, 1.6)], i, unseen);
            m.observe(&[cup(1.0, 1.6), cup(1.0, 1.0)], i, unseen);
        }
        let ids: Vec<u32> = m.objects().iter().map(|o| o.id).collect();
        assert_eq!(ids, [1, 2]);
        assert!((m.get(2).unwrap().position.y - 1.6).abs() < 1e-9);
    }

    #[test]
    fn a_flickering_label_does_not_make_a_second_object() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        for i in 0..9 {
            let label = if i % 3 == 2 { "vase" } else { "cup" };
            m.observe(&[Sighting { label: label.into(), ..cup(1.0, 1.0) }], i, unseen);
        }
        assert_eq!((m.objects().len(), m.objects()[0].label()), (1, "cup"));
    }

    #[test]
    fn what_is_held_moves_with_the_gripper_and_is_not_missed() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        for i in 0..3 {
            m.observe(&[cup(1.0, 1.0)], i, unseen);
        }
        let id = m.nearest(DVec3::new(1.05, 1.0, 0.45), 0.25).unwrap().id;
        m.hold(id, DVec3::new(4.0, 4.0, 0.5), 10);
        for i in 10..100 {
            m.observe(&[], i, |_| Look::SeenThrough);
        }
        let o = m.get(id).unwrap();
        assert!(o.held && o.position.x == 4.0 && o.confidence() > 0.8);
        m.let_go();
        assert!(!m.get(id).unwrap().held);
    }

    #[test]
    fn an_object_that_was_taken_away_loses_belief_and_its_new_place_gains_it() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        for i in 0..5 {
            m.observe(&[cup(1.0, 1.0)], i, unseen);
        }
        for i in 5..13 {
            m.observe(&[cup(3.0, 1.0)], i, |o| if o.position.x < 2.0 { Look::SeenThrough } else { Look::NotInView });
        }
        assert_eq!(m.objects().len(), 1);
        assert!((m.objects()[0].position.x - 3.0).abs() < 1e-6);
    }

    #[test]
    fn mentions_follow_the_words() {
        let mut m = ObjectMemory::new(MemorySettings::default());
        m.observe(&[Sighting { label: "teddy bear".into(), ..cup(1.0, 1.0) }, cup(2.0, 2.0)], 0, unseen);
        m.mention("Hey Omni, bring the teddy bear!");
        assert_eq!(m.objects().iter().map(|o| o.mentioned).collect::<Vec<_>>(), [true, false]);
    }

    proptest! {
        #[test]
        fn whatever_comes_confidences_and_sizes_stay_bounded(
            seen in proptest::collection::vec((-5.0f64..5.0, -5.0f64..5.0, 0.0f64..1.0, 0usize..3), 0..200)
        ) {
            let mut m = ObjectMemory::new(MemorySettings { capacity: 10, ..MemorySettings::default() });
            for (i, (x, y, score, label)) in seen.into_iter().enumerate() {
                let label = ["cup", "vase", "bottle"][label].to_owned();
                let bad = Sighting { position: DVec3::NAN, ..cup(0.0, 0.0) };
                m.observe(&[Sighting { label, score, ..cup(x, y) }, bad], i as i64, |_| Look::Missing);
                prop_assert!(m.objects().len() <= 10);
                for o in m.objects() {
                    prop_assert!((0.0..=1.0).contains(&o.confidence()));
                    prop_assert!(o.position.is_finite() && o.variance > 0.0);
                    if o.sightings() < 3 { prop_assert!(o.confidence() <= 0.6); }
                }
            }
        }
    }
}
