//! The findings as charts (SVG): on white, so that they can be read on a dark page too.

use crate::findings::{Answer, Findings, Line, PERCENTILES, Role};
use crate::table::rounded;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::fs;
use std::path::Path;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 960;
/// Above what is drawn, and below it.
const TOP: i32 = 64;
const BOTTOM: i32 = 52;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(33, 37, 41);
const FAINT: RGBColor = RGBColor(134, 142, 150);
const GRID: RGBColor = RGBColor(222, 226, 230);
const LIMIT: RGBColor = RGBColor(43, 138, 62);
const RINGWAY: RGBColor = RGBColor(217, 72, 15);
const ACROSS: RGBColor = RGBColor(66, 99, 235);
const IN_PROCESS: RGBColor = RGBColor(173, 181, 189);
/// Of lines, which have to be told from each other.
const COLOURS: [RGBColor; 8] = [
    RGBColor(25, 113, 194),
    RGBColor(103, 65, 217),
    RGBColor(156, 54, 181),
    RGBColor(9, 146, 104),
    RGBColor(102, 128, 11),
    RGBColor(134, 142, 150),
    RGBColor(12, 133, 153),
    RGBColor(95, 61, 42),
];

/// All charts for which there are findings.
pub fn draw_all(findings: &Findings, folder: &Path) -> Result {
    fs::create_dir_all(folder)?;
    let bars = [
        ("round_trip_8", "round-trip.svg", "Round trip of 8 bytes, both sides awake", Scale::Nanoseconds),
        (
            "round_trip_8_blocking",
            "round-trip-blocking.svg",
            "Round trip of 8 bytes, blocking calls",
            Scale::Nanoseconds,
        ),
        ("one_by_one_8", "throughput.svg", "8-byte messages one way, one by one", Scale::Messages),
        ("crowd_2p2c_8", "crowd.svg", "Two producers, two consumers, 8 bytes", Scale::Messages),
        ("crowd_4p4c_8", "crowd-4.svg", "Four producers, four consumers, two cores, 8 bytes", Scale::Messages),
    ];
    for (id, file, title, scale) in bars {
        if let Some(answer) = findings.answer(id) {
            draw_bars(&folder.join(file), title, findings, answer, scale)?;
        }
    }
    if let Some(answer) = findings.answer("each_round_trip_8") {
        draw_percentiles(&folder.join("percentiles.svg"), findings, answer)?;
    }
    draw_sizes(&folder.join("sizes.svg"), findings)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Less is better.
    Nanoseconds,
    /// More is better.
    Messages,
}

/// Positions on an axis of powers of ten, from `from` to `to` pixels.
struct Axis {
    least: f64,
    most: f64,
    from: i32,
    to: i32,
}

