//! Wheel odometry fused with the gyroscope.
//!
//! Every step has two witnesses of the turn: the difference of the wheels (good when nothing slips) and the integrated
//! rate of the gyroscope (good over short times). They are joined by inverse variance; a disagreement beyond three
//! standard deviations is taken as slip and the gyroscope decides. The pose covariance is propagated to first order
//! through the motion (Siegwart & Nourbakhsh, "Introduction to Autonomous Mobile Robots", 5.2.4): it grows with the way
//! driven and turned, and never shrinks, because odometry alone cannot know where it is.

use spatial::{Pose2, angle};

/// Geometry and noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OdometrySettings {
    /// Wheel radius, m.
    pub wheel_radius_m: f64,
    /// Distance between the wheels, m.
    pub wheel_separation_m: f64,
    /// Variance of the distance per metre driven, m2/m.
    pub distance_noise: f64,
    /// Variance of the wheels' turn per radian turned, rad2/rad.
    pub turn_noise: f64,
    /// Variance of the wheels' turn per metre driven, rad2/m.
    pub drift_noise: f64,
    /// Standard deviation of the gyroscope's rate, rad/s.
    pub gyro_sigma: f64,
    /// Standard deviation of what is left of the gyroscope's bias, rad/s.
    pub bias_sigma: f64,
    /// Longest step that is believed, s: after a gap the wheels' positions are taken as a new start.
    pub max_gap_s: f64,
}

impl Default for OdometrySettings {
    fn default() -> Self {
        Self {
            wheel_radius_m: 0.035_75,
            wheel_separation_m: 0.233,
            distance_noise: 1e-4,
            turn_noise: 2e-4,
            drift_noise: 1e-4,
            gyro_sigma: 1e-3,
            bias_sigma: 5e-4,
            max_gap_s: 0.5,
        }
    }
}

/// Pose and speed with their covariances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OdometryState {
    /// Pose of base_link in odom.
    pub pose: Pose2,
    /// Forward speed, m/s.
    pub linear: f64,
    /// Turn rate, rad/s.
    pub angular: f64,
    /// Covariance of x, y, yaw, row-major (m2, m rad, rad2).
    pub covariance: [[f64; 3]; 3],
    /// Variance of the forward speed, (m/s)2.
    pub linear_variance: f64,
    /// Variance of the turn rate, (rad/s)2.
    pub angular_variance: f64,
    /// Whether the last step saw the wheels and the gyroscope disagree.
    pub slipping: bool,
}

/// The odometer.
#[derive(Clone, Debug)]
pub struct Odometer {
    settings: OdometrySettings,
    state: OdometryState,
    last: Option<(f64, f64, f64)>,
    gyro_turn: f64,
    gyro_time_s: f64,
    last_gyro_s: Option<f64>,
}

