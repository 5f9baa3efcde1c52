//! How fast the rasteriser draws a scene, on one thread.

use std::time::Instant;

use super::{CameraPose, Intrinsics, Renderer};
use crate::scene::{Pose, Scene};

/// Figures of one picture size.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Columns and rows.
    pub size: (usize, usize),
    /// Pictures drawn.
    pub frames: usize,
    /// Wall time per picture, s: median over all.
    pub median_s: f64,
    /// Wall time per picture at the slowest place, s: median over its pictures.
    pub slowest_place_s: f64,
    /// Processor time per picture, s: mean over all. On a loaded machine it says more than wall time.
    pub cpu_s: f64,
}

/// Draws `rounds` pictures of `scene` from each of `places` and measures. Still shadows are made before; moving ones count.
pub fn run(scene: &Scene, places: &[CameraPose], size: (usize, usize), rounds: usize) -> Figures {
    let camera = Intrinsics::from_hfov(size.0, size.1, 1.10);
    let bodies: Vec<Pose> = scene.bodies.iter().map(|b| b.pose).collect();
    let mut renderer = Renderer::new(scene);
    let mut by_place = vec![Vec::with_capacity(rounds); places.len()];
    for place in places {
        // Buffers grow to their size once.
        renderer.render(&camera, place, &bodies);
    }
    let (origin, before) = (Instant::now(), cpu_seconds());
    for _ in 0..rounds {
        for (place, times) in places.iter().zip(&mut by_place) {
            let begin = Instant::now();
            std::hint::black_box(renderer.render(&camera, place, &bodies));
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let frames = rounds * places.len();
    let cpu = cpu_seconds().zip(before).map_or_else(|| origin.elapsed().as_secs_f64(), |(now, before)| now - before);
    let slowest_place_s = by_place.iter().map(|times| median(times.clone())).fold(0.0, f64::max);
    Figures { size, frames, median_s: median(by_place.concat()), slowest_place_s, cpu_s: cpu / frames.max(1) as f64 }
}

/// Processor time of this thread, s; none where the system does not tell (Linux: `/proc/thread-self/schedstat`).
pub(crate) fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|ns| ns * 1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DVec3;

    #[test]
    fn every_place_is_drawn_as_often_as_asked() {
        let places = [0.0, 1.0].map(|yaw| CameraPose::from_yaw_pitch(DVec3::new(0.0, 0.0, 0.6), yaw, 0.2));
        let figures = run(&Scene::default(), &places, (32, 24), 3);
        assert_eq!((figures.frames, figures.size), (6, (32, 24)));
        assert!(figures.median_s > 0.0 && figures.slowest_place_s >= figures.median_s * 0.5);
    }

    #[test]
    fn a_bench_of_nothing_is_zero() {
        let figures = run(&Scene::default(), &[], (32, 24), 3);
        assert_eq!((figures.frames, figures.median_s), (0, 0.0));
    }
}
