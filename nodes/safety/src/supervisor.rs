//! The supervisor: takes commands and senses with their times, gives the velocity that may reach the body.

use crate::bumper::{self, Pressed};
use crate::ladder::{Hazard, Ladder, Level, ResetError};
use crate::limits::{self, BaseLimits, Velocity};

/// Settings of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupervisorSettings {
    /// Limits of the base.
    pub base: BaseLimits,
    /// A velocity command older than this counts as zero, s.
    pub command_ttl_s: f64,
    /// Odometry older than this stops the robot, s.
    pub odom_stop_s: f64,
    /// A scan older than this slows the robot down, s.
    pub scan_slow_s: f64,
    /// A scan older than this stops the robot, s.
    pub scan_stop_s: f64,
    /// Share of the speed limits while DEGRADED, 0..1.
    pub degraded_scale: f64,
    /// Measured speed beyond this multiple of the limit counts as running away.
    pub runaway_factor: f64,
    /// For how long, s.
    pub runaway_s: f64,
    /// How long the hazards must be gone before the level falls, s.
    pub clear_s: f64,
}

impl Default for SupervisorSettings {
    fn default() -> Self {
        Self {
            base: BaseLimits::default(),
            command_ttl_s: 0.3,
            odom_stop_s: 0.5,
            scan_slow_s: 0.5,
            scan_stop_s: 2.0,
            degraded_scale: 0.4,
            runaway_factor: 1.5,
            runaway_s: 0.3,
            clear_s: 0.5,
        }
    }
}

/// Why a velocity command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A component is NaN or infinite; the robot is braked to zero.
    #[error("the velocity command is not a number")]
    NotFinite,
}

/// The result of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// What may be sent to the body.
    pub velocity: Velocity,
    /// The level.
    pub level: Level,
    /// Why.
    pub reason: String,
    /// Whether level or reason differ from the cycle before.
    pub changed: bool,
    /// Whether any motion is allowed.
    pub motion_allowed: bool,
    /// A moving command was cut because nobody renewed it.
    pub command_expired: bool,
}

/// State of the supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    settings: SupervisorSettings,
    ladder: Ladder,
    command: Option<(Velocity, f64)>,
    pressed: Pressed,
    odom_s: Option<f64>,
    scan_s: Option<f64>,
    too_fast_since_s: Option<f64>,
    running_away: bool,
    e_stop: bool,
    last: Velocity,
    last_s: Option<f64>,
}

impl Supervisor {
    /// A supervisor at rest.
    #[must_use]
    pub fn new(settings: SupervisorSettings) -> Self {
        Self {
            settings,
            ladder: Ladder::new(settings.clear_s),
            command: None,
            pressed: Pressed::default(),
            odom_s: None,
            scan_s: None,
            too_fast_since_s: None,
            running_away: false,
            e_stop: false,
            last: Velocity::ZERO,
            last_s: None,
        }
    }

    /// Takes a velocity command.
    ///
    /// # Errors
    /// [`CommandError::NotFinite`]: the command counts as zero.
    pub fn command(&mut self, velocity: Velocity, time_s: f64) -> Result<(), CommandError> {
        if velocity.is_finite() {
            self.command = Some((velocity, time_s));
            Ok(())
        } else {
            self.command = None;
            Err(CommandError::NotFinite)
        }
    }

    /// Takes the state of the bumpers.
    pub fn contacts(&mut self, pressed: Pressed) {
        self.pressed = pressed;
    }

    /// Takes the measured velocity.
    pub fn odometry(&mut self, velocity: Velocity, time_s: f64) {
        self.odom_s = Some(time_s);
        let s = &self.settings;
        let too_fast = !velocity.is_finite()
            || velocity.linear.abs() > s.base.linear * s.runaway_factor
            || velocity.angular.abs() > s.base.angular * s.runaway_factor;
        if too_fast {
            let since = *self.too_fast_since_s.get_or_insert(time_s);
            self.running_away = time_s - since >= s.runaway_s;
        } else {
            self.too_fast_since_s = None;
            self.running_away = false;
        }
    }

    /// Notes that a scan arrived.
    pub fn scan(&mut self, time_s: f64) {
        self.scan_s = Some(time_s);
    }

