//! From visible triangles to coloured pixels: what is seen at each pixel, gathered row by row into blocks of neighbours.

use glam::{Mat3A, Vec2, Vec3, Vec3A};

use super::camera::{CameraPose, Intrinsics};
use super::mesh::{Material, Mesh};
use super::occlusion::Occlusion;
use super::raster::{NOTHING, ScreenTriangle};
use super::shade::{LANES, Lanes, Lighting, Points};
use super::texture::{Texture, Textures};
use crate::scene::Pose;

/// One item of the scene with its model.
pub(super) struct Thing {
    pub mesh: Mesh,
    /// Texels per metre of each triangle at the finest level, for the choice of the mip level.
    pub density: Vec<f32>,
    pub pose: Pose,
    pub body: Option<usize>,
    pub id: u32,
    pub centre: Vec3,
    pub radius: f32,
    pub casts: bool,
}

/// The read-only state that colouring a tile needs.
pub(super) struct Painter<'a> {
    pub things: &'a [Thing],
    pub textures: &'a Textures,
    pub lighting: &'a Lighting,
    pub occlusion: &'a Occlusion,
    pub triangles: &'a [ScreenTriangle],
    pub ids: &'a [u32],
    pub inverse_z: &'a [f32],
    pub rotations: Vec<Mat3A>,
    pub background: Vec3,
    pub camera: &'a Intrinsics,
    pub pose: &'a CameraPose,
}

impl Painter<'_> {
    /// Colours the rows from `first_row` on that the three buffers hold.
    pub fn paint(&self, first_row: usize, rgb: &mut [u8], depth: &mut [f32], instance: &mut [u32]) {
        let w = self.camera.width;
        let eye = self.pose.position.as_vec3();
        let turn = self.pose.rotation.as_quat();
        let (ex, ey, ez) = (turn * Vec3::X, turn * Vec3::Y, turn * Vec3::Z);
        let (ifx, ify) = (1.0 / self.camera.fx as f32, 1.0 / self.camera.fy as f32);
        let (cx, cy) = (self.camera.cx as f32, self.camera.cy as f32);
        let empty = self.lighting.tone(self.background);
        let mut face: Option<(u32, Face<'_>)> = None;
        let mut points = Box::new(Points::default());
        let mut z = [1.0; LANES];
        let rows = rgb.chunks_exact_mut(w * 3).zip(depth.chunks_exact_mut(w)).zip(instance.chunks_exact_mut(w));
        for (k, ((rgb, depth), instance)) in rows.enumerate() {
            let y = first_row + k;
            let row_ray = ey * ((y as f32 - cy) * ify) + ez;
            let blocks = rgb.chunks_mut(LANES * 3).zip(depth.chunks_mut(LANES)).zip(instance.chunks_mut(LANES));
            for (k, ((rgb, depth), instance)) in blocks.enumerate() {
                let x = k * LANES;
                let count = depth.len().min(LANES);
                let ids = &self.ids[y * w + x..][..count];
                let mut inverse_z = [1.0; LANES];
                inverse_z[..count].copy_from_slice(&self.inverse_z[y * w + x..][..count]);
                for l in 0..LANES {
                    let column = (x + l) as i32 as f32;
                    let ray = row_ray + ex * ((column - cx) * ifx);
                    // What is empty gets any depth; its colour is not used.
                    z[l] = 1.0 / if inverse_z[l] > 0.0 { inverse_z[l] } else { 1.0 };
                    let back = -1.0 / ray.length();
                    for (c, (e, r)) in [(eye.x, ray.x), (eye.y, ray.y), (eye.z, ray.z)].into_iter().enumerate() {
                        points.position[c][l] = e + r * z[l];
                        points.view[c][l] = r * back;
                    }
                }
                points.begin();
                let mut from = 0;
                for run in ids.chunk_by(|a, b| a == b) {
                    let to = from + run.len();
                    if run[0] == NOTHING {
                        depth[from..to].fill(0.0);
                        instance[from..to].fill(0);
                    } else {
                        // Neighbouring runs mostly show the same triangle, across blocks.
                        let f = match &mut face {
                            Some((id, f)) if *id == run[0] => f,
                            other => &other.insert((run[0], self.face(run[0]))).1,
                        };
                        f.cover(&mut points, from..to, [(x + from) as f32, y as f32], &z, ifx);
                        depth[from..to].copy_from_slice(&z[from..to]);
                        instance[from..to].fill(f.id);
                    }
                    from = to;
                }
                self.occlusion.openness(x, y, &z, &mut points.open);
                let colour = self.lighting.tones(&self.lighting.radiance(&points));
                for (l, pixel) in rgb.chunks_exact_mut(3).enumerate() {
                    if ids[l] == NOTHING {
                        pixel.copy_from_slice(&empty);
                    } else {
                        pixel.copy_from_slice(&[colour[0][l], colour[1][l], colour[2][l]]);
                    }
                }
            }
        }
    }

    /// What the pixels of one triangle have in common.
    fn face(&self, id: u32) -> Face<'_> {
        let tri = &self.triangles[id as usize];
        let thing = &self.things[tri.item as usize];
        let mesh = &thing.mesh;
        let corners = mesh.triangles[tri.index as usize].map(|i| i as usize);
        let rotation = self.rotations[tri.item as usize];
        let normals = corners.map(|i| Vec3::from(rotation * Vec3A::from(mesh.normals[i])).normalize_or(Vec3::Z));
        let material = &mesh.materials[mesh.triangle_materials[tri.index as usize] as usize];
        Face {
            edges: tri.edges,
            flat: normals[0] == normals[1] && normals[0] == normals[2],
            normals,
            uvs: corners.map(|i| mesh.uvs[i] * material.repeat),
            texture: material.texture.map(|t| self.textures.get(t)),
            material,
            density: thing.density[tri.index as usize],
            id: thing.id,
        }
    }
}

