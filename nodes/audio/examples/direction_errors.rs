//! Errors of the bearing in simulated rooms: speech from every side, 1 m away, with white noise at each microphone.
//!
//!     cargo run --release -p omnimind-audio --example direction_errors

use omnimind_audio::array::ArrayFinder;
use omnimind_audio::direction::DirectionFinder;
use omnimind_audio::features::rms;
use omnimind_audio::noise::white;
use omnimind_audio::room::Room;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use std::path::Path;

const SNR_DB: [f32; 6] = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0];
const DRAWS: u64 = 3;
const LIVING_ROOM: Room = Room { size: [6.0, 5.0, 2.6], absorption: 0.35, max_order: 8 };
const BARE_ROOM: Room = Room { size: [6.0, 5.0, 2.6], absorption: 0.2, max_order: 12 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/assets/speech");
    let mut files: Vec<_> = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "wav"));
    files.sort();
    let mut speech = sounds::read(files.first().ok_or("no speech")?)?.mono();
    speech.truncate(24_000);
    let pair = [[0.0, 0.05], [0.0, -0.05]].as_slice();
    let square = [[0.05, 0.05], [0.05, -0.05], [-0.05, -0.05], [-0.05, 0.05]];
    let (of_pair, of_any) = (DirectionFinder::new(0.10), ArrayFinder::new(pair)?);
    let of_square = ArrayFinder::new(&square)?;
    let by_pair = |c: &[Vec<f32>]| of_pair.bearing(&c[0], &c[1]).ok().map(|b| b.bearing_rad);
    let by_any = |c: &[Vec<f32>]| of_any.bearing(c).ok().map(|b| b.bearing_rad);
    let by_square = |c: &[Vec<f32>]| of_square.bearing(c).ok().map(|b| b.bearing_rad);
    let arrays: [(&Finder<'_>, &[[f64; 2]], &str, i32, i32); 3] = [
        (&by_pair, pair, "2 microphones 0.10 m apart (DirectionFinder)", -90, 90),
        (&by_any, pair, "2 microphones 0.10 m apart (ArrayFinder)", -90, 90),
        (&by_square, &square, "4 microphones in a square of 0.10 m (ArrayFinder)", -180, 165),
    ];
    for (finder, places, name, from, to) in arrays {
        for (room, walls) in [(Room::OPEN_AIR, "open air"), (LIVING_ROOM, "living room"), (BARE_ROOM, "bare room")] {
            println!(
                "\n{name}, {walls}{}\n",
                if room.max_order > 0 { format!(", {:.2} s of reverberation", room.reverberation_s()) } else { String::new() }
            );
            print!("| degrees |");
            SNR_DB.iter().for_each(|snr| print!(" {snr} dB |"));
            println!("\n|{}", " --- |".repeat(SNR_DB.len() + 1));
            let mut worst = [0.0_f64; SNR_DB.len()];
            let mut ahead = worst;
            for degrees in (from..=to).step_by(15) {
                let errors = errors(finder, places, room, &speech, f64::from(degrees));
                print!("| {degrees} |");
                for (i, error) in errors.iter().enumerate() {
                    worst[i] = worst[i].max(*error);
                    if degrees.abs() <= 75 {
                        ahead[i] = ahead[i].max(*error);
                    }
                    print!(" {error:.1} |");
                }
                println!();
            }
            print!("| worst |");
            worst.iter().for_each(|w| print!(" {w:.1} |"));
            print!("\n| worst within 75 degrees of ahead |");
            ahead.iter().for_each(|w| print!(" {w:.1} |"));
            println!();
        }
    }
    println!("\nCells: largest error in degrees of {DRAWS} draws of the noise, over 1.5 s of speech.");
    Ok(())
}

/// Bearing in rad from one slice per microphone.
type Finder<'a> = dyn Fn(&[Vec<f32>]) -> Option<f64> + 'a;

fn errors(finder: &Finder<'_>, places: &[[f64; 2]], room: Room, speech: &[f32], degrees: f64) -> [f64; SNR_DB.len()] {
    let bearing = degrees.to_radians();
    let centre = [room.size[0] / 2.0, room.size[1] / 2.0 - 0.3, room.size[2].min(2.6) / 2.0];
    let source = [centre[0] + bearing.cos(), centre[1] + bearing.sin(), centre[2] + 0.1];
    let microphones: Vec<[f64; 3]> = places.iter().map(|p| [centre[0] + p[0], centre[1] + p[1], centre[2]]).collect();
    let clean = room.hear(source, &microphones, speech);
    SNR_DB.map(|snr| {
        let draws = (0..DRAWS).map(|seed| {
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let mut noisy = clean.clone();
            for channel in &mut noisy {
                let noise = white(channel.len(), &mut rng);
                let gain = rms(channel) / rms(&noise) * 10.0_f32.powf(-snr / 20.0);
                channel.iter_mut().zip(&noise).for_each(|(s, n)| *s += gain * n);
            }
            finder(&noisy).map_or(180.0, |bearing| {
                let off = (bearing.to_degrees() - degrees).rem_euclid(360.0);
                off.min(360.0 - off)
            })
        });
        draws.fold(0.0, f64::max)
    })
}
