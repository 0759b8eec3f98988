//! `ringway ls`: every ring on the machine.

use crate::failure::Failure;
use crate::observe::{self, Observed, Watched, alive_and_dead, open};
use crate::out::{Out, Style};
use crate::report;
use crate::show::{self, Cell, Heading};
use clap::{Args, ValueEnum};
use ringway::inspect::{Kind, Listing, Maker};
use std::io::Write;
use std::time::Duration;

/// List the rings of this machine.
///
/// All that have a name in /dev/shm or a System V key, of every type and version; those that are named, if any. What is no
/// ring is left out. Rings in memory that has no name, memfds, are listed when they are named: /proc/PID/fd/N. A terminal
/// that is too narrow gets fewer columns; -o says which, whatever the width.
#[derive(Debug, Args)]
pub struct Ls {
    /// Rings to list; all if none is given
    names: Vec<String>,
    /// Columns, in this order
    #[arg(short = 'o', long, value_delimiter = ',', value_name = "COLUMN", default_values_t = Column::ALL, hide_default_value = true)]
    columns: Vec<Column>,
    /// How long to measure rates for, in milliseconds
    #[arg(long, default_value_t = 100, value_name = "MS")]
    interval: u64,
    /// Print JSON: everything that is known of each ring
    #[arg(long, conflicts_with = "columns")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Name,
    Kind,
    Item,
    Capacity,
    Fill,
    In,
    Out,
    Procs,
    Owner,
    Mode,
    Size,
    Age,
    Type,
    Status,
    Inode,
    Path,
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().expect("no column is hidden").get_name())
    }
}

impl Column {
    /// Those that are there when nobody asks for others.
    const ALL: [Column; 12] = [
        Column::Name,
        Column::Kind,
        Column::Item,
        Column::Capacity,
        Column::Fill,
        Column::In,
        Column::Out,
        Column::Procs,
        Column::Owner,
        Column::Mode,
        Column::Size,
        Column::Age,
    ];

    /// Those that are left out where there is no room, when nobody has asked for them.
    const FIRST_TO_GO: [Column; 5] = [Column::Mode, Column::Size, Column::Owner, Column::Item, Column::Capacity];

    fn heading(self) -> Heading {
        match self {
            Column::Name => ("NAME", false),
            Column::Kind => ("KIND", false),
            Column::Item => ("ITEM", true),
            Column::Capacity => ("CAPACITY", true),
            Column::Fill => ("FILL", true),
            Column::In => ("IN/S", true),
            Column::Out => ("OUT/S", true),
            Column::Procs => ("PROCS", true),
            Column::Owner => ("OWNER", false),
            Column::Mode => ("MODE", false),
            Column::Size => ("SIZE", true),
            Column::Age => ("AGE", true),
            Column::Type => ("TYPE", false),
            Column::Status => ("STATUS", false),
            Column::Inode => ("INODE", true),
            Column::Path => ("PATH", false),
        }
    }

    /// Needs two pictures.
    fn is_rate(self) -> bool {
        matches!(self, Column::In | Column::Out)
    }
}

impl Ls {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let listing = observe::list()?;
        let wants_rates = self.json || self.columns.iter().any(|column| column.is_rate());
        let interval = Duration::from_millis(if wants_rates { self.interval } else { 0 });
        let rings = match self.names.is_empty() {
            true => all(&listing, interval),
            false => named(&self.names, interval)?,
        };
        let temporaries = if self.names.is_empty() { listing.temporaries } else { Vec::new() };
        let unreadable = if self.names.is_empty() { listing.unreadable } else { 0 };
        if self.json {
            let list = report::List {
                rings: rings.iter().map(report::Ring::from).collect(),
                temporaries: temporaries.iter().map(report::InTheMaking::from).collect(),
                unreadable,
            };
            return out.json(&list);
        }
        let (headings, rows) = self.fitting(&rings, out);
        show::table(out, &headings, &rows)?;
        let of = |maker| temporaries.iter().filter(|temporary| temporary.maker == maker).count();
        let (leftovers, unproven) = (of(Maker::Dead), of(Maker::Unproven));
        if leftovers > 0 {
            writeln!(out, "{leftovers} left by creators that were killed: `ringway gc` removes them")?;
        }
        if unproven > 0 {
            writeln!(out, "{unproven} being made, or left, by creators of another build: see `ringway gc --unproven`")?;
        }
        if unreadable > 0 {
            writeln!(out, "{unreadable} more files or System V segments may not be read, and may be rings")?;
        }
        Ok(())
    }
}

