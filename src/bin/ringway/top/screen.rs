//! How `top` draws what it shows. Readable from 80 columns on.

use super::view::{self, View};
use crate::info;
use crate::observe::{Observed, alive_and_dead};
use crate::report;
use crate::show;
use clap::ValueEnum;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use ringway::inspect::PeerState;

/// Characters of a fill bar.
const BAR: usize = 8;

pub fn draw(frame: &mut Frame<'_>, view: &View, colour: bool) {
    let rows = view.rows();
    let inodes: Vec<u64> = rows.iter().map(|ring| ring.picture.file.inode).collect();
    let chosen = view.chosen(&inodes);
    let processes = rows.get(chosen).map(|ring| process_lines(ring, colour)).unwrap_or_default();
    // Rings come first: their processes get what is left, and a third at most.
    let height = frame.area().height;
    let below = (processes.len() as u16 + 1).min(height / 3);
    let areas =
        Layout::vertical([Constraint::Length(1), Constraint::Min(2), Constraint::Length(below), Constraint::Length(1)]);
    let [head, table, bottom, foot] = areas.areas(frame.area());

    frame.render_widget(Paragraph::new(summary(&rows)).bold(), head);
    let mut state = TableState::default().with_selected((!rows.is_empty()).then_some(chosen));
    frame.render_stateful_widget(rings(&rows, colour), table, &mut state);
    frame.render_widget(Paragraph::new(processes), bottom);
    frame.render_widget(Paragraph::new(keys(view)).dim(), foot);
}

fn summary(rows: &[&Observed]) -> String {
    let (alive, dead) = rows.iter().fold((0, 0), |(alive, dead), ring| {
        let (more_alive, more_dead) = alive_and_dead(&ring.picture);
        (alive + more_alive, dead + more_dead)
    });
    let sum = |rate: fn(&crate::observe::Rates) -> f64| -> String {
        // NB: the sum of nothing is -0.
        show::count(rows.iter().filter_map(|ring| ring.rates.as_ref()).map(rate).sum::<f64>() + 0.0)
    };
    let (pushed, popped) = (sum(|rates| rates.pushed), sum(|rates| rates.popped));
    let rings = rows.len();
    let plural = if rings == 1 { "" } else { "s" };
    format!("{rings} ring{plural}  {alive} attached, {dead} dead  {pushed}/s in, {popped}/s out")
}

fn keys(view: &View) -> String {
    if view.is_typing {
        return format!("filter: {}_  (enter: done, esc: all)", view.filter);
    }
    let order = view.order.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let way = if view.is_reversed { ", reversed" } else { "" };
    let filter = if view.filter.is_empty() { String::new() } else { format!(": {}", view.filter) };
    format!("q quit  s sort: {order}{way}  r reverse  / filter{filter}  arrows choose")
}

fn rings<'r>(rows: &[&'r Observed], colour: bool) -> Table<'r> {
    let right = |text: &'static str| Cell::from(Text::from(text).alignment(Alignment::Right));
    let headings = Row::new([
        "NAME".into(),
        "KIND".into(),
        "FILL".into(),
        right("IN/S"),
        right("OUT/S"),
        right("LAG"),
        right("PROCS"),
        right("DEATHS"),
        "STUCK".into(),
    ]);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(4),
        Constraint::Length(BAR as u16 + 5),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(13),
    ];
    let rows = rows.iter().map(|ring| row(ring, colour));
    Table::new(rows, widths)
        .header(headings.style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

fn row<'r>(ring: &Observed, colour: bool) -> Row<'r> {
    let picture = &ring.picture;
    let name = Cell::from(show::harmless(&picture.name));
    let paint = |bad: bool, style: Color| if bad && colour { Style::new().fg(style) } else { Style::new() };
    let Some(contents) = &picture.contents else {
        return Row::new([name, Cell::from(report::status(picture))]).style(paint(true, Color::Red));
    };
    let right = |text: String| Text::from(text).alignment(Alignment::Right);
    let layout = picture.layout.as_ref();
    let kind = layout.and_then(|layout| layout.kind).map(report::kind).unwrap_or("?");
    let capacity = layout.map_or(0, |layout| layout.capacity);
    let fullness = view::fullness(ring);
    let fill = format!("{} {:>3.0}%", show::bar(contents.fill, capacity, BAR), fullness * 100.0);
    let rate = |rate: Option<f64>| right(rate.map(show::count).unwrap_or_default());
    let (alive, dead) = alive_and_dead(picture);
    let procs = if dead > 0 { format!("{alive}+{dead}") } else { alive.to_string() };
    let stuck = view::stuck(ring);
    let is_damaged = !contents.corrupted.is_empty();
    let stuck_style = paint(stuck.is_some() || is_damaged, Color::Red);
    Row::new([
        name,
        Cell::from(kind),
        Cell::from(fill).style(paint(fullness >= 1.0, Color::Yellow)),
        rate(ring.rates.map(|rates| rates.pushed)).into(),
        rate(ring.rates.map(|rates| rates.popped)).into(),
        right(view::lag(ring).map(|lag| lag.to_string()).unwrap_or_default()).into(),
        Cell::from(right(procs)).style(paint(dead > 0, Color::Red)),
        right(view::deaths(ring).to_string()).into(),
        Cell::from(if is_damaged { "DAMAGED".to_owned() } else { stuck.unwrap_or_default() }).style(stuck_style),
    ])
}

/// A heading, and one line for each process.
fn process_lines<'r>(ring: &Observed, colour: bool) -> Vec<Line<'r>> {
    let Some(contents) = &ring.picture.contents else {
        return ring.picture.errors.iter().map(|error| Line::from(show::harmless(&error.to_string()))).collect();
    };
    let name = show::harmless(&ring.picture.name);
    let heading = format!("{:>7}  {:<7}  {:<22}  processes of {name}", "PID", "STATE", "ENDS");
    let mut lines = vec![Line::from(heading).bold()];
    lines.extend(contents.processes.iter().map(|process| {
        let command = process.command.as_ref().map(|words| show::harmless(&words.join(" "))).unwrap_or_default();
        let (state, ends) = (report::state(process.state), info::ends(process));
        let line = Line::from(format!("{:>7}  {state:<7}  {ends:<22}  {command}", process.pid));
        match process.state {
            PeerState::Dead if colour => line.red(),
            PeerState::Stopped if colour => line.yellow(),
            _ => line,
        }
    }));
    lines
}
