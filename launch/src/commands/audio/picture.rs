//! A sound as a picture: wave form, mel spectrogram with time and frequency axes, pitch, and what was found below.

use std::path::Path;

use anyhow::{Context as _, Result};
use omnimind_audio::pitch::{Pitch, Yin};
use omnimind_audio::spectrogram::{BANDS, FLOOR_DB, band_of, mel_spectrogram};
use pictures::canvas::{Canvas, Font, magma, wrap};

use super::file::Sound;

const WIDTH: i32 = 1_400;
const LEFT: i32 = 84;
const RIGHT: i32 = 96;
const WAVE: i32 = 90;
/// Pixels per mel band.
const BAND: i32 = 4;
const BACKGROUND: [u8; 3] = [17, 19, 24];
const INK: [u8; 3] = [222, 226, 233];
const FAINT: [u8; 3] = [128, 136, 150];
const GRID: [u8; 3] = [58, 63, 74];
const WAVE_COLOUR: [u8; 3] = [120, 190, 255];
const PITCH: [u8; 3] = [92, 255, 214];
/// Lanes below the spectrogram, in turn.
const LANES: [[u8; 3]; 6] = [[99, 179, 237], [246, 173, 85], [104, 211, 145], [237, 137, 190], [183, 148, 244], [236, 201, 75]];
/// Levels are shown from the loudest down to so much below it, dB.
const RANGE_DB: f32 = 70.0;

/// A stretch of the sound with words about it; marks of one lane have one colour.
pub struct Mark {
    pub start_s: f64,
    pub end_s: f64,
    pub text: String,
    pub lane: usize,
}

/// Draws the sound into a PNG file.
pub fn draw(sound: &Sound, marks: &[Mark], foot: &str, path: &Path) -> Result<()> {
    let image = paint(&sound.title(), &sound.mono, marks, foot);
    image.save_with_format(path, image::ImageFormat::Png).with_context(|| format!("cannot write {}", path.display()))
}

/// Where times lie, in pixels.
struct Axis {
    seconds: f64,
    width: i32,
}

impl Axis {
    fn x(&self, t: f64) -> i32 {
        LEFT + (t / self.seconds * f64::from(self.width)).round().clamp(0.0, f64::from(self.width)) as i32
    }

    /// Seconds between two marks of the axis: a round number, six to twelve of them.
    fn step(&self) -> f64 {
        let rough = self.seconds / 10.0;
        let power = 10_f64.powf(rough.log10().floor());
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(10.0 * power)
    }
}

fn paint(title: &str, mono: &[f32], marks: &[Mark], foot: &str) -> image::RgbImage {
    let axis = Axis { seconds: (mono.len() as f64 / 16_000.0).max(0.01), width: WIDTH - LEFT - RIGHT };
    let columns = ((WIDTH - 2 * 24) / Font::Medium.advance() - 16).max(10) as usize;
    let lines: Vec<(usize, Vec<String>)> = marks.iter().enumerate().map(|(i, m)| (i, wrap(&m.text, columns))).collect();
    let text_rows: i32 = lines.iter().map(|(_, l)| l.len().max(1) as i32).sum();
    let (wave_top, mel_top) = (56, 56 + WAVE + 14);
    let mel_bottom = mel_top + BANDS as i32 * BAND;
    let bars_top = mel_bottom + 40;
    let bars = if marks.is_empty() { 0 } else { 26 };
    let text_top = bars_top + bars + 8;
    let height = text_top + text_rows * 26 + 44;
    let mut canvas = Canvas::new(WIDTH as u32, height as u32, BACKGROUND);
    let title: String = title.chars().take(((WIDTH - 140) / Font::Title.advance()) as usize).collect();
    canvas.text(24, 18, &title, Font::Title, INK);
    wave(&mut canvas, mono, &axis, wave_top);
    spectrogram(&mut canvas, mono, &axis, mel_top);
    times(&mut canvas, &axis, mel_top, mel_bottom);
    for mark in marks {
        let (left, right) = (axis.x(mark.start_s), axis.x(mark.end_s).max(axis.x(mark.start_s) + 2));
        let colour = LANES[mark.lane % LANES.len()];
        canvas.fill(left, bars_top, right - left, 18, colour, 0.9);
        for x in [left, right] {
            canvas.fill(x, wave_top, 1, mel_bottom - wave_top, colour, 0.55);
        }
    }
    let mut y = text_top;
    for (i, lines) in lines {
        let mark = &marks[i];
        let colour = LANES[mark.lane % LANES.len()];
        canvas.text(24, y, &format!("{:6.2} - {:5.2}", mark.start_s, mark.end_s), Font::Medium, colour);
        for line in &lines {
            canvas.text(24 + 16 * Font::Medium.advance(), y, line, Font::Medium, INK);
            y += 26;
        }
        y += if lines.is_empty() { 26 } else { 0 };
    }
    canvas.text(24, height - 30, foot, Font::Small, FAINT);
    canvas.into_image()
}

