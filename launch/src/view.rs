//! The terminal view: goal, plan, battery, nodes and log of a running graph, on one screen.

use std::thread::JoinHandle;
use std::time::Duration;

use graph::{Severity, StopFlag};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{Canvas, Points};
use ratatui::widgets::{Block, Gauge, Paragraph, Row, Table, Wrap};

use msgs::omnimind_msgs::msg::PlanAction;

use crate::observer::{Board, Snapshot};
use msgs::words::{action_name, goal_state};

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
    let [plan, map] = Layout::vertical([Constraint::Fill(1), Constraint::Length(map_height(left.height))]).areas(left);
    draw_plan(frame, plan, snapshot);
    draw_map(frame, map, snapshot);
    draw_nodes(frame, right, snapshot);
    draw_log(frame, log, snapshot);
}

/// The map takes half of a high column and nothing of a low one.
fn map_height(column: u16) -> u16 {
    if column < 18 { 0 } else { column / 2 }
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
        Line::from(vec!["Goal  ".dim(), goal.bold().cyan()]),
        Line::from(vec![
            "Robot ".dim(),
            Span::raw(format!("{}  ", snapshot.room)).cyan(),
            pose.into(),
            "  heard ".dim(),
            heard.to_owned().italic(),
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
            let text = format!("{:<8} {}", action_name(action.type_), action.description);
            let line = match action.status {
                PlanAction::COMPLETED => Line::from(format!("✔ {text}")).green(),
                PlanAction::FAILED => Line::from(format!("✘ {text}")).red(),
                PlanAction::IN_PROGRESS => Line::from(format!("▶ {text}")).yellow().bold(),
                PlanAction::CANCELLED => Line::from(format!("– {text}")).dim(),
                _ => Line::from(format!("  {text}")),
            };
            let energy = format!("{:.2} Wh", action.energy_wh);
            // Two for the frame.
            let gap = usize::from(area.width.saturating_sub(2)).saturating_sub(line.width() + energy.len());
            lines.push(if gap > 0 { line + Span::raw(format!("{}{energy}", " ".repeat(gap))).not_bold().dim() } else { line });
        }
        lines.push(Line::from(plan.explanation.clone()).dim());
    }
    let title = snapshot
        .plan
        .as_ref()
        .map_or_else(|| " Plan ".to_owned(), |p| format!(" Plan: {:.0} s, {:.2} Wh ", p.expected_duration, p.expected_energy_wh));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title)), area);
}

fn draw_map(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let [map, seen] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(18)]).areas(area);
    let mut counts: Vec<_> = snapshot.detections.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let rows = counts
        .into_iter()
        .map(|(label, n)| Row::new([Line::from(label.clone()), Line::from(n.to_string()).right_aligned().dim()]));
    let table = Table::new(rows, [Constraint::Fill(1), Constraint::Length(5)]);
    frame.render_widget(table.block(Block::bordered().title(" Seen ")), seen);

    let block = Block::bordered().title(" Map ");
    let Some(grid) =
        snapshot.map.as_ref().filter(|g| g.info.width > 0 && g.data.len() == g.info.width as usize * g.info.height as usize)
    else {
        return frame.render_widget(block, map);
    };
    let (columns, resolution) = (grid.info.width as usize, f64::from(grid.info.resolution));
    let origin = &grid.info.origin.position;
    let place = |i: usize| (origin.x + (i % columns) as f64 * resolution, origin.y + (i / columns) as f64 * resolution);
    let free = |i: usize| grid.data.get(i).is_some_and(|cell| (0..50).contains(cell));
    // Outlines: what is solid all around says nothing.
    let edge = |i: &usize| {
        grid.data[*i] >= 50
            && (free(i + 1)
                || free(i + columns)
                || i.checked_sub(1).is_some_and(free)
                || i.checked_sub(columns).is_some_and(free))
    };
    let walls: Vec<(f64, f64)> = (0..grid.data.len()).filter(edge).map(place).collect();
    let path: Vec<(f64, f64)> =
        snapshot.path.iter().flat_map(|p| &p.poses).map(|p| (p.pose.position.x, p.pose.position.y)).collect();
    // A character is 2 by 4 dots, and all dots are the same size in metres.
    let inner = block.inner(map);
    let (wide, high) = (f64::from(inner.width.max(1)) * 2.0, f64::from(inner.height.max(1)) * 4.0);
    let (width_m, height_m) = (columns as f64 * resolution, f64::from(grid.info.height) * resolution);
    let dot_m = (width_m / wide).max(height_m / high).max(1e-6);
    let (x, y) = (origin.x - (dot_m * wide - width_m) / 2.0, origin.y - (dot_m * high - height_m) / 2.0);
    let canvas = Canvas::default().block(block).x_bounds([x, x + dot_m * wide]).y_bounds([y, y + dot_m * high]).paint(|canvas| {
        canvas.draw(&Points { coords: &walls, color: Color::Gray });
        canvas.draw(&Points { coords: &path, color: Color::Green });
        if let Some(pose) = &snapshot.pose {
            let yaw = 2.0 * pose.orientation.z.atan2(pose.orientation.w);
            let quarter = (yaw / std::f64::consts::FRAC_PI_2).round().rem_euclid(4.0);
            let arrow = if quarter < 0.5 {
                "▶"
            } else if quarter < 1.5 {
                "▲"
            } else if quarter < 2.5 {
                "◀"
            } else {
                "▼"
            };
            canvas.print(pose.position.x, pose.position.y, arrow.yellow().bold());
        }
    });
    frame.render_widget(canvas, map);
}

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let own = snapshot.statistics.iter().flat_map(|s| &s.nodes);
    let rows = own.chain(snapshot.nodes.values()).map(|n| {
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
        let time = format!("{:>7.1} ", record.time.as_secs_f64());
        let node = format!("{:<14} ", record.node.trim_start_matches('/'));
        let line = Line::from(vec![time.dim(), node.cyan(), record.message.clone().into()]);
        match record.level {
            Severity::Debug => line.dim(),
            Severity::Info => line,
            Severity::Warn => line.yellow(),
            Severity::Error | Severity::Fatal => line.red(),
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
