//! Pictures of rings, and what two of them say of the time in between.

use crate::failure::{Code, Failure};
use ringway::InspectError;
use ringway::inspect::{Listing, PeerState, Picture, Segment};
use std::path::Path;
use std::time::{Duration, Instant};

/// A ring, as it was seen twice.
#[derive(Debug)]
pub struct Observed {
    /// As it was in the end.
    pub picture: Picture,
    /// What went on in between; `None` if nothing was to be compared.
    pub rates: Option<Rates>,
}

/// Messages per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub pushed: f64,
    pub popped: f64,
}

/// Opens what a person calls NAME: a name, or a path if there is a `/` in it.
pub fn open(name: &str) -> Result<Segment, InspectError> {
    match name.contains('/') {
        true => Segment::open_path(name),
        false => Segment::open(name),
    }
}

/// All that has a name.
pub fn list() -> Result<Listing, Failure> {
    let failed = |error| Failure::new(Code::Failed, format!("the folder of shared memory cannot be read: {error}"));
    ringway::inspect::list().map_err(failed)
}

/// A segment whose pictures are compared with one another.
#[derive(Debug)]
pub struct Watched {
    segment: Segment,
    last: Option<(Instant, Positions)>,
}

#[derive(Clone, Copy, Debug)]
struct Positions {
    pushed: u64,
    popped: u64,
}

impl Watched {
    pub fn new(segment: Segment) -> Watched {
        Watched { segment, last: None }
    }

    pub fn open(path: &Path) -> Result<Watched, InspectError> {
        Segment::open_path(path).map(Watched::new)
    }

    /// A picture, and the rates since the one before.
    pub fn look(&mut self) -> Result<Observed, InspectError> {
        let picture = self.segment.picture()?;
        let positions = picture.contents.as_ref().map(|c| Positions { pushed: c.pushed, popped: c.popped });
        let now = Instant::now();
        let last = self.last.take();
        self.last = positions.map(|positions| (now, positions));
        let rates = match (last, positions) {
            (Some((then, before)), Some(after)) => Some(rates(before, after, now - then)),
            _ => None,
        };
        Ok(Observed { picture, rates })
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
