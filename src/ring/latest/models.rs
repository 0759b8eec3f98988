//! Models of this ring under loom: its very code, on memory in which loom sees every access. Run by `cargo loom`.
//!
//! A model explores every interleaving and every value that a load may see, unless it says that its number of preemptions
//! is bounded. A value is one word, and is its version; with the version that the cell states, there are two words that could
//! be torn apart, which shows. Readers make a few attempts each, so that nothing spins.
//!
//! # Orderings
//!
//! `.ci/weaken` makes each operation weaker by itself, and requires that the model which is named here fails.
//!
//! | operation | ordering | the model that fails when it is weaker, or why none can |
//! |---|---|---|
//! | `Writer::take_over`: `newest` | Relaxed | only writers store it, and the role makes visible what they did |
//! | `Writer::write`: fence | Release | `what_is_read_is_whole_and_never_older_than_before` |
//! | `Writer::write`: version and words of a cell | Relaxed | who believes them has loaded `newest`, which is stored after, with Release |
//! | `Writer::write`: `newest` | Release | `what_is_read_is_whole_and_never_older_than_before` |
//! | `Reader::newest`: `newest` | Acquire | `what_is_read_is_whole_and_never_older_than_before` |
//! | `Reader::attempt`: version and words of a cell | Relaxed | what they are worth is decided after the fence |
//! | `Reader::attempt`: fence | Acquire | `what_is_read_is_whole_and_never_older_than_before` |
//! | `Reader::attempt`: `newest` | Relaxed | ordered by the fence |
//!
//! # Bugs
//!
//! The same script seeds bugs, each of which a model must find: a value that is published before it is written; a reader
//! that allows for one value more, or does not look again.

use super::reader::{Copied, Reader};
use super::writer::Writer;
use crate::ring::memory::Values;
use crate::ring::models::{explore, explore_every_death};
use crate::sync::{AtomicU64, mortal};
use loom::thread;
use std::rc::Rc;

/// Memory for so many values, of which one is being overwritten.
#[derive(Debug)]
struct Heap {
    newest: AtomicU64,
    versions: Box<[AtomicU64]>,
    values: Box<[AtomicU64]>,
}

impl Heap {
    /// As it is after `written` values.
    fn new(capacity: u64, written: u64) -> Rc<Heap> {
        let cells = capacity + 1;
        // Which version is in a cell, if it was ever written: the last one up to `written` that lies there.
        let in_cell = |cell: u64| (1..=written).rev().find(|version| version % cells == cell).unwrap_or(0);
        Rc::new(Heap {
            newest: AtomicU64::new(written),
            versions: (0..cells).map(|cell| AtomicU64::new(in_cell(cell))).collect(),
            values: (0..cells).map(|cell| AtomicU64::new(in_cell(cell))).collect(),
        })
    }
}

impl Values for Rc<Heap> {
    fn name(&self) -> &str {
        "model"
    }

    fn cells(&self) -> usize {
        self.versions.len()
    }

    fn newest(&self) -> &AtomicU64 {
        &self.newest
    }

    fn version(&self, cell: usize) -> &AtomicU64 {
        &self.versions[cell]
    }

    fn value(&self, cell: usize) -> &[AtomicU64] {
        core::slice::from_ref(&self.values[cell])
    }
}

/// Writes a value that shows which version it is.
fn write(writer: &mut Writer<Rc<Heap>>) {
    writer.write(&(writer.version() + 1).to_ne_bytes());
}

fn writer(heap: &Rc<Heap>) -> Writer<Rc<Heap>> {
    Writer::take_over(Rc::clone(heap)).expect("nothing is corrupted")
}

fn reader(heap: &Rc<Heap>) -> Reader<Rc<Heap>> {
    Reader::new(Rc::clone(heap))
}

