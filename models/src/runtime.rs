//! ONNX Runtime: loaded once per process from the verified library of the cache.

use std::path::Path;

use ort::environment::Environment;
use parking_lot::Mutex;

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The process's environment, made from `library` by the first caller; later callers get the same whatever they pass.
pub(crate) fn environment(library: &Path) -> Result<Environment, String> {
    let mut slot = ENVIRONMENT.lock();
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let environment = ort::init_from(library)
        .map_err(|e| e.to_string())?
        .with_name("omnimind")
        .with_telemetry(false)
        .build()
        .map_err(|e| e.to_string())?;
    environment.set_log_level(ort::logging::LogLevel::Error);
    *slot = Some(environment.clone());
    Ok(environment)
}
