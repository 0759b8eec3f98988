//! Whether what several processes saw of one queue can have been the doings of a queue: linearizability, for values that
//! are all different, in `n log n`.
//!
//! Each operation takes effect at some instant between its beginning and its end. A history in which no such instants
//! can be found shows one of a few patterns (Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability proofs"):
//! a value that was never pushed, or popped twice; one that is popped after a later one; `Empty` while there was something
//! all the time. To these we add the loss of a value, more values than the capacity, and `Full` when there was room all
//! the time.
//!
//! The dead have operations without an end. A push by the dead has happened or not. A pop by the dead has taken a value
//! or not, we do not know which. A value that is flagged as redelivered has been taken by somebody else before, nobody
//! knows when: it may come late, and whether it was in the queue at an instant is not known. But whatever was pushed
//! before it must have been taken before it.

use std::collections::HashMap;

pub const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum What {
    Push(u64),
    Pop {
        value: u64,
        redelivered: bool,
    },
    Empty,
    Full,
    /// A pop of somebody who was killed in it: it may have got one value.
    PopOfTheDead,
}

/// What somebody did, from when to when. What was done as one batch is done at the same time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Event {
    pub what: What,
    pub began: u64,
    /// [`NEVER`] if somebody was killed in it.
    pub ended: u64,
}

/// What is known of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    pub capacity: usize,
    /// All that was left in it was popped in the end.
    pub is_drained: bool,
    /// `Full` is an answer that can be held against it: places are not lost to the dead, or to a change of mind.
    pub is_full_exact: bool,
}

/// A value's time in the queue.
#[derive(Clone, Copy, Debug)]
struct Stay {
    pushed: (u64, u64),
    popped: (u64, u64),
    redelivered: bool,
}

/// Says what is wrong with a history, if anything is.
pub fn check(events: &[Event], queue: Queue) -> Result<(), String> {
    let stays = stays(events)?;
    nothing_is_lost(events, &stays, queue)?;
    // What nobody has popped in the end, somebody dead has, nobody knows when.
    let is_with_the_dead = |stay: &Stay| queue.is_drained && stay.popped.0 == NEVER;
    let is_known = |stay: &&Stay| !stay.redelivered && !is_with_the_dead(stay);
    first_in_first_out(&stays, is_known)?;

    // Instants at which a value was in the queue for sure, or may have been.
    let certainly = |stay: &&Stay| is_known(stay) && stay.pushed.1 < stay.popped.0;
    let certain: Vec<_> = stays.values().filter(certainly).map(|stay| (stay.pushed.1, stay.popped.0)).collect();
    let possible: Vec<_> = stays.values().map(|stay| (stay.pushed.0, stay.popped.1)).collect();

    if let Some((from, to)) = crowded(&certain, queue.capacity + 1, false).first() {
        return Err(format!("more than {} values in the queue from {from} to {to}", queue.capacity));
    }
    let never_empty = crowded(&certain, 1, false);
    let perhaps_full = crowded(&possible, queue.capacity, true);
    for event in events {
        let Event { what, began, ended } = *event;
        // The one that began last of those that began before, and of those that began until the end.
        let in_front = |times: &[(u64, u64)], time| times.partition_point(|&(from, _)| from < time).checked_sub(1);
        let is_wrong = match what {
            What::Empty => in_front(&never_empty, began).is_some_and(|index| never_empty[index].1 > ended),
            What::Full if queue.is_full_exact => {
                in_front(&perhaps_full, ended + 1).is_none_or(|index| perhaps_full[index].1 < began)
            }
            _ => false,
        };
        if is_wrong {
            return Err(format!("{event:?} was not so at any instant"));
        }
    }
    Ok(())
}

fn stays(events: &[Event]) -> Result<HashMap<u64, Stay>, String> {
    let mut stays = HashMap::new();
    for event in events {
        if let What::Push(value) = event.what {
            let stay = Stay { pushed: (event.began, event.ended), popped: (NEVER, NEVER), redelivered: false };
            assert!(stays.insert(value, stay).is_none(), "the values of a history are all different");
        }
    }
    for event in events {
        if let What::Pop { value, redelivered } = event.what {
            let stay = stays.get_mut(&value).ok_or_else(|| format!("{value} was popped and never pushed"))?;
            if stay.popped.0 != NEVER {
                return Err(format!("{value} was popped twice"));
            }
            if event.ended < stay.pushed.0 {
                return Err(format!("{value} was popped before it was pushed"));
            }
            (stay.popped, stay.redelivered) = ((event.began, event.ended), redelivered);
        }
    }
    Ok(stays)
}

/// A value that nobody has popped in the end is in the hands of the dead, and each of them has one at most.
fn nothing_is_lost(events: &[Event], stays: &HashMap<u64, Stay>, queue: Queue) -> Result<(), String> {
    let dead = events.iter().filter(|event| event.what == What::PopOfTheDead).count();
    let is_missing = |stay: &&Stay| stay.pushed.1 != NEVER && stay.popped.0 == NEVER;
    let missing = stays.values().filter(is_missing).count();
    match queue.is_drained && missing > dead {
        true => Err(format!("{missing} values are missing, and {dead} pops of the dead may have taken one each")),
        false => Ok(()),
    }
}

/// No value is popped, beginning to end, before one that was pushed, beginning to end, before it.
fn first_in_first_out(stays: &HashMap<u64, Stay>, is_known: impl Fn(&&Stay) -> bool) -> Result<(), String> {
    let mut by_end: Vec<(&u64, &Stay)> = stays.iter().filter(|(_, stay)| is_known(stay)).collect();
    by_end.sort_unstable_by_key(|(_, stay)| stay.pushed.1);
    let mut by_beginning: Vec<(&u64, &Stay)> = stays.iter().filter(|(_, stay)| stay.popped.0 != NEVER).collect();
    by_beginning.sort_unstable_by_key(|(_, stay)| stay.pushed.0);
    let mut earlier = by_end.into_iter().peekable();
    // Of all values that were pushed before: the one that was popped last.
    let mut last: Option<(&u64, &Stay)> = None;
    for (value, stay) in by_beginning {
        while let Some(next) = earlier.next_if(|(_, other)| other.pushed.1 < stay.pushed.0) {
            last = last.filter(|(_, last)| last.popped.0 >= next.1.popped.0).or(Some(next));
        }
        if let Some((before, _)) = last.filter(|(_, last)| last.popped.0 > stay.popped.1) {
            return Err(format!("{before} was pushed before {value} and popped after it"));
        }
    }
    Ok(())
}

/// When at least `count` of the intervals overlap, in order. Whether those that only touch overlap is for the caller to
/// say: in doubt for the queue.
fn crowded(intervals: &[(u64, u64)], count: usize, touching: bool) -> Vec<(u64, u64)> {
    let mut steps: Vec<(u64, bool)> = intervals.iter().flat_map(|&(from, to)| [(from, true), (to, false)]).collect();
    steps.sort_unstable_by_key(|&(time, begins)| (time, begins != touching));
    let (mut crowded, mut there) = (Vec::new(), 0);
    for (time, begins) in steps {
        let before = there;
        there = if begins { there + 1 } else { there - 1 };
        match (before >= count, there >= count) {
            (false, true) => crowded.push((time, NEVER)),
            (true, false) => crowded.last_mut().expect("it began").1 = time,
            _ => {}
        }
    }
    crowded
}
