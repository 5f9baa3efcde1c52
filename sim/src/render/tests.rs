//! The camera held against geometry that is known without it.

use glam::{DQuat, DVec3, Vec3};

use super::camera::{CameraPose, Intrinsics};
use super::looks;
use super::mesh::{Material, Mesh};
use super::renderer::Renderer;
use super::texture::Textures;
use crate::scene::{Body, Item, Light, Pose, Scene, Shape};

fn cube(id: u32, size: [f64; 3], at: [f64; 3]) -> Item {
    Item {
        name: "cube".to_owned(),
        id,
        label: None,
        shape: Shape::Box { size: DVec3::from(size) },
        pose: Pose { position: DVec3::from(at), orientation: DQuat::IDENTITY },
        body: None,
        colour: [0.5, 0.5, 0.5],
        look: String::new(),
    }
}

fn lit_scene(items: Vec<Item>) -> Scene {
    Scene {
        items,
        lights: vec![Light::Directional { direction: DVec3::NEG_Z, colour: [0.8; 3], shadows: true }],
        ambient: [0.2; 3],
        ..Scene::default()
    }
}

fn level(x: f64, y: f64, z: f64) -> CameraPose {
    CameraPose::from_yaw_pitch(DVec3::new(x, y, z), 0.0, 0.0)
}

#[test]
fn a_wall_seen_squarely_has_one_depth_in_every_pixel() {
    // The face of the wall is at x = 2.5, the camera at x = 0 looks along x: depth is along the axis, not along the ray.
    let mut r = Renderer::new(&lit_scene(vec![cube(7, [1.0, 40.0, 40.0], [3.0, 0.0, 0.0])]));
    let f = r.render(&Intrinsics::from_hfov(64, 48, 1.1), &level(0.0, 0.0, 1.0), &[]);
    assert!(f.depth.iter().all(|d| (d - 2.5).abs() < 1e-5), "{:?}", &f.depth[..4]);
    assert!(f.instance.iter().all(|&i| i == 7));
}

#[test]
fn depth_of_a_floor_follows_the_ray_equation() {
    // Camera at height h pitched by p: the ray of row v meets z = 0 at depth h / (sin p + y cos p), y = (v - cy) / fy.
    let mut r = Renderer::new(&lit_scene(vec![cube(1, [60.0, 60.0, 1.0], [0.0, 0.0, -0.5])]));
    let k = Intrinsics::from_hfov(80, 60, 1.1);
    let (h, p) = (0.62f64, 0.35f64);
    let f = r.render(&k, &CameraPose::from_yaw_pitch(DVec3::new(0.0, 0.0, h), 0.7, p), &[]);
    for (row, column) in [(20usize, 3usize), (30, 40), (45, 79), (59, 0)] {
        let y = (row as f64 - k.cy) / k.fy;
        let expected = h / (p.sin() + y * p.cos());
        let got = f64::from(f.depth[row * 80 + column]);
        assert!((got - expected).abs() < 1e-4 * expected, "row {row}: {got} instead of {expected}");
    }
}

#[test]
fn a_small_cube_is_seen_where_its_centre_projects() {
    let at = DVec3::new(2.0, 0.4, 0.9);
    let mut r = Renderer::new(&lit_scene(vec![cube(3, [0.04; 3], [at.x, at.y, at.z])]));
    let k = Intrinsics::from_hfov(640, 480, 1.1);
    let pose = CameraPose::from_yaw_pitch(DVec3::new(0.1, -0.2, 0.7), 0.25, 0.1);
    let (u, v, z) = pose.project(&k, at).expect("in front of the camera");
    let f = r.render(&k, &pose, &[]);
    let seen: Vec<usize> = (0..f.instance.len()).filter(|&i| f.instance[i] == 3).collect();
    let mean = |g: fn(usize) -> f64| seen.iter().map(|&i| g(i)).sum::<f64>() / seen.len() as f64;
    let (mu, mv) = (mean(|i| (i % 640) as f64), mean(|i| (i / 640) as f64));
    assert!(seen.len() > 50);
    assert!((mu - u).abs() < 1.0 && (mv - v).abs() < 1.0, "seen at {mu:.2} {mv:.2}, projected to {u:.2} {v:.2}");
    assert!((f64::from(f.depth[v.round() as usize * 640 + u.round() as usize]) - z).abs() < 0.04);
}

