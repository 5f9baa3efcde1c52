//! What a run came to: the JSON object of `--json` and the table that a person reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use graph::RunReport;
use msgs::omnimind_msgs::msg::{MissionState, NodeStatistics};
use omnimind_audio::wer::{word_errors, words};
use serde::Serialize;

use crate::observer::Snapshot;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The mission, as the judge saw it.
    pub mission: Mission,
    /// Energy taken from the battery.
    pub energy: Energy,
    /// What was said and heard.
    pub transcript: TranscriptSummary,
    /// Detections by class, over all frames.
    pub detections: BTreeMap<String, u64>,
    /// Contacts of the robot with furniture or walls; null without a simulator.
    pub collisions: Option<u32>,
    /// The fastest of them along the contact normal, m/s; null without a simulator.
    pub worst_collision_speed: Option<f64>,
    /// Distance driven, m; null without a simulator.
    pub distance_m: Option<f64>,
    /// Every node of the graph.
    pub nodes: Vec<NodeSummary>,
    /// Simulated seconds per second of wall time.
    pub real_time_factor: f64,
    /// Why the graph ended.
    pub ended: String,
    /// Where to look at it again.
    pub recording: Recording,
}

/// The mission's outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Mission {
    /// `achieved` or `failed`; `none` when the graph has no judge.
    pub result: &'static str,
    /// Why.
    pub reason: String,
    /// What was asked, in words.
    pub asked: String,
    /// The object stands where it was asked to.
    pub delivered: bool,
    /// The robot is docked.
    pub docked: bool,
    /// Graph time, s.
    pub duration_s: f64,
}

/// Energy, Wh.
#[derive(Clone, Debug, Serialize)]
pub struct Energy {
    /// In all.
    pub used_wh: f64,
    /// By consumer; empty without a simulator.
    pub by_consumer: BTreeMap<String, f64>,
}

/// Speech.
#[derive(Clone, Debug, Serialize)]
pub struct TranscriptSummary {
    /// What was spoken, as far as a scenario knows it.
    pub spoken: String,
    /// The transcript that was acted on, or the first.
    pub text: String,
    /// Word error rate of `text` against `spoken`; null if one of them is missing.
    pub wer: Option<f64>,
}

/// One node.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodeSummary {
    /// Full name.
    pub name: String,
    /// running, stopped, failed, ...
    pub state: String,
    /// Median time in a handler, ms.
    pub p50_ms: f64,
    /// 99th percentile, ms.
    pub p99_ms: f64,
    /// Messages dropped from its queues.
    pub dropped: u64,
    /// Handlers run.
    pub handled: u64,
    /// How often it was started again.
    pub restarts: u32,
}

impl NodeSummary {
    fn new(node: &NodeStatistics) -> Self {
        Self {
            name: node.name.clone(),
            state: node.state.clone(),
            p50_ms: round(f64::from(node.p50_ms), 3),
            p99_ms: round(f64::from(node.p99_ms), 3),
            dropped: node.dropped,
            handled: node.handled,
            restarts: node.restarts,
        }
    }
}

/// Files of the run; null for those that were not written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Recording {
    /// MCAP.
    pub mcap: Option<PathBuf>,
    /// Rerun.
    pub rrd: Option<PathBuf>,
}

impl Summary {
    /// Puts together what the observer saw and the graph counted.
    #[must_use]
    pub fn new(snapshot: &Snapshot, report: &RunReport, recording: Recording) -> Self {
        let by_consumer: BTreeMap<String, f64> = snapshot.sim.as_ref().map_or_else(BTreeMap::new, |sim| {
            sim.consumers.iter().cloned().zip(sim.consumed_wh.iter().map(|wh| round(f64::from(*wh), 4))).collect()
        });
        let used_wh = if by_consumer.is_empty() { snapshot.drawn_wh } else { by_consumer.values().sum() };
        let seconds = report.graph_seconds;
        Self {
            mission: mission(snapshot, &report.reason, seconds),
            energy: Energy { used_wh: round(used_wh, 4), by_consumer },
            transcript: transcript(snapshot),
            detections: snapshot.detections.clone(),
            collisions: snapshot.sim.as_ref().map(|sim| sim.collisions),
            worst_collision_speed: snapshot.sim.as_ref().map(|sim| round(f64::from(sim.worst_collision_speed), 3)),
            distance_m: snapshot.sim.as_ref().map(|sim| round(f64::from(sim.distance), 2)),
            nodes: report.statistics.nodes.iter().map(NodeSummary::new).collect(),
            real_time_factor: round(seconds / report.wall_seconds.max(1e-9), 2),
            ended: report.reason.clone(),
            recording,
        }
    }

