//! The differential drive: velocity controller, motors, tyres.
//!
//! Each wheel is a rotor with a motor (torque limit, proportional-integral speed control) whose tyre pulls on the base by
//! the slip between its rim and the floor, limited by Coulomb friction. The rubber is a damped spring that forgets its
//! deflection over the relaxation length as it rolls (Pacejka, "Tire and Vehicle Dynamics", chapter 7): it slips under load
//! while it rolls and holds its place when it stands. The base itself slides on frictionless skids, so that every horizontal
//! force on it comes from the tyres or from what it bumps into.

use crate::noise::Noise;

/// What the drive is built like.
#[derive(Clone, Debug)]
pub struct DriveSpec {
    /// Nominal wheel radius, m.
    pub radius: f64,
    /// Nominal distance of the wheels, m.
    pub separation: f64,
    /// m/s.
    pub max_linear: f64,
    /// rad/s.
    pub max_angular: f64,
    /// m/s2.
    pub linear_acceleration: f64,
    /// rad/s2.
    pub angular_acceleration: f64,
    /// Greatest motor torque at the wheel, Nm.
    pub max_torque: f64,
}

/// Without a command for so long the drive brakes, s.
pub const COMMAND_TIMEOUT_S: f64 = 0.5;

/// Rotor inertia at the wheel through the gear, kg m2.
const INERTIA: f64 = 4.5e-4;
/// Tyre force per slip speed, N/(m/s).
const SLIP_STIFFNESS: f64 = 150.0;
/// Sideways, for both wheels together, N/(m/s).
const LATERAL_STIFFNESS: f64 = 300.0;
/// Of the rubber of one tyre, along and across, N/m.
const RUBBER_STIFFNESS: f64 = 3000.0;
/// Distance over which a rolling tyre forgets its deflection, m.
const RELAXATION_M: f64 = 0.02;
/// Rubber on wood.
const FRICTION: f64 = 0.75;
/// Rolling resistance as a share of the load.
const ROLLING: f64 = 0.012;
/// Motor constant: electrical loss per torque squared, W/(Nm)2.
const COPPER_LOSS: f64 = 12.0;
/// Of the gear.
const EFFICIENCY: f64 = 0.7;

/// One wheel.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    /// Angle, rad.
    pub angle: f64,
    /// rad/s.
    pub speed: f64,
    /// Motor torque, Nm.
    pub torque: f64,
    integral: f64,
    deflection: f64,
    radius_error: f64,
    wander: f64,
}

/// The drive's state.
#[derive(Clone, Debug)]
pub struct Drive {
    /// What it is built like.
    pub spec: DriveSpec,
    /// Left, right.
    pub wheels: [Wheel; 2],
    separation: f64,
    command: [f64; 2],
    command_age: f64,
    reference: [f64; 2],
    sideways: f64,
    noise: Noise,
    /// Electrical energy so far, J.
    pub energy_j: f64,
}

/// Forces of the tyres on the base, N.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TyreForces {
    /// Forward at the left wheel.
    pub left: f64,
    /// Forward at the right wheel.
    pub right: f64,
    /// To the left, at the middle of the axle.
    pub lateral: f64,
}

/// How the base moves over the floor.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroundMotion {
    /// Forward at the left and right contact points, m/s.
    pub forward: [f64; 2],
    /// To the left at the middle of the axle, m/s.
    pub lateral: f64,
    /// Weight on both wheels together, N; zero when the robot is lifted or has tipped over.
    pub load: f64,
}

impl Drive {
    /// A drive at rest. `noise` makes this robot's wheels a little unequal, as real ones are.
    pub fn new(spec: DriveSpec, mut noise: Noise) -> Self {
        let wheel = |n: &mut Noise| Wheel { radius_error: n.gaussian(0.002).clamp(-0.006, 0.006), ..Wheel::default() };
        let wheels = [wheel(&mut noise), wheel(&mut noise)];
        let separation = spec.separation * (1.0 + noise.gaussian(0.003).clamp(-0.009, 0.009));
        Self {
            separation,
            spec,
            wheels,
            command: [0.0; 2],
            command_age: f64::INFINITY,
            reference: [0.0; 2],
            sideways: 0.0,
            noise,
            energy_j: 0.0,
        }
    }

