//! Small things that people ask for: bodies of revolution, balls and toys, made to look like what they are called.

use glam::{Quat, Vec2, Vec3};
use std::f32::consts::{FRAC_PI_2, PI, TAU};

use super::mesh::{Material, Mesh};
use super::patterns::pattern;
use super::texture::Textures;

/// Looks that [`build`] knows.
pub const NAMES: &[&str] = &[
    "apple",
    "banana",
    "book",
    "bottle",
    "bottle_water",
    "bowl",
    "clock",
    "cup",
    "cup_blue",
    "orange",
    "plant_pot",
    "sports_ball",
    "sports_ball_orange",
    "sports_ball_yellow",
    "teddy_bear",
    "vase",
    "vase_blue",
    "wine_glass",
];

/// The mesh of an object look, filling a box of `size` (a cup's handle reaches beyond it); `None` for other names.
pub fn build(look: &str, size: Vec3, textures: &mut Textures) -> Option<Mesh> {
    let mut m = Mesh::default();
    // Every shape is made for its own natural size; then the body (without handles) is fitted to the box.
    let natural = match look {
        "cup" => cup(&mut m, Material::matt(0.93, 0.93, 0.91)),
        "cup_blue" => cup(&mut m, Material::matt(0.20, 0.36, 0.66)),
        "bottle" => wine_bottle(&mut m, textures),
        "bottle_water" => water_bottle(&mut m, textures),
        "teddy_bear" => teddy(&mut m, textures),
        "sports_ball" => ball(&mut m, textures, "football", 0.25),
        "sports_ball_orange" => ball(&mut m, textures, "basketball", 0.12),
        "sports_ball_yellow" => ball(&mut m, textures, "tennis", 0.0),
        "vase" => vase(&mut m, textures, "porcelain", Material::matt(1.0, 1.0, 1.0)),
        "vase_blue" => vase(&mut m, textures, "plain", Material::matt(0.16, 0.30, 0.58)),
        "bowl" => bowl(&mut m),
        "wine_glass" => wine_glass(&mut m),
        "apple" => apple(&mut m, textures),
        "orange" => orange(&mut m, textures),
        "banana" => banana(&mut m),
        "book" => book(&mut m, textures),
        "clock" => clock(&mut m, textures),
        "plant_pot" => plant(&mut m, textures),
        _ => return None,
    };
    m.scale_shift(size / natural, Vec3::ZERO);
    Some(m)
}

/// Shifts a profile that starts at z = 0 so that the body of height `h` is centred.
fn centred(profile: &[(f32, f32)], h: f32) -> Vec<(f32, f32)> {
    profile.iter().map(|&(r, z)| (r, z - h * 0.5)).collect()
}

/// Points on a smooth (Catmull-Rom) curve through `points`.
fn smooth(points: &[(f32, f32)], steps: usize) -> Vec<(f32, f32)> {
    let mut out = Vec::new();
    for i in 0..points.len() - 1 {
        let p = [points[i.saturating_sub(1)], points[i], points[i + 1], points[(i + 2).min(points.len() - 1)]];
        for s in 0..steps {
            let t = s as f32 / steps as f32;
            let f = |a: f32, b: f32, c: f32, d: f32| {
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            };
            out.push((f(p[0].0, p[1].0, p[2].0, p[3].0).max(0.0), f(p[0].1, p[1].1, p[2].1, p[3].1)));
        }
    }
    out.push(points[points.len() - 1]);
    out
}

fn cup(m: &mut Mesh, glaze: Material) -> Vec3 {
    // Narrower at the foot: with straight walls the detector hesitates between cup and vase.
    let (rim, foot, h) = (0.042, 0.0275, 0.085);
    let outside = m.material(glaze.glossy(0.7, 90.0));
    let inside = m.material(Material::matt(0.88, 0.88, 0.86).glossy(0.4, 60.0));
    let drink = m.material(Material::matt(0.24, 0.13, 0.07).glossy(0.6, 120.0));
    let wall = [(0.0, 0.0), (foot - 0.007, 0.0), (foot - 0.002, 0.004), (foot, 0.010), (rim, h - 0.002), (rim - 0.001, h)];
    m.lathe(&centred(&wall, h), 40, outside);
    let inner = [(rim - 0.001, h), (rim - 0.003, h), (rim - 0.004, h - 0.002), (rim - 0.005, h - 0.014)];
    m.lathe(&centred(&inner, h), 40, inside);
    m.lathe(&centred(&[(rim - 0.005, h - 0.014), (0.0, h - 0.014)], h), 40, drink);
    let path: Vec<(Vec3, f32)> = (0..=14)
        .map(|k| {
            let a = PI * (k as f32 / 14.0 - 0.5);
            (Vec3::new(0.033 + 0.0235 * a.cos(), 0.0, 0.002 + 0.0225 * a.sin()), 0.0055)
        })
        .collect();
    m.tube(&path, 10, outside);
    Vec3::new(2.0 * rim, 2.0 * rim, h)
}

