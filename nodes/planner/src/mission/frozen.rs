//! The mission in snapshots: everything that it has learnt, plans and does. Home and settings come from the parameters.

use std::collections::BTreeMap;

use graph::snapshot::{pack, unpack};
use graph::{FreezeError, HandlerResult, NodeError};

use super::{Capability, Mission};
use crate::domain::Action;

/// The words of orders.
const CAPABILITIES: [Action; 7] =
    [Action::Grasp, Action::Release, Action::Push, Action::Pull, Action::Rotate, Action::Observe, Action::Wait];

/// The capability of a name.
pub(crate) fn capability(name: &str) -> Option<Capability> {
    let more = [Action::Move { to: 0 }.name(), "dock"];
    CAPABILITIES.iter().map(|action| action.name()).chain(more).find(|known| *known == name)
}

/// For serde's `with`: the name of a capability.
pub(super) mod word {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Capability;

    pub fn serialize<S: Serializer>(word: &Capability, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Capability, D::Error> {
        let word = String::deserialize(deserializer)?;
        super::capability(&word).ok_or_else(|| D::Error::custom(format!("there is no capability `{word}`")))
    }
}

/// For serde's `with`: where an order leads.
pub(super) mod target {
    use glam::DVec3;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(target: &Option<(DVec3, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
        target.map(|(at, yaw)| (at.to_array(), yaw)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(DVec3, f64)>, D::Error> {
        let target = Option::<([f64; 3], f64)>::deserialize(deserializer)?;
        Ok(target.map(|(at, yaw)| (DVec3::from_array(at), yaw)))
    }
}

impl Mission {
    pub(crate) fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        pack(&(
            (&self.goals, self.model, self.charge, self.charge_s, self.pose, self.speed, &self.objects, self.gripping),
            (&self.costs, &self.table, &self.running, &self.action, self.settling_until_s, &self.looks),
            (&self.tried, &self.blocked, self.replans, self.next_token, self.next_plan_s, self.dock_retry_s),
            (self.silent_until_s, &self.out),
        ))
    }

    pub(crate) fn thaw(&mut self, state: &[u8]) -> HandlerResult {
        let tried: BTreeMap<String, u32>;
        (
            (self.goals, self.model, self.charge, self.charge_s, self.pose, self.speed, self.objects, self.gripping),
            (self.costs, self.table, self.running, self.action, self.settling_until_s, self.looks),
            (tried, self.blocked, self.replans, self.next_token, self.next_plan_s, self.dock_retry_s),
            (self.silent_until_s, self.out),
        ) = unpack(state)?;
        let known = |(name, count): (String, u32)| {
            let unknown = || NodeError::new(format!("there is no capability `{name}`"));
            capability(&name).map(|name| (name, count)).ok_or_else(unknown)
        };
        self.tried = tried.into_iter().map(known).collect::<Result<_, _>>()?;
        Ok(())
    }
}
