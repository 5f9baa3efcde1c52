//! `omnimind graph --tui`: nodes and topics of a running graph to walk through, with what each is connected to.

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, List, ListItem, ListState, Paragraph, Wrap};
use wire::EntityKind;

use crate::atlas::Atlas;

/// What the list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Nodes,
    Topics,
}

/// What the user looks at.
struct Explorer {
    page: Page,
    selected: usize,
    /// Only names that contain it.
    filter: String,
    typing: bool,
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Look,
    Leave,
}

/// Shows what `look` returns, anew each second, until the user leaves.
///
/// # Errors
/// When there is no terminal, or what `look` returns first.
pub fn explore(mut look: impl FnMut() -> anyhow::Result<Atlas>) -> anyhow::Result<()> {
    let mut atlas = look()?;
    let mut terminal = ratatui::try_init()?;
    let mut explorer = Explorer { page: Page::Nodes, selected: 0, filter: String::new(), typing: false };
    let result = loop {
        if let Err(error) = terminal.draw(|frame| explorer.draw(frame, &atlas)) {
            break Err(error.into());
        }
        match event::poll(Duration::from_secs(1)) {
            Ok(true) => {
                if let Ok(Event::Key(key)) = event::read()
                    && explorer.press(key, &atlas) == Next::Leave
                {
                    break Ok(());
                }
            }
            // A graph that has ended is shown as it was.
            Ok(false) => atlas = look().unwrap_or(atlas),
            Err(error) => break Err(error.into()),
        }
    };
    ratatui::restore();
    result
}

impl Explorer {
    fn names(&self, atlas: &Atlas) -> Vec<String> {
        let all: Vec<String> = match self.page {
            Page::Nodes => atlas.nodes().into_iter().map(str::to_owned).collect(),
            Page::Topics => atlas.topics().into_iter().map(|topic| topic.name).collect(),
        };
        all.into_iter().filter(|name| name.contains(&self.filter)).collect()
    }

    fn press(&mut self, key: KeyEvent, atlas: &Atlas) -> Next {
        let last = self.names(atlas).len().saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Next::Leave,
            KeyCode::Esc | KeyCode::Enter if self.typing => self.typing = false,
            KeyCode::Backspace if self.typing => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.typing => {
                self.filter.push(letter);
                self.selected = 0;
            }
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Tab | KeyCode::Left | KeyCode::Right => {
                self.page = if self.page == Page::Nodes { Page::Topics } else { Page::Nodes };
                self.selected = 0;
            }
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + 10).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            _ => {}
        }
        Next::Look
    }

    fn draw(&self, frame: &mut Frame<'_>, atlas: &Atlas) {
        let problems = u16::try_from(atlas.problems().len().min(5)).unwrap_or(5);
        let [main, bottom, help] = Layout::vertical([
            Constraint::Min(5),
            Constraint::Length(if problems == 0 { 0 } else { problems + 2 }),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let [left, right] = Layout::horizontal([Constraint::Percentage(38), Constraint::Percentage(62)]).areas(main);
        let names = self.names(atlas);
        let selected = self.selected.min(names.len().saturating_sub(1));
        self.draw_list(frame, left, &names, selected);
        let lines = match (names.get(selected), self.page) {
            (None, _) => vec![Line::from("nothing of that name")],
            (Some(name), Page::Nodes) => node_lines(atlas, name),
            (Some(name), Page::Topics) => topic_lines(atlas, name),
        };
        let title = names.get(selected).map_or_else(String::new, |name| format!(" {name} "));
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title)), right);
        if problems > 0 {
            let lines: Vec<Line<'_>> = atlas.problems().iter().map(|p| Line::from(p.as_str()).red()).collect();
            frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Problems ")), bottom);
        }
        let text = if self.typing {
            format!("/{}_", self.filter)
        } else {
            "↑↓ choose   tab: nodes, topics   /: filter   q: leave".to_owned()
        };
        frame.render_widget(Paragraph::new(text).dim(), help);
    }

    fn draw_list(&self, frame: &mut Frame<'_>, area: Rect, names: &[String], selected: usize) {
        let what = if self.page == Page::Nodes { "Nodes" } else { "Topics" };
        let list = List::new(names.iter().map(|name| ListItem::new(name.as_str())))
            .block(Block::bordered().title(format!(" {what} ({}) ", names.len())))
            .highlight_style(Style::new().fg(Color::Black).bg(Color::Cyan));
        let mut state = ListState::default().with_selected((!names.is_empty()).then_some(selected));
        frame.render_stateful_widget(list, area, &mut state);
    }
}

