//! The states and transitions of managed nodes, as rcl_lifecycle registers them (`default_state_machine.c`; ROS 2 design, "Managed nodes").

use msgs::lifecycle_msgs::msg::{State as StateMsg, Transition as TransitionMsg, TransitionDescription};

/// Where a managed node stands; the codes are those of lifecycle_msgs/State.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LifeState {
    /// No state at all.
    Unknown = StateMsg::PRIMARY_STATE_UNKNOWN,
    /// Set up, and nothing more.
    Unconfigured = StateMsg::PRIMARY_STATE_UNCONFIGURED,
    /// Configured; it does not act.
    Inactive = StateMsg::PRIMARY_STATE_INACTIVE,
    /// At work.
    Active = StateMsg::PRIMARY_STATE_ACTIVE,
    /// Over.
    Finalized = StateMsg::PRIMARY_STATE_FINALIZED,
    /// `on_configure` runs.
    Configuring = StateMsg::TRANSITION_STATE_CONFIGURING,
    /// `on_cleanup` runs.
    CleaningUp = StateMsg::TRANSITION_STATE_CLEANINGUP,
    /// `on_shutdown` runs.
    ShuttingDown = StateMsg::TRANSITION_STATE_SHUTTINGDOWN,
    /// `on_activate` runs.
    Activating = StateMsg::TRANSITION_STATE_ACTIVATING,
    /// `on_deactivate` runs.
    Deactivating = StateMsg::TRANSITION_STATE_DEACTIVATING,
    /// `on_error` runs.
    ErrorProcessing = StateMsg::TRANSITION_STATE_ERRORPROCESSING,
}

use LifeState::{
    Activating, Active, CleaningUp, Configuring, Deactivating, ErrorProcessing, Finalized, Inactive, ShuttingDown, Unconfigured,
    Unknown,
};

impl LifeState {
    /// In rcl's order.
    pub(crate) const ALL: [Self; 11] = [
        Unknown,
        Unconfigured,
        Inactive,
        Active,
        Finalized,
        Configuring,
        CleaningUp,
        ShuttingDown,
        Activating,
        Deactivating,
        ErrorProcessing,
    ];

    /// As lifecycle_msgs/State numbers it.
    pub fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|state| state.code() == code).unwrap_or(Unknown)
    }

    /// As ROS 2 calls it.
    pub fn label(self) -> &'static str {
        match self {
            Unknown => "unknown",
            Unconfigured => "unconfigured",
            Inactive => "inactive",
            Active => "active",
            Finalized => "finalized",
            Configuring => "configuring",
            CleaningUp => "cleaningup",
            ShuttingDown => "shuttingdown",
            Activating => "activating",
            Deactivating => "deactivating",
            ErrorProcessing => "errorprocessing",
        }
    }

    pub(crate) fn to_msg(self) -> StateMsg {
        StateMsg { id: self.code(), label: self.label().to_owned() }
    }
}

/// A way from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub id: u8,
    pub label: &'static str,
    pub start: LifeState,
    pub goal: LifeState,
}

impl Transition {
    pub fn to_msg(self) -> TransitionMsg {
        TransitionMsg { id: self.id, label: self.label.to_owned() }
    }

    pub fn describe(self) -> TransitionDescription {
        TransitionDescription { transition: self.to_msg(), start_state: self.start.to_msg(), goal_state: self.goal.to_msg() }
    }
}

/// How a transition's handler ended, by the label of the transition that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
    Error,
}

impl Ending {
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => SUCCESS,
            Self::Failure => FAILURE,
            Self::Error => ERROR,
        }
    }
}

const SUCCESS: &str = "transition_success";
const FAILURE: &str = "transition_failure";
const ERROR: &str = "transition_error";

const fn way(id: u8, label: &'static str, start: LifeState, goal: LifeState) -> Transition {
    Transition { id, label, start, goal }
}

