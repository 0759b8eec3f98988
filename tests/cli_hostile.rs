//! The verbs that only look, on a thousand rings full of rubbish: no panic, no signal, no endless loop, and not a byte of
//! the ring is changed. `RINGWAY_TEST_SEED` chooses other rings.

#[path = "support/command.rs"]
mod command;
mod support;
#[path = "support/system_v.rs"]
mod system_v;

use command::run;
use ringway::inspect::Segment;
use ringway::{Options, bytes, mpmc, spsc};
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::Name;
use support::bytes::{FIELDS, HEADER, get_word, set_field, set_word};
use support::damage::{EXTREMES, Random, a_bad_word};
use support::memory::{Memory, SystemV};

const RINGS: usize = 1_000;

/// Good rings with some messages in them, some laps after their creation.
fn good() -> Vec<Vec<u8>> {
    let mut rings = Vec::new();
    for capacity in [1, 9, 300] {
        let options = Options::new().capacity(capacity).processes(3);
        let (one, many) = (Name::new(), Name::new());
        let single = spsc::Ring::<u64>::create(&one, &options).expect("new");
        let crowd = mpmc::Ring::<[u8; 100]>::create(&many, &options).expect("new");
        let (mut producer, mut consumer) = (single.producer().expect("free"), single.consumer().expect("free"));
        let (mut mpmc_producer, mut mpmc_consumer) = (crowd.producer(), crowd.consumer());
        for number in 0..3 * capacity as u64 {
            assert!(producer.try_push(number).is_ok() && consumer.try_pop().is_ok());
            assert!(mpmc_producer.try_push([number as u8; 100]).is_ok() && mpmc_consumer.try_pop().is_ok());
        }
        producer.push_slice(&vec![7; capacity.div_ceil(2)]).expect("room");
        mpmc_producer.push_slice(&vec![[7; 100]; capacity.div_ceil(2).min(255)]).expect("room");
        let _taken = mpmc_consumer.peek().expect("a message");
        // As they are while processes are attached.
        rings.extend([&one, &many].map(|name| fs::read(name.path()).expect("a file")));
    }
    rings
}

/// One of the good rings, made bad.
fn damaged(random: &mut Random, good: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = good[random.below(good.len())].clone();
    match random.below(6) {
        // A header with numbers that contradict one another, and a checksum that does not.
        0 => {
            for _ in 0..1 + random.below(3) {
                let (field, offset, _) = FIELDS[3 + random.below(FIELDS.len() - 3)];
                let value = match random.below(3) {
                    0 => EXTREMES[random.below(EXTREMES.len())],
                    1 => get_word(&bytes, offset) ^ (1 << random.below(64)),
                    _ => get_word(&bytes, offset).wrapping_add(random.below(5) as u64).wrapping_sub(2),
                };
                set_field(&mut bytes, field, value);
            }
        }
        1 => {
            let offset = random.below(HEADER);
            bytes[offset] ^= 1 << random.below(8);
        }
        2 => bytes.truncate(random.below(bytes.len())),
        3 => {
            for byte in &mut bytes[HEADER..] {
                *byte = random.next() as u8;
            }
        }
        _ => {
            for _ in 0..1 + random.below(20) {
                let (offset, value) = a_bad_word(random, &bytes);
                set_word(&mut bytes, offset, value);
            }
        }
    }
    bytes
}

/// What a bug could change: the bytes, and when the file system has last seen them change.
fn state(name: &Name) -> (Vec<u8>, std::time::SystemTime) {
    let metadata = fs::metadata(name.path()).expect("a file");
    (fs::read(name.path()).expect("a file"), metadata.modified().expect("the system says so"))
}

#[test]
fn the_verbs_that_look_survive_a_thousand_bad_rings_and_change_none() {
    let seed = std::env::var("RINGWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let good = good();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let good = &good;
            scope.spawn(move || {
                for case in (half..RINGS).step_by(2) {
                    look(seed, case, good);
                }
            });
        }
    });
}

