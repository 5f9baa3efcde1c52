//! Results as JSON and as text.

use std::fmt::Write as _;

use omnimind_vision::analyse::Origin;
use omnimind_vision::color::color_name;
use omnimind_vision::{Analysis, DetectedObject};
use serde_json::{Value, json};

/// Who made a result.
pub fn provenance(origin: &Origin) -> Value {
    json!({"model": origin.model, "version": origin.version, "device": origin.device, "inference_ms": origin.inference_ms,
        "degraded": origin.degraded, "simulated": false})
}

pub fn objects(objects: &[DetectedObject]) -> Value {
    let object = |o: &DetectedObject| {
        let b = &o.bounding_box;
        json!({"label": &*o.label, "category": o.category.as_str(), "confidence": o.confidence, "track": o.track,
            "box": {"x": b.x, "y": b.y, "width": b.width, "height": b.height}})
    };
    Value::Array(objects.iter().map(object).collect())
}

/// An analysis without file and provenance.
pub fn analysis(a: &Analysis) -> Value {
    let colors: Vec<Value> =
        a.dominant_colors.iter().map(|c| json!({"rgb": c.rgb, "name": color_name(c.rgb), "share": c.share})).collect();
    json!({"image_id": a.image_id, "description": a.description, "scene": {"type": a.scene.as_str(), "confidence": a.scene_confidence},
        "lighting": a.lighting.as_str(), "complexity": a.complexity, "dominant_colors": colors, "objects": objects(&a.objects)})
}

/// One object in pixels: `cup 52 % (unknown), 263 x 190 at (167, 98)`.
pub fn object_text(o: &DetectedObject, (width, height): (u32, u32)) -> String {
    let pixels = |v: f32, side: u32| (v * side as f32).round() as u32;
    let b = &o.bounding_box;
    let (x, y, w, h) = (pixels(b.x, width), pixels(b.y, height), pixels(b.width, width), pixels(b.height, height));
    let number = o.track.map_or_else(String::new, |n| format!("#{n} "));
    format!("{number}{} {:.0} % ({}), {w} x {h} at ({x}, {y})", o.label, o.confidence * 100.0, o.category.as_str())
}

/// `nanodet_g_416+... on cpu, 81 ms in networks`
pub fn by(origin: &Origin) -> String {
    let degraded = if origin.degraded { "; a network that belongs to it was missing" } else { "" };
    let device = if origin.device.is_empty() { "cpu" } else { &origin.device };
    format!("{} on {device}, {:.0} ms in networks{degraded}", origin.model, origin.inference_ms)
}

/// An analysis for people, several lines.
pub fn analysis_text(name: &str, a: &Analysis, size: (u32, u32)) -> String {
    let mut out = format!("{name}: {}\n", a.description);
    for object in &a.objects {
        let _ = writeln!(out, "  object      {}", object_text(object, size));
    }
    let _ = writeln!(out, "  scene       {} ({:.2})", a.scene.as_str(), a.scene_confidence);
    let _ = writeln!(out, "  light       {}, complexity {:.2}", a.lighting.as_str(), a.complexity);
    let color = |c: &omnimind_vision::color::DominantColor| {
        let [r, g, b] = c.rgb;
        format!("#{r:02x}{g:02x}{b:02x} {} {:.0} %", color_name(c.rgb), c.share * 100.0)
    };
    let _ = writeln!(out, "  colours     {}", a.dominant_colors.iter().map(color).collect::<Vec<_>>().join(", "));
    let _ = write!(out, "  by          {}", by(&a.origin));
    out
}
