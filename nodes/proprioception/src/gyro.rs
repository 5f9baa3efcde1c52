//! Gyroscope bias, learnt while the wheels stand still.

/// Running estimate of a three-axis gyroscope's bias.
#[derive(Clone, Debug)]
pub struct GyroBias {
    settle_s: f64,
    time_constant_s: f64,
    max_rate: f64,
    still_since_s: Option<f64>,
    last_s: Option<f64>,
    bias: [f64; 3],
    learnt_s: f64,
}

impl GyroBias {
    /// An estimator. The wheels must stand still for `settle_s` before samples count; samples are averaged with
    /// `time_constant_s`; rates beyond `max_rate` (rad/s) at rest mean that somebody turns the robot: not a bias.
    #[must_use]
    pub fn new(settle_s: f64, time_constant_s: f64, max_rate: f64) -> Self {
        Self { settle_s, time_constant_s, max_rate, still_since_s: None, last_s: None, bias: [0.0; 3], learnt_s: 0.0 }
    }

    /// Takes a raw rate (rad/s) and returns it without the bias.
    pub fn update(&mut self, raw: [f64; 3], time_s: f64, wheels_still: bool) -> [f64; 3] {
        let dt = self.last_s.map_or(0.0, |last| (time_s - last).max(0.0));
        self.last_s = Some(time_s);
        let calm = wheels_still && raw.iter().all(|r| r.abs() <= self.max_rate);
        if calm {
            let since = *self.still_since_s.get_or_insert(time_s);
            if time_s - since >= self.settle_s && dt > 0.0 {
                // Plain mean at first, exponential forgetting once a time constant of samples has been seen.
                self.learnt_s += dt;
                let gain = dt / self.learnt_s.min(self.time_constant_s);
                for (bias, value) in self.bias.iter_mut().zip(raw) {
                    *bias += gain.min(1.0) * (value - *bias);
                }
            }
        } else {
            self.still_since_s = None;
        }
        std::array::from_fn(|i| raw[i] - self.bias[i])
    }

    /// The bias, rad/s per axis.
    #[must_use]
    pub fn bias(&self) -> [f64; 3] {
        self.bias
    }

    /// For how long the bias has been learnt at rest, s.
    #[must_use]
    pub fn learnt_s(&self) -> f64 {
        self.learnt_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bias_is_learnt_at_rest_and_kept_while_driving() {
        let mut gyro = GyroBias::new(0.5, 5.0, 0.1);
        for i in 0..500 {
            gyro.update([0.01, -0.02, 0.03], f64::from(i) * 0.01, true);
        }
        let b = gyro.bias();
        assert!((b[2] - 0.03).abs() < 1e-9);
        for i in 500..1500 {
            let out = gyro.update([0.01, -0.02, 1.03], f64::from(i) * 0.01, false);
            assert!((out[2] - 1.0).abs() < 1e-9);
        }
        assert_eq!(gyro.bias(), b);
    }

    #[test]
    fn being_turned_by_hand_is_not_a_bias() {
        let mut gyro = GyroBias::new(0.1, 5.0, 0.1);
        for i in 0..500 {
            gyro.update([0.0, 0.0, 0.5], f64::from(i) * 0.01, true);
        }
        assert_eq!(gyro.bias(), [0.0; 3]);
    }
}
