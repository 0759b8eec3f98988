//! What `top` shows: which rings there are, in which order, and what is worth a look in each.

use super::Order;
use crate::failure::Failure;
use crate::observe::{self, Observed, Watched};
use crate::show;
use ringway::inspect::{HeldCell, PeerState, Segment};
use std::time::Duration;

/// All that is known, and how it is looked at.
#[derive(Debug)]
pub struct View {
    rings: Vec<Shown>,
    /// All that there are, or those that were named.
    all: bool,
    pub order: Order,
    pub is_reversed: bool,
    pub filter: String,
    /// Whether keys go to the filter.
    pub is_typing: bool,
    /// The inode of the ring whose processes are shown, and its place among the rows.
    chosen: Option<(u64, usize)>,
}

/// A ring, as it was last seen.
#[derive(Debug)]
struct Shown {
    /// As it is listed; nothing for one that was named.
    name: String,
    watched: Watched,
    observed: Option<Observed>,
}

impl View {
    /// Of the rings that are `named`, or of all.
    pub fn new(named: Vec<Watched>, order: Order, filter: String) -> View {
        let all = named.is_empty();
        let shown = |watched| Shown { name: String::new(), watched, observed: None };
        let rings = named.into_iter().map(shown).collect();
        View { rings, all, order, is_reversed: false, filter, is_typing: false, chosen: None }
    }

    /// Looks at each ring once more, and for new ones.
    pub fn look(&mut self) -> Result<(), Failure> {
        self.rings.retain_mut(|ring| {
            ring.observed = ring.watched.look().ok();
            // What has no name any more is of interest to who has asked for it.
            ring.observed.as_ref().is_some_and(|observed| !self.all || observed.picture.file.links > 0)
        });
        if self.all {
            for entry in observe::list()?.rings {
                if self.rings.iter().all(|ring| ring.name != entry.name) {
                    // Gone again, or not ours to read.
                    let Ok(segment) = Segment::open(&entry.source) else { continue };
                    let mut watched = Watched::for_long(segment, &entry.source);
                    let observed = watched.look().ok();
                    self.rings.push(Shown { name: entry.name, watched, observed });
                }
            }
        }
        Ok(())
    }

    /// Those to be shown, in order.
    pub fn rows(&self) -> Vec<&Observed> {
        let seen = self.rings.iter().filter_map(|ring| ring.observed.as_ref());
        let mut rows: Vec<&Observed> = seen.filter(|ring| ring.picture.name.contains(&self.filter)).collect();
        rows.sort_by(|a, b| a.picture.name.cmp(&b.picture.name));
        // The most first, of what is a number; by name among equals.
        let by = |measure: fn(&Observed) -> f64| move |a: &&Observed, b: &&Observed| measure(b).total_cmp(&measure(a));
        match self.order {
            Order::Name => {}
            Order::Fill => rows.sort_by(by(fullness)),
            Order::In => rows.sort_by(by(|ring| ring.rates.map_or(0.0, |rates| rates.pushed))),
            Order::Out => rows.sort_by(by(|ring| ring.rates.map_or(0.0, |rates| rates.popped))),
            Order::Lag => rows.sort_by(by(|ring| lag(ring).map_or(0.0, |lag| lag.seconds()))),
            Order::Deaths => rows.sort_by(by(|ring| deaths(ring) as f64)),
        }
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }

    /// Chooses the next row, or the one before.
    pub fn choose(&mut self, step: isize) {
        let inodes: Vec<u64> = self.rows().iter().map(|ring| ring.picture.file.inode).collect();
        let index = self.chosen(&inodes).saturating_add_signed(step).min(inodes.len().saturating_sub(1));
        self.chosen = inodes.get(index).map(|&inode| (inode, index));
    }

    /// Which of the rows is chosen: the same ring wherever it is by now, else the one in its place.
    pub fn chosen(&self, inodes: &[u64]) -> usize {
        let (inode, place) = self.chosen.unwrap_or_default();
        let last = inodes.len().saturating_sub(1);
        inodes.iter().position(|&other| other == inode).unwrap_or(place.min(last))
    }
}

/// How full it is: 0 to 1.
pub fn fullness(ring: &Observed) -> f64 {
    match (&ring.picture.contents, &ring.picture.layout) {
        (Some(contents), Some(layout)) => contents.fill as f64 / layout.capacity.max(1) as f64,
        _ => 0.0,
    }
}

/// How long it takes at the present rate until what is in the ring has been popped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lag {
    Seconds(f64),
    /// Nobody pops.
    Never,
}

impl Lag {
    fn seconds(self) -> f64 {
        match self {
            Lag::Seconds(seconds) => seconds,
            Lag::Never => f64::INFINITY,
        }
    }
}

impl std::fmt::Display for Lag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lag::Seconds(seconds) if *seconds < 0.001 => f.write_str("<1ms"),
            Lag::Seconds(seconds) => f.write_str(&show::duration(Duration::from_secs_f64(seconds.min(1e9)))),
            Lag::Never => f.write_str("never"),
        }
    }
}

/// `None` when there is nothing in the ring, or no rate yet.
pub fn lag(ring: &Observed) -> Option<Lag> {
    let fill = ring.picture.contents.as_ref()?.fill;
    let rate = ring.rates?.popped;
    match (fill, rate) {
        (0, _) => None,
        (_, rate) if rate > 0.0 => Some(Lag::Seconds(fill as f64 / rate)),
        _ => Some(Lag::Never),
    }
}

/// Deaths since the ring was created, cleared up after or not.
pub fn deaths(ring: &Observed) -> u64 {
    let (_, dead) = observe::alive_and_dead(&ring.picture);
    let cleared = ring.picture.contents.as_ref().map_or(0, |contents| contents.recovered.deaths);
    cleared.saturating_add(dead as u64)
}

/// Who is in the way, and for how long; or who has a part in the ring and is stopped.
pub fn stuck(ring: &Observed) -> Option<String> {
    let contents = ring.picture.contents.as_ref()?;
    let longest = |held: &&HeldCell| held.in_the_way_for;
    if let Some(held) = contents.held.iter().filter(|held| held.in_the_way_for.is_some()).max_by_key(longest) {
        let time = held.in_the_way_for.map(show::duration).unwrap_or_default();
        return Some(format!("{} {time}", held.pid));
    }
    let is_stopped = |process: &&ringway::inspect::Process| {
        process.state == PeerState::Stopped && process.producers + process.consumers > 0
    };
    contents.processes.iter().find(is_stopped).map(|process| format!("{} stop", process.pid))
}
