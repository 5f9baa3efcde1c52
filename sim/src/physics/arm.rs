//! Lift, extension and fingers: velocity-limited set-points in front of force-limited joint motors.

/// A set-point that moves to its target with limited speed and acceleration, and stops there.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Present set-point, m.
    pub position: f64,
    /// m/s.
    pub velocity: f64,
    /// m.
    pub target: f64,
}

impl Profile {
    /// One step with these limits.
    pub fn step(&mut self, dt: f64, max_velocity: f64, max_acceleration: f64) {
        let distance = self.target - self.position;
        // Fast enough to arrive, slow enough to stop: v^2 = 2 a d.
        let wanted = (2.0 * max_acceleration * distance.abs()).sqrt().min(max_velocity) * distance.signum();
        let change = max_acceleration * dt;
        self.velocity += (wanted - self.velocity).clamp(-change, change);
        let next = self.velocity * dt;
        if distance.abs() <= next.abs().max(1e-6) && self.velocity.abs() <= 2.0 * change {
            self.position = self.target;
            self.velocity = 0.0;
        } else {
            self.position += next;
        }
    }
}

/// What the arm is asked to do; absent members stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArmCommand {
    /// Height of the lift, m.
    pub lift: Option<f64>,
    /// Extension, m.
    pub extend: Option<f64>,
    /// Opening between the fingers, m.
    pub opening: Option<f64>,
    /// Closing force of each finger, N; none or zero: the greatest.
    pub force: Option<f64>,
}

impl ArmCommand {
    /// True if every number is finite and no force is negative.
    pub fn is_sound(&self) -> bool {
        [self.lift, self.extend, self.opening, self.force].iter().flatten().all(|v| v.is_finite())
            && self.force.is_none_or(|f| f >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_arrives_within_its_limits_and_does_not_overshoot() {
        let mut p = Profile { target: 0.3, ..Profile::default() };
        let (mut fastest, mut farthest) = (0.0_f64, 0.0_f64);
        let mut last = 0.0;
        for _ in 0..5000 {
            p.step(0.001, 0.12, 0.4);
            fastest = fastest.max(p.velocity.abs());
            farthest = farthest.max(p.position);
            assert!((p.velocity - last).abs() <= 0.4 * 0.001 + 2.0 * 0.4 * 0.001 + 1e-9);
            last = p.velocity;
        }
        assert!(fastest <= 0.12 + 1e-9 && fastest > 0.119, "{fastest}");
        assert!(farthest <= 0.3 + 1e-4, "{farthest}");
        assert_eq!((p.position, p.velocity), (0.3, 0.0));
    }

    #[test]
    fn profile_turns_round_when_the_target_changes() {
        let mut p = Profile { target: 0.3, ..Profile::default() };
        for i in 0..8000 {
            if i == 1000 {
                p.target = 0.0;
            }
            p.step(0.001, 0.12, 0.4);
        }
        assert_eq!(p.position, 0.0);
    }
}
