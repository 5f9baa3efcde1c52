//! From XML to a world: files, includes, places, models and their geometry.

use super::LoadError;
use super::model::*;
use super::robot;
use super::xml::Element;
use crate::scene::{Light, Pose, Shape};
use glam::{DVec2, DVec3};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reads a world file and everything it includes.
///
/// # Errors
/// [`LoadError`]: names file, line and element of whatever is missing, malformed or not supported.
pub fn load_world(path: &Path) -> Result<World, LoadError> {
    let text = read(path)?;
    let document = parse_xml(path, &text)?;
    let root = sdf_root(&document, path)?;
    root.only(&["version"], &["world"])?;
    world(root.required("world")?, &mut vec![canonical(path)])
}

fn read(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::Read { file: path.to_owned(), source })
}

fn parse_xml<'a>(path: &Path, text: &'a str) -> Result<roxmltree::Document<'a>, LoadError> {
    roxmltree::Document::parse(text).map_err(|source| LoadError::Syntax { file: path.to_owned(), source })
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn sdf_root<'a>(document: &'a roxmltree::Document<'a>, path: &'a Path) -> Result<Element<'a>, LoadError> {
    let root = Element::new(document.root_element(), path);
    if root.name() != "sdf" {
        return Err(root.bad(&root.name(), "the element <sdf>"));
    }
    match root.required_attribute("version")? {
        "1.9" => Ok(root),
        other => Err(root.bad(other, "version 1.9")),
    }
}

fn world(e: Element<'_>, files: &mut Vec<PathBuf>) -> Result<World, LoadError> {
    e.only(
        &["name"],
        &[
            "physics",
            "plugin",
            "gravity",
            "scene",
            "light",
            "model",
            "include",
            "omni:room",
            "omni:dock",
            "omni:surface",
            "omni:start",
            "omni:voice",
            "omni:noise",
        ],
    )?;
    let mut w = World {
        name: e.required_attribute("name")?.to_owned(),
        gravity: DVec3::new(0.0, 0.0, -9.81),
        step_s: 0.001,
        ambient: [0.4; 3],
        background: [0.7; 3],
        ..World::default()
    };
    if let Some(p) = e.optional("physics")? {
        p.only(&["name", "type", "default"], &["max_step_size", "real_time_factor", "real_time_update_rate"])?;
        if let Some(step) = p.optional("max_step_size")? {
            w.step_s = step.positive()?;
        }
    }
    if let Some(g) = e.optional("gravity")? {
        w.gravity = DVec3::from_array(g.numbers()?);
    }
    if let Some(s) = e.optional("scene")? {
        s.only(&[], &["ambient", "background", "shadows", "grid"])?;
        if let Some(c) = s.optional("ambient")? {
            w.ambient = colour(c)?;
        }
        if let Some(c) = s.optional("background")? {
            w.background = colour(c)?;
        }
    }
    for l in e.all("light") {
        w.lights.push(light(l)?);
    }
    let mut names = BTreeSet::new();
    for child in e.children() {
        let model = match child.name().as_str() {
            "model" => model(child)?,
            "include" => include(child, files)?,
            "plugin" => {
                robot::plugin(child)?;
                continue;
            }
            _ => continue,
        };
        if !names.insert(model.name.clone()) {
            return Err(duplicate(child, &format!("model {:?}", model.name)));
        }
        w.models.push(model);
    }
    places(e, &mut w)?;
    Ok(w)
}

fn duplicate(e: Element<'_>, what: &str) -> LoadError {
    LoadError::Duplicate { file: e.file().to_owned(), line: e.line(), what: what.to_owned() }
}

fn reference(e: Element<'_>, name: &str) -> LoadError {
    LoadError::UnknownReference { file: e.file().to_owned(), line: e.line(), element: e.name(), name: name.to_owned() }
}

