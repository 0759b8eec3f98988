//! The contract of an MPMC queue, in one process: who gets what, in which order, and how full it is.

mod support;

use ringway::mpmc::{Consumer, Producer, Ring};
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{CreateError, Lifetime, Message, Options, PopSliceError, TryPopError, TryPushError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::Name;

fn ring<T: Message>(name: &Name, capacity: usize) -> Ring<T> {
    Ring::create(name, &Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)).expect("a ring")
}

/// A ring with an end of each kind.
fn ring_of<T: Message>(capacity: usize) -> (Name, Ring<T>, Producer<T>, Consumer<T>) {
    let name = Name::new();
    let ring = ring(&name, capacity);
    let (producer, consumer) = (ring.producer(), ring.consumer());
    (name, ring, producer, consumer)
}

/// What is left, in order. Nobody else is at the ring.
fn drain(consumer: &mut Consumer<u64>) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(popped) => got.push(*popped),
            Err(TryPopError::Empty) => return got,
            Err(error) => panic!("{error} after {got:?}"),
        }
    }
}

fn push(producer: &mut Producer<u64>, message: u64) {
    while let Err(error) = producer.try_push(message) {
        assert!(matches!(error, TryPushError::Full(_) | TryPushError::Busy { .. }), "{error:?}");
        thread::yield_now();
    }
}

