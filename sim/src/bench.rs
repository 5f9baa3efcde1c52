//! How fast the simulator is: the real-time factor on one core, with and without the camera, and the rasteriser by itself.

use crate::build_scene::scene_of;
use crate::render::{CameraPose, bench as raster};
use crate::sdf::World;
use crate::simulation::{Options, Simulation, SimulationError, TICK_S};
use std::time::Instant;

/// Figures of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// What was run.
    pub name: String,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Simulated time over wall time: of the whole run, and median and least over its seconds.
    pub mean: f64,
    /// See `mean`.
    pub median: f64,
    /// See `mean`.
    pub least: f64,
    /// Simulated time over processor time: on a loaded machine it says more than wall time.
    pub per_cpu_second: f64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<28} {:5.0} s simulated, real-time factor mean {:6.2}, median {:6.2}, least {:6.2}, per CPU second {:6.2}",
            self.name, self.simulated_s, self.mean, self.median, self.least, self.per_cpu_second
        )
    }
}

/// Runs a world for `seconds` of simulated time, the robot driving circles, and measures.
///
/// # Errors
/// [`SimulationError`] where the world cannot be simulated.
pub fn run(name: &str, world: &World, options: &Options, seconds: usize) -> Result<Figures, SimulationError> {
    let mut sim = Simulation::new(world.clone(), options)?;
    let ticks = (1.0 / TICK_S).round() as usize;
    let mut factors = Vec::with_capacity(seconds);
    let (begin, cpu) = (Instant::now(), raster::cpu_seconds());
    for _ in 0..seconds {
        let second = Instant::now();
        for _ in 0..ticks {
            sim.command_drive(0.1, 1.0);
            sim.step();
        }
        factors.push(1.0 / second.elapsed().as_secs_f64().max(1e-9));
    }
    let wall_s = begin.elapsed().as_secs_f64().max(1e-9);
    let cpu_s = raster::cpu_seconds().zip(cpu).map_or(wall_s, |(now, before)| (now - before).max(1e-9));
    let mean = seconds as f64 / wall_s;
    factors.sort_by(f64::total_cmp);
    Ok(Figures {
        name: name.to_owned(),
        simulated_s: seconds as f64,
        mean,
        median: factors.get(factors.len() / 2).copied().unwrap_or(0.0),
        least: factors.first().copied().unwrap_or(0.0),
        per_cpu_second: seconds as f64 / cpu_s,
    })
}

/// The standard set, each on one thread: without camera, with RGB-D 320 x 240 at 15 Hz, and with 640 x 480 at 5 Hz (the demo's).
///
/// # Errors
/// [`SimulationError`] where the world cannot be simulated.
pub fn standard(world: &World, seconds: usize) -> Result<Vec<Figures>, SimulationError> {
    let blind = Options { camera: false, ..Options::default() };
    let small = Options { camera_size: Some((320, 240)), camera_rate_hz: Some(15.0), ..Options::default() };
    Ok(vec![
        run("without camera", world, &blind, seconds)?,
        run("with RGB-D 320x240 at 15 Hz", world, &small, seconds)?,
        run("with RGB-D 640x480 at 5 Hz", world, &Options::default(), seconds)?,
    ])
}

/// The rasteriser alone: the world from 0.9 m before each of its surfaces, looking at it and looking back into the room, shadows on.
pub fn rasteriser(world: &World, size: (usize, usize), rounds: usize) -> raster::Figures {
    const EYE_M: f64 = 0.62;
    const PITCH_RAD: f64 = 0.35;
    let places: Vec<CameraPose> = world
        .surfaces
        .iter()
        .flat_map(|surface| {
            let eye = surface.at(-0.9, 0.0).extend(EYE_M);
            [surface.yaw, surface.yaw + std::f64::consts::PI].map(|yaw| CameraPose::from_yaw_pitch(eye, yaw, PITCH_RAD))
        })
        .collect();
    raster::run(&scene_of(world), &places, size, rounds)
}