#[test]
fn left_is_left_and_up_is_up() {
    let k = Intrinsics::from_hfov(64, 48, 1.1);
    let (u, v, _) = level(0.0, 0.0, 1.0).project(&k, DVec3::new(2.0, 0.5, 1.5)).expect("in front");
    assert!(u < k.cx && v < k.cy, "world y (left) is at small columns, world z (up) at small rows");
    assert!(level(0.0, 0.0, 1.0).project(&k, DVec3::new(-1.0, 0.0, 1.0)).is_none());
}

#[test]
fn the_projection_of_the_field_of_view_fills_the_width() {
    let k = Intrinsics::from_hfov(640, 480, 1.1);
    let edge = DVec3::new(1.0, (0.55f64).tan(), 0.0);
    let (u, _, _) = level(0.0, 0.0, 0.0).project(&k, edge).expect("in front");
    assert!((u + 0.5).abs() < 1e-9, "the left border of the leftmost pixel, got {u}");
}

#[test]
fn a_cube_shades_the_floor_below_it_and_not_beside_it() {
    let mut scene = lit_scene(vec![cube(1, [8.0, 8.0, 0.1], [0.0, 0.0, -0.05]), cube(2, [0.6, 0.6, 0.1], [2.0, 0.0, 0.8])]);
    let k = Intrinsics::from_hfov(320, 240, 1.1);
    let pose = CameraPose::from_yaw_pitch(DVec3::new(0.0, 0.0, 0.7), 0.0, 0.3);
    let bright = |r: &mut Renderer, p: DVec3| {
        let (u, v, _) = pose.project(&k, p).expect("in front");
        let i = v.round() as usize * 320 + u.round() as usize;
        let f = r.render(&k, &pose, &[]);
        assert_eq!(f.instance[i], 1, "the floor is seen there");
        u32::from(f.rgb[i * 3])
    };
    let (under, beside) = (DVec3::new(2.0, 0.0, 0.0), DVec3::new(2.0, 0.8, 0.0));
    let mut r = Renderer::new(&scene);
    let (dark, light) = (bright(&mut r, under), bright(&mut r, beside));
    assert!(dark + 40 < light, "shaded {dark}, lit {light}");
    // The same with the cube on a moving body, and it takes its shadow along.
    scene.items[1].pose = Pose::IDENTITY;
    scene.items[1].body = Some(0);
    scene.bodies = vec![Body { name: "cube".to_owned(), pose: Pose { position: DVec3::new(2.0, 0.0, 0.8), ..Pose::IDENTITY } }];
    let mut r = Renderer::new(&scene);
    assert!(bright(&mut r, under).abs_diff(dark) <= 2);
    let away = Pose { position: DVec3::new(2.0, 0.8, 0.8), ..Pose::IDENTITY };
    let at = |r: &mut Renderer, p: DVec3| {
        let (u, v, _) = pose.project(&k, p).expect("in front");
        u32::from(r.render(&k, &pose, &[away]).rgb[(v.round() as usize * 320 + u.round() as usize) * 3])
    };
    assert!(at(&mut r, beside) + 40 < at(&mut r, under));
}

#[test]
fn a_wall_keeps_the_lamp_of_the_next_room_out() {
    let mut scene = Scene {
        items: vec![cube(1, [8.0, 8.0, 0.1], [0.0, 0.0, -0.05]), cube(2, [0.1, 8.0, 2.4], [0.0, 0.0, 1.2])],
        lights: vec![Light::Point { position: DVec3::new(0.6, 1.0, 2.2), colour: [4.0; 3], range: 6.0 }],
        ambient: [0.05; 3],
        ..Scene::default()
    };
    let k = Intrinsics::from_hfov(64, 48, 1.1);
    let pose = CameraPose::from_yaw_pitch(DVec3::new(-1.0, 1.0, 0.7), 3.0, 0.5);
    let mean = |s: &Scene| {
        let mut r = Renderer::new(s);
        let f = r.render(&k, &pose, &[]);
        f.rgb.iter().map(|&c| u64::from(c)).sum::<u64>() / f.rgb.len() as u64
    };
    let behind_wall = mean(&scene);
    scene.items.pop();
    assert!(mean(&scene) > behind_wall + 20);
}

