//! Motion between two pictures: what is left of their difference after the camera's own shift is taken out.

use crate::gray::GrayF;

/// Size at which pictures are compared.
const WIDTH: usize = 80;
const HEIGHT: usize = 60;
/// Largest camera shift looked for, in pixels of that size.
const REACH: isize = 6;
/// Difference that counts as full motion of a pixel, in brightness levels.
const FULL: u8 = 64;
/// Differences up to this are sensor noise.
const NOISE: u8 = 6;
/// Neither side may be smaller, so that shifted pictures still share most of what they show.
const SMALLEST: usize = 16;

/// A picture made small for comparing with the next one, its brightness in whole levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MotionFrame {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

impl MotionFrame {
    /// Shrinks a picture to 80 x 60.
    pub fn new(gray: &GrayF) -> Self {
        let small = gray.shrink(WIDTH, HEIGHT);
        // The conversion saturates; half a level is added to round.
        Self { width: small.width, height: small.height, levels: small.data.iter().map(|v| (v + 0.5) as u8).collect() }
    }

    /// Width, height and the levels, row by row.
    #[must_use]
    pub fn parts(&self) -> (usize, usize, &[u8]) {
        (self.width, self.height, &self.levels)
    }

    /// From what [`MotionFrame::parts`] gave; `None` if these are not so many levels.
    #[must_use]
    pub fn from_parts(width: usize, height: usize, levels: Vec<u8>) -> Option<Self> {
        (width.checked_mul(height) == Some(levels.len())).then_some(Self { width, height, levels })
    }

    /// Motion since `before`, 0..1: the mean difference of the pixels after the best shift of up to 6 of 80 columns and 6 of
    /// 60 rows. A pixel counts from 0 for a difference of 6 levels to 1 for 64. 0 if nothing moved or only the camera turned a
    /// little, 1 if everything changed. `None` if the sizes differ.
    pub fn since(&self, before: &Self) -> Option<f32> {
        if (self.width, self.height) != (before.width, before.height) || self.width < SMALLEST || self.height < SMALLEST {
            return None;
        }
        let mut columns = vec![0_u16; self.width];
        let mut least = f32::INFINITY;
        for dy in -REACH..=REACH {
            for dx in -REACH..=REACH {
                least = least.min(difference(self, before, dx, dy, &mut columns));
            }
        }
        Some(least)
    }
}

