//! Parameters in snapshots.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::{Declaration, ParamStore, ParamValue};

/// A parameter as it was.
#[derive(Serialize, Deserialize)]
pub(crate) struct FrozenParam {
    pub name: String,
    value: ParamValue,
    given: bool,
    read: bool,
}

impl ParamStore {
    /// All but those named in `free`.
    pub fn freeze(&self, free: &[&str]) -> Vec<FrozenParam> {
        let declared = self.declared.read();
        let kept = declared.iter().filter(|(name, _)| !free.contains(&name.as_str()));
        kept.map(|(name, declaration)| FrozenParam {
            name: name.clone(),
            value: declaration.cell.peek(),
            given: declaration.cell.given.load(Ordering::Relaxed),
            read: declaration.cell.read.load(Ordering::Relaxed),
        })
        .collect()
    }

    /// All values but those named in `free`.
    pub fn values(&self, free: &[&str]) -> Vec<(String, ParamValue)> {
        let declared = self.declared.read();
        let kept = declared.iter().filter(|(name, _)| !free.contains(&name.as_str()));
        kept.map(|(name, declaration)| (name.clone(), declaration.cell.peek())).collect()
    }

    /// Takes up what [`ParamStore::freeze`] gave: the node is not asked, its state is of the same moment. Nothing of it is told.
    ///
    /// # Errors
    /// A sentence on a value that is none of its parameter.
    pub fn thaw(&self, frozen: Vec<FrozenParam>, free: &[&str]) -> Result<(), String> {
        let mut declared = self.declared.write();
        declared.retain(|name, declaration| {
            !declaration.dynamic || free.contains(&name.as_str()) || frozen.iter().any(|kept| kept.name == *name)
        });
        for FrozenParam { name, value, given, read } in frozen {
            let declaration = declared.entry(name.clone()).or_insert_with(|| Declaration::new(ParamValue::NotSet, true));
            if !declaration.dynamic && value.type_code() != declaration.cell.peek().type_code() {
                return Err(format!("parameter `{name}` cannot be {}", value.kind()));
            }
            // A damaged value must not reach a node that relies on its range.
            let value = match value {
                ParamValue::NotSet => value,
                value => declaration.fit(value).map_err(|why| format!("parameter `{name}`: {why}"))?,
            };
            *declaration.cell.value.write() = value;
            declaration.cell.given.store(given, Ordering::Relaxed);
            declaration.cell.read.store(read, Ordering::Relaxed);
        }
        self.news.lock().clear();
        Ok(())
    }
}
