//! How long planning takes in the real home: `cargo run --release -p omnimind-planner --example plan_time [home.yaml]`.
//! Prints the first plan with its alternatives, then p50, p95 and maximum of 200 plannings from different places.

use std::path::PathBuf;
use std::time::Instant;

use omnimind_planner::energy::{Charge, EnergyModel};
use omnimind_planner::goals::{Aim, Request};
use omnimind_planner::mission::{Mission, MissionSettings};
use spatial::{Home, Pose2, map_file};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "config/home.yaml".into()));
    let home = Home::load(&file)?;
    let map = map_file::load(&file.with_file_name("home_map.yaml"));
    match &map {
        Ok(map) => println!("map: {} x {} cells", map.width(), map.height()),
        Err(error) => println!("no map ({error}): straight distances"),
    }
    let mut first = Mission::new(MissionSettings::default(), home.clone(), EnergyModel::default());
    if let Ok(map) = &map {
        first.set_map(map);
    }
    let rooms: Vec<String> = home.rooms.iter().map(|r| r.name.clone()).collect();
    let start = home.start_pose();
    let mut times = Vec::new();
    for i in 0..200usize {
        let mut mission = first.clone();
        let pose = home.surfaces.get(i % (home.surfaces.len() + 1)).map_or(start, |s| Pose2::from(s.stand));
        mission.set_pose(pose, 0.0);
        mission.set_charge(Charge { wh: 5.7, capacity_wh: 26.0, draw_w: 12.5, charging: false }, 0.0);
        let aim = Aim::Fetch { object: "cup".into(), room: rooms[i % rooms.len()].clone() };
        mission.accept(Request { id: String::new(), aim, description: String::new(), priority: 0.5, deadline_s: 0.0 }, 0.0)?;
        let begin = Instant::now();
        mission.tick(0.1);
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        if let Some(running) = mission.running().filter(|_| i == 0) {
            println!("{}\n  {} states expanded", running.explanation, running.plan.expanded);
            running.alternatives.iter().for_each(|a| println!("  {a}"));
        }
    }
    println!("first planning, with all distances over the map: {:.1} ms", times[0]);
    times.sort_by(f64::total_cmp);
    println!("p50 {:.1} ms, p95 {:.1} ms, max {:.1} ms", times[100], times[190], times[199]);
    Ok(())
}