fn wine_bottle(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let (r, h) = (0.035, 0.22);
    let glass = m.material(Material::matt(0.10, 0.20, 0.12).glossy(1.0, 160.0));
    let foil = m.material(Material::matt(0.45, 0.08, 0.10).glossy(0.4, 40.0));
    let paper = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "label"), 1.0, 1.0));
    let mut body = vec![(0.0, 0.0), (r - 0.004, 0.0), (r, 0.004), (r, 0.125)];
    body.extend(smooth(&[(r, 0.125), (r * 0.93, 0.140), (r * 0.55, 0.158), (0.0135, 0.170), (0.0125, 0.182)], 4));
    m.lathe(&centred(&body, h), 36, glass);
    let cap = [(0.0132, 0.178), (0.0132, 0.212), (0.0142, 0.213), (0.0142, 0.219), (0.0135, h), (0.0, h)];
    m.lathe(&centred(&cap, h), 24, foil);
    m.lathe(&centred(&[(r + 0.0003, 0.035), (r + 0.0003, 0.105)], h), 36, paper);
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn water_bottle(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let (r, h) = (0.035, 0.22);
    let plastic = m.material(Material::matt(0.62, 0.76, 0.86).glossy(0.9, 100.0));
    let cap = m.material(Material::matt(0.12, 0.30, 0.70).glossy(0.3, 30.0));
    let paper = m.material(Material::matt(0.4, 0.6, 1.0).textured(pattern(t, "label"), 1.0, 1.0));
    let mut body = vec![(0.0, 0.0), (r - 0.005, 0.0), (r, 0.006)];
    for k in 0..4 {
        let z = 0.015 + 0.012 * k as f32;
        body.extend([(r, z), (r - 0.0015, z + 0.003), (r, z + 0.006)]);
    }
    body.push((r, 0.135));
    body.extend(smooth(&[(r, 0.135), (r * 0.95, 0.155), (r * 0.62, 0.182), (0.0135, 0.197), (0.0125, 0.202)], 4));
    m.lathe(&centred(&body, h), 36, plastic);
    m.lathe(&centred(&[(0.0125, 0.198), (0.0155, 0.2), (0.0155, h - 0.001), (0.0145, h), (0.0, h)], h), 24, cap);
    m.lathe(&centred(&[(r + 0.0003, 0.070), (r + 0.0003, 0.125)], h), 36, paper);
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn teddy(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let fur = pattern(t, "fur");
    let brown = m.material(Material::matt(0.66, 0.44, 0.25).fuzzy(0.9).textured(fur, 3.0, 2.0));
    let pale = m.material(Material::matt(0.88, 0.72, 0.50).fuzzy(0.7).textured(fur, 2.0, 2.0));
    let black = m.material(Material::matt(0.06, 0.05, 0.05).glossy(0.8, 80.0));
    let q = Quat::IDENTITY;
    let v = Vec3::new;
    // Sitting, facing +x; natural size 0.11 wide (y), 0.10 deep (x), 0.16 high.
    m.ellipsoid(v(-0.010, 0.0, -0.036), v(0.034, 0.038, 0.044), q, 24, brown);
    m.ellipsoid(v(0.004, 0.0, -0.036), v(0.024, 0.026, 0.032), q, 20, pale);
    m.ellipsoid(v(-0.002, 0.0, 0.034), v(0.034, 0.039, 0.034), q, 28, brown);
    m.ellipsoid(v(0.027, 0.0, 0.024), v(0.017, 0.019, 0.015), q, 20, pale);
    m.ellipsoid(v(0.043, 0.0, 0.030), v(0.005, 0.007, 0.005), q, 12, black);
    for s in [-1.0f32, 1.0] {
        m.ellipsoid(v(-0.006, s * 0.031, 0.064), v(0.008, 0.016, 0.016), q, 16, brown);
        m.ellipsoid(v(0.000, s * 0.031, 0.063), v(0.005, 0.010, 0.010), q, 12, pale);
        m.ellipsoid(v(0.0285, s * 0.0135, 0.041), v(0.0045, 0.0045, 0.005), q, 12, black);
        let arm = Quat::from_rotation_x(s * 0.7) * Quat::from_rotation_y(-0.5);
        m.ellipsoid(v(0.012, s * 0.040, -0.020), v(0.015, 0.014, 0.030), arm, 16, brown);
        let leg = Quat::from_rotation_z(s * 0.35);
        m.ellipsoid(v(0.030, s * 0.030, -0.062), v(0.034, 0.018, 0.018), leg, 18, brown);
        m.ellipsoid(v(0.058, s * 0.040, -0.060), v(0.007, 0.015, 0.015), leg, 14, pale);
    }
    Vec3::new(0.100, 0.110, 0.160)
}

fn ball(m: &mut Mesh, t: &mut Textures, name: &str, gloss: f32) -> Vec3 {
    let skin = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, name), 1.0, 1.0).glossy(gloss, 30.0));
    let tilt = Quat::from_rotation_x(0.5) * Quat::from_rotation_y(0.3);
    m.ellipsoid(Vec3::ZERO, Vec3::splat(0.045), tilt, 36, skin);
    Vec3::splat(0.09)
}