    /// Takes a velocity command: forward m/s and turn rad/s, each limited to what the drive can do. A command that is not
    /// finite counts as zero.
    pub fn command(&mut self, linear: f64, angular: f64) {
        let clean = |v: f64, max: f64| if v.is_finite() { v.clamp(-max, max) } else { 0.0 };
        self.command = [clean(linear, self.spec.max_linear), clean(angular, self.spec.max_angular)];
        self.command_age = 0.0;
    }

    /// One physics step: what the tyres do to the base that moves like this.
    pub fn step(&mut self, dt: f64, ground: &GroundMotion) -> TyreForces {
        self.command_age += dt;
        let goal = if self.command_age > COMMAND_TIMEOUT_S { [0.0; 2] } else { self.command };
        let rates = [self.spec.linear_acceleration, self.spec.angular_acceleration];
        for i in 0..2 {
            let step = rates[i] * dt;
            self.reference[i] += (goal[i] - self.reference[i]).clamp(-step, step);
        }
        let half = self.spec.separation / 2.0;
        let rims = [self.reference[0] - half * self.reference[1], self.reference[0] + half * self.reference[1]];
        let mut forces = [0.0; 2];
        let load = ground.load / 2.0;
        for (i, wheel) in self.wheels.iter_mut().enumerate() {
            // Unevenness of floor and tyre: a slow random walk of the rolling radius around this wheel's own.
            wheel.wander += -wheel.wander * dt / 0.3 + self.noise.gaussian(0.004 * (2.0 * dt / 0.3).sqrt());
            let radius = self.spec.radius * (1.0 + wheel.radius_error + wheel.wander);
            let error = rims[i] / self.spec.radius - wheel.speed;
            wheel.integral = (wheel.integral + error * dt * 0.2).clamp(-self.spec.max_torque, self.spec.max_torque);
            wheel.torque = (0.1 * error + wheel.integral).clamp(-self.spec.max_torque, self.spec.max_torque);
            let slip = wheel.speed * radius - ground.forward[i];
            let limit = FRICTION * load;
            forces[i] = rubber(&mut wheel.deflection, slip, ground.forward[i], RUBBER_STIFFNESS, SLIP_STIFFNESS, limit, dt);
            let resistance = ROLLING * load * radius * (wheel.speed / 0.05).tanh();
            wheel.speed += dt / INERTIA * (wheel.torque - forces[i] * radius - resistance);
            wheel.angle += wheel.speed * dt;
            let mechanical = wheel.torque * wheel.speed;
            self.energy_j += dt * (mechanical.max(0.0) / EFFICIENCY + COPPER_LOSS * wheel.torque * wheel.torque);
        }
        let limit = FRICTION * ground.load;
        let rolling = 0.5 * (ground.forward[0].abs() + ground.forward[1].abs());
        let lateral = rubber(&mut self.sideways, -ground.lateral, rolling, 2.0 * RUBBER_STIFFNESS, LATERAL_STIFFNESS, limit, dt);
        TyreForces { left: forces[0], right: forces[1], lateral }
    }

    /// True distance of the wheels, m.
    pub fn separation(&self) -> f64 {
        self.separation
    }

    /// Velocity that the controller asks for just now: m/s, rad/s.
    pub fn reference(&self) -> [f64; 2] {
        self.reference
    }
}

/// Force of a damped spring of rubber that is dragged with `slip` (m/s) while it rolls with `rolling` (m/s).
fn rubber(deflection: &mut f64, slip: f64, rolling: f64, stiffness: f64, damping: f64, limit: f64, dt: f64) -> f64 {
    *deflection += dt * (slip - rolling.abs() / RELAXATION_M * *deflection);
    // Beyond the friction limit it slides instead of stretching.
    *deflection = deflection.clamp(-limit / stiffness, limit / stiffness);
    (stiffness * *deflection + damping * slip).clamp(-limit, limit)
}
