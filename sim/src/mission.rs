//! What a seed decides: where the objects stand, what is asked for, by whom and from where, and how full the battery is.

use crate::noise::Noise;
use crate::scene::Pose;
use crate::sdf::World;
use glam::{DQuat, DVec3};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How far inside the free edge objects stand, m.
pub const INSIDE_M: f64 = 0.07;
/// How far left and right of the middle objects stand, m; the middle stays free for putting something down.
pub const ASIDE_M: f64 = 0.24;

/// A recorded request.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Sound file in the folder of the index, 16 kHz mono.
    pub file: String,
    /// The words.
    pub text: String,
    /// Spoken label of the object.
    pub object: String,
    /// Spoken label of the room.
    pub room: String,
    /// Who speaks.
    pub voice: String,
}

/// Why the requests could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The index cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The index is not what it should be.
    #[error("{}: {source}", file.display())]
    Index {
        /// The file.
        file: PathBuf,
        /// What and where.
        source: serde_yaml_ng::Error,
    },
    /// A sound file cannot be read.
    #[error("{}: {source}", file.display())]
    Sound {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: hound::Error,
    },
    /// A sound file of another kind.
    #[error("{}: {rate} Hz, {channels} channels; expected 16000 Hz, 1 channel, 16 bit", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Hz.
        rate: u32,
        /// Channels.
        channels: u16,
    },
}

/// Reads `index.yaml` of a folder of recorded requests.
///
/// # Errors
/// [`RequestError`] where it is missing or malformed.
pub fn load_requests(folder: &Path) -> Result<Vec<Request>, RequestError> {
    let file = folder.join("index.yaml");
    let text = std::fs::read_to_string(&file).map_err(|source| RequestError::Read { file: file.clone(), source })?;
    serde_yaml_ng::from_str(&text).map_err(|source| RequestError::Index { file, source })
}

/// Reads a sound of 16 kHz, mono, 16 bit as samples of -1..1.
///
/// # Errors
/// [`RequestError`] where it is missing, broken or of another format.
pub fn load_sound(file: &Path) -> Result<Vec<f32>, RequestError> {
    let broken = |source| RequestError::Sound { file: file.to_owned(), source };
    let reader = hound::WavReader::open(file).map_err(broken)?;
    let spec = reader.spec();
    if spec.sample_rate != crate::sensors::sound::SAMPLE_RATE || spec.channels != 1 || spec.bits_per_sample != 16 {
        return Err(RequestError::Format { file: file.to_owned(), rate: spec.sample_rate, channels: spec.channels });
    }
    reader.into_samples::<i16>().map(|s| s.map(|v| f32::from(v) / 32768.0)).collect::<Result<_, _>>().map_err(broken)
}

/// Everything that the seed decides before the first step.
#[derive(Clone, Debug, PartialEq)]
pub struct Mission {
    /// Model name and pose of each object that spawns.
    pub placements: Vec<(String, Pose)>,
    /// Where the robot begins.
    pub start: Pose,
    /// State of charge at the beginning, 0..1.
    pub state_of_charge: f64,
    /// Model name of the object asked for.
    pub object: String,
    /// Its label.
    pub object_label: String,
    /// Name of the room it shall be brought to.
    pub room: String,
    /// Its label.
    pub room_label: String,
    /// The recording, where there is one.
    pub request: Option<Request>,
    /// Where the person stands who asks, m.
    pub voice: DVec3,
}

/// Why a world gives no mission.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum MissionError {
    /// Nothing to fetch, no rooms, or nowhere to put things.
    #[error("world {world:?} has no {what}")]
    Empty {
        /// World.
        world: String,
        /// What is missing.
        what: &'static str,
    },
    /// More objects than places.
    #[error("{objects} objects and only {places} places on surfaces")]
    Crowded {
        /// Objects.
        objects: usize,
        /// Places.
        places: usize,
    },
}

