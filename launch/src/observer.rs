//! What the command line knows about a running graph: a node that listens in and keeps the newest of everything that the
//! terminal view and the summary show.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use graph::{AnyMessage, Context, HandlerResult, Level, LogRecord, LogSink, Node, Qos, Setup, SetupError, Time};
use msgs::MessageType;
use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use msgs::geometry_msgs::msg::Pose;
use msgs::nav_msgs::msg::{OccupancyGrid, Path};
use msgs::omnimind_msgs::msg::{
    Belief, Goal, GoalStatus, GraphStatistics, MissionState, NodeStatistics, Plan, SimState, Transcript,
};
use msgs::sensor_msgs::msg::BatteryState;
use msgs::vision_msgs::msg::Detection2DArray;

/// The newest state of a graph.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Graph time, s.
    pub time_s: f64,
    /// The newest plan.
    pub plan: Option<Arc<Plan>>,
    /// The newest word about a goal.
    pub goal: Option<Arc<GoalStatus>>,
    /// The words of the first goal that came from speech or text.
    pub request: Option<String>,
    /// The simulator's truth, if there is a simulator.
    pub sim: Option<Arc<SimState>>,
    /// The judge, if there is a scenario.
    pub mission: Option<Arc<MissionState>>,
    /// Everything that was heard, in order.
    pub transcripts: Vec<Arc<Transcript>>,
    /// Detections by label.
    pub detections: BTreeMap<String, u64>,
    /// The newest battery state.
    pub battery: Option<Arc<BatteryState>>,
    /// Energy drawn from the battery, integrated from voltage and current, Wh.
    pub drawn_wh: f64,
    /// Where the robot believes to be, in the map.
    pub pose: Option<Pose>,
    /// The map.
    pub map: Option<Arc<OccupancyGrid>>,
    /// The path that is being followed.
    pub path: Option<Arc<Path>>,
    /// The room it believes to be in.
    pub room: String,
    /// What this process counts about itself.
    pub statistics: Option<Arc<GraphStatistics>>,
    /// Full names of the nodes in child processes.
    pub children: BTreeSet<String>,
    /// The newest counts of those of them that were heard of, by name.
    pub nodes: BTreeMap<String, NodeStatistics>,
    /// What is not well, by name.
    pub troubles: BTreeMap<String, String>,
    /// The last log lines.
    pub log: VecDeque<LogRecord>,
    /// True when the graph has ended.
    pub ended: bool,
    /// The graph is to end after so much of its time, s.
    pub limit_s: Option<f64>,
    pub(crate) battery_at_s: Option<f64>,
    pub(crate) first_s: Option<f64>,
}

const LOG_LINES: usize = 200;

/// A snapshot that the graph writes and a view reads.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Snapshot>>);

impl Board {
    /// The snapshot, locked. A view that panicked must not end the robot, so a poisoned lock is taken over.
    pub fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log sink that keeps the last lines here and hands each on.
    #[must_use]
    pub fn log_sink(&self, next: LogSink) -> LogSink {
        let board = self.clone();
        Arc::new(move |record| {
            {
                let mut snapshot = board.lock();
                if snapshot.log.len() == LOG_LINES {
                    snapshot.log.pop_front();
                }
                snapshot.log.push_back(record.clone());
            }
            next(record);
        })
    }
}

// A node is made by its type, so what it shares with its maker is handed over here, by number.
static BOARDS: Mutex<BTreeMap<i64, Board>> = Mutex::new(BTreeMap::new());

/// Puts a board where an [`Observer`] with the parameter `board` of the returned number finds it.
#[must_use]
pub fn register(board: &Board) -> i64 {
    let mut boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
    let id = boards.last_key_value().map_or(1, |(id, _)| id + 1);
    boards.insert(id, board.clone());
    id
}

/// Forgets a board.
pub fn unregister(id: i64) {
    BOARDS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
}

/// Listens to what the view and the summary need: what the nodes of this process say and hear, and how those of its child processes are.
/// Other processes on the network, other robots for instance, are none of its business.
pub struct Observer {
    board: Board,
    begun: Option<Time>,
}