impl Ls {
    /// The table. Unless columns were asked for, what fits into the terminal.
    fn fitting(&self, rings: &[Observed], out: &Out) -> (Vec<Heading>, Vec<Vec<Cell>>) {
        let table = |columns: &[Column], bars: bool| {
            let row = |ring: &Observed| columns.iter().map(|&column| cell(ring, column, bars)).collect();
            let headings: Vec<Heading> = columns.iter().map(|column| column.heading()).collect();
            (headings, rings.iter().map(row).collect::<Vec<Vec<Cell>>>())
        };
        let mut columns = self.columns.clone();
        let mut shown = table(&columns, out.is_terminal);
        let mut less = [None].into_iter().chain(Column::FIRST_TO_GO.map(Some));
        while self.columns == Column::ALL && show::width(&shown.0, &shown.1) > out.width {
            let Some(gone) = less.next() else { break };
            columns.retain(|&column| Some(column) != gone);
            shown = table(&columns, false);
        }
        shown
    }
}

/// Pictures of all that are still there.
fn all(listing: &Listing, interval: Duration) -> Vec<Observed> {
    let watched = listing.rings.iter().filter_map(|ring| Watched::open(&ring.source).ok()).collect();
    look_twice(watched, interval)
}

fn named(names: &[String], interval: Duration) -> Result<Vec<Observed>, Failure> {
    let watched = names.iter().map(|name| open(name).map(Watched::new)).collect::<Result<_, _>>()?;
    Ok(look_twice(watched, interval))
}

fn look_twice(mut watched: Vec<Watched>, interval: Duration) -> Vec<Observed> {
    if !interval.is_zero() && !watched.is_empty() {
        watched.retain_mut(|ring| ring.look().is_ok());
        std::thread::sleep(interval);
    }
    watched.iter_mut().filter_map(|ring| ring.look().ok()).collect()
}

fn cell(ring: &Observed, column: Column, bars: bool) -> Cell {
    let picture = &ring.picture;
    let unknown = || Cell::plain("?");
    let layout = picture.layout.as_ref().filter(|_| picture.errors.is_empty());
    let of_layout =
        |text: &dyn Fn(&ringway::inspect::Layout) -> String| layout.map(text).map_or_else(unknown, Cell::plain);
    let rate = |rate: Option<f64>| rate.map(show::count).map_or_else(unknown, Cell::plain);
    match column {
        Column::Name => Cell::plain(show::harmless(&picture.name)),
        Column::Kind => match (report::status(picture), layout.and_then(|layout| layout.kind)) {
            ("ok", Some(kind)) => Cell::plain(report::kind(kind)),
            (status, _) => Cell::styled(Style::Bad, status),
        },
        Column::Item => of_layout(&|layout| show::bytes(layout.item_size)),
        Column::Capacity => of_layout(&|layout| layout.capacity.to_string()),
        Column::Fill => fill(ring, bars),
        Column::In => rate(ring.rates.map(|rates| rates.pushed)),
        Column::Out => rate(ring.rates.map(|rates| rates.popped)),
        Column::Procs => procs(ring),
        Column::Owner => Cell::plain(show::user(picture.file.owner)),
        Column::Mode => Cell::plain(format!("{:04o}", picture.file.mode)),
        Column::Size => Cell::plain(show::bytes(picture.file.size)),
        Column::Age => of_layout(&|layout| show::ago(layout.created_at, picture.taken_at)),
        Column::Type => of_layout(&|layout| show::harmless(&layout.type_name)),
        Column::Status => match report::status(picture) {
            "ok" => Cell::plain("ok"),
            other => Cell::styled(Style::Bad, other),
        },
        Column::Inode => Cell::plain(picture.file.inode.to_string()),
        Column::Path => Cell::plain(show::harmless(&report::path(picture).unwrap_or_default())),
    }
}

fn fill(ring: &Observed, bars: bool) -> Cell {
    let (Some(contents), Some(layout)) = (&ring.picture.contents, &ring.picture.layout) else {
        return Cell::plain("?");
    };
    let style = match contents.fill {
        _ if !contents.corrupted.is_empty() => Style::Bad,
        fill if fill >= layout.capacity && layout.kind != Some(Kind::Latest) => Style::Odd,
        _ => Style::Plain,
    };
    let bar = if bars { show::bar(contents.fill, layout.capacity, 8) + " " } else { String::new() };
    Cell::styled(style, format!("{bar}{}", contents.fill))
}

/// `alive`, or `alive+dead`.
fn procs(ring: &Observed) -> Cell {
    match alive_and_dead(&ring.picture) {
        _ if ring.picture.contents.is_none() => Cell::plain(if ring.picture.in_use { "some" } else { "0" }),
        (alive, 0) => Cell::plain(alive.to_string()),
        (alive, dead) => Cell::styled(Style::Bad, format!("{alive}+{dead} dead")),
    }
}
