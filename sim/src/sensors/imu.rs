//! The inertial unit: rates and specific force with white noise and a constant bias.

use super::ImuReading;
use crate::noise::Noise;
use crate::scene::Pose;
use crate::sdf::GaussianNoise;
use glam::DVec3;

/// State between samples.
#[derive(Clone, Debug)]
pub struct Imu {
    gyro: GaussianNoise,
    accelerometer: GaussianNoise,
    gyro_bias: DVec3,
    accelerometer_bias: DVec3,
    last_velocity: Option<DVec3>,
    noise: Noise,
}

fn triple(noise: &mut Noise, sigma: f64) -> DVec3 {
    DVec3::new(noise.gaussian(sigma), noise.gaussian(sigma), noise.gaussian(sigma))
}

impl Imu {
    /// Draws the biases.
    pub fn new(gyro: GaussianNoise, accelerometer: GaussianNoise, mut noise: Noise) -> Self {
        Self {
            gyro_bias: triple(&mut noise, gyro.bias_stddev),
            accelerometer_bias: triple(&mut noise, accelerometer.bias_stddev),
            gyro,
            accelerometer,
            last_velocity: None,
            noise,
        }
    }

    /// One sample, `dt` after the last one: velocities in the world, gravity as a vector of the world.
    pub fn sample(&mut self, dt: f64, pose: &Pose, linear: DVec3, angular: DVec3, gravity: DVec3) -> ImuReading {
        let acceleration = self.last_velocity.map_or(DVec3::ZERO, |v| (linear - v) / dt);
        self.last_velocity = Some(linear);
        let to_body = pose.orientation.conjugate();
        ImuReading {
            angular_velocity: to_body * angular + self.gyro_bias + triple(&mut self.noise, self.gyro.stddev),
            linear_acceleration: to_body * (acceleration - gravity)
                + self.accelerometer_bias
                + triple(&mut self.noise, self.accelerometer.stddev),
        }
    }
}