fn places(e: Element<'_>, w: &mut World) -> Result<(), LoadError> {
    for r in e.all("omni:room") {
        r.only(&["name", "label", "polygon"], &[])?;
        let text = r.required_attribute("polygon")?;
        let v: Vec<f64> = text.split_whitespace().filter_map(|t| t.parse().ok()).filter(|v: &f64| v.is_finite()).collect();
        if v.len() < 6 || v.len() % 2 != 0 || v.len() != text.split_whitespace().count() {
            return Err(r.bad(text, "at least three pairs of numbers"));
        }
        let room = Room {
            name: r.required_attribute("name")?.to_owned(),
            label: r.required_attribute("label")?.to_owned(),
            polygon: v.chunks_exact(2).map(|c| DVec2::new(c[0], c[1])).collect(),
        };
        if w.rooms.iter().any(|o| o.name == room.name) {
            return Err(duplicate(r, &format!("room {:?}", room.name)));
        }
        w.rooms.push(room);
    }
    if let Some(d) = e.optional("omni:dock")? {
        d.only(&["x", "y", "yaw"], &[])?;
        w.dock = Some(planar(d)?);
    }
    for s in e.all("omni:surface") {
        s.only(&["model", "room", "label", "x", "y", "yaw", "height", "width"], &[])?;
        // Not `name`: SDF wants the names of siblings to differ, and this one is the furniture's.
        let name = s.required_attribute("model")?.to_owned();
        if !e.all("model").any(|m| m.required_attribute("name").is_ok_and(|other| other == name)) {
            return Err(reference(s, &name));
        }
        let room = s.required_attribute("room")?.to_owned();
        if !w.rooms.iter().any(|r| r.name == room) {
            return Err(reference(s, &room));
        }
        let pose = planar(s)?;
        w.surfaces.push(Surface {
            name,
            room,
            label: s.required_attribute("label")?.to_owned(),
            edge: pose.position.truncate(),
            yaw: s.number_attribute("yaw")?,
            height: s.number_attribute("height")?,
            width: s.number_attribute("width")?,
        });
    }
    if let Some(s) = e.optional("omni:start")? {
        s.only(&["x", "y", "yaw", "spread"], &[])?;
        w.start = Some(Start { pose: planar(s)?, spread: s.number_attribute("spread")? });
    }
    for v in e.all("omni:voice") {
        v.only(&["position"], &[])?;
        w.voices.push(DVec3::from_array(v.numbers_attribute("position")?));
    }
    for n in e.all("omni:noise") {
        n.only(&["kind", "position", "level"], &[])?;
        let kind = match n.required_attribute("kind")? {
            "fridge" => NoiseKind::Fridge,
            "television" => NoiseKind::Television,
            "fan" => NoiseKind::Fan,
            other => return Err(n.bad(other, "fridge, television or fan")),
        };
        w.noises.push(Noise {
            kind,
            position: DVec3::from_array(n.numbers_attribute("position")?),
            level_db: n.number_attribute("level")?,
        });
    }
    Ok(())
}

fn planar(e: Element<'_>) -> Result<Pose, LoadError> {
    Ok(Pose::planar(e.number_attribute("x")?, e.number_attribute("y")?, e.number_attribute("yaw")?))
}

fn light(e: Element<'_>) -> Result<Light, LoadError> {
    e.only(&["name", "type"], &["cast_shadows", "pose", "diffuse", "specular", "direction", "attenuation"])?;
    let colour = e.optional("diffuse")?.map_or(Ok([1.0; 3]), colour)?;
    match e.required_attribute("type")? {
        "directional" => {
            let d = e.required("direction")?;
            let direction =
                DVec3::from_array(d.numbers()?).try_normalize().ok_or_else(|| d.bad(d.text(), "a direction that is not zero"))?;
            let shadows = e.optional("cast_shadows")?.map_or(Ok(false), |s| s.boolean())?;
            Ok(Light::Directional { direction, colour, shadows })
        }
        "point" => {
            let mut range = 10.0;
            if let Some(a) = e.optional("attenuation")? {
                a.only(&[], &["range", "constant", "linear", "quadratic"])?;
                if let Some(r) = a.optional("range")? {
                    range = r.positive()?;
                }
            }
            Ok(Light::Point { position: pose(e)?.position, colour, range })
        }
        other => Err(e.bad(other, "type directional or point")),
    }
}

/// Red, green, blue of SDF's four numbers.
pub(super) fn colour(e: Element<'_>) -> Result<[f32; 3], LoadError> {
    let v: [f64; 4] = e.numbers()?;
    if v.iter().any(|c| !(0.0..=1.0).contains(c)) {
        return Err(e.bad(e.text(), "four numbers between 0 and 1"));
    }
    Ok([v[0] as f32, v[1] as f32, v[2] as f32])
}

/// The `<pose>` child, or the identity; `relative_to` is allowed only where the caller resolves it.
pub(super) fn pose(e: Element<'_>) -> Result<Pose, LoadError> {
    let Some(p) = e.optional("pose")? else { return Ok(Pose::IDENTITY) };
    p.only(&[], &[])?;
    Ok(Pose::from_xyz_rpy(p.numbers()?))
}

