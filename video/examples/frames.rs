//! Reads a clip and says how long a frame took.
//! `cargo run --release -p omnimind-video --example frames -- clip.mp4 [EVERY]`

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: frames CLIP [EVERY]")?;
    let every = std::env::args().nth(2).map_or(Ok(1), |n| n.parse())?;
    let clip = video::Video::open(path.as_ref(), &video::Options { every, ..Default::default() })?;
    println!("{}", clip.info());
    let (begun, mut frames, mut last_s, mut damaged) = (Instant::now(), 0_u32, 0.0, 0_u32);
    for frame in clip {
        match frame {
            Ok(frame) => (frames, last_s) = (frames + 1, frame.time_s),
            Err(error) if error.is_one_frame() => damaged += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    println!("{frames} frames up to {last_s:.3} s, {damaged} damaged, {:.2} ms a frame", ms / f64::from(frames.max(1)));
    Ok(())
}
