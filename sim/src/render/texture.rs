//! Procedural and picture textures with mip levels. Texels are stored with the renderer's square transfer curve.

use glam::Vec3;
use std::ops::Range;

use super::paint::{not_below, whole};
use super::shade::{LANES, Lanes};

/// Index into [`Textures`].
pub type TextureId = usize;

/// A square power-of-two texture that repeats in both directions.
#[derive(Clone, Debug)]
pub struct Texture {
    /// Mip levels, the finest first; level k has side `side >> k`. A texel has red in its lowest byte.
    texels: Vec<u32>,
    /// Where each level starts.
    start: Vec<usize>,
    side: usize,
}

impl Texture {
    /// Builds a texture of `side` x `side` texels (rounded up to a power of two) by asking for each texel's
    /// sRGB-like colour (0..1) at its centre (u, v in 0..1, v up).
    pub fn from_fn(side: usize, colour: impl Fn(f32, f32) -> [f32; 3]) -> Self {
        let side = side.next_power_of_two();
        let mut base = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let c = colour((x as f32 + 0.5) / side as f32, (y as f32 + 0.5) / side as f32);
                let q = |v: f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
                base.push([q(c[0]), q(c[1]), q(c[2]), 255]);
            }
        }
        let mut levels = vec![base];
        let mut s = side;
        while s > 1 {
            let half = s / 2;
            let fine = &levels[levels.len() - 1];
            let mut coarse = Vec::with_capacity(half * half);
            for y in 0..half {
                for x in 0..half {
                    let mut out = [0u8; 4];
                    for (c, o) in out.iter_mut().enumerate() {
                        let at = |dx: usize, dy: usize| {
                            let v = f32::from(fine[(2 * y + dy) * s + 2 * x + dx][c]);
                            v * v
                        };
                        *o = ((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) * 0.25).sqrt().round() as u8;
                    }
                    coarse.push(out);
                }
            }
            levels.push(coarse);
            s = half;
        }
        let start = levels
            .iter()
            .scan(0, |sum, level| {
                *sum += level.len();
                Some(*sum - level.len())
            })
            .collect();
        let texels = levels.concat().into_iter().map(u32::from_le_bytes).collect();
        Self { texels, start, side }
    }

    /// Texels per side of the finest level.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Bilinear samples in linear RGB times `colour` of the `points` at texture coordinates `uv`; `lod` is log2 of texels
    /// per pixel.
    pub fn sample(&self, uv: [&Lanes; 2], lod: &Lanes, points: Range<usize>, colour: Vec3, out: &mut [Lanes; 3]) {
        // Said so that the loops need no bounds checks.
        let (from, to) = (points.start, points.end.min(LANES));
        let log_side = self.side.trailing_zeros();
        let coarsest = log_side as f32;
        let (mut ax, mut ay) = ([0.0; LANES], [0.0; LANES]);
        let mut level = [0u32; LANES];
        // Texel numbers of the corners within the level.
        let mut corners = [[0u32; LANES]; 4];
        for l in from..to {
            let k = not_below(lod[l] + 0.35, 0.0);
            let k = whole(if k < coarsest { k.floor() } else { coarsest }) & 31;
            let shift = log_side - k;
            let mask = (1 << shift) - 1;
            let side = f32::from_bits((127 + shift) << 23);
            let (x, y) = (uv[0][l] * side - 0.5, uv[1][l] * side - 0.5);
            let (fx, fy) = (x.floor(), y.floor());
            (ax[l], ay[l]) = (x - fx, y - fy);
            let (x0, y0) = (whole(fx) & mask, whole(fy) & mask);
            let (x1, y1) = ((x0 + 1) & mask, (y0 + 1) & mask);
            level[l] = k;
            corners[0][l] = (y0 << shift) + x0;
            corners[1][l] = (y0 << shift) + x1;
            corners[2][l] = (y1 << shift) + x0;
            corners[3][l] = (y1 << shift) + x1;
        }
        for l in from..to {
            let texels = self.start.get(level[l] as usize).and_then(|s| self.texels.get(*s..)).unwrap_or_default();
            for corner in &mut corners {
                corner[l] = texels.get(corner[l] as usize).copied().unwrap_or(0);
            }
        }
        let [a, b, c, d] = &corners;
        for (k, out) in out.iter_mut().enumerate() {
            let channel = |t: u32| (t >> (8 * k as u32) & 255) as i32 as f32;
            for l in from..to {
                let top = channel(a[l]) * (1.0 - ax[l]) + channel(b[l]) * ax[l];
                let low = channel(c[l]) * (1.0 - ax[l]) + channel(d[l]) * ax[l];
                let v = (top * (1.0 - ay[l]) + low * ay[l]) * (1.0 / 255.0);
                out[l] = colour[k] * (v * v);
            }
        }
    }
}

/// The textures of a scene, each made once and found by name.
#[derive(Clone, Debug, Default)]
pub struct Textures {
    list: Vec<Texture>,
    names: std::collections::BTreeMap<String, TextureId>,
}

impl Textures {
    /// The texture of that name, made by `make` on first use.
    pub fn named(&mut self, name: &str, make: impl FnOnce() -> Texture) -> TextureId {
        if let Some(&id) = self.names.get(name) {
            return id;
        }
        self.list.push(make());
        self.names.insert(name.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// The texture behind an id.
    #[inline]
    pub fn get(&self, id: TextureId) -> &Texture {
        &self.list[id]
    }
}

fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^= h >> 15;
    (h >> 8) as f32 / 16_777_216.0
}

/// A repeatable pseudo-random number in 0..1 for a cell.
pub fn cell(x: i32, y: i32, seed: u32) -> f32 {
    hash(x, y, seed)
}

/// Smooth value noise in 0..1 that repeats after `period` cells in each direction.
pub fn noise(u: f32, v: f32, period: (i32, i32), seed: u32) -> f32 {
    let (x, y) = (u * period.0 as f32, v * period.1 as f32);
    let (fx, fy) = (x.floor(), y.floor());
    let s = |t: f32| t * t * (3.0 - 2.0 * t);
    let (ax, ay) = (s(x - fx), s(y - fy));
    let at = |dx: i32, dy: i32| hash((fx as i32 + dx).rem_euclid(period.0), (fy as i32 + dy).rem_euclid(period.1), seed);
    let a = at(0, 0) + (at(1, 0) - at(0, 0)) * ax;
    let b = at(0, 1) + (at(1, 1) - at(0, 1)) * ax;
    a + (b - a) * ay
}

/// Several octaves of [`noise`], in 0..1.
pub fn fractal(u: f32, v: f32, period: (i32, i32), octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut amplitude) = (0.0, 0.0, 1.0);
    let mut p = period;
    for k in 0..octaves {
        sum += amplitude * noise(u, v, p, seed + k);
        weight += amplitude;
        amplitude *= 0.5;
        p = (p.0 * 2, p.1 * 2);
    }
    sum / weight
}
