//! The procedural surface patterns, by name. All colours here are sRGB-like 0..1; a pattern that is tinted by a material's
//! colour is near white.

use super::texture::{Texture, TextureId, Textures, cell, fractal, noise};

type Rgb = [f32; 3];

fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t.clamp(0.0, 1.0))
}

fn grey(v: f32) -> Rgb {
    [v, v, v]
}

fn scale(c: Rgb, k: f32) -> Rgb {
    c.map(|v| v * k)
}

/// The pattern without its own hue, brightened so that it is near white on the whole.
fn luminance(c: Rgb, gain: f32) -> Rgb {
    grey((0.3 * c[0] + 0.55 * c[1] + 0.15 * c[2]) * gain)
}

fn foliage(u: f32, v: f32) -> Rgb {
    let clump = fractal(u, v, (10, 10), 4, 103);
    let bright = cell((u * 40.0) as i32, (v * 40.0) as i32, 107);
    scale([0.85, 1.0, 0.8], (0.35 + 0.75 * clump) * (0.7 + 0.4 * bright))
}

/// Texture of that pattern, made on first use. Unknown names give plain white.
pub fn pattern(textures: &mut Textures, name: &str) -> TextureId {
    textures.named(name, || match name {
        "wood" => Texture::from_fn(256, |u, v| grain(u, v, 7)),
        "grain" => Texture::from_fn(256, |u, v| luminance(grain(u, v, 7), 1.30)),
        "boards" => Texture::from_fn(512, |u, v| luminance(planks(u, v), 1.60)),
        "weave" => Texture::from_fn(256, |u, v| luminance(rug(u, v), 1.55)),
        "foliage" => Texture::from_fn(256, foliage),
        "planks" => Texture::from_fn(512, planks),
        "tiles" => Texture::from_fn(256, tiles),
        "plaster" => Texture::from_fn(256, |u, v| grey(0.96 + 0.04 * fractal(u, v, (16, 16), 4, 3))),
        "carpet" => Texture::from_fn(256, |u, v| grey(0.78 + 0.22 * fractal(u, v, (64, 64), 3, 5))),
        "rug" => Texture::from_fn(256, rug),
        "cloth" => Texture::from_fn(256, cloth),
        "fur" => Texture::from_fn(256, |u, v| grey(0.55 + 0.45 * fractal(u, v, (24, 24), 4, 11))),
        "stone" => Texture::from_fn(256, |u, v| grey(0.75 + 0.25 * fractal(u, v, (8, 8), 5, 13))),
        "leaf" => Texture::from_fn(128, leaf),
        "soil" => Texture::from_fn(128, |u, v| scale([0.32, 0.22, 0.15], 0.5 + 0.8 * fractal(u, v, (16, 16), 4, 17))),
        "picture" => Texture::from_fn(256, landscape),
        "football" => Texture::from_fn(512, football),
        "basketball" => Texture::from_fn(512, basketball),
        "tennis" => Texture::from_fn(256, tennis),
        "label" => Texture::from_fn(256, label),
        "peel" => Texture::from_fn(128, |u, v| grey(0.86 + 0.14 * noise(u, v, (48, 48), 19))),
        "apple" => Texture::from_fn(256, apple),
        "dial" => Texture::from_fn(256, dial),
        "porcelain" => Texture::from_fn(256, porcelain),
        "cover" => Texture::from_fn(256, cover),
        "pages" => Texture::from_fn(128, |u, v| grey(0.82 + 0.14 * noise(u, v, (2, 64), 23))),
        _ => Texture::from_fn(1, |_, _| grey(1.0)),
    })
}

fn grain(u: f32, v: f32, seed: u32) -> Rgb {
    let warp = fractal(u, v, (4, 2), 3, seed);
    let rings = (warp * 38.0 + v * 12.0 * std::f32::consts::TAU).sin() * 0.5 + 0.5;
    let fine = fractal(u, v, (6, 96), 3, seed + 9);
    let t = 0.35 * rings + 0.65 * fine;
    mix([0.70, 0.52, 0.34], [0.86, 0.70, 0.50], t)
}

fn planks(u: f32, v: f32) -> Rgb {
    let row = (v * 4.0) as i32;
    let shift = cell(row, 0, 31);
    let along = (u + shift).fract();
    let board = (along * 2.0) as i32;
    let (fu, fv) = ((along * 2.0).fract(), (v * 4.0).fract());
    if !(0.015..0.985).contains(&fv) || !(0.004..0.996).contains(&fu) {
        return [0.34, 0.24, 0.16];
    }
    let fine = fractal(u, v, (8, 128), 3, 37);
    let tone = 0.85 + 0.25 * cell(row, board, 41);
    scale(mix([0.58, 0.40, 0.25], [0.74, 0.55, 0.37], fine), tone)
}

