//! MPMC segments full of rubbish: whatever the words, and whoever changes them meanwhile, there is a typed error, or a
//! ring that works, or a wrong message of a valid type. Never a panic, a signal, or an endless loop.
//!
//! The attacks run in processes of their own, which name each case before they try it. `RINGWAY_TEST_SEED` chooses other
//! random cases. What any ring has in common, the header above all, is attacked in `hostile.rs`.

mod support;

use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use ringway::{Message, Options, PopSliceError, PushSliceError, ReserveError, TryPopError, TryPushError, mpmc};
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use support::bytes::{HEADER, RECORD, RECORDS, Scribbler, field, get_word, set_word};
use support::damage::{EXTREMES, Random};
use support::{Child, Job, Name, be_the_other_process, listen, say};

const PROCESSES: usize = 3;

/// Valid in few bit patterns: a `bool` among bytes that say whether the message is whole.
#[derive(Clone, Copy, Debug, PartialEq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Checked {
    flag: bool,
    rest: [u8; 7],
}

trait Victim: Message + Copy {
    const SAMPLE: Self;

    fn is_valid(self) -> bool {
        black_box(self);
        true
    }
}

impl Victim for u64 {
    const SAMPLE: Self = 6;
}

impl Victim for [u64; 9] {
    const SAMPLE: Self = [6; 9];
}

impl Victim for Checked {
    const SAMPLE: Self = Checked { flag: true, rest: [6; 7] };

    fn is_valid(self) -> bool {
        // The bytes as they are, not as the compiler may assume that they are.
        black_box(self.as_bytes())[0] < 2
    }
}

fn options() -> Options {
    Options::new().schema(0xbad).processes(PROCESSES)
}

/// The bytes of a good ring with some messages in it, some laps after its creation.
fn good<T: Victim>(capacity: usize) -> Vec<u8> {
    let name = Name::new();
    let ring = mpmc::Ring::<T>::create(&name, &options().capacity(capacity)).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for _ in 0..3 * capacity {
        assert!(producer.try_push(T::SAMPLE).is_ok());
        assert!(consumer.try_pop().is_ok_and(|popped| popped.into_inner().is_valid()));
    }
    assert_eq!(producer.push_slice(&vec![T::SAMPLE; capacity / 2]), Ok(capacity / 2));
    drop((producer, consumer, ring));
    fs::read(name.path()).expect("a file")
}

/// A place beside the header, and something that should not be there but might be.
fn a_bad_word(random: &mut Random, bytes: &[u8]) -> (usize, u64) {
    let header = |name| get_word(bytes, field(name).0) as usize;
    let (cells, stride) = (header("cells offset"), header("cell stride"));
    let cell = cells + random.below((bytes.len() - cells) / stride) * stride;
    let offset = match random.below(10) {
        // Hints, counts of orphans, and all else in the control block.
        0..3 => HEADER + random.below(5) * 128 + random.below(3) * 8,
        3 => RECORDS + random.below(PROCESSES) * RECORD + random.below(11) * 8,
        4 => HEADER + random.below((bytes.len() - HEADER) / 8) * 8,
        _ => cell,
    };
    let there = get_word(bytes, offset);
    let value = match random.below(7) {
        0 => random.next(),
        1 => EXTREMES[random.below(EXTREMES.len())],
        2 => there.wrapping_add(random.below(20) as u64).wrapping_sub(10),
        3 => there ^ 1 << random.below(64),
        // Another state, owner or span of the same lap; or of one nearby.
        4 => there & !0xff_ffff | random.next() & 0xff_ffff,
        5 => there.wrapping_add((random.below(7) as u64).wrapping_sub(3) << 24) & !7 | random.below(8) as u64,
        _ => there & !0xffff | (random.below(PROCESSES + 1) as u64) << 3 | random.below(8) as u64,
    };
    (offset, value)
}

