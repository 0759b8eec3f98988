//! Pictures of rings, and what two of them say of the time in between.

use crate::failure::{Code, Failure};
use ringway::inspect::{HeldCell, Listing, PeerState, Picture, Process, Segment};
use ringway::{InspectError, Source};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// A ring, as it was seen twice.
#[derive(Debug)]
pub struct Observed {
    /// As it was in the end.
    pub picture: Picture,
    /// What went on in between; `None` if nothing was to be compared.
    pub rates: Option<Rates>,
    /// For how long each of `held` of the picture has been seen as it is.
    pub held_for: Vec<Duration>,
}

/// Messages per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub pushed: f64,
    pub popped: f64,
}

/// When a process was at work on a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// While we looked.
    Now,
    /// Then, and perhaps since: see [`Process::seen_at`].
    At(SystemTime),
}

impl Observed {
    /// The end that moved while we looked was its own, and nobody else's.
    pub fn activity(&self, process: &Process) -> Activity {
        let processes = self.picture.contents.as_ref().map_or(&[][..], |contents| &contents.processes);
        let is_alone = |ends: fn(&Process) -> u64| {
            let others = processes.iter().filter(|other| other.record != process.record);
            ends(process) > 0 && others.filter(|other| other.state != PeerState::Dead).all(|other| ends(other) == 0)
        };
        let moved = self.rates.unwrap_or_default();
        let pushes = moved.pushed > 0.0 && is_alone(|process| process.producers);
        let pops = moved.popped > 0.0 && is_alone(|process| process.consumers);
        match process.state != PeerState::Dead && (pushes || pops) {
            true => Activity::Now,
            false => Activity::At(process.seen_at),
        }
    }
}

/// What a person calls NAME: a name; `sysv:KEY`; or, with a `/` in it, a path.
pub fn source(name: &str) -> Result<Source, Failure> {
    if let Some(key) = name.strip_prefix("sysv:") {
        let number = match key.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => key.parse().ok().or_else(|| key.parse::<i32>().ok().map(|key| key as u32)),
        };
        return number.map(|key| Source::system_v(key as i32)).ok_or_else(|| {
            let expected = "expected the key of a System V segment, such as sysv:0x00001234 (`ipcs -m` shows keys)";
            Failure::new(Code::Usage, format!("`{name}` cannot name a ring: {expected}"))
        });
    }
    if let Some((pid, descriptor)) = name.strip_prefix("/proc/").and_then(|rest| rest.split_once("/fd/")) {
        if let (Ok(pid), Ok(descriptor)) = (pid.parse(), descriptor.parse()) {
            return Ok(Source::fd_of(pid, descriptor));
        }
    }
    let path = Path::new(name);
    Ok(match (path.parent().filter(|_| name.contains('/')), path.file_name()) {
        (Some(folder), Some(file)) if folder == Path::new("/dev/shm") => Source::posix(file),
        (Some(folder), Some(file)) => Source::posix(file).dir(folder),
        _ => Source::posix(name),
    })
}

/// Opens what a person calls NAME, to be looked at. A path may lead to any file.
pub fn open(name: &str) -> Result<Segment, Failure> {
    Ok(match name.contains('/') && !name.starts_with("sysv:") {
        true => Segment::open_path(name)?,
        false => Segment::open(source(name)?)?,
    })
}

/// All that has a name.
pub fn list() -> Result<Listing, Failure> {
    let failed = |error| Failure::new(Code::Failed, format!("the folder of shared memory cannot be read: {error}"));
    ringway::inspect::list().map_err(failed)
}

/// A segment whose pictures are compared with one another.
#[derive(Debug)]
pub struct Watched {
    how: How,
    last: Option<(Instant, Positions)>,
    /// What was held when we last looked, and since when.
    held: Vec<(HeldCell, Instant)>,
}

#[derive(Debug)]
enum How {
    /// The very segment that was opened, whatever becomes of its name.
    Kept(Segment),
    /// Whatever is found by then.
    Anew(Source),
}

#[derive(Clone, Copy, Debug)]
struct Positions {
    inode: u64,
    pushed: u64,
    popped: u64,
}

impl Watched {
    pub fn new(segment: Segment) -> Watched {
        Watched { how: How::Kept(segment), last: None, held: Vec::new() }
    }

    pub fn open(source: &Source) -> Result<Watched, InspectError> {
        Segment::open(source).map(Watched::new)
    }

    /// To be looked at for long. Who looks at a System V segment counts as attached, and must not be in the way of whoever
    /// wants to remove it: so it is opened for each look.
    pub fn for_long(segment: Segment, source: &Source) -> Watched {
        let how = if segment.path().is_none() { How::Anew(source.clone()) } else { How::Kept(segment) };
        Watched { how, last: None, held: Vec::new() }
    }

    /// A picture, and the rates since the one before.
    pub fn look(&mut self) -> Result<Observed, InspectError> {
        let picture = match &self.how {
            How::Kept(segment) => segment.picture()?,
            How::Anew(source) => Segment::open(source)?.picture()?,
        };
        let inode = picture.file.inode;
        let positions = picture.contents.as_ref().map(|c| Positions { inode, pushed: c.pushed, popped: c.popped });
        let now = Instant::now();
        let last = self.last.take().filter(|(_, before)| before.inode == inode);
        self.last = positions.map(|positions| (now, positions));
        let rates = match (last, positions) {
            (Some((then, before)), Some(after)) => Some(rates(before, after, now - then)),
            _ => None,
        };
        let held = picture.contents.as_ref().map_or(&[][..], |contents| &contents.held);
        // The same hands in the same lap.
        let key = |cell: &HeldCell| (cell.position, cell.record, cell.pushing, cell.adopted);
        let since = |cell: &HeldCell| {
            self.held.iter().find(|(before, _)| key(before) == key(cell)).map_or(now, |&(_, since)| since)
        };
        self.held = held.iter().map(|cell| (*cell, since(cell))).collect();
        let held_for = self.held.iter().map(|&(_, since)| now - since).collect();
        Ok(Observed { picture, rates, held_for })
    }
}

fn rates(before: Positions, after: Positions, time: Duration) -> Rates {
    // What was read of a ring in motion may seem to have gone back a little.
    let per_second = |before: u64, after: u64| {
        let moved = (after.wrapping_sub(before) as i64).max(0);
        moved as f64 / time.as_secs_f64().max(1e-9)
    };
    Rates { pushed: per_second(before.pushed, after.pushed), popped: per_second(before.popped, after.popped) }
}

/// Processes that are alive, stopped ones included, and dead.
pub fn alive_and_dead(picture: &Picture) -> (usize, usize) {
    let processes = picture.contents.as_ref().map_or(&[][..], |contents| &contents.processes);
    let dead = processes.iter().filter(|process| process.state == PeerState::Dead).count();
    (processes.len() - dead, dead)
}
