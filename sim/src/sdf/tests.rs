use super::*;
use crate::scene::Shape;
use std::path::{Path, PathBuf};

fn worlds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("worlds")
}

/// Loads a world from text, in a folder of its own.
fn load(name: &str, text: &str) -> Result<World, LoadError> {
    let dir = std::env::temp_dir().join(format!("omnimind-sdf-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("w.sdf");
    std::fs::write(&file, text).unwrap();
    let out = load_world(&file);
    std::fs::remove_dir_all(&dir).unwrap();
    out
}

fn world(inner: &str) -> String {
    format!("<sdf version=\"1.9\" xmlns:omni=\"{}\">\n<world name=\"w\">\n{inner}\n</world>\n</sdf>", xml::OMNI)
}

fn model(link: &str) -> String {
    world(&format!("<model name=\"m\"><link name=\"l\">\n{link}\n</link></model>"))
}

#[test]
fn the_home_holds_five_rooms_its_robot_and_things_to_fetch() {
    let w = load_world(&worlds().join("home.sdf")).unwrap();
    assert_eq!(
        w.rooms.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
        ["kitchen", "living_room", "bedroom", "hall", "study"]
    );
    let robot = w.robot().unwrap();
    assert_eq!((robot.name.as_str(), robot.joints.len()), ("omni", 6));
    assert!(w.models.iter().filter(|m| m.spawn && m.label.is_some()).count() >= 5);
    assert!(w.surfaces.len() >= 8 && w.dock.is_some() && !w.voices.is_empty());
    assert_eq!(w.room_at(glam::DVec2::new(4.5, 4.0)), "hall");
    assert_eq!(w.room_at(glam::DVec2::new(-1.0, 4.0)), "");
}

#[test]
fn every_look_of_the_home_is_known_to_the_renderer() {
    let w = load_world(&worlds().join("home.sdf")).unwrap();
    for v in w.models.iter().flat_map(|m| &m.links).flat_map(|l| &l.visuals) {
        assert!(crate::render::looks::is_known(&v.look), "{}", v.look);
    }
}

#[test]
fn links_are_placed_relative_to_each_other() {
    let w = load_world(&worlds().join("home.sdf")).unwrap();
    let extend = w.robot().unwrap().link("extend_link").unwrap().pose.position;
    assert!((extend - glam::DVec3::new(0.22, 0.0, 0.20)).length() < 1e-9, "{extend}");
}

#[test]
fn geometry_friction_and_mesh_are_read() {
    let w = load(
        "geometry",
        &model(
            "<collision name='c'><pose>1 2 3 0 0 1.5</pose><geometry><cylinder><radius>0.5</radius><length>2</length></cylinder></geometry>
             <surface><friction><ode><mu>0.9</mu></ode></friction></surface></collision>
             <visual name='v'><geometry><sphere><radius>1</radius></sphere></geometry><omni:mesh name='cup' size='1 2 3'/><omni:look>cup</omni:look></visual>",
        ),
    )
    .unwrap();
    let l = &w.models[0].links[0];
    assert_eq!(l.collisions[0].shape, Shape::Cylinder { radius: 0.5, length: 2.0 });
    assert_eq!(l.collisions[0].friction, 0.9);
    assert!((l.collisions[0].pose.yaw() - 1.5).abs() < 1e-12);
    assert!(matches!(&l.visuals[0].shape, Shape::Mesh { name, size } if name == "cup" && size.z == 3.0));
}

/// Text, and what its error must say.
fn refused(name: &str, text: &str, words: &[&str]) {
    let e = load(name, text).unwrap_err().to_string();
    for w in words {
        assert!(e.contains(w), "{name}: {e:?} does not say {w:?}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let e = load_world(Path::new("/nowhere/w.sdf")).unwrap_err();
    assert!(matches!(e, LoadError::Read { .. }) && e.to_string().contains("/nowhere/w.sdf"));
}

#[test]
fn broken_xml_names_the_place() {
    refused("xml", "<sdf version='1.9'>\n<world></sdf>", &["w.sdf", "2:"]);
}

#[test]
fn another_version_is_refused() {
    refused("version", "<sdf version='1.4'><world name='w'/></sdf>", &["1.4", "1.9"]);
}

#[test]
fn unknown_elements_and_attributes_name_file_line_and_element() {
    refused("element", &world("<wind/>"), &["w.sdf:3", "<wind>", "<world>"]);
    refused("attribute", &world("<model name='m' colour='red'><link name='l'/></model>"), &["w.sdf:3", "<model>", "colour"]);
    refused("own", &world("<omni:wind/>"), &["omni:wind"]);
    refused("foreign", "<sdf version='1.9' xmlns:x='urn:x'><world name='w'><x:a/></world></sdf>", &["{urn:x}a"]);
}

#[test]
fn bad_values_name_what_was_read_and_what_is_right() {
    let geometry = |g: &str| model(&format!("<collision name='c'><geometry>{g}</geometry></collision>"));
    refused("number", &geometry("<sphere><radius>wide</radius></sphere>"), &["<radius>", "wide", "finite number"]);
    refused("nan", &geometry("<sphere><radius>NaN</radius></sphere>"), &["NaN"]);
    refused("negative", &geometry("<sphere><radius>-1</radius></sphere>"), &["-1", "above zero"]);
    refused("short", &geometry("<box><size>1 2</size></box>"), &["<size>", "3 finite numbers"]);
    refused("long", &geometry("<box><size>1 2 3 4</size></box>"), &["<size>"]);
    refused("flat", &geometry("<box><size>1 2 0</size></box>"), &["<size>"]);
    refused("two", &geometry("<sphere><radius>1</radius></sphere><box><size>1 1 1</size></box>"), &["exactly one"]);
    refused("mesh", &geometry("<mesh><uri>a.dae</uri></mesh>"), &["<mesh>"]);
    refused("boolean", &world("<model name='m'><static>maybe</static><link name='l'/></model>"), &["maybe"]);
    refused(
        "colour",
        &model(
            "<visual name='v'><geometry><sphere><radius>1</radius></sphere></geometry><material><diffuse>2 0 0 1</diffuse></material></visual>",
        ),
        &["<diffuse>"],
    );
}

#[test]
fn missing_and_doubled_things_are_named() {
    refused("no-link", &world("<model name='m'></model>"), &["<model>", "<link>"]);
    refused("no-name", &world("<model><link name='l'/></model>"), &["attribute name"]);
    refused("no-mass", &model("<inertial><inertia><ixx>1</ixx><iyy>1</iyy><izz>1</izz></inertia></inertial>"), &["<mass>"]);
    refused(
        "twice",
        &world("<model name='m'><link name='l'/></model>\n<model name='m'><link name='l'/></model>"),
        &[":4", "\"m\"", "twice"],
    );
    refused(
        "pose-twice",
        &world("<model name='m'><pose>0 0 0 0 0 0</pose><pose>0 0 0 0 0 0</pose><link name='l'/></model>"),
        &["<pose>", "twice"],
    );
}

#[test]
fn names_that_belong_to_nothing_are_refused() {
    let joint = "<model name='m'><link name='a'/><joint name='j' type='fixed'><parent>a</parent><child>b</child></joint></model>";
    refused("joint", &world(joint), &["<joint>", "\"b\""]);
    refused(
        "relative",
        &world("<model name='m'><link name='a'><pose relative_to='z'>0 0 0 0 0 0</pose></link></model>"),
        &["\"z\""],
    );
    refused(
        "surface",
        &world(
            "<model name='s'><link name='l'/></model><omni:surface model='s' room='attic' label='s' x='0' y='0' yaw='0' height='1' width='1'/>",
        ),
        &["attic"],
    );
    refused(
        "furniture",
        &world("<omni:surface model='sofa' room='attic' label='s' x='0' y='0' yaw='0' height='1' width='1'/>"),
        &["sofa"],
    );
    refused("plugin", &world("<plugin filename='gz-sim-wind-system' name='w'/>"), &["gz-sim-wind-system"]);
}

#[test]
fn include_cycles_are_seen() {
    let dir = std::env::temp_dir().join(format!("omnimind-sdf-{}-cycle", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("w.sdf"), world("<include><uri>a.sdf</uri></include>")).unwrap();
    let pass = |to: &str| format!("<sdf version='1.9'>\n<include><uri>{to}</uri></include></sdf>");
    std::fs::write(dir.join("a.sdf"), pass("b.sdf")).unwrap();
    std::fs::write(dir.join("b.sdf"), pass("a.sdf")).unwrap();
    let e = load_world(&dir.join("w.sdf")).unwrap_err();
    assert!(matches!(&e, LoadError::IncludeCycle { line: 2, .. }), "{e}");
    std::fs::write(dir.join("b.sdf"), pass("gone.sdf")).unwrap();
    let e = load_world(&dir.join("w.sdf")).unwrap_err();
    assert!(matches!(e, LoadError::Read { .. }) && e.to_string().contains("gone.sdf"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_homes_objects_are_those_of_the_catalogue() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/objects.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let catalogue: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let listed = catalogue["objects"].as_sequence().unwrap();
    let w = load_world(&worlds().join("home.sdf")).unwrap();
    assert_eq!(w.models.iter().filter(|m| m.spawn).count(), listed.len());
    for o in listed {
        let label = o["label"].as_str().unwrap();
        let m = w.models.iter().find(|m| m.label.as_deref() == Some(label)).unwrap_or_else(|| panic!("no {label}"));
        let v = &m.links[0].visuals[0];
        assert_eq!(v.look, o["look"].as_str().unwrap());
        assert_eq!(m.links[0].inertial.mass, o["mass"].as_f64().unwrap(), "{label}");
        let size = |k: &str| o["shape"][k].as_f64().unwrap();
        let Shape::Mesh { size: drawn, .. } = &v.shape else { panic!("{label} has no mesh") };
        assert_eq!([drawn.x, drawn.y, drawn.z], [size("depth"), size("width"), size("height")], "{label}");
    }
}
