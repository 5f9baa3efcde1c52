//! The embedded simulator and its rasteriser, on one thread.

use anyhow::Result;

use super::report::{Goal, Group, Row};

/// Simulates `seconds` of the demo's world in each configuration, and draws it.
pub fn measure(seconds: f64) -> Result<Group> {
    let world = sim::sdf::load_world(&crate::share::dir().unwrap_or_default().join("sim/worlds/home.sdf"))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let simulated_s = ((seconds * 10.0) as usize).max(3);
    let mut rows = Vec::new();
    let goals = [Some(Goal::AtLeast(10.0)), Some(Goal::AtLeast(3.0)), None];
    for (figures, goal) in sim::bench::standard(&world, simulated_s)?.into_iter().zip(goals) {
        let note = format!(
            "{simulated_s} s simulated, median of them; slowest {:.1}, per CPU second {:.1}",
            figures.least, figures.per_cpu_second
        );
        let mut row = Row::new(format!("real-time factor {}", figures.name), figures.median, "x", note);
        row.goal = goal;
        rows.push(row);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rounds = ((seconds * 2.0) as usize).max(3);
    for (size, goal) in [((320, 240), 60.0), ((640, 480), 30.0)] {
        let figures = sim::bench::rasteriser(&world, size, rounds);
        let note = format!(
            "{} pictures with shadows, median; slowest place {:.1}, per CPU second {:.1}",
            figures.frames,
            1.0 / figures.slowest_place_s,
            1.0 / figures.cpu_s
        );
        let row = Row::new(format!("rasteriser {}x{}", size.0, size.1), 1.0 / figures.median_s, "frames/s", note);
        rows.push(row.goal(Goal::AtLeast(goal)));
    }
    Ok(Group { title: "simulator, sim/worlds/home.sdf, one thread", rows })
}
