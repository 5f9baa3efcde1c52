//! Triangle meshes with materials, and the few generators that every procedural look is made of.

use glam::{Mat3, Quat, Vec2, Vec3};
use std::f32::consts::{PI, TAU};

use super::texture::TextureId;

/// How light leaves a surface. Colours are linear (not gamma-coded) RGB.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// Diffuse reflectance, multiplied with the texture when there is one.
    pub colour: Vec3,
    /// Texture that modulates the colour.
    pub texture: Option<TextureId>,
    /// Texture repeats per unit of the mesh's texture coordinates (which are metres, or 0..1 around a body of revolution).
    pub repeat: Vec2,
    /// Strength of mirror-like reflection, 0 (chalk) to 1 (glazed).
    pub gloss: f32,
    /// Blinn-Phong exponent of the highlight.
    pub shininess: f32,
    /// Strength of the soft bright rim of plush and cloth.
    pub fuzz: f32,
    /// Light that the surface sends out by itself, as a multiple of its colour.
    pub glow: f32,
}

impl Material {
    /// A dull surface of one colour, given as 8-bit-style sRGB components in 0..1.
    pub fn matt(r: f32, g: f32, b: f32) -> Self {
        Self {
            // The renderer's transfer curve is a square: decode v*v, encode sqrt (see shade.rs).
            colour: Vec3::new(r * r, g * g, b * b),
            texture: None,
            repeat: Vec2::ONE,
            gloss: 0.0,
            shininess: 20.0,
            fuzz: 0.0,
            glow: 0.0,
        }
    }

    /// The same with a glossy coat.
    pub fn glossy(self, gloss: f32, shininess: f32) -> Self {
        Self { gloss, shininess, ..self }
    }

    /// The same with a plush rim.
    pub fn fuzzy(self, fuzz: f32) -> Self {
        Self { fuzz, ..self }
    }

    /// The same with a texture repeated `u`, `v` times per texture coordinate unit.
    pub fn textured(self, texture: TextureId, u: f32, v: f32) -> Self {
        Self { texture: Some(texture), repeat: Vec2::new(u, v), ..self }
    }
}

/// Triangles with per-vertex normals and texture coordinates; counter-clockwise seen from outside. Metres, z up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Vertex positions.
    pub positions: Vec<Vec3>,
    /// Unit normals, one per vertex.
    pub normals: Vec<Vec3>,
    /// Texture coordinates, one per vertex.
    pub uvs: Vec<Vec2>,
    /// Vertex indices.
    pub triangles: Vec<[u32; 3]>,
    /// Index into [`Mesh::materials`], one per triangle.
    pub triangle_materials: Vec<u16>,
    /// Materials in use.
    pub materials: Vec<Material>,
}

impl Mesh {
    /// Adds a material and returns its index.
    pub fn material(&mut self, material: Material) -> u16 {
        self.materials.push(material);
        (self.materials.len() - 1) as u16
    }

    fn vertex(&mut self, p: Vec3, n: Vec3, uv: Vec2) -> u32 {
        self.positions.push(p);
        self.normals.push(n.normalize_or(Vec3::Z));
        self.uvs.push(uv);
        (self.positions.len() - 1) as u32
    }

    fn triangle(&mut self, a: u32, b: u32, c: u32, material: u16) {
        self.triangles.push([a, b, c]);
        self.triangle_materials.push(material);
    }

    /// A flat four-sided face; `corners` counter-clockwise seen from outside, texture coordinates given per corner.
    pub fn quad(&mut self, corners: [Vec3; 4], uvs: [Vec2; 4], material: u16) {
        let n = (corners[1] - corners[0]).cross(corners[3] - corners[0]);
        let i: Vec<u32> = corners.iter().zip(uvs).map(|(&p, uv)| self.vertex(p, n, uv)).collect();
        self.triangle(i[0], i[1], i[2], material);
        self.triangle(i[0], i[2], i[3], material);
    }

    /// An axis-aligned box; texture coordinates in metres.
    pub fn cuboid(&mut self, centre: Vec3, size: Vec3, material: u16) {
        self.rotated_cuboid(centre, size, Quat::IDENTITY, material);
    }