fn include(e: Element<'_>, files: &mut Vec<PathBuf>) -> Result<Model, LoadError> {
    e.only(&[], &["uri", "pose", "name"])?;
    let uri = e.required("uri")?;
    let relative = uri.text().strip_prefix("model://").unwrap_or(uri.text());
    if relative.is_empty() {
        return Err(uri.bad("", "a file name"));
    }
    let target = e.file().parent().unwrap_or(Path::new(".")).join(relative);
    let whole = canonical(&target);
    if files.contains(&whole) {
        return Err(LoadError::IncludeCycle { file: e.file().to_owned(), line: e.line(), target });
    }
    files.push(whole);
    let text = read(&target)?;
    let document = parse_xml(&target, &text)?;
    let root = sdf_root(&document, &target)?;
    root.only(&["version"], &["model", "include"])?;
    // A model file holds one model, or passes on to another file.
    let mut model = match root.optional("include")? {
        Some(inner) => include(inner, files)?,
        None => model(root.required("model")?)?,
    };
    files.pop();
    if e.optional("pose")?.is_some() {
        model.pose = pose(e)?;
    }
    if let Some(name) = e.optional("name")? {
        model.name = name.text().to_owned();
    }
    Ok(model)
}

fn model(e: Element<'_>) -> Result<Model, LoadError> {
    e.only(&["name"], &["static", "pose", "link", "joint", "plugin", "omni:label", "omni:spawn", "omni:battery", "omni:power"])?;
    let mut m = Model {
        name: e.required_attribute("name")?.to_owned(),
        pose: pose(e)?,
        spawn: e.optional("omni:spawn")?.is_some(),
        is_static: e.optional("static")?.map_or(Ok(false), |s| s.boolean())?,
        label: e.optional("omni:label")?.map(|l| l.text().to_owned()),
        ..Model::default()
    };
    e.required_any_link()?;
    for l in e.all("link") {
        let link = link(l, &m)?;
        if m.link(&link.name).is_some() {
            return Err(duplicate(l, &format!("link {:?}", link.name)));
        }
        m.links.push(link);
    }
    for j in e.all("joint") {
        let joint = robot::joint(j)?;
        for name in [&joint.parent, &joint.child] {
            if m.link(name).is_none() {
                return Err(reference(j, name));
            }
        }
        if m.joint(&joint.name).is_some() {
            return Err(duplicate(j, &format!("joint {:?}", joint.name)));
        }
        m.joints.push(joint);
    }
    for p in e.all("plugin") {
        let plugin = robot::plugin(p)?;
        for key in ["left_joint", "right_joint", "joint_name"] {
            if let Some(name) = plugin.values.get(key)
                && m.joint(name).is_none()
            {
                return Err(reference(p, name));
            }
        }
        m.plugins.push(plugin);
    }
    m.battery = e.optional("omni:battery")?.map(robot::battery).transpose()?;
    for p in e.all("omni:power") {
        p.only(&["consumer", "watt"], &[])?;
        m.power_w.push((p.required_attribute("consumer")?.to_owned(), p.number_attribute("watt")?));
    }
    Ok(m)
}

impl Element<'_> {
    fn required_any_link(&self) -> Result<(), LoadError> {
        if self.all("link").next().is_some() {
            return Ok(());
        }
        Err(LoadError::Missing {
            file: self.file().to_owned(),
            line: self.line(),
            element: self.name(),
            what: "<link>".to_owned(),
        })
    }
}

fn link(e: Element<'_>, m: &Model) -> Result<Link, LoadError> {
    e.only(&["name"], &["pose", "inertial", "collision", "visual", "sensor", "omni:touch", "omni:microphone"])?;
    let mut l = Link { name: e.required_attribute("name")?.to_owned(), ..Link::default() };
    if let Some(p) = e.optional("pose")? {
        let own = Pose::from_xyz_rpy(p.numbers()?);
        l.pose = match p.attribute("relative_to") {
            None | Some("__model__") => own,
            Some(name) => m.link(name).ok_or_else(|| reference(p, name))?.pose.then(&own),
        };
    }
    if let Some(i) = e.optional("inertial")? {
        l.inertial = inertial(i)?;
    }
    for c in e.all("collision") {
        c.only(&["name"], &["pose", "geometry", "surface"])?;
        l.collisions.push(Collision {
            name: c.required_attribute("name")?.to_owned(),
            pose: pose(c)?,
            shape: geometry(c.required("geometry")?)?,
            friction: friction(c)?,
        });
    }
    for v in e.all("visual") {
        l.visuals.push(visual(v)?);
    }
    for s in e.all("sensor") {
        let sensor = robot::sensor(s)?;
        if let SensorKind::Contact { collision } = &sensor.kind
            && !l.collisions.iter().any(|c| c.name == *collision)
        {
            return Err(reference(s, collision));
        }
        l.sensors.push(sensor);
    }
    for t in e.all("omni:touch") {
        t.only(&["zone", "from", "to"], &[])?;
        let sector = match (t.attribute("from"), t.attribute("to")) {
            (None, None) => None,
            _ => Some((t.number_attribute("from")?, t.number_attribute("to")?)),
        };
        l.touch.push(TouchZone { zone: t.required_attribute("zone")?.to_owned(), sector });
    }
    for p in e.all("omni:microphone") {
        p.only(&["position"], &[])?;
        l.microphones.push(DVec3::from_array(p.numbers_attribute("position")?));
    }
    Ok(l)
}

