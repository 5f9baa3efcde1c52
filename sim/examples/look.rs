//! Writes what the robot's camera sees at a pose: `cargo run --release -p omnimind-sim --example look x y yaw out.png [seed]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [x, y, yaw, out, rest @ ..] = args.as_slice() else { return Err("usage: look x y yaw out.png [seed]".into()) };
    let world = sim::sdf::load_world(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf"))?;
    let seed = rest.first().map_or(Ok(1), |s| s.parse())?;
    let mut simulation = sim::Simulation::new(world, &sim::Options { seed, ..sim::Options::default() })?;
    simulation.physics_mut().place_robot(&sim::scene::Pose::planar(x.parse()?, y.parse()?, yaw.parse()?));
    let mut picture = None;
    while picture.is_none() {
        picture = simulation.step().picture;
    }
    if let Some(p) = picture {
        image::save_buffer(out, &p.rgb, p.width as u32, p.height as u32, image::ColorType::Rgb8)?;
    }
    for (name, pose) in &simulation.mission().placements {
        println!("{name}: {:.2} {:.2}", pose.position.x, pose.position.y);
    }
    Ok(())
}
