//! `omnimind audio speak`

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use omnimind_audio::tts::piper;
use omnimind_audio::tts::{SpeakOptions, Speech, SynthesizeError, Synthesizer, sentences, text};
use serde_json::json;
use sounds::{Clip, Format};

use super::SpeakArgs;
use super::file::{Maker, print_json, print_makers, round};

/// Speaks into a file, or through the loudspeaker sentence by sentence.
pub fn run(args: &SpeakArgs) -> Result<()> {
    let words = args.text.join(" ");
    if !(0.5..=2.0).contains(&args.speed) || !(0.0..=1.0).contains(&args.variation) {
        bail!("--speed goes from 0.5 to 2, --variation from 0 to 1");
    }
    text::check(&words)?;
    let target = args.output.as_deref().map(|path| target(path, args.format)).transpose()?;
    let mut synthesizer = open(args.engine.as_deref(), &args.voice)?;
    // A Piper voice was chosen when it was opened.
    let voice = if synthesizer.engine() == omnimind_audio::tts::Engine::Piper { String::new() } else { args.voice.clone() };
    let options = SpeakOptions { voice, speed: args.speed, variation: args.variation };
    let Some((path, format)) = target else { return play(&mut synthesizer, &words, &options) };
    let speech = synthesizer.speak(&words, &options)?;
    let clip = Clip { sample_rate: speech.sample_rate, channels: 1, samples: speech.samples.clone() };
    let bytes = sounds::encode(&clip, format)?;
    std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    report(args, &words, &speech, &path, format, bytes.len());
    Ok(())
}

fn report(args: &SpeakArgs, words: &str, speech: &Speech, path: &Path, format: Format, bytes: usize) {
    let makers = [maker(speech)];
    if args.json {
        let answer = json!({ "command": "speak", "file": path, "format": format.extension(), "duration_s": round(speech.duration_s(), 3),
            "sample_rate_hz": speech.sample_rate, "channels": 1 });
        let fields = json!({ "bytes": bytes, "voice_id": speech.voice, "text_length": words.chars().count(),
            "word_count": words.split_whitespace().count(), "unknown_phonemes": speech.unknown_phonemes });
        print_json(answer, fields, &makers);
        return;
    }
    println!("{}: {:.2} s, {} Hz, {format}, {bytes} bytes", path.display(), speech.duration_s(), speech.sample_rate);
    if speech.unknown_phonemes > 0 {
        println!("  {} phonemes that the voice does not know were left out", speech.unknown_phonemes);
    }
    print_makers(&makers);
}

fn maker(speech: &Speech) -> Maker {
    let run_ms = (speech.run_ms > 0.0).then_some(speech.run_ms);
    Maker {
        task: "spoken",
        model: speech.engine.name().to_owned(),
        version: format!("voice {}", speech.voice),
        device: speech.device.clone(),
        run_ms,
    }
}

fn target(path: &Path, format: Option<Format>) -> Result<(PathBuf, Format)> {
    match format.or_else(|| Format::from_path(path)) {
        Some(format) => Ok((path.to_path_buf(), format)),
        None => bail!("{} does not end in .wav, .mp3, .ogg or .flac; say --format", path.display()),
    }
}

/// The engine that was asked for, or the first that is here: a Piper voice that was fetched, flite, espeak-ng.
fn open(engine: Option<&str>, voice: &str) -> Result<Synthesizer> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match engine {
        Some("piper") => Ok(Synthesizer::piper(&models::Broker::shared()?, voice, &path)?),
        Some(program @ ("flite" | "espeak-ng")) => match Synthesizer::find(program, &path) {
            Err(SynthesizeError::NoEngine) => bail!("{program} is not installed"),
            found => Ok(found?),
        },
        Some(other) => bail!("there is no engine `{other}`; there are piper, flite and espeak-ng"),
        // A voice belongs to an engine: its name tells which.
        None if voice.is_empty() || voice.ends_with(".onnx") || is_model(voice) => {
            match models::Broker::shared().ok().map(|broker| Synthesizer::piper(&broker, voice, &path)) {
                Some(Ok(synthesizer)) => Ok(synthesizer),
                Some(Err(error)) if !voice.is_empty() => Err(error.into()),
                _ => program(&path),
            }
        }
        None => program(&path),
    }
}

fn program(path: &OsStr) -> Result<Synthesizer> {
    match Synthesizer::find("auto", path) {
        Err(SynthesizeError::NoEngine) => bail!(
            "nothing here can speak: install flite or espeak-ng; with espeak-ng, `omnimind models fetch {} onnxruntime` gets a better voice",
            piper::MODEL
        ),
        found => Ok(found?),
    }
}

fn is_model(voice: &str) -> bool {
    models::Catalogue::load().is_ok_and(|catalogue| catalogue.model(voice).is_ok())
}

/// Programs that play raw samples from their standard input, with their words for one channel of 16 bits at a rate.
fn player(rate: u32) -> Option<(PathBuf, Vec<String>)> {
    let path = std::env::var_os("PATH")?;
    let known: [(&str, String); 3] = [
        ("pacat", format!("--playback --raw --format=s16le --channels=1 --rate={rate}")),
        ("aplay", format!("-q -t raw -f S16_LE -c 1 -r {rate} -")),
        ("ffplay", format!("-loglevel error -nodisp -autoexit -f s16le -ar {rate} -i -")),
    ];
    known.into_iter().find_map(|(name, words)| {
        let file = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())?;
        Some((file, words.split(' ').map(str::to_owned).collect()))
    })
}

fn play(synthesizer: &mut Synthesizer, words: &str, options: &SpeakOptions) -> Result<()> {
    let mut playing: Option<(Child, u32)> = None;
    let mut spoken_s = 0.0;
    let mut last = None;
    for sentence in sentences(words) {
        if playing.is_none() && player(16_000).is_none() {
            bail!("there is no player here (pacat, aplay or ffplay); write a file with -o speech.wav");
        }
        let speech = synthesizer.speak_sentence(&sentence, options)?;
        let (child, _) = match &mut playing {
            Some(playing) => playing,
            none => {
                let Some((program, words)) = player(speech.sample_rate) else { bail!("the player is gone") };
                let child =
                    Command::new(&program).args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
                none.insert((child.with_context(|| format!("cannot run {}", program.display()))?, speech.sample_rate))
            }
        };
        let bytes: Vec<u8> =
            speech.samples.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32_767.0).round() as i16).to_le_bytes()).collect();
        if let Some(pipe) = &mut child.stdin {
            // A player that has gone away says why at its end.
            let _ = pipe.write_all(&bytes);
        }
        spoken_s += speech.duration_s();
        last = Some(speech);
    }
    if let Some((mut child, _)) = playing {
        drop(child.stdin.take());
        let ended = child.wait_with_output().context("the player stopped")?;
        // ffplay calls it a success when there is no sound card, but says so.
        let said = String::from_utf8_lossy(&ended.stderr);
        if !ended.status.success() || !said.trim().is_empty() {
            let reason = said.trim().lines().last().unwrap_or("it failed").to_owned();
            bail!("the player could not play the sound ({reason}); write a file with -o speech.wav");
        }
    }
    if let Some(speech) = last {
        println!("{spoken_s:.2} s");
        print_makers(&[maker(&speech)]);
    }
    Ok(())
}
