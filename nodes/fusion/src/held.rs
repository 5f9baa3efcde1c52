//! Whether something is in the gripper.

/// What the body feels of its gripper.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GripperSense {
    /// Opening between the fingers, m; None if not known.
    pub opening_m: Option<f64>,
    /// The left finger feels something.
    pub left: bool,
    /// The right finger feels something.
    pub right: bool,
}

/// Debounced decision.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct HeldDetector {
    min_opening_m: f64,
    settle_s: f64,
    held: bool,
    changing_since_s: Option<f64>,
}

impl HeldDetector {
    /// Fingers closed beyond `min_opening_m` (m) hold nothing but each other; a change must last `settle_s`.
    #[must_use]
    pub fn new(min_opening_m: f64, settle_s: f64) -> Self {
        Self { min_opening_m, settle_s, held: false, changing_since_s: None }
    }

    /// Takes what the body feels; returns whether something is held. Both fingers must feel it, and they must be apart.
    pub fn update(&mut self, sense: GripperSense, time_s: f64) -> bool {
        let apart = sense.opening_m.is_some_and(|m| m.is_finite() && m > self.min_opening_m);
        let now = apart && sense.left && sense.right;
        if now == self.held {
            self.changing_since_s = None;
        } else {
            let since = *self.changing_since_s.get_or_insert(time_s);
            if time_s - since >= self.settle_s - 1e-9 {
                self.held = now;
                self.changing_since_s = None;
            }
        }
        self.held
    }

    /// The decision so far.
    #[must_use]
    pub fn held(&self) -> bool {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fingers_apart_and_pressed_for_a_while_hold_something() {
        let mut d = HeldDetector::new(0.01, 0.2);
        let grip = GripperSense { opening_m: Some(0.08), left: true, right: true };
        assert!(!d.update(grip, 0.0));
        assert!(d.update(grip, 0.2));
        assert!(d.update(GripperSense::default(), 0.3), "a glitch does not drop it");
        assert!(d.update(grip, 0.4));
        d.update(GripperSense { left: false, ..grip }, 0.5);
        assert!(!d.update(GripperSense { left: false, ..grip }, 0.7));
    }

    #[test]
    fn closed_fingers_hold_only_each_other() {
        let mut d = HeldDetector::new(0.01, 0.0);
        assert!(!d.update(GripperSense { opening_m: Some(0.002), left: true, right: true }, 1.0));
        assert!(!d.update(GripperSense { opening_m: None, left: true, right: true }, 2.0));
    }
}
