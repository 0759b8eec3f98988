//! Models of this ring under loom: its very code, on memory in which loom sees every access. Run by `cargo loom`.
//!
//! A model explores every interleaving and every value that a load may see, unless it says that its number of
//! preemptions is bounded. Nothing spins in them: each end makes a few attempts, and what is left is popped when both
//! have ended.
//!
//! # Orderings
//!
//! `.ci/weaken` makes each operation Relaxed by itself, and requires that the model which is named here fails.
//!
//! | operation | ordering | the model that fails when it is weaker, or why none can |
//! |---|---|---|
//! | `Consumer::take_over`: `head` | Relaxed | only consumers store it, and the role makes visible what they did |
//! | `Consumer::look`: tag | Acquire | `messages_arrive_in_order_and_unharmed_with_one_to_a_cell` |
//! | `Consumer::len`: `tail` | Acquire | `what_the_consumer_counts_can_be_popped` |
//! | `Consumer::publish`: `head` | Release | `messages_arrive_in_order_and_unharmed_with_one_to_a_cell` |
//! | `Producer::take_over`: `head` | Acquire | `the_successor_of_a_producer_uses_what_the_consumer_has_freed_and_no_more` |
//! | `Producer::take_over`: load of `tail` | Relaxed | only producers store it, and the role makes visible what they did |
//! | `Producer::take_over`: store of `tail` | Release | `what_a_dead_producer_committed_and_its_successor_counted_can_be_popped` |
//! | `Producer::load_head`: `head` | Acquire | `messages_arrive_in_order_and_unharmed_with_one_to_a_cell` |
//! | `Producer::write_later`: tags of later cells | Relaxed | the consumer gets there only by the tag of the first cell, a Release store that comes after |
//! | `Producer::publish`: tag | Release | `messages_arrive_in_order_and_unharmed_with_one_to_a_cell` |
//! | `Producer::count`: `tail` | Release | `what_the_consumer_counts_can_be_popped` |
//! | `load`, in a takeover: tags | Relaxed | only producers store them, and the role makes visible what they did |
//! | `wipe_uncommitted`: tags | Relaxed | the consumer gets there only by a tag that is published after, with Release |
//!
//! # Bugs
//!
//! The same script seeds bugs, each of which a model must find: no wipe; a batch published from its first cell on;
//! `head` published lazily; one cell fewer; a takeover that starts at `tail` only and does not count what it finds; a
//! count that comes before the commit; and a role that is claimed or given up by a plain store, or whose heir is not
//! told to repair. A takeover that starts at `tail` only is no bug by itself: every takeover stores `tail` before
//! anything is published, so that it lags by one batch at most, and the lines of that batch are all still there.
//! Starting at `head` as well makes a takeover right without that argument.

mod deaths;
mod roles;
mod traffic;

use super::consumer::{Consumer, Read};
use super::producer::Producer;
use crate::layout::tag::Tag;
use crate::ring::models::heap::Heap;
use crate::ring::models::{explore, explore_every_death};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Writer<const K: usize> = Producer<u64, Rc<Heap<K>>>;
type Reader<const K: usize> = Consumer<u64, Rc<Heap<K>>>;

/// An empty ring.
fn ring<const K: usize>(capacity: usize) -> Rc<Heap<K>> {
    Heap::new(capacity, |cell| Tag::new(cell as u64, 0).word())
}

fn writer<const K: usize>(ring: &Rc<Heap<K>>, repair: bool) -> Writer<K> {
    Producer::take_over(Rc::clone(ring), repair).expect("nothing is corrupted")
}

fn reader<const K: usize>(ring: &Rc<Heap<K>>) -> Reader<K> {
    Consumer::take_over(Rc::clone(ring)).expect("nothing is corrupted")
}

fn push<const K: usize>(writer: &mut Writer<K>, value: u64) -> bool {
    writer.push(&value).expect("nothing is corrupted")
}

fn push_slice<const K: usize>(writer: &mut Writer<K>, values: &[u64]) -> usize {
    writer.push_slice(values).expect("nothing is corrupted")
}

fn pop<const K: usize>(reader: &mut Reader<K>) -> Option<u64> {
    let mut seen = Tag::default();
    let value = reader.pop(&mut seen);
    if value.is_none() {
        assert!(reader.why_not(seen).expect("nothing is corrupted").is_none(), "every u64 is valid");
    }
    value
}

/// Pops all that is there, up to `most`.
fn pop_slice<const K: usize>(reader: &mut Reader<K>, most: usize) -> Vec<u64> {
    let mut values = vec![0; most];
    let got = match reader.pop_slice(&mut values).expect("nothing is corrupted") {
        Read::Got(got) => got,
        Read::Empty => 0,
        Read::Invalid(_) => unreachable!("every u64 is valid"),
    };
    values.truncate(got);
    values
}

/// Pops all that is there, one by one. To be used when nobody pushes.
fn drain<const K: usize>(reader: &mut Reader<K>) -> Vec<u64> {
    std::iter::from_fn(|| pop(reader)).collect()
}

/// Moves `offset` messages through the ring, so that what follows starts there, and leaves `waiting` in it.
fn start_at<const K: usize>(ring: &Rc<Heap<K>>, offset: usize, waiting: &[u64]) {
    let (mut writer, mut reader) = (writer(ring, false), reader(ring));
    for _ in 0..offset {
        assert!(push(&mut writer, 0));
        assert_eq!(pop(&mut reader), Some(0));
    }
    assert_eq!(push_slice(&mut writer, waiting), waiting.len());
}

/// Whoever died before, and wherever: the empty ring takes as many messages as it was made for, and gives them back.
fn assert_full_capacity_is_usable<const K: usize>(writer: &mut Writer<K>, reader: &mut Reader<K>, capacity: usize) {
    for turn in 0..2 {
        let values: Vec<u64> = (0..capacity as u64).map(|n| 900 + 10 * turn + n).collect();
        assert_eq!(push_slice(writer, &values), capacity);
        assert!(!push(writer, 999), "the ring takes more than its capacity");
        assert_eq!(drain(reader), values);
    }
}
