//! Looks of furniture: each turns the box of an item into something that reads as a sofa, a bed, a shelf of books.

use glam::{Quat, Vec2, Vec3};

use super::mesh::{Material, Mesh};
use super::patterns::pattern;
use super::texture::{Textures, cell};

/// Looks that [`build`] knows. The front of a piece faces +x.
pub const NAMES: &[&str] = &[
    "bed", "books", "chair", "cupboard", "door", "fridge", "lamp", "oven", "picture", "plant", "sink", "sofa", "table", "tv",
    "window",
];

fn v(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3::new(x, y, z)
}

/// The mesh of a furniture look in a box of `size` centred on the origin; `None` for other names.
pub fn build(look: &str, size: Vec3, tint: Material, textures: &mut Textures) -> Option<Mesh> {
    let mut m = Mesh::default();
    match look {
        "sofa" => sofa(&mut m, size, tint, textures),
        "bed" => bed(&mut m, size, tint, textures),
        "chair" => chair(&mut m, size, textures),
        "table" => table(&mut m, size, textures),
        "books" => books(&mut m, size, textures),
        "cupboard" => cupboard(&mut m, size, tint),
        "door" => door(&mut m, size, textures),
        "fridge" => fridge(&mut m, size),
        "oven" => oven(&mut m, size),
        "sink" => sink(&mut m, size, textures),
        "tv" => tv(&mut m, size),
        "picture" => picture(&mut m, size, textures),
        "window" => window(&mut m, size),
        "lamp" => lamp(&mut m, size),
        "plant" => {
            let natural = super::objects::plant(&mut m, textures);
            m.scale_shift(size / natural, Vec3::ZERO);
        }
        _ => return None,
    }
    Some(m)
}

fn sofa(m: &mut Mesh, s: Vec3, tint: Material, t: &mut Textures) {
    let cloth = pattern(t, "cloth");
    let frame = m.material(Material { colour: tint.colour * 0.85, ..tint.clone() }.textured(cloth, 4.0, 4.0).fuzzy(0.3));
    let cushion = m.material(tint.textured(cloth, 4.0, 4.0).fuzzy(0.4));
    let arm = (s.y * 0.12).min(0.18);
    let back = (s.x * 0.28).min(0.25);
    let seat = s.z * 0.50;
    m.cuboid(v(0.0, 0.0, -s.z * 0.5 + seat * 0.36 + 0.02), v(s.x, s.y, seat * 0.72 - 0.04), frame);
    m.cuboid(v(-s.x * 0.5 + back * 0.5, 0.0, 0.0), v(back, s.y, s.z), frame);
    for k in [-1.0, 1.0] {
        m.cuboid(v(0.0, k * (s.y - arm) * 0.5, -s.z * 0.5 + s.z * 0.36), v(s.x, arm, s.z * 0.72), frame);
    }
    let n = if s.y > 1.2 { 3 } else { 2 };
    let width = (s.y - 2.0 * arm) / n as f32;
    for k in 0..n {
        let y = -s.y * 0.5 + arm + width * (k as f32 + 0.5);
        m.cuboid(v(back * 0.5, y, -s.z * 0.5 + seat * 0.86), v(s.x - back, width - 0.012, seat * 0.28), cushion);
        m.rotated_cuboid(
            v(-s.x * 0.5 + back + 0.05, y, -s.z * 0.5 + seat + (s.z - seat) * 0.48),
            v(0.12, width - 0.02, (s.z - seat) * 0.95),
            Quat::from_rotation_y(-0.15),
            cushion,
        );
    }
}

fn bed(m: &mut Mesh, s: Vec3, tint: Material, t: &mut Textures) {
    let wood = m.material(Material::matt(0.8, 0.7, 0.6).textured(pattern(t, "wood"), 1.0, 1.0));
    let cloth = pattern(t, "cloth");
    let sheet = m.material(Material::matt(0.93, 0.93, 0.92).textured(cloth, 2.0, 2.0).fuzzy(0.2));
    let cover = m.material(tint.textured(cloth, 2.0, 2.0).fuzzy(0.3));
    // The head is at -x.
    m.cuboid(v(0.0, 0.0, -s.z * 0.5 + s.z * 0.25), v(s.x, s.y, s.z * 0.30), wood);
    m.cuboid(v(-s.x * 0.5 + 0.03, 0.0, 0.0), v(0.06, s.y, s.z), wood);
    let top = -s.z * 0.5 + s.z * 0.58;
    m.cuboid(v(0.03, 0.0, top - s.z * 0.09), v(s.x - 0.08, s.y - 0.04, s.z * 0.20), sheet);
    m.cuboid(v(s.x * 0.14, 0.0, top - s.z * 0.06), v(s.x * 0.70, s.y + 0.01, s.z * 0.22), cover);
    let n = if s.y > 1.1 { 2 } else { 1 };
    for k in 0..n {
        let y = if n == 1 { 0.0 } else { (k as f32 - 0.5) * s.y * 0.48 };
        m.ellipsoid(
            v(-s.x * 0.5 + 0.30, y, top + 0.05),
            v(0.20, s.y * 0.21 * if n == 1 { 1.7 } else { 1.0 }, 0.08),
            Quat::IDENTITY,
            20,
            sheet,
        );
    }
}

