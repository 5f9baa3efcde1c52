//! Colour of a visible surface point: key light with shadow, room lamps, hemisphere light, highlights, tone curve.

use glam::Vec3;

use super::light::Lamp;
use super::mesh::Material;
use super::shadow::ShadowMap;

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

/// One surface point to colour.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    /// World position, m.
    pub position: Vec3,
    /// Unit normal.
    pub normal: Vec3,
    /// Unit vector towards the camera.
    pub view: Vec3,
    /// Linear diffuse colour.
    pub albedo: Vec3,
    /// Ambient openness, 0 to 1.
    pub open: f32,
}

/// What a shiny thing mirrors in a lit room: bright ceiling, a window to one side, darker floor.
fn surroundings(r: Vec3) -> f32 {
    let ceiling = 0.12 + 0.5 * ((r.z + 0.1) * 1.6).clamp(0.0, 1.0);
    let (ahead, aside) = (0.6 * r.x + 0.8 * r.y, 0.6 * r.y - 0.8 * r.x);
    let window = if ahead > 0.05 {
        let (u, v) = (aside / ahead, r.z / ahead);
        let soft = |t: f32| (t * 8.0).clamp(0.0, 1.0);
        2.2 * soft(u + 0.45) * soft(0.45 - u) * soft(v - 0.1) * soft(0.9 - v) * soft((u.abs() - 0.02) * 4.0)
    } else {
        0.0
    };
    ceiling + window
}

/// Blinn-Phong highlight: the cosine between normal and half vector to the power of two nearest below `exponent`,
/// from the unnormalised half vector and without a call to the mathematics library.
#[inline]
fn highlight_power(normal: Vec3, half: Vec3, exponent: f32) -> f32 {
    let cos = normal.dot(half);
    let square = cos * cos;
    let length = half.length_squared();
    if cos <= 0.0 || square < 0.6 * length {
        return 0.0;
    }
    let mut p = square / length;
    // One squaring fewer than log2(exponent): p is the square of the cosine already.
    for _ in 0..(exponent.max(1.0).to_bits() >> 23).saturating_sub(128) {
        p *= p;
    }
    p
}

impl Lighting {
    /// Linear radiance that leaves the surface towards the camera.
    #[inline]
    pub fn radiance(&self, s: &Surface, m: &Material) -> Vec3 {
        let n = s.normal;
        let key_cos = n.dot(self.to_key);
        let lit = if key_cos > 0.0 { self.shadow.as_ref().map_or(1.0, |map| map.lit(s.position, n)) } else { 0.0 };
        // Hemisphere: the ceiling gives more than the floor.
        let up = 0.5 + 0.5 * n.z;
        let hemisphere = self.ambient * (Vec3::new(0.62, 0.58, 0.54) * (1.0 - up) + Vec3::new(1.0, 1.0, 1.02) * up);
        let mut diffuse = hemisphere * s.open + self.key * (key_cos.max(0.0) * lit);
        let mut highlight = Vec3::ZERO;
        let shiny = m.gloss > 0.0;
        if shiny && lit > 0.0 {
            highlight += self.key * (lit * highlight_power(n, self.to_key + s.view, m.shininess));
        }
        let probe = s.position + n * 0.12;
        for lamp in &self.lamps {
            let to = lamp.position - s.position;
            let d2 = to.length_squared();
            // Cheapest tests first: most lamps are in other rooms.
            if d2 > lamp.range * lamp.range || !lamp.may_reach(probe.truncate()) {
                continue;
            }
            let dir = to * (1.0 / d2.sqrt().max(1e-3));
            // A wide lamp also reaches a little round the edge.
            let wrapped = ((n.dot(dir) + 0.15) * (1.0 / 1.15)).max(0.0);
            if wrapped <= 0.0 {
                continue;
            }
            let fade = (1.0 - d2 * lamp.inverse_range2).max(0.0);
            let power = lamp.colour * (fade * fade * 3.0 / (1.5 + d2) * lamp.reaches(probe.truncate()));
            diffuse += power * (wrapped * (0.35 + 0.65 * s.open));
            if shiny {
                highlight += power * highlight_power(n, dir + s.view, m.shininess);
            }
        }
        let mut out = s.albedo * diffuse;
        if m.fuzz > 0.0 {
            let edge = 1.0 - n.dot(s.view).clamp(0.0, 1.0);
            out += s.albedo * hemisphere * (m.fuzz * edge * edge);
        }
        if shiny {
            let cos = n.dot(s.view).clamp(0.0, 1.0);
            let grazing = (1.0 - cos) * (1.0 - cos);
            let fresnel = 0.05 + 0.95 * grazing * grazing * (1.0 - cos);
            let mirrored = 2.0 * n.dot(s.view) * n - s.view;
            out += highlight * m.gloss + self.ambient * (surroundings(mirrored) * 2.0 * fresnel * m.gloss * (0.3 + 0.7 * s.open));
        }
        out + s.albedo * m.glow
    }

    /// Linear radiance to an 8-bit sRGB-like pixel (soft shoulder, square-root transfer).
    #[inline]
    pub fn tone(&self, c: Vec3) -> [u8; 3] {
        let x = c * self.exposure;
        let y = (x * (Vec3::ONE + x * 0.16) / (Vec3::ONE + x * 0.62)).clamp(Vec3::ZERO, Vec3::ONE);
        [(y.x.sqrt() * 255.0 + 0.5) as u8, (y.y.sqrt() * 255.0 + 0.5) as u8, (y.z.sqrt() * 255.0 + 0.5) as u8]
    }
}