/// How often the time limit is looked at.
const LOOK: Duration = Duration::from_millis(10);

const TOPICS: [&str; 13] = [
    "map",
    "motion/path",
    "planner/plan",
    "planner/goal_status",
    "sim/state",
    "sim/mission",
    "speech/transcript",
    "vision/detections",
    "battery_state",
    "amcl_pose",
    "fusion/belief",
    "graph/statistics",
    "diagnostics",
];

impl Node for Observer {
    const NAME: &'static str = "observer";
    const WATCHER: bool = true;

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let id = s.param("board", 0_i64).describe("where it keeps what it hears").read_only().declare()?;
        let board = BOARDS.lock().unwrap_or_else(PoisonError::into_inner).get(&id.get()).cloned();
        let board = board.ok_or_else(|| s.failed("it belongs to the command line and cannot be started by a launch file"))?;
        s.tap_local(wanted, Self::on_message)?;
        if !board.lock().children.is_empty() {
            s.subscribe("graph/statistics", Qos::reliable(10), |node: &mut Self, _, statistics: Arc<GraphStatistics>| {
                node.board.lock().take_counts_of_children(&statistics);
                Ok(())
            })?;
            s.subscribe("/diagnostics", Qos::reliable(10), |node: &mut Self, _, array: Arc<DiagnosticArray>| {
                node.board.lock().take_troubles_of_children(&array);
                Ok(())
            })?;
        }
        s.timer(LOOK, Self::watch_limit)?;
        Ok(Self { board, begun: None })
    }
}

fn wanted(topic: &str, _: &MessageType) -> bool {
    TOPICS.iter().any(|t| topic.strip_suffix(t).is_some_and(|front| front.ends_with('/')))
}

impl Observer {
    fn watch_limit(&mut self, ctx: &mut Context) -> HandlerResult {
        let begun = *self.begun.get_or_insert(ctx.now() - LOOK);
        let limit_s = self.board.lock().limit_s;
        if let Some(limit_s) = limit_s
            && ctx.now().seconds_since(begun) >= limit_s
        {
            ctx.shutdown(format!("the time limit of {limit_s} s is over"));
        }
        Ok(())
    }

    fn on_message(&mut self, ctx: &mut Context, message: &AnyMessage) -> HandlerResult {
        let mut snapshot = self.board.lock();
        snapshot.time_s = ctx.now().as_secs_f64();
        let first = snapshot.time_s;
        snapshot.first_s.get_or_insert(first);
        snapshot.take(message);
        Ok(())
    }
}

impl Snapshot {
    /// Graph time since the first message, s.
    #[must_use]
    pub fn elapsed_s(&self) -> f64 {
        self.time_s - self.first_s.unwrap_or(self.time_s)
    }

    fn take(&mut self, message: &AnyMessage) {
        if let Some(plan) = message.downcast::<Plan>() {
            self.plan = Some(plan);
        } else if let Some(goal) = message.downcast::<GoalStatus>() {
            if goal.goal.kind == Goal::FETCH && self.request.is_none() {
                self.request = Some(goal.goal.description.clone());
            }
            self.goal = Some(goal);
        } else if let Some(sim) = message.downcast::<SimState>() {
            self.sim = Some(sim);
        } else if let Some(mission) = message.downcast::<MissionState>() {
            self.mission = Some(mission);
        } else if let Some(transcript) = message.downcast::<Transcript>() {
            self.transcripts.push(transcript);
        } else if let Some(array) = message.downcast::<Detection2DArray>() {
            for result in array.detections.iter().filter_map(|d| d.results.first()) {
                *self.detections.entry(result.hypothesis.class_id.clone()).or_default() += 1;
            }
        } else if let Some(battery) = message.downcast::<BatteryState>() {
            let now = message.stamp.as_secs_f64();
            if let Some(before) = self.battery_at_s {
                let power_w = -f64::from(battery.voltage) * f64::from(battery.current);
                // Charging is not use.
                self.drawn_wh += power_w.max(0.0) * (now - before).clamp(0.0, 10.0) / 3600.0;
            }
            self.battery_at_s = Some(now);
            self.battery = Some(battery);
        } else if let Some(belief) = message.downcast::<Belief>() {
            self.room.clone_from(&belief.robot_room);
            self.pose = Some(belief.robot_pose.pose.clone());
        } else if let Some(pose) = message.downcast::<msgs::geometry_msgs::msg::PoseWithCovarianceStamped>() {
            self.pose = Some(pose.pose.pose.clone());
        } else if let Some(map) = message.downcast::<OccupancyGrid>() {
            self.map = Some(map);
        } else if let Some(path) = message.downcast::<Path>() {
            self.path = Some(path);
        } else if message.publisher.is_empty() {
            // How another process is; of child processes the subscriptions tell.
        } else if let Some(statistics) = message.downcast::<GraphStatistics>() {
            self.statistics = Some(statistics);
        } else if let Some(array) = message.downcast::<DiagnosticArray>() {
            array.status.iter().for_each(|status| self.take_status(status));
        }
    }