impl Axis {
    /// One that shows all of these.
    fn of(values: impl Iterator<Item = f64>, from: i32, to: i32) -> Axis {
        let (least, most) = values.fold((f64::MAX, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
        let least = 10f64.powf(least.log10().floor());
        Axis { least, most: (most * 1.1).max(least * 10.0), from, to }
    }

    fn at(&self, value: f64) -> i32 {
        let part = (value / self.least).log10() / (self.most / self.least).log10();
        self.from + (f64::from(self.to - self.from) * part.clamp(0.0, 1.0)).round() as i32
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        let (first, last) = (self.least.log10().round() as i32, self.most.log10().floor() as i32);
        (first..=last).map(|power| 10f64.powi(power))
    }
}

/// A white page with a title, and below it what the figures are of.
fn page<'a>(path: &'a Path, height: u32, title: &str, subtitle: &str, findings: &Findings) -> Result<Area<'a>> {
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    write(&area, title, (20, 26), 21, INK, HPos::Left)?;
    write(&area, subtitle, (20, 48), 13, FAINT, HPos::Left)?;
    write(&area, &findings.caption(), (20, height as i32 - 14), 12, FAINT, HPos::Left)?;
    Ok(area)
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, colour: RGBColor, side: HPos) -> Result {
    let style = (FONT, size).into_font().color(&colour).pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

fn stroke(area: &Area<'_>, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) -> Result {
    Ok(area.draw(&PathElement::new(points, colour.stroke_width(width)))?)
}

fn nanoseconds(nanoseconds: f64) -> String {
    match nanoseconds {
        1e6.. => format!("{} ms", rounded(nanoseconds / 1e6)),
        1e3.. => format!("{} us", rounded(nanoseconds / 1e3)),
        _ => format!("{} ns", rounded(nanoseconds)),
    }
}

fn per_second(per_second: f64, unit: &str) -> String {
    match per_second {
        1e9.. => format!("{} G{unit}/s", rounded(per_second / 1e9)),
        1e6.. => format!("{} M{unit}/s", rounded(per_second / 1e6)),
        1e3.. => format!("{} k{unit}/s", rounded(per_second / 1e3)),
        _ => format!("{} {unit}/s", rounded(per_second)),
    }
}

/// One bar for each candidate, the best first, and the limit as a line through all.
fn draw_bars(path: &Path, title: &str, findings: &Findings, answer: &Answer, scale: Scale) -> Result {
    const BAR: i32 = 24;
    const LEFT: i32 = 210;
    const RIGHT: i32 = 830;
    // A bulk copy has no messages; what it could carry of these is the limit.
    let bytes = answer.rows.iter().find(|line| line.role == Role::Ringway).map_or(8, |line| line.bytes);
    let value = |line: &Line| match scale {
        Scale::Nanoseconds => line.nanoseconds,
        Scale::Messages => line.bytes_per_second().map(|speed| speed / bytes as f64),
    };
    let mut bars: Vec<(&Line, f64)> = answer
        .rows
        .iter()
        .filter(|line| line.role != Role::Limit)
        .filter_map(|line| Some((line, value(line)?)))
        .collect();
    bars.sort_by(|one, other| one.1.total_cmp(&other.1));
    if scale == Scale::Messages {
        bars.reverse();
    }
    let limit =
        answer.rows.iter().find(|line| line.role == Role::Limit).and_then(|line| Some((line.name, value(line)?)));
    let height = TOP + 24 + bars.len() as i32 * BAR + BOTTOM;
    let better = if scale == Scale::Nanoseconds { "shorter" } else { "longer" };
    let subtitle = format!("{better} is better; powers of ten");
    let area = page(path, height as u32, title, &subtitle, findings)?;
    legend(&area)?;
    let text = |value: f64| match scale {
        Scale::Nanoseconds => nanoseconds(value),
        Scale::Messages => per_second(value, ""),
    };
    let values = bars.iter().map(|bar| bar.1).chain(limit.map(|limit| limit.1));
    let axis = Axis::of(values, LEFT, RIGHT);
    let (top, bottom) = (TOP + 20, TOP + 24 + bars.len() as i32 * BAR);
    for power in axis.powers() {
        stroke(&area, vec![(axis.at(power), top), (axis.at(power), bottom)], GRID, 1)?;
        write(&area, &text(power), (axis.at(power), bottom + 10), 11, FAINT, HPos::Center)?;
    }
    for (index, (line, value)) in bars.iter().enumerate() {
        let middle = TOP + 24 + index as i32 * BAR + BAR / 2;
        let colour = match line.role {
            Role::Ringway => RINGWAY,
            Role::InProcess => IN_PROCESS,
            _ => ACROSS,
        };
        write(&area, line.name, (LEFT - 8, middle), 14, INK, HPos::Right)?;
        let bar = [(LEFT, middle - 8), (axis.at(*value), middle + 8)];
        area.draw(&Rectangle::new(bar, colour.filled()))?;
        write(&area, &text(*value), (axis.at(*value) + 6, middle), 13, INK, HPos::Left)?;
    }
    if let Some((name, value)) = limit {
        let at = axis.at(value);
        stroke(&area, vec![(at, top), (at, bottom)], LIMIT, 2)?;
        let side = if at > WIDTH as i32 / 2 { HPos::Right } else { HPos::Left };
        write(&area, &format!("{name}: {}", text(value)), (at, top - 9), 12, LIMIT, side)?;
    }
    Ok(area.present()?)
}

/// What the colours of bars mean.
fn legend(area: &Area<'_>) -> Result {
    let entries = [(RINGWAY, "ringway, two processes"), (ACROSS, "two processes"), (IN_PROCESS, "in one process only")];
    let mut at = WIDTH as i32 - 20;
    for (colour, text) in entries.iter().rev() {
        write(area, text, (at, 48), 12, INK, HPos::Right)?;
        at -= text.len() as i32 * 6 + 18;
        area.draw(&Rectangle::new([(at - 2, 43), (at + 8, 53)], colour.filled()))?;
        at -= 20;
    }
    Ok(())
}

/// A line of a chart: its points, in pixels.
struct Curve<'f> {
    name: &'f str,
    role: Role,
    points: Vec<(i32, i32)>,
}

/// Draws curves, and writes their names where they end, without one upon another.
fn draw_curves(area: &Area<'_>, curves: &[Curve<'_>], bottom: i32) -> Result {
    const LINE: i32 = 15;
    let mut colours = COLOURS.iter().cycle();
    let mut labels = Vec::new();
    for curve in curves {
        let (colour, width) = match (curve.role, curve.name) {
            (Role::Limit, _) => (LIMIT, 3),
            (Role::Ringway, name) if name.contains("spsc") => (RINGWAY, 3),
            (Role::Ringway, _) => (RGBColor(240, 140, 0), 3),
            _ => (*colours.next().unwrap_or(&INK), 1),
        };
        stroke(area, curve.points.clone(), colour, width)?;
        for point in &curve.points {
            area.draw(&Circle::new(*point, width as i32 + 1, colour.filled()))?;
        }
        let name = if curve.role == Role::InProcess { format!("{} *", curve.name) } else { curve.name.into() };
        if let Some(last) = curve.points.last() {
            labels.push((last.1, last.0, name, colour));
        }
    }
    labels.sort_by_key(|label| label.0);
    // From the bottom up there is room for each; then from the top down none is upon another.
    let mut least = bottom - LINE * labels.len() as i32;
    for (y, x, name, colour) in labels {
        let at = y.max(least + LINE);
        least = at;
        stroke(area, vec![(x + 3, y), (x + 12, at)], colour, 1)?;
        write(area, &name, (x + 16, at), 12, colour, HPos::Left)?;
    }
    Ok(())
}

