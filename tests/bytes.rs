//! Rings whose messages are known by their size only, beside handles of a type: the same rings, with the same promises.

mod support;

use ringway::bytes::{self, Kind, Messages};
use ringway::zerocopy::FromBytes;
use ringway::{ClaimError, CreateError, HeaderError, Lifetime, Message, OpenError, Options, PopError, PushError};
use ringway::{TryPopError, TryPushError, mpmc, spsc};
use std::time::Duration;
use support::damage::Random;
use support::{Child, Job, Name, be_the_other_process, listen, say, wait_until};

/// Attaches without a type, holds the one end or the other, and is killed or told to end.
fn hold(arguments: &[String]) {
    let ring = bytes::Ring::open(&arguments[0]).expect("made by the parent");
    let mut producer = ring.producer().expect("free");
    producer.try_push(&9_u64.to_ne_bytes()).expect("room");
    say("ready");
    listen();
}

/// Takes a message by its type, and is killed before it is handed over.
fn take(arguments: &[String]) {
    let ring = mpmc::Ring::<u64>::open(&arguments[0]).expect("made by the parent");
    let mut consumer = ring.consumer();
    let _taken = consumer.peek().expect("a message");
    say("ready");
    listen();
}

const JOBS: &[Job] = &[("hold", hold), ("take", take), ("take_several", take_several)];

#[test]
#[ignore = "run by the other tests, as another process"]
fn the_other_process() {
    be_the_other_process(JOBS);
}

fn options() -> Options {
    Options::new().lifetime(Lifetime::LastDetach)
}

/// Round and round, a type at one end and bytes at the other.
fn passes_on<T: Message + FromBytes + Copy + PartialEq + std::fmt::Debug>(message: impl Fn(u8) -> T) {
    for capacity in [1, 3, 64] {
        let name = Name::new();
        let options = options().capacity(capacity);
        let typed = spsc::Ring::<T>::create(&name, &options).expect("new");
        let untyped = bytes::Ring::open(&name).expect("whatever its type");
        assert_eq!((untyped.kind(), untyped.message_size()), (Kind::Spsc, size_of::<T>()));
        assert_eq!((untyped.capacity(), untyped.name()), (capacity, name.as_str()));
        let mut buffer = vec![0; untyped.message_size()];
        for turn in 0..4 {
            let (mut producer, mut consumer) = (typed.producer().expect("free"), untyped.consumer().expect("free"));
            for number in 0..capacity as u8 {
                assert_eq!(producer.try_push(message(number)), Ok(()), "turn {turn}");
            }
            for number in 0..capacity as u8 {
                assert_eq!(consumer.try_pop(&mut buffer), Ok(0));
                assert_eq!(buffer, message(number).as_bytes());
            }
            assert_eq!(consumer.try_pop(&mut buffer), Err(TryPopError::Empty));
            drop((producer, consumer));
            let (mut producer, mut consumer) = (untyped.producer().expect("free"), typed.consumer().expect("free"));
            for number in 0..capacity as u8 {
                assert_eq!(producer.try_push(message(number).as_bytes()), Ok(()), "turn {turn}");
            }
            assert_eq!(producer.try_push(message(0).as_bytes()), Err(TryPushError::Full(())));
            for number in 0..capacity as u8 {
                assert_eq!(consumer.try_pop(), Ok(message(number)));
            }
        }

        let name = Name::new();
        let typed = mpmc::Ring::<T>::create(&name, &options).expect("new");
        let untyped = bytes::Ring::open(&name).expect("whatever its type");
        assert_eq!((untyped.kind(), untyped.message_size()), (Kind::Mpmc, size_of::<T>()));
        let (mut typed_in, mut typed_out) = (typed.producer(), typed.consumer());
        let (mut bytes_in, mut bytes_out) = (untyped.producer().expect("any number"), untyped.consumer().expect("too"));
        for round in 0..4 * capacity {
            let (first, second) = (message(round as u8), message((round as u8).wrapping_add(1)));
            typed_in.try_push(first).expect("room");
            assert_eq!(bytes_out.try_pop(&mut buffer), Ok(0));
            assert_eq!(buffer, first.as_bytes());
            bytes_in.try_push(second.as_bytes()).expect("room");
            assert!(typed_out.try_pop().is_ok_and(|popped| *popped == second));
        }
        for _ in 0..capacity {
            bytes_in.try_push(&buffer).expect("room");
        }
        assert_eq!(bytes_in.try_push(&buffer), Err(TryPushError::Full(())));
    }
}

