//! Where the robot is in the known map: odometry carried forward, corrected by matching scans against the map.
//!
//! The correction minimises the signed distance of scan points to the map's surfaces (a likelihood field, Thrun, Burgard,
//! Fox, "Probabilistic Robotics", 6.4) by Gauss-Newton with Geman-McClure weights, so that things that are not in the map
//! count little, and with the prediction as a prior. What is kept is the pose of odom in map: odometry stays smooth.

use std::collections::VecDeque;

use glam::{DMat3, DVec2, DVec3};
use spatial::distance::distance_field;
use spatial::grid::OCCUPIED;
use spatial::{Cell, Grid, Pose2, angle};

use crate::config::Config;
use crate::senses::Scan;

/// Residuals beyond this say nothing, m.
const TRUNCATE: f64 = 0.5;
/// A beam this near to the map's surface fits it, m.
const FITS: f64 = 0.12;
/// Neighbouring beams see the same raster error: so many beams carry the information of one.
const CORRELATED: f64 = 8.0;

/// What one correction gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// Share of returns that fit the map afterwards, 0..1.
    pub fit: f64,
    /// Distance the estimate was moved, m.
    pub moved: f64,
    /// Whether it was taken.
    pub accepted: bool,
}

/// The estimate.
#[derive(Clone, Debug)]
pub struct Localiser {
    surface: Grid<f32>,
    roomy: Vec<DVec2>,
    map_odom: Pose2,
    covariance: DMat3,
    history: VecDeque<(i64, Pose2)>,
    fit: f64,
    bad_since_s: Option<f64>,
    lost: bool,
    corrected: bool,
}

impl Localiser {
    /// A localiser for a map, with the pose the robot is believed to start from.
    pub fn new(map: &Grid<i8>, start: Pose2, config: &Config) -> Self {
        let surface = signed_surface(map);
        let spacing = (0.15 / map.resolution()).round().max(1.0) as i32;
        let roomy = (0..map.data().len())
            .map(|index| map.cell_at(index))
            .filter(|cell| cell.x % spacing == 0 && cell.y % spacing == 0 && map.get(*cell) == Some(0))
            .map(|cell: Cell| map.centre(cell))
            .filter(|point| surface.interpolate(*point).0 > 0.15)
            .collect();
        let mut localiser = Self {
            surface,
            roomy,
            map_odom: start,
            covariance: DMat3::IDENTITY,
            history: VecDeque::new(),
            fit: 1.0,
            bad_since_s: None,
            lost: false,
            corrected: false,
        };
        localiser.reset(start, config);
        localiser
    }

    /// Sets the pose of base_link in the map, with the initial uncertainty.
    pub fn reset(&mut self, pose: Pose2, config: &Config) {
        let odom = self.history.back().map_or(Pose2::IDENTITY, |(_, odom)| *odom);
        self.map_odom = pose * odom.inverse();
        self.covariance = DMat3::from_diagonal(DVec3::new(
            config.initial_sigma.powi(2),
            config.initial_sigma.powi(2),
            config.initial_yaw_sigma.powi(2),
        ));
        (self.fit, self.bad_since_s, self.lost, self.corrected) = (1.0, None, false, false);
    }

    /// Takes a new odometry pose (base_link in odom, stamp in ns). The first one anchors odom under the present estimate.
    pub fn predict(&mut self, stamp_ns: i64, odom: Pose2, config: &Config) {
        let Some((last_stamp, last)) = self.history.back().copied() else {
            let pose = self.map_odom;
            self.map_odom = pose * odom.inverse();
            self.history.push_back((stamp_ns, odom));
            return;
        };
        if stamp_ns <= last_stamp {
            return;
        }
        let step = odom.relative_to(&last);
        let moved = step.position().length();
        let position = (config.odom_slip * moved).powi(2) + (0.01 * step.yaw).powi(2);
        let turned = (config.odom_turn_slip * step.yaw).powi(2) + (0.05 * moved).powi(2);
        // Uncertainty of the heading swings the position with the distance driven.
        let swing = self.map_odom.heading().rotate(odom.position() - last.position()).perp();
        let jacobian = DMat3::from_cols(DVec3::X, DVec3::Y, DVec3::new(swing.x, swing.y, 1.0));
        self.covariance =
            jacobian * self.covariance * jacobian.transpose() + DMat3::from_diagonal(DVec3::new(position, position, turned));
        self.history.push_back((stamp_ns, odom));
        while self.history.len() > 400 {
            self.history.pop_front();
        }
    }

