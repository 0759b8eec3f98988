//! Segments full of rubbish: whatever the bytes, and whoever changes them meanwhile, there is a typed error, or a ring
//! that works, or a wrong message of a valid type. Never a panic, a signal, or an endless loop.
//!
//! The attacks run in processes of their own, which name each case before they try it, so that a process that ends or
//! stops talking has named the case that did it. `RINGWAY_TEST_SEED` chooses other random cases.

mod support;

use proptest::prelude::*;
use proptest::test_runner::Config;
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};
use ringway::{ClaimError, HeaderError, Message, OpenError, Options, PopSliceError, ReserveError, Role, spsc};
use ringway::{TryPopError, TryPushError};
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use support::bytes::{FIELDS, HEAD, HEADER, Scribbler, TAIL, field, get_word, set_field, set_word};
use support::damage::{EXTREMES, Random, a_bad_word};
use support::{Child, Job, Name, be_the_other_process, listen, say};

const TAG: u64 = 0xbad;
const PROCESSES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Checked {
    flag: bool,
    kind: Kind,
    rest: [u8; 6],
}

#[derive(Clone, Copy, Debug, PartialEq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(u8)]
enum Kind {
    A = 3,
    B = 5,
}

/// A message, and proof that one which came out is a valid one.
trait Victim: Message + Copy {
    const SAMPLE: Self;
    fn is_valid(self) -> bool;
    /// Whatever else can be done with a consumer of this type.
    fn look(_: &mut spsc::Consumer<Self>) {}
}

macro_rules! plain_victims {
    ($($plain:ty = $sample:expr),*) => {$(
        impl Victim for $plain {
            const SAMPLE: Self = $sample;
            fn is_valid(self) -> bool {
                black_box(self);
                true
            }
            fn look(consumer: &mut spsc::Consumer<Self>) {
                peek(consumer);
            }
        }
    )*};
}
plain_victims!(u64 = 6, u8 = 6, [u64; 9] = [6; 9]);

impl Victim for Checked {
    const SAMPLE: Self = Checked { flag: true, kind: Kind::B, rest: [6; 6] };
    fn is_valid(self) -> bool {
        // The bytes as they are, not as the compiler may assume that they are.
        let bytes = black_box(self.as_bytes());
        bytes[0] < 2 && [Kind::A as u8, Kind::B as u8].contains(&bytes[1])
    }
}

