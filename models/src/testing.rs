//! For tests that need real networks: run where the models are, say so where they are not.

use std::sync::Arc;

use crate::broker::Broker;
use crate::cache::Store;
use crate::progress::NoProgress;

/// Set by the continuous integration: then a missing model fails the test instead of skipping it.
const REQUIRE_VARIABLE: &str = "OMNIMIND_REQUIRE_MODELS";

/// The shared broker if the named models are in the cache. Otherwise prints why the test is skipped and gives `None`.
///
/// With `OMNIMIND_REQUIRE_MODELS` set, missing models are fetched.
///
/// # Panics
/// With `OMNIMIND_REQUIRE_MODELS` set, if the models cannot be had.
pub fn broker_or_skip(models: &[&str]) -> Option<Arc<Broker>> {
    let required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|v| !v.is_empty() && v != "0");
    let outcome = Store::open().map_err(|e| e.to_string()).and_then(|store| {
        if required {
            store.ensure(models, &mut NoProgress).map_err(|e| e.to_string())?;
        }
        let missing = store.missing(models).map_err(|e| e.to_string())?;
        if missing.is_empty() {
            Broker::shared().map_err(|e| e.to_string())
        } else {
            Err(format!("not in the cache: {}", missing.join(", ")))
        }
    });
    match outcome {
        Ok(broker) => Some(broker),
        Err(reason) => {
            assert!(!required, "models are required here: {reason}");
            println!("skipped: {reason}");
            None
        }
    }
}