fn node_lines(atlas: &Atlas, node: &str) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(counted) = atlas.counted(node) {
        lines.push(Line::from(format!(
            "{}, {:.0} % of a core, handlers p50 {:.2} ms, p99 {:.2} ms, {} handled, {} dropped, {} restarts",
            counted.state,
            100.0 * counted.busy,
            counted.p50_ms,
            counted.p99_ms,
            counted.handled,
            counted.dropped,
            counted.restarts
        )));
        if !counted.last_error.is_empty() {
            lines.push(Line::from(counted.last_error.clone()).red());
        }
    }
    let kinds = [
        ("publishes", EntityKind::Publisher),
        ("hears", EntityKind::Subscription),
        ("serves", EntityKind::Service),
        ("calls", EntityKind::Client),
    ];
    for (title, kind) in kinds {
        let mut endpoints = atlas.endpoints(node, kind).peekable();
        if endpoints.peek().is_some() {
            lines.push(Line::from(title).bold().cyan());
        }
        lines.extend(endpoints.map(|e| Line::from(format!("  {}  {}", e.name, e.type_name))));
    }
    lines
}

fn topic_lines(atlas: &Atlas, name: &str) -> Vec<Line<'static>> {
    let Some(topic) = atlas.topics().into_iter().find(|topic| topic.name == name) else { return Vec::new() };
    let mut lines = vec![Line::from(topic.types.join(", "))];
    for (title, ends) in [("published by", &topic.sources), ("heard by", &topic.sinks)] {
        lines.push(Line::from(title).bold().cyan());
        lines.extend(ends.iter().map(|end| Line::from(format!("  {}  {}", end.node, end.qos))));
    }
    lines.push(Line::from("edges").bold().cyan());
    for edge in atlas.edges().iter().filter(|edge| edge.topic == name) {
        let end = |node: &str| if node.is_empty() { "outside".to_owned() } else { node.to_owned() };
        let text = format!(
            "  {} -> {}: {}, {:.1} Hz, p50 {:.1} us, p99 {:.1} us, {} copies, {} dropped",
            end(&edge.publisher),
            end(&edge.subscriber),
            edge.transport,
            edge.rate,
            edge.p50_us,
            edge.p99_us,
            edge.copies,
            edge.dropped
        );
        lines.push(if edge.dropped > 0 { Line::from(text).yellow() } else { Line::from(text) });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use wire::GraphView;

    fn atlas() -> Atlas {
        let tokens = [
            "@ros2_lv/0/aa/1/1/NN/%/%/talker",
            "@ros2_lv/0/bb/1/1/NN/%/%/listener",
            "@ros2_lv/0/aa/1/2/MP/%/%/talker/%chatter/std_msgs::msg::dds_::String_/RIHS01_1/::,5:,:,:,,",
            "@ros2_lv/0/bb/1/2/MS/%/%/listener/%chatter/std_msgs::msg::dds_::String_/RIHS01_2/::,10:,:,:,,",
        ];
        Atlas::new(GraphView::from_tokens(tokens), &[])
    }

    fn screen(explorer: &Explorer) -> String {
        let mut terminal = Terminal::new(TestBackend::new(140, 24)).unwrap();
        terminal.draw(|frame| explorer.draw(frame, &atlas())).unwrap();
        terminal
            .backend()
            .buffer()
            .content()
            .chunks(140)
            .map(|row| row.iter().map(|c| c.symbol()).collect::<String>() + "\n")
            .collect()
    }

    fn explorer() -> Explorer {
        Explorer { page: Page::Nodes, selected: 0, filter: String::new(), typing: false }
    }

    #[test]
    fn nodes_topics_and_problems_are_on_the_screen() {
        let mut explorer = explorer();
        let text = screen(&explorer);
        assert!(text.contains("Nodes (2)") && text.contains("hears") && text.contains("different definitions"), "{text}");
        explorer.press(KeyEvent::from(KeyCode::Tab), &atlas());
        let text = screen(&explorer);
        assert!(text.contains("Topics (1)") && text.contains("published by") && text.contains("/talker"), "{text}");
    }

    #[test]
    fn keys_move_within_the_list_filter_it_and_leave() {
        let mut explorer = explorer();
        let press = |explorer: &mut Explorer, code| explorer.press(KeyEvent::from(code), &atlas());
        for _ in 0..5 {
            press(&mut explorer, KeyCode::Down);
        }
        assert_eq!(explorer.selected, 1, "two nodes");
        press(&mut explorer, KeyCode::Char('/'));
        for letter in "talkq".chars() {
            press(&mut explorer, KeyCode::Char(letter));
        }
        press(&mut explorer, KeyCode::Backspace);
        press(&mut explorer, KeyCode::Enter);
        assert_eq!(explorer.names(&atlas()), ["/talker"]);
        assert_eq!(press(&mut explorer, KeyCode::Char('q')), Next::Leave);
    }
}