fn tiles(u: f32, v: f32) -> Rgb {
    let (fu, fv) = ((u * 4.0).fract(), (v * 4.0).fract());
    if fu < 0.03 || fv < 0.03 {
        return grey(0.62);
    }
    grey(0.90 + 0.05 * cell((u * 4.0) as i32, (v * 4.0) as i32, 43) + 0.04 * fractal(u, v, (16, 16), 3, 47))
}

fn rug(u: f32, v: f32) -> Rgb {
    let edge = u.min(v).min(1.0 - u).min(1.0 - v);
    let thread = 0.85 + 0.15 * noise(u, v, (96, 96), 53);
    let c = if edge < 0.05 {
        [0.75, 0.66, 0.52]
    } else if edge < 0.10 {
        [0.42, 0.16, 0.16]
    } else {
        let d = ((u * 8.0).fract() - 0.5).abs() + ((v * 8.0).fract() - 0.5).abs();
        if d < 0.22 { [0.72, 0.60, 0.44] } else { [0.52, 0.22, 0.20] }
    };
    scale(c, thread)
}

fn cloth(u: f32, v: f32) -> Rgb {
    let weave = ((u * 64.0).fract() - 0.5).abs() + ((v * 64.0).fract() - 0.5).abs();
    grey(0.80 + 0.08 * weave + 0.12 * fractal(u, v, (12, 12), 4, 59))
}

fn leaf(u: f32, v: f32) -> Rgb {
    let rib = ((u - 0.5).abs() * 30.0).min(1.0);
    let veins = ((v * 9.0 + (u - 0.5).abs() * 6.0).fract() - 0.5).abs();
    scale(mix([0.50, 0.66, 0.32], [0.20, 0.45, 0.16], rib), 0.85 + 0.3 * veins)
}

fn landscape(u: f32, v: f32) -> Rgb {
    if !(0.04..0.96).contains(&u) || !(0.04..0.96).contains(&v) {
        return [0.95, 0.94, 0.90];
    }
    let hill = 0.38 + 0.12 * noise(u, 0.0, (4, 1), 61) + 0.05 * noise(u, 0.0, (16, 1), 67);
    let far = 0.52 + 0.14 * noise(u, 0.5, (3, 1), 71);
    if v < hill {
        scale([0.36, 0.50, 0.26], 0.7 + 0.6 * fractal(u, v, (16, 16), 3, 73))
    } else if v < far {
        [0.46, 0.56, 0.62]
    } else {
        mix([0.92, 0.80, 0.66], [0.50, 0.68, 0.86], (v - far) * 2.4)
    }
}