#[test]
fn messages_of_any_size_pass_between_a_type_and_bytes() {
    passes_on(|number| number);
    passes_on(|number| [number; 3]);
    passes_on(|number| u16::from(number) << 8 | 7);
    passes_on(|number| u64::from(number) << 40 | 7);
    passes_on(|number| [u64::from(number); 7]);
    passes_on(|number| u128::from(number) << 80 | 7);
    passes_on(|number| [number; 57]);
    passes_on(|number| [u64::from(number); 16]);
    passes_on(|number| [number; 5_000]);
}

#[test]
fn a_ring_that_was_made_without_a_type_is_opened_by_the_type_that_was_meant() {
    let (numbers, arrays) = (Name::new(), Name::new());
    let number = Messages { size: 8, align: 8, type_name: "u64".to_owned() };
    let _numbers = bytes::Ring::create(&numbers, Kind::Spsc, &number, &options()).expect("new");
    let _arrays = bytes::Ring::create(&arrays, Kind::Mpmc, &Messages::bytes(8), &options()).expect("new");
    assert!(spsc::Ring::<u64>::open(&numbers).is_ok() && mpmc::Ring::<[u8; 8]>::open(&arrays).is_ok());
    let refused = |error| matches!(error, OpenError::Header { error: HeaderError::Schema { .. }, .. });
    assert!(spsc::Ring::<i64>::open(&numbers).is_err_and(refused), "of the same size, and something else");
    let refused = |error| matches!(error, OpenError::Header { error: HeaderError::ItemAlign { .. }, .. });
    assert!(mpmc::Ring::<u64>::open(&arrays).is_err_and(refused));
    let refused = |error| matches!(error, OpenError::Header { error: HeaderError::Kind { .. }, .. });
    assert!(spsc::Ring::<[u8; 8]>::open(&arrays).is_err_and(refused));
}

#[test]
fn what_there_cannot_be_is_refused() {
    let name = Name::new();
    for (size, align) in [(0, 1), (8, 0), (8, 3), (8, 128), (9, 2), ((1 << 31) + 1, 1), (usize::MAX, 1)] {
        let messages = Messages { size, align, type_name: "T".to_owned() };
        let error = bytes::Ring::create(&name, Kind::Mpmc, &messages, &options()).expect_err("no such messages");
        assert!(matches!(error, CreateError::Messages { .. }), "{error}");
        assert!(!name.exists());
    }
    assert!(matches!(bytes::Ring::open(&name), Err(OpenError::NotFound { .. })));
    std::fs::write(name.path(), [7; 4096]).expect("ours");
    assert!(matches!(bytes::Ring::open(&name), Err(OpenError::Header { error: HeaderError::Magic { .. }, .. })));
    std::fs::remove_file(name.path()).expect("ours");

    let ring = bytes::Ring::create(&name, Kind::Spsc, &Messages::bytes(3), &options()).expect("new");
    let _producer = ring.producer().expect("free");
    assert!(matches!(ring.producer(), Err(ClaimError::RoleTaken { .. })));
    let wrong = Options::new().capacity(7);
    assert!(bytes::Ring::open_with(&name, &wrong).is_err());
}

#[test]
#[should_panic = "a message has the size that the ring's header says"]
fn a_message_of_another_size_is_a_mistake_of_the_program() {
    let name = Name::new();
    let ring = bytes::Ring::create(&name, Kind::Mpmc, &Messages::bytes(3), &options()).expect("new");
    let _ = ring.producer().expect("any number").try_push(&[1, 2]);
}