#[test]
fn the_same_picture_twice_and_with_two_threads() {
    let items = vec![
        cube(1, [8.0, 8.0, 0.1], [0.0, 0.0, -0.05]),
        Item { look: "teddy_bear".to_owned(), ..cube(2, [0.11, 0.12, 0.18], [1.0, 0.1, 0.5]) },
        Item { look: "sofa".to_owned(), ..cube(3, [0.9, 2.0, 0.8], [2.5, 0.0, 0.4]) },
    ];
    let scene = lit_scene(items);
    let k = Intrinsics::from_hfov(161, 121, 1.1);
    let mut a = Renderer::new(&scene);
    let first = a.render(&k, &level(0.0, 0.0, 0.6), &[]).clone();
    a.render(&k, &level(0.5, 0.3, 0.9), &[]);
    assert!(first == *a.render(&k, &level(0.0, 0.0, 0.6), &[]), "state of an earlier picture leaks");
    let mut b = Renderer::new(&scene);
    b.set_threads(2);
    assert!(first == *b.render(&k, &level(0.0, 0.0, 0.6), &[]), "threads change the picture");
}

#[test]
fn surfaces_that_pass_the_camera_are_neither_lost_nor_doubled() {
    // A floor under and a wall beside the camera, both reaching far behind it.
    let scene = lit_scene(vec![cube(1, [400.0, 400.0, 1.0], [0.0, 0.0, -0.5]), cube(2, [400.0, 1.0, 300.0], [0.0, 1.0, 149.0])]);
    let mut r = Renderer::new(&scene);
    let k = Intrinsics::from_hfov(128, 96, 1.3);
    let f = r.render(&k, &CameraPose::from_yaw_pitch(DVec3::new(0.0, 0.0, 0.3), 0.8, 0.4), &[]);
    assert_eq!(f.instance.iter().filter(|&&i| i == 0).count(), 0, "no holes");
    assert!(f.depth.iter().all(|d| *d > 0.05));
    // The wall stands 0.5 m to the left: the ray's sideways share gives the depth.
    let i = 20 * 128 + 10;
    assert_eq!(f.instance[i], 2);
}

#[test]
fn the_inside_of_a_closed_box_is_not_drawn() {
    let mut r = Renderer::new(&lit_scene(vec![cube(1, [2.0; 3], [0.0; 3])]));
    let f = r.render(&Intrinsics::from_hfov(32, 24, 1.1), &level(0.0, 0.0, 0.0), &[]);
    assert!(f.instance.iter().all(|&i| i == 0), "faces are one-sided");
}

#[test]
fn every_mesh_is_wound_outwards_with_unit_normals() {
    let mut textures = Textures::default();
    for look in looks::names() {
        let item = Item { look: look.to_owned(), ..cube(1, [0.4, 0.5, 0.6], [0.0; 3]) };
        let mesh = looks::build(&item, &mut textures);
        assert!(!mesh.triangles.is_empty(), "{look} is empty");
        assert!(mesh.triangles.len() < 8000, "{look} has {} triangles", mesh.triangles.len());
        let mut against = 0;
        for t in &mesh.triangles {
            let p = t.map(|i| mesh.positions[i as usize]);
            let face = (p[1] - p[0]).cross(p[2] - p[0]);
            let smooth: Vec3 = t.iter().map(|&i| mesh.normals[i as usize]).sum();
            assert!(t.iter().all(|&i| (mesh.normals[i as usize].length() - 1.0).abs() < 1e-3), "{look}: normal");
            // Blunt ends may lean: their normals point sideways by design.
            if face.length() > 1e-9 && face.normalize().dot(smooth) < -0.3 {
                against += 1;
            }
        }
        assert!(against * 100 < mesh.triangles.len(), "{look}: {against} triangles whose winding and normal disagree");
        let (lo, hi) = mesh.bounds();
        let size = hi - lo;
        assert!(size.x > 0.2 && size.y > 0.25 && size.z > 0.3, "{look} does not fill its box: {size}");
        assert!(lo.is_finite() && hi.max_element() < 0.6, "{look} reaches far out of its box");
    }
}

