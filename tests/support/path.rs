//! The way that a victim takes through its operation, and how to get to any instruction of it fast.
//!
//! To execute `k` instructions one at a time for every `k` takes forever for an operation of ten thousand. So a few
//! victims are, and their ways are recorded. All others run to their kill point at full speed: through so many system
//! calls, and from there, by a hardware breakpoint, to an address, to the `n`-th time that they come to it.
//!
//! The sequence of system calls is the same in every victim. Between two of them ways differ a little, where a random
//! name has a zero less or a check sum another carry. What any of the recorded victims came to is a kill point; another
//! victim may miss it, and is killed a little later.
//!
//! Most instructions change nothing that others can see: registers, the stack, memory of the victim's own. Who is killed
//! after one of them leaves behind to the byte what it would have left one instruction earlier. So while a way is
//! recorded, what others can see is compared after each step, and only deaths that leave something new are worth a
//! victim: [`Path::makes_a_difference`].

use super::victim::{Stop, Victim};
use super::visible::Visible;
use std::collections::HashMap;

/// Of an instruction that is executed more often than twice this between two system calls, only so many executions are
/// kill points, the first ones and as many last ones; and of one with a `rep` prefix so many repetitions. Such a long
/// loop is one over bytes, in memory that nobody else sees: a check sum, a page of zeros. Loops over cells, messages and
/// process records are shorter here.
const EXECUTIONS: usize = 16;

/// One execution of one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Point {
    /// So many system calls have been made.
    system_calls: usize,
    address: u64,
    /// The victim comes there so often, this time included, since the last one of them.
    visit: usize,
    /// And has repeated it so often.
    repetition: usize,
}

#[derive(Debug, Default)]
pub struct Path {
    /// In the order in which a victim comes to them; with the number of steps since the last system call.
    points: Vec<(usize, Point)>,
    /// All of them; and whether others see something at it that they did not see at the one before.
    known: HashMap<Point, bool>,
}

impl Path {
    /// Executes a victim's operation one instruction at a time, from marker to marker. The last point is at the second
    /// one.
    pub fn record(&mut self, victim: &mut Victim) {
        let mut visible = Visible::of(victim.pid());
        let mut legs = vec![vec![(victim.at(), true)]];
        let mut stop = Stop::Instruction;
        while stop != Stop::Marker {
            let into_the_kernel = victim.makes_system_call();
            if into_the_kernel {
                legs.push(Vec::new());
            }
            stop = victim.step();
            if into_the_kernel {
                visible = Visible::of(victim.pid());
            }
            let changed = into_the_kernel || visible.has_changed();
            legs.last_mut().expect("there is a first one").push((victim.at(), changed));
        }
        let mut changed = false;
        for (system_calls, steps) in legs.iter().enumerate() {
            self.add(system_calls, steps, &mut changed);
        }
        self.points.sort_by_key(|&(steps, point)| (point.system_calls, steps));
    }

    /// `changed`: since the last kill point.
    fn add(&mut self, system_calls: usize, steps: &[(u64, bool)], changed: &mut bool) {
        let mut leg: Vec<Point> = Vec::new();
        let mut visits = HashMap::new();
        for &(address, _) in steps {
            leg.push(match leg.last() {
                Some(&last) if last.address == address => Point { repetition: last.repetition + 1, ..last },
                _ => {
                    let visit = visits.entry(address).and_modify(|visits| *visits += 1).or_insert(1);
                    Point { system_calls, address, visit: *visit, repetition: 0 }
                }
            });
        }
        for (index, (point, &(_, by_this_step))) in leg.into_iter().zip(steps).enumerate() {
            *changed |= by_this_step;
            let is_first = point.visit <= EXECUTIONS;
            let is_last = point.visit + EXECUTIONS > visits[&point.address];
            if (is_first || is_last) && point.repetition < EXECUTIONS {
                let known = self.known.entry(point).or_insert_with(|| {
                    self.points.push((index, point));
                    false
                });
                *known |= std::mem::take(changed);
            }
        }
    }

    /// Whether others see something when a victim is at this point that they do not see at the one before. In one of
    /// the recordings, that is.
    pub fn makes_a_difference(&self, index: usize) -> bool {
        self.known[&self.point(index)]
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    pub fn point(&self, index: usize) -> Point {
        self.points[index].1
    }
}

/// Sends a victim, which stands at the first marker, to `point`. If its way does not lead there, it stops on its way into
/// the next system call or at the second marker.
pub fn send(victim: &mut Victim, point: Point) -> Stop {
    for _ in 0..point.system_calls {
        victim.run_through_system_call();
    }
    let mut stop = victim.run_to(point.address, point.visit);
    for _ in 0..point.repetition {
        if stop == Stop::Instruction {
            stop = victim.step();
        }
    }
    stop
}
