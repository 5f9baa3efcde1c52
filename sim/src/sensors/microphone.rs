//! The microphone array: delay, distance and walls between each source and each microphone, and the array's own noise.

use super::sound::{BLOCK, SAMPLE_RATE, Source, rms_of_level};
use crate::noise::Noise;
use crate::physics::convert::vector;
use crate::physics::{Part, Physics};
use crate::scene::Pose;
use glam::DVec3;
use rapier3d::prelude::{Collider, ColliderHandle, QueryFilter, Ray};

/// m/s.
pub const SPEED_OF_SOUND: f64 = 343.0;
/// Nearer than this a source gets no louder, m.
const NEAREST_M: f64 = 0.25;
/// Behind a wall: amplitude, and the corner of the low-pass, Hz.
const WALL_GAIN: f64 = 0.3;
const WALL_CORNER_HZ: f64 = 900.0;
/// Self-noise of a microphone, dB at full-scale reference.
const FLOOR_DB: f64 = 30.0;

#[derive(Clone, Copy, Debug, Default)]
struct Route {
    delay: f64,
    gain: f64,
    smoothing: f64,
    state: f64,
    known: bool,
}

/// State between blocks.
#[derive(Clone, Debug)]
pub struct MicrophoneArray {
    places: Vec<DVec3>,
    routes: Vec<Route>,
    noise: Noise,
}

impl MicrophoneArray {
    /// An array of microphones at these places in base_link.
    pub fn new(places: Vec<DVec3>, noise: Noise) -> Self {
        Self { places, routes: Vec::new(), noise }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.places.len()
    }

    /// Hears one block of all sources, interleaved, clipped at full scale.
    pub fn hear(&mut self, physics: &Physics, sources: &[Source]) -> Vec<f32> {
        let n = self.places.len();
        let base = physics.base_pose();
        self.routes.resize(sources.len() * n, Route::default());
        let mut mix = vec![0.0_f64; BLOCK * n];
        for (s, source) in sources.iter().enumerate() {
            let middle = base.transform(DVec3::new(0.0, 0.0, 0.65));
            let walls = walls_between(physics, source.position, middle);
            for (m, place) in self.places.iter().enumerate() {
                let route = &mut self.routes[s * n + m];
                let before = *route;
                route_to(route, &base, *place, source.position, walls);
                let from = if before.known { before } else { *route };
                for i in 0..BLOCK {
                    let t = (i + 1) as f64 / BLOCK as f64;
                    let raw = source.heard(i, from.delay + (route.delay - from.delay) * t);
                    route.state += route.smoothing * (raw - route.state);
                    mix[i * n + m] += route.state * (from.gain + (route.gain - from.gain) * t);
                }
            }
        }
        let floor = rms_of_level(FLOOR_DB);
        mix.into_iter().map(|v| (v + self.noise.gaussian(floor)).clamp(-1.0, 1.0) as f32).collect()
    }
}

fn route_to(route: &mut Route, base: &Pose, place: DVec3, source: DVec3, walls: usize) {
    let distance = (base.transform(place) - source).length();
    route.delay = distance / SPEED_OF_SOUND * f64::from(SAMPLE_RATE);
    route.gain = WALL_GAIN.powi(walls.min(2) as i32) / distance.max(NEAREST_M);
    route.smoothing = if walls == 0 {
        1.0
    } else {
        1.0 - (-std::f64::consts::TAU * WALL_CORNER_HZ / walls as f64 / f64::from(SAMPLE_RATE)).exp()
    };
    route.known = true;
}

// How many static solids lie on the straight line; up to two count.
fn walls_between(physics: &Physics, from: DVec3, to: DVec3) -> usize {
    let still = |_: ColliderHandle, c: &Collider| matches!(Part::of(c), Part::Static(_));
    let query = physics.engine.query_pipeline_with_filter(QueryFilter::default().predicate(&still));
    let mut at = from;
    let mut count = 0;
    while count < 2 {
        let way = to - at;
        let length = way.length();
        if length < 0.05 {
            break;
        }
        let direction = way / length;
        match query.cast_ray(&Ray::new(vector(at), vector(direction)), length as f32, true) {
            // A source inside its own appliance is not behind it.
            Some((_, d)) if d > 0.0 => {
                count += 1;
                at += direction * (f64::from(d) + 0.3);
                if (to - at).dot(direction) <= 0.0 {
                    break;
                }
            }
            Some(_) => at += direction * 0.3,
            None => break,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdf::load_world;
    use std::path::Path;

    fn physics() -> Physics {
        let w = load_world(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf")).unwrap();
        let mut p = Physics::new(&w, 1).unwrap();
        p.place_robot(&Pose::planar(5.2, 1.8, 0.0));
        p.step();
        p
    }

    fn hear_click(position: DVec3) -> Vec<f32> {
        let p = physics();
        let places = vec![DVec3::new(0.0, 0.05, 0.65), DVec3::new(0.0, -0.05, 0.65)];
        let mut array = MicrophoneArray::new(places, Noise::new(1, "m"));
        let mut source = Source::player(position, 1.0);
        // A bump of 1 ms, smooth enough to be found between the samples.
        source.push((0..16).map(|i| (std::f32::consts::PI * i as f32 / 16.0).sin()));
        let mut out = Vec::new();
        for _ in 0..3 {
            source.advance(0.0);
            out.extend(array.hear(&p, std::slice::from_ref(&source)));
        }
        out
    }

    fn centre(out: &[f32], channel: usize) -> f64 {
        let v: Vec<f64> = out.iter().skip(channel).step_by(2).map(|s| f64::from(*s)).collect();
        let sum: f64 = v.iter().map(|s| s * s).sum();
        v.iter().enumerate().map(|(i, s)| i as f64 * s * s).sum::<f64>() / sum
    }

    #[test]
    fn sound_from_the_left_reaches_the_left_microphone_first_by_the_path_difference() {
        let out = hear_click(DVec3::new(5.2, 3.2, 0.65));
        let lag = centre(&out, 1) - centre(&out, 0);
        let expected = 0.10 / SPEED_OF_SOUND * 16_000.0;
        assert!((lag - expected).abs() < 0.3, "{lag} samples, expected {expected}");
    }

    #[test]
    fn sound_fades_with_distance_and_is_muffled_behind_a_wall() {
        let loud = |p| hear_click(p).iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let (near, far) = (loud(DVec3::new(5.2, 2.8, 0.65)), loud(DVec3::new(5.2, 3.3, 0.65)));
        assert!((f64::from(near / far) - 1.5).abs() < 0.1, "{near} {far}");
        let hidden = loud(DVec3::new(7.0, 0.9, 0.65));
        assert!(hidden < 0.4 * near / 2.0, "{hidden}");
    }
}
