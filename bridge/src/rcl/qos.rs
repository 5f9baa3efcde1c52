//! Quality of service to and from rmw's form (rmw: types.h, qos_profiles.h).

use graph::{Durability, History, Qos, Reliability};
use r2r_rcl::*;

/// As rmw wants it. Deadline, lifespan and liveliness are those of rmw's default: none.
pub(super) fn to_rmw(qos: &Qos) -> rmw_qos_profile_t {
    let none = rmw_time_s { sec: 0, nsec: 0 };
    let (history, depth) = match qos.history {
        History::KeepLast(_) => (rmw_qos_history_policy_e::RMW_QOS_POLICY_HISTORY_KEEP_LAST, qos.depth()),
        History::KeepAll => (rmw_qos_history_policy_e::RMW_QOS_POLICY_HISTORY_KEEP_ALL, 0),
    };
    rmw_qos_profile_t {
        history,
        depth,
        reliability: match qos.reliability {
            Reliability::Reliable => rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_RELIABLE,
            Reliability::BestEffort => rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT,
        },
        durability: match qos.durability {
            Durability::TransientLocal => rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL,
            Durability::Volatile => rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_VOLATILE,
        },
        deadline: none,
        lifespan: none,
        liveliness: rmw_qos_liveliness_policy_e::RMW_QOS_POLICY_LIVELINESS_SYSTEM_DEFAULT,
        liveliness_lease_duration: none,
        avoid_ros_namespace_conventions: false,
    }
}

/// From rmw. Discovery does not tell DDS history: a depth of 0 stands for "not known" and becomes 10.
pub(super) fn from_rmw(profile: &rmw_qos_profile_t) -> Qos {
    let mut qos = Qos::reliable(if profile.depth == 0 { 10 } else { profile.depth });
    if profile.reliability == rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT {
        qos.reliability = Reliability::BestEffort;
    }
    if profile.durability == rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL {
        qos.durability = Durability::TransientLocal;
    }
    if profile.history == rmw_qos_history_policy_e::RMW_QOS_POLICY_HISTORY_KEEP_ALL {
        qos.history = History::KeepAll;
    }
    qos
}

/// Of services: `rmw_qos_profile_services_default`.
pub(super) fn services() -> rmw_qos_profile_t {
    to_rmw(&Qos::reliable(10))
}