/// A visible triangle, ready to be coloured.
struct Face<'a> {
    edges: [[f32; 3]; 3],
    normals: [Vec3; 3],
    uvs: [Vec2; 3],
    flat: bool,
    material: &'a Material,
    texture: Option<&'a Texture>,
    density: f32,
    id: u32,
}

impl Face<'_> {
    /// Writes normal, colour and material of the pixels of one run; `at` is the run's first pixel (column, row), `z` the
    /// depth, m, `pixel` the width of a pixel at 1 m, m.
    fn cover(&self, points: &mut Points, run: std::ops::Range<usize>, at: [f32; 2], z: &Lanes, pixel: f32) {
        points.set_material(run.clone(), self.material);
        // Said so that the loops below need no bounds checks.
        let (from, to) = (run.start, run.end.min(LANES));
        let [nx, ny, nz] = &mut points.normal;
        let n = self.normals;
        if self.flat {
            for l in from..to {
                (nx[l], ny[l], nz[l]) = (n[0].x, n[0].y, n[0].z);
            }
            if self.texture.is_none() {
                return;
            }
        }
        let e = self.edges.map(|[a, b, c]| [a, b * at[1] + c]);
        let (mut b0, mut b1, mut b2) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for l in from..to {
            let x = at[0] + (l - from) as i32 as f32;
            let weight = |i: usize| not_below(e[i][0] * x + e[i][1], 0.0);
            let w = [weight(0), weight(1), weight(2)];
            let share = 1.0 / not_below(w[0] + w[1] + w[2], 1e-30);
            (b0[l], b1[l], b2[l]) = (w[0] * share, w[1] * share, w[2] * share);
        }
        if !self.flat {
            for l in from..to {
                let m = [0, 1, 2].map(|c| n[0][c] * b0[l] + n[1][c] * b1[l] + n[2][c] * b2[l]);
                let scale = 1.0 / not_below(m[0] * m[0] + m[1] * m[1] + m[2] * m[2], 1e-20).sqrt();
                (nx[l], ny[l], nz[l]) = (m[0] * scale, m[1] * scale, m[2] * scale);
            }
        }
        if let Some(texture) = self.texture {
            let [vx, vy, vz] = &points.view;
            let (mut u, mut v, mut lod) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            let uv = self.uvs;
            for l in from..to {
                u[l] = uv[0].x * b0[l] + uv[1].x * b1[l] + uv[2].x * b2[l];
                v[l] = uv[0].y * b0[l] + uv[1].y * b1[l] + uv[2].y * b2[l];
                let slant = not_below((nx[l] * vx[l] + ny[l] * vy[l] + nz[l] * vz[l]).abs(), 0.12);
                let footprint = self.density * z[l] * pixel;
                lod[l] = 0.5 * rough_log2(footprint * footprint / slant);
            }
            texture.sample([&u, &v], &lod, from..to, self.material.colour, &mut points.albedo);
        }
    }
}

/// The larger of two numbers, `low` for NaN. One instruction, where [`f32::max`] takes three.
#[inline(always)]
pub(super) fn not_below(v: f32, low: f32) -> f32 {
    if v > low { v } else { low }
}

/// The bits of a whole number as two's complement, right in the lowest 22 of them: a number from 2^23 to 2^24 has them as its
/// own. A cast would saturate, which has no vector instruction.
#[inline(always)]
pub(super) fn whole(v: f32) -> u32 {
    (v + 12_582_912.0).to_bits()
}

/// Base-2 logarithm to about 0.09, from the bits of the number: enough to choose a mip level.
#[inline(always)]
fn rough_log2(v: f32) -> f32 {
    not_below(v, 1e-6).to_bits() as i32 as f32 * (1.0 / 8_388_608.0) - 127.0
}