    fn take_status(&mut self, status: &DiagnosticStatus) {
        if status.level == Level::Ok.diagnostic() {
            self.troubles.remove(&status.name);
        } else {
            self.troubles.insert(status.name.clone(), status.message.clone());
        }
    }

    fn take_counts_of_children(&mut self, statistics: &GraphStatistics) {
        for node in statistics.nodes.iter().filter(|node| self.children.contains(&node.name)) {
            self.nodes.insert(node.name.clone(), node.clone());
        }
    }

    fn take_troubles_of_children(&mut self, array: &DiagnosticArray) {
        for status in &array.status {
            // `node: what`, the node without its first slash.
            let node = status.name.split_once(": ").map(|(node, _)| format!("/{node}"));
            if node.is_some_and(|node| self.children.contains(&node)) {
                self.take_status(status);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;

    /// An observer on a bench, which is told of three processes: its own, a child with `/lidar` and another robot's.
    fn observe(children: &[&str]) -> (Board, Bench) {
        let board = Board::default();
        board.lock().children = children.iter().map(|name| (*name).to_owned()).collect();
        let id = register(&board);
        let mut bench = Bench::new();
        bench.add::<Observer>(&[("board", id.into())]).unwrap();
        unregister(id);
        bench.run_for(Duration::from_millis(1500));
        let node = |name: &str| NodeStatistics { name: name.into(), handled: 7, ..NodeStatistics::default() };
        let nodes = vec![node("/lidar"), node("/other/lidar")];
        bench.publish("graph/statistics", GraphStatistics { pid: 1, nodes, ..GraphStatistics::default() });
        let status = |name: &str| DiagnosticStatus {
            name: name.into(),
            level: DiagnosticStatus::WARN,
            message: "dirty".into(),
            ..DiagnosticStatus::default()
        };
        let status = vec![status("lidar: window"), status("other/lidar: window"), status("graph: topic /x")];
        bench.publish("/diagnostics", DiagnosticArray { status, ..DiagnosticArray::default() });
        bench.run_for(Duration::from_millis(20));
        (board, bench)
    }

    fn listens(bench: &Bench) -> bool {
        bench.statistics().edges.iter().any(|edge| edge.subscriber == "/observer")
    }

    #[test]
    fn of_other_processes_only_the_children_are_followed() {
        let (board, bench) = observe(&["/lidar"]);
        assert!(listens(&bench));
        let snapshot = board.lock();
        assert_eq!(snapshot.nodes.keys().collect::<Vec<_>>(), ["/lidar"]);
        assert_eq!(snapshot.troubles.keys().collect::<Vec<_>>(), ["lidar: window"]);
        // The panel of nodes does not alternate between processes.
        assert_eq!(snapshot.statistics.as_ref().unwrap().pid, std::process::id());
    }

    #[test]
    fn without_child_processes_nothing_of_others_is_listened_to() {
        let (board, bench) = observe(&[]);
        let snapshot = board.lock();
        assert!(snapshot.nodes.is_empty() && snapshot.troubles.is_empty());
        assert!(!listens(&bench));
        assert_eq!(snapshot.statistics.as_ref().unwrap().pid, std::process::id());
    }
}
