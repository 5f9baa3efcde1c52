//! From a look's name and an item's shape to a mesh: materials for plain shapes, furniture, and small objects.

use glam::{Vec2, Vec3};

use super::mesh::{Material, Mesh};
use super::patterns::pattern;
use super::texture::Textures;
use super::{furniture, objects};
use crate::scene::{Item, Shape};

/// Looks that only clothe the item's own shape: (name, pattern, repeats per metre, gloss, fuzz).
/// The item's colour multiplies the pattern. Most patterns are near white; `planks`, `rug` and `wood` have colours of their
/// own and want a white item, where `boards`, `weave` and `grain` are the same in grey. Zero repeats: once over the top.
const SURFACES: &[(&str, &str, f32, f32, f32)] = &[
    ("carpet", "carpet", 1.0, 0.0, 0.2),
    ("carpet_red", "weave", 0.0, 0.0, 0.2),
    ("cloth", "cloth", 3.0, 0.0, 0.2),
    ("dark", "", 1.0, 0.5, 0.0),
    ("fabric_blue", "cloth", 3.0, 0.0, 0.3),
    ("fabric_grey", "cloth", 3.0, 0.0, 0.3),
    ("glossy", "", 1.0, 0.6, 0.0),
    ("green", "foliage", 2.0, 0.0, 0.3),
    ("linen", "cloth", 2.0, 0.0, 0.2),
    ("metal", "", 1.0, 0.9, 0.0),
    ("oak", "grain", 1.0, 0.1, 0.0),
    ("parquet", "boards", 0.8, 0.12, 0.0),
    ("planks", "planks", 0.8, 0.12, 0.0),
    ("plaster", "plaster", 0.7, 0.0, 0.0),
    ("plastic", "", 1.0, 0.3, 0.0),
    ("rug", "rug", 0.0, 0.0, 0.2),
    ("steel", "", 1.0, 0.8, 0.0),
    ("stone", "stone", 1.2, 0.25, 0.0),
    ("terracotta", "stone", 2.0, 0.05, 0.0),
    ("tiles", "tiles", 0.6, 0.25, 0.0),
    ("walnut", "grain", 1.0, 0.15, 0.0),
    ("white", "", 1.0, 0.2, 0.0),
    ("wood", "wood", 1.0, 0.1, 0.0),
];

/// Every look's name, sorted.
pub fn names() -> Vec<&'static str> {
    let mut all: Vec<&str> = SURFACES.iter().map(|s| s.0).chain(furniture::NAMES.iter().copied()).collect();
    all.extend(objects::NAMES);
    all.sort_unstable();
    all
}

/// Is there such a look? The empty name is a plain surface and counts as known.
pub fn is_known(look: &str) -> bool {
    look.is_empty() || names().contains(&look)
}

/// Bounding box of a shape, m.
fn extents(shape: &Shape) -> Vec3 {
    match shape {
        Shape::Box { size } | Shape::Mesh { size, .. } => size.as_vec3(),
        Shape::Cylinder { radius, length } => Vec3::new(2.0 * *radius as f32, 2.0 * *radius as f32, *length as f32),
        Shape::Sphere { radius } => Vec3::splat(2.0 * *radius as f32),
    }
}

/// The mesh of an item in its own frame.
pub fn build(item: &Item, textures: &mut Textures) -> Mesh {
    let size = extents(&item.shape).max(Vec3::splat(1e-4));
    let look = match (&item.shape, item.look.as_str()) {
        (Shape::Mesh { name, .. }, "") => name.as_str(),
        (_, look) => look,
    };
    let tint = Material { colour: Vec3::from(item.colour), ..Material::matt(1.0, 1.0, 1.0) };
    if let Some(mesh) = objects::build(look, size, textures) {
        return mesh;
    }
    if let Some(mesh) = furniture::build(look, size, tint.clone(), textures) {
        return mesh;
    }
    let mut material = tint;
    let mut stretched = false;
    if let Some(&(_, name, per_metre, gloss, fuzz)) = SURFACES.iter().find(|s| s.0 == look) {
        material = material.glossy(gloss, 20.0 + 80.0 * gloss).fuzzy(fuzz);
        if !name.is_empty() {
            stretched = per_metre == 0.0;
            material = material.textured(pattern(textures, name), per_metre, per_metre);
        }
    }
    let mut mesh = Mesh::default();
    if stretched {
        // One pattern over the whole top (a rug), instead of repeats per metre.
        material.repeat = Vec2::new(1.0 / size.x, 1.0 / size.y);
    }
    match &item.shape {
        Shape::Box { .. } | Shape::Mesh { .. } => {
            let k = mesh.material(material);
            mesh.cuboid(Vec3::ZERO, size, k);
        }
        Shape::Cylinder { .. } => {
            let (r, h) = (size.x * 0.5, size.z * 0.5);
            // Around a body the coordinate is 0..1: keep the scale of one repeat per metre of surface.
            material.repeat *= Vec2::new((std::f32::consts::TAU * r).ceil(), size.z + 2.0 * r);
            let k = mesh.material(material);
            let segments = if r > 0.1 { 40 } else { 24 };
            mesh.lathe(&[(0.0, -h), (r, -h), (r, h), (0.0, h)], segments, k);
        }
        Shape::Sphere { .. } => {
            let k = mesh.material(material);
            mesh.ellipsoid(Vec3::ZERO, size * 0.5, glam::Quat::IDENTITY, 32, k);
        }
    }
    mesh
}
