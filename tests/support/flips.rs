//! One operation, stopped at every single instruction while somebody writes something wrong into the ring, and what must
//! come of it: an error or a result.

use super::board::board;
use super::bytes::{HEADER, RECORD, RECORDS, fix_checksum, get_word, set_word};
use super::names;
use super::path::{self, Path};
use super::victim::{Breeder, Stop, Victim};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// An operation on a ring that exists.
pub struct Case {
    pub name: &'static str,
    /// Makes the ring of that name, and leaves it.
    pub set: fn(&str),
    /// The victim: attaches, and does it in its [`window`](super::victim::window).
    pub victim: fn(&str),
    /// Which words are written to.
    pub words: Words,
    /// Of so many instructions one is a point, unless all are.
    pub stride: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Of the control block, of the victim's record, and of the cells.
    Shared,
    /// Of the header too: only who attaches reads that.
    Header,
}

/// What can be wrong with a word.
const WRONGS: [fn(u64) -> u64; 12] = [
    |_| 0,
    |_| u64::MAX,
    |there| there ^ 1,
    |there| there.wrapping_add(1),
    |there| there.wrapping_sub(1),
    |there| there ^ 1 << 63,
    |there| there ^ 0xff,
    // Another line, another state, owner, span, lap.
    |there| there.wrapping_add(1 << 8),
    |there| there ^ 2,
    |there| there ^ 5,
    |there| there ^ 1 << 17,
    |there| there.wrapping_sub(1 << 24),
];

/// How often each point is tried, each time with something else wrong, in the test-suite.
const TRIES: usize = 3;

/// The longest that an operation may take that has been disturbed. A few take some tenths of a second.
const MOST: Duration = Duration::from_secs(10);

/// Process records of each ring. The victim has the first.
pub const PROCESSES: usize = 2;

/// What an operation is run in: a panic is the end of the process, by a signal.
pub fn guarded(operation: impl FnOnce()) {
    struct Panicking;
    impl Drop for Panicking {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let panicking = Panicking;
    operation();
    core::mem::forget(panicking);
}

/// Does something wrong at the instructions of the case, of which `all` says whether each with all that can be wrong.
pub fn sweep(case: &Case, all: bool) {
    let started = Instant::now();
    let name = names::fresh();
    (case.set)(&name);
    let mut ring = Clay::of(&name);
    let mut breeder = Breeder::new(|| (case.victim)(&name));
    let mut way = Path::default();
    for _ in 0..2 {
        ring.make_good();
        let mut victim = breeder.victim();
        way.record(&mut victim);
        victim.kill();
    }
    let flips: Vec<(usize, usize)> = ring
        .places(case.words)
        .into_iter()
        .flat_map(|place| (0..WRONGS.len()).map(move |wrong| (place, wrong)))
        .collect();
    // A debug build has several times as many instructions.
    let few = if cfg!(debug_assertions) { 10 * case.stride } else { case.stride };
    let (stride, tries) = if all { (1, flips.len()) } else { (few, TRIES) };
    let mut next = 0;
    for index in (0..way.len()).step_by(stride) {
        for _ in 0..tries {
            board().heartbeat.add(1);
            board().instructions.add(1);
            // NB: not one after the other. So the suite's few are all over the place.
            next = (next + if all { 1 } else { 5_003 }) % flips.len();
            let (place, wrong) = flips[next];
            let context = Context { case: case.name, point: index, place, wrong };
            ring.make_good();
            let mut victim = breeder.victim();
            let stop = path::send(&mut victim, way.point(index));
            ring.spoil(place, WRONGS[wrong]);
            go_on(victim, stop);
            ring.is_its_own();
            context.survived();
        }
    }
    let (points, time) = (way.len().div_ceil(stride), started.elapsed().as_secs_f64());
    println!("  {}: {points} points of {}, {tries} wrongs of {} each, {time:.2} s", case.name, way.len(), flips.len());
    names::remove_leftovers();
}

/// The victim comes to the end of its operation.
fn go_on(mut victim: Victim, mut stop: Stop) {
    let started = Instant::now();
    while stop != Stop::Marker {
        stop = victim.resume();
    }
    assert_eq!(board().returned.get(), 1, "the second marker is behind the operation");
    assert!(started.elapsed() < MOST, "it took {:?}", started.elapsed());
    victim.kill();
}

/// Says what it was that was not survived.
struct Context {
    case: &'static str,
    point: usize,
    place: usize,
    wrong: usize,
}

impl Context {
    fn survived(self) {
        core::mem::forget(self);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Context { case, point, place, wrong } = self;
        println!("{case}: at point {point}, the word at {place} made wrong in way {wrong}");
    }
}

fn open(path: &str) -> File {
    File::options().read(true).write(true).open(path).expect("it is there")
}

/// A ring's file, and what is in it while nothing is wrong.
struct Clay {
    path: String,
    file: File,
    good: Vec<u8>,
}

impl Clay {
    fn of(name: &str) -> Clay {
        let path = format!("/dev/shm/{name}");
        let good = fs::read(&path).expect("it was just made");
        Clay { file: open(&path), path, good }
    }

    fn make_good(&mut self) {
        // Who believed that it is the last one's to remove has removed it.
        if !fs::exists(&self.path).expect("a folder") {
            fs::write(&self.path, []).expect("a file of our own");
            self.file = open(&self.path);
        }
        self.file.write_all_at(&self.good, 0).expect("as long as it was");
    }

    fn places(&self, words: Words) -> Vec<usize> {
        let mut places = vec![];
        if words == Words::Header {
            places.extend((0..168).step_by(8));
            places.push(HEADER - 8);
        }
        // Hints, roles, orphans, the obstacle, who sleeps, the gate; the victim's record; cells, as many as there are.
        let control = [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 1), (6, 1), (7, 1), (8, 2)];
        let control =
            control.iter().flat_map(|&(block, words)| (0..words).map(move |word| HEADER + block * 128 + word * 8));
        places.extend(control);
        places.extend((0..13).map(|word| RECORDS + word * 8));
        places.extend((0..13).map(|word| RECORDS + RECORD + word * 8));
        let header = |name| get_word(&self.good, super::bytes::field(name).0) as usize;
        places.extend((0..header("cells")).map(|cell| header("cells offset") + cell * header("cell stride")));
        places
    }

    fn spoil(&self, place: usize, wrong: fn(u64) -> u64) {
        let mut there = [0; 8];
        self.file.read_exact_at(&mut there, place as u64).expect("within the ring");
        let value = wrong(u64::from_ne_bytes(there));
        self.file.write_all_at(&value.to_ne_bytes(), place as u64).expect("within the ring");
        // A header with the right sum is believed for longer.
        if place < HEADER - 8 && value % 2 == 0 {
            let mut header = self.good[..HEADER].to_vec();
            set_word(&mut header, place, value);
            fix_checksum(&mut header);
            self.file.write_all_at(&header[HEADER - 8..], HEADER as u64 - 8).expect("within the ring");
        }
    }

    /// Nobody has made it longer or shorter.
    fn is_its_own(&self) {
        assert_eq!(self.file.metadata().expect("an open file").len(), self.good.len() as u64);
    }
}
