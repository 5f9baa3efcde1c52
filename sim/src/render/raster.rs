//! Visibility: triangles to a z-buffer of reciprocal depth and a buffer of triangle numbers.
//!
//! Homogeneous rasterisation (Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997): the
//! edge functions come from cross products of the camera-space vertices, so triangles that reach behind the camera need
//! no clipping, and the same three functions give the perspective-correct barycentric coordinates.

use glam::{DVec3, Vec3};

use super::camera::Intrinsics;

/// No triangle at this pixel.
pub const NOTHING: u32 = u32::MAX;

/// A triangle set up for one view.
#[derive(Clone, Copy, Debug)]
pub struct ScreenTriangle {
    /// Edge functions a x + b y + c over pixel coordinates; function i is proportional to the weight of vertex i times 1/z.
    pub edges: [[f32; 3]; 3],
    /// Reciprocal depth as a plane over pixel coordinates, 1/m.
    pub inverse_z: [f32; 3],
    /// Pixel bounds: first column, last column, first row, last row (inclusive).
    pub bounds: [i32; 4],
    /// Which item of the scene.
    pub item: u32,
    /// Which triangle of that item's mesh.
    pub index: u32,
}

/// Sets up one triangle given in the camera's optical frame; `None` if it faces away, is degenerate or out of view.
pub fn setup(v: [Vec3; 3], camera: &Intrinsics, near: f64, item: u32, index: u32) -> Option<ScreenTriangle> {
    let near32 = near as f32;
    if v.iter().all(|p| p.z < near32) {
        return None;
    }
    let d: [DVec3; 3] = [v[0].as_dvec3(), v[1].as_dvec3(), v[2].as_dvec3()];
    let n = [d[1].cross(d[2]), d[2].cross(d[0]), d[0].cross(d[1])];
    // Negative: counter-clockwise seen from the camera, whose y points down.
    let det = d[0].dot(n[0]);
    if det > -1e-14 {
        return None;
    }
    let plane = |n: DVec3| {
        let (a, b) = (-n.x / camera.fx, -n.y / camera.fy);
        [a, b, -n.z - a * camera.cx - b * camera.cy]
    };
    let p = [plane(n[0]), plane(n[1]), plane(n[2])];
    let mut edges = [[0f32; 3]; 3];
    let mut inverse_z = [0f32; 3];
    for k in 0..3 {
        for i in 0..3 {
            edges[i][k] = p[i][k] as f32;
        }
        inverse_z[k] = ((p[0][k] + p[1][k] + p[2][k]) / -det) as f32;
    }
    let bounds = pixel_bounds(&v, camera, near32)?;
    Some(ScreenTriangle { edges, inverse_z, bounds, item, index })
}

/// Bounds of the part in front of the near plane, cut to the image.
fn pixel_bounds(v: &[Vec3; 3], camera: &Intrinsics, near: f32) -> Option<[i32; 4]> {
    let (fx, fy, cx, cy) = (camera.fx as f32, camera.fy as f32, camera.cx as f32, camera.cy as f32);
    let (mut x0, mut x1, mut y0, mut y1) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
    let mut add = |p: Vec3| {
        let (x, y) = (fx * p.x / p.z + cx, fy * p.y / p.z + cy);
        x0 = x0.min(x);
        x1 = x1.max(x);
        y0 = y0.min(y);
        y1 = y1.max(y);
    };
    for i in 0..3 {
        let (a, b) = (v[i], v[(i + 1) % 3]);
        if a.z >= near {
            add(a);
        }
        if (a.z >= near) != (b.z >= near) {
            add(a + (b - a) * ((near - a.z) / (b.z - a.z)));
        }
    }
    let (w, h) = (camera.width as f32, camera.height as f32);
    if x1 < 0.0 || y1 < 0.0 || x0 > w - 1.0 || y0 > h - 1.0 {
        return None;
    }
    Some([x0.max(0.0).ceil() as i32, x1.min(w - 1.0).floor() as i32, y0.max(0.0).ceil() as i32, y1.min(h - 1.0).floor() as i32])
}

/// Draws into the rows `first_row..` of the image that the two buffers hold (row-major, `width` wide).
pub fn draw(triangles: &[ScreenTriangle], width: usize, first_row: usize, near: f32, z: &mut [f32], ids: &mut [u32]) {
    let rows = z.len() / width.max(1);
    let max_inverse = 1.0 / near;
    for (id, t) in triangles.iter().enumerate() {
        let [x0, x1, y0, y1] = t.bounds;
        let top = y0.max(first_row as i32);
        let low = y1.min((first_row + rows) as i32 - 1);
        for y in top..=low {
            let yf = y as f32;
            let r: [f32; 3] = std::array::from_fn(|i| t.edges[i][1] * yf + t.edges[i][2]);
            let (mut left, mut right) = (x0 as f32, x1 as f32);
            for i in 0..3 {
                let a = t.edges[i][0];
                // A conservative span; the exact test is in the loop below.
                if a > 0.0 {
                    left = left.max(-r[i] / a - 1.0);
                } else if a < 0.0 {
                    right = right.min(-r[i] / a + 1.0);
                }
            }
            if left > right {
                continue;
            }
            let (left, right) = (left as usize, right as usize);
            let row = (y as usize - first_row) * width;
            let zs = &mut z[row + left..=row + right];
            let is = &mut ids[row + left..=row + right];
            let rz = t.inverse_z[1] * yf + t.inverse_z[2];
            let (a0, a1, a2, az) = (t.edges[0][0], t.edges[1][0], t.edges[2][0], t.inverse_z[0]);
            let id = id as u32;
            for (k, (zp, ip)) in zs.iter_mut().zip(is.iter_mut()).enumerate() {
                let x = (left + k) as i32 as f32;
                let e0 = a0 * x + r[0];
                let e1 = a1 * x + r[1];
                let e2 = a2 * x + r[2];
                let iz = az * x + rz;
                let hit = (e0 >= 0.0) & (e1 >= 0.0) & (e2 >= 0.0) & (iz > *zp) & (iz <= max_inverse);
                *zp = if hit { iz } else { *zp };
                *ip = if hit { id } else { *ip };
            }
        }
    }
}
