//! Colour of visible surface points: key light with shadow, room lamps, hemisphere light, highlights, tone curve.
//!
//! Points come in blocks of [`LANES`], one array per quantity, and every loop over a block is free of branches, so that the
//! compiler turns it into vector instructions.

use glam::Vec3;

use super::light::Lamp;
use super::mesh::Material;
use super::paint::not_below;
use super::shadow::ShadowMap;

/// Points per block.
pub const LANES: usize = 32;

/// One number per point of a block.
pub type Lanes = [f32; LANES];

/// Everything about the light that does not change from pixel to pixel.
#[derive(Clone, Debug)]
pub struct Lighting {
    /// Unit vector towards the key light.
    pub to_key: Vec3,
    /// Linear colour of the key light.
    pub key: Vec3,
    /// Shadow of the key light.
    pub shadow: Option<ShadowMap>,
    /// One lamp per room.
    pub lamps: Vec<Lamp>,
    /// Light from everywhere.
    pub ambient: Vec3,
    /// Multiplies everything before the tone curve.
    pub exposure: f32,
}

/// A block of surface points to colour. Points that are not in use hold finite numbers of no meaning.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// World position, m: x, y, z.
    pub position: [Lanes; 3],
    /// Unit normal.
    pub normal: [Lanes; 3],
    /// Unit vector towards the camera.
    pub view: [Lanes; 3],
    /// Linear diffuse colour.
    pub albedo: [Lanes; 3],
    /// Ambient openness, 0 to 1.
    pub open: Lanes,
    /// See [`Material::gloss`].
    gloss: Lanes,
    /// The highlight is a cosine to the power of two nearest below [`Material::shininess`]: how often its square is squared.
    squarings: [u32; LANES],
    /// See [`Material::fuzz`].
    fuzz: Lanes,
    /// See [`Material::glow`].
    glow: Lanes,
    shiny: bool,
    fuzzy: bool,
}

impl Points {
    /// Starts a new block.
    pub fn begin(&mut self) {
        (self.shiny, self.fuzzy) = (false, false);
    }

    /// Gives points their material, and its colour for albedo.
    pub fn set_material(&mut self, points: std::ops::Range<usize>, m: &Material) {
        self.gloss[points.clone()].fill(m.gloss);
        self.fuzz[points.clone()].fill(m.fuzz);
        self.glow[points.clone()].fill(m.glow);
        self.squarings[points.clone()].fill((m.shininess.max(1.0).to_bits() >> 23).saturating_sub(128));
        for (albedo, colour) in self.albedo.iter_mut().zip(m.colour.to_array()) {
            albedo[points.clone()].fill(colour);
        }
        self.shiny |= m.gloss > 0.0;
        self.fuzzy |= m.fuzz > 0.0;
    }

    /// Blinn-Phong highlight of light from `towards` (unit vectors), from the unnormalised half vector and without a call to
    /// the mathematics library.
    fn highlight(&self, towards: &[Lanes; 3]) -> Lanes {
        let ([nx, ny, nz], [vx, vy, vz], [tx, ty, tz]) = (&self.normal, &self.view, towards);
        let mut p = [0.0; LANES];
        for l in 0..LANES {
            let (hx, hy, hz) = (tx[l] + vx[l], ty[l] + vy[l], tz[l] + vz[l]);
            let cos = nx[l] * hx + ny[l] * hy + nz[l] * hz;
            let length = hx * hx + hy * hy + hz * hz;
            let square = cos * cos;
            p[l] = if (cos > 0.0) & (square >= 0.6 * length) { square / length } else { 0.0 };
        }
        let most = self.squarings.iter().copied().max().unwrap_or(0);
        for k in 0..most {
            for l in 0..LANES {
                p[l] *= if k < self.squarings[l] { p[l] } else { 1.0 };
            }
        }
        p
    }
}

/// What a shiny thing mirrors in a lit room: bright ceiling, a window to one side, darker floor.
#[inline(always)]
fn surroundings(x: f32, y: f32, z: f32) -> f32 {
    let unit = |t: f32| if t < 1.0 { not_below(t, 0.0) } else { 1.0 };
    let ceiling = 0.12 + 0.5 * unit((z + 0.1) * 1.6);
    let (ahead, aside) = (0.6 * x + 0.8 * y, 0.6 * y - 0.8 * x);
    let scale = 1.0 / not_below(ahead, 0.05);
    let (u, v) = (aside * scale, z * scale);
    let soft = |t: f32| unit(t * 8.0);
    let window = 2.2 * soft(u + 0.45) * soft(0.45 - u) * soft(v - 0.1) * soft(0.9 - v) * soft((u.abs() - 0.02) * 4.0);
    ceiling + if ahead > 0.05 { window } else { 0.0 }
}

