//! Models of this ring under loom: its very code, on memory in which loom sees every access. Run by `cargo loom`.

mod deaths;
mod late;
mod second_thoughts;
mod traffic;

use super::consumer::{Consumer, Pop};
use super::producer::{Producer, Push};
use super::{Held, Place, count};
use crate::layout::cell::{Owner, Word};
use crate::ring::memory::Memory;
use crate::ring::models::heap::Heap;
use crate::ring::models::{explore, explore_every_death};
use crate::sync::Ordering;
use std::rc::Rc;

type Ring = Rc<Heap<1>>;
type Writer = Producer<u64, Ring>;
type Reader = Consumer<u64, Ring>;

/// An empty ring through which `position` messages have gone.
fn ring_at(position: u64, capacity: usize) -> Ring {
    let cells = capacity as u64;
    let ring: Ring = Heap::new(capacity, |cell| {
        let next = position + (cell as u64 + cells - position % cells) % cells;
        Word::free(Place::at(next, capacity).lap).word()
    });
    if position > 0 {
        ring.head().store(position, Ordering::Relaxed);
        ring.tail().store(position, Ordering::Relaxed);
    }
    ring
}

fn writer(ring: &Ring, me: Owner) -> Writer {
    Producer::new(Rc::clone(ring), me)
}

fn reader(ring: &Ring, me: Owner) -> Reader {
    Consumer::new(Rc::clone(ring), me)
}

/// How many were pushed, or who is in the way.
fn pushed(push: Push) -> Result<usize, Held> {
    match push {
        Push::Done(count) => Ok(count),
        Push::Full => Ok(0),
        Push::Held(held) => Err(held),
    }
}

/// What was popped, or who is in the way.
fn popped<V>(pop: Pop<V>) -> Result<Option<V>, Held> {
    match pop {
        Pop::Got(value, _) => Ok(Some(value)),
        Pop::Empty => Ok(None),
        Pop::Held(held) => Err(held),
        Pop::Invalid(_) => unreachable!("every u64 is valid"),
    }
}

/// Pushes all of `values`, or as many as there is room for; one by itself in the shorter way.
fn try_push(writer: &mut Writer, values: &[u64]) -> Result<usize, Held> {
    pushed(match values {
        [value] => writer.push(value).expect("nothing is corrupted"),
        values => writer.push_slice(values).expect("nothing is corrupted"),
    })
}

/// Pops up to `most`; one by itself in the shorter way.
fn try_pop(reader: &mut Reader, most: usize) -> Result<Vec<u64>, Held> {
    if most == 1 {
        return popped(reader.pop().expect("nothing is corrupted")).map(Vec::from_iter);
    }
    let mut values = vec![0; most];
    let got = popped(reader.pop_slice(&mut values).expect("nothing is corrupted"))?;
    values.truncate(got.unwrap_or(0));
    Ok(values)
}

/// One attempt. Whoever is in the way is as good as a full ring.
fn push(writer: &mut Writer, values: &[u64]) -> usize {
    try_push(writer, values).unwrap_or(0)
}

/// One attempt. Whoever is in the way is as good as an empty ring.
fn pop(reader: &mut Reader, most: usize) -> Vec<u64> {
    try_pop(reader, most).unwrap_or_default()
}

/// Pops all that is there. To be used when nobody else does anything.
fn drain(reader: &mut Reader) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match try_pop(reader, 1).expect("nobody is in the middle of anything")[..] {
            [] => return all,
            [value] => all.push(value),
            _ => unreachable!("one at a time"),
        }
    }
}

/// Whatever happened before: the empty ring takes as many messages as it was made for, counts them, and gives them back
/// to one who was there all the time, `reader`.
fn assert_full_capacity_is_usable(ring: &Ring, reader: &mut Reader) {
    let values: Vec<u64> = (0..ring.capacity() as u64).map(|n| 900 + n).collect();
    let mut writer = writer(ring, 99);
    assert_eq!(count(ring), 0);
    assert_eq!(push(&mut writer, &values), values.len());
    assert_eq!(push(&mut writer, &[999]), 0, "the ring takes more than its capacity");
    assert_eq!(count(ring), values.len());
    assert_eq!(drain(reader), values);
    assert_eq!(count(ring), 0);
}

/// Messages are numbered by their producers: the n-th of producer `p` is `10 * p + n`.
///
/// What the consumers have popped, one list each, is what the producers have pushed, and each consumer has what it has of
/// each producer in order.
fn assert_delivered_once(delivered: &[Vec<u64>], accepted: &[Vec<u64>]) {
    for list in delivered {
        for producer in list.iter().map(|value| value / 10) {
            let of_this_one = list.iter().filter(|&value| value / 10 == producer);
            assert!(of_this_one.is_sorted(), "{delivered:?} is not in the order of {accepted:?}");
        }
    }
    let sorted = |lists: &[Vec<u64>]| {
        let mut all = lists.concat();
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(delivered), sorted(accepted), "delivered {delivered:?}, pushed {accepted:?}");
}
