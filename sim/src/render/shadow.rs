//! Shadow map of the parallel key light: an orthographic depth picture, static casters drawn once, moving ones per frame.

use glam::Vec3;

use super::paint::whole;
use super::shade::{LANES, Lanes};

/// Orthographic depth map seen along the light's direction.
#[derive(Clone, Debug)]
pub struct ShadowMap {
    side: usize,
    right: Vec3,
    up: Vec3,
    along: Vec3,
    origin: Vec3,
    texels_per_metre: f32,
    still: Vec<f32>,
    depth: Vec<f32>,
    /// Rectangles (x0, y0, x1, y1, inclusive) that moving casters wrote into.
    dirty: Vec<[usize; 4]>,
}

impl ShadowMap {
    /// A map of `side` x `side` texels that covers the box `lo..hi` seen along `direction` (the way the light travels).
    pub fn new(lo: Vec3, hi: Vec3, direction: Vec3, side: usize) -> Self {
        let along = direction.normalize_or(-Vec3::Z);
        let right = along.any_orthonormal_vector();
        let up = along.cross(right);
        let mut min = Vec3::MAX;
        let mut max = Vec3::MIN;
        for k in 0..8 {
            let c = Vec3::new(
                if k & 1 == 0 { lo.x } else { hi.x },
                if k & 2 == 0 { lo.y } else { hi.y },
                if k & 4 == 0 { lo.z } else { hi.z },
            );
            let p = Vec3::new(c.dot(right), c.dot(up), c.dot(along));
            min = min.min(p);
            max = max.max(p);
        }
        let extent = (max.x - min.x).max(max.y - min.y).max(0.5);
        Self {
            side,
            right,
            up,
            along,
            origin: min,
            texels_per_metre: (side as f32 - 4.0) / extent,
            still: vec![f32::MAX; side * side],
            depth: vec![f32::MAX; side * side],
            dirty: Vec::new(),
        }
    }

    #[inline]
    fn to_map(&self, p: Vec3) -> Vec3 {
        Vec3::new(
            (p.dot(self.right) - self.origin.x) * self.texels_per_metre + 2.0,
            (p.dot(self.up) - self.origin.y) * self.texels_per_metre + 2.0,
            p.dot(self.along) - self.origin.z,
        )
    }

    /// Draws one world-space triangle (either winding).
    pub fn draw(&mut self, v: [Vec3; 3], moving: bool) {
        let p = [self.to_map(v[0]), self.to_map(v[1]), self.to_map(v[2])];
        let area = (p[1].x - p[0].x) * (p[2].y - p[0].y) - (p[1].y - p[0].y) * (p[2].x - p[0].x);
        if area.abs() < 1e-9 {
            return;
        }
        let limit = self.side as f32 - 1.0;
        let min = p[0].min(p[1]).min(p[2]);
        let max = p[0].max(p[1]).max(p[2]);
        if max.x < 0.0 || max.y < 0.0 || min.x > limit || min.y > limit {
            return;
        }
        // Half a texel of slack, so that thin things cast a shadow too.
        let x0 = (min.x - 0.5).max(0.0).ceil() as usize;
        let x1 = (max.x + 0.5).min(limit) as usize;
        let y0 = (min.y - 0.5).max(0.0).ceil() as usize;
        let y1 = (max.y + 0.5).min(limit) as usize;
        let inv = 1.0 / area;
        let edge = |a: Vec3, b: Vec3| {
            let (ex, ey) = ((a.y - b.y) * inv, (b.x - a.x) * inv);
            let c = -(ex * a.x + ey * a.y);
            (ex, ey, c, -0.5 * (ex.abs() + ey.abs()))
        };
        let e = [edge(p[1], p[2]), edge(p[2], p[0]), edge(p[0], p[1])];
        let map = if moving { &mut self.depth } else { &mut self.still };
        for y in y0..=y1 {
            let yf = y as f32;
            // Empty where a sliver lies between two columns.
            let row = map.get_mut(y * self.side + x0..y * self.side + x1 + 1).unwrap_or_default();
            for (k, t) in row.iter_mut().enumerate() {
                let xf = (x0 + k) as i32 as f32;
                let w: [f32; 3] = std::array::from_fn(|i| e[i].0 * xf + e[i].1 * yf + e[i].2);
                let z = (w[0] * p[0].z + w[1] * p[1].z + w[2] * p[2].z).clamp(min.z, max.z);
                let hit = (w[0] >= e[0].3) & (w[1] >= e[1].3) & (w[2] >= e[2].3) & (z < *t);
                *t = if hit { z } else { *t };
            }
        }
        if moving && x0 <= x1 && y0 <= y1 {
            match self.dirty.last_mut() {
                // One rectangle per neighbourhood: the triangles of a mesh come one after the other.
                Some(d) if x0 <= d[2] + 8 && d[0] <= x1 + 8 && y0 <= d[3] + 8 && d[1] <= y1 + 8 => {
                    *d = [d[0].min(x0), d[1].min(y0), d[2].max(x1), d[3].max(y1)];
                }
                _ => self.dirty.push([x0, y0, x1, y1]),
            }
        }
    }