fn inertial(e: Element<'_>) -> Result<Inertial, LoadError> {
    e.only(&[], &["pose", "mass", "inertia"])?;
    let p = pose(e)?;
    if p.orientation.angle_between(Pose::IDENTITY.orientation) > 1e-9 {
        let at = e.required("pose")?;
        return Err(at.bad(at.text(), "no rotation of the inertia"));
    }
    let mut out = Inertial { centre: p.position, mass: e.required("mass")?.positive()?, ..Inertial::default() };
    let i = e.required("inertia")?;
    i.only(&[], &["ixx", "iyy", "izz", "ixy", "ixz", "iyz"])?;
    for off in ["ixy", "ixz", "iyz"] {
        if let Some(v) = i.optional(off)?
            && v.number()? != 0.0
        {
            return Err(v.bad(v.text(), "zero: products of inertia are not supported"));
        }
    }
    out.moments = DVec3::new(i.required("ixx")?.positive()?, i.required("iyy")?.positive()?, i.required("izz")?.positive()?);
    Ok(out)
}

fn visual(e: Element<'_>) -> Result<Visual, LoadError> {
    e.only(&["name"], &["pose", "geometry", "material", "omni:look", "omni:mesh"])?;
    let mut shape = geometry(e.required("geometry")?)?;
    if let Some(m) = e.optional("omni:mesh")? {
        m.only(&["name", "size"], &[])?;
        let size = DVec3::from_array(m.numbers_attribute("size")?);
        if size.min_element() <= 0.0 {
            return Err(m.bad(m.required_attribute("size")?, "three sizes above zero"));
        }
        shape = Shape::Mesh { name: m.required_attribute("name")?.to_owned(), size };
    }
    let mut rgb = [0.7; 3];
    if let Some(m) = e.optional("material")? {
        m.only(&[], &["diffuse", "ambient", "specular"])?;
        if let Some(d) = m.optional("diffuse")? {
            rgb = colour(d)?;
        }
    }
    Ok(Visual {
        name: e.required_attribute("name")?.to_owned(),
        pose: pose(e)?,
        shape,
        colour: rgb,
        look: e.optional("omni:look")?.map_or("", |l| l.text()).to_owned(),
    })
}

fn geometry(e: Element<'_>) -> Result<Shape, LoadError> {
    e.only(&[], &["box", "cylinder", "sphere"])?;
    let mut shapes = e.children();
    let (Some(shape), None) = (shapes.next(), shapes.next()) else {
        return Err(e.bad("", "exactly one of <box>, <cylinder>, <sphere>"));
    };
    match shape.name().as_str() {
        "box" => {
            shape.only(&[], &["size"])?;
            let s = shape.required("size")?;
            let size = DVec3::from_array(s.numbers()?);
            if size.min_element() <= 0.0 {
                return Err(s.bad(s.text(), "three sizes above zero"));
            }
            Ok(Shape::Box { size })
        }
        "cylinder" => {
            shape.only(&[], &["radius", "length"])?;
            Ok(Shape::Cylinder { radius: shape.required("radius")?.positive()?, length: shape.required("length")?.positive()? })
        }
        _ => {
            shape.only(&[], &["radius"])?;
            Ok(Shape::Sphere { radius: shape.required("radius")?.positive()? })
        }
    }
}

fn friction(collision: Element<'_>) -> Result<f64, LoadError> {
    const DEFAULT: f64 = 0.6;
    let Some(s) = collision.optional("surface")? else { return Ok(DEFAULT) };
    s.only(&[], &["friction"])?;
    let f = s.required("friction")?;
    f.only(&[], &["ode"])?;
    let o = f.required("ode")?;
    o.only(&[], &["mu", "mu2"])?;
    let mu = o.required("mu")?;
    let v = mu.number()?;
    if v < 0.0 {
        return Err(mu.bad(mu.text(), "a number not below zero"));
    }
    Ok(v)
}
