//! How fast the simulator is: the real-time factor on one core, with and without the camera.

use crate::simulation::{Options, Simulation, SimulationError, TICK_S};
use crate::sdf::World;
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
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<28} {:5.0} s simulated, real-time factor mean {:6.2}, median {:6.2}, least {:6.2}",
            self.name, self.simulated_s, self.mean, self.median, self.least
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
    let begin = Instant::now();
    for _ in 0..seconds {
        let second = Instant::now();
        for _ in 0..ticks {
            sim.command_drive(0.1, 1.0);
            sim.step();
        }
        factors.push(1.0 / second.elapsed().as_secs_f64().max(1e-9));
    }
    let mean = seconds as f64 / begin.elapsed().as_secs_f64().max(1e-9);
    factors.sort_by(f64::total_cmp);
    Ok(Figures {
        name: name.to_owned(),
        simulated_s: seconds as f64,
        mean,
        median: factors.get(factors.len() / 2).copied().unwrap_or(0.0),
        least: factors.first().copied().unwrap_or(0.0),
    })
}

/// The standard set: without camera, and with 640 x 480 at 5 Hz, each on one thread.
///
/// # Errors
/// [`SimulationError`] where the world cannot be simulated.
pub fn standard(world: &World, seconds: usize) -> Result<Vec<Figures>, SimulationError> {
    let blind = Options { camera: false, ..Options::default() };
    Ok(vec![
        run("without camera", world, &blind, seconds)?,
        run("with camera 640x480 at 5 Hz", world, &Options::default(), seconds)?,
    ])
}
