//! The parts of SDF that only robots have: joints, sensors, plugins, battery.

use super::LoadError;
use super::model::*;
use super::parse::pose;
use super::xml::Element;
use crate::scene::Camera;
use glam::DVec3;
use std::collections::BTreeMap;

/// Gazebo systems that the embedded simulator stands in for, and the values that each may carry.
const PLUGINS: &[(&str, &[&str])] = &[
    ("gz-sim-physics-system", &[]),
    ("gz-sim-user-commands-system", &[]),
    ("gz-sim-scene-broadcaster-system", &[]),
    ("gz-sim-sensors-system", &["render_engine"]),
    ("gz-sim-imu-system", &[]),
    ("gz-sim-contact-system", &[]),
    ("gz-sim-forcetorque-system", &[]),
    (
        DIFF_DRIVE,
        &[
            "left_joint",
            "right_joint",
            "wheel_separation",
            "wheel_radius",
            "max_linear_velocity",
            "max_angular_velocity",
            "max_linear_acceleration",
            "max_angular_acceleration",
            "topic",
            "odom_topic",
            "frame_id",
            "child_frame_id",
        ],
    ),
    ("gz-sim-joint-state-publisher-system", &["topic", "joint_name"]),
    ("gz-sim-joint-position-controller-system", &["joint_name", "topic", "p_gain", "i_gain", "d_gain", "cmd_max", "cmd_min"]),
    (
        "gz-sim-linearbatteryplugin-system",
        &[
            "battery_name",
            "voltage",
            "open_circuit_voltage_constant_coef",
            "open_circuit_voltage_linear_coef",
            "capacity",
            "initial_charge",
            "resistance",
            "smooth_current_tau",
            "power_load",
            "fix_issue_225",
        ],
    ),
];

/// A plugin of the list above; others are not supported.
pub(super) fn plugin(e: Element<'_>) -> Result<Plugin, LoadError> {
    let filename = e.required_attribute("filename")?;
    let Some((_, allowed)) = PLUGINS.iter().find(|(name, _)| *name == filename) else {
        let known: Vec<&str> = PLUGINS.iter().map(|p| p.0).collect();
        return Err(e.bad(filename, &format!("one of {}", known.join(", "))));
    };
    e.only(&["filename", "name"], allowed)?;
    let mut values = BTreeMap::new();
    for v in e.children() {
        v.only(&[], &[])?;
        let numeric = !["joint", "topic", "name", "engine", "frame", "fix_issue"].iter().any(|w| v.name().contains(w));
        if numeric {
            v.number()?;
        }
        values.insert(v.name(), v.text().to_owned());
    }
    Ok(Plugin { filename: filename.to_owned(), name: e.required_attribute("name")?.to_owned(), values })
}

/// A prismatic, continuous or fixed joint.
pub(super) fn joint(e: Element<'_>) -> Result<Joint, LoadError> {
    e.only(&["name", "type"], &["parent", "child", "axis"])?;
    let kind = match e.required_attribute("type")? {
        "prismatic" => JointKind::Prismatic,
        "continuous" => JointKind::Continuous,
        "fixed" => JointKind::Fixed,
        other => return Err(e.bad(other, "type prismatic, continuous or fixed")),
    };
    let mut j = Joint {
        name: e.required_attribute("name")?.to_owned(),
        kind,
        parent: e.required("parent")?.text().to_owned(),
        child: e.required("child")?.text().to_owned(),
        axis: DVec3::Z,
        lower: 0.0,
        upper: 0.0,
        effort: f64::INFINITY,
        velocity: f64::INFINITY,
    };
    if kind == JointKind::Fixed {
        return Ok(j);
    }
    let axis = e.required("axis")?;
    axis.only(&[], &["xyz", "limit"])?;
    let xyz = axis.required("xyz")?;
    j.axis = DVec3::from_array(xyz.numbers()?).try_normalize().ok_or_else(|| xyz.bad(xyz.text(), "an axis that is not zero"))?;
    let limit = axis.required("limit")?;
    limit.only(&[], &["lower", "upper", "effort", "velocity"])?;
    if kind == JointKind::Prismatic {
        j.lower = limit.required("lower")?.number()?;
        let upper = limit.required("upper")?;
        j.upper = upper.number()?;
        if j.upper <= j.lower {
            return Err(upper.bad(upper.text(), "an upper limit above the lower one"));
        }
    }
    if let Some(v) = limit.optional("effort")? {
        j.effort = v.positive()?;
    }
    if let Some(v) = limit.optional("velocity")? {
        j.velocity = v.positive()?;
    }
    Ok(j)
}