    /// Ends the drawing of still casters.
    pub fn finish_still(&mut self) {
        self.depth.copy_from_slice(&self.still);
        self.dirty.clear();
    }

    /// Takes the moving casters out again.
    pub fn forget_moving(&mut self) {
        for [x0, y0, x1, y1] in std::mem::take(&mut self.dirty) {
            for y in y0..=y1 {
                let row = y * self.side;
                self.depth[row + x0..=row + x1].copy_from_slice(&self.still[row + x0..=row + x1]);
            }
        }
    }

    /// How much of the key light reaches points with the given normals, 0 to 1 (3x3 percentage-closer filter); 0 where the
    /// cosine between normal and light is not above 0.
    pub fn lit(&self, position: &[Lanes; 3], normal: &[Lanes; 3], cosine: &Lanes) -> Lanes {
        let texel = 1.0 / self.texels_per_metre;
        let limit = self.side as f32 - 4.0;
        let (mut fx, mut fy, mut z) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let mut corner = [0u32; LANES];
        let (right, up, along, origin) = (self.right, self.up, self.along, self.origin);
        let ([px, py, pz], [nx, ny, nz]) = (position, normal);
        for l in 0..LANES {
            let shift = 1.5 * texel;
            let p = [px[l] + nx[l] * shift, py[l] + ny[l] * shift, pz[l] + nz[l] * shift];
            let along_axis = |a: Vec3| p[0] * a.x + p[1] * a.y + p[2] * a.z;
            // As in `to_map`, from the first of the four texels in each direction.
            let x = (along_axis(right) - origin.x) * self.texels_per_metre + 1.0;
            let y = (along_axis(up) - origin.y) * self.texels_per_metre + 1.0;
            let (ix, iy) = (x.floor(), y.floor());
            (fx[l], fy[l]) = (x - ix, y - iy);
            z[l] = along_axis(along) - origin.z - 0.6 * texel;
            let inside = (x >= 0.0) & (y >= 0.0) & (x < limit) & (y < limit);
            let at = (whole(iy) & 0xffff) * self.side as u32 + (whole(ix) & 0xffff);
            corner[l] = if inside { at } else { u32::MAX };
        }
        let mut lit = [0.0; LANES];
        for l in 0..LANES {
            if cosine[l] > 0.0 {
                lit[l] = self.filtered(corner[l] as usize, fx[l], fy[l], z[l]);
            }
        }
        lit
    }

    /// The share of 3x3 texels, shifted by a fraction of one, that are not nearer to the light than `z`; 1 outside the map.
    #[inline(always)]
    fn filtered(&self, corner: usize, fx: f32, fy: f32, z: f32) -> f32 {
        let wx = [1.0 - fx, 1.0, 1.0, fx];
        let wy = [1.0 - fy, 1.0, 1.0, fy];
        // Columns first, in four lanes; then across.
        let mut lanes = [0.0f32; 4];
        for (j, wy) in wy.iter().enumerate() {
            let row = corner + j * self.side;
            let Some(s) = self.depth.get(row..row + 4).and_then(|s| s.first_chunk::<4>()) else { return 1.0 };
            for l in 0..4 {
                lanes[l] += if s[l] >= z { *wy } else { 0.0 };
            }
        }
        let sum = lanes[0] * wx[0] + lanes[1] * wx[1] + lanes[2] * wx[2] + lanes[3] * wx[3];
        sum * (1.0 / 9.0)
    }
}