fn peek<T: Message + FromBytes + Copy>(consumer: &mut spsc::Consumer<T>) {
    match consumer.peek() {
        Ok(peek) => {
            black_box(*peek);
            peek.release();
        }
        Err(TryPopError::Empty | TryPopError::Closed | TryPopError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
}

fn options() -> Options {
    Options::new().schema(TAG).processes(PROCESSES)
}

/// The bytes of a good ring of `capacity` with some messages in it, some laps after its creation.
fn good<T: Victim>(capacity: usize) -> Vec<u8> {
    let name = Name::new();
    let ring = spsc::Ring::<T>::create(&name, &options().capacity(capacity)).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    for _ in 0..3 * capacity {
        assert!(producer.try_push(T::SAMPLE).is_ok());
        assert!(consumer.try_pop().is_ok_and(T::is_valid));
    }
    assert_eq!(producer.push_slice(&vec![T::SAMPLE; capacity / 2]), Ok(capacity / 2));
    drop((producer, consumer, ring));
    fs::read(name.path()).expect("a file")
}

fn push_all_ways<T: Victim>(producer: &mut spsc::Producer<T>, batch: &[T]) {
    match producer.try_push(T::SAMPLE) {
        Ok(()) | Err(TryPushError::Full(_) | TryPushError::Corrupted(..)) => {}
        Err(other) => panic!("{other}"),
    }
    if let Ok(pushed) = producer.push_slice(batch) {
        assert!(pushed <= batch.len().min(producer.capacity()));
    }
    match producer.reserve() {
        Ok(mut reserved) => {
            reserved.write(T::SAMPLE);
            reserved.commit();
        }
        Err(ReserveError::Full | ReserveError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    assert!(producer.len() <= producer.capacity());
    black_box((producer.is_empty(), producer.is_full(), producer.peer(), producer.is_closed()));
}

/// Returns whether something was popped.
fn pop_all_ways<T: Victim>(consumer: &mut spsc::Consumer<T>, room: &mut [T]) -> bool {
    let before = consumer.position();
    match consumer.try_pop() {
        Ok(message) => assert!(message.is_valid()),
        Err(TryPopError::Empty | TryPopError::Closed | TryPopError::Invalid(_) | TryPopError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    match consumer.pop_slice(room) {
        Ok(popped) => assert!(room[..popped].iter().all(|message| message.is_valid())),
        Err(PopSliceError::Invalid(_) | PopSliceError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    assert!(room.iter().all(|message| message.is_valid()));
    T::look(consumer);
    assert!(consumer.len() <= consumer.capacity());
    black_box((consumer.is_empty(), consumer.is_full(), consumer.peer(), consumer.is_closed()));
    consumer.position() > before
}

/// Attaches to whatever has this name and does everything that there is to do with a ring.
fn use_it<T: Victim>(name: &Name, rounds: usize) -> Result<(), OpenError> {
    let ring = spsc::Ring::<T>::open_with(name, &options())?;
    black_box((ring.len(), ring.is_empty(), ring.is_full(), ring.peer(Role::Producer), ring.peer(Role::Consumer)));
    let batch = vec![T::SAMPLE; ring.capacity().min(500) + 3];
    let mut room = batch.clone();
    let claimed = |error| match error {
        ClaimError::RoleTaken { .. } | ClaimError::Corrupted(_) => {}
        other => panic!("{other}"),
    };
    let mut consumer = ring.consumer().map_err(claimed).ok();
    if let Some(consumer) = &mut consumer {
        // At rest there is an end to what can be popped, whatever the words say.
        let most = ring.capacity() + 2 * 64;
        let before = consumer.position();
        for _ in 0..most {
            if !pop_all_ways(consumer, &mut room) {
                break;
            }
        }
        assert!(consumer.position() - before <= most as u64, "messages out of nothing");
    }
    let mut producer = ring.producer().map_err(claimed).ok();
    for round in 0..rounds {
        if let Some(producer) = &mut producer {
            push_all_ways(producer, &batch[..round % batch.len()]);
        }
        if let Some(consumer) = &mut consumer {
            pop_all_ways(consumer, &mut room[..(round * 7) % batch.len()]);
        }
    }
    // As whoever comes next.
    drop((producer, consumer));
    drop((ring.producer().map_err(claimed), ring.consumer().map_err(claimed)));
    Ok(())
}

/// One case: these bytes, as a ring of `T`. Says whether they were one.
fn attack<T: Victim>(name: &Name, bytes: &[u8]) -> Result<(), OpenError> {
    fs::write(name.path(), bytes).expect("a file of our own");
    let result = use_it::<T>(name, 40);
    if !name.exists() {
        assert!(result.is_ok() && get_word(bytes, 16) >> 32 != 0, "only the last one to detach removes a name");
        return result;
    }
    let after = fs::read(name.path()).expect("a file of our own");
    let written = if result.is_ok() { bytes.len().min(HEADER) } else { bytes.len() };
    assert!(after[..written] == bytes[..written], "nobody writes what he does not own");
    result
}

/// The child says each case before it tries it, and stops talking only at the end.
#[track_caller]
fn survives(job: &str) {
    let seed = std::env::var("RINGWAY_TEST_SEED").unwrap_or("1".into());
    let words = Child::start(job, &[&seed]).finish();
    assert_eq!(words.last().map(String::as_str), Some("done"), "seed {seed}");
}

fn seed(arguments: &[String]) -> u64 {
    arguments[0].parse().expect("RINGWAY_TEST_SEED is a number")
}

#[test]
fn any_bytes_at_all_are_no_ring() {
    survives("any bytes");
}

fn any_bytes(_: &[String]) {
    let name = Name::new();
    let bytes = (any::<[u8; 8]>(), prop::collection::vec(any::<u8>(), 0..=65_536), 0..3);
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    proptest!(config, |((start, mut bytes, how) in bytes)| {
        say(format_args!("{how} {} {start:?}", bytes.len()));
        // Some that begin well.
        let magic = [b"RINGWAY\0".as_slice(), &0x0102_0304_u32.to_ne_bytes(), &1_u32.to_ne_bytes()].concat();
        if how > 0 && bytes.len() >= HEADER {
            bytes[..16].copy_from_slice(&magic);
        }
        if how > 1 && bytes.len() >= HEADER {
            support::bytes::fix_checksum(&mut bytes);
        }
        let error = attack::<u64>(&name, &bytes).expect_err("not a ring");
        prop_assert!(matches!(error, OpenError::Header { .. }), "{error}");
        prop_assert!(error.to_string().contains(name.as_str()));
    });
    say("done");
}

#[test]
fn any_single_bit_that_flips_in_the_header_is_noticed() {
    survives("bit flips");
}

fn bit_flips(_: &[String]) {
    let name = Name::new();
    let good = good::<u64>(20);
    attack::<u64>(&name, &good).expect("a good ring");
    for bit in 0..HEADER * 8 {
        say(bit);
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = attack::<u64>(&name, &bytes).expect_err("a header that was changed");
        let OpenError::Header { error, .. } = error else { panic!("{error}") };
        match bit / 8 {
            0..8 => assert!(matches!(error, HeaderError::Magic { .. }), "{error}"),
            8..12 => assert!(matches!(error, HeaderError::ByteOrder { .. }), "{error}"),
            12..16 => assert!(matches!(error, HeaderError::Version { .. }), "{error}"),
            _ => assert!(matches!(error, HeaderError::Checksum { .. }), "{error}"),
        }
    }
    say("done");
}

#[test]
fn no_value_of_any_header_field_does_harm_even_with_the_right_checksum() {
    survives("fields");
}

fn fields(arguments: &[String]) {
    let name = Name::new();
    let mut random = Random(seed(arguments));
    let good = good::<u64>(20);
    for (field, offset, length) in FIELDS {
        let there = get_word(&good, offset) & if length == 4 { u32::MAX.into() } else { u64::MAX };
        let near = [there.wrapping_sub(1), there + 1, there * 2, there / 2, there ^ 1 << 40];
        let others: Vec<u64> = (0..20).map(|_| random.next() >> random.below(64)).collect();
        for value in EXTREMES.into_iter().chain(near).chain(others) {
            let value = if length == 4 { value & u64::from(u32::MAX) } else { value };
            say(format_args!("{field} = {value:#x}"));
            let mut bytes = good.clone();
            set_field(&mut bytes, field, value);
            let result = attack::<u64>(&name, &bytes);
            match field {
                // These say nothing about the layout.
                "created at" | "boot id" => assert!(result.is_ok(), "{result:?}"),
                "last detach" => {
                    assert!(result.is_ok(), "{result:?}");
                    assert_eq!(name.exists(), value == 0);
                }
                // Several of these have the same layout, and so are as good as what was there.
                "capacity" | "processes" if value.abs_diff(there) < 32 && result.is_ok() => {}
                _ if value == there => assert!(result.is_ok(), "{result:?}"),
                _ => assert!(matches!(result, Err(OpenError::Header { .. })), "{result:?}"),
            }
        }
    }
    say("done");
}

#[test]
fn no_words_beside_the_header_do_harm_at_rest() {
    survives("words");
}

fn words(arguments: &[String]) {
    let seed = seed(arguments);
    for capacity in [1, 20, 130] {
        words_of::<u64>(seed, capacity, 1_500);
        words_of::<u8>(seed, capacity, 1_000);
        words_of::<[u64; 9]>(seed, capacity, 700);
        words_of::<Checked>(seed, capacity, 1_500);
    }
    say("done");
}

fn words_of<T: Victim>(seed: u64, capacity: usize, cases: u64) {
    let name = Name::new();
    let good = good::<T>(capacity);
    let type_name = std::any::type_name::<T>();
    for case in seed..seed + cases {
        say(format_args!("case {case} of {type_name}, capacity {capacity}"));
        let mut bytes = good.clone();
        let mut random = Random(case);
        for _ in 0..random.below(4) + 1 {
            let (offset, value) = a_bad_word(&mut random, &bytes);
            set_word(&mut bytes, offset, value);
        }
        attack::<T>(&name, &bytes).expect("its header is good");
    }
}

/// It says that it has come to the last line that a tag can say.
#[test]
fn a_ring_at_the_end_of_its_numbers_is_an_error_in_the_end() {
    survives("end of numbers");
}

fn end_of_numbers(_: &[String]) {
    at_the_end::<u64>(20);
    at_the_end::<u8>(200);
    at_the_end::<[u64; 9]>(3);
    say("done");
}

fn at_the_end<T: Victim>(capacity: usize) {
    let (name, mut bytes) = (Name::new(), good::<T>(capacity));
    let header = ["cells", "items per cell", "cells offset", "cell stride"];
    let [cells, items, first, stride] = header.map(|name| get_word(&bytes, field(name).0));
    let line = (u64::MAX >> 8) - cells;
    for later in 0..cells {
        let cell = first + (line + later) % cells * stride;
        set_word(&mut bytes, cell as usize, (line + later - cells) << 8 | items);
    }
    [HEAD, TAIL].iter().for_each(|&hint| set_word(&mut bytes, hint, line * items));
    fs::write(name.path(), &bytes).expect("a file of our own");
    let ring = spsc::Ring::<T>::open_with(&name, &options()).expect("its header is good");
    let (mut producer, mut consumer) = (ring.producer().expect("a place"), ring.consumer().expect("a place"));
    let (mut batch, mut came) = (vec![T::SAMPLE; capacity], 0);
    for _ in 0..10 * capacity {
        push_all_ways(&mut producer, &batch[..capacity / 2]);
        came += u64::from(pop_all_ways(&mut consumer, &mut batch));
    }
    assert!(came > 0, "it works up to there");
    drop((producer, consumer));
    assert!(ring.producer().is_err() && ring.consumer().is_err(), "nobody begins where there is no end");
}

#[test]
fn somebody_who_scribbles_on_a_ring_in_use_does_no_harm() {
    let name = Name::new();
    let seed = std::env::var("RINGWAY_TEST_SEED").unwrap_or("1".into());
    for (job, bytes) in
        [("use words", good::<u64>(50)), ("use bytes", good::<u8>(150)), ("use checked", good::<Checked>(50))]
    {
        fs::write(name.path(), bytes).expect("a file of our own");
        let mut scribbler = Child::start("scribble", &[&seed, name.as_str()]);
        scribbler.expect("scribbling");
        let users = Child::start(job, &[name.as_str()]).finish();
        assert_eq!(users.last().map(String::as_str), Some("done"), "seed {seed}");
        scribbler.tell("enough");
        scribbler.finish();
    }
}

/// Overwrites words, and mostly puts back what was there, so that the ring goes on for a while.
fn scribble(arguments: &[String]) {
    let mut random = Random(seed(arguments));
    let path = support::path_of(&arguments[1]);
    let good = fs::read(&path).expect("the parent made it");
    let scribbler = Scribbler::new(&path);
    say("scribbling");
    let enough = std::thread::spawn(listen);
    while !enough.is_finished() {
        let (offset, value) = a_bad_word(&mut random, &good);
        let there = scribbler.get(offset);
        scribbler.set(offset, value);
        for _ in 0..random.below(200) {
            std::hint::spin_loop();
        }
        match random.below(20) {
            0 => {}
            1 => (HEADER..good.len()).step_by(8).for_each(|offset| scribbler.set(offset, get_word(&good, offset))),
            _ => scribbler.set(offset, there),
        }
    }
}

/// Uses the ring from two threads, claiming the roles again and again, until some messages have come through.
fn use_while_it_changes<T: Victim>(arguments: &[String]) {
    let name = arguments[0].as_str();
    let ring = || spsc::Ring::<T>::open_with(name, &options()).expect("its header is good");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let batch = [T::SAMPLE; 60];
            while !enough.load(Ordering::Relaxed) {
                let ring = ring();
                let Ok(mut producer) = ring.producer() else { continue };
                for length in 0..60 {
                    push_all_ways(&mut producer, &batch[..length]);
                }
            }
        });
        let mut room = [T::SAMPLE; 60];
        let (mut rounds, mut popped) = (0, 0);
        while rounds < 4_000 || popped < 1_000 {
            say(format_args!("round {rounds}, {popped} popped"));
            assert!(rounds < 1_000_000, "only {popped} came through");
            rounds += 1;
            let ring = ring();
            let Ok(mut consumer) = ring.consumer() else { continue };
            for length in 0..60 {
                popped += u64::from(pop_all_ways(&mut consumer, &mut room[..length]));
            }
        }
        enough.store(true, Ordering::Relaxed);
    });
    say("done");
}

const JOBS: [Job; 9] = [
    ("any bytes", any_bytes),
    ("bit flips", bit_flips),
    ("fields", fields),
    ("words", words),
    ("end of numbers", end_of_numbers),
    ("scribble", scribble),
    ("use words", use_while_it_changes::<u64>),
    ("use bytes", use_while_it_changes::<u8>),
    ("use checked", use_while_it_changes::<Checked>),
];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}