    /// Adds the nodes of child processes as far as they have told of themselves; of those that have not, the name.
    pub fn add_children(&mut self, snapshot: &Snapshot) {
        for name in &snapshot.children {
            let told = snapshot.nodes.get(name).map(NodeSummary::new);
            let unknown = || NodeSummary { name: name.clone(), state: "never heard of".into(), ..NodeSummary::default() };
            self.nodes.push(told.unwrap_or_else(unknown));
        }
    }

    /// Whether the mission was achieved.
    #[must_use]
    pub fn achieved(&self) -> bool {
        self.mission.result == "achieved"
    }

    /// The object of `--json`, in one line.
    ///
    /// # Errors
    /// None that this type can cause; serde_json's signature.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self) -> String {
        // Writing to a String cannot fail.
        let mut out = String::new();
        let mark = match self.mission.result {
            "achieved" => "✔ achieved",
            "failed" => "✘ failed",
            _ => "ended",
        };
        let _ = writeln!(
            out,
            "\nMission     {mark}{}{}",
            if self.mission.reason.is_empty() { "" } else { ": " },
            self.mission.reason
        );
        let mut row = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<11} {value}");
        };
        if !self.mission.asked.is_empty() {
            row("Asked", format!("\"{}\"", self.mission.asked));
        }
        if !self.transcript.text.is_empty() {
            let wer = self.transcript.wer.map_or_else(String::new, |wer| format!("  (word error rate {:.0} %)", wer * 100.0));
            row("Heard", format!("\"{}\"{wer}", self.transcript.text));
        }
        row("Time", format!("{:.1} s simulated, {:.1} times real time", self.mission.duration_s, self.real_time_factor));
        if let Some(distance) = self.distance_m {
            row("Distance", format!("{distance:.1} m, {} collisions", self.collisions.unwrap_or(0)));
        }
        row("Energy", format!("{:.3} Wh", self.energy.used_wh));
        for (consumer, wh) in &self.energy.by_consumer {
            row("", format!("{wh:>7.3} Wh  {consumer}"));
        }
        if !self.detections.is_empty() {
            let mut counts: Vec<(&String, &u64)> = self.detections.iter().collect();
            counts.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            let text: Vec<String> = counts.iter().take(10).map(|(label, n)| format!("{label} {n}")).collect();
            row("Seen", text.join(", "));
        }
        let _ = writeln!(out, "\n{:<24} {:>10} {:>10} {:>10} {:>8}", "node", "handled", "p50 ms", "p99 ms", "dropped");
        for node in &self.nodes {
            let note = if node.restarts > 0 { format!("  {} restarts", node.restarts) } else { String::new() };
            let _ = writeln!(
                out,
                "{:<24} {:>10} {:>10.3} {:>10.3} {:>8}{note}",
                node.name, node.handled, node.p50_ms, node.p99_ms, node.dropped
            );
        }
        let _ = writeln!(out);
        if let Some(path) = &self.recording.mcap {
            let _ = writeln!(out, "Data        {}   (ros2 bag play, Foxglove)", path.display());
        }
        if let Some(path) = &self.recording.rrd {
            let _ = writeln!(out, "Look        rerun {}   (pip install rerun-sdk)", path.display());
        }
        out
    }
}

fn mission(snapshot: &Snapshot, ended: &str, seconds: f64) -> Mission {
    let Some(state) = &snapshot.mission else {
        return Mission {
            result: "none",
            reason: ended.to_owned(),
            asked: String::new(),
            delivered: false,
            docked: false,
            duration_s: round(seconds, 2),
        };
    };
    let (result, reason) = match state.result {
        MissionState::ACHIEVED => ("achieved", state.reason.clone()),
        MissionState::FAILED => ("failed", state.reason.clone()),
        _ => ("failed", format!("ended in phase `{}`: {ended}", state.phase)),
    };
    let docked = snapshot.sim.as_ref().map_or(state.docked, |sim| sim.docked);
    Mission { result, reason, asked: state.spoken.clone(), delivered: state.delivered, docked, duration_s: round(seconds, 2) }
}

