//! `omnimind top`: every node live, with what comes in and goes out, how long that is on its way and in a handler, what is lost, and what
//! the process costs.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use msgs::omnimind_msgs::msg::{EdgeStatistics, GraphStatistics};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::Constraint;
use ratatui::style::{Color, Style, Stylize};
use ratatui::widgets::{Block, Row, Table};

use crate::cli::{TopArgs, TopOrder};
use crate::counts::Counts;
use crate::remote::Remote;

/// Each process tells every second.
const PERIOD: Duration = Duration::from_secs(1);

/// A node between two reports of its process.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    node: String,
    state: String,
    /// Handled and published per second.
    in_hz: f64,
    out_hz: f64,
    /// From publish to the start of the handler, on the slowest of the edges to it; zero: it hears nobody.
    edge_p50_us: f32,
    edge_p99_us: f32,
    /// In a handler.
    p50_ms: f32,
    p99_ms: f32,
    /// Of the payloads that it published, per message, the largest of its edges.
    copies: u32,
    dropped: u64,
    /// Share of a core that its handlers take, percent.
    busy: f64,
    pid: u32,
    /// Of the whole process, MiB.
    memory_mib: f64,
}

/// Follows the reports of all processes.
#[derive(Default)]
struct Follower {
    /// By process and node: the counts of the newest report, and what was made of them.
    last: BTreeMap<(u32, String), (Counted, Entry)>,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    wall_s: f64,
    handled: u64,
    published: u64,
    busy_s: f64,
}

impl Follower {
    /// A row per node. Rates are those since the report before; the first report has them since the start. A report that came before
    /// says no more than it did then.
    fn rows(&mut self, reports: &[GraphStatistics]) -> Vec<Entry> {
        let mut rows = Vec::new();
        let mut last = BTreeMap::new();
        for report in reports {
            for node in &report.nodes {
                let mine = report.edges.iter().filter(|edge| edge.publisher == node.name);
                let slowest = |of: fn(&EdgeStatistics) -> f32| {
                    report.edges.iter().filter(|edge| edge.subscriber == node.name).map(of).fold(0.0, f32::max)
                };
                // An edge per listener: what was published is what the one that heard most was sent.
                let published = mine.clone().map(|edge| edge.messages + edge.dropped).max().unwrap_or(0);
                let now = Counted {
                    wall_s: report.wall_seconds,
                    handled: node.handled,
                    published,
                    busy_s: f64::from(node.busy) * report.wall_seconds,
                };
                let key = (report.pid, node.name.clone());
                let known = self.last.remove(&key);
                if let Some((before, entry)) = &known
                    && before.wall_s.total_cmp(&now.wall_s).is_eq()
                {
                    rows.push(entry.clone());
                    last.insert(key, (*before, entry.clone()));
                    continue;
                }
                // A time that went back is that of another process of the same number.
                let before = known.map(|(before, _)| before).filter(|before| before.wall_s < now.wall_s).unwrap_or_default();
                let seconds = (now.wall_s - before.wall_s).max(1e-3);
                #[allow(clippy::cast_precision_loss)]
                let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
                #[allow(clippy::cast_precision_loss)]
                let memory_mib = report.resident_bytes as f64 / f64::from(1 << 20);
                let entry = Entry {
                    node: node.name.clone(),
                    state: node.state.clone(),
                    in_hz: rate(now.handled, before.handled),
                    out_hz: rate(now.published, before.published),
                    edge_p50_us: slowest(|edge| edge.p50_us),
                    edge_p99_us: slowest(|edge| edge.p99_us),
                    p50_ms: node.p50_ms,
                    p99_ms: node.p99_ms,
                    copies: mine.map(|edge| edge.copies).max().unwrap_or(0),
                    dropped: node.dropped,
                    busy: 100.0 * (now.busy_s - before.busy_s).max(0.0) / seconds,
                    pid: report.pid,
                    memory_mib,
                };
                last.insert(key, (now, entry.clone()));
                rows.push(entry);
            }
        }
        self.last = last;
        rows
    }
}

fn sort(rows: &mut [Entry], order: TopOrder) {
    match order {
        TopOrder::Busy => rows.sort_by(|a, b| b.busy.total_cmp(&a.busy)),
        TopOrder::Latency => rows.sort_by(|a, b| b.edge_p99_us.total_cmp(&a.edge_p99_us)),
        TopOrder::Handler => rows.sort_by(|a, b| b.p99_ms.total_cmp(&a.p99_ms)),
        TopOrder::Rate => rows.sort_by(|a, b| b.in_hz.total_cmp(&a.in_hz)),
        TopOrder::Dropped => rows.sort_by_key(|row| std::cmp::Reverse(row.dropped)),
        TopOrder::Name => rows.sort_by(|a, b| a.node.cmp(&b.node)),
    }
}