impl Lighting {
    /// Linear radiance that leaves the points towards the camera: red, green, blue.
    pub fn radiance(&self, s: &Points) -> [Lanes; 3] {
        let ([nx, ny, nz], [vx, vy, vz]) = (&s.normal, &s.view);
        let mut key_cos = [0.0; LANES];
        for l in 0..LANES {
            key_cos[l] = not_below(nx[l] * self.to_key.x + ny[l] * self.to_key.y + nz[l] * self.to_key.z, 0.0);
        }
        let lit = self.shadow.as_ref().map_or([1.0; LANES], |map| map.lit(&s.position, &s.normal, &key_cos));
        // Hemisphere: the ceiling gives more than the floor.
        let (low, high) = (self.ambient * Vec3::new(0.62, 0.58, 0.54), self.ambient * Vec3::new(1.0, 1.0, 1.02));
        let (mut hemisphere, mut diffuse) = ([[0.0; LANES]; 3], [[0.0; LANES]; 3]);
        for c in 0..3 {
            for l in 0..LANES {
                let up = 0.5 + 0.5 * nz[l];
                hemisphere[c][l] = low[c] * (1.0 - up) + high[c] * up;
                diffuse[c][l] = hemisphere[c][l] * s.open[l] + self.key[c] * (key_cos[l] * lit[l]);
            }
        }
        let mut highlight = [[0.0; LANES]; 3];
        if s.shiny && self.key != Vec3::ZERO {
            let p = s.highlight(&self.to_key.to_array().map(|c| [c; LANES]));
            for c in 0..3 {
                for l in 0..LANES {
                    let seen = if key_cos[l] > 0.0 { lit[l] } else { 0.0 };
                    highlight[c][l] = self.key[c] * (seen * p[l]);
                }
            }
        }
        self.add_lamps(s, &mut diffuse, &mut highlight);
        let mut out = [[0.0; LANES]; 3];
        for c in 0..3 {
            for l in 0..LANES {
                out[c][l] = s.albedo[c][l] * (diffuse[c][l] + s.glow[l]);
            }
        }
        if !s.fuzzy && !s.shiny {
            return out;
        }
        let (mut rim, mut mirrored) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..LANES {
            let towards = nx[l] * vx[l] + ny[l] * vy[l] + nz[l] * vz[l];
            let cos = not_below(if towards < 1.0 { towards } else { 1.0 }, 0.0);
            let edge = 1.0 - cos;
            rim[l] = s.fuzz[l] * edge * edge;
            let grazing = edge * edge;
            let fresnel = 0.05 + 0.95 * grazing * grazing * edge;
            let twice = 2.0 * towards;
            let room = surroundings(twice * nx[l] - vx[l], twice * ny[l] - vy[l], twice * nz[l] - vz[l]);
            mirrored[l] = room * 2.0 * fresnel * s.gloss[l] * (0.3 + 0.7 * s.open[l]);
        }
        for c in 0..3 {
            for l in 0..LANES {
                out[c][l] += s.albedo[c][l] * hemisphere[c][l] * rim[l];
                out[c][l] += highlight[c][l] * s.gloss[l] + self.ambient[c] * mirrored[l];
            }
        }
        out
    }

    fn add_lamps(&self, s: &Points, diffuse: &mut [Lanes; 3], highlight: &mut [Lanes; 3]) {
        let ([px, py, pz], [nx, ny, nz]) = (&s.position, &s.normal);
        let (mut probe_x, mut probe_y) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..LANES {
            probe_x[l] = px[l] + nx[l] * 0.12;
            probe_y[l] = py[l] + ny[l] * 0.12;
        }
        for lamp in &self.lamps {
            // Most lamps are in other rooms.
            let Some(reaches) = lamp.reaches(&probe_x, &probe_y) else { continue };
            let mut towards = [[0.0; LANES]; 3];
            let (mut power, mut matt) = ([0.0; LANES], [0.0; LANES]);
            for l in 0..LANES {
                let (x, y, z) = (lamp.position.x - px[l], lamp.position.y - py[l], lamp.position.z - pz[l]);
                let d2 = x * x + y * y + z * z;
                let scale = 1.0 / not_below(d2.sqrt(), 1e-3);
                let (x, y, z) = (x * scale, y * scale, z * scale);
                (towards[0][l], towards[1][l], towards[2][l]) = (x, y, z);
                // A wide lamp also reaches a little round the edge.
                let wrapped = not_below((nx[l] * x + ny[l] * y + nz[l] * z + 0.15) * (1.0 / 1.15), 0.0);
                let fade = not_below(1.0 - d2 * lamp.inverse_range2, 0.0);
                let strength = fade * fade * 3.0 / (1.5 + d2) * reaches[l];
                power[l] = if wrapped > 0.0 { strength } else { 0.0 };
                matt[l] = strength * (wrapped * (0.35 + 0.65 * s.open[l]));
            }
            let gleam = if s.shiny { s.highlight(&towards) } else { [0.0; LANES] };
            for c in 0..3 {
                for l in 0..LANES {
                    diffuse[c][l] += lamp.colour[c] * matt[l];
                }
            }
            if s.shiny {
                for c in 0..3 {
                    for l in 0..LANES {
                        highlight[c][l] += lamp.colour[c] * (power[l] * gleam[l]);
                    }
                }
            }
        }
    }

    /// Linear radiance to an 8-bit sRGB-like pixel (soft shoulder, square-root transfer).
    pub fn tone(&self, c: Vec3) -> [u8; 3] {
        c.to_array().map(|v| curve(v * self.exposure))
    }

    /// The same for a block.
    pub fn tones(&self, colour: &[Lanes; 3]) -> [[u8; LANES]; 3] {
        let mut out = [[0; LANES]; 3];
        for c in 0..3 {
            for l in 0..LANES {
                out[c][l] = curve(colour[c][l] * self.exposure);
            }
        }
        out
    }
}

#[inline(always)]
fn curve(x: f32) -> u8 {
    let y = x * (1.0 + x * 0.16) / (1.0 + x * 0.62);
    let y = not_below(if y < 1.0 { y } else { 1.0 }, 0.0);
    // A number from 2^23 to 2^24 has its nearest integer in its lowest bits.
    (y.sqrt() * 255.0 + 8_388_608.0).to_bits() as u8
}