/// Where curves lie, and the grid behind them.
struct Field {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Field {
    const WHOLE: Field = Field { left: 90, right: 740, top: TOP + 16, bottom: 520 };
    const HEIGHT: u32 = 590;

    fn grid(&self, area: &Area<'_>, rows: &Axis, text: impl Fn(f64) -> String, columns: &[String]) -> Result {
        for power in rows.powers() {
            stroke(area, vec![(self.left, rows.at(power)), (self.right, rows.at(power))], GRID, 1)?;
            write(area, &text(power), (self.left - 8, rows.at(power)), 12, FAINT, HPos::Right)?;
        }
        for (index, column) in columns.iter().enumerate() {
            let at = self.column(index, columns.len());
            stroke(area, vec![(at, self.top), (at, self.bottom)], GRID, 1)?;
            write(area, column, (at, self.bottom + 14), 12, FAINT, HPos::Center)?;
        }
        Ok(())
    }

    fn column(&self, index: usize, of: usize) -> i32 {
        self.left + (self.right - self.left) * index as i32 / (of as i32 - 1).max(1)
    }
}

/// How long the slowest of two, of ten, of a hundred ... round trips takes.
fn draw_percentiles(path: &Path, findings: &Findings, answer: &Answer) -> Result {
    let lines: Vec<(&Line, [u64; 5])> = answer.rows.iter().filter_map(|line| Some((line, line.percentiles?))).collect();
    let subtitle = "lower is better; each by a clock, which takes its time as well; *: in one process only";
    let title = "Each round trip of 8 bytes, both sides awake, by percentiles";
    let area = page(path, Field::HEIGHT, title, subtitle, findings)?;
    let field = Field::WHOLE;
    let all = lines.iter().flat_map(|line| line.1).map(|at| at as f64);
    let axis = Axis::of(all, field.bottom, field.top);
    let columns = PERCENTILES.map(|part| format!("{} %", rounded_percent(part)));
    field.grid(&area, &axis, nanoseconds, &columns)?;
    let curve = |(line, percentiles): &(&Line, [u64; 5])| {
        let point = |(index, at): (usize, &u64)| (field.column(index, PERCENTILES.len()), axis.at(*at as f64));
        let points = percentiles.iter().enumerate().map(point).collect();
        (line.name, line.role, points)
    };
    let curves: Vec<Curve<'_>> =
        lines.iter().map(curve).map(|(name, role, points)| Curve { name, role, points }).collect();
    draw_curves(&area, &curves, field.bottom)?;
    Ok(area.present()?)
}

fn rounded_percent(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes per second, by the size of messages.
fn draw_sizes(path: &Path, findings: &Findings) -> Result {
    let id = |answer: &&Answer| answer.id.starts_with("one_by_one_");
    let answers: Vec<&Answer> = findings.answers.iter().filter(id).collect();
    let Some(first) = answers.first().filter(|_| answers.len() > 1) else {
        return Ok(());
    };
    let title = "One way, one by one: throughput by the size of messages";
    let area = page(path, Field::HEIGHT, title, "higher is better; *: in one process only", findings)?;
    let field = Field::WHOLE;
    let speed = |answer: &Answer, name: &str| {
        answer.rows.iter().find(|line| line.name == name).and_then(Line::bytes_per_second)
    };
    let all = answers.iter().flat_map(|answer| &answer.rows).filter_map(Line::bytes_per_second);
    let axis = Axis::of(all, field.bottom, field.top);
    let size = |answer: &&Answer| answer.id.trim_start_matches("one_by_one_").to_owned() + " B";
    let columns: Vec<String> = answers.iter().map(size).collect();
    field.grid(&area, &axis, |value| per_second(value, "B"), &columns)?;
    let curves: Vec<Curve<'_>> = first
        .rows
        .iter()
        .map(|line| {
            let point = |(index, answer): (usize, &&Answer)| {
                Some((field.column(index, answers.len()), axis.at(speed(answer, line.name)?)))
            };
            Curve { name: line.name, role: line.role, points: answers.iter().enumerate().filter_map(point).collect() }
        })
        .collect();
    draw_curves(&area, &curves, field.bottom)?;
    Ok(area.present()?)
}