#[test]
fn both_ends_wait_and_are_told_when_the_other_has_left() {
    for kind in [Kind::Spsc, Kind::Mpmc] {
        let name = Name::new();
        let ring = bytes::Ring::create(&name, kind, &Messages::bytes(8), &options().capacity(2)).expect("new");
        let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
        let popping = std::thread::spawn(move || {
            let (mut buffer, mut sum) = ([0; 8], 0);
            while consumer.pop(&mut buffer).map_err(|error| assert_eq!(error, PopError::Closed)).is_ok() {
                sum += u64::from_ne_bytes(buffer);
            }
            (sum, consumer)
        });
        for number in 0..10_000_u64 {
            producer.push(&number.to_ne_bytes()).expect("there is a consumer");
        }
        drop(producer);
        let (sum, mut consumer) = popping.join().expect("no panic");
        assert_eq!(sum, 9_999 * 10_000 / 2);
        let mut producer = ring.producer().expect("free");
        let moment = Duration::from_millis(1);
        assert!(matches!(consumer.pop_timeout(&mut [0; 8], moment), Err(PopError::Timeout { pid: None })));
        producer.push(&[1; 8]).and_then(|()| producer.push(&[2; 8])).expect("room");
        assert!(matches!(producer.push_timeout(&[3; 8], moment), Err(PushError::Timeout { .. })));
        producer.close_when_alone(true);
        drop(consumer);
        assert_eq!(producer.push(&[3; 8]), Err(PushError::Closed(())));
    }
}

#[test]
fn a_death_leaves_what_it_leaves_in_any_ring() {
    let name = Name::new();
    let ring =
        bytes::Ring::create(&name, Kind::Mpmc, &Messages { size: 8, align: 8, type_name: "u64".into() }, &options());
    let ring = ring.expect("new");
    let (mut producer, mut consumer) = (ring.producer().expect("any number"), ring.consumer().expect("any number"));
    producer.try_push(&7_u64.to_ne_bytes()).expect("room");
    let mut child = Child::start("take", &[name.as_str()]);
    child.expect("ready");
    let mut buffer = [0; 8];
    assert_eq!(consumer.try_pop(&mut buffer), Err(TryPopError::Empty), "it is in the hands of another");
    child.kill();
    wait_until("it is redelivered", || consumer.try_pop(&mut buffer) == Ok(1));
    assert_eq!(u64::from_ne_bytes(buffer), 7);

    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &options()).expect("new");
    let mut child = Child::start("hold", &[name.as_str()]);
    child.expect("ready");
    assert!(matches!(ring.producer(), Err(ClaimError::RoleTaken { pid, .. }) if pid == child.pid()));
    child.kill();
    wait_until("its role is free", || ring.producer().is_ok());
    assert_eq!(ring.consumer().expect("free").try_pop(), Ok(9));
}

/// Takes several messages, hands some over, and is killed.
fn take_several(arguments: &[String]) {
    let ring = bytes::Ring::open(&arguments[0]).expect("made by the parent");
    let mut consumer = ring.consumer().expect("free");
    let mut messages = [0; 80];
    consumer.peek_slice(&mut messages[..16]).expect("messages").release();
    let lent = consumer.peek_slice(&mut messages).expect("messages");
    say(lent.count());
    listen();
}

