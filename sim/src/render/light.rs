//! Lamps: one per room, kept inside their rooms by a floor-plan visibility map made once.

use glam::{Vec2, Vec3};

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
    columns: usize,
    rows: usize,
    seen: Vec<f32>,
    /// True where `seen` is not zero in the cell or one of its neighbours.
    near: Vec<bool>,
}

impl Lamp {
    /// `walls` are the footprints (minimum, maximum) of what reaches up to the lamp.
    pub fn new(position: Vec3, colour: Vec3, range: f32, walls: &[(Vec2, Vec2)]) -> Self {
        let range = range.clamp(0.1, 50.0);
        let origin = position.truncate() - Vec2::splat(range);
        let n = ((2.0 * range / CELL_M).ceil() as usize).max(2);
        let mut seen = vec![0.0; n * n];
        for (k, s) in seen.iter_mut().enumerate() {
            let c = origin + Vec2::new((k % n) as f32 + 0.5, (k / n) as f32 + 0.5) * CELL_M;
            let blocked =
                walls.iter().filter(|w| !(c.cmpge(w.0).all() && c.cmple(w.1).all())).any(|w| crosses(position.truncate(), c, *w));
            *s = if blocked { 0.0 } else { 1.0 };
        }
        let near = (0..n * n)
            .map(|k| {
                let (x, y) = (k % n, k / n);
                (y.saturating_sub(1)..=(y + 1).min(n - 1))
                    .any(|j| (x.saturating_sub(1)..=(x + 1).min(n - 1)).any(|i| seen[j * n + i] > 0.0))
            })
            .collect();
        let inverse_range2 = 1.0 / (range * range);
        Self { position, colour, range, inverse_range2, origin, columns: n, rows: n, seen, near }
    }

    /// False where [`Lamp::reaches`] is certainly zero.
    #[inline]
    pub fn may_reach(&self, p: Vec2) -> bool {
        let q = (p - self.origin) * (1.0 / CELL_M);
        let (x, y) = ((q.x.max(0.0) as usize).min(self.columns - 1), (q.y.max(0.0) as usize).min(self.rows - 1));
        self.near[y * self.columns + x]
    }

    /// Share of the lamp's light that reaches the floor-plan point, 0 to 1, smoothed over one cell.
    #[inline]
    pub fn reaches(&self, p: Vec2) -> f32 {
        let q = (p - self.origin) * (1.0 / CELL_M) - 0.5;
        let (x, y) = (q.x.max(0.0), q.y.max(0.0));
        let (ix, iy) = ((x as usize).min(self.columns - 2), (y as usize).min(self.rows - 2));
        let (fx, fy) = ((x - ix as f32).min(1.0), (y - iy as f32).min(1.0));
        let at = |dx: usize, dy: usize| self.seen[(iy + dy) * self.columns + ix + dx];
        let a = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
        let b = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
        a + (b - a) * fy
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
