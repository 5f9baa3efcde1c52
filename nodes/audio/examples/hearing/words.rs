//! Word error rate of the generated robot commands, clean and in noise, and of the two recorded readings.

use crate::Arguments;
use crate::synthetic::{recording, sentences, spoken};
use omnimind_audio::features::SAMPLE_RATE;
use omnimind_audio::long::{CutSettings, transcribe};
use omnimind_audio::noise::{babble, mix, white};
use omnimind_audio::recogniser::Guards;
use omnimind_audio::segmenter::Segmenter;
use omnimind_audio::stt::Moonshine;
use omnimind_audio::wer::{normalised, word_errors};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

/// Silence before and after each sentence, s.
const REST_S: f64 = 1.0;
const CONDITIONS: [(&str, f32); 7] =
    [("clean", 0.0), ("white", 20.0), ("white", 10.0), ("white", 5.0), ("babble", 20.0), ("babble", 10.0), ("babble", 5.0)];

#[derive(Default, Clone, Copy)]
struct Tally {
    errors: usize,
    words: usize,
    exact: usize,
    sentences: usize,
}

impl Tally {
    fn add(&mut self, reference: &[String], hypothesis: &[String]) {
        let errors = word_errors(reference, hypothesis);
        self.errors += errors;
        self.words += reference.len();
        self.exact += usize::from(errors == 0);
        self.sentences += 1;
    }