#[test]
fn what_is_lent_is_handed_over_or_given_back_as_a_whole() {
    for kind in [Kind::Spsc, Kind::Mpmc] {
        let name = Name::new();
        let ring = bytes::Ring::create(&name, kind, &Messages::bytes(4), &options().capacity(40)).expect("new");
        let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
        let mut push = |numbers: std::ops::Range<u32>| {
            for number in numbers {
                producer.try_push(&number.to_ne_bytes()).expect("room");
            }
        };
        let mut messages = [0; 400];
        let numbers = |bytes: &[u8], count: usize| -> Vec<u32> {
            bytes.chunks_exact(4).take(count).map(|bytes| u32::from_ne_bytes(bytes.try_into().unwrap())).collect()
        };
        assert!(matches!(consumer.peek_slice(&mut messages), Err(TryPopError::Empty)));
        // Round and round, by as many as there are and by as many as there is room for.
        for turn in 0..20 {
            push(turn * 37..turn * 37 + 37);
            let lent = consumer.peek_slice(&mut messages[..80]).expect("messages");
            assert_eq!((lent.count(), lent.redeliveries()), (20, 0));
            lent.release();
            let lent = consumer.peek_slice(&mut messages).expect("messages");
            assert_eq!(lent.count(), 17);
            lent.release();
            assert_eq!(numbers(&messages, 17), (turn * 37 + 20..turn * 37 + 37).collect::<Vec<_>>());
        }
        push(0..30);
        drop(consumer.peek_slice(&mut messages[..40]).expect("messages"));
        std::mem::forget(consumer.peek_slice(&mut messages[..12]).expect("messages"));
        let (mut got, mut redelivered) = (Vec::new(), 0);
        while let Ok(lent) = consumer.peek_slice(&mut messages) {
            redelivered += usize::from(lent.redeliveries() > 0);
            let count = lent.count();
            lent.release();
            got.extend(numbers(&messages, count));
        }
        assert_eq!(redelivered, if kind == Kind::Mpmc { 13 } else { 0 }, "one of many says so");
        got.sort_unstable();
        assert_eq!(got, (0..30).collect::<Vec<_>>());
        push(0..40);
        assert_eq!(consumer.try_pop(&mut messages[..4]), Ok(0), "all places have come back");
        let patience = Duration::from_secs(10);
        let lent = consumer.peek_slice_timeout(&mut messages, patience).expect("messages");
        assert!(lent.count() == 39);
        drop(lent);
        drop(consumer);
        let mut consumer = ring.consumer().expect("free");
        let mut count = 0;
        while consumer.try_pop(&mut messages[..4]).is_ok() {
            count += 1;
        }
        assert_eq!(count, 39);
    }
}

#[test]
fn what_is_lent_to_the_dead_is_delivered_again() {
    for kind in [Kind::Spsc, Kind::Mpmc] {
        let name = Name::new();
        let ring = bytes::Ring::create(&name, kind, &Messages::bytes(8), &options().capacity(16)).expect("new");
        let mut producer = ring.producer().expect("free");
        for number in 0..9_u64 {
            producer.try_push(&number.to_ne_bytes()).expect("room");
        }
        let mut child = Child::start("take_several", &[name.as_str()]);
        child.expect("7");
        child.kill();
        let mut consumer = None;
        wait_until("its role is free", || {
            consumer = ring.consumer().ok();
            consumer.is_some()
        });
        let (mut consumer, mut message, mut got) = (consumer.expect("free"), [0; 8], Vec::new());
        wait_until("all are there", || {
            got.extend(consumer.try_pop(&mut message).ok().map(|_| u64::from_ne_bytes(message)));
            got.len() == 7
        });
        assert_eq!(got, (2..9).collect::<Vec<_>>());
        assert_eq!(consumer.try_pop(&mut message), Err(TryPopError::Empty));
    }
}

/// Several consumers take batches of any length, and hand them over or give them back as it comes.
#[test]
fn what_is_given_back_by_some_is_delivered_once_by_others() {
    const MESSAGES: u64 = 30_000;
    let name = Name::new();
    let ring = bytes::Ring::create(&name, Kind::Mpmc, &Messages::bytes(8), &options().capacity(50)).expect("new");
    let mut producers: Vec<_> = (0..2).map(|_| ring.producer().expect("any number")).collect();
    let consumers: Vec<_> = (0..3).map(|_| ring.consumer().expect("any number")).collect();
    let consuming: Vec<_> = consumers
        .into_iter()
        .enumerate()
        .map(|(number, mut consumer)| {
            std::thread::spawn(move || {
                let (mut random, mut messages, mut got) = (Random(number as u64), [0; 20 * 8], Vec::new());
                loop {
                    let room = 1 + random.below(20);
                    match consumer.peek_slice_timeout(&mut messages[..room * 8], Duration::MAX) {
                        Ok(lent) if random.below(3) > 0 => {
                            let count = lent.count();
                            lent.release();
                            let numbers = messages.chunks_exact(8).take(count);
                            got.extend(numbers.map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("eight"))));
                        }
                        Ok(lent) => drop(lent),
                        Err(PopError::Closed) => return got,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    std::thread::scope(|scope| {
        for (half, producer) in producers.iter_mut().enumerate() {
            scope.spawn(move || {
                for number in (half as u64..MESSAGES).step_by(2) {
                    producer.push(&number.to_ne_bytes()).expect("there are consumers");
                }
            });
        }
    });
    drop(producers);
    let mut got: Vec<u64> = consuming.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..MESSAGES));
}