fn vase(m: &mut Mesh, t: &mut Textures, name: &str, base: Material) -> Vec3 {
    let (r, h) = (0.045, 0.18);
    let glaze = m.material(base.textured(pattern(t, name), 1.0, 1.0).glossy(0.8, 120.0));
    let dark = m.material(Material::matt(0.12, 0.11, 0.12));
    let mut wall = vec![(0.0, 0.0), (0.022, 0.0)];
    wall.extend(smooth(
        &[(0.024, 0.003), (0.034, 0.035), (r, 0.080), (0.037, 0.120), (0.017, 0.148), (0.015, 0.158), (0.024, 0.178)],
        5,
    ));
    wall.push((0.023, h));
    m.lathe(&centred(&wall, h), 40, glaze);
    m.lathe(&centred(&[(0.023, h), (0.020, 0.177), (0.012, 0.158), (0.012, 0.145), (0.0, 0.144)], h), 32, dark);
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn bowl(m: &mut Mesh) -> Vec3 {
    let (r, h) = (0.07, 0.06);
    let glaze = m.material(Material::matt(0.80, 0.86, 0.90).glossy(0.7, 90.0));
    let wall = smooth(&[(0.028, 0.0), (0.030, 0.004), (0.050, 0.018), (0.064, 0.040), (r, h)], 4);
    let mut outer = vec![(0.0, 0.0)];
    outer.extend(wall);
    m.lathe(&centred(&outer, h), 40, glaze);
    let mut inner = smooth(&[(r, h), (0.0665, h), (0.060, 0.040), (0.046, 0.020), (0.026, 0.008)], 4);
    inner.push((0.0, 0.006));
    m.lathe(&centred(&inner, h), 40, glaze);
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn wine_glass(m: &mut Mesh) -> Vec3 {
    let (r, h) = (0.038, 0.19);
    let glass = m.material(Material::matt(0.78, 0.82, 0.84).glossy(1.0, 160.0));
    let wine = m.material(Material::matt(0.36, 0.03, 0.08).glossy(1.0, 160.0));
    let foot = [(0.0, 0.0), (0.034, 0.0), (0.034, 0.002), (0.010, 0.006), (0.0045, 0.014), (0.004, 0.085), (0.010, 0.092)];
    m.lathe(&centred(&foot, h), 32, glass);
    m.lathe(&centred(&smooth(&[(0.010, 0.092), (0.028, 0.108), (r, 0.135)], 4), h), 36, wine);
    m.lathe(&centred(&smooth(&[(r, 0.135), (0.037, 0.155), (0.031, h)], 4), h), 36, glass);
    m.lathe(&centred(&smooth(&[(0.031, h), (0.0355, 0.155), (0.0365, 0.135)], 4), h), 36, glass);
    m.lathe(&centred(&[(0.0365, 0.135), (0.0, 0.135)], h), 36, wine);
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn apple(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let (r, h) = (0.04, 0.076);
    let skin = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "apple"), 1.0, 1.0).glossy(0.5, 60.0));
    let stalk = m.material(Material::matt(0.30, 0.20, 0.12));
    let mut profile = vec![(0.0, 0.006)];
    profile.extend(smooth(
        &[
            (0.006, 0.003),
            (0.014, 0.0),
            (0.028, 0.012),
            (0.038, 0.034),
            (r, 0.048),
            (0.035, 0.064),
            (0.022, 0.074),
            (0.010, 0.071),
            (0.003, 0.064),
        ],
        4,
    ));
    m.lathe(&centred(&profile, h), 36, skin);
    m.tube(
        &[(Vec3::new(0.0, 0.0, 0.026), 0.0018), (Vec3::new(0.003, 0.0, 0.036), 0.0016), (Vec3::new(0.008, 0.0, 0.045), 0.0022)],
        8,
        stalk,
    );
    Vec3::new(2.0 * r, 2.0 * r, h)
}