    /// The odometry pose at a stamp, interpolated; the nearest one outside what is remembered.
    fn odom_at(&self, stamp_ns: i64) -> Pose2 {
        let after = self.history.partition_point(|(stamp, _)| *stamp < stamp_ns);
        match (after.checked_sub(1).and_then(|i| self.history.get(i)), self.history.get(after)) {
            (Some((t0, p0)), Some((t1, p1))) => p0.interpolate(p1, (stamp_ns - t0) as f64 / (t1 - t0).max(1) as f64),
            (Some((_, p)), None) | (None, Some((_, p))) => *p,
            (None, None) => Pose2::IDENTITY,
        }
    }

    /// Corrects the estimate with a scan.
    pub fn correct(&mut self, scan: &Scan, now_s: f64, config: &Config) -> Correction {
        let points = thin(&scan.points(config.laser_x), 180);
        if points.len() < 10 {
            return Correction { fit: self.fit, moved: 0.0, accepted: false };
        }
        let odom = self.odom_at(scan.stamp_ns);
        let prior = self.map_odom * odom;
        // A little doubt per scan keeps the filter awake when nothing moves.
        let covariance = self.covariance + DMat3::from_diagonal(DVec3::new(1e-7, 1e-7, 2e-7));
        let (pose, information) = self.matched(&points, prior, Some(covariance), config);
        let fit = self.fit_of(&points, pose);
        let accepted = fit >= self.enough(config) && pose.is_finite();
        let moved = pose.distance(&prior);
        if accepted {
            self.map_odom = pose * odom.inverse();
            self.covariance = information.inverse();
            self.corrected = true;
        }
        self.judge(fit, now_s, config);
        Correction { fit, moved, accepted }
    }

    /// The share of beams that must fit. A first pose, which somebody only guessed, must fit better than one that was followed.
    fn enough(&self, config: &Config) -> f64 {
        if self.corrected { config.lost_below } else { config.confirm_above }
    }

    fn judge(&mut self, fit: f64, now_s: f64, config: &Config) {
        self.fit = fit;
        if fit >= self.enough(config) {
            (self.bad_since_s, self.lost) = (None, false);
        } else {
            let since = *self.bad_since_s.get_or_insert(now_s);
            let patience = if self.corrected { config.lost_after } else { 0.3 };
            if now_s - since >= patience {
                self.lost = true;
            }
        }
    }

    /// Gauss-Newton from a pose; gives the pose and the information matrix there.
    fn matched(&self, points: &[DVec2], from: Pose2, prior: Option<DMat3>, config: &Config) -> (Pose2, DMat3) {
        let mut pose = from;
        let prior_information = prior.map_or(DMat3::ZERO, |covariance| covariance.inverse());
        let scale = 1.0 / (config.scan_sigma.powi(2) * CORRELATED);
        let mut information = prior_information;
        for _ in 0..12 {
            let mut h = DMat3::ZERO;
            let mut b = DVec3::ZERO;
            for point in points {
                let (distance, gradient) = self.surface.interpolate(pose.transform(*point));
                if distance.abs() > TRUNCATE {
                    continue;
                }
                let weight = scale / (1.0 + (distance / config.scan_robust).powi(2)).powi(2);
                let swing = pose.heading().rotate(*point).perp();
                let j = DVec3::new(gradient.x, gradient.y, gradient.dot(swing));
                h += DMat3::from_cols(j * j.x, j * j.y, j * j.z) * weight;
                b += j * (weight * distance);
            }
            // A touch of damping: a corridor leaves one direction unseen.
            information = h + prior_information + DMat3::from_diagonal(DVec3::splat(1.0));
            let away = DVec3::new(pose.x - from.x, pose.y - from.y, angle::difference(pose.yaw, from.yaw));
            let step = -(information.inverse() * (b + prior_information * away));
            if !step.is_finite() {
                break;
            }
            let step = step.clamp(DVec3::splat(-0.2), DVec3::splat(0.2));
            pose = Pose2::new(pose.x + step.x, pose.y + step.y, pose.yaw + step.z);
            if step.abs().max_element() < 1e-5 {
                break;
            }
        }
        (pose, information)
    }