/// A sensor of one of the supported types.
pub(super) fn sensor(e: Element<'_>) -> Result<Sensor, LoadError> {
    const COMMON: [&str; 4] = ["pose", "update_rate", "always_on", "topic"];
    let kind = e.required_attribute("type")?;
    let own: &[&str] = match kind {
        "imu" => &["imu"],
        "gpu_lidar" => &["lidar"],
        "rgbd_camera" => &["camera"],
        "contact" => &["contact"],
        "force_torque" => &["force_torque"],
        other => return Err(e.bad(other, "type imu, gpu_lidar, rgbd_camera, contact or force_torque")),
    };
    let allowed: Vec<&str> = COMMON.iter().chain(own).copied().collect();
    e.only(&["name", "type"], &allowed)?;
    let kind = match kind {
        "imu" => imu(e.required("imu")?)?,
        "gpu_lidar" => lidar(e.required("lidar")?)?,
        "rgbd_camera" => camera(e.required("camera")?)?,
        "contact" => {
            let c = e.required("contact")?;
            c.only(&[], &["collision", "topic"])?;
            SensorKind::Contact { collision: c.required("collision")?.text().to_owned() }
        }
        _ => {
            if let Some(f) = e.optional("force_torque")? {
                f.only(&[], &["frame", "measure_direction"])?;
                for (name, value) in [("frame", "child"), ("measure_direction", "child_to_parent")] {
                    if let Some(v) = f.optional(name)?
                        && v.text() != value
                    {
                        return Err(v.bad(v.text(), value));
                    }
                }
            }
            SensorKind::ForceTorque
        }
    };
    Ok(Sensor {
        name: e.required_attribute("name")?.to_owned(),
        pose: pose(e)?,
        update_rate: e.required("update_rate")?.positive()?,
        kind,
    })
}

fn imu(e: Element<'_>) -> Result<SensorKind, LoadError> {
    e.only(&[], &["angular_velocity", "linear_acceleration"])?;
    // The three axes of one chip are alike: x stands for all, y and z must say the same.
    let triple = |name: &str| -> Result<GaussianNoise, LoadError> {
        let v = e.required(name)?;
        v.only(&[], &["x", "y", "z"])?;
        let mut first = None;
        for axis in ["x", "y", "z"] {
            let a = v.required(axis)?;
            a.only(&[], &["noise"])?;
            let n = a.required("noise")?;
            let this = noise(n)?;
            if *first.get_or_insert(this) != this {
                return Err(n.bad("", "the same noise on all three axes"));
            }
        }
        Ok(first.unwrap_or_default())
    };
    Ok(SensorKind::Imu { gyro: triple("angular_velocity")?, accelerometer: triple("linear_acceleration")? })
}

fn noise(e: Element<'_>) -> Result<GaussianNoise, LoadError> {
    e.only(&["type"], &["type", "mean", "stddev", "bias_mean", "bias_stddev"])?;
    let kind = match e.attribute("type") {
        Some(t) => t,
        None => e.required("type")?.text(),
    };
    if kind != "gaussian" {
        return Err(e.bad(kind, "type gaussian"));
    }
    for zero in ["mean", "bias_mean"] {
        if e.number_or(zero, 0.0)? != 0.0 {
            return Err(e.bad(zero, "a mean of zero"));
        }
    }
    let n = GaussianNoise { stddev: e.required("stddev")?.number()?, bias_stddev: e.number_or("bias_stddev", 0.0)? };
    if n.stddev < 0.0 || n.bias_stddev < 0.0 {
        return Err(e.bad("", "standard deviations not below zero"));
    }
    Ok(n)
}

