//! The ladder NOMINAL -> DEGRADED -> COMFORT_STOP -> SAFE_STOP -> E_STOP.
//!
//! The level rises at once to the worst hazard. It falls only after the hazards of that level have been gone for a while,
//! and from SAFE_STOP and E_STOP only by an explicit reset.

/// Levels, in order of severity; the numbers are those of omnimind_msgs/SafetyState.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Everything in order.
    #[default]
    Nominal = 0,
    /// Slower.
    Degraded = 1,
    /// Brought to a smooth stop; goes on by itself when the cause is gone.
    ComfortStop = 2,
    /// Braked hard; latched.
    SafeStop = 3,
    /// Emergency stop; latched.
    EStop = 4,
}

/// A reason to be at least at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// At least this level.
    pub level: Level,
    /// A sentence.
    pub reason: String,
}

/// Why a reset was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// The cause is still there.
    #[error("cannot reset while the cause persists: {reason}")]
    CausePersists {
        /// What persists.
        reason: String,
    },
}

/// The ladder.
#[derive(Clone, Debug)]
pub struct Ladder {
    clear_s: f64,
    level: Level,
    reason: String,
    hazards: Vec<Hazard>,
    calm_since_s: Option<f64>,
}

impl Ladder {
    /// A ladder at NOMINAL that needs `clear_s` without a hazard of its level before it goes down.
    #[must_use]
    pub fn new(clear_s: f64) -> Self {
        Self { clear_s, level: Level::Nominal, reason: "nominal".into(), hazards: Vec::new(), calm_since_s: None }
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Takes the hazards of this moment. Returns whether level or reason changed.
    pub fn update(&mut self, hazards: Vec<Hazard>, time_s: f64) -> bool {
        let before = (self.level, self.reason.clone());
        // First of the worst: the order of hazards is the order of checks, so the reason is stable.
        let worst = hazards.iter().fold(None::<&Hazard>, |w, h| match w {
            Some(w) if w.level >= h.level => Some(w),
            _ => Some(h),
        });
        let worst_level = worst.map_or(Level::Nominal, |h| h.level);
        if worst_level >= self.level {
            self.level = worst_level;
            self.reason = worst.map_or_else(|| "nominal".into(), |h| h.reason.clone());
            self.calm_since_s = None;
        } else if self.level < Level::SafeStop {
            let since = *self.calm_since_s.get_or_insert(time_s);
            if time_s - since >= self.clear_s {
                self.level = worst_level;
                self.reason = worst.map_or_else(|| "nominal".into(), |h| h.reason.clone());
                self.calm_since_s = None;
            }
        }
        self.hazards = hazards;
        before != (self.level, self.reason.clone())
    }

    /// Leaves a latched level, if no hazard of a latching level persists.
    ///
    /// # Errors
    /// [`ResetError::CausePersists`].
    pub fn reset(&mut self) -> Result<Level, ResetError> {
        if let Some(hazard) = self.hazards.iter().find(|h| h.level >= Level::SafeStop) {
            return Err(ResetError::CausePersists { reason: hazard.reason.clone() });
        }
        if self.level >= Level::SafeStop {
            let next = self.hazards.iter().max_by_key(|h| h.level);
            self.level = next.map_or(Level::Nominal, |h| h.level);
            self.reason = next.map_or_else(|| "reset".into(), |h| h.reason.clone());
            self.calm_since_s = None;
        }
        Ok(self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hazard(level: Level) -> Vec<Hazard> {
        vec![Hazard { level, reason: format!("{level:?}") }]
    }

    fn any_level() -> impl Strategy<Value = Level> {
        prop_oneof![
            Just(Level::Nominal),
            Just(Level::Degraded),
            Just(Level::ComfortStop),
            Just(Level::SafeStop),
            Just(Level::EStop)
        ]
    }

    proptest! {
        #[test]
        fn the_level_is_never_below_a_present_hazard_and_latched_levels_never_fall(
            levels in proptest::collection::vec(any_level(), 1..80)
        ) {
            let mut ladder = Ladder::new(0.3);
            for (i, level) in levels.into_iter().enumerate() {
                let before = ladder.level();
                ladder.update(hazard(level), i as f64 * 0.1);
                prop_assert!(ladder.level() >= level);
                if before >= Level::SafeStop { prop_assert!(ladder.level() >= before); }
            }
        }
    }

    #[test]
    fn a_comfort_stop_clears_after_a_calm_time_only() {
        let mut ladder = Ladder::new(0.5);
        ladder.update(hazard(Level::ComfortStop), 0.0);
        ladder.update(vec![], 0.1);
        assert_eq!(ladder.level(), Level::ComfortStop);
        ladder.update(hazard(Level::ComfortStop), 0.4);
        ladder.update(vec![], 0.7);
        ladder.update(vec![], 1.1);
        assert_eq!(ladder.level(), Level::ComfortStop);
        ladder.update(vec![], 1.2);
        assert_eq!(ladder.level(), Level::Nominal);
    }

    #[test]
    fn an_emergency_stop_needs_a_reset_and_the_cause_gone() {
        let mut ladder = Ladder::new(0.0);
        ladder.update(hazard(Level::EStop), 0.0);
        assert!(ladder.reset().is_err());
        ladder.update(vec![], 100.0);
        assert_eq!(ladder.level(), Level::EStop);
        assert_eq!(ladder.reset(), Ok(Level::Nominal));
        assert_eq!(ladder.level(), Level::Nominal);
    }
}