#[test]
fn a_sphere_is_closed() {
    // Directed edges of a closed surface cancel: the divergence theorem's volume is that of the solid.
    let mut m = Mesh::default();
    let k = m.material(Material::matt(1.0, 1.0, 1.0));
    m.ellipsoid(Vec3::ZERO, Vec3::splat(1.0), glam::Quat::IDENTITY, 64, k);
    let volume: f32 = m
        .triangles
        .iter()
        .map(|t| {
            let p = t.map(|i| m.positions[i as usize]);
            p[0].dot(p[1].cross(p[2])) / 6.0
        })
        .sum();
    assert!((volume - 4.18879).abs() < 0.03, "volume {volume}");
}

#[test]
fn one_pixel_no_pixel_and_nothing_to_see() {
    let mut r = Renderer::new(&Scene { background: [0.25; 3], ..Scene::default() });
    let f = r.render(&Intrinsics::from_hfov(1, 1, 1.1), &level(0.0, 0.0, 0.0), &[]);
    assert_eq!((f.depth.as_slice(), f.instance.as_slice(), f.rgb.len()), ([0.0].as_slice(), [0].as_slice(), 3));
    assert!(f.rgb[0] > 0, "the background's colour");
    let f = r.render(&Intrinsics::from_hfov(0, 0, 1.1), &level(0.0, 0.0, 0.0), &[]);
    assert!(f.rgb.is_empty());
    let mut r = Renderer::new(&lit_scene(vec![cube(5, [1.0; 3], [2.0, 0.0, 0.0])]));
    let f = r.render(&Intrinsics::from_hfov(1, 1, 1.1), &level(0.0, 0.0, 0.0), &[]);
    assert_eq!(f.instance, vec![5]);
    assert!((f.depth[0] - 1.5).abs() < 1e-5);
}

#[test]
fn unknown_looks_degenerate_sizes_and_missing_bodies_are_drawn_plainly() {
    let mut odd = cube(1, [0.0, 1.0, 1.0], [2.0, 0.0, 0.0]);
    odd.look = "no such look".to_owned();
    odd.body = Some(9);
    assert!(!looks::is_known(&odd.look) && looks::is_known("") && looks::is_known("cup"));
    let mut r = Renderer::new(&lit_scene(vec![odd]));
    let f = r.render(&Intrinsics::from_hfov(31, 31, 1.1), &level(0.0, 0.0, 0.0), &[]);
    assert_eq!(f.instance[15 * 31 + 15], 1);
}

#[test]
fn nearer_things_hide_farther_ones_in_any_order() {
    for order in [[1, 2], [2, 1]] {
        let items = order.map(|i| cube(i, [0.2, 0.4 * f64::from(i), 0.4 * f64::from(i)], [f64::from(i) + 1.0, 0.0, 0.0]));
        let mut r = Renderer::new(&lit_scene(items.to_vec()));
        let f = r.render(&Intrinsics::from_hfov(41, 41, 1.0), &level(0.0, 0.0, 0.0), &[]);
        assert_eq!(f.instance[20 * 41 + 20], 1);
    }
}

#[test]
fn an_edge_shared_by_two_triangles_leaves_no_gap() {
    // Turned and tilted: the diagonal of the front face crosses pixel centres in many ways.
    for k in 0..20 {
        let mut wall = cube(1, [0.5, 6.0, 6.0], [3.0, 0.0, 0.0]);
        wall.pose.orientation = DQuat::from_rotation_z(0.03 * f64::from(k)) * DQuat::from_rotation_x(0.11 * f64::from(k));
        let mut r = Renderer::new(&lit_scene(vec![wall]));
        let f = r.render(&Intrinsics::from_hfov(97, 73, 0.9), &level(0.0, 0.0, 0.0), &[]);
        assert!(f.instance.iter().all(|&i| i == 1), "gap in wall {k}");
    }
}