fn look(seed: u64, case: usize, good: &[Vec<u8>]) {
    let mut random = Random(seed << 32 | case as u64);
    let name = Name::new();
    fs::write(name.path(), damaged(&mut random, good)).expect("ours");
    let before = state(&name);
    let verbs: [&[&str]; 5] = [
        &["ls", "--interval", "0"],
        &["ls", "--interval", "0", "--json"],
        &["info", "--interval", "1"],
        &["info", "--interval", "0", "--json"],
        &["peek", "--count", "1000"],
    ];
    for verb in verbs {
        let arguments: Vec<&str> = verb.iter().copied().chain([name.as_str()]).collect();
        let run = run(&arguments);
        let allowed: &[i32] = if verb[0] == "ls" { &[0] } else { &[0, 4] };
        assert!(
            allowed.contains(&run.code),
            "seed {seed}, case {case}: {arguments:?} ends with {}: {}",
            run.code,
            run.err
        );
        assert!(!run.err.contains("panicked"), "seed {seed}, case {case}: {arguments:?}: {}", run.err);
    }
    assert!(before == state(&name), "seed {seed}, case {case}: it was changed");
}

/// Far more of them, without a process for each.
#[test]
fn a_picture_of_rubbish_is_an_error_or_a_picture_and_takes_no_time() {
    let seed: u64 = std::env::var("RINGWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let good = good();
    let name = Name::new();
    for case in 0..20_000 {
        let mut random = Random(!seed << 32 | case);
        fs::write(name.path(), damaged(&mut random, &good)).expect("ours");
        let start = Instant::now();
        let segment = Segment::open(&name).expect("there");
        let picture = segment.picture().expect("readable");
        match segment.peek(1_000, 1_000) {
            Ok(glimpses) => assert!(picture.contents.is_some() && glimpses.len() <= 1_000),
            Err(_) => assert!(!picture.errors.is_empty(), "case {case}"),
        }
        if case % 20 == 0 {
            look_at_a_key(damaged(&mut random, &good));
        }
        // What is not bounded takes for ever.
        assert!(start.elapsed() < Duration::from_secs(10), "case {case} took {:?}", start.elapsed());
    }
}

/// The same without a file.
fn look_at_a_key(bytes: Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let key = SystemV::new();
    let raw = system_v::Raw::create(&key, bytes.len());
    raw.write(&bytes);
    let segment = Segment::open(key.source()).expect("ours");
    let picture = segment.picture().expect("readable");
    assert!(picture.system_v.is_some() && segment.peek(1_000, 1_000).is_ok() == picture.contents.is_some());
    drop(segment);
    assert!(raw.bytes() == bytes, "it was changed");
}

/// The verbs that push and pop do it through these.
#[test]
fn handles_without_a_type_survive_rubbish() {
    let seed: u64 = std::env::var("RINGWAY_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let good = good();
    for case in 0..5_000 {
        // One of each, as a role that seems to be taken stays so.
        let name = Name::new();
        let mut random = Random(seed << 40 | case);
        fs::write(name.path(), damaged(&mut random, &good)).expect("ours");
        let Ok(ring) = bytes::Ring::open(&name) else { continue };
        let mut buffer = vec![1; ring.message_size()];
        let moment = Duration::from_micros(10);
        if let Ok(mut producer) = ring.producer() {
            let _ = (producer.try_push(&buffer), producer.push_timeout(&buffer, moment));
        }
        if let Ok(mut consumer) = ring.consumer() {
            let popped = (0..1_000).take_while(|_| consumer.try_pop(&mut buffer).is_ok()).count();
            black_box((popped, consumer.pop_timeout(&mut buffer, moment)).0);
            let mut batch = vec![1; 300 * ring.message_size()];
            for turn in 0..3 {
                match consumer.peek_slice_timeout(&mut batch, moment) {
                    Ok(lent) if turn == 1 => lent.release(),
                    lent => drop(black_box(lent.map(|lent| lent.count()))),
                }
            }
        }
    }
}