    /// Sets the emergency stop input. It latches: false alone does not free the robot.
    pub fn e_stop(&mut self, on: bool) {
        self.e_stop = on;
    }

    /// Leaves a latched level.
    ///
    /// # Errors
    /// [`ResetError`] while the cause is still there.
    pub fn reset(&mut self) -> Result<Level, ResetError> {
        if self.e_stop {
            return Err(ResetError::CausePersists { reason: "the emergency stop is pressed".into() });
        }
        self.command = None;
        self.ladder.reset()
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.ladder.level()
    }

    /// Whether commands to the arm may pass.
    #[must_use]
    pub fn arm_allowed(&self) -> bool {
        self.ladder.level() < Level::SafeStop
    }

    /// One cycle: call at a fixed rate.
    pub fn cycle(&mut self, time_s: f64) -> Output {
        let s = self.settings;
        let changed = self.ladder.update(self.hazards(time_s), time_s);
        let level = self.ladder.level();
        let fresh = self.command.filter(|(_, at)| time_s - at <= s.command_ttl_s);
        let command_expired = fresh.is_none() && self.command.is_some_and(|(v, _)| v != Velocity::ZERO);
        let wanted = fresh.map_or(Velocity::ZERO, |(v, _)| v);
        let dt = self.last_s.map_or(0.0, |last| (time_s - last).clamp(0.0, 0.1));
        self.last_s = Some(time_s);
        let velocity = match level {
            Level::EStop => Velocity::ZERO,
            Level::SafeStop => limits::clamp(self.last, Velocity::ZERO, &s.base, 1.0, dt),
            Level::ComfortStop => {
                let gentle = BaseLimits { brake_factor: 1.0, ..s.base };
                limits::clamp(self.last, Velocity::ZERO, &gentle, 1.0, dt)
            }
            Level::Nominal | Level::Degraded => {
                let scale = if level == Level::Degraded { s.degraded_scale } else { 1.0 };
                let allowed = bumper::allow(self.pressed, wanted);
                // A touched obstacle ends the motion towards it at once, without a braking ramp.
                let ramped = limits::clamp(self.last, allowed, &s.base, scale, dt);
                bumper::allow(self.pressed, ramped)
            }
        };
        self.last = velocity;
        Output {
            velocity,
            level,
            reason: self.ladder.reason().to_owned(),
            changed,
            motion_allowed: level < Level::ComfortStop,
            command_expired,
        }
    }

    fn hazards(&self, time_s: f64) -> Vec<Hazard> {
        let s = &self.settings;
        let mut hazards = Vec::new();
        let mut add = |level, reason: String| hazards.push(Hazard { level, reason });
        if self.e_stop {
            add(Level::EStop, "the emergency stop is pressed".into());
        }
        if self.running_away {
            add(Level::SafeStop, "the base moves faster than it may".into());
        }
        match self.odom_s {
            None => add(Level::ComfortStop, "waiting for odometry".into()),
            Some(at) if time_s - at > s.odom_stop_s => {
                add(Level::ComfortStop, format!("no odometry for more than {:.1} s", s.odom_stop_s));
            }
            Some(_) => {}
        }
        match self.scan_s {
            None => add(Level::ComfortStop, "waiting for the lidar".into()),
            Some(at) if time_s - at > s.scan_stop_s => {
                add(Level::ComfortStop, format!("no scan for more than {:.1} s", s.scan_stop_s));
            }
            Some(at) if time_s - at > s.scan_slow_s => {
                add(Level::Degraded, format!("no scan for more than {:.1} s", s.scan_slow_s));
            }
            Some(_) => {}
        }
        if self.pressed.any() {
            add(Level::Degraded, format!("bumper pressed: {}", self.pressed.names().join(", ")));
        }
        hazards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(linear: f64, angular: f64) -> Velocity {
        Velocity { linear, angular }
    }

    /// Feeds healthy senses and a command for some cycles of 20 ms; returns the last output and the time.
    fn run(s: &mut Supervisor, from_s: f64, cycles: usize, command: Option<Velocity>, scan: bool) -> (Output, f64) {
        let mut out = None;
        let mut t = from_s;
        for _ in 0..cycles {
            s.odometry(Velocity::ZERO, t);
            if scan {
                s.scan(t);
            }
            if let Some(c) = command {
                s.command(c, t).unwrap();
            }
            out = Some(s.cycle(t));
            t += 0.02;
        }
        (out.unwrap(), t)
    }

    #[test]
    fn nothing_moves_before_the_senses_are_there() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        s.command(v(0.3, 0.0), 0.0).unwrap();
        let out = s.cycle(0.0);
        assert_eq!((out.velocity, out.level, out.motion_allowed), (Velocity::ZERO, Level::ComfortStop, false));
        assert_eq!(out.reason, "waiting for odometry");
    }