/// In rcl's order.
pub(crate) const TRANSITIONS: [Transition; 25] = [
    way(TransitionMsg::TRANSITION_CONFIGURE, "configure", Unconfigured, Configuring),
    way(TransitionMsg::TRANSITION_ON_CONFIGURE_SUCCESS, SUCCESS, Configuring, Inactive),
    way(TransitionMsg::TRANSITION_ON_CONFIGURE_FAILURE, FAILURE, Configuring, Unconfigured),
    way(TransitionMsg::TRANSITION_ON_CONFIGURE_ERROR, ERROR, Configuring, ErrorProcessing),
    way(TransitionMsg::TRANSITION_CLEANUP, "cleanup", Inactive, CleaningUp),
    way(TransitionMsg::TRANSITION_ON_CLEANUP_SUCCESS, SUCCESS, CleaningUp, Unconfigured),
    way(TransitionMsg::TRANSITION_ON_CLEANUP_FAILURE, FAILURE, CleaningUp, Inactive),
    way(TransitionMsg::TRANSITION_ON_CLEANUP_ERROR, ERROR, CleaningUp, ErrorProcessing),
    way(TransitionMsg::TRANSITION_ACTIVATE, "activate", Inactive, Activating),
    way(TransitionMsg::TRANSITION_ON_ACTIVATE_SUCCESS, SUCCESS, Activating, Active),
    way(TransitionMsg::TRANSITION_ON_ACTIVATE_FAILURE, FAILURE, Activating, Inactive),
    way(TransitionMsg::TRANSITION_ON_ACTIVATE_ERROR, ERROR, Activating, ErrorProcessing),
    way(TransitionMsg::TRANSITION_DEACTIVATE, "deactivate", Active, Deactivating),
    way(TransitionMsg::TRANSITION_ON_DEACTIVATE_SUCCESS, SUCCESS, Deactivating, Inactive),
    way(TransitionMsg::TRANSITION_ON_DEACTIVATE_FAILURE, FAILURE, Deactivating, Active),
    way(TransitionMsg::TRANSITION_ON_DEACTIVATE_ERROR, ERROR, Deactivating, ErrorProcessing),
    way(TransitionMsg::TRANSITION_UNCONFIGURED_SHUTDOWN, "shutdown", Unconfigured, ShuttingDown),
    way(TransitionMsg::TRANSITION_INACTIVE_SHUTDOWN, "shutdown", Inactive, ShuttingDown),
    way(TransitionMsg::TRANSITION_ACTIVE_SHUTDOWN, "shutdown", Active, ShuttingDown),
    way(TransitionMsg::TRANSITION_ON_SHUTDOWN_SUCCESS, SUCCESS, ShuttingDown, Finalized),
    way(TransitionMsg::TRANSITION_ON_SHUTDOWN_FAILURE, FAILURE, ShuttingDown, Finalized),
    way(TransitionMsg::TRANSITION_ON_SHUTDOWN_ERROR, ERROR, ShuttingDown, ErrorProcessing),
    way(TransitionMsg::TRANSITION_ON_ERROR_SUCCESS, SUCCESS, ErrorProcessing, Unconfigured),
    way(TransitionMsg::TRANSITION_ON_ERROR_FAILURE, FAILURE, ErrorProcessing, Finalized),
    way(TransitionMsg::TRANSITION_ON_ERROR_ERROR, ERROR, ErrorProcessing, Finalized),
];

/// The ways out of a state.
pub(crate) fn ways(from: LifeState) -> impl Iterator<Item = Transition> {
    TRANSITIONS.into_iter().filter(move |transition| transition.start == from)
}

/// The way out of `from` that is meant: by its label if there is one, else by its id (rclcpp_lifecycle: `on_change_state`).
///
/// # Errors
/// A sentence that names the ways that there are.
pub(crate) fn find(from: LifeState, id: u8, label: &str) -> Result<Transition, String> {
    let meant = |transition: &Transition| if label.is_empty() { transition.id == id } else { transition.label == label };
    ways(from).find(meant).ok_or_else(|| {
        let wanted = if label.is_empty() { format!("transition {id}") } else { format!("`{label}`") };
        let there: Vec<String> = ways(from).map(|t| format!("{} ({})", t.label, t.id)).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!("{wanted} is not possible from {}; possible: {there}", from.label())
    })
}