fn pop(consumer: &mut Consumer<u64>) -> Option<u64> {
    match consumer.try_pop() {
        Ok(popped) => {
            assert!(!popped.redelivered(), "nobody died");
            Some(*popped)
        }
        Err(TryPopError::Empty | TryPopError::Busy { .. }) => {
            thread::yield_now();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// `producers` push `each` numbered messages, and `consumers` pop all of them: each once, and each producer's in order.
fn pass(capacity: usize, producers: usize, consumers: usize, each: usize, batch: usize) {
    let name = Name::new();
    let ring = ring::<u64>(&name, capacity);
    let left = AtomicUsize::new(producers * each);
    let got: Vec<Vec<u64>> = thread::scope(|scope| {
        for number in 0..producers as u64 {
            let mut producer = ring.producer();
            scope.spawn(move || {
                let messages: Vec<u64> = (0..each as u64).map(|n| number << 32 | n).collect();
                let mut rest = &messages[..];
                while !rest.is_empty() {
                    if batch == 1 {
                        push(&mut producer, rest[0]);
                        rest = &rest[1..];
                        continue;
                    }
                    match producer.push_slice(&rest[..rest.len().min(batch)]) {
                        Ok(0) | Err(ringway::PushSliceError::Busy { .. }) => thread::yield_now(),
                        Ok(pushed) => rest = &rest[pushed..],
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let popping = (0..consumers).map(|_| {
            let (mut consumer, left) = (ring.consumer(), &left);
            scope.spawn(move || {
                let mut got = Vec::new();
                let mut messages = vec![0; batch];
                while left.load(Ordering::Relaxed) > 0 {
                    let before = got.len();
                    if batch == 1 {
                        got.extend(pop(&mut consumer));
                    } else {
                        match consumer.pop_slice(&mut messages) {
                            Ok(count) => got.extend(&messages[..*count]),
                            Err(PopSliceError::Busy { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                        if got.len() == before {
                            thread::yield_now();
                        }
                    }
                    left.fetch_sub(got.len() - before, Ordering::Relaxed);
                }
                got
            })
        });
        popping.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for own in &got {
        for producer in 0..producers as u64 {
            let of_producer = own.iter().filter(|&&message| message >> 32 == producer);
            assert!(of_producer.is_sorted_by(|a, b| a < b), "the messages of one producer came out of order");
        }
    }
    let mut all: Vec<u64> = got.into_iter().flatten().collect();
    all.sort_unstable();
    let expected = (0..producers as u64).flat_map(|number| (0..each as u64).map(move |n| number << 32 | n));
    assert!(all.into_iter().eq(expected), "not each message once");
    assert_eq!((ring.len(), ring.is_empty()), (0, true));
}

#[test]
fn each_message_is_delivered_once_to_someone_and_in_order() {
    for capacity in [1, 2, 3, 7, 64, 1000] {
        for (producers, consumers) in [(1, 1), (4, 1), (1, 4), (2, 2), (4, 4)] {
            for batch in [1, 5] {
                pass(capacity, producers, consumers, 20_000 / producers, batch);
            }
        }
    }
}

/// Each thread pops after it has pushed, so that there is always something to pop; and there is room for one message of
/// each, so that there is always room.
#[test]
fn nobody_is_told_of_a_full_or_an_empty_ring_that_never_was() {
    const THREADS: usize = 4;
    let name = Name::new();
    let ring = ring(&name, THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS as u64 {
            let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
            scope.spawn(move || {
                for _ in 0..20_000 {
                    while let Err(error) = producer.try_push(number) {
                        assert!(matches!(error, TryPushError::Busy { .. }), "{error:?}");
                        thread::yield_now();
                    }
                    while let Err(error) = consumer.try_pop() {
                        assert!(matches!(error, TryPopError::Busy { .. }), "{error:?}");
                        thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!((ring.len(), ring.is_empty(), ring.is_full()), (0, true, false));
}

#[test]
fn a_ring_without_room_is_refused() {
    let name = Name::new();
    let refused = Ring::<u64>::create(&name, &Options::new().capacity(0));
    assert!(matches!(refused, Err(CreateError::Capacity { found: 0, .. })), "{refused:?}");
    assert!(!name.exists());
}

#[derive(Clone, Copy, PartialEq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(64))]
struct Aligned([u8; 192]);

/// A message that can be told from its neighbours.
fn sample<T: FromBytes + IntoBytes>(number: usize) -> T {
    let mut message = T::new_zeroed();
    let bytes = message.as_mut_bytes();
    bytes.iter_mut().zip(number..).for_each(|(byte, number)| *byte = number as u8);
    message
}

/// Fills the ring and drains it, from `laps` different places, and looks how full it is at each step.
fn holds_exactly<T: Message + FromBytes + Clone + PartialEq>(capacity: usize, laps: usize) {
    let (_name, ring, mut producer, mut consumer) = ring_of::<T>(capacity);
    assert_eq!((ring.capacity(), producer.capacity(), consumer.capacity()), (capacity, capacity, capacity));
    let (mut pushed, mut popped) = (0, 0);
    for _ in 0..laps {
        for in_ring in 0..capacity {
            assert_eq!([ring.len(), producer.len(), consumer.len()], [in_ring; 3]);
            assert_eq!([ring.is_empty(), producer.is_empty(), consumer.is_empty()], [in_ring == 0; 3]);
            assert_eq!([ring.is_full(), producer.is_full(), consumer.is_full()], [false; 3]);
            assert!(producer.try_push(sample(pushed)).is_ok(), "{in_ring} of {capacity}");
            pushed += 1;
        }
        assert!(ring.is_full() && producer.is_full() && consumer.is_full() && ring.len() == capacity);
        // One pop makes room for one push, never for two: so the next lap begins elsewhere.
        for _ in 0..capacity + 1 {
            let refused = producer.try_push(sample(pushed));
            assert!(matches!(refused, Err(TryPushError::Full(message)) if message == sample(pushed)));
            assert!(consumer.try_pop().expect("it is full") == sample::<T>(popped));
            popped += 1;
            assert_eq!(ring.len(), capacity - 1);
            assert_eq!(producer.try_push(sample(pushed)), Ok(()));
            pushed += 1;
        }
        for in_ring in (0..capacity).rev() {
            assert!(consumer.try_pop().expect("a message") == sample::<T>(popped));
            popped += 1;
            assert_eq!(ring.len(), in_ring);
        }
        assert!(matches!(consumer.try_pop(), Err(TryPopError::Empty)));
    }
    assert_eq!(popped, pushed);
}

#[test]
fn a_ring_holds_exactly_its_capacity_of_messages_of_any_size_and_alignment() {
    for capacity in 1..=70 {
        holds_exactly::<u8>(capacity, 3);
        holds_exactly::<[u8; 3]>(capacity, 3);
        holds_exactly::<u16>(capacity, 2);
        holds_exactly::<u32>(capacity, 2);
        holds_exactly::<u64>(capacity, 3);
        holds_exactly::<u128>(capacity, 3);
        holds_exactly::<[u64; 3]>(capacity, 3);
        holds_exactly::<[u64; 7]>(capacity, 3);
        holds_exactly::<[u8; 57]>(capacity, 3);
        holds_exactly::<[u64; 8]>(capacity, 3);
        holds_exactly::<Aligned>(capacity, 3);
        holds_exactly::<[u64; 25]>(capacity, 3);
    }
}

#[test]
fn a_ring_of_large_messages_holds_exactly_its_capacity() {
    // Without optimisation every move of a message is a copy of its own on the stack.
    let large = thread::Builder::new().stack_size(64 << 20).spawn(|| {
        for capacity in [1, 2, 3, 8, 33, 70] {
            holds_exactly::<[u8; 4096]>(capacity, 2);
            holds_exactly::<[u8; 65_536]>(capacity, 1);
        }
    });
    large.expect("a thread").join().expect("no panic");
}

#[test]
fn what_is_in_the_ring_outlives_every_handle() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, &Options::new().capacity(10)).expect("a ring");
    assert_eq!(ring.producer().push_slice(&[1, 2, 3, 4]), Ok(4));
    drop(ring);
    let ring = Ring::<u64>::open(&name).expect("a persistent ring");
    assert_eq!((*ring.consumer().try_pop().expect("a message"), ring.len()), (1, 3));
    drop(ring);
    let ring = Ring::<u64>::open(&name).expect("a persistent ring");
    assert_eq!(ring.producer().try_push(5), Ok(()));
    assert_eq!(drain(&mut ring.consumer()), [2, 3, 4, 5]);
}

#[test]
fn batches_are_cut_to_the_room_and_to_255() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(300);
    let messages: Vec<u64> = (0..1_000).collect();
    let mut out = [0; 400];
    for lap in 0..3 {
        assert_eq!(producer.push_slice(&[]), Ok(0));
        assert_eq!(producer.push_slice(&messages), Ok(255), "lap {lap}");
        assert_eq!(producer.push_slice(&messages[255..]), Ok(45), "lap {lap}");
        assert_eq!(producer.push_slice(&messages), Ok(0));
        assert_eq!((ring.len(), ring.is_full()), (300, true));
        assert_eq!(*consumer.pop_slice(&mut []).expect("nothing"), 0);
        let first = *consumer.pop_slice(&mut out).expect("a batch");
        let second = *consumer.pop_slice(&mut out[first..]).expect("a batch");
        assert_eq!((first, second, &out[..300]), (255, 45, &messages[..300]));
        assert_eq!(*consumer.pop_slice(&mut out).expect("nothing"), 0);
        // The next lap begins elsewhere.
        assert_eq!((producer.push_slice(&messages[..71]), drain(&mut consumer).len()), (Ok(71), 71));
    }
    let (_name, _ring, mut producer, mut consumer) = ring_of::<u64>(3);
    assert_eq!(producer.push_slice(&messages), Ok(3));
    assert_eq!(*consumer.try_pop().expect("a message"), 0);
    assert_eq!(producer.push_slice(&messages[3..]), Ok(1));
    assert_eq!(drain(&mut consumer), [1, 2, 3]);
}

#[test]
fn every_clone_is_an_end_of_its_own() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(8);
    let (mut other_producer, mut other_consumer) = (producer.clone(), consumer.clone());
    for number in 0..4 {
        let end = if number % 2 == 0 { &mut producer } else { &mut other_producer };
        assert_eq!(end.try_push(number), Ok(()));
    }
    let place = producer.reserve().expect("room");
    assert_eq!(other_producer.try_push(5), Ok(()), "the place of another is none of its business");
    place.commit();
    let message = consumer.peek().expect("a message");
    assert_eq!((*message, *other_consumer.try_pop().expect("another")), (0, 1));
    message.release();
    drop((producer, consumer));
    assert_eq!(drain(&mut other_consumer), [2, 3, 0, 5], "a place that was not written to is as zero as new");
    drop((other_producer, other_consumer));
    assert!(ring.is_empty());
}

#[test]
fn one_process_can_be_attached_twice() {
    let name = Name::new();
    let ring = ring::<u64>(&name, 4);
    let again = Ring::<u64>::open(&name).expect("the same ring");
    let (mut producer, mut consumer) = (ring.producer(), again.consumer());
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!((*consumer.try_pop().expect("a message"), ring.len(), again.len()), (1, 2, 2));
    drop((ring, producer));
    assert_eq!(drain(&mut consumer), [2, 3]);
    assert_eq!(again.recovered(), ringway::Recovered::default(), "nobody died");
    assert!(name.exists());
    drop((again, consumer));
    assert!(!name.exists());
}