/// The version that one attempt reads, which is whole; `None` if it is overtaken, or there is nothing.
fn read(reader: &mut Reader<Rc<Heap>>) -> Option<u64> {
    let mut bytes = [0; 8];
    match reader.attempt(&mut bytes).expect("nothing is corrupted") {
        Copied::Version(version) => {
            assert_eq!(u64::from_ne_bytes(bytes), version, "torn");
            Some(version)
        }
        Copied::Nothing | Copied::Overtaken => None,
    }
}

/// One writes so many values, one reads so often. What was there before, and how many values are kept, is varied.
fn values_pass(capacity: u64, written: u64, writes: u64, reads: usize) {
    explore(None, move || {
        let heap = Heap::new(capacity, written);
        let (mut writer, mut reader) = (writer(&heap), reader(&heap));
        let writing = thread::spawn(move || (0..writes).for_each(|_| write(&mut writer)));
        let seen: Vec<u64> = (0..reads).filter_map(|_| read(&mut reader)).collect();
        assert!(seen.is_sorted(), "it went back: {seen:?}");
        assert!(seen.iter().all(|version| (written.max(1)..=written + writes).contains(version)), "{seen:?}");
        assert!(writes >= capacity || written == 0 || seen.len() == reads, "overtaken by {writes} of {capacity}");
        writing.join().unwrap();
        assert_eq!(read(&mut reader), Some(written + writes), "all is written, and read");
    });
}

#[test]
fn what_is_read_is_whole_and_never_older_than_before() {
    values_pass(1, 0, 2, 1);
    values_pass(1, 1, 2, 1);
    values_pass(1, 1, 2, 2);
    values_pass(2, 2, 3, 1);
    values_pass(3, 4, 2, 2);
}

/// Bounded to two preemptions: with three threads, more take too long.
#[test]
fn readers_do_not_disturb_each_other() {
    explore(Some(2), || {
        let heap = Heap::new(1, 1);
        let mut writer = writer(&heap);
        let readers = [(); 2].map(|()| {
            let mut reader = reader(&heap);
            thread::spawn(move || read(&mut reader))
        });
        (0..2).for_each(|_| write(&mut writer));
        for reader in readers {
            assert!(reader.join().unwrap().is_none_or(|version| (1..=3).contains(&version)));
        }
    });
}

/// The writer dies before any of its steps, and a successor goes on; a reader reads meanwhile. Afterwards all is there that
/// was acknowledged, and only whole values ever were.
///
/// The successor runs in the thread of the deceased: that makes all which the dead stored visible to it and to nobody else,
/// which is what a freed lock byte promises.
fn a_writer_dies(capacity: u64, written: u64, of_victim: u64, of_successor: u64, reads: usize) {
    explore_every_death(None, move |steps| {
        let heap = Heap::new(capacity, written);
        let mut reader = reader(&heap);
        let dying = Rc::clone(&heap);
        let writing = thread::spawn(move || {
            let mut acknowledged = written;
            let end = mortal::at_most(steps, || {
                let mut victim = writer(&dying);
                for _ in 0..of_victim {
                    write(&mut victim);
                    acknowledged = victim.version();
                }
            });
            let mut successor = writer(&dying);
            let found = successor.version();
            assert!((acknowledged..=written + of_victim).contains(&found), "{found} of {acknowledged}");
            (0..of_successor).for_each(|_| write(&mut successor));
            (end.is_none(), successor.version())
        });
        let seen: Vec<u64> = (0..reads).filter_map(|_| read(&mut reader)).collect();
        assert!(seen.is_sorted(), "it went back: {seen:?}");
        let (died, last) = writing.join().unwrap();
        assert_eq!(read(&mut reader), (last > 0).then_some(last), "the newest value is not there");
        died
    });
}

#[test]
fn a_writer_may_die_at_any_step() {
    a_writer_dies(1, 0, 1, 1, 1);
    a_writer_dies(1, 1, 1, 1, 1);
    a_writer_dies(1, 1, 2, 0, 1);
    a_writer_dies(2, 2, 1, 2, 1);
}