const COLUMNS: usize = 13;
/// Edges in microseconds, handlers in milliseconds.
const TITLES: [&str; COLUMNS] =
    ["node", "state", "in/s", "out/s", "edge p50", "p99 us", "work p50", "p99 ms", "copies", "dropped", "busy %", "pid", "MiB"];

fn cells(row: &Entry) -> [String; COLUMNS] {
    [
        row.node.clone(),
        row.state.clone(),
        format!("{:.1}", row.in_hz),
        format!("{:.1}", row.out_hz),
        format!("{:.0}", row.edge_p50_us),
        format!("{:.0}", row.edge_p99_us),
        format!("{:.2}", row.p50_ms),
        format!("{:.2}", row.p99_ms),
        row.copies.to_string(),
        row.dropped.to_string(),
        format!("{:.1}", row.busy),
        row.pid.to_string(),
        format!("{:.0}", row.memory_mib),
    ]
}

fn text(rows: &[Entry]) -> String {
    let line = |cells: [String; COLUMNS]| {
        let [node, state, rest @ ..] = cells;
        let rest: String = rest.iter().map(|cell| format!(" {cell:>8}")).collect();
        format!("{node:<28} {state:<10}{rest}\n")
    };
    line(TITLES.map(str::to_owned)) + &rows.iter().map(|row| line(cells(row))).collect::<String>()
}

fn json(rows: &[Entry]) -> serde_json::Value {
    let row = |row: &Entry| {
        serde_json::json!({
            "node": row.node, "state": row.state, "in_hz": row.in_hz, "out_hz": row.out_hz,
            "edge_p50_us": row.edge_p50_us, "edge_p99_us": row.edge_p99_us, "handler_p50_ms": row.p50_ms, "handler_p99_ms": row.p99_ms,
            "copies": row.copies, "dropped": row.dropped, "busy_percent": row.busy, "pid": row.pid, "process_memory_mib": row.memory_mib,
        })
    };
    rows.iter().map(row).collect()
}

/// Until the user leaves, or with `--once` one look.
pub fn run(args: &TopArgs) -> Result<ExitCode> {
    let remote = Remote::connect()?;
    let view = remote.view()?;
    let counts = Counts::listen(&remote, &view)?;
    let mut follower = Follower::default();
    let mut order = args.sort;
    follower.rows(&counts.all(2 * PERIOD));
    if !args.once && !args.json && std::io::stdout().is_terminal() {
        return screen(&counts, &mut follower, &mut order);
    }
    loop {
        std::thread::sleep(PERIOD + PERIOD / 10);
        let mut rows = follower.rows(&counts.now());
        sort(&mut rows, order);
        if args.json {
            println!("{}", json(&rows));
        } else {
            print!("{}", text(&rows));
        }
        if args.once {
            return Ok(ExitCode::SUCCESS);
        }
        println!();
    }
}

fn screen(counts: &Counts, follower: &mut Follower, order: &mut TopOrder) -> Result<ExitCode> {
    let mut terminal = ratatui::try_init()?;
    let result = follow(&mut terminal, counts, follower, order);
    // However it ended.
    ratatui::restore();
    result.map(|()| ExitCode::SUCCESS)
}

/// Draws until the user leaves.
fn follow(terminal: &mut ratatui::DefaultTerminal, counts: &Counts, follower: &mut Follower, order: &mut TopOrder) -> Result<()> {
    loop {
        let mut rows = follower.rows(&counts.now());
        sort(&mut rows, *order);
        terminal.draw(|frame| draw(frame, &rows, *order))?;
        if !event::poll(PERIOD)? {
            continue;
        }
        if let Event::Key(key) = event::read()? {
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                KeyCode::Char('b') => *order = TopOrder::Busy,
                KeyCode::Char('l') => *order = TopOrder::Latency,
                KeyCode::Char('h') => *order = TopOrder::Handler,
                KeyCode::Char('r') => *order = TopOrder::Rate,
                KeyCode::Char('d') => *order = TopOrder::Dropped,
                KeyCode::Char('n') => *order = TopOrder::Name,
                _ => {}
            }
        }
    }
}

