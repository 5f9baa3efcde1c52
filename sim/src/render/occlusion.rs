//! Ambient occlusion estimated from the depth buffer at a quarter of the resolution: corners and contacts get darker.

use super::camera::Intrinsics;
use super::paint::not_below;
use super::raster::{NOTHING, ScreenTriangle};
use super::shade::{LANES, Lanes};
use glam::Vec3;

const STEP: usize = 4;
const SAMPLES: usize = 10;
const RADIUS_M: f32 = 0.22;

/// Openness (1 = free, 0 = buried) on a grid of one value per 4x4 pixels.
#[derive(Clone, Debug, Default)]
pub struct Occlusion {
    columns: usize,
    rows: usize,
    /// Depth and openness side by side: they are read together.
    cells: Vec<[f32; 2]>,
    depth: Vec<f32>,
    raw: Vec<f32>,
}

impl Occlusion {
    /// Estimates openness for the whole image from reciprocal depth and triangle numbers.
    pub fn update(&mut self, camera: &Intrinsics, inverse_z: &[f32], ids: &[u32], triangles: &[ScreenTriangle]) {
        let (w, h) = (camera.width, camera.height);
        self.columns = w.div_ceil(STEP).max(1);
        self.rows = h.div_ceil(STEP).max(1);
        self.raw.clear();
        self.depth.clear();
        let (fx, fy, cx, cy) = (camera.fx as f32, camera.fy as f32, camera.cx as f32, camera.cy as f32);
        let (ifx, ify) = (1.0 / fx, 1.0 / fy);
        let ray = |x: usize, y: usize| Vec3::new((x as i32 as f32 - cx) * ifx, (y as i32 as f32 - cy) * ify, 1.0);
        // The spiral turns from block to block; the blur below takes the pattern out.
        let spirals: [[[f32; 2]; SAMPLES]; 16] = std::array::from_fn(|block| {
            let (bx, by) = (block & 3, block >> 2);
            let phase = ((bx & 1) * 2 + (by & 1) * 3) as f32 * 0.9 + ((bx & 2) + (by & 2)) as f32 * 0.35;
            std::array::from_fn(|k| {
                let t = (k as f32 + 0.5) / SAMPLES as f32;
                let (sin, cos) = (phase + k as f32 * 2.399_963).sin_cos();
                [t * t * cos, t * t * sin]
            })
        });
        for by in 0..self.rows {
            for bx in 0..self.columns {
                let (x, y) = ((bx * STEP + STEP / 2).min(w - 1), (by * STEP + STEP / 2).min(h - 1));
                let id = ids[y * w + x];
                if id == NOTHING {
                    self.raw.push(1.0);
                    self.depth.push(0.0);
                    continue;
                }
                let z = 1.0 / inverse_z[y * w + x];
                let p = ray(x, y) * z;
                let [a, b, c] = triangles[id as usize].inverse_z;
                // The plane 1/z = a x + b y + c in ray space is the plane's normal, pointing away from the camera.
                let n = -Vec3::new(a * fx, b * fy, c + a * cx + b * cy).normalize_or(Vec3::Z);
                let reach = fx * RADIUS_M / z;
                let spiral = &spirals[(by & 3) * 4 + (bx & 3)];
                let mut sum = 0.0;
                for [dx, dy] in spiral {
                    // At least 1.5 pixels away, or the sample would be the point itself.
                    let r = reach.max(3.0);
                    let sx = (x as f32 + r * dx) as i32;
                    let sy = (y as f32 + r * dy) as i32;
                    if sx < 0 || sy < 0 || sx >= w as i32 || sy >= h as i32 {
                        continue;
                    }
                    let iz = inverse_z[sy as usize * w + sx as usize];
                    if iz <= 0.0 {
                        continue;
                    }
                    let v = ray(sx as usize, sy as usize) * (1.0 / iz) - p;
                    let d2 = v.length_squared();
                    if d2 > 1e-8 && d2 < RADIUS_M * RADIUS_M {
                        let cos = n.dot(v) / d2.sqrt();
                        sum += (cos - 0.08).max(0.0) * (1.0 - d2 * (1.0 / (RADIUS_M * RADIUS_M)));
                    }
                }
                self.raw.push((1.0 - 2.0 * sum / SAMPLES as f32).clamp(0.15, 1.0));
                self.depth.push(z);
            }
        }
        self.blur();
    }

    fn blur(&mut self) {
        self.cells.clear();
        for y in 0..self.rows {
            for x in 0..self.columns {
                let centre = self.depth[y * self.columns + x];
                let (mut sum, mut weight) = (0.0, 1e-6);
                for j in y.saturating_sub(1)..=(y + 1).min(self.rows - 1) {
                    for i in x.saturating_sub(1)..=(x + 1).min(self.columns - 1) {
                        let k = j * self.columns + i;
                        let g = if (self.depth[k] - centre).abs() < 0.06 * centre { 1.0 } else { 0.0 };
                        sum += g * self.raw[k];
                        weight += g;
                    }
                }
                self.cells.push([centre, if centre > 0.0 { sum / weight } else { 1.0 }]);
            }
        }
    }

    /// Openness at the pixels of row `y` from column `x` on (a multiple of [`LANES`]), of depth `z`, m, from the four
    /// nearest grid values at a similar depth.
    pub fn openness(&self, x: usize, y: usize, z: &Lanes, out: &mut Lanes) {
        let gy = not_below((y as f32 - 1.5) / STEP as f32, 0.0);
        let iy = gy as usize;
        let fy = gy - iy as f32;
        let row = |j: usize| &self.cells[j.min(self.rows - 1) * self.columns..][..self.columns];
        let mut sum = [0.0; LANES];
        let mut weight = [1e-4; LANES];
        for (cells, share) in [(row(iy), 1.0 - fy), (row(iy + 1), fy)] {
            // The grid spread to pixels; the first two pixels still lie between a cell of the block before and the block's first.
            let mut near = [[0.0f32; LANES + 2 * STEP]; 2];
            for (g, k) in (0..LANES / STEP + 2).zip(x / STEP..) {
                let [depth, open] = cells[k.saturating_sub(1).min(self.columns - 1)];
                near[0][g * STEP..(g + 1) * STEP].fill(depth);
                near[1][g * STEP..(g + 1) * STEP].fill(open);
            }
            let [depth, open] = &near;
            for l in 0..LANES {
                let fx = ((l + 2) % STEP) as i32 as f32 * 0.25 + 0.125;
                let limit = 0.08 * z[l];
                let weigh = |k: usize, w: f32| if (depth[k] - z[l]).abs() < limit { w } else { w * 0.001 };
                let left = weigh(l + 2, (1.0 - fx) * share);
                let right = weigh(l + 2 + STEP, fx * share);
                sum[l] += left * open[l + 2] + right * open[l + 2 + STEP];
                weight[l] += left + right;
            }
        }
        for l in 0..LANES {
            out[l] = (sum[l] + 1e-4) / weight[l];
        }
    }
}
