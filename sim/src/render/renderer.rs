//! The renderer: owns the models of a scene and draws pictures of it.

use glam::{Affine3A, DQuat, DVec3, Vec2, Vec3};

use super::camera::{CameraPose, Intrinsics};
use super::light::Lamp;
use super::looks;
use super::mesh::Mesh;
use super::occlusion::Occlusion;
use super::paint::{Painter, Thing};
use super::raster::{self, NOTHING, ScreenTriangle};
use super::shade::Lighting;
use super::shadow::ShadowMap;
use super::texture::Textures;
use crate::scene::{Light, Pose, Scene, Shape};

/// Nearest and farthest depth that the camera sees, m (a camera's own limits are the sensor model's business).
const NEAR_M: f64 = 0.03;
const SHADOW_SIDE: usize = 2048;
/// What reaches higher than this counts as a wall: it holds lamp light back and does not shade the key light, which stands
/// for the light that the ceilings of all rooms give.
const WALL_TOP_M: f64 = 2.0;

/// One picture. All buffers are row-major, `width * height` pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue, 8 bit each (encoding `rgb8`).
    pub rgb: Vec<u8>,
    /// Distance along the optical axis, m (encoding `32FC1`); 0 where nothing is hit.
    pub depth: Vec<f32>,
    /// Instance id of the item that is seen, 0 where nothing is hit.
    pub instance: Vec<u32>,
}

/// Draws pictures of one scene; see the module's text.
pub struct Renderer {
    things: Vec<Thing>,
    textures: Textures,
    lighting: Lighting,
    background: Vec3,
    bodies: Vec<Pose>,
    threads: usize,
    occlusion: Occlusion,
    inverse_z: Vec<f32>,
    ids: Vec<u32>,
    triangles: Vec<ScreenTriangle>,
    camera_space: Vec<Vec3>,
    frame: Frame,
}

fn to_affine(pose: &Pose) -> Affine3A {
    Affine3A::from_rotation_translation(pose.orientation.as_quat(), pose.position.as_vec3())
}

impl Renderer {
    /// Builds the models, textures, lamps and the still part of the shadow map. Never fails: an unknown look is drawn as a
    /// plain surface (see [`looks::is_known`] to check a world file).
    pub fn new(scene: &Scene) -> Self {
        let mut textures = Textures::default();
        let mut things = Vec::with_capacity(scene.items.len());
        for item in &scene.items {
            let mesh = looks::build(item, &mut textures);
            let (lo, hi) = mesh.bounds();
            let density = texel_density(&mesh, &textures);
            let casts = !is_wall(&item.shape, &item.pose, item.body);
            things.push(Thing {
                density,
                pose: item.pose,
                body: item.body,
                id: item.id,
                centre: (lo + hi) * 0.5,
                radius: (hi - lo).length() * 0.5,
                casts,
                mesh,
            });
        }
        let mut renderer = Self {
            things,
            textures,
            lighting: Lighting {
                to_key: Vec3::Z,
                key: Vec3::ZERO,
                shadow: None,
                lamps: Vec::new(),
                ambient: Vec3::from(scene.ambient),
                exposure: 1.25,
            },
            background: Vec3::from(scene.background),
            bodies: scene.bodies.iter().map(|b| b.pose).collect(),
            threads: 1,
            occlusion: Occlusion::default(),
            inverse_z: Vec::new(),
            ids: Vec::new(),
            triangles: Vec::new(),
            camera_space: Vec::new(),
            frame: Frame::default(),
        };
        renderer.set_lights(scene);
        renderer
    }

    /// Takes the lights, ambient and background of `scene` (its items are not looked at, except as walls).
    pub fn set_lights(&mut self, scene: &Scene) {
        let walls: Vec<(Vec2, Vec2)> = scene
            .items
            .iter()
            .filter(|i| is_wall(&i.shape, &i.pose, i.body))
            .filter_map(|i| footprint(&i.shape, &i.pose))
            .collect();
        self.lighting.ambient = Vec3::from(scene.ambient);
        self.background = Vec3::from(scene.background);
        self.lighting.key = Vec3::ZERO;
        self.lighting.shadow = None;
        self.lighting.lamps.clear();
        for light in &scene.lights {
            match light {
                Light::Directional { direction, colour, shadows } => {
                    if self.lighting.key != Vec3::ZERO {
                        continue; // one key light; further ones are rare and would each need a map
                    }
                    let d = direction.as_vec3().normalize_or(-Vec3::Z);
                    self.lighting.to_key = -d;
                    self.lighting.key = Vec3::from(*colour);
                    if *shadows {
                        self.lighting.shadow = self.still_shadows(d);
                    }
                }
                Light::Point { position, colour, range } => {
                    self.lighting.lamps.push(Lamp::new(position.as_vec3(), Vec3::from(*colour), *range as f32, &walls));
                }
            }
        }
    }