    /// A box turned about its centre; texture coordinates in metres.
    pub fn rotated_cuboid(&mut self, centre: Vec3, size: Vec3, rotation: Quat, material: u16) {
        let h = size * 0.5;
        // (normal, u axis, v axis) with u x v = normal
        let faces = [
            (Vec3::X, Vec3::Y, Vec3::Z),
            (-Vec3::X, -Vec3::Y, Vec3::Z),
            (Vec3::Y, -Vec3::X, Vec3::Z),
            (-Vec3::Y, Vec3::X, Vec3::Z),
            (Vec3::Z, Vec3::X, Vec3::Y),
            (-Vec3::Z, -Vec3::X, Vec3::Y),
        ];
        for (n, u, v) in faces {
            let (hu, hv) = ((u * h).length(), (v * h).length());
            let corner = |su: f32, sv: f32| centre + rotation * (n * h + u * hu * su + v * hv * sv);
            self.quad(
                [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)],
                [Vec2::ZERO, Vec2::new(2.0 * hu, 0.0), Vec2::new(2.0 * hu, 2.0 * hv), Vec2::new(0.0, 2.0 * hv)],
                material,
            );
        }
    }

    /// A body of revolution about z. `profile` is (radius, z) from one end to the other, the outside lying to the right
    /// of the direction of travel when radius points right and z up (so: bottom to top for an outer wall).
    /// Corners sharper than about 40 degrees stay sharp. Texture coordinates: u = 0..1 around, v = 0..1 along the arc.
    pub fn lathe(&mut self, profile: &[(f32, f32)], segments: usize, material: u16) {
        let lengths: Vec<f32> = profile.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).collect();
        let total: f32 = lengths.iter().sum::<f32>().max(1e-6);
        // Outward normal of each profile segment in (r, z).
        let seg_normal: Vec<Vec2> =
            profile.windows(2).map(|w| Vec2::new(w[1].1 - w[0].1, -(w[1].0 - w[0].0)).normalize_or(Vec2::X)).collect();
        let mut along = 0.0;
        for (i, w) in profile.windows(2).enumerate() {
            let blend = |other: Option<&Vec2>| match other {
                Some(o) if o.dot(seg_normal[i]) > 0.76 => (*o + seg_normal[i]).normalize_or(seg_normal[i]),
                _ => seg_normal[i],
            };
            let n0 = blend(if i > 0 { seg_normal.get(i - 1) } else { None });
            let n1 = blend(seg_normal.get(i + 1));
            let (v0, v1) = (along / total, (along + lengths[i]) / total);
            along += lengths[i];
            let base = self.positions.len() as u32;
            for s in 0..=segments {
                let u = s as f32 / segments as f32;
                let (sin, cos) = (u * TAU).sin_cos();
                for (n, p, v) in [(n0, w[0], v0), (n1, w[1], v1)] {
                    self.vertex(Vec3::new(p.0 * cos, p.0 * sin, p.1), Vec3::new(n.x * cos, n.x * sin, n.y), Vec2::new(u, v));
                }
            }
            for s in 0..segments as u32 {
                let (a, b, c, d) = (base + 2 * s, base + 2 * s + 2, base + 2 * s + 3, base + 2 * s + 1);
                if w[0].0 > 1e-6 {
                    self.triangle(a, b, c, material);
                }
                if w[1].0 > 1e-6 {
                    self.triangle(a, c, d, material);
                }
            }
        }
    }

    /// An ellipsoid with the given half axes. Texture coordinates: longitude and latitude in 0..1.
    pub fn ellipsoid(&mut self, centre: Vec3, radii: Vec3, rotation: Quat, segments: usize, material: u16) {
        let rings = (segments / 2).max(3);
        let base = self.positions.len() as u32;
        for r in 0..=rings {
            let lat = PI * (r as f32 / rings as f32 - 0.5);
            for s in 0..=segments {
                let lon = TAU * s as f32 / segments as f32;
                let d = Vec3::new(lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin());
                self.vertex(
                    centre + rotation * (d * radii),
                    rotation * (d / radii),
                    Vec2::new(s as f32 / segments as f32, r as f32 / rings as f32),
                );
            }
        }
        let w = segments as u32 + 1;
        for r in 0..rings as u32 {
            for s in 0..segments as u32 {
                let (a, b, c, d) = (base + r * w + s, base + r * w + s + 1, base + (r + 1) * w + s + 1, base + (r + 1) * w + s);
                if r > 0 {
                    self.triangle(a, b, c, material);
                }
                if r + 1 < rings as u32 {
                    self.triangle(a, c, d, material);
                }
            }
        }
    }

    /// A round bar along a polyline; `radius` per point. Ends are left open (they sit inside other bodies).
    pub fn tube(&mut self, path: &[(Vec3, f32)], segments: usize, material: u16) {
        let base = self.positions.len() as u32;
        let mut side = Vec3::ZERO;
        for (i, &(p, radius)) in path.iter().enumerate() {
            let prev = path[i.saturating_sub(1)].0;
            let next = path[(i + 1).min(path.len() - 1)].0;
            let t = (next - prev).normalize_or(Vec3::Z);
            if i == 0 {
                side = t.any_orthonormal_vector();
            }
            side = (side - t * side.dot(t)).normalize_or(t.any_orthonormal_vector());
            let up = t.cross(side);
            // A bar that gets thinner faces forward a little.
            let (r0, r1) = (path[i.saturating_sub(1)].1, path[(i + 1).min(path.len() - 1)].1);
            let slope = (r1 - r0) / (next - prev).length().max(1e-6);
            for s in 0..=segments {
                let (sin, cos) = (TAU * s as f32 / segments as f32).sin_cos();
                let n = side * cos + up * sin;
                self.vertex(p + n * radius, n - t * slope, Vec2::new(s as f32 / segments as f32, i as f32 / path.len() as f32));
            }
        }
        let w = segments as u32 + 1;
        for i in 0..(path.len() as u32).saturating_sub(1) {
            for s in 0..segments as u32 {
                let (a, b, c, d) = (base + i * w + s, base + i * w + s + 1, base + (i + 1) * w + s + 1, base + (i + 1) * w + s);
                self.triangle(a, b, c, material);
                self.triangle(a, c, d, material);
            }
        }
    }

    /// Axis-aligned bounds (minimum, maximum); zeros for an empty mesh.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        if self.positions.is_empty() {
            return (Vec3::ZERO, Vec3::ZERO);
        }
        self.positions.iter().fold((Vec3::MAX, Vec3::MIN), |(lo, hi), &p| (lo.min(p), hi.max(p)))
    }

    /// Scales and shifts every vertex (positions `p * scale + shift`), keeping normals right.
    pub fn scale_shift(&mut self, scale: Vec3, shift: Vec3) {
        for p in &mut self.positions {
            *p = *p * scale + shift;
        }
        for n in &mut self.normals {
            *n = (*n / scale).normalize_or(Vec3::Z);
        }
    }

    /// Turns every vertex about the origin.
    pub fn rotate(&mut self, rotation: Quat) {
        let m = Mat3::from_quat(rotation);
        for v in self.positions.iter_mut().chain(&mut self.normals) {
            *v = m * *v;
        }
    }
}