impl Odometer {
    /// An odometer at the origin.
    #[must_use]
    pub fn new(settings: OdometrySettings) -> Self {
        let state = OdometryState {
            pose: Pose2::IDENTITY,
            linear: 0.0,
            angular: 0.0,
            covariance: [[0.0; 3]; 3],
            linear_variance: 1e-6,
            angular_variance: 1e-6,
            slipping: false,
        };
        Self { settings, state, last: None, gyro_turn: 0.0, gyro_time_s: 0.0, last_gyro_s: None }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> &OdometryState {
        &self.state
    }

    /// Takes a yaw rate without bias, rad/s. Not finite rates are ignored.
    pub fn gyro(&mut self, rate: f64, time_s: f64) {
        if !rate.is_finite() {
            return;
        }
        if let Some(last) = self.last_gyro_s {
            let dt = time_s - last;
            if dt > 0.0 && dt <= self.settings.max_gap_s {
                self.gyro_turn += rate * dt;
                self.gyro_time_s += dt;
            }
        }
        self.last_gyro_s = Some(time_s);
    }

    /// Takes the wheels' angles, rad, and moves the pose. The first call and calls after a gap only set the start.
    pub fn wheels(&mut self, left: f64, right: f64, time_s: f64) -> &OdometryState {
        let before = self.last.replace((left, right, time_s));
        let gyro_turn = std::mem::take(&mut self.gyro_turn);
        let gyro_time = std::mem::take(&mut self.gyro_time_s);
        let Some((last_left, last_right, last_s)) = before else { return &self.state };
        let dt = time_s - last_s;
        if dt <= 0.0 || dt > self.settings.max_gap_s {
            // A gap: how far the robot came meanwhile is only known from the wheels, so the uncertainty says so.
            if dt > self.settings.max_gap_s {
                let (forward, turn) = self.wheel_motion(left - last_left, right - last_right);
                self.step(forward, turn, dt, 0.25 * turn * turn + 1e-2);
            }
            return &self.state;
        }
        let (forward, wheel_turn) = self.wheel_motion(left - last_left, right - last_right);
        let s = &self.settings;
        let wheel_variance = s.turn_noise * wheel_turn.abs() + s.drift_noise * forward.abs() + 1e-10;
        let covered = gyro_time >= 0.5 * dt;
        let (turn, variance) = if covered {
            // The rate is scaled to the step where the gyroscope's samples do not end exactly with the wheels'.
            let gyro = gyro_turn * dt / gyro_time;
            let gyro_variance = (s.gyro_sigma * dt).powi(2) + (s.bias_sigma * dt).powi(2) + 1e-12;
            let gap = gyro - wheel_turn;
            self.state.slipping = gap * gap > 9.0 * (wheel_variance + gyro_variance) && gap.abs() > 2e-3;
            if self.state.slipping {
                (gyro, gyro_variance)
            } else {
                let w = gyro_variance / (gyro_variance + wheel_variance);
                (gyro + w * (wheel_turn - gyro), wheel_variance * w)
            }
        } else {
            self.state.slipping = false;
            (wheel_turn, wheel_variance)
        };
        self.step(forward, turn, dt, variance);
        &self.state
    }

    fn wheel_motion(&self, left: f64, right: f64) -> (f64, f64) {
        let (l, r) = (left * self.settings.wheel_radius_m, right * self.settings.wheel_radius_m);
        (0.5 * (l + r), (r - l) / self.settings.wheel_separation_m)
    }

    fn step(&mut self, forward: f64, turn: f64, dt: f64, turn_variance: f64) {
        let state = &mut self.state;
        let mid = state.pose.yaw + 0.5 * turn;
        let slip = if state.slipping { 10.0 } else { 1.0 };
        let q_d = slip * self.settings.distance_noise * forward.abs();
        let (c, s) = (mid.cos(), mid.sin());
        // F = d(pose')/d(pose), G = d(pose')/d(forward, turn).
        let f = [[1.0, 0.0, -forward * s], [0.0, 1.0, forward * c], [0.0, 0.0, 1.0]];
        let g = [[c, -0.5 * forward * s], [s, 0.5 * forward * c], [0.0, 1.0]];
        let mut fp = [[0.0; 3]; 3];
        for (i, row) in fp.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = (0..3).map(|k| f[i][k] * state.covariance[k][j]).sum();
            }
        }
        let mut next = [[0.0; 3]; 3];
        for i in 0..3 {
            for j in 0..3 {
                let moved: f64 = (0..3).map(|k| fp[i][k] * f[j][k]).sum();
                next[i][j] = moved + g[i][0] * q_d * g[j][0] + g[i][1] * turn_variance * g[j][1];
            }
        }
        for i in 0..3 {
            for j in 0..i {
                let mean = 0.5 * (next[i][j] + next[j][i]);
                next[i][j] = mean;
                next[j][i] = mean;
            }
        }
        state.covariance = next;
        let pose = state.pose.drive(forward / dt, turn / dt, dt);
        state.pose = Pose2 { yaw: angle::wrap(pose.yaw), ..pose };
        state.linear = forward / dt;
        state.angular = turn / dt;
        state.linear_variance = q_d / (dt * dt) + 1e-6;
        state.angular_variance = turn_variance / (dt * dt) + 1e-8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(odometer: &mut Odometer, v: f64, w: f64, seconds: f64, from_s: f64, start: (f64, f64)) -> (f64, (f64, f64)) {
        let s = odometer.settings;
        let (mut left, mut right) = start;
        let steps = (seconds * 100.0).round() as usize;
        for i in 0..=steps {
            let t = from_s + i as f64 * 0.01;
            if i > 0 {
                left += (v - 0.5 * w * s.wheel_separation_m) * 0.01 / s.wheel_radius_m;
                right += (v + 0.5 * w * s.wheel_separation_m) * 0.01 / s.wheel_radius_m;
            }
            odometer.gyro(w, t);
            odometer.wheels(left, right, t);
        }
        (from_s + seconds, (left, right))
    }