    /// One thread (default) or more; the picture is the same.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.clamp(1, 16);
    }

    /// Multiplies the light before the tone curve; 1.25 at the start.
    pub fn set_exposure(&mut self, exposure: f32) {
        self.lighting.exposure = exposure.max(0.0);
    }

    /// Number of triangles of all models.
    pub fn triangle_count(&self) -> usize {
        self.things.iter().map(|t| t.mesh.triangles.len()).sum()
    }

    fn still_shadows(&self, direction: Vec3) -> Option<ShadowMap> {
        let (mut lo, mut hi) = (Vec3::MAX, Vec3::MIN);
        for t in &self.things {
            let c = to_affine(&self.world_pose(t, &self.bodies)).transform_point3(t.centre);
            lo = lo.min(c - t.radius);
            hi = hi.max(c + t.radius);
        }
        if self.things.is_empty() {
            return None;
        }
        let mut map = ShadowMap::new(lo, hi, direction, SHADOW_SIDE);
        for t in self.things.iter().filter(|t| t.body.is_none() && t.casts) {
            cast(&mut map, t, &to_affine(&t.pose), false);
        }
        map.finish_still();
        Some(map)
    }

    fn world_pose(&self, thing: &Thing, bodies: &[Pose]) -> Pose {
        match thing.body {
            Some(b) => bodies.get(b).or_else(|| self.bodies.get(b)).map_or(thing.pose, |p| p.then(&thing.pose)),
            None => thing.pose,
        }
    }

    /// Draws one picture; `bodies` are the present poses of the scene's bodies in their order (missing ones stay where the
    /// scene put them).
    pub fn render(&mut self, camera: &Intrinsics, pose: &CameraPose, bodies: &[Pose]) -> &Frame {
        let (w, h) = (camera.width, camera.height);
        self.frame.width = w;
        self.frame.height = h;
        let pixels = w * h;
        self.frame.rgb.resize(pixels * 3, 0);
        self.frame.depth.resize(pixels, 0.0);
        self.frame.instance.resize(pixels, 0);
        self.inverse_z.clear();
        self.inverse_z.resize(pixels, 0.0);
        self.ids.clear();
        self.ids.resize(pixels, NOTHING);
        if pixels == 0 {
            return &self.frame;
        }
        let poses: Vec<Affine3A> = self.things.iter().map(|t| to_affine(&self.world_pose(t, bodies))).collect();
        if let Some(map) = &mut self.lighting.shadow {
            map.forget_moving();
            for (t, pose) in self.things.iter().zip(&poses).filter(|(t, _)| t.body.is_some() && t.casts) {
                cast(map, t, pose, true);
            }
        }
        self.collect(camera, pose, &poses);
        let threads = self.threads.min(h);
        let rows_per = h.div_ceil(threads);
        let triangles = &self.triangles;
        if threads == 1 {
            raster::draw(triangles, w, 0, NEAR_M as f32, &mut self.inverse_z, &mut self.ids);
        } else {
            std::thread::scope(|s| {
                let tiles = self.inverse_z.chunks_mut(rows_per * w).zip(self.ids.chunks_mut(rows_per * w));
                for (k, (z, ids)) in tiles.enumerate() {
                    s.spawn(move || raster::draw(triangles, w, k * rows_per, NEAR_M as f32, z, ids));
                }
            });
        }
        self.occlusion.update(camera, &self.inverse_z, &self.ids, &self.triangles);
        let painter = Painter {
            things: &self.things,
            textures: &self.textures,
            lighting: &self.lighting,
            occlusion: &self.occlusion,
            triangles,
            ids: &self.ids,
            inverse_z: &self.inverse_z,
            rotations: poses.iter().map(|p| p.matrix3).collect(),
            background: self.background,
            camera,
            pose,
        };
        if threads == 1 {
            painter.paint(0, &mut self.frame.rgb, &mut self.frame.depth, &mut self.frame.instance);
        } else {
            std::thread::scope(|s| {
                let tiles = self
                    .frame
                    .rgb
                    .chunks_mut(rows_per * w * 3)
                    .zip(self.frame.depth.chunks_mut(rows_per * w))
                    .zip(self.frame.instance.chunks_mut(rows_per * w));
                for (k, ((rgb, depth), instance)) in tiles.enumerate() {
                    let painter = &painter;
                    s.spawn(move || painter.paint(k * rows_per, rgb, depth, instance));
                }
            });
        }
        soften_edges(&mut self.frame, &self.ids, &self.triangles);
        &self.frame
    }

    /// Screen triangles of everything in view.
    fn collect(&mut self, camera: &Intrinsics, pose: &CameraPose, poses: &[Affine3A]) {
        self.triangles.clear();
        let view = view_of(pose);
        let tx = ((camera.cx.max(camera.width as f64 - camera.cx) + 1.0) / camera.fx) as f32;
        let ty = ((camera.cy.max(camera.height as f64 - camera.cy) + 1.0) / camera.fy) as f32;
        let (lx, ly) = ((1.0 + tx * tx).sqrt(), (1.0 + ty * ty).sqrt());
        let mut order: Vec<(f32, usize)> = Vec::with_capacity(self.things.len());
        for (k, t) in self.things.iter().enumerate() {
            let c = view.transform_point3(poses[k].transform_point3(t.centre));
            let r = t.radius;
            let outside = c.z < NEAR_M as f32 - r || c.x.abs() - tx * c.z > r * lx || c.y.abs() - ty * c.z > r * ly;
            if !outside && !t.mesh.triangles.is_empty() {
                order.push((c.z - r, k));
            }
        }
        // Near things first: what they hide is then rejected by depth alone. Ties keep the scene's order.
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, k) in order {
            let t = &self.things[k];
            let m = view * poses[k];
            self.camera_space.clear();
            self.camera_space.extend(t.mesh.positions.iter().map(|&p| m.transform_point3(p)));
            for (i, tri) in t.mesh.triangles.iter().enumerate() {
                let v = tri.map(|j| self.camera_space[j as usize]);
                if let Some(s) = raster::setup(v, camera, NEAR_M, k as u32, i as u32) {
                    self.triangles.push(s);
                }
            }
        }
    }
}