    #[test]
    fn a_command_is_ramped_up_and_expires() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (out, t) = run(&mut s, 0.0, 100, Some(v(0.3, 0.0)), true);
        assert!((out.velocity.linear - 0.3).abs() < 1e-9);
        let (out, _) = run(&mut s, t, 50, None, true);
        assert_eq!(out.velocity, Velocity::ZERO);
        assert!(out.command_expired);
        assert_eq!(out.level, Level::Nominal);
    }

    #[test]
    fn numbers_that_are_none_are_refused_and_brake() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (_, t) = run(&mut s, 0.0, 100, Some(v(0.3, 0.0)), true);
        assert_eq!(s.command(v(f64::NAN, 0.0), t), Err(CommandError::NotFinite));
        let (out, _) = run(&mut s, t, 20, None, true);
        assert_eq!(out.velocity, Velocity::ZERO);
    }

    #[test]
    fn a_missing_scan_slows_then_stops_and_recovers() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (_, t) = run(&mut s, 0.0, 100, Some(v(0.31, 0.0)), true);
        let (out, t) = run(&mut s, t, 60, Some(v(0.31, 0.0)), false);
        assert_eq!(out.level, Level::Degraded);
        assert!((out.velocity.linear - 0.31 * 0.4).abs() < 1e-9);
        let (out, t) = run(&mut s, t, 80, Some(v(0.31, 0.0)), false);
        assert_eq!((out.level, out.velocity), (Level::ComfortStop, Velocity::ZERO));
        let (out, _) = run(&mut s, t, 100, Some(v(0.31, 0.0)), true);
        assert_eq!(out.level, Level::Nominal);
        assert!(out.velocity.linear > 0.3);
    }

    #[test]
    fn a_bumper_stops_at_once_and_lets_the_robot_back_away() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (_, t) = run(&mut s, 0.0, 100, Some(v(0.3, 0.0)), true);
        s.contacts(Pressed { center: true, ..Pressed::default() });
        let (out, t) = run(&mut s, t, 1, Some(v(0.3, 0.0)), true);
        assert_eq!((out.velocity.linear, out.level), (0.0, Level::Degraded));
        let (out, _) = run(&mut s, t, 50, Some(v(-0.1, 0.0)), true);
        assert!((out.velocity.linear + 0.1).abs() < 1e-9);
    }

    #[test]
    fn the_emergency_stop_latches() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (_, t) = run(&mut s, 0.0, 100, Some(v(0.3, 0.5)), true);
        s.e_stop(true);
        let (out, t) = run(&mut s, t, 1, Some(v(0.3, 0.5)), true);
        assert_eq!((out.velocity, out.level), (Velocity::ZERO, Level::EStop));
        assert!(!s.arm_allowed());
        assert!(s.reset().is_err());
        s.e_stop(false);
        let (out, t) = run(&mut s, t, 100, Some(v(0.3, 0.5)), true);
        assert_eq!(out.level, Level::EStop);
        s.reset().unwrap();
        let (out, _) = run(&mut s, t, 100, Some(v(0.3, 0.0)), true);
        assert_eq!(out.level, Level::Nominal);
        assert!(out.velocity.linear > 0.29);
    }

    #[test]
    fn running_away_is_a_latched_safe_stop() {
        let mut s = Supervisor::new(SupervisorSettings::default());
        let (_, mut t) = run(&mut s, 0.0, 50, None, true);
        for _ in 0..40 {
            s.odometry(v(1.0, 0.0), t);
            s.scan(t);
            s.cycle(t);
            t += 0.02;
        }
        let (out, _) = run(&mut s, t, 100, Some(v(0.1, 0.0)), true);
        assert_eq!((out.level, out.velocity), (Level::SafeStop, Velocity::ZERO));
        assert!(s.reset().is_ok());
    }
}
