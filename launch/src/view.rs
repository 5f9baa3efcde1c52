//! The terminal view: goal, plan, battery, nodes and log of a running graph, on one screen.

use std::thread::JoinHandle;
use std::time::Duration;

use graph::{Level, StopFlag};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Table, Wrap};

use msgs::omnimind_msgs::msg::PlanAction;

use crate::names::{action_name, goal_state};
use crate::observer::{Board, Snapshot};

/// Shows the board until the graph has ended; `q` and Ctrl-C stop the graph, a second time they leave at once.
pub fn show(board: Board, flag: StopFlag) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let Ok(mut terminal) = ratatui::try_init() else { return };
        let mut asked = false;
        loop {
            let ended = {
                let snapshot = board.lock();
                if terminal.draw(|frame| draw(frame, &snapshot)).is_err() {
                    break;
                }
                snapshot.ended
            };
            if ended {
                break;
            }
            if event::poll(Duration::from_millis(200)).unwrap_or(false)
                && let Ok(Event::Key(key)) = event::read()
                && (key.code == KeyCode::Char('q')
                    || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)))
            {
                if asked {
                    ratatui::restore();
                    std::process::exit(130);
                }
                asked = true;
                flag.stop("stopped by the user");
            }
        }
        ratatui::restore();
    })
}

/// Draws one frame.
pub fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot) {
    let [head, middle, log] =
        Layout::vertical([Constraint::Length(4), Constraint::Min(8), Constraint::Percentage(30)]).areas(frame.area());
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    let [state, battery] = Layout::horizontal([Constraint::Percentage(70), Constraint::Percentage(30)]).areas(head);
    draw_state(frame, state, snapshot);
    draw_battery(frame, battery, snapshot);
    draw_plan(frame, left, snapshot);
    draw_nodes(frame, right, snapshot);
    draw_log(frame, log, snapshot);
}

fn draw_state(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let goal = match (&snapshot.goal, &snapshot.mission) {
        (Some(goal), _) => format!("{} ({})", goal.goal.description, goal_state(goal.status)),
        (None, Some(mission)) => format!("{}: \"{}\"", mission.phase, mission.spoken),
        (None, None) => "no goal yet".to_owned(),
    };
    let pose = snapshot.pose.as_ref().map_or_else(
        || "pose unknown".to_owned(),
        |p| {
            let yaw = 2.0 * p.orientation.z.atan2(p.orientation.w);
            format!("x {:.2} m, y {:.2} m, {:.0}°", p.position.x, p.position.y, yaw.to_degrees())
        },
    );
    let heard = snapshot.transcripts.last().map_or("", |t| t.text.as_str());
    let lines = vec![
        Line::from(vec!["Goal  ".dim(), goal.bold()]),
        Line::from(vec![
            "Robot ".dim(),
            Span::raw(format!("{} {pose}   ", snapshot.room)),
            "heard ".dim(),
            Span::raw(format!("\"{heard}\"")),
        ]),
    ];
    let factor = snapshot.statistics.as_ref().map_or(0.0, |s| s.real_time_factor);
    let title = format!(" OmniMind   {:.1} s   {factor:.1}x   q: stop ", snapshot.elapsed_s());
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

fn draw_battery(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let charge = snapshot.battery.as_ref().map_or(f32::NAN, |b| b.percentage);
    let power = snapshot.battery.as_ref().map_or(0.0, |b| b.voltage * b.current);
    let colour = if charge < 0.2 {
        Color::Red
    } else if charge < 0.4 {
        Color::Yellow
    } else {
        Color::Green
    };
    let (ratio, label) = if charge.is_finite() {
        (f64::from(charge.clamp(0.0, 1.0)), format!("{:.0} %  {power:+.1} W", charge * 100.0))
    } else {
        (0.0, "unknown".into())
    };
    let gauge = Gauge::default()
        .block(Block::bordered().title(" Battery "))
        .gauge_style(Style::new().fg(colour))
        .ratio(ratio)
        .label(label);
    frame.render_widget(gauge, area);
}

fn draw_plan(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let mut lines = Vec::new();
    if let Some(plan) = &snapshot.plan {
        for action in &plan.actions {
            let text = format!("{:<8} {}  {:.2} Wh", action_name(action.type_), action.description, action.energy_wh);
            lines.push(match action.status {
                PlanAction::COMPLETED => Line::from(format!("✔ {text}")).green(),
                PlanAction::FAILED => Line::from(format!("✘ {text}")).red(),
                PlanAction::IN_PROGRESS => Line::from(format!("▶ {text}")).bold(),
                PlanAction::CANCELLED => Line::from(format!("– {text}")).dim(),
                _ => Line::from(format!("  {text}")),
            });
        }
        lines.push(Line::from(plan.explanation.clone()).dim());
    }
    let title = snapshot
        .plan
        .as_ref()
        .map_or_else(|| " Plan ".to_owned(), |p| format!(" Plan: {:.0} s, {:.2} Wh ", p.expected_duration, p.expected_energy_wh));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title)), area);
}

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let rows = snapshot.statistics.iter().flat_map(|s| &s.nodes).map(|n| {
        let row = Row::new(vec![
            n.name.clone(),
            n.state.clone(),
            format!("{:.2}", n.p50_ms),
            format!("{:.2}", n.p99_ms),
            format!("{:.0} %", n.busy * 100.0),
            n.dropped.to_string(),
        ]);
        if n.state == "running" { row } else { row.red() }
    });
    let widths = [
        Constraint::Min(16),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Length(6),
    ];
    let header = Row::new(["node", "state", "p50 ms", "p99 ms", "busy", "drops"]).dim();
    frame.render_widget(Table::new(rows, widths).header(header).block(Block::bordered().title(" Nodes ")), area);
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let height = usize::from(area.height.saturating_sub(2));
    let troubles = snapshot.troubles.iter().map(|(name, message)| Line::from(format!("! {name}: {message}")).yellow());
    let kept = snapshot.troubles.len().min(height / 2);
    let lines = snapshot.log.iter().rev().take(height - kept).rev().map(|record| {
        let line =
            Line::from(format!("{:>8.1} {} {}", record.time.as_secs_f64(), record.node.trim_start_matches('/'), record.message));
        match record.level {
            Level::Ok => line,
            Level::Warn => line.yellow(),
            Level::Error | Level::Stale => line.red(),
        }
    });
    let all: Vec<Line<'_>> = troubles.take(kept).chain(lines).collect();
    frame.render_widget(Paragraph::new(all).block(Block::bordered().title(" Log ")), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::Plan;
    use msgs::sensor_msgs::msg::BatteryState;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::sync::Arc;

    fn picture(snapshot: &Snapshot, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, snapshot)).unwrap();
        terminal.backend().buffer().content().iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn the_screen_shows_plan_and_battery() {
        let action =
            PlanAction { description: "to the kitchen".into(), status: PlanAction::IN_PROGRESS, ..PlanAction::default() };
        let snapshot = Snapshot {
            plan: Some(Arc::new(Plan { actions: vec![action], ..Plan::default() })),
            battery: Some(Arc::new(BatteryState { percentage: 0.5, voltage: 14.0, current: -1.0, ..BatteryState::default() })),
            ..Snapshot::default()
        };
        let screen = picture(&snapshot, 120, 40);
        assert!(screen.contains("▶ move") && screen.contains("to the kitchen"));
        assert!(screen.contains("50 %  -14.0 W"));
    }

    #[test]
    fn tiny_terminals_and_empty_graphs_do_not_panic() {
        for (width, height) in [(1, 1), (10, 3), (40, 12)] {
            picture(&Snapshot::default(), width, height);
        }
    }
}