fn view_of(pose: &CameraPose) -> Affine3A {
    let inverse: DQuat = pose.rotation.inverse();
    let shift: DVec3 = -(inverse * pose.position);
    Affine3A::from_rotation_translation(inverse.as_quat(), shift.as_vec3())
}

fn cast(map: &mut ShadowMap, thing: &Thing, pose: &Affine3A, moving: bool) {
    for tri in &thing.mesh.triangles {
        map.draw(tri.map(|j| pose.transform_point3(thing.mesh.positions[j as usize])), moving);
    }
}

fn is_wall(shape: &Shape, pose: &Pose, body: Option<usize>) -> bool {
    let Shape::Box { size } = shape else { return false };
    body.is_none() && pose.position.z + size.z * 0.5 > WALL_TOP_M
}

fn footprint(shape: &Shape, pose: &Pose) -> Option<(Vec2, Vec2)> {
    let Shape::Box { size } = shape else { return None };
    if pose.position.z - size.z * 0.5 > 1.0 {
        return None; // a lintel or the ceiling: light passes below
    }
    let x = (pose.orientation * DVec3::X).abs() * size.x * 0.5;
    let y = (pose.orientation * DVec3::Y).abs() * size.y * 0.5;
    let half = (x + y).truncate();
    let c = pose.position.truncate();
    Some(((c - half).as_vec2(), (c + half).as_vec2()))
}

fn texel_density(mesh: &Mesh, textures: &Textures) -> Vec<f32> {
    mesh.triangles
        .iter()
        .zip(&mesh.triangle_materials)
        .map(|(t, &m)| {
            let material = &mesh.materials[m as usize];
            let Some(id) = material.texture else { return 0.0 };
            let side = textures.get(id).side() as f32;
            let p = t.map(|i| mesh.positions[i as usize]);
            let uv = t.map(|i| mesh.uvs[i as usize] * material.repeat * side);
            let area = (p[1] - p[0]).cross(p[2] - p[0]).length().max(1e-12);
            let texels = (uv[1] - uv[0]).perp_dot(uv[2] - uv[0]).abs();
            (texels / area).sqrt()
        })
        .collect()
}

/// Blends pixels at the outlines of things with their neighbours, in place of anti-aliasing.
fn soften_edges(frame: &mut Frame, ids: &[u32], triangles: &[ScreenTriangle]) {
    let (w, h) = (frame.width, frame.height);
    if w < 3 || h < 3 {
        return;
    }
    let item = |k: usize| if ids[k] == NOTHING { NOTHING } else { triangles[ids[k] as usize].item };
    // The row above as it was before the filter.
    let mut above = frame.rgb[..w * 3].to_vec();
    for y in 1..h - 1 {
        let current = frame.rgb[y * w * 3..(y + 1) * w * 3].to_vec();
        for x in 1..w - 1 {
            let k = y * w + x;
            let around = [k - 1, k + 1, k - w, k + w];
            // One triangle mostly, and looking at its number alone is faster.
            if around.iter().all(|&i| ids[i] == ids[k]) || around.iter().all(|&i| item(i) == item(k)) {
                continue;
            }
            for c in 0..3 {
                let at = |i: usize| u32::from(current[i]);
                let i = x * 3 + c;
                let sum = 4 * at(i) + at(i - 3) + at(i + 3) + u32::from(above[i]) + u32::from(frame.rgb[(k + w) * 3 + c]);
                frame.rgb[k * 3 + c] = ((sum + 4) / 8) as u8;
            }
        }
        above = current;
    }
}