    fn cell(&self) -> String {
        let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        format!(" {:.1} %, {:.0} % |", share(self.errors, self.words), share(self.exact, self.sentences))
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let sentences = sentences()?;
    let every = arguments.number("--every", 1)?.max(1);
    let offset = arguments.number("--offset", 0)?;
    let conditions = arguments.number("--conditions", CONDITIONS.len())?.clamp(1, CONDITIONS.len());
    let mut stt = Moonshine::open(&models::Broker::shared()?)?
        .with_beam(arguments.number("--beam", 4)?)
        .with_views(arguments.number("--views", 3)?);
    if arguments.flag("--vocabulary") {
        let words =
            ["kitchen", "living room", "bedroom", "hallway", "garage", "cup", "bottle", "apple", "remote control", "teddy bear"];
        stt = stt.with_vocabulary(&words.map(str::to_owned), 6.0);
    }
    let (names, voices): (Vec<String>, Vec<_>) = spoken(Path::new(arguments.first()?))?.into_iter().unzip();

    let mut transcripts = String::new();
    let mut published = String::new();
    println!(
        "| voice |{}",
        CONDITIONS[..conditions].iter().fold(String::new(), |mut row, (noise, snr)| {
            let _ = if *noise == "clean" { write!(row, " clean |") } else { write!(row, " {noise} {snr} dB |") };
            row
        })
    );
    println!("|{}", " --- |".repeat(conditions + 1));
    for (v, name) in names.iter().enumerate() {
        let mut tallies = [Tally::default(); CONDITIONS.len()];
        let mut believed = tallies;
        for (n, sentence) in sentences.iter().enumerate().skip(offset).step_by(every) {
            for (c, (noise, snr)) in CONDITIONS.iter().enumerate().take(conditions) {
                let mut rng = Pcg64Mcg::seed_from_u64((v * 1_000 + n) as u64);
                let heard = heard(&voices, v, n, noise, *snr, &mut rng);
                let (text, guarded) = listen(&mut stt, &heard, arguments.flag("--whole"))?;
                let (reference, hypothesis) = (normalised(sentence), normalised(&text));
                tallies[c].add(&reference, &hypothesis);
                believed[c].add(&reference, &normalised(&guarded));
                writeln!(transcripts, "{name}\t{noise}-{snr}\t{n}\t{}\t{}\t{text}", reference.join(" "), hypothesis.join(" "))?;
            }
        }
        let cells = |of: &[Tally]| of[..conditions].iter().map(Tally::cell).collect::<String>();
        println!("| {name} ({}, {} words) |{}", tallies[0].sentences, tallies[0].words, cells(&tallies));
        writeln!(published, "| {name}, published |{}", cells(&believed))?;
    }
    print!("{published}");
    println!("\nPublished: without what the node's guards do not believe (missing words count as errors).");
    println!("\nCells: word error rate, sentences without an error. Signal to noise by the active level of the speech.");
    if let Some(file) = arguments.value("--transcripts") {
        std::fs::write(file, transcripts)?;
    }
    Ok(())
}

/// Text of the recorded readings that come with the recogniser: Samuel Beckett, "Worstward Ho" (six sentences), and the first sentence of Charles
/// Dickens, "A Tale of Two Cities", spelt as in the edition of Project Gutenberg.
const READINGS: [(&str, &str); 2] = [
    ("sample", "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."),
    (
        "sample_long",
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief, it was \
         the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we \
         had everything before us, we had nothing before us, we were all going direct to Heaven, we were all going direct the other way, in short, the \
         period was so far like the present period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the \
         superlative degree of comparison only.",
    ),
];

/// The readings, cut where nobody speaks.
pub fn readings(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let broker = models::Broker::shared()?;
    let mut stt = Moonshine::open(&broker)?.with_beam(4).with_views(3);
    let mut transcripts = String::new();
    println!("| reading | words | errors | word error rate |\n| --- | --- | --- | --- |");
    for (file, text) in READINGS {
        let sound = recording(&broker, file)?;
        let heard = transcribe(&mut stt, &sound, "", &[], &CutSettings::default(), &Guards::default())?;
        let (reference, hypothesis) = (normalised(text), normalised(&heard.text()));
        let errors = word_errors(&reference, &hypothesis);
        println!(
            "| {file}, {:.1} s | {} | {errors} | {:.1} % |",
            sound.len() as f64 / 16e3,
            reference.len(),
            100.0 * errors as f64 / reference.len() as f64
        );
        writeln!(transcripts, "{file}\treading\t0\t{}\t{}\t{}", reference.join(" "), hypothesis.join(" "), heard.text())?;
    }
    if let Some(file) = arguments.value("--transcripts") {
        std::fs::write(file, transcripts)?;
    }
    Ok(())
}

/// What the microphone hears: the sentence with a second of rest around it, in the noise. The babble is six sentences, of the other voices in turn.
fn heard(voices: &[Vec<Vec<f32>>], voice: usize, sentence: usize, noise: &str, snr: f32, rng: &mut impl Rng) -> Vec<f32> {
    let rest = (REST_S * f64::from(SAMPLE_RATE)) as usize;
    let mut speech = vec![0.0; rest];
    speech.extend_from_slice(&voices[voice][sentence]);
    speech.resize(speech.len() + rest, 0.0);
    match noise {
        "white" => mix(&speech, &white(speech.len(), rng), snr),
        "babble" => {
            let others = (1..7).map(|k| {
                let clips = &voices[(voice + k) % voices.len()];
                clips[(sentence + 37 * k) % clips.len()].as_slice()
            });
            mix(&speech, &babble(&others.collect::<Vec<_>>(), speech.len(), rng), snr)
        }
        _ => speech,
    }
}

/// Utterances cut by the segmenter, transcribed one by one: all text, and the text that the node would publish.
fn listen(stt: &mut Moonshine, heard: &[f32], whole: bool) -> Result<(String, String), Box<dyn Error>> {
    if whole {
        let text = stt.transcribe(heard)?.text;
        return Ok((text.clone(), text));
    }
    let mut segmenter = Segmenter::new(1, Default::default(), Default::default());
    let mut utterances = segmenter.push(heard).utterances;
    utterances.extend(segmenter.flush());
    let (mut all, mut believed) = (String::new(), String::new());
    for utterance in utterances {
        let text = stt.transcribe(&utterance.mono())?;
        all.push_str(&text.text);
        all.push(' ');
        if Guards::default().doubt(&text, utterance.duration_s()).is_none() {
            believed.push_str(&text.text);
            believed.push(' ');
        }
    }
    Ok((all, believed))
}
