//! Numbers, times and tables, as people read them.

use crate::out::{Out, Style};
use std::fs;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// `1536` as `1.5K`, in powers of 1024.
pub fn bytes(count: u64) -> String {
    scaled(count as f64, 1024.0, &["", "K", "M", "G", "T", "P", "E"])
}

/// `1500` as `1.5k`, in powers of 1000.
pub fn count(count: f64) -> String {
    scaled(count, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be shown as a whole step belongs to the next unit.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    match unit {
        _ if unit == 0 || value >= 9.95 => format!("{value:.0}{}", units[unit]),
        _ => format!("{value:.1}{}", units[unit]),
    }
}

/// The coarsest unit that says something.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..=99 => format!("{seconds}s"),
        100..=5_999 => format!("{}min", seconds / 60),
        6_000..=359_999 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago that was; `future` for a time that has not come.
pub fn ago(then: SystemTime, now: SystemTime) -> String {
    now.duration_since(then).map_or_else(|_| "future".to_owned(), duration)
}

/// What others wrote, with nothing in it that a terminal would obey.
pub fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// The name of a user, or its number.
pub fn user(id: u32) -> String {
    named("/etc/passwd", id)
}

/// The name of a group, or its number.
pub fn group(id: u32) -> String {
    named("/etc/group", id)
}

/// The first field of the line whose third is `id`.
fn named(file: &str, id: u32) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| harmless(name))
    });
    name.unwrap_or_else(|| id.to_string())
}

/// `part` of `whole` as so many of `width` characters.
pub fn bar(part: u64, whole: u64, width: usize) -> String {
    let full = match (part, whole) {
        (0, _) | (_, 0) => 0,
        _ => ((part.min(whole) as f64 / whole as f64 * width as f64).round() as usize).max(1),
    };
    format!("{}{}", "█".repeat(full), "·".repeat(width - full))
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    pub text: String,
    pub style: Style,
}

impl Cell {
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::Plain }
    }

    pub fn styled(style: Style, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style }
    }
}

/// A column's heading, and whether its cells are aligned to the right.
pub type Heading = (&'static str, bool);

/// What stands between two columns.
const GAP: &str = "  ";

/// How wide each column must be.
fn widths(headings: &[Heading], rows: &[Vec<Cell>]) -> Vec<usize> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain([headings[column].0.chars().count()]).max().unwrap_or(0)
    };
    (0..headings.len()).map(width).collect()
}

/// How wide a table is.
pub fn width(headings: &[Heading], rows: &[Vec<Cell>]) -> usize {
    let widths = widths(headings, rows);
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Prints rows under their headings, each column as wide as it must be. On a terminal the last column is cut off where
/// that ends.
pub fn table(out: &mut Out, headings: &[Heading], rows: &[Vec<Cell>]) -> io::Result<()> {
    let widths = widths(headings, rows);
    let before_last: usize = widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum();
    let room = out.width.saturating_sub(before_last).max(10);
    let head = headings.iter().map(|(heading, _)| Cell::styled(Style::Heading, *heading)).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.text.chars().count());
            let last = column + 1 == row.len();
            let text = match last && cell.text.chars().count() > room {
                true => out.styled(cell.style, &(cell.text.chars().take(room - 1).collect::<String>() + "…")),
                false => out.styled(cell.style, &cell.text),
            };
            match headings[column].1 {
                true => line += &format!("{padding}{text}"),
                false if last => line += &text,
                false => line += &format!("{text}{padding}"),
            }
            if !last {
                line += GAP;
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, short) in [(0, "0"), (1023, "1023"), (1024, "1.0K"), (1536, "1.5K"), (10_240, "10K")] {
            assert_eq!(bytes(number), short);
        }
        assert_eq!(bytes((1 << 20) - 1), "1.0M");
        assert_eq!(bytes(u64::MAX), "16E");
        for (number, short) in [(0.0, "0"), (999.4, "999"), (999.6, "1.0k"), (123_456.0, "123k"), (2.5e9, "2.5G")] {
            assert_eq!(count(number), short);
        }
    }

    #[test]
    fn times_are_short() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([of(1), of(99), of(100), of(7_200), of(400_000)], ["1s", "99s", "1min", "2h", "4d"]);
        assert_eq!(duration(Duration::from_millis(12)), "12ms");
        let now = SystemTime::now();
        assert_eq!(ago(now + Duration::from_secs(9), now), "future");
    }

    #[test]
    fn nothing_obeys_what_others_wrote() {
        assert_eq!(harmless("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn a_bar_shows_what_is_there_and_no_more_than_all() {
        assert_eq!([bar(0, 8, 4), bar(1, 1_000, 4), bar(4, 8, 4), bar(9, 8, 4)], ["····", "█···", "██··", "████"]);
    }
}