fn chair(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let wood = m.material(Material::matt(0.85, 0.7, 0.55).textured(pattern(t, "wood"), 2.0, 2.0).glossy(0.1, 20.0));
    let seat = -s.z * 0.5 + s.z * 0.52;
    let leg = 0.045f32.min(s.x * 0.12);
    m.cuboid(v(0.0, 0.0, seat), v(s.x, s.y, 0.04), wood);
    for (a, b) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        let top = if a < 0.0 { s.z * 0.5 } else { seat };
        let h = top + s.z * 0.5;
        m.cuboid(v(a * (s.x - leg) * 0.5, b * (s.y - leg) * 0.5, -s.z * 0.5 + h * 0.5), v(leg, leg, h), wood);
    }
    for k in 0..3 {
        let z = seat + (s.z * 0.5 - seat) * (0.42 + 0.26 * k as f32);
        m.cuboid(v(-(s.x - leg) * 0.5, 0.0, z), v(leg * 0.5, s.y - leg, s.z * 0.07), wood);
    }
}

fn table(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let wood = m.material(Material::matt(0.9, 0.8, 0.7).textured(pattern(t, "wood"), 1.2, 1.2).glossy(0.12, 25.0));
    let top = 0.03f32.min(s.z * 0.3);
    m.cuboid(v(0.0, 0.0, s.z * 0.5 - top * 0.5), v(s.x, s.y, top), wood);
    let leg = 0.05f32.min(s.x.min(s.y) * 0.2);
    for (a, b) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        m.cuboid(v(a * (s.x * 0.5 - leg), b * (s.y * 0.5 - leg), -top * 0.5), v(leg, leg, s.z - top), wood);
    }
}

fn books(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let wood = m.material(Material::matt(0.75, 0.62, 0.5).textured(pattern(t, "wood"), 1.0, 1.0));
    let spines: Vec<u16> = [
        (0.55, 0.16, 0.14),
        (0.16, 0.26, 0.46),
        (0.20, 0.38, 0.24),
        (0.76, 0.66, 0.44),
        (0.34, 0.20, 0.34),
        (0.80, 0.78, 0.72),
        (0.22, 0.22, 0.24),
        (0.70, 0.42, 0.16),
    ]
    .iter()
    .map(|&(r, g, b)| m.material(Material::matt(r, g, b).glossy(0.1, 20.0)))
    .collect();
    let board = 0.025;
    m.cuboid(v(-s.x * 0.5 + board * 0.5, 0.0, 0.0), v(board, s.y, s.z), wood);
    for k in [-1.0, 1.0] {
        m.cuboid(v(0.0, k * (s.y - board) * 0.5, 0.0), v(s.x, board, s.z), wood);
    }
    let shelves = ((s.z / 0.36).round() as usize).max(1);
    let pitch = (s.z - board) / shelves as f32;
    for k in 0..=shelves {
        let z = -s.z * 0.5 + board * 0.5 + pitch * k as f32;
        m.cuboid(v(0.0, 0.0, z), v(s.x, s.y, board), wood);
        if k == shelves {
            break;
        }
        let mut y = -s.y * 0.5 + board + 0.005;
        let mut i = 0;
        loop {
            let width = 0.022 + 0.035 * cell(k as i32, i, 7);
            if y + width > s.y * 0.5 - board - 0.01 {
                break;
            }
            let room = pitch - board;
            let h = room * (0.62 + 0.28 * cell(k as i32, i, 8));
            let depth = s.x * (0.6 + 0.2 * cell(k as i32, i, 9));
            let spine = spines[(cell(k as i32, i, 10) * 8.0) as usize % 8];
            if cell(k as i32, i, 11) > 0.06 {
                m.cuboid(
                    v(-s.x * 0.5 + board + depth * 0.5, y + width * 0.5, z + board * 0.5 + h * 0.5),
                    v(depth, width - 0.002, h),
                    spine,
                );
            }
            y += width;
            i += 1;
        }
    }
}