fn transcript(snapshot: &Snapshot) -> TranscriptSummary {
    let spoken = snapshot.mission.as_ref().map_or_else(String::new, |m| m.spoken.clone());
    let reference = words(&spoken);
    let mut heard = snapshot.transcripts.iter().map(|t| t.text.as_str()).filter(|t| !t.is_empty());
    // The goal carries the words that it came from; without a goal the first words count.
    let acted_on = snapshot.request.as_deref().and_then(|request| heard.clone().find(|text| *text == request));
    let text = acted_on.or_else(|| heard.next()).unwrap_or_default().to_owned();
    #[allow(clippy::cast_precision_loss)]
    let wer = (!reference.is_empty() && !text.is_empty())
        .then(|| round(word_errors(&reference, &words(&text)) as f64 / reference.len() as f64, 4));
    TranscriptSummary { spoken, text, wer }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::{GraphStatistics, SimState, Transcript};
    use std::sync::Arc;

    fn report() -> RunReport {
        let nodes =
            vec![NodeStatistics { name: "/battery".into(), p50_ms: 0.5, p99_ms: 1.5, dropped: 2, ..NodeStatistics::default() }];
        RunReport {
            reason: "done".into(),
            graph_seconds: 60.0,
            wall_seconds: 20.0,
            statistics: GraphStatistics { nodes, ..GraphStatistics::default() },
        }
    }

    fn snapshot() -> Snapshot {
        let mission = MissionState {
            spoken: "bring the cup to the kitchen".into(),
            result: MissionState::ACHIEVED,
            delivered: true,
            ..MissionState::default()
        };
        let sim = SimState {
            consumers: vec!["base".into(), "compute".into()],
            consumed_wh: vec![0.25, 0.5],
            docked: true,
            collisions: 1,
            worst_collision_speed: 0.04,
            ..SimState::default()
        };
        let heard = |text: &str| Arc::new(Transcript { text: text.into(), ..Transcript::default() });
        Snapshot {
            mission: Some(Arc::new(mission)),
            sim: Some(Arc::new(sim)),
            request: Some("Bring the cap to the kitchen.".into()),
            transcripts: vec![heard("hm"), heard("Bring the cap to the kitchen."), heard("bring the cup to the kitchen")],
            ..Snapshot::default()
        }
    }

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let summary = Summary::new(&snapshot(), &report(), Recording { mcap: Some("a.mcap".into()), rrd: None });
        let line = summary.json().unwrap();
        assert!(!line.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["mission"]["result"], "achieved");
        assert_eq!(json["mission"]["docked"], true);
        assert_eq!(json["mission"]["duration_s"], 60.0);
        assert_eq!(json["energy"]["used_wh"], 0.75);
        assert_eq!(json["energy"]["by_consumer"]["compute"], 0.5);
        assert_eq!(json["transcript"]["wer"], 0.1667);
        assert_eq!(json["collisions"], 1);
        assert_eq!(json["worst_collision_speed"], 0.04);
        assert_eq!(json["nodes"][0]["p99_ms"], 1.5);
        assert_eq!(json["nodes"][0]["dropped"], 2);
        assert_eq!(json["real_time_factor"], 3.0);
        assert_eq!(json["recording"]["mcap"], "a.mcap");
        assert!(json["recording"]["rrd"].is_null());
        assert!(summary.achieved());
        assert!(summary.table().contains("✔ achieved"));
    }

    #[test]
    fn a_mission_that_was_cut_off_has_failed() {
        let mut cut = snapshot();
        cut.mission = Some(Arc::new(MissionState { phase: "spoken".into(), ..MissionState::default() }));
        let summary = Summary::new(&cut, &report(), Recording::default());
        assert_eq!(summary.mission.result, "failed");
        assert!(summary.mission.reason.contains("`spoken`"));
        assert!(!summary.achieved());
    }

    #[test]
    fn nodes_of_other_processes_are_in_the_summary_even_if_they_never_spoke() {
        let mut snapshot = snapshot();
        let safety = NodeStatistics { name: "/safety".into(), handled: 7, state: "running".into(), ..NodeStatistics::default() };
        let stranger = NodeStatistics { name: "/somebody_elses".into(), ..NodeStatistics::default() };
        snapshot.nodes = [safety, stranger].map(|node| (node.name.clone(), node)).into();
        snapshot.children = ["/safety", "/silent"].map(str::to_owned).into();
        let mut summary = Summary::new(&snapshot, &report(), Recording::default());
        summary.add_children(&snapshot);
        let nodes: Vec<(&str, &str, u64)> =
            summary.nodes.iter().map(|n| (n.name.as_str(), n.state.as_str(), n.handled)).collect();
        assert_eq!(nodes, [("/battery", "", 0), ("/safety", "running", 7), ("/silent", "never heard of", 0)]);
    }

    #[test]
    fn a_graph_without_judge_and_simulator_says_so() {
        let summary = Summary::new(&Snapshot::default(), &report(), Recording::default());
        assert_eq!(summary.mission.result, "none");
        assert_eq!(summary.collisions, None);
        assert_eq!(summary.transcript.wer, None);
    }
}