    fn fit_of(&self, points: &[DVec2], pose: Pose2) -> f64 {
        let fitting = points.iter().filter(|point| self.surface.interpolate(pose.transform(**point)).0.abs() < FITS).count();
        fitting as f64 / points.len().max(1) as f64
    }

    /// Searches the whole map for the pose a scan fits best, without any idea where the robot is. None if nothing fits, or
    /// if another place at least 0.5 m away fits almost as well. Deterministic, some tens of milliseconds for a flat.
    pub fn search(&self, scan: &Scan, config: &Config) -> Option<Pose2> {
        const TURNS: usize = 60;
        let all = thin(&scan.points(config.laser_x), 180);
        let few = thin(&all, 45);
        if few.len() < 10 {
            return None;
        }
        let mut candidates: Vec<(f64, Pose2)> = Vec::new();
        for turn in 0..TURNS {
            let yaw = turn as f64 * std::f64::consts::TAU / TURNS as f64;
            let heading = DVec2::from_angle(yaw);
            let turned: Vec<DVec2> = few.iter().map(|point| heading.rotate(*point)).collect();
            for place in &self.roomy {
                let score: f64 = turned
                    .iter()
                    .map(|point| {
                        let distance = self.surface.at(*place + *point).map_or(1.0, |d| f64::from(d.abs()));
                        (1.0 - distance / 0.3).max(0.0)
                    })
                    .sum();
                candidates.push((score, Pose2::at(*place, yaw)));
            }
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut refined: Vec<(f64, Pose2)> = candidates
            .iter()
            .take(60)
            .map(|(_, pose)| self.matched(&all, *pose, None, config).0)
            .map(|pose| (self.fit_of(&all, pose), pose))
            .collect();
        refined.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (fit, pose) = *refined.first()?;
        let rival =
            refined.iter().find(|(_, other)| other.distance(&pose) > 0.5 || angle::difference(other.yaw, pose.yaw).abs() > 0.5);
        let clear = rival.is_none_or(|(other, _)| fit > other + 0.08);
        (fit >= (2.0 * config.lost_below).min(0.6) && clear).then_some(pose)
    }

    /// Takes a pose of base_link at a scan's time as true (after [`Localiser::search`]).
    pub fn relocate(&mut self, pose: Pose2, scan: &Scan) {
        self.map_odom = pose * self.odom_at(scan.stamp_ns).inverse();
        self.covariance = DMat3::from_diagonal(DVec3::new(0.01, 0.01, 0.01));
        (self.bad_since_s, self.lost) = (None, false);
    }

    /// Pose of base_link in the map.
    pub fn pose(&self) -> Pose2 {
        match self.history.back() {
            Some((_, odom)) => self.map_odom * *odom,
            None => self.map_odom,
        }
    }

    /// Pose of odom in the map.
    pub fn map_odom(&self) -> Pose2 {
        self.map_odom
    }

    /// Covariance over x (m), y (m) and yaw (rad).
    pub fn covariance(&self) -> [[f64; 3]; 3] {
        self.covariance.to_cols_array_2d()
    }

    /// Standard deviation of the position, m.
    pub fn sigma(&self) -> f64 {
        self.covariance.x_axis.x.max(self.covariance.y_axis.y).max(0.0).sqrt()
    }

    /// Share of the last scan's returns that fit the map, 0..1.
    pub fn fit(&self) -> f64 {
        self.fit
    }

    /// Whether scans have not fitted the map for some time.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether a scan has confirmed the estimate since the start or the last reset.
    pub fn is_confirmed(&self) -> bool {
        self.corrected
    }
}

/// Signed distance (m) to the surface of what is occupied: positive outside, negative inside, zero on the cell border.
fn signed_surface(map: &Grid<i8>) -> Grid<f32> {
    let half = (map.resolution() / 2.0) as f32;
    let outside = distance_field(map, |value| value >= OCCUPIED / 2);
    let inside = distance_field(map, |value| value < OCCUPIED / 2);
    let mut signed = outside.clone();
    for (value, inner) in signed.data_mut().iter_mut().zip(inside.data()) {
        let out = *value;
        *value = if out > 0.0 { (out - half).min(1.0) } else { -(inner - half).min(1.0) };
    }
    signed
}

/// At most `count` of the points, evenly spread.
fn thin(points: &[DVec2], count: usize) -> Vec<DVec2> {
    let step = points.len().div_ceil(count.max(1)).max(1);
    points.iter().step_by(step).copied().collect()
}
