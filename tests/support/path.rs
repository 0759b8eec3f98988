//! The way that a victim takes through its operation, and how to get to any instruction of it fast.
//!
//! To execute `k` instructions one at a time for every `k` takes forever for an operation of ten thousand. So the way is
//! recorded once and cut into *legs*. A leg begins at an instruction to which a victim runs at full speed, by a hardware
//! breakpoint, and from there on it is stepped.
//!
//! Victims do not all take quite the same way: a pid has a digit more, a random name a zero less. So a leg does not end
//! after a number of steps but where the victim at hand comes to the beginning of the next one: nothing is left out.

use super::victim::{Stop, Victim};
use std::collections::HashMap;

/// Instructions that one more breakpoint is worth.
const BREAKPOINT: usize = 2;

/// How many instructions of the path a victim leaves out at most when it takes another way.
const DETOUR: usize = 64;

/// How many repetitions of one instruction, such as a `rep stosb` that clears a page, are kill points: the first ones.
const REPETITIONS: usize = 256;

#[derive(Debug)]
pub struct Path {
    legs: Vec<Leg>,
    /// Legs that begin where no victim has been before: who comes there is on that leg.
    landmarks: HashMap<u64, usize>,
    kill_points: usize,
}

#[derive(Debug)]
struct Leg {
    address: u64,
    /// How often the victim has been at that address when the leg begins, this time included. 0: at the first marker.
    visit: usize,
    /// How often it will have been at the address of the next leg when that one begins, counted from here.
    visits_of_next: usize,
    /// Instructions from the first marker to here.
    start: usize,
    /// After so many steps nothing is left of the leg but more repetitions of one instruction.
    enough: usize,
}

/// A point of the path: so many steps into a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    leg: usize,
    steps: usize,
}

/// Where a victim got to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It stands at this point: the one it was sent to, or the beginning of the next leg if that came first.
    At(Point),
    /// At the second marker: the operation is done.
    Done,
    /// It came to the second marker without having passed the beginning of the leg.
    Strayed,
}

impl Path {
    /// Executes a victim's operation one instruction at a time, from marker to marker.
    pub fn record(victim: &mut Victim) -> Path {
        let mut addresses = vec![victim.at()];
        while victim.step() != Stop::Marker {
            addresses.push(victim.at());
        }
        let length = addresses.len();
        let mut legs = vec![Leg { address: addresses[0], visit: 0, visits_of_next: 0, start: 0, enough: usize::MAX }];
        let (mut visits, mut visits_before) = (HashMap::new(), HashMap::new());
        let (mut cost, mut repetitions, mut kill_points) = (0, 0_usize, length);
        for index in 1..length {
            let address = addresses[index];
            cost += 1;
            if address == addresses[index - 1] {
                repetitions += 1; // of an instruction, and there is no breakpoint within it
                continue;
            }
            let more = std::mem::take(&mut repetitions).saturating_sub(REPETITIONS);
            let visit = visits.entry(address).and_modify(|visits| *visits += 1).or_insert(1_usize);
            let last = legs.last_mut().expect("there is a first one");
            if *visit + BREAKPOINT < cost || more > 0 {
                cost = *visit + BREAKPOINT;
                if more > 0 {
                    last.enough = index - 1 - more - last.start;
                    kill_points -= more;
                }
                last.visits_of_next = *visit - visits_before.get(&address).copied().unwrap_or(0);
                legs.push(Leg { address, visit: *visit, visits_of_next: 0, start: index, enough: usize::MAX });
                visits_before = visits.clone();
            }
        }
        let first_visits = legs.iter().enumerate().filter(|(_, leg)| leg.visit == 1);
        let landmarks = first_visits.map(|(index, leg)| (leg.address, index)).collect();
        Path { legs, landmarks, kill_points }
    }

    /// Instructions from marker to marker; of one that is repeated very often, the first repetitions only.
    pub fn kill_points(&self) -> usize {
        self.kill_points
    }

    /// The point after `steps` instructions.
    pub fn point(&self, steps: usize) -> Point {
        let leg = self.legs.partition_point(|leg| leg.start <= steps) - 1;
        Point { leg, steps: steps - self.legs[leg].start }
    }

    /// Sends a victim, which stands at the first marker, to `point`.
    pub fn send(&self, victim: &mut Victim, point: Point) -> Arrival {
        let leg = &self.legs[point.leg];
        if leg.visit > 0 && victim.run_to(leg.address, leg.visit) == Stop::Marker {
            return Arrival::Strayed;
        }
        let next = self.legs.get(point.leg + 1);
        let (mut visits_of_next, mut address) = (0, victim.at());
        for steps in 0..point.steps {
            if victim.step() == Stop::Marker {
                return Arrival::Done;
            }
            let before = std::mem::replace(&mut address, victim.at());
            if address == before {
                continue;
            }
            visits_of_next += usize::from(next.is_some_and(|next| next.address == address));
            if next.is_some() && visits_of_next == leg.visits_of_next {
                return Arrival::At(Point { leg: point.leg + 1, steps: 0 });
            }
            // A victim that takes another way gets back on the path at the next landmark. One far ahead is none: this
            // victim comes there twice, the recorded one came there later.
            match self.landmarks.get(&address) {
                Some(&later) if later > point.leg && self.legs[later].start <= leg.start + steps + DETOUR => {
                    return Arrival::At(Point { leg: later, steps: 0 });
                }
                _ => {}
            }
        }
        Arrival::At(point)
    }

    /// The beginning of the next leg, if there is one.
    pub fn next_leg(&self, point: Point) -> Option<Point> {
        (point.leg + 1 < self.legs.len()).then_some(Point { leg: point.leg + 1, steps: 0 })
    }

    pub fn instructions_between(&self, from: Point, to: Point) -> usize {
        self.legs[to.leg].start + to.steps - (self.legs[from.leg].start + from.steps)
    }

    /// The point after `point`; or, with a stride above one, the beginning of a leg about that far away.
    pub fn after(&self, point: Point, stride: usize) -> Point {
        let leg = &self.legs[point.leg];
        if stride == 1 {
            let next = Point { steps: point.steps + 1, ..point };
            return if next.steps > leg.enough { Point { leg: point.leg + 1, steps: 0 } } else { next };
        }
        match self.legs.iter().position(|later| later.start >= leg.start + stride) {
            Some(leg) => Point { leg, steps: 0 },
            None => Point { leg: self.legs.len() - 1, steps: usize::MAX },
        }
    }

    pub const START: Point = Point { leg: 0, steps: 0 };
}