/// Direction on the unit sphere of an equirectangular texture coordinate.
fn direction(u: f32, v: f32) -> [f32; 3] {
    let (lon, lat) = (u * std::f32::consts::TAU, (v - 0.5) * std::f32::consts::PI);
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The classic ball of 12 black pentagons and 20 white hexagons: a truncated icosahedron.
fn football(u: f32, v: f32) -> Rgb {
    const G: f32 = 1.618_034;
    let d = direction(u, v);
    // The 12 corners of an icosahedron are the centres of the pentagons, the 20 of a dodecahedron those of the hexagons.
    let mut corners: Vec<[f32; 3]> = Vec::with_capacity(12);
    let mut faces: Vec<[f32; 3]> = Vec::with_capacity(20);
    let (a, b) = (1.0 / (1.0 + G * G).sqrt(), G / (1.0 + G * G).sqrt());
    let (p, q, r) = (1.0 / 3f32.sqrt(), G / 3f32.sqrt(), 1.0 / (G * 3f32.sqrt()));
    for s in [-1.0, 1.0] {
        for t in [-1.0, 1.0] {
            corners.extend([[0.0, s * a, t * b], [s * a, t * b, 0.0], [s * b, 0.0, t * a]]);
            faces.extend([[0.0, s * r, t * q], [s * r, t * q, 0.0], [s * q, 0.0, t * r]]);
            faces.extend([[s * p, t * p, p], [s * p, t * p, -p]]);
        }
    }
    let nearest = |list: &[[f32; 3]]| {
        let mut best = [-1.0f32; 2];
        for c in list {
            let k = dot(d, *c);
            if k > best[0] {
                best = [k, best[0]];
            } else if k > best[1] {
                best[1] = k;
            }
        }
        best
    };
    let five = nearest(&corners)[0];
    let six = nearest(&faces);
    // A pentagon ends where the planes of the truncated solid meet: weights of the two families of planes.
    let (h5, h6) = (five / 0.939_2, six[0] / 0.914_9);
    let seam = if (h5 - h6).abs() < 0.006 || (h6 > h5 && six[0] - six[1] < 0.012) { 1.0 } else { 0.0 };
    if h5 > h6 { grey(0.08) } else { grey(0.95 - 0.55 * seam) }
}

fn basketball(u: f32, v: f32) -> Rgb {
    let d = direction(u, v);
    let line = |t: f32| t.abs() < 0.026;
    let curve = (d[0] * d[0]) * 0.9 - 0.42;
    let black = line(d[2]) || line(d[1]) || line(d[1].abs() - 0.62 - 0.12 * (curve * d[2].abs()));
    let pebble = 0.88 + 0.12 * noise(u, v, (128, 64), 79);
    if black { grey(0.08) } else { scale([0.86, 0.42, 0.14], pebble) }
}

fn tennis(u: f32, v: f32) -> Rgb {
    let d = direction(u, v);
    // Seam of a tennis ball: sin(2 lon) style curve on the sphere.
    let lon = d[1].atan2(d[0]);
    let t = d[2] - 0.55 * (2.0 * lon).cos() * (1.0 - d[2] * d[2]).sqrt();
    let felt = 0.85 + 0.15 * fractal(u, v, (64, 32), 3, 83);
    if t.abs() < 0.05 { grey(0.93) } else { scale([0.80, 0.88, 0.20], felt) }
}

fn label(u: f32, v: f32) -> Rgb {
    // Twice around the body: cream paper with a red band, a crest and lines of print.
    let fu = (u * 2.0).fract();
    if !(0.12..0.88).contains(&v) {
        return [0.70, 0.12, 0.12];
    }
    let crest = ((fu - 0.5) * 2.2).hypot((v - 0.66) * 1.2);
    if crest < 0.16 {
        return if crest < 0.11 { [0.78, 0.62, 0.22] } else { [0.16, 0.20, 0.40] };
    }
    let line = (v * 14.0).fract();
    let word = cell((fu * 24.0) as i32, (v * 14.0) as i32, 89);
    if v < 0.46 && (0.25..0.70).contains(&line) && word > 0.3 && (0.2..0.8).contains(&fu) {
        return grey(0.2);
    }
    [0.94, 0.90, 0.78]
}

fn apple(u: f32, v: f32) -> Rgb {
    let streak = fractal(u, v, (24, 2), 3, 97);
    let top = ((v - 0.75) * 5.0).clamp(0.0, 1.0);
    mix(mix([0.62, 0.06, 0.08], [0.82, 0.20, 0.14], streak), [0.78, 0.72, 0.26], top * streak)
}

fn dial(u: f32, v: f32) -> Rgb {
    let (x, y) = (u - 0.5, v - 0.5);
    let r = x.hypot(y);
    let turn = (x.atan2(y) / std::f32::consts::TAU).rem_euclid(1.0);
    if r > 0.46 {
        return grey(0.1);
    }
    let hour = ((turn * 12.0).fract() - 0.5).abs();
    if (0.36..0.43).contains(&r) && hour > 0.44 {
        return grey(0.08);
    }
    let hand = |at: f32, length: f32, half: f32| {
        let (s, c) = (at * std::f32::consts::TAU).sin_cos();
        let along = x * s + y * c;
        (-0.03..length).contains(&along) && (x * c - y * s).abs() < half
    };
    if hand(0.846, 0.22, 0.016) || hand(0.155, 0.34, 0.010) || r < 0.025 { grey(0.05) } else { grey(0.96) }
}

fn porcelain(u: f32, v: f32) -> Rgb {
    // Blue brush on white: bands and a wreath of leaves.
    let band = [0.10, 0.14, 0.55, 0.90].iter().any(|b| (v - b).abs() < 0.012);
    let wave = (v - 0.34 - 0.06 * (u * 8.0 * std::f32::consts::TAU).sin()).abs();
    let petal = ((u * 12.0).fract() - 0.5).hypot(((v - 0.34) * 8.0).clamp(-1.0, 1.0) * 0.5);
    let diamond = ((u * 16.0).fract() - 0.5).abs() + ((v - 0.72) * 9.0).abs();
    if band || wave < 0.010 || (petal < 0.22 && petal > 0.10) || (0.22..0.32).contains(&diamond) {
        [0.14, 0.24, 0.62]
    } else {
        [0.95, 0.95, 0.94]
    }
}

fn cover(u: f32, v: f32) -> Rgb {
    let title = (0.66..0.80).contains(&v) && (0.15..0.85).contains(&u) && cell((u * 20.0) as i32, 0, 101) > 0.25;
    let art = (u - 0.5).hypot(v - 0.36);
    if title {
        [0.95, 0.92, 0.80]
    } else if art < 0.2 {
        [0.92, 0.70, 0.24]
    } else if !(0.04..0.96).contains(&u) || !(0.03..0.97).contains(&v) {
        [0.10, 0.14, 0.30]
    } else {
        [0.16, 0.26, 0.52]
    }
}
