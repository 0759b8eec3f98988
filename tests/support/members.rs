//! Victims that attach to a ring of many, or leave it.

use super::board::board;
use super::crowd::{CAPACITY, go_on};
use super::ledger::{BY_TEST, BY_VICTIM, Numbered, compare};
use super::names;
use super::sweep::{End, Scene};
use super::victim::window;
use ringway::mpmc::{Consumer, Ring};
use ringway::{Lifetime, Options, TryPopError};

/// Two processes at most: a record that a dead one keeps would be missed at once.
fn create(name: &str, lifetime: Lifetime) -> Ring<u64> {
    Ring::create(name, &Options::new().capacity(CAPACITY).processes(2).lifetime(lifetime)).expect("a ring")
}

fn open(name: &str) -> Result<Ring<u64>, String> {
    Ring::open(name).map_err(|error| format!("attaching: {error}"))
}

fn pop_rest(consumer: &mut Consumer<u64>) -> Result<Vec<u64>, String> {
    let mut got = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(message) => got.push(message.number().unwrap_or(0)),
            Err(TryPopError::Empty) => return Ok(got),
            Err(error) => return Err(format!("a pop failed: {error}")),
        }
    }
}

/// Who is left, and the next process, which has the only record that there is, find what they must, and go on.
fn both_go_on(ring: &Ring<u64>, expected: &[u64]) -> Result<(), String> {
    let another = open(ring.name())?;
    if let Ok(third) = open(ring.name()) {
        return Err(format!("{third:?} is the third of two processes"));
    }
    compare("found by who is left", expected, &pop_rest(&mut ring.consumer())?)?;
    go_on(&mut ring.producer(), &mut another.consumer())?;
    go_on(&mut another.producer(), &mut ring.consumer())
}

fn is_gone(name: &str, gone: bool) -> Result<(), String> {
    match names::exists(name) {
        exists if exists != gone => Ok(()),
        true => Err("the last one has left, but not its name".into()),
        false => Err("the name is gone".into()),
    }
}

/// The victim attaches to a ring that the test uses.
#[derive(Debug)]
pub struct Attaching {
    pub name: String,
}

impl Scene for Attaching {
    type Stage = Ring<u64>;

    fn victim(&self) {
        let mut ring = None;
        window(|| ring = Some(open(&self.name).expect("a ring")));
    }

    fn set(&self) -> Ring<u64> {
        let ring = create(&self.name, Lifetime::LastDetach);
        ring.producer().try_push(u64::new(BY_TEST)).expect("room");
        ring
    }

    fn judge(&self, ring: Ring<u64>, end: End) -> Result<bool, String> {
        board().temporaries.add(names::remove_temporaries(end.pid));
        both_go_on(&ring, &[BY_TEST])?;
        drop(ring);
        is_gone(&self.name, true)?;
        Ok(end.returned)
    }
}

/// The victim leaves: it drops its handles. The test is attached, or nobody is.
#[derive(Debug)]
pub struct Detaching {
    pub name: String,
    pub lifetime: Lifetime,
    pub last: bool,
}

impl Scene for Detaching {
    type Stage = Option<Ring<u64>>;

    fn victim(&self) {
        let ring = if self.last { create(&self.name, self.lifetime) } else { open(&self.name).expect("a ring") };
        let (mut producer, consumer) = (ring.producer(), ring.consumer());
        producer.try_push(u64::new(BY_VICTIM)).expect("room");
        window(|| {
            drop(producer);
            drop(ring);
            drop(consumer);
        });
    }

    fn set(&self) -> Option<Ring<u64>> {
        (!self.last).then(|| create(&self.name, self.lifetime))
    }

    fn judge(&self, stage: Option<Ring<u64>>, end: End) -> Result<bool, String> {
        let removed = !names::exists(&self.name);
        if removed && !(self.last && self.lifetime == Lifetime::LastDetach) {
            return Err("the name is gone".into());
        }
        let pushed = [BY_VICTIM];
        if let Some(ring) = stage {
            both_go_on(&ring, &pushed)?;
        } else if removed {
            both_go_on(&create(&self.name, self.lifetime), &[])?;
        } else {
            both_go_on(&open(&self.name)?, &pushed)?;
        }
        is_gone(&self.name, self.lifetime == Lifetime::LastDetach)?;
        let removes = self.last && self.lifetime == Lifetime::LastDetach;
        if end.returned && removed != removes {
            return Err("who has left is still there".into());
        }
        Ok(if removes { removed } else { end.returned })
    }
}
