//! `ringway info`: all that is known of one ring.

use crate::failure::{Code, Failure};
use crate::observe::{self, Activity, Observed, Watched};
use crate::out::{Out, Style};
use crate::report;
use crate::show::{self, Cell};
use clap::Args;
use ringway::inspect::{Contents, HeldCell, Kind, Layout, PeerState, Picture, Process, RoleHolder, SystemV};
use std::io::{self, Write};
use std::time::Duration;

/// Show all that is known of a ring.
///
/// Layout, positions, who is attached, who holds which cell and for how long, deaths and what was made good after them. Of
/// a ring whose header is wrong it says what is wrong, and exits with 4.
///
/// SEEN is when a process was last known to be at work on the ring: `now` if its end moved while we looked, and it is the
/// only one that has such an end; else how long ago it last attached, made or gave up an end, waited, or looked for the
/// dead. Who waits is seen every 100 ms; who pushes and pops without having to wait leaves no trace, and may have done so
/// since. HELD is for how long we have seen a cell held; it may have been before.
///
/// A System V segment is attached to be looked at, for a moment and for reading only: who has attached or detached last may
/// be an earlier run of this command, or of `ls`.
#[derive(Debug, Args)]
pub struct Info {
    /// The ring: a name, sysv:KEY, or a path
    name: String,
    /// How long to measure rates for, in milliseconds
    #[arg(long, default_value_t = 100, value_name = "MS")]
    interval: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Info {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let mut ring = Watched::new(observe::open(&self.name)?);
        let mut observed = ring.look()?;
        if self.interval > 0 && observed.picture.contents.is_some() {
            std::thread::sleep(Duration::from_millis(self.interval));
            observed = ring.look()?;
        }
        match self.json {
            true => out.json(&report::Ring::from(&observed))?,
            false => print(out, &observed)?,
        }
        match report::status(&observed.picture) {
            "ok" => Ok(()),
            _ => Err(Failure::Silent(Code::Corrupt)),
        }
    }
}

fn print(out: &mut Out, observed: &Observed) -> io::Result<()> {
    let picture = &observed.picture;
    let status = report::status(picture);
    let style = if status == "ok" { Style::Good } else { Style::Bad };
    let status = out.styled(style, status);
    line(out, "ring", &format!("{}  {status}", show::harmless(&picture.name)))?;
    file(out, picture)?;
    if let Some(version) = picture.version {
        line(out, "layout version", &version.to_string())?;
    }
    for (index, error) in picture.errors.iter().enumerate() {
        let error = out.styled(Style::Bad, &show::harmless(&error.to_string()));
        line(out, if index == 0 { "wrong" } else { "" }, &error)?;
    }
    if let Some(stated) = &picture.layout {
        layout(out, stated, picture)?;
    }
    match &picture.contents {
        Some(contents) => inside(out, contents, observed),
        None => {
            let used =
                if picture.in_use { "some process is attached, by the kernel's word" } else { "none is attached" };
            line(out, "processes", used)
        }
    }
}

fn line(out: &mut Out, key: &str, value: &str) -> io::Result<()> {
    let key = out.styled(Style::Heading, &format!("{key:<15}"));
    writeln!(out, "{key} {value}")
}

fn file(out: &mut Out, picture: &Picture) -> io::Result<()> {
    let file = &picture.file;
    let unlinked = if file.links == 0 { ", without a name: it goes with the last process that has it" } else { "" };
    match (&picture.system_v, report::path(picture)) {
        (Some(segment), _) => system_v(out, segment, picture, unlinked)?,
        (None, path) => {
            let path = show::harmless(&path.unwrap_or_default());
            line(out, "file", &format!("{path}  inode {}{unlinked}", file.inode))?;
        }
    }
    let (owner, group) = (show::user(file.owner), show::group(file.group));
    line(out, "owner", &format!("{owner}:{group}  mode {:04o}", file.mode))?;
    let (size, allocated, page) = (show::bytes(file.size), show::bytes(file.allocated), show::bytes(file.page));
    line(out, "memory", &format!("{size} ({} bytes), {allocated} set aside, pages of {page}", file.size))
}