fn push_all_ways<T: Victim>(producer: &mut mpmc::Producer<T>, batch: &[T]) {
    match producer.try_push(T::SAMPLE) {
        Ok(()) | Err(TryPushError::Full(_) | TryPushError::Busy { .. } | TryPushError::Corrupted(..)) => {}
        Err(other) => panic!("{other}"),
    }
    match producer.push_slice(batch) {
        Ok(pushed) => assert!(pushed <= batch.len().min(producer.capacity())),
        Err(PushSliceError::Busy { .. } | PushSliceError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    match producer.reserve() {
        Ok(mut reserved) => {
            reserved.write(T::SAMPLE);
            if batch.len() % 2 == 0 {
                reserved.commit();
            }
        }
        Err(ReserveError::Full | ReserveError::Busy { .. } | ReserveError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    assert!(producer.len() <= producer.capacity());
}

/// Returns how many messages came.
fn pop_all_ways<T: Victim>(consumer: &mut mpmc::Consumer<T>, room: &mut [T]) -> usize {
    let mut came = 0;
    match consumer.try_pop() {
        Ok(message) => {
            assert!(message.into_inner().is_valid());
            came += 1;
        }
        Err(TryPopError::Empty | TryPopError::Busy { .. } | TryPopError::Invalid(_) | TryPopError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    match consumer.pop_slice(room) {
        Ok(popped) => came += popped.into_inner(),
        Err(PopSliceError::Busy { .. } | PopSliceError::Invalid(_) | PopSliceError::Corrupted(_)) => {}
        Err(other) => panic!("{other}"),
    }
    assert!(room.iter().all(|message| message.is_valid()));
    assert!(consumer.len() <= consumer.capacity());
    came
}

/// Attaches and does everything that there is to do with a ring, but kill.
fn use_it<T: Victim>(name: &str) {
    let ring = mpmc::Ring::<T>::open_with(name, &options()).expect("its header is good");
    black_box((ring.len(), ring.peers(), ring.recover(), ring.recovered()));
    let batch = vec![T::SAMPLE; ring.capacity() + 3];
    let mut room = batch.clone();
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for round in 0..40 {
        push_all_ways(&mut producer, &batch[..round % batch.len()]);
        pop_all_ways(&mut consumer, &mut room[..(round * 7) % batch.len()]);
    }
    black_box(ring.peers());
}

#[track_caller]
fn survives(job: &str, arguments: &[&str]) {
    let seed = std::env::var("RINGWAY_TEST_SEED").unwrap_or("1".into());
    let words = Child::start(job, &[&[seed.as_str()], arguments].concat()).finish();
    assert_eq!(words.last().map(String::as_str), Some("done"), "seed {seed}");
}

fn seed(arguments: &[String]) -> u64 {
    arguments[0].parse().expect("RINGWAY_TEST_SEED is a number")
}

#[test]
fn no_words_beside_the_header_do_harm_at_rest() {
    survives("words", &[]);
}

fn words(arguments: &[String]) {
    for capacity in [1, 2, 20, 130] {
        words_of::<u64>(seed(arguments), capacity);
        words_of::<[u64; 9]>(seed(arguments), capacity);
        words_of::<Checked>(seed(arguments), capacity);
    }
    say("done");
}

fn words_of<T: Victim>(seed: u64, capacity: usize) {
    let (name, good) = (Name::new(), good::<T>(capacity));
    for case in seed..seed + 400 {
        say(format_args!("case {case} of {}, capacity {capacity}", std::any::type_name::<T>()));
        let (mut bytes, mut random) = (good.clone(), Random(case));
        for _ in 0..random.below(4) + 1 {
            let (offset, value) = a_bad_word(&mut random, &bytes);
            set_word(&mut bytes, offset, value);
        }
        fs::write(name.path(), &bytes).expect("a file of our own");
        use_it::<T>(name.as_str());
        let after = fs::read(name.path()).expect("a file of our own");
        assert!(after[..HEADER] == bytes[..HEADER], "nobody writes what he does not own");
    }
}

#[test]
fn somebody_who_scribbles_on_a_ring_in_use_does_no_harm() {
    let name = Name::new();
    for (job, bytes) in [("use words", good::<u64>(50)), ("use checked", good::<Checked>(50))] {
        fs::write(name.path(), bytes).expect("a file of our own");
        let mut scribbler = Child::start("scribble", &["1", name.as_str()]);
        scribbler.expect("scribbling");
        survives(job, &[name.as_str()]);
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
            // NB: not the records: the mark of who is attached is theirs who attach, meanwhile.
            1 => (HEADER..RECORDS).chain(RECORDS + PROCESSES * RECORD..good.len()).step_by(8).for_each(|offset| {
                scribbler.set(offset, get_word(&good, offset));
            }),
            _ => scribbler.set(offset, there),
        }
    }
}

/// Uses the ring from two threads until some messages have come through.
fn use_while_it_changes<T: Victim>(arguments: &[String]) {
    let ring = || mpmc::Ring::<T>::open_with(&arguments[1], &options()).expect("its header is good");
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let batch = [T::SAMPLE; 60];
            while !enough.load(Ordering::Relaxed) {
                let mut producer = ring().producer();
                for length in 0..60 {
                    push_all_ways(&mut producer, &batch[..length]);
                }
            }
        });
        let mut room = [T::SAMPLE; 60];
        let (mut rounds, mut popped) = (0, 0);
        while rounds < 400 || popped < 1_000 {
            say(format_args!("round {rounds}, {popped} popped"));
            assert!(rounds < 100_000, "only {popped} came through");
            rounds += 1;
            let mut consumer = ring().consumer();
            for length in 0..60 {
                popped += pop_all_ways(&mut consumer, &mut room[..length]);
            }
        }
        enough.store(true, Ordering::Relaxed);
    });
    say("done");
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    const JOBS: [Job; 4] = [
        ("words", words),
        ("scribble", scribble),
        ("use words", use_while_it_changes::<u64>),
        ("use checked", use_while_it_changes::<Checked>),
    ];
    be_the_other_process(&JOBS);
}