/// Draws a mission. The asked object is never in the room that it shall be brought to, and that room has a surface; every
/// surface keeps its middle free. Without a fitting recording the words are only text.
///
/// # Errors
/// [`MissionError`] where the world has too little in it.
pub fn draw(world: &World, requests: &[Request], seed: u64) -> Result<Mission, MissionError> {
    let empty = |what| MissionError::Empty { world: world.name.clone(), what };
    let mut noise = Noise::new(seed, "mission");
    let objects: Vec<_> = world.models.iter().filter(|m| m.spawn).collect();
    let has_surface = |room: &str| world.surfaces.iter().any(|s| s.room == room);
    let rooms: Vec<_> = world.rooms.iter().filter(|r| has_surface(&r.name)).collect();
    if objects.is_empty() {
        return Err(empty("objects to fetch"));
    }
    if rooms.len() < 2 {
        return Err(empty("two rooms with surfaces"));
    }
    let fitting: Vec<&Request> = requests
        .iter()
        .filter(|q| objects.iter().any(|o| o.label.as_deref() == Some(&q.object)) && rooms.iter().any(|r| r.label == q.room))
        .collect();
    let request = (!fitting.is_empty()).then(|| fitting[noise.index(fitting.len())].clone());
    let asked = match &request {
        Some(q) => objects.iter().position(|o| o.label.as_deref() == Some(&q.object)).unwrap_or(0),
        None => noise.index(objects.len()),
    };
    let room = match &request {
        Some(q) => rooms.iter().position(|r| r.label == q.room).unwrap_or(0),
        None => noise.index(rooms.len()),
    };
    let mut places: Vec<(usize, f64)> = (0..world.surfaces.len()).flat_map(|s| [(s, ASIDE_M), (s, -ASIDE_M)]).collect();
    if places.len() < objects.len() {
        return Err(MissionError::Crowded { objects: objects.len(), places: places.len() });
    }
    noise.shuffle(&mut places);
    // The asked object takes the first place outside the target room, the others take what is left.
    let own = places
        .iter()
        .position(|(s, _)| world.surfaces[*s].room != rooms[room].name)
        .ok_or_else(|| empty("place for the object"))?;
    let first = places.remove(own);
    places.insert(0, first);
    let order = std::iter::once(asked).chain((0..objects.len()).filter(|i| *i != asked));
    let mut placements = Vec::with_capacity(objects.len());
    for (o, (s, left)) in order.zip(places) {
        let surface = &world.surfaces[s];
        let jitter = noise.between(-0.02, 0.02);
        let at = surface.at(INSIDE_M + noise.between(-0.012, 0.012), left + jitter);
        // The origin of a model is its middle; the file stands every object on the top of a surface.
        let z = surface.height + objects[o].links.first().map_or(0.05, half_height) + 0.002;
        let yaw = surface.yaw + std::f64::consts::PI + noise.between(-0.15, 0.15);
        placements.push((objects[o].name.clone(), Pose { position: at.extend(z), orientation: DQuat::from_rotation_z(yaw) }));
    }
    let start = world.start.map_or(Pose::IDENTITY, |s| {
        let p = s.pose.position;
        let yaw = s.pose.yaw() + noise.between(-std::f64::consts::PI, std::f64::consts::PI);
        Pose::planar(p.x + noise.between(-s.spread, s.spread), p.y + noise.between(-s.spread, s.spread), yaw)
    });
    let voice = match world.voices.len() {
        0 => start.position + DVec3::new(1.0, 0.0, 1.5),
        n => world.voices[noise.index(n)],
    };
    Ok(Mission {
        placements,
        start,
        state_of_charge: noise.between(0.210, 0.226),
        object: objects[asked].name.clone(),
        object_label: objects[asked].label.clone().unwrap_or_else(|| objects[asked].name.clone()),
        room: rooms[room].name.clone(),
        room_label: rooms[room].label.clone(),
        request,
        voice,
    })
}

fn half_height(link: &crate::sdf::Link) -> f64 {
    use crate::scene::Shape;
    link.collisions.first().map_or(0.05, |c| match &c.shape {
        Shape::Box { size } | Shape::Mesh { size, .. } => size.z / 2.0,
        Shape::Cylinder { length, .. } => length / 2.0,
        Shape::Sphere { radius } => *radius,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdf::load_world;

    fn home() -> World {
        load_world(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds/home.sdf")).unwrap()
    }

    fn request(object: &str, room: &str) -> Request {
        Request { file: "a.wav".into(), text: "t".into(), object: object.into(), room: room.into(), voice: "v".into() }
    }

    #[test]
    fn any_seed_gives_a_mission_that_can_be_done() {
        let w = home();
        for seed in 0..300 {
            let m = draw(&w, &[request("cup", "kitchen"), request("vase", "study")], seed).unwrap();
            let q = m.request.as_ref().unwrap();
            assert_eq!((&m.object_label, &m.room_label), (&q.object, &q.room));
            let (_, pose) = m.placements.iter().find(|(n, _)| *n == m.object).unwrap();
            let from = w.room_at(pose.position.truncate());
            assert!(!from.is_empty() && from != m.room, "seed {seed}: {from}");
            assert_eq!(m.placements.len(), w.models.iter().filter(|m| m.spawn).count());
            for (i, (_, a)) in m.placements.iter().enumerate() {
                for (_, b) in &m.placements[..i] {
                    assert!((a.position - b.position).truncate().length() > 0.3, "seed {seed}");
                }
            }
            assert_eq!(w.room_at(m.start.position.truncate()), "hall");
            assert_eq!(w.room_at(m.voice.truncate()), "hall");
            assert!(m.state_of_charge > 0.2 && m.state_of_charge < 0.3);
        }
    }

    #[test]
    fn seeds_repeat_and_vary() {
        let w = home();
        assert_eq!(draw(&w, &[], 7).unwrap(), draw(&w, &[], 7).unwrap());
        let objects: std::collections::BTreeSet<String> = (0..40).map(|s| draw(&w, &[], s).unwrap().object).collect();
        let rooms: std::collections::BTreeSet<String> = (0..40).map(|s| draw(&w, &[], s).unwrap().room).collect();
        assert!(objects.len() >= 4 && rooms.len() == 5, "{objects:?} {rooms:?}");
    }

    #[test]
    fn a_world_without_objects_has_no_mission() {
        let mut w = home();
        w.models.retain(|m| !m.spawn);
        assert!(matches!(draw(&w, &[], 1), Err(MissionError::Empty { .. })));
    }

    #[test]
    fn bad_indexes_and_sounds_are_named() {
        let dir = std::env::temp_dir().join(format!("omnimind-requests-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(matches!(load_requests(&dir), Err(RequestError::Read { .. })));
        std::fs::write(dir.join("index.yaml"), "- {file: a.wav, colour: red}").unwrap();
        assert!(load_requests(&dir).unwrap_err().to_string().contains("colour"));
        std::fs::write(dir.join("a.wav"), b"RIFF").unwrap();
        assert!(matches!(load_sound(&dir.join("a.wav")), Err(RequestError::Sound { .. })));
        let spec =
            hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
        hound::WavWriter::create(dir.join("b.wav"), spec).unwrap().finalize().unwrap();
        assert!(matches!(load_sound(&dir.join("b.wav")), Err(RequestError::Format { .. })));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