fn draw(frame: &mut Frame<'_>, rows: &[Entry], order: TopOrder) {
    let widths = [26, 9, 8, 8, 8, 8, 8, 8, 6, 8, 6, 8, 6].map(Constraint::Length);
    let style = |row: &Entry| match row.state.as_str() {
        "failed" => Style::new().fg(Color::Red),
        "restarting" => Style::new().fg(Color::Yellow),
        _ if row.dropped > 0 => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    };
    let table =
        Table::new(rows.iter().map(|row| Row::new(cells(row)).style(style(row))), widths).header(Row::new(TITLES).bold()).block(
            Block::bordered()
                .title(format!(" by {order:?}   b: busy  l: latency  h: handler  r: rate  d: dropped  n: name  q: leave ")),
        );
    frame.render_widget(table, frame.area());
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::omnimind_msgs::msg::NodeStatistics;

    fn report(wall_seconds: f64, handled: u64, messages: u64, busy: f32) -> GraphStatistics {
        GraphStatistics {
            wall_seconds,
            pid: 7,
            resident_bytes: 3 << 20,
            nodes: vec![NodeStatistics { name: "/eye".into(), handled, busy, ..Default::default() }],
            edges: vec![
                EdgeStatistics { publisher: "/eye".into(), messages, copies: 1, ..Default::default() },
                EdgeStatistics { publisher: "/eye".into(), messages: messages / 2, dropped: messages / 2, ..Default::default() },
                EdgeStatistics { subscriber: "/eye".into(), p50_us: 3.0, p99_us: 90.0, ..Default::default() },
                EdgeStatistics { subscriber: "/eye".into(), p50_us: 5.0, p99_us: 40.0, ..Default::default() },
            ],
            ..Default::default()
        }
    }

    #[test]
    fn rates_are_those_since_the_report_before() {
        let mut follower = Follower::default();
        follower.rows(&[report(10.0, 100, 50, 0.1)]);
        let rows = follower.rows(&[report(12.0, 160, 90, 0.25)]);
        let row = &rows[0];
        assert_eq!((row.in_hz, row.out_hz, row.copies, row.memory_mib), (30.0, 20.0, 1, 3.0));
        // 0.25 of 12 s less 0.1 of 10 s, in 2 s.
        assert!((row.busy - 100.0).abs() < 1e-4, "{}", row.busy);
        assert_eq!((row.edge_p50_us, row.edge_p99_us), (5.0, 90.0));
    }

    #[test]
    fn what_has_not_told_anew_stands_as_it_was_until_it_is_gone() {
        let mut follower = Follower::default();
        follower.rows(&[report(10.0, 100, 50, 0.1)]);
        let told = follower.rows(&[report(12.0, 160, 90, 0.25)]);
        assert_eq!(follower.rows(&[report(12.0, 160, 90, 0.25)]), told);
        assert_eq!(follower.rows(&[report(12.0, 160, 90, 0.25)]), told);
        // Rates go on from the last report, not from the last look.
        assert_eq!(follower.rows(&[report(14.0, 180, 90, 0.25)])[0].in_hz, 10.0);
        assert!(follower.rows(&[]).is_empty());
        assert!(follower.last.is_empty());
    }

    #[test]
    fn a_process_that_started_anew_counts_from_nothing() {
        let mut follower = Follower::default();
        follower.rows(&[report(10.0, 100, 50, 0.1)]);
        let rows = follower.rows(&[GraphStatistics { pid: 8, ..report(1.0, 5, 2, 0.5) }]);
        assert_eq!((rows[0].in_hz, rows[0].out_hz), (5.0, 2.0));
        // In containers they may have the same number.
        let rows = follower.rows(&[GraphStatistics { pid: 8, ..report(0.5, 5, 2, 0.5) }]);
        assert_eq!((rows[0].in_hz, rows[0].out_hz), (10.0, 4.0));
    }

    #[test]
    fn rows_are_sorted_as_asked_and_printed_in_columns() {
        let mut follower = Follower::default();
        let mut second = report(10.0, 1, 0, 0.9);
        second.nodes[0].name = "/arm".into();
        let mut rows = follower.rows(&[report(10.0, 100, 50, 0.1), second]);
        sort(&mut rows, TopOrder::Busy);
        assert_eq!(rows[0].node, "/arm");
        sort(&mut rows, TopOrder::Rate);
        assert_eq!(rows[0].node, "/eye");
        let text = text(&rows);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.len() == text.lines().next().unwrap().len()), "{text}");
    }
}