fn cupboard(m: &mut Mesh, s: Vec3, tint: Material) {
    let body = m.material(tint.clone().glossy(0.1, 20.0));
    let gap = m.material(Material { colour: tint.colour * 0.35, ..tint });
    let steel = m.material(Material::matt(0.7, 0.7, 0.72).glossy(0.7, 60.0));
    // Slightly smaller than the top and the doors, so that no two faces lie in one plane.
    m.cuboid(v(-0.01, 0.0, -0.01), v(s.x - 0.024, s.y - 0.004, s.z - 0.02), gap);
    let n = ((s.y / 0.6).round() as usize).max(1);
    let w = s.y / n as f32;
    for k in 0..n {
        let y = -s.y * 0.5 + w * (k as f32 + 0.5);
        m.cuboid(v(s.x * 0.5 - 0.01, y, 0.0), v(0.02, w - 0.008, s.z - 0.02), body);
        m.cuboid(v(s.x * 0.5 + 0.008, y + w * 0.38, s.z * 0.2), v(0.012, 0.012, (s.z * 0.3).min(0.16)), steel);
    }
    m.cuboid(v(0.0, 0.0, s.z * 0.5 - 0.01), v(s.x + 0.004, s.y, 0.02), body);
}

fn door(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let leaf = m.material(Material::matt(0.9, 0.85, 0.78).textured(pattern(t, "wood"), 0.6, 0.6));
    let brass = m.material(Material::matt(0.75, 0.62, 0.32).glossy(0.8, 60.0));
    m.cuboid(Vec3::ZERO, s, leaf);
    m.cuboid(v(s.x * 0.5 + 0.02, s.y * 0.42, 0.0), v(0.03, 0.02, 0.02), brass);
    m.cuboid(v(s.x * 0.5 + 0.035, s.y * 0.37, 0.0), v(0.012, 0.11, 0.018), brass);
}

fn fridge(m: &mut Mesh, s: Vec3) {
    let white = m.material(Material::matt(0.88, 0.89, 0.90).glossy(0.4, 40.0));
    let seam = m.material(Material::matt(0.25, 0.25, 0.27));
    let steel = m.material(Material::matt(0.70, 0.70, 0.72).glossy(0.8, 60.0));
    m.cuboid(v(-0.02, 0.0, 0.0), v(s.x - 0.04, s.y, s.z), white);
    m.cuboid(v(s.x * 0.5 - 0.035, 0.0, 0.0), v(0.01, s.y - 0.01, s.z - 0.01), seam);
    for (z, h) in [(-s.z * 0.20, s.z * 0.58), (s.z * 0.30, s.z * 0.38)] {
        m.cuboid(v(s.x * 0.5 - 0.015, 0.0, z), v(0.03, s.y, h), white);
        m.cuboid(v(s.x * 0.5 + 0.02, s.y * 0.42, z + if z < 0.0 { h * 0.25 } else { -h * 0.2 }), v(0.02, 0.02, h * 0.4), steel);
    }
}

fn oven(m: &mut Mesh, s: Vec3) {
    let steel = m.material(Material::matt(0.62, 0.63, 0.65).glossy(0.5, 40.0));
    let glass = m.material(Material::matt(0.06, 0.06, 0.07).glossy(1.0, 120.0));
    let knob = m.material(Material::matt(0.15, 0.15, 0.16).glossy(0.4, 40.0));
    m.cuboid(Vec3::ZERO, s, steel);
    m.cuboid(v(s.x * 0.5, 0.0, -s.z * 0.08), v(0.012, s.y * 0.82, s.z * 0.5), glass);
    m.cuboid(v(s.x * 0.5 + 0.025, 0.0, s.z * 0.24), v(0.02, s.y * 0.8, 0.02), steel);
    for k in 0..4 {
        m.cuboid(v(s.x * 0.5 + 0.01, s.y * (k as f32 - 1.5) * 0.2, s.z * 0.41), v(0.025, 0.04, 0.04), knob);
    }
    m.cuboid(v(0.0, 0.0, s.z * 0.5 + 0.002), v(s.x * 0.9, s.y * 0.9, 0.006), glass);
}