/// What the kernel keeps of a System V segment.
fn system_v(out: &mut Out, segment: &SystemV, picture: &Picture, unlinked: &str) -> io::Result<()> {
    line(out, "segment", &format!("System V, shmid {}{unlinked}", segment.id))?;
    let process = |pid: u32| if pid == 0 { "a process elsewhere".to_owned() } else { format!("process {pid}") };
    let (creator, last) = (process(segment.creator), process(segment.last));
    line(out, "made", &format!("by {creator}"))?;
    line(out, "attached", &format!("{} now, last change by {last}", segment.attached))?;
    let ago =
        |time: Option<_>| time.map_or_else(|| "never".to_owned(), |then| show::ago(then, picture.taken_at) + " ago");
    let (attached, detached) = (ago(segment.attached_at), ago(segment.detached_at));
    let changed = ago(Some(segment.changed_at));
    line(out, "times", &format!("attached {attached}, detached {detached}, made or changed {changed}"))
}

/// What the header says.
fn layout(out: &mut Out, layout: &Layout, picture: &Picture) -> io::Result<()> {
    let kind = match layout.kind {
        Some(Kind::Spsc) => "spsc: one producer, one consumer",
        Some(Kind::Mpmc) => "mpmc: many producers, many consumers",
        Some(Kind::Latest) => "latest: one writer, many readers, the newest value",
        None => "unknown",
    };
    line(out, "kind", kind)?;
    let name = show::harmless(&layout.type_name);
    let (size, align) = (layout.item_size, layout.item_align);
    line(out, "message", &format!("{name}  {size} bytes, aligned to {align}, schema {:#018x}", layout.schema))?;
    let Layout { capacity, cells, stride, items_per_cell, payload_offset, .. } = layout;
    line(out, "capacity", &format!("{capacity} messages, {} processes", layout.processes))?;
    let each = format!("{items_per_cell} per cell, the first at byte {payload_offset}");
    line(out, "cells", &format!("{cells} of {stride} bytes, {each}"))?;
    let boot = if layout.other_boot { "in another boot" } else { "in this boot" };
    let age = show::ago(layout.created_at, picture.taken_at);
    line(out, "created", &format!("{age} ago, {boot} ({})", report::boot(layout.boot_id)))?;
    line(out, "lifetime", report::lifetime(layout.lifetime))
}

fn inside(out: &mut Out, contents: &Contents, observed: &Observed) -> io::Result<()> {
    let picture = &observed.picture;
    let capacity = picture.layout.as_ref().map_or(0, |layout| layout.capacity);
    let percent = contents.fill as f64 / capacity.max(1) as f64 * 100.0;
    let bar = if out.is_terminal { show::bar(contents.fill, capacity, 20) + " " } else { String::new() };
    let about = if contents.still { "" } else { ", about: it moves" };
    line(out, "fill", &format!("{bar}{} of {capacity} ({percent:.0}%){about}", contents.fill))?;
    line(out, "positions", &format!("pushed {}, popped {}", contents.pushed, contents.popped))?;
    if let Some(rates) = observed.rates {
        let (pushed, popped) = (show::count(rates.pushed), show::count(rates.popped));
        line(out, "rates", &format!("{pushed}/s in, {popped}/s out"))?;
    }
    let sleepers = [
        (contents.consumers_asleep, "consumers, for a message"),
        (contents.producers_asleep, "producers, for room"),
        (contents.peers_asleep, "somebody, for a peer"),
    ];
    let asleep: Vec<&str> = sleepers.iter().filter(|(event, _)| event.asleep).map(|&(_, who)| who).collect();
    line(out, "asleep", &if asleep.is_empty() { "nobody".to_owned() } else { asleep.join("; ") })?;
    let kind = picture.layout.as_ref().and_then(|layout| layout.kind);
    match contents.roles {
        Some(roles) if kind == Some(Kind::Latest) => line(out, "writer", &role(roles.producer))?,
        Some(roles) => {
            line(out, "producer", &role(roles.producer))?;
            line(out, "consumer", &role(roles.consumer))?;
        }
        None => {}
    }
    if kind == Some(Kind::Mpmc) {
        let recovered = &contents.recovered;
        let (deaths, skipped, redelivered) = (recovered.deaths, recovered.skipped, recovered.redelivered);
        let counts = format!("{deaths} cleared up after, {skipped} messages skipped, {redelivered} to be redelivered");
        line(out, "deaths", &counts)?;
        let now = format!("{} to be redelivered, {} skipped", contents.orphans, contents.skips);
        line(out, "in the ring", &format!("{now}, adopted {} times at most", contents.most_adopted))?;
    }
    for (index, corrupted) in contents.corrupted.iter().enumerate() {
        let corrupted = out.styled(Style::Bad, &corrupted.to_string());
        line(out, if index == 0 { "corrupted" } else { "" }, &corrupted)?;
    }
    processes(out, contents, observed)?;
    held(out, contents, observed)
}