/// Mean difference over the part that both pictures show, 0..1, when `before` is shifted. `columns` is room to work in, as
/// long as a row.
fn difference(now: &MotionFrame, before: &MotionFrame, dx: isize, dy: isize, columns: &mut [u16]) -> f32 {
    // How far into each picture the common part begins.
    let (x_now, x_before) = (dx.max(0) as usize, (-dx).max(0) as usize);
    let (y_now, y_before) = (dy.max(0) as usize, (-dy).max(0) as usize);
    let (width, height) = (now.width - x_now.max(x_before), now.height - y_now.max(y_before));
    // A column sums to 60 times 58 at most.
    let columns = &mut columns[..width];
    columns.fill(0);
    for (a, b) in now.levels.chunks_exact(now.width).skip(y_now).zip(before.levels.chunks_exact(before.width).skip(y_before)) {
        for ((sum, a), b) in columns.iter_mut().zip(&a[x_now..]).zip(&b[x_before..]) {
            *sum += u16::from(a.abs_diff(*b).saturating_sub(NOISE).min(FULL - NOISE));
        }
    }
    let sum: u32 = columns.iter().map(|sum| u32::from(*sum)).sum();
    sum as f32 / (u32::from(FULL - NOISE) * (width * height) as u32) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture without repetition, seen from a camera shifted by `shift` pixels.
    fn scene(shift: f32) -> GrayF {
        GrayF::from_fn(160, 120, |x, y| {
            let (x, y) = (x as f32 + shift, y as f32);
            127.0 + 60.0 * (x * 0.05).sin() + 40.0 * (x * 0.013 + y * 0.07).sin()
        })
    }

    fn motion(a: &GrayF, b: &GrayF) -> f32 {
        MotionFrame::new(b).since(&MotionFrame::new(a)).unwrap()
    }

    /// The definition, pixel by pixel and without rounding.
    fn since_by_definition(now: &GrayF, before: &GrayF) -> f32 {
        let mut least = f32::INFINITY;
        for (dx, dy) in (-6..=6).flat_map(|dy| (-6..=6).map(move |dx| (dx, dy))) {
            let (mut sum, mut count) = (0.0, 0.0);
            for (x, y) in (0..60).flat_map(|y| (0..80).map(move |x| (x, y))) {
                let (bx, by) = (x - dx, y - dy);
                if (0..80).contains(&bx) && (0..60).contains(&by) {
                    let d = (now.at(x as usize, y as usize) - before.at(bx as usize, by as usize)).abs();
                    sum += ((d - 6.0) / 58.0).clamp(0.0, 1.0);
                    count += 1.0;
                }
            }
            least = least.min(sum / count);
        }
        least
    }

    #[test]
    fn the_least_of_all_shifts_is_found() {
        let noise = |n: usize| (n.wrapping_mul(2_654_435_761) >> 16 & 0xff) as f32;
        // Blocks of random brightness, so that every shift is another picture; the second is shifted, and half changed.
        for (dx, dy, changed) in [(0, 0, 0), (3, 0, 0), (6, 5, 10), (0, 4, 40), (9, 0, 80)] {
            let world = |x: usize, y: usize| noise((x / 5) * 31 + (y / 5) * 1009);
            let before = GrayF::from_fn(80, 60, |x, y| world(x + 10, y + 10));
            let now =
                GrayF::from_fn(80, 60, |x, y| if x < changed { noise(x + 80 * y) } else { world(x + 10 + dx, y + 10 - dy) });
            for (now, before) in [(&now, &before), (&before, &now)] {
                let found = MotionFrame::new(now).since(&MotionFrame::new(before)).unwrap();
                let expected = since_by_definition(now, before);
                assert!((found - expected).abs() < 1e-6, "{dx} {dy} {changed}: {found} {expected}");
            }
        }
        // Brightness between whole levels is rounded, which moves the answer by less than a level of 58.
        let (a, b) = (scene(0.0).shrink(80, 60), scene(40.0).shrink(80, 60));
        let (found, expected) = (MotionFrame::new(&b).since(&MotionFrame::new(&a)).unwrap(), since_by_definition(&b, &a));
        assert!((found - expected).abs() < 0.005, "{found} {expected}");
    }

    #[test]
    fn the_same_picture_does_not_move() {
        assert_eq!(motion(&scene(0.0), &scene(0.0)), 0.0);
    }

    #[test]
    fn black_to_white_is_full_motion() {
        assert_eq!(motion(&GrayF::from_fn(160, 120, |_, _| 0.0), &GrayF::from_fn(160, 120, |_, _| 255.0)), 1.0);
    }

    #[test]
    fn a_turning_camera_is_not_motion() {
        assert!(motion(&scene(0.0), &scene(6.0)) < 0.01);
    }

    #[test]
    fn something_that_moves_is_seen_by_its_size() {
        let with_box = |left: usize, size: usize| {
            let back = scene(0.0);
            GrayF::from_fn(160, 120, move |x, y| {
                if (left..left + size).contains(&x) && (30..30 + size).contains(&y) { 255.0 } else { back.at(x, y) }
            })
        };
        let small = motion(&with_box(10, 16), &with_box(110, 16));
        let large = motion(&with_box(10, 40), &with_box(110, 40));
        assert!(small > 0.005 && large > 2.0 * small, "{small} {large}");
    }

    #[test]
    fn pictures_that_cannot_be_compared_give_none() {
        assert!(MotionFrame::new(&scene(0.0)).since(&MotionFrame::new(&GrayF::from_fn(8, 8, |_, _| 0.0))).is_none());
    }
}
