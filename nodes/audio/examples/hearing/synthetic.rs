//! Synthetic voices: flite and espeak-ng as programs, and what tests/audio/speak_commands.py has spoken.

use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::resample::resample;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Peak that every voice is brought to.
const PEAK: f32 = 0.5;

/// The sentences that are spoken.
pub fn sentences() -> Result<Vec<String>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audio/commands.txt");
    Ok(std::fs::read_to_string(path)?.lines().map(str::to_owned).collect())
}

/// A clip at 16 kHz mono, at a fixed peak.
pub fn load(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let clip = omnimind_audio::wav::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut samples = resample(&clip.mono(), 1, clip.sample_rate, SAMPLE_RATE)?;
    let peak = samples.iter().fold(1e-6_f32, |m, s| m.max(s.abs()));
    samples.iter_mut().for_each(|s| *s *= PEAK / peak);
    Ok(samples)
}

/// The voices of a folder: name and clip per sentence, all of them loaded.
pub fn spoken(folder: &Path) -> Result<Vec<(String, Vec<Vec<f32>>)>, Box<dyn Error>> {
    let count = sentences()?.len();
    let mut names: Vec<String> =
        std::fs::read_dir(folder)?.filter_map(|e| e.ok().filter(|e| e.path().is_dir())?.file_name().into_string().ok()).collect();
    names.sort();
    let clips =
        |name: &String| (0..count).map(|n| load(&folder.join(name).join(format!("{n:03}.wav")))).collect::<Result<Vec<_>, _>>();
    names.iter().map(|name| Ok((name.clone(), clips(name)?))).collect()
}

/// A recording that comes with the recogniser.
pub fn recording(broker: &models::Broker, file: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    load(&broker.store().locate(&format!("moonshine_tiny_en/{file}"))?)
}

/// A voice of a program, with its options.
#[derive(Debug, Clone)]
pub struct Voice {
    /// What the tables call it.
    pub name: String,
    program: &'static str,
    options: Vec<String>,
}

impl Voice {
    /// flite's voice `name` with further options.
    pub fn flite(name: &str, options: &[String]) -> Self {
        let mut all = vec!["-voice".to_owned(), name.to_owned()];
        all.extend_from_slice(options);
        Self { name: format!("flite {name}"), program: "flite", options: all }
    }

    /// espeak-ng's voice `name` (language+variant) with further options.
    pub fn espeak(name: &str, options: &[String]) -> Self {
        let mut all = vec!["-v".to_owned(), name.to_owned()];
        all.extend_from_slice(options);
        Self { name: format!("espeak {name}"), program: "espeak-ng", options: all }
    }

    /// What it says, at 16 kHz mono.
    pub fn say(&self, text: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        let path: PathBuf = std::env::temp_dir().join(format!("omnimind-hearing-{}.wav", std::process::id()));
        let mut command = Command::new(self.program);
        command.args(&self.options);
        match self.program {
            "flite" => command.arg("-t").arg(text).arg("-o").arg(&path),
            _ => command.arg("-w").arg(&path).arg("--").arg(text),
        };
        let status = command.status().map_err(|e| format!("{}: {e}", self.program))?;
        if !status.success() {
            return Err(format!("{} failed: {status}", self.program).into());
        }
        let samples = load(&path);
        std::fs::remove_file(&path)?;
        samples
    }
}

/// Voices that are told apart in the tests.
pub fn test_voices() -> Vec<Voice> {
    let mut voices: Vec<Voice> = ["slt", "rms", "awb", "kal16"].map(|v| Voice::flite(v, &[])).into();
    let variants = [
        "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Andy", "Annie", "Denis", "Gene", "Jacky",
        "Lee", "Mario", "Michael", "belinda", "linda", "steph",
    ];
    voices.extend(variants.map(|v| Voice::espeak(&format!("en-us+{v}"), &[])));
    voices
}

/// Other voices: strangers.
pub fn strangers() -> Vec<Voice> {
    let variants = [
        "Alex",
        "Alicia",
        "Andrea",
        "Diogo",
        "Henrique",
        "Hugo",
        "Marco",
        "Mike",
        "Nguyen",
        "RicishayMax",
        "adam",
        "anika",
        "antonio",
        "aunty",
        "benjamin",
        "boris",
        "caleb",
        "david",
        "ed",
        "edward",
        "grandma",
        "grandpa",
        "gustave",
        "iven",
        "iven2",
        "john",
        "kaukovalta",
        "klatt",
        "klatt3",
        "marcelo",
        "max",
        "michel",
        "miguel",
        "norbert",
        "pablo",
        "paul",
        "pedro",
        "quincy",
        "rob",
        "robert",
        "sandro",
        "travis",
        "victor",
        "zac",
    ];
    variants.map(|v| Voice::espeak(&format!("en-gb+{v}"), &[])).into()
}