fn role(holder: RoleHolder) -> String {
    match holder {
        RoleHolder::NeverCame => "never came".to_owned(),
        RoleHolder::Alive { pid } => format!("process {pid}"),
        RoleHolder::Left => "has left".to_owned(),
        RoleHolder::Dead { pid } => format!("process {pid}, dead: the role can be claimed"),
    }
}

fn processes(out: &mut Out, contents: &Contents, observed: &Observed) -> io::Result<()> {
    let now = observed.picture.taken_at;
    if contents.processes.is_empty() {
        return line(out, "processes", "none is attached");
    }
    writeln!(out)?;
    let headings = [
        ("PID", true),
        ("STATE", false),
        ("ENDS", false),
        ("SINCE", true),
        ("SEEN", true),
        ("DEATHS", true),
        ("COMMAND", false),
    ];
    let row = |process: &Process| {
        let seen = match observed.activity(process) {
            Activity::Now => "now".to_owned(),
            Activity::At(time) => show::ago(time, now),
        };
        let style = match process.state {
            PeerState::Dead => Style::Bad,
            PeerState::Stopped => Style::Odd,
            _ => Style::Plain,
        };
        let command = process.command.as_ref().map(|words| show::harmless(&words.join(" ")));
        let elsewhere = if process.elsewhere { "(in another pid namespace)" } else { "" };
        vec![
            Cell::plain(process.pid.to_string()),
            Cell::styled(style, report::state(process.state)),
            Cell::plain(ends(process)),
            Cell::plain(show::ago(process.attached_at, now)),
            Cell::plain(seen),
            Cell::plain(process.deaths_before.to_string()),
            Cell::plain(command.unwrap_or_else(|| elsewhere.to_owned())),
        ]
    };
    let rows: Vec<Vec<Cell>> = contents.processes.iter().map(row).collect();
    show::table(out, &headings, &rows)
}

/// `2 producers, 1 consumer`.
pub fn ends(process: &Process) -> String {
    let plural = |count: u64, one: &str| match count {
        0 => None,
        1 => Some(one.to_owned()),
        many => Some(format!("{many} {one}s")),
    };
    let ends: Vec<String> =
        [plural(process.producers, "producer"), plural(process.consumers, "consumer")].into_iter().flatten().collect();
    if ends.is_empty() { "-".to_owned() } else { ends.join(", ") }
}

fn held(out: &mut Out, contents: &Contents, observed: &Observed) -> io::Result<()> {
    if contents.held.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = [
        ("CELL", true),
        ("POSITION", true),
        ("MESSAGES", true),
        ("PID", true),
        ("DOES", false),
        ("HELD", true),
        ("IN THE WAY", true),
    ];
    let row = |(held, held_for): (&HeldCell, &Duration)| {
        let held_for = if held_for.is_zero() { "?".to_owned() } else { format!(">{}", show::duration(*held_for)) };
        let in_the_way = held.in_the_way_for.map(|time| format!("for {}", show::duration(time)));
        vec![
            Cell::plain(held.cell.to_string()),
            Cell::plain(held.position.to_string()),
            Cell::plain(held.messages.to_string()),
            Cell::plain(held.pid.to_string()),
            Cell::plain(if held.pushing { "push" } else { "pop" }),
            Cell::plain(held_for),
            in_the_way.map_or_else(|| Cell::plain("no"), |text| Cell::styled(Style::Odd, text)),
        ]
    };
    const MOST: usize = 20;
    let rows: Vec<Vec<Cell>> = contents.held.iter().zip(&observed.held_for).take(MOST).map(row).collect();
    show::table(out, &headings, &rows)?;
    match contents.held_count as usize {
        count if count > MOST => writeln!(out, "and {} more", count - MOST),
        _ => Ok(()),
    }
}
