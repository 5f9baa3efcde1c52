//! Pictures of one object as the robot sees it on a table, for looking at and for measuring what a detector makes of them.
//!
//! `cargo run --release -p omnimind-sim --example render_object -- <folder> <views> <look>:<width>x<depth>x<height>[@<degrees>] ...`
//! writes `<folder>/<look>_<n>.png`; distance, yaw, table height, background and light vary with n.
//! `... -- world <home.sdf> <folder> <views> ...` does the same on every surface of a world, under the world's own lights.
//! `... -- bench` prints frames per second of a home of about a hundred items; `... -- home <folder>` draws its rooms.

use glam::{DQuat, DVec3};
use sim::render::{CameraPose, Intrinsics, Renderer};
use sim::scene::{Body, Item, Light, Pose, Scene, Shape};
use std::error::Error;
use std::time::Instant;

/// A repeatable number in 0..1 for view `n`, aspect `k`.
fn vary(n: usize, k: usize) -> f64 {
    let mut h = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (k as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03);
    h ^= h >> 31;
    h = h.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h ^= h >> 29;
    h = h.wrapping_mul(0x94D0_49BB_1331_11EB);
    ((h ^ (h >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

fn item(id: u32, look: &str, colour: [f32; 3], size: [f64; 3], at: [f64; 3]) -> Item {
    Item {
        name: look.to_owned(),
        id,
        label: None,
        shape: Shape::Box { size: DVec3::from(size) },
        pose: Pose { position: DVec3::from(at), orientation: DQuat::IDENTITY },
        body: None,
        colour,
        look: look.to_owned(),
    }
}

/// A room with a table whose free edge is at x = 0; the object stands 6 cm behind it. The robot looks along +x.
fn table_scene(n: usize, table_height: f64) -> Scene {
    let wall = [[0.82, 0.80, 0.76], [0.62, 0.70, 0.74], [0.80, 0.72, 0.60], [0.70, 0.74, 0.66]][n % 4];
    let floor = ["planks", "tiles", "carpet"][n / 4 % 3];
    let floor_colour = if floor == "carpet" { [0.42, 0.38, 0.34] } else { [1.0, 1.0, 1.0] };
    let mut items = vec![
        item(1, floor, floor_colour, [8.0, 8.0, 0.02], [0.0, 0.0, -0.01]),
        item(2, "plaster", wall, [0.1, 8.0, 2.4], [0.62 + 1.4 * vary(n, 1), 0.0, 1.2]),
    ];
    let wood = [[1.0, 1.0, 1.0], [0.55, 0.45, 0.38], [1.3, 1.25, 1.2]][n / 2 % 3];
    let look = if n % 5 == 4 { "cupboard" } else { "table" };
    items.push(item(3, look, wood, [0.5, 0.9, table_height], [0.25, 0.0, table_height * 0.5]));
    let x = items[1].pose.position.x - 0.05;
    match n % 3 {
        0 => items.push(item(4, "picture", [1.0; 3], [0.03, 0.8, 0.5], [x - 0.02, 0.5 - vary(n, 2), 1.1])),
        1 if x > 1.0 => items.push(item(4, "books", [1.0; 3], [0.28, 0.9, 1.2], [x - 0.15, 0.8 * vary(n, 2), 0.6])),
        _ => {}
    }
    for i in &mut items[3..] {
        i.pose.orientation = DQuat::from_rotation_z(std::f64::consts::PI);
    }
    // Lamp and key light from weak to strong, warm to cool.
    let strength = 0.7 + 0.6 * vary(n, 3) as f32;
    let warm = 0.85 + 0.15 * vary(n, 4) as f32;
    let turn = std::f64::consts::TAU * vary(n, 5);
    Scene {
        items,
        bodies: Vec::new(),
        lights: vec![
            Light::Directional {
                direction: DVec3::new(0.45 * turn.cos(), 0.45 * turn.sin(), -1.0).normalize(),
                colour: [0.55 * strength, 0.55 * strength * (0.5 + 0.5 * warm), 0.55 * strength * warm],
                shadows: true,
            },
            Light::Point {
                position: DVec3::new(-0.8 + 1.2 * vary(n, 6), -1.0 + 2.0 * vary(n, 7), 2.3),
                colour: [0.9 * strength, 0.86 * strength, 0.9 * warm * strength],
                range: 6.0,
            },
        ],
        ambient: [0.34 * strength; 3],
        background: [0.5; 3],
    }
}

fn camera() -> Intrinsics {
    Intrinsics::from_hfov(640, 480, 1.10)
}

fn views(folder: &str, count: usize, spec: &str) -> Result<(), Box<dyn Error>> {
    // LOOK:WxDxH@90 limits the yaw to 90 degrees either side of facing the camera.
    let (spec, facing) = spec.split_once('@').unwrap_or((spec, "180"));
    let facing = facing.parse::<f64>()?.to_radians();
    let (look, size) = spec.split_once(':').ok_or("write LOOK:WIDTHxDEPTHxHEIGHT[@DEGREES]")?;
    let size: Vec<f64> = size.split('x').map(str::parse).collect::<Result<_, _>>()?;
    let size: [f64; 3] = size.try_into().map_err(|_| "three sizes")?;
    for n in 0..count {
        let table = 0.30 + 0.15 * vary(n, 8);
        let mut scene = table_scene(n, table);
        let yaw = std::f64::consts::PI + facing * (2.0 * vary(n, 9) - 1.0);
        let distance = 0.6 + 0.5 * vary(n, 10);
        if look != "none" {
            let mut thing = item(9, look, [1.0; 3], size, [0.06, 0.0, table + size[2] * 0.5]);
            thing.pose.orientation = DQuat::from_rotation_z(yaw);
            scene.items.push(thing);
        }
        let mut renderer = Renderer::new(&scene);
        // The object is not always in the middle of the picture.
        let aside = 0.24 * (vary(n, 11) - 0.5);
        let pose = CameraPose::from_yaw_pitch(
            DVec3::new(0.06 - distance, aside, 0.62),
            -aside / distance + 0.5 * (vary(n, 12) - 0.5),
            0.35,
        );
        let frame = renderer.render(&camera(), &pose, &[]);
        let path = format!("{folder}/{}_{n:03}.png", look.replace(' ', "_"));
        image::save_buffer(path, &frame.rgb, 640, 480, image::ColorType::Rgb8)?;
    }
    Ok(())
}

/// The still models of a world, without what moves.
fn world_scene(world: &sim::sdf::World) -> Scene {
    let mut scene = sim::scene_of(world);
    scene.items.retain(|item| item.body.is_none());
    scene.bodies.clear();
    scene
}

fn world_views(sdf: &str, folder: &str, count: usize, specs: &[&str]) -> Result<(), Box<dyn Error>> {
    let world = sim::sdf::load_world(std::path::Path::new(sdf))?;
    let scene = world_scene(&world);
    let unknown: Vec<&str> = scene.items.iter().map(|i| i.look.as_str()).filter(|l| !sim::render::looks::is_known(l)).collect();
    if !unknown.is_empty() {
        println!("looks that the renderer does not know: {unknown:?}");
    }
    for spec in specs {
        let (spec, facing) = spec.split_once('@').unwrap_or((spec, "180"));
        let facing = facing.parse::<f64>()?.to_radians();
        let (look, size) = spec.split_once(':').ok_or("write LOOK:WIDTHxDEPTHxHEIGHT[@DEGREES]")?;
        let size: Vec<f64> = size.split('x').map(str::parse).collect::<Result<_, _>>()?;
        let size: [f64; 3] = size.try_into().map_err(|_| "three sizes")?;
        for n in 0..count {
            let surface = &world.surfaces[n % world.surfaces.len()];
            let place = surface.at(0.07, (vary(n, 1) - 0.5) * (surface.width - 0.2));
            let mut scene = scene.clone();
            let mut thing = item(1000, look, [0.7; 3], size, [place.x, place.y, surface.height + size[2] * 0.5]);
            let yaw = surface.yaw + std::f64::consts::PI + facing * (2.0 * vary(n, 9) - 1.0);
            thing.pose.orientation = DQuat::from_rotation_z(yaw);
            if look != "none" {
                scene.items.push(thing);
            }
            let distance = 0.6 + 0.5 * vary(n, 10);
            let aside = 0.3 * (vary(n, 11) - 0.5);
            let forward = glam::DVec2::from_angle(surface.yaw);
            let eye = place - forward * distance + forward.perp() * aside;
            let heading = surface.yaw - aside / distance + 0.4 * (vary(n, 12) - 0.5);
            let pose = CameraPose::from_yaw_pitch(eye.extend(0.62), heading, 0.35);
            let mut renderer = Renderer::new(&scene);
            let frame = renderer.render(&camera(), &pose, &[]);
            let path = format!("{folder}/{look}_{n:03}.png");
            image::save_buffer(path, &frame.rgb, 640, 480, image::ColorType::Rgb8)?;
        }
    }
    Ok(())
}

/// About a hundred items in five rooms, eight of them moving.
fn home() -> Scene {
    let mut scene = Scene { ambient: [0.34; 3], background: [0.5; 3], ..Scene::default() };
    let add = |scene: &mut Scene, look: &str, colour: [f32; 3], size: [f64; 3], at: [f64; 3], yaw: f64| {
        let mut i = item(scene.items.len() as u32 + 1, look, colour, size, at);
        i.pose.orientation = DQuat::from_rotation_z(yaw);
        scene.items.push(i);
    };
    use std::f64::consts::{FRAC_PI_2, PI};
    add(&mut scene, "planks", [1.0; 3], [10.0, 8.0, 0.02], [5.0, 4.0, -0.01], 0.0);
    add(&mut scene, "tiles", [1.0; 3], [5.0, 3.5, 0.01], [2.5, 6.25, 0.0], 0.0);
    for (size, at) in [
        ([10.0, 0.1, 2.4], [5.0, -0.05, 1.2]),
        ([10.0, 0.1, 2.4], [5.0, 8.05, 1.2]),
        ([0.1, 8.0, 2.4], [-0.05, 4.0, 1.2]),
        ([0.1, 8.0, 2.4], [10.05, 4.0, 1.2]),
        ([0.1, 3.0, 2.4], [5.0, 6.5, 1.2]),
        ([4.0, 0.1, 2.4], [2.0, 4.5, 1.2]),
        ([0.1, 3.0, 2.4], [4.0, 1.5, 1.2]),
        ([0.1, 2.4, 2.4], [6.5, 1.2, 1.2]),
        ([3.5, 0.1, 2.4], [8.25, 3.5, 1.2]),
    ] {
        add(&mut scene, "plaster", [0.82, 0.80, 0.76], size, at, 0.0);
    }
    for (look, colour, size, at, yaw) in [
        ("sofa", [0.20, 0.26, 0.34], [0.9, 2.0, 0.8], [5.55, 6.6, 0.4], 0.0),
        ("tv", [1.0; 3], [0.2, 1.2, 0.75], [9.75, 6.6, 0.85], PI),
        ("cupboard", [0.5, 0.4, 0.3], [0.4, 1.6, 0.45], [9.75, 6.6, 0.225], PI),
        ("rug", [1.0; 3], [1.6, 2.2, 0.01], [7.3, 6.4, 0.006], 0.0),
        ("table", [1.0; 3], [0.6, 1.0, 0.4], [7.3, 6.6, 0.2], 0.0),
        ("plant", [1.0; 3], [0.6, 0.6, 1.0], [9.5, 7.5, 0.5], 0.0),
        ("books", [1.0; 3], [0.3, 1.0, 1.8], [6.2, 7.84, 0.9], -FRAC_PI_2),
        ("picture", [1.0; 3], [0.03, 0.9, 0.6], [5.07, 6.6, 1.5], 0.0),
        ("lamp", [1.0; 3], [0.35, 0.35, 1.5], [5.4, 7.7, 0.75], 0.0),
        ("bed", [0.30, 0.36, 0.50], [2.0, 1.5, 0.7], [1.05, 1.2, 0.35], 0.0),
        ("cupboard", [0.6, 0.5, 0.4], [0.5, 1.4, 1.9], [0.3, 3.4, 0.95], 0.0),
        ("fridge", [1.0; 3], [0.6, 0.6, 1.8], [0.35, 7.6, 0.9], 0.0),
        ("oven", [1.0; 3], [0.6, 0.6, 0.9], [1.0, 7.7, 0.45], -FRAC_PI_2),
        ("sink", [1.0; 3], [0.6, 1.2, 0.9], [1.95, 7.7, 0.45], -FRAC_PI_2),
        ("table", [1.0; 3], [0.8, 1.2, 0.74], [3.2, 6.2, 0.37], 0.0),
        ("chair", [1.0; 3], [0.45, 0.45, 0.9], [2.6, 6.2, 0.45], 0.0),
        ("chair", [1.0; 3], [0.45, 0.45, 0.9], [3.8, 6.2, 0.45], PI),
        ("table", [1.0; 3], [0.7, 1.4, 0.72], [9.6, 1.6, 0.36], 0.0),
        ("books", [1.0; 3], [0.3, 1.2, 1.8], [8.0, 0.17, 0.9], FRAC_PI_2),
    ] {
        add(&mut scene, look, colour, size, at, yaw);
    }
    for k in 0..60 {
        let (x, y) = (0.6 + 8.8 * vary(k, 1), 0.5 + 7.0 * vary(k, 2));
        let s = 0.06 + 0.10 * vary(k, 3);
        add(&mut scene, "wood", [0.6, 0.7, 0.9], [s, s, s], [x, y, s * 0.5], vary(k, 4));
        if k % 2 == 0 {
            if let Some(i) = scene.items.last_mut() {
                i.shape = Shape::Cylinder { radius: s * 0.5, length: s };
            }
        }
    }
    for (k, look) in ["cup", "bottle", "teddy_bear", "sports_ball", "vase", "bowl", "apple", "plant_pot"].iter().enumerate() {
        let pose = Pose::planar(7.06 + 0.09 * (k % 4) as f64, 6.25 + 0.12 * k as f64, 0.3 * k as f64);
        let pose = Pose { position: pose.position + DVec3::Z * 0.48, ..pose };
        scene.bodies.push(Body { name: (*look).to_owned(), pose });
        let mut i = item(200 + k as u32, look, [1.0; 3], [0.09, 0.09, 0.16], [0.0; 3]);
        i.body = Some(k);
        scene.items.push(i);
    }
    scene.lights.push(Light::Directional {
        direction: DVec3::new(0.3, 0.25, -1.0).normalize(),
        colour: [0.5, 0.49, 0.46],
        shadows: true,
    });
    for (x, y) in [(2.5, 6.2), (7.5, 6.0), (2.0, 2.2), (5.2, 1.8), (8.2, 1.8)] {
        scene.lights.push(Light::Point { position: DVec3::new(x, y, 2.3), colour: [0.9, 0.86, 0.8], range: 5.0 });
    }
    scene
}

/// Where the camera stands in the home: x, y (m) and yaw (rad).
const PLACES: [(f64, f64, f64); 8] = [
    (6.0, 5.2, 0.9),
    (6.5, 6.6, 0.0),
    (9.0, 6.0, 3.0),
    (3.0, 5.2, 2.3),
    (1.5, 5.5, 1.4),
    (3.4, 3.6, -2.2),
    (5.2, 0.6, 1.57),
    (7.2, 2.8, -0.8),
];

fn places() -> [CameraPose; 8] {
    PLACES.map(|(x, y, yaw)| CameraPose::from_yaw_pitch(DVec3::new(x, y, 0.62), yaw, 0.35))
}

fn bench() {
    let scene = home();
    let mut renderer = Renderer::new(&scene);
    println!("{} items, {} triangles", scene.items.len(), renderer.triangle_count());
    let start = Instant::now();
    renderer.set_lights(&scene);
    println!("lights and still shadows: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    for size in [(320, 240), (640, 480)] {
        let figures = sim::render::bench::run(&scene, &places(), size, 8);
        println!(
            "{}x{}: {:.1} frames/s wall (slowest place {:.1}), {:.1} frames per CPU second",
            size.0,
            size.1,
            1.0 / figures.median_s,
            1.0 / figures.slowest_place_s,
            1.0 / figures.cpu_s
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bench"] => bench(),
        ["home", folder] => {
            let scene = home();
            let mut renderer = Renderer::new(&scene);
            for (k, pose) in places().iter().enumerate() {
                let frame = renderer.render(&camera(), pose, &[]);
                image::save_buffer(format!("{folder}/home_{k}.png"), &frame.rgb, 640, 480, image::ColorType::Rgb8)?;
            }
        }
        ["world", sdf, folder, count, specs @ ..] if !specs.is_empty() => {
            std::fs::create_dir_all(folder)?;
            world_views(sdf, folder, count.parse()?, specs)?;
        }
        [folder, count, specs @ ..] if !specs.is_empty() => {
            std::fs::create_dir_all(folder)?;
            for spec in specs {
                views(folder, count.parse()?, spec)?;
            }
        }
        _ => {
            return Err(
                "usage: render_object bench | home FOLDER | world SDF FOLDER VIEWS LOOK:WxDxH ... | FOLDER VIEWS LOOK:WxDxH ..."
                    .into(),
            );
        }
    }
    Ok(())
}
