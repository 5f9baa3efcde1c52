//! Prints the simulator's real-time factor: `cargo run --release -p omnimind-sim --example real_time_factor [seconds]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(20), |s| s.parse())?;
    let world = sim::sdf::load_world(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf"))?;
    for figures in sim::bench::standard(&world, seconds)? {
        println!("{figures}");
    }
    Ok(())
}