fn wave(canvas: &mut Canvas, mono: &[f32], axis: &Axis, top: i32) {
    let middle = top + WAVE / 2;
    let peak = mono.iter().fold(1e-3_f32, |p, s| p.max(s.abs()));
    for x in 0..axis.width {
        let at = |x: i32| (mono.len() as f64 * f64::from(x) / f64::from(axis.width)) as usize;
        let part = mono.get(at(x)..at(x + 1).max(at(x) + 1).min(mono.len())).unwrap_or_default();
        let low = part.iter().fold(0.0_f32, |a, s| a.min(*s)) / peak;
        let high = part.iter().fold(0.0_f32, |a, s| a.max(*s)) / peak;
        let scale = (WAVE / 2 - 2) as f32;
        let (up, down) = ((high * scale) as i32, (-low * scale) as i32);
        canvas.fill(LEFT + x, middle - up, 1, up + down + 1, WAVE_COLOUR, 0.85);
    }
    canvas.text(24, middle - 8, "wave", Font::Small, FAINT);
}

fn spectrogram(canvas: &mut Canvas, mono: &[f32], axis: &Axis, top: i32) {
    let columns = mel_spectrogram(mono);
    let height = BANDS as i32 * BAND;
    let loudest = columns.iter().flatten().fold(FLOOR_DB, |a, db| a.max(*db));
    let peak_db = if loudest <= FLOOR_DB { 0.0 } else { loudest };
    let value = |x: f64, band: f32| -> f32 {
        // Between the middles of columns and bands: smooth where the picture is larger than the data.
        let column = |i: i64| columns.get(i.clamp(0, columns.len().saturating_sub(1) as i64) as usize);
        let level =
            |i: i64, b: i32| column(i).and_then(|c| c.get(b.clamp(0, BANDS as i32 - 1) as usize)).copied().unwrap_or(FLOOR_DB);
        let (i, b) = ((x - 0.5).floor(), (band - 0.5).floor());
        let (fx, fb) = ((x - 0.5 - i) as f32, band - 0.5 - b);
        let (i, b) = (i as i64, b as i32);
        let low = level(i, b) * (1.0 - fx) + level(i + 1, b) * fx;
        let high = level(i, b + 1) * (1.0 - fx) + level(i + 1, b + 1) * fx;
        low * (1.0 - fb) + high * fb
    };
    let per_pixel = columns.len() as f64 / f64::from(axis.width);
    for x in 0..axis.width {
        for y in 0..height {
            let band = (height - y) as f32 / BAND as f32 - 0.5 / BAND as f32;
            // A pixel that covers several columns shows the loudest: nothing short is lost.
            let db = if per_pixel > 1.5 {
                let from = (f64::from(x) * per_pixel) as usize;
                let to = ((f64::from(x + 1) * per_pixel).ceil() as usize).min(columns.len());
                (from..to).map(|i| value(i as f64 + 0.5, band)).fold(FLOOR_DB, f32::max)
            } else {
                value((f64::from(x) + 0.5) * per_pixel, band)
            };
            canvas.blend(LEFT + x, top + y, magma(1.0 + (db - peak_db) / RANGE_DB), 1.0);
        }
    }
    for hz in [100, 250, 500, 1_000, 2_000, 3_000, 4_000, 6_000, 8_000] {
        let y = top + height - (band_of(hz as f32) * BAND as f32).round() as i32;
        let label = if hz >= 1_000 { format!("{} kHz", hz / 1_000) } else { format!("{hz} Hz") };
        canvas.fill(LEFT - 6, y, 6, 1, FAINT, 1.0);
        canvas.text(LEFT - 10 - Font::Small.width(&label), y - 8, &label, Font::Small, FAINT);
    }
    pitch(canvas, mono, axis, top + height);
    // What the colours mean.
    let bar = LEFT + axis.width + 16;
    for y in 0..height {
        canvas.fill(bar, top + y, 14, 1, magma(1.0 - y as f32 / height as f32), 1.0);
    }
    for (share, db) in [(0.0, peak_db), (0.5, peak_db - RANGE_DB / 2.0), (1.0, peak_db - RANGE_DB)] {
        let y = top + (share * (height - 1) as f32) as i32;
        canvas.text(bar + 20, (y - 8).clamp(top, top + height - 16), &format!("{db:.0}"), Font::Small, FAINT);
    }
    canvas.text(bar + 20, top + 18, "dB", Font::Small, FAINT);
}

