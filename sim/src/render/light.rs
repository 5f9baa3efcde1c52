//! Lamps: one per room, kept inside their rooms by a floor-plan visibility map made once.

use glam::{Vec2, Vec3};

use super::paint::{not_below, whole};
use super::shade::{LANES, Lanes};

const CELL_M: f32 = 0.1;

/// A ceiling lamp with the part of the floor plan that it sees.
#[derive(Clone, Debug)]
pub struct Lamp {
    /// Where it hangs, m.
    pub position: Vec3,
    /// Linear colour.
    pub colour: Vec3,
    /// Distance beyond which it adds nothing, m.
    pub range: f32,
    /// 1 / range squared.
    pub inverse_range2: f32,
    origin: Vec2,
    /// Cells per side of the map.
    side: usize,
    /// Which of a cell and its neighbours to the right, above, and to the right above see the lamp: one bit each.
    seen: Vec<u8>,
}

impl Lamp {
    /// `walls` are the footprints (minimum, maximum) of what reaches up to the lamp.
    pub fn new(position: Vec3, colour: Vec3, range: f32, walls: &[(Vec2, Vec2)]) -> Self {
        let range = range.clamp(0.1, 50.0);
        let origin = position.truncate() - Vec2::splat(range);
        let n = ((2.0 * range / CELL_M).ceil() as usize).max(2);
        let mut seen = vec![false; n * n];
        for (k, s) in seen.iter_mut().enumerate() {
            let c = origin + Vec2::new((k % n) as f32 + 0.5, (k / n) as f32 + 0.5) * CELL_M;
            let blocked =
                walls.iter().filter(|w| !(c.cmpge(w.0).all() && c.cmple(w.1).all())).any(|w| crosses(position.truncate(), c, *w));
            *s = !blocked;
        }
        let at = |x: usize, y: usize| u8::from(seen[y.min(n - 1) * n + x.min(n - 1)]);
        let corners = |k: usize| {
            let (x, y) = (k % n, k / n);
            at(x, y) | at(x + 1, y) << 1 | at(x, y + 1) << 2 | at(x + 1, y + 1) << 3
        };
        let seen = (0..n * n).map(corners).collect();
        Self { position, colour, range, inverse_range2: 1.0 / (range * range), origin, side: n, seen }
    }

    /// Share of the lamp's light that reaches floor-plan points, 0 to 1, smoothed over one cell; none where all are zero.
    pub fn reaches(&self, x: &Lanes, y: &Lanes) -> Option<Lanes> {
        let (mut fx, mut fy) = ([0.0; LANES], [0.0; LANES]);
        let mut cell = [0u32; LANES];
        let last = (self.side - 2) as f32;
        for l in 0..LANES {
            let inside = |q: f32| not_below(if q < last { q } else { last }, 0.0);
            let qx = not_below((x[l] - self.origin.x) * (1.0 / CELL_M) - 0.5, 0.0);
            let qy = not_below((y[l] - self.origin.y) * (1.0 / CELL_M) - 0.5, 0.0);
            let (ix, iy) = (inside(qx).floor(), inside(qy).floor());
            let up_to_one = |f: f32| if f < 1.0 { f } else { 1.0 };
            (fx[l], fy[l]) = (up_to_one(qx - ix), up_to_one(qy - iy));
            // At most a million cells.
            cell[l] = whole(iy * self.side as f32 + ix) & 0x3f_ffff;
        }
        let mut corners = [0u32; LANES];
        let mut any = 0;
        for l in 0..LANES {
            corners[l] = u32::from(self.seen.get(cell[l] as usize).copied().unwrap_or(0));
            any |= corners[l];
        }
        if any == 0 {
            return None;
        }
        let mut share = [0.0; LANES];
        for l in 0..LANES {
            let at = |k: u32| (corners[l] >> k & 1) as i32 as f32;
            let a = at(0) + (at(1) - at(0)) * fx[l];
            let b = at(2) + (at(3) - at(2)) * fx[l];
            share[l] = a + (b - a) * fy[l];
        }
        Some(share)
    }
}

/// Does the segment a-b cross the rectangle? (Slab test.)
fn crosses(a: Vec2, b: Vec2, (lo, hi): (Vec2, Vec2)) -> bool {
    let d = b - a;
    let (mut t0, mut t1) = (0.0f32, 1.0f32);
    for (s, d, lo, hi) in [(a.x, d.x, lo.x, hi.x), (a.y, d.y, lo.y, hi.y)] {
        if d.abs() < 1e-9 {
            if s < lo || s > hi {
                return false;
            }
        } else {
            let (u, v) = ((lo - s) / d, (hi - s) / d);
            t0 = t0.max(u.min(v));
            t1 = t1.min(u.max(v));
        }
    }
    t0 < t1
}
