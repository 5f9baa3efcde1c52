//! ONNX Runtime: loaded once per process from the verified library of the cache.

use std::path::Path;

use ort::environment::Environment;
use parking_lot::Mutex;

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime's wheels report to their maker unless this variable of the environment is `1` when the library is loaded; telling it by its
/// interface is too late, it has made its device identifier by then (1.31.1, `telemetry_1ds.cc`).
pub const TELEMETRY_OFF: &str = "ORT_DISABLE_TELEMETRY";

/// The process's environment, made from `library` by the first caller; later callers get the same whatever they pass.
pub(crate) fn environment(library: &Path) -> Result<Environment, String> {
    let mut slot = ENVIRONMENT.lock();
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    if std::env::var_os(TELEMETRY_OFF).is_none_or(|value| value != "1") {
        return Err(format!("{TELEMETRY_OFF} is not 1: ONNX Runtime would report to its maker"));
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
