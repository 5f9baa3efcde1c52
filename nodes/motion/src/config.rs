//! Every tunable of motion in one table: name, default, unit, range, meaning.

/// One entry of [`TUNABLES`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tunable {
    /// Parameter name.
    pub name: &'static str,
    /// Default value.
    pub default: f64,
    /// Unit.
    pub unit: &'static str,
    /// Smallest value taken.
    pub min: f64,
    /// Largest value taken.
    pub max: f64,
    /// What it does.
    pub describe: &'static str,
}

macro_rules! tunables {
    ($($name:ident = $default:literal $unit:literal [$min:literal, $max:literal] $describe:literal;)*) => {
        /// The tunables of motion. Units and ranges are in [`TUNABLES`].
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $(#[doc = $describe] pub $name: f64,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// Name, default, unit, range and meaning of every field of [`Config`], in the order of its fields.
        pub const TUNABLES: &[Tunable] = &[
            $(Tunable { name: stringify!($name), default: $default, unit: $unit, min: $min, max: $max, describe: $describe },)*
        ];

        impl Config {
            /// Sets a tunable by its name; false if there is none of that name.
            pub fn set(&mut self, name: &str, value: f64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

tunables! {
    // The base.
    max_speed = 0.28 "m/s" [0.05, 1.0] "fastest forward speed";
    max_turn = 1.2 "rad/s" [0.1, 3.0] "fastest turn rate";
    min_speed = 0.015 "m/s" [0.0, 0.1] "speed below which friction keeps the wheels still";
    min_turn = 0.10 "rad/s" [0.0, 0.5] "turn rate below which friction keeps the wheels still";
    max_acceleration = 0.4 "m/s2" [0.05, 2.0] "linear acceleration and braking";
    max_turn_acceleration = 2.0 "rad/s2" [0.2, 10.0] "angular acceleration and braking";
    creep_speed = 0.08 "m/s" [0.01, 0.2] "speed of short straight moves near furniture";
    base_radius = 0.164 "m" [0.05, 0.6] "radius of the base";
    clearance = 0.025 "m" [0.0, 0.3] "distance always kept between the robot and anything seen";
    laser_x = 0.0 "m" [-1.0, 1.0] "position of the lidar ahead of base_link";
    // The map around.
    inflation_radius = 0.55 "m" [0.1, 2.0] "distance from obstacles beyond which paths do not care";
    inflation_decay = 5.0 "1/m" [0.5, 50.0] "how fast the cost of being near an obstacle falls with distance";
    path_cost_weight = 6.0 "1" [0.0, 50.0] "how much more a metre right beside an obstacle costs than one in the open";
    obstacle_range = 4.0 "m" [0.5, 12.0] "farthest lidar return that is entered as an obstacle";
    contact_memory = 15.0 "s" [0.0, 600.0] "how long a place the bumper touched counts as an obstacle";
    // Following a path.
    replan_period = 1.0 "s" [0.2, 10.0] "time between global plans on the way";
    lookahead = 0.35 "m" [0.1, 1.5] "distance of the carrot on the path, without the part that grows with speed";
    rollout = 1.2 "s" [0.3, 4.0] "how far ahead velocity samples are simulated";
    slow_clearance = 0.25 "m" [0.01, 1.0] "below this clearance the robot slows down";
    patience = 6.0 "s" [1.0, 60.0] "time without progress before a recovery";
    max_recoveries = 4.0 "1" [0.0, 20.0] "recoveries (clear the costmap, look around, back up) before a move fails";
    goal_reach = 0.30 "m" [0.0, 1.0] "how far a blocked goal may be moved";
    // Arriving.
    position_tolerance = 0.02 "m" [0.002, 0.3] "distance from the goal at which a move has arrived";
    yaw_tolerance = 0.03 "rad" [0.003, 0.5] "heading error at which a move has arrived";
    // Localisation.
    initial_sigma = 0.15 "m" [0.001, 5.0] "uncertainty of the initial position";
    initial_yaw_sigma = 0.10 "rad" [0.001, 3.2] "uncertainty of the initial heading";
    odom_slip = 0.08 "m/m" [0.001, 1.0] "growth of the position's uncertainty with distance";
    odom_turn_slip = 0.08 "rad/rad" [0.001, 1.0] "growth of the heading's uncertainty with turning";
    scan_sigma = 0.05 "m" [0.005, 0.5] "error of a beam against the map, raster included";
    scan_robust = 0.15 "m" [0.02, 1.0] "residual at which a beam counts for a quarter: moved things";
    lost_below = 0.35 "1" [0.0, 1.0] "share of beams that fit the map below which the robot counts itself lost";
    confirm_above = 0.70 "1" [0.0, 1.0] "share of beams that must fit before a first pose is believed";
    lost_after = 2.0 "s" [0.0, 30.0] "how long the share must stay below";
    // The arm.
    lift_max = 0.60 "m" [0.0, 2.0] "upper end of lift_joint";
    extend_max = 0.30 "m" [0.0, 2.0] "upper end of extend_joint";
    opening_max = 0.14 "m" [0.0, 0.5] "widest opening of the gripper";
    gripper_z = 0.20 "m" [0.0, 2.0] "height of the gripper above the floor at lift 0";
    gripper_x = 0.22 "m" [0.0, 1.0] "gripper ahead of base_link at extension 0";
    gripper_radius = 0.05 "m" [0.0, 0.3] "radius of a circle around the closed gripper, for collision checks";
    held_radius = 0.06 "m" [0.0, 0.3] "the same while it holds something";
    carry_lift = 0.08 "m" [0.0, 0.6] "lift while driving: below the camera's view, above the lidar's";
    lift_speed = 0.10 "m/s" [0.01, 0.5] "speed of lift commands";
    extend_speed = 0.08 "m/s" [0.01, 0.5] "speed of extension commands";
    arm_tolerance = 0.008 "m" [0.001, 0.05] "error at which an arm joint has arrived";
    arm_timeout = 12.0 "s" [1.0, 60.0] "longest time for one arm motion";
    // Grasping and putting down.
    grip_force = 10.0 "N" [0.5, 40.0] "closing force";
    grip_time = 3.0 "s" [0.2, 20.0] "longest time for closing";
    empty_opening = 0.010 "m" [0.0, 0.1] "opening at or below which the gripper holds nothing";
    grasp_height = 0.060 "m" [0.02, 0.3] "height of the fingers above the surface when the object's height is not known";
    grasp_height_min = 0.045 "m" [0.0, 0.3] "lowest height of the fingers above a known surface";
    grasp_height_max = 0.070 "m" [0.02, 0.5] "highest height of the fingers above a known surface";
    lift_off = 0.08 "m" [0.01, 0.3] "how far a grasped object is lifted before it is judged held";
    reach = 0.40 "m" [0.25, 0.5] "distance from base_link to the object when the arm goes out";
    stand_distance = 0.67 "m" [0.3, 1.5] "distance from base_link to the object at the stand without a known surface";
    edge_inset = 0.07 "m" [0.0, 0.5] "distance of a surface's place from its free edge";
    put_clearance = 0.02 "m" [0.0, 0.1] "height above the surface from which an object is lowered";
    put_spacing = 0.19 "m" [0.05, 0.5] "distance kept to other objects when putting down";
    belief_radius = 0.35 "m" [0.05, 2.0] "how far from the expected place a believed object may be to be the target";
    look_time = 1.5 "s" [0.0, 10.0] "pause at the stand for perception to see the object";
    grasp_tries = 3.0 "1" [1.0, 10.0] "attempts before a grasp fails";
    // Looking around, docking.
    observe_step = 0.7 "rad" [0.1, 3.2] "turn between two looks";
    observe_pause = 0.6 "s" [0.1, 10.0] "pause at each look";
    dock_distance = 0.60 "m" [0.3, 2.0] "distance of the approach point in front of the dock";
    dock_speed = 0.05 "m/s" [0.01, 0.2] "speed of the last creep";
    dock_overshoot = 0.06 "m" [0.0, 0.3] "how far beyond the dock pose the robot creeps before it calls a miss";
    dock_wait = 3.0 "s" [0.2, 30.0] "time at the dock for charging to start";
    dock_tries = 3.0 "1" [1.0, 10.0] "attempts before docking fails";
    // Energy, where the battery does not tell.
    idle_power = 12.5 "W" [0.0, 200.0] "draw at rest, used while the battery's current is unknown";
    drive_power = 20.0 "W/(m/s)" [0.0, 500.0] "extra draw by speed, used while the battery's current is unknown";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_lies_in_its_range_and_can_be_set() {
        let mut config = Config::default();
        for tunable in TUNABLES {
            assert!(tunable.min <= tunable.default && tunable.default <= tunable.max, "{}", tunable.name);
            assert!(config.set(tunable.name, tunable.default), "{}", tunable.name);
        }
        assert_eq!(config, Config::default());
        assert!(!config.set("no_such_thing", 1.0));
    }
}