fn lidar(e: Element<'_>) -> Result<SensorKind, LoadError> {
    e.only(&[], &["scan", "range", "noise"])?;
    let scan = e.required("scan")?;
    scan.only(&[], &["horizontal"])?;
    let h = scan.required("horizontal")?;
    h.only(&[], &["samples", "resolution", "min_angle", "max_angle"])?;
    let range = e.required("range")?;
    range.only(&[], &["min", "max", "resolution"])?;
    let (min, max) = (range.required("min")?.positive()?, range.required("max")?.positive()?);
    if max <= min {
        return Err(range.bad("", "a greatest range above the least"));
    }
    Ok(SensorKind::Lidar {
        samples: h.required("samples")?.count()?,
        min_angle: h.required("min_angle")?.number()?,
        max_angle: h.required("max_angle")?.number()?,
        min_range: min,
        max_range: max,
        noise: e.optional("noise")?.map_or(Ok(GaussianNoise::default()), noise)?,
    })
}

fn camera(e: Element<'_>) -> Result<SensorKind, LoadError> {
    e.only(&["name"], &["horizontal_fov", "image", "clip", "noise"])?;
    let image = e.required("image")?;
    image.only(&[], &["width", "height", "format"])?;
    if let Some(f) = image.optional("format")?
        && f.text() != "R8G8B8"
    {
        return Err(f.bad(f.text(), "R8G8B8"));
    }
    let fov = e.required("horizontal_fov")?;
    let horizontal_fov = fov.positive()?;
    if horizontal_fov >= std::f64::consts::PI {
        return Err(fov.bad(fov.text(), "an angle below pi"));
    }
    let clip = e.required("clip")?;
    clip.only(&[], &["near", "far"])?;
    Ok(SensorKind::Camera {
        camera: Camera {
            width: image.required("width")?.count()?,
            height: image.required("height")?.count()?,
            horizontal_fov,
            near: clip.required("near")?.positive()?,
            far: clip.required("far")?.positive()?,
        },
        noise: e.optional("noise")?.map_or(Ok(GaussianNoise::default()), noise)?,
    })
}

/// `<omni:battery>`: see the head of the robot's file.
pub(super) fn battery(e: Element<'_>) -> Result<Battery, LoadError> {
    e.only(&["capacity_wh", "nominal_v", "resistance_ohm", "charge_w", "ocv"], &[])?;
    let text = e.required_attribute("ocv")?;
    let mut ocv = Vec::new();
    for pair in text.split_whitespace() {
        let point = pair.split_once(':').and_then(|(s, v)| Some((s.parse::<f64>().ok()?, v.parse::<f64>().ok()?)));
        match point {
            Some((s, v)) if s.is_finite() && v.is_finite() && v > 0.0 => ocv.push((s, v)),
            _ => return Err(e.bad(pair, "charge:voltage")),
        }
    }
    let ascending = ocv.windows(2).all(|w| w[0].0 < w[1].0);
    if !ascending || ocv.first().map(|p| p.0) != Some(0.0) || ocv.last().map(|p| p.0) != Some(1.0) {
        return Err(e.bad(text, "charge:voltage pairs ascending from 0 to 1"));
    }
    let out = Battery {
        capacity_wh: e.number_attribute("capacity_wh")?,
        nominal_v: e.number_attribute("nominal_v")?,
        resistance_ohm: e.number_attribute("resistance_ohm")?,
        charge_w: e.number_attribute("charge_w")?,
        ocv,
    };
    if out.capacity_wh <= 0.0 || out.nominal_v <= 0.0 || out.resistance_ohm < 0.0 || out.charge_w < 0.0 {
        return Err(e.bad("", "a capacity and a voltage above zero, no negative resistance or charge"));
    }
    Ok(out)
}
