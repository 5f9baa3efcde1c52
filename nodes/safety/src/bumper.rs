//! Which motions a pressed bumper forbids.

use crate::limits::Velocity;

/// Pressed sides of the base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressed {
    /// Front left.
    pub left: bool,
    /// Front centre.
    pub center: bool,
    /// Front right.
    pub right: bool,
    /// Rear.
    pub rear: bool,
}

impl Pressed {
    /// The sides from zone names (`bumper_left`, `bumper_center`, `bumper_right`, `bumper_rear`) with their states; other
    /// zones, as the fingers, are none of the base's business.
    pub fn from_zones<'a>(zones: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut pressed = Self::default();
        for (zone, on) in zones {
            match zone {
                "bumper_left" => pressed.left |= on,
                "bumper_center" => pressed.center |= on,
                "bumper_right" => pressed.right |= on,
                "bumper_rear" => pressed.rear |= on,
                _ => {}
            }
        }
        pressed
    }

    /// Whether any side is pressed.
    #[must_use]
    pub fn any(self) -> bool {
        self.left || self.center || self.right || self.rear
    }

    /// The names of the pressed sides.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [(self.left, "left"), (self.center, "center"), (self.right, "right"), (self.rear, "rear")]
            .into_iter()
            .filter_map(|(on, name)| on.then_some(name))
            .collect()
    }
}

/// What is left of a velocity: no motion towards a pressed side. Backing away from the front and leaving the rear
/// forwards stay allowed; a turn that would wipe a pressed front corner along the obstacle is only allowed while
/// backing away or away from that corner.
#[must_use]
pub fn allow(pressed: Pressed, wanted: Velocity) -> Velocity {
    let front = pressed.left || pressed.center || pressed.right;
    let mut out = wanted;
    if front && out.linear > 0.0 {
        out.linear = 0.0;
    }
    if pressed.rear && out.linear < 0.0 {
        out.linear = 0.0;
    }
    let backing = out.linear < 0.0;
    if !backing {
        // Turning left swings the front left corner forward into what it touches, and the other way round.
        if pressed.left && !pressed.right && out.angular > 0.0 {
            out.angular = 0.0;
        }
        if pressed.right && !pressed.left && out.angular < 0.0 {
            out.angular = 0.0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v(linear: f64, angular: f64) -> Velocity {
        Velocity { linear, angular }
    }

    proptest! {
        #[test]
        fn never_towards_a_pressed_side_and_never_faster(
            left: bool, center: bool, right: bool, rear: bool, linear in -1.0f64..1.0, angular in -2.0f64..2.0
        ) {
            let pressed = Pressed { left, center, right, rear };
            let out = allow(pressed, v(linear, angular));
            if left || center || right { prop_assert!(out.linear <= 0.0); }
            if rear { prop_assert!(out.linear >= 0.0); }
            prop_assert!(out.linear.abs() <= linear.abs() && out.angular.abs() <= angular.abs());
            if !pressed.any() { prop_assert_eq!(out, v(linear, angular)); }
        }
    }

    #[test]
    fn backing_away_from_the_front_stays_allowed() {
        let pressed = Pressed::from_zones([("bumper_left", true), ("finger_left", true)]);
        assert_eq!(allow(pressed, v(-0.1, 0.2)), v(-0.1, 0.2));
        assert_eq!(allow(pressed, v(0.1, -0.2)), v(0.0, -0.2));
        assert_eq!(allow(pressed, v(0.1, 0.2)), v(0.0, 0.0));
        assert_eq!(pressed.names(), ["left"]);
    }

    #[test]
    fn fingers_do_not_stop_the_base() {
        assert!(!Pressed::from_zones([("finger_right", true)]).any());
    }
}