fn sink(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let stone = m.material(Material::matt(0.45, 0.44, 0.43).textured(pattern(t, "stone"), 1.5, 1.5).glossy(0.3, 40.0));
    let front = m.material(Material::matt(0.86, 0.84, 0.80));
    let steel = m.material(Material::matt(0.66, 0.67, 0.69).glossy(0.9, 80.0));
    let dark = m.material(Material::matt(0.32, 0.33, 0.34).glossy(0.6, 60.0));
    m.cuboid(v(-0.01, 0.0, -0.02), v(s.x - 0.04, s.y, s.z - 0.04), front);
    m.cuboid(v(0.0, 0.0, s.z * 0.5 - 0.02), v(s.x, s.y, 0.04), stone);
    m.cuboid(v(0.03, 0.0, s.z * 0.5 + 0.001), v(s.x * 0.62, (s.y * 0.7).min(0.55), 0.004), steel);
    m.cuboid(v(0.03, 0.0, s.z * 0.5 + 0.003), v(s.x * 0.54, (s.y * 0.62).min(0.47), 0.002), dark);
    let z = s.z * 0.5;
    m.tube(
        &[
            (v(-s.x * 0.36, 0.0, z), 0.014),
            (v(-s.x * 0.36, 0.0, z + 0.22), 0.012),
            (v(-s.x * 0.30, 0.0, z + 0.26), 0.012),
            (v(-s.x * 0.14, 0.0, z + 0.25), 0.012),
            (v(-s.x * 0.10, 0.0, z + 0.20), 0.012),
        ],
        10,
        steel,
    );
}

fn tv(m: &mut Mesh, s: Vec3) {
    let frame = m.material(Material::matt(0.08, 0.08, 0.09).glossy(0.4, 40.0));
    let screen = m.material(Material::matt(0.03, 0.035, 0.05).glossy(1.0, 150.0));
    // The panel takes the upper nine tenths, a foot the rest.
    let h = s.z * 0.9;
    let z = s.z * 0.5 - h * 0.5;
    let thick = s.x.min(0.05);
    m.cuboid(v(0.0, 0.0, z), v(thick, s.y, h), frame);
    m.cuboid(v(thick * 0.5 + 0.001, 0.0, z), v(0.002, s.y - 0.03, h - 0.03), screen);
    m.cuboid(v(0.0, 0.0, -s.z * 0.5 + 0.008), v(s.x.max(thick), s.y * 0.35, 0.016), frame);
    m.cuboid(v(0.0, 0.0, -s.z * 0.45), v(thick * 0.5, 0.06, s.z * 0.1), frame);
}

fn picture(m: &mut Mesh, s: Vec3, t: &mut Textures) {
    let frame = m.material(Material::matt(0.30, 0.20, 0.12).glossy(0.2, 30.0));
    let image = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "picture"), 1.0, 1.0));
    m.cuboid(Vec3::ZERO, s, frame);
    let (y, z, x) = (s.y * 0.5 - 0.025, s.z * 0.5 - 0.025, s.x * 0.5 + 0.001);
    m.quad([v(x, -y, -z), v(x, y, -z), v(x, y, z), v(x, -y, z)], [Vec2::ZERO, Vec2::X, Vec2::ONE, Vec2::Y], image);
}

fn window(m: &mut Mesh, s: Vec3) {
    let frame = m.material(Material::matt(0.94, 0.94, 0.93));
    let sky = m.material(Material { glow: 0.9, ..Material::matt(0.80, 0.90, 0.98) });
    m.cuboid(Vec3::ZERO, v(s.x * 0.6, s.y, s.z), sky);
    let bar = 0.05;
    for k in [-1.0, 0.0, 1.0] {
        m.cuboid(v(0.0, k * (s.y - bar) * 0.5, 0.0), v(s.x, bar, s.z), frame);
    }
    for k in [-1.0, 1.0] {
        m.cuboid(v(0.0, 0.0, k * (s.z - bar) * 0.5), v(s.x, s.y, bar), frame);
    }
}

fn lamp(m: &mut Mesh, s: Vec3) {
    let steel = m.material(Material::matt(0.30, 0.30, 0.32).glossy(0.6, 50.0));
    let shade = m.material(Material { glow: 0.5, ..Material::matt(0.95, 0.90, 0.78) });
    let (r, b) = (s.x.min(s.y) * 0.5, -s.z * 0.5);
    m.lathe(&[(0.0, b), (r * 0.7, b), (r * 0.7, b + 0.02), (0.012, b + 0.03), (0.012, s.z * 0.5 - r)], 20, steel);
    m.lathe(&[(r, s.z * 0.5 - r * 1.4), (r * 0.62, s.z * 0.5), (0.0, s.z * 0.5)], 24, shade);
    m.lathe(&[(0.0, s.z * 0.5 - r * 1.35), (r, s.z * 0.5 - r * 1.4)], 24, shade);
}
