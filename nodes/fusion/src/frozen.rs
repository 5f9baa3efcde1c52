//! The node's state in snapshots of its graph: what it remembers and what waits for its partner. Settings come from the parameters, the home
//! is only compared, transforms are the listener's.

use std::sync::Arc;

use graph::snapshot::{Cdr, pack, unpack};
use graph::{FreezeError, HandlerResult, NodeError};
use msgs::sensor_msgs::msg::Image;
use msgs::vision_msgs::msg::Detection2DArray;

use crate::node::Fusion;
use crate::tokens::SCHEMA;

type Raw = Vec<(String, f64)>;

fn named(raw: &[(&'static str, f64)]) -> Raw {
    raw.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn known(raw: Raw) -> Result<Vec<(&'static str, f64)>, NodeError> {
    let entry = |(name, value): (String, f64)| {
        let known = SCHEMA.iter().find(|(_, known, ..)| *known == name);
        known.map(|(_, known, ..)| (*known, value)).ok_or_else(|| NodeError::new(format!("there is no feature `{name}`")))
    };
    raw.into_iter().map(entry).collect()
}

/// The home in words, to be compared.
fn home(fusion: &Fusion) -> String {
    format!("{:?}", fusion.home)
}

impl Fusion {
    pub(crate) fn frozen(&self) -> Result<Vec<u8>, FreezeError> {
        let depths: Vec<_> = self.depths.iter().map(|depth| Cdr(Arc::clone(depth))).collect();
        let waiting: Vec<_> = self.waiting.iter().map(|detections| Cdr(Arc::clone(detections))).collect();
        pack(&(
            (self.memory.content(), self.camera, depths, waiting),
            (self.gripper, &self.held, self.held_id, self.pose_sigma, self.speed, self.pressed, self.nearest_scan),
            (&self.tokens, named(&self.vision_raw), named(&self.view_raw), self.view_bearing, self.view_certainty),
            (self.sound, &self.heard, self.last_sync, home(self)),
        ))
    }

    pub(crate) fn take_up(&mut self, state: &[u8]) -> HandlerResult {
        let (objects, next_id, vision_raw, view_raw): (_, _, Raw, Raw);
        let then: String;
        let (depths, waiting): (Vec<Cdr<Image>>, Vec<Cdr<Detection2DArray>>);
        (
            ((objects, next_id), self.camera, depths, waiting),
            (self.gripper, self.held, self.held_id, self.pose_sigma, self.speed, self.pressed, self.nearest_scan),
            (self.tokens, vision_raw, view_raw, self.view_bearing, self.view_certainty),
            (self.sound, self.heard, self.last_sync, then),
        ) = unpack(state)?;
        if then != home(self) {
            return Err(NodeError::new("its home was another one: parameter `home`"));
        }
        self.memory.set_content(objects, next_id);
        self.depths = depths.into_iter().map(|depth| depth.0).collect();
        self.waiting = waiting.into_iter().map(|detections| detections.0).collect();
        (self.vision_raw, self.view_raw) = (known(vision_raw)?, known(view_raw)?);
        Ok(())
    }
}