fn orange(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let skin = m.material(Material::matt(0.94, 0.52, 0.08).textured(pattern(t, "peel"), 2.0, 1.0).glossy(0.25, 25.0));
    let green = m.material(Material::matt(0.25, 0.36, 0.14));
    m.ellipsoid(Vec3::ZERO, Vec3::new(0.04, 0.04, 0.038), Quat::IDENTITY, 32, skin);
    m.ellipsoid(Vec3::new(0.0, 0.0, 0.0375), Vec3::new(0.004, 0.004, 0.0016), Quat::IDENTITY, 8, green);
    Vec3::new(0.08, 0.08, 0.076)
}

fn banana(m: &mut Mesh) -> Vec3 {
    let yellow = m.material(Material::matt(0.94, 0.80, 0.20).glossy(0.2, 25.0));
    let tip = m.material(Material::matt(0.32, 0.24, 0.12));
    let at = |k: f32| {
        let a = 1.9 * (k - 0.5);
        Vec3::new(0.105 * a.sin(), 0.105 * (1.0 - a.cos()) - 0.02, 0.0)
    };
    let body: Vec<(Vec3, f32)> = (0..=20)
        .map(|k| {
            let s = k as f32 / 20.0;
            (at(s), 0.019 * (1.0 - (2.0 * s - 1.0).abs().powi(4)).max(0.16))
        })
        .collect();
    m.tube(&body, 12, yellow);
    let out = (at(0.0) - at(0.05)).normalize_or(Vec3::X);
    m.tube(&[(at(0.0) - out * 0.002, 0.004), (at(0.0) + out * 0.014, 0.0045), (at(0.0) + out * 0.015, 0.0)], 8, tip);
    let out = (at(1.0) - at(0.95)).normalize_or(Vec3::X);
    m.tube(&[(at(1.0) - out * 0.002, 0.0035), (at(1.0) + out * 0.003, 0.003), (at(1.0) + out * 0.004, 0.0)], 8, tip);
    Vec3::new(0.19, 0.06, 0.038)
}

fn book(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let size = Vec3::new(0.13, 0.19, 0.03);
    let front = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "cover"), 1.0, 1.0).glossy(0.15, 30.0));
    let board = m.material(Material::matt(0.10, 0.14, 0.30));
    let pages = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "pages"), 10.0, 33.0));
    let h = size * 0.5;
    let p = |x: f32, y: f32, z: f32| Vec3::new(x, y, z);
    m.cuboid(p(0.002, 0.0, 0.0), size - Vec3::new(0.006, 0.006, 0.005), pages);
    m.cuboid(p(0.0, 0.0, -h.z + 0.00125), p(size.x, size.y, 0.0025), board);
    m.cuboid(p(0.0, 0.0, h.z - 0.00125), p(size.x, size.y, 0.0025), board);
    m.cuboid(p(-h.x + 0.00125, 0.0, 0.0), p(0.0025, size.y, size.z), board);
    let uv = [Vec2::ZERO, Vec2::X, Vec2::ONE, Vec2::Y];
    let z = h.z + 0.0002;
    m.quad([p(-h.x, -h.y, z), p(h.x, -h.y, z), p(h.x, h.y, z), p(-h.x, h.y, z)], uv, front);
    size
}