    #[test]
    fn a_circle_ends_where_it_began() {
        let mut odometer = Odometer::new(OdometrySettings::default());
        let w = 0.5;
        let (_, _) = drive(&mut odometer, 0.25, w, 100.0 * std::f64::consts::TAU / w / 100.0, 0.0, (0.0, 0.0));
        let state = odometer.state();
        assert!(state.pose.position().length() < 5e-3, "{:?}", state.pose);
        assert!(!state.slipping);
    }

    #[test]
    fn the_covariance_grows_with_the_way_and_stays_positive() {
        let mut odometer = Odometer::new(OdometrySettings::default());
        let mut last = 0.0;
        let (mut t, mut wheels) = (0.0, (0.0, 0.0));
        for _ in 0..10 {
            (t, wheels) = drive(&mut odometer, 0.3, 0.1, 2.0, t, wheels);
            let p = odometer.state().covariance;
            let trace = p[0][0] + p[1][1] + p[2][2];
            assert!(trace > last, "{trace} {last}");
            last = trace;
            assert!(p[0][0] * p[1][1] - p[0][1] * p[1][0] >= 0.0);
            assert_eq!(p[0][2], p[2][0]);
        }
        let resting = odometer.state().covariance;
        drive(&mut odometer, 0.0, 0.0, 2.0, t, wheels);
        let p = odometer.state().covariance;
        assert!(p[0][0] - resting[0][0] < 1e-6, "standing still adds next to nothing to the position");
    }

    #[test]
    fn the_gyroscope_decides_when_a_wheel_slips() {
        let mut odometer = Odometer::new(OdometrySettings::default());
        let s = odometer.settings;
        let mut right = 0.0;
        for i in 0..=100 {
            let t = f64::from(i) * 0.01;
            odometer.gyro(0.0, t);
            odometer.wheels(0.0, right, t);
            right += 0.2 * 0.01 / s.wheel_radius_m;
        }
        assert!(odometer.state().pose.yaw.abs() < 0.02, "{:?}", odometer.state().pose);
        assert!(odometer.state().slipping);
    }

    #[test]
    fn without_gyroscope_the_wheels_turn_the_pose() {
        let mut odometer = Odometer::new(OdometrySettings::default());
        let s = odometer.settings;
        let rate = 0.5 * s.wheel_separation_m / s.wheel_radius_m;
        for i in 0..=100 {
            let t = f64::from(i) * 0.01;
            odometer.wheels(-rate * t, rate * t, t);
        }
        assert!((odometer.state().pose.yaw - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_does_not_move_the_robot() {
        let mut odometer = Odometer::new(OdometrySettings::default());
        odometer.wheels(0.0, 0.0, 0.0);
        odometer.gyro(f64::NAN, 0.0);
        odometer.wheels(1.0, 1.0, -1.0);
        assert_eq!(odometer.state().pose, Pose2::IDENTITY);
    }
}
