//! Motion between two pictures: what is left of their difference after the camera's own shift is taken out.

use crate::gray::GrayF;

/// Size at which pictures are compared.
const WIDTH: usize = 80;
const HEIGHT: usize = 60;
/// Largest camera shift looked for, in pixels of that size.
const REACH: isize = 6;
/// Difference that counts as full motion of a pixel, in brightness levels.
const FULL: f32 = 64.0;
/// Differences below this are sensor noise.
const NOISE: f32 = 6.0;

/// A picture made small for comparing with the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct MotionFrame(GrayF);

impl MotionFrame {
    /// Shrinks a picture to 80 x 60.
    pub fn new(gray: &GrayF) -> Self {
        Self(gray.shrink(WIDTH, HEIGHT))
    }

    /// Motion since `before`, 0..1: the mean difference of the pixels after the best shift of up to 6 of 80 columns and 6 of
    /// 60 rows. 0 if nothing moved or only the camera turned a little, 1 if everything changed. `None` if the sizes differ.
    pub fn since(&self, before: &Self) -> Option<f32> {
        let (now, before) = (&self.0, &before.0);
        if (now.width, now.height) != (before.width, before.height) || now.width < 16 || now.height < 16 {
            return None;
        }
        let at_rest = difference(now, before, 0, 0);
        let mut least = at_rest;
        for dy in -REACH..=REACH {
            for dx in -REACH..=REACH {
                least = least.min(difference(now, before, dx, dy));
            }
        }
        Some(least)
    }
}

/// Mean difference over the part that both pictures show, 0..1, when `before` is shifted.
fn difference(now: &GrayF, before: &GrayF, dx: isize, dy: isize) -> f32 {
    let range = |size: usize, d: isize| d.max(0) as usize..(size as isize + d.min(0)) as usize;
    let mut sum = 0.0;
    let (rows, columns) = (range(now.height, dy), range(now.width, dx));
    for y in rows.clone() {
        let other = (y as isize - dy) as usize * before.width;
        for x in columns.clone() {
            let d = (now.at(x, y) - before.data[other + (x as isize - dx) as usize]).abs();
            sum += ((d - NOISE) / (FULL - NOISE)).clamp(0.0, 1.0);
        }
    }
    sum / (rows.len() * columns.len()) as f32
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