fn clock(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let (r, depth) = (0.06, 0.04);
    let case = m.material(Material::matt(0.72, 0.14, 0.12).glossy(0.6, 60.0));
    let metal = m.material(Material::matt(0.70, 0.70, 0.72).glossy(0.9, 80.0));
    let face = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "dial"), 1.0, 1.0));
    // An alarm clock with the dial towards +x (and a second dial behind).
    m.lathe(
        &[
            (0.0, -depth * 0.5),
            (r - 0.004, -depth * 0.5),
            (r, -depth * 0.5 + 0.004),
            (r, depth * 0.5 - 0.004),
            (r - 0.004, depth * 0.5),
            (r - 0.006, depth * 0.5),
        ],
        36,
        case,
    );
    m.lathe(&[(r - 0.006, depth * 0.5), (r - 0.006, depth * 0.5 - 0.002)], 36, case);
    m.rotate(Quat::from_rotation_y(FRAC_PI_2));
    let f = r - 0.005;
    for s in [1.0f32, -1.0] {
        let x = s * (depth * 0.5 + if s > 0.0 { -0.002 } else { 0.0004 });
        let p = |a: f32, b: f32| Vec3::new(x, s * a * f, b * f);
        for k in 0..32 {
            let (a0, a1) = (TAU * k as f32 / 32.0, TAU * (k + 1) as f32 / 32.0);
            let c = [(0.0, 0.0), (a0.cos(), a0.sin()), (a1.cos(), a1.sin()), (0.0, 0.0)];
            let uv = c.map(|(a, b)| Vec2::new(0.5 + 0.5 * a, 0.5 + 0.5 * b));
            m.quad(c.map(|(a, b)| p(a, b)), uv, face);
        }
    }
    for s in [-1.0f32, 1.0] {
        m.ellipsoid(Vec3::new(0.0, s * 0.032, 0.062), Vec3::new(0.016, 0.020, 0.014), Quat::from_rotation_x(s * -0.5), 16, metal);
        m.tube(
            &[
                (Vec3::new(0.0, s * 0.030, -0.048), 0.004),
                (Vec3::new(0.0, s * 0.040, -0.066), 0.003),
                (Vec3::new(0.0, s * 0.040, -0.0662), 0.0),
            ],
            8,
            metal,
        );
    }
    Vec3::new(depth, 2.0 * r, 0.132)
}

/// A pot with leaves.
pub(super) fn plant(m: &mut Mesh, t: &mut Textures) -> Vec3 {
    let clay = m.material(Material::matt(0.72, 0.38, 0.25).glossy(0.1, 15.0));
    let soil = m.material(Material::matt(1.0, 1.0, 1.0).textured(pattern(t, "soil"), 3.0, 1.0));
    let green = m.material(Material::matt(0.9, 1.0, 0.9).textured(pattern(t, "leaf"), 1.0, 1.0).glossy(0.25, 30.0));
    let h = 0.20;
    m.lathe(
        &centred(&[(0.0, 0.0), (0.028, 0.0), (0.038, 0.055), (0.042, 0.055), (0.042, 0.068), (0.038, 0.068), (0.037, 0.060)], h),
        28,
        clay,
    );
    m.lathe(&centred(&[(0.037, 0.060), (0.0, 0.063)], h), 20, soil);
    for k in 0..26 {
        let turn = k as f32 * 2.399_963;
        let lift = 0.25 + 1.15 * (k as f32 / 26.0);
        let length = 0.085 + 0.030 * ((k * 7 % 5) as f32 / 5.0);
        let (s, c) = turn.sin_cos();
        let out = Vec3::new(c, s, 0.0);
        let side = Vec3::new(-s, c, 0.0);
        let base = Vec3::new(0.0, 0.0, -0.037) + out * 0.006;
        // Four points along the arched leaf; both faces are drawn.
        let point = |f: f32| {
            base + out * (length * f * lift.cos()) + Vec3::Z * (length * (f * lift.sin() * 1.2 - 0.55 * f * f * lift.cos() * 0.8))
        };
        let width = [0.003f32, 0.013, 0.015, 0.001];
        for j in 0..3 {
            let (f0, f1) = (j as f32 / 3.0, (j + 1) as f32 / 3.0);
            let (a, b) = (point(f0), point(f1));
            let c = [a - side * width[j], a + side * width[j], b + side * width[j + 1], b - side * width[j + 1]];
            let uv = [Vec2::new(0.0, f0), Vec2::new(1.0, f0), Vec2::new(1.0, f1), Vec2::new(0.0, f1)];
            m.quad(c, uv, green);
            m.quad([c[1], c[0], c[3], c[2]], [uv[1], uv[0], uv[3], uv[2]], green);
        }
    }
    Vec3::new(0.18, 0.18, h)
}