fn pitch(canvas: &mut Canvas, mono: &[f32], axis: &Axis, bottom: i32) {
    let hop = (mono.len() / (axis.width as usize * 2)).max(160);
    let track: Vec<Pitch> = Yin::default().track(mono, hop);
    let point = |i: usize, hz: f32| {
        let t = (i * hop + Yin::FRAME / 2) as f64 / 16_000.0;
        (axis.x(t) as f32, bottom as f32 - band_of(hz) * BAND as f32)
    };
    for (i, pair) in track.windows(2).enumerate() {
        let close = pair[0].hz.max(pair[1].hz) < 1.3 * pair[0].hz.min(pair[1].hz);
        if pair[0].voiced && pair[1].voiced && close {
            canvas.line(point(i, pair[0].hz), point(i + 1, pair[1].hz), 2.0, PITCH);
        }
    }
    if track.iter().any(|p| p.voiced) {
        canvas.fill(WIDTH - 98, 30, 18, 2, PITCH, 1.0);
        canvas.text(WIDTH - 72, 22, "pitch", Font::Small, PITCH);
    }
}

fn times(canvas: &mut Canvas, axis: &Axis, top: i32, bottom: i32) {
    let step = axis.step();
    let digits = if step < 0.1 { 2 } else { usize::from(step < 1.0) };
    let mut n = 0;
    while n as f64 * step <= axis.seconds {
        let t = n as f64 * step;
        let x = axis.x(t);
        canvas.fill(x, top, 1, bottom - top, GRID, 0.35);
        canvas.fill(x, bottom, 1, 6, FAINT, 1.0);
        let label = format!("{t:.digits$} s");
        canvas.text(x - Font::Small.width(&label) / 2, bottom + 9, &label, Font::Small, FAINT);
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_of_any_length_make_a_picture_with_all_their_marks() {
        for n in [1, 100, 16_000, 1_600_000] {
            let sound: Vec<f32> = (0..n).map(|i| 0.3 * (i as f32 * 0.2).sin()).collect();
            let seconds = n as f64 / 16_000.0;
            let mark = |text: &str, lane| Mark { start_s: 0.2 * seconds, end_s: 0.6 * seconds, text: text.to_owned(), lane };
            let plain = paint("a.wav", &sound, &[], "");
            let marked = paint("a.wav", &sound, &[mark(&"word ".repeat(100), 0), mark("", 7)], "foot");
            assert_eq!(plain.width() as i32, WIDTH);
            assert!(marked.height() > plain.height() + 26 * 5);
        }
    }

    #[test]
    fn the_axis_has_round_steps() {
        for (seconds, step) in [(0.5, 0.05), (1.0, 0.1), (3.0, 0.5), (12.0, 2.0), (95.0, 10.0)] {
            assert!((Axis { seconds, width: 100 }.step() - step).abs() < 1e-9, "{seconds}");
        }
    }
}
