//! What a ring promises to those who keep to its rules: order, exact capacity, whole batches, who is there.

mod support;

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{Message, Options, Role, TryPopError, TryPushError, spsc};
use spsc::Peer;
use std::collections::VecDeque;
use std::fmt::Debug;
use support::{Child, Name, be_the_other_process, say};

/// A message that can be told from its neighbours.
trait Sample: Message + FromBytes + PartialEq + Debug + Clone {
    fn sample(n: u64) -> Self;
}

macro_rules! integer_samples {
    ($($integer:ty),*) => {$(
        impl Sample for $integer {
            fn sample(n: u64) -> Self {
                n as $integer
            }
        }
    )*};
}
integer_samples!(u8, u32, u64);

impl<const N: usize> Sample for [u8; N] {
    fn sample(n: u64) -> Self {
        let mut bytes = [n as u8; N];
        bytes[0] = (n >> 8) as u8;
        bytes
    }
}

impl Sample for [u64; 7] {
    fn sample(n: u64) -> Self {
        std::array::from_fn(|index| n + index as u64)
    }
}

impl Sample for [u64; 8] {
    fn sample(n: u64) -> Self {
        std::array::from_fn(|index| n + index as u64)
    }
}

#[derive(Clone, Copy, PartialEq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(64))]
struct Aligned([u64; 8]);

impl Sample for Aligned {
    fn sample(n: u64) -> Self {
        Aligned(Sample::sample(n))
    }
}

/// A ring of `capacity`, and both its handles.
fn ring_of<T: Message>(capacity: usize) -> (Name, spsc::Ring<T>, spsc::Producer<T>, spsc::Consumer<T>) {
    let name = Name::new();
    let ring = spsc::Ring::create(&name, &Options::new().capacity(capacity).processes(2)).expect("a new name");
    let producer = ring.producer().expect("a free role");
    let consumer = ring.consumer().expect("a free role");
    (name, ring, producer, consumer)
}

/// Fills and drains the ring in every way that makes a difference, from `laps` different places.
fn holds_exactly<T: Sample>(capacity: usize, laps: usize) {
    let (_name, ring, mut producer, mut consumer) = ring_of::<T>(capacity);
    assert_eq!((ring.capacity(), producer.capacity(), consumer.capacity()), (capacity, capacity, capacity));
    let (mut pushed, mut popped) = (0, 0);
    for _ in 0..laps {
        assert!(ring.is_empty() && producer.is_empty() && consumer.is_empty());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        for in_ring in 0..capacity {
            assert!(!ring.is_full() && !producer.is_full() && !consumer.is_full(), "{in_ring} of {capacity}");
            assert_eq!(producer.try_push(T::sample(pushed)), Ok(()), "{in_ring} of {capacity}");
            pushed += 1;
            assert_eq!((ring.len(), producer.len(), consumer.len()), (in_ring + 1, in_ring + 1, in_ring + 1));
        }
        assert!(ring.is_full() && producer.is_full() && consumer.is_full());
        // One pop makes room for one push, never for two.
        for _ in 0..capacity + 1 {
            let refused = T::sample(pushed);
            assert_eq!(producer.try_push(refused.clone()), Err(TryPushError::Full(refused)));
            assert_eq!(consumer.try_pop(), Ok(T::sample(popped)));
            popped += 1;
            assert_eq!(producer.try_push(T::sample(pushed)), Ok(()));
            pushed += 1;
        }
        for _ in 0..capacity {
            assert_eq!(consumer.try_pop(), Ok(T::sample(popped)));
            popped += 1;
        }
    }
    assert_eq!(popped, pushed);
}

#[test]
fn a_ring_holds_exactly_its_capacity_in_order_whatever_the_capacity() {
    for capacity in 1..=200 {
        holds_exactly::<u8>(capacity, 3);
        holds_exactly::<u32>(capacity, 3);
        holds_exactly::<u64>(capacity, 3);
        holds_exactly::<[u8; 3]>(capacity, 3);
        holds_exactly::<[u64; 7]>(capacity, 3);
        holds_exactly::<[u64; 8]>(capacity, 3);
        holds_exactly::<Aligned>(capacity, 3);
    }
}

#[test]
fn a_ring_of_large_messages_holds_exactly_its_capacity() {
    // Without optimisation every move of a message is a copy of its own on the stack.
    let large = std::thread::Builder::new().stack_size(64 << 20);
    let checking = large.spawn(|| {
        for capacity in [1, 2, 3, 8, 50] {
            holds_exactly::<[u8; 65_536]>(capacity, 2);
        }
    });
    checking.expect("a thread").join().expect("no panic");
}

/// Pushes and pops slices of every length from every place in the ring.
fn moves_slices<T: Sample>(capacity: usize) {
    let (_name, ring, mut producer, mut consumer) = ring_of::<T>(capacity);
    // More places than there are in any ring of this capacity, and in two of its laps for small ones.
    let places = 2 * (capacity + 2 * 64 / size_of::<T>().min(64));
    let (mut pushed, mut popped) = (0_u64, 0_u64);
    let messages: Vec<T> = (0..).map(T::sample).take(300).collect();
    let nothing = T::sample(77);
    for place in 0..places {
        for length in 0..=capacity + 2 {
            let start = pushed as usize % 200;
            assert_eq!(producer.push_slice(&messages[start..start + length]), Ok(length.min(capacity)));
            let mut model: VecDeque<&T> = messages[start..start + length.min(capacity)].iter().collect();
            pushed += model.len() as u64;
            assert_eq!(ring.len(), model.len());
            let mut piece = (place + length) % (capacity + 2);
            while !model.is_empty() || piece == 0 {
                let mut out = vec![nothing.clone(); piece];
                let expected = piece.min(model.len());
                assert_eq!(consumer.pop_slice(&mut out), Ok(expected), "place {place}, length {length}");
                for (index, message) in out.iter().enumerate() {
                    let expected = if index < expected { model.pop_front() } else { Some(&nothing) };
                    assert_eq!(Some(message), expected, "place {place}, length {length}, index {index}");
                }
                popped += expected as u64;
                piece += 1;
            }
        }
        assert_eq!((producer.position(), consumer.position()), (pushed, popped));
        // On to the next place.
        while (pushed as usize) % places != (place + 1) % places {
            assert_eq!(producer.try_push(T::sample(pushed)), Ok(()));
            assert_eq!(consumer.try_pop(), Ok(T::sample(pushed)));
            pushed += 1;
            popped += 1;
        }
    }
}

#[test]
fn slices_of_every_length_go_in_and_come_out_whole_at_every_place() {
    for capacity in [1, 2, 6, 7, 8, 15, 40] {
        moves_slices::<u64>(capacity);
        moves_slices::<[u8; 3]>(capacity);
        moves_slices::<[u64; 7]>(capacity);
        moves_slices::<[u64; 8]>(capacity);
        moves_slices::<Aligned>(capacity);
    }
    moves_slices::<u8>(1);
    moves_slices::<u8>(57);
    moves_slices::<u32>(30);
}

#[test]
fn a_batch_larger_than_the_room_is_cut_to_the_room() {
    let (_name, _ring, mut producer, mut consumer) = ring_of::<u64>(20);
    assert_eq!(producer.push_slice(&(0..15).collect::<Vec<_>>()), Ok(15));
    assert_eq!(producer.push_slice(&(15..30).collect::<Vec<_>>()), Ok(5));
    assert_eq!(producer.push_slice(&[99]), Ok(0));
    let mut out = [0; 30];
    assert_eq!(consumer.pop_slice(&mut out), Ok(20));
    assert_eq!(out[..20], (0..20).collect::<Vec<_>>());
    assert_eq!(out[20..], [0; 10]);
}

#[test]
fn a_reserved_place_is_pushed_by_commit_and_by_nothing_else() {
    let (_name, _ring, mut producer, mut consumer) = ring_of::<u64>(2);
    producer.reserve().expect("room").write(1);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty), "dropped without commit");
    let mut reserved = producer.reserve().expect("room");
    *reserved = 2;
    reserved.commit();
    let mut reserved = producer.reserve().expect("room");
    reserved.as_mut_bytes().copy_from_slice(&3_u64.to_ne_bytes());
    reserved.commit();
    assert!(producer.reserve().is_err_and(|error| error == ringway::ReserveError::Full));
    assert_eq!(*consumer.peek().expect("a message"), 2);
    assert_eq!(*consumer.peek().expect("still there, as it was not released"), 2);
    consumer.peek().expect("a message").release();
    assert_eq!(consumer.try_pop(), Ok(3));
    assert!(consumer.peek().is_err_and(|error| error == TryPopError::Empty));
}

#[test]
fn a_clean_leave_closes_the_ring_once_it_is_drained_and_the_next_producer_opens_it_again() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(4);
    assert_eq!(producer.try_push(1), Ok(()));
    assert!(!consumer.is_closed());
    drop(producer);
    assert!(!consumer.is_closed(), "there is a message left");
    assert_eq!(consumer.peer(), Peer::Left);
    assert_eq!(consumer.try_pop(), Ok(1));
    assert!(consumer.is_closed());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    assert!(consumer.peek().is_err_and(|error| error == TryPopError::Closed));
    assert_eq!(consumer.pop_slice(&mut [0; 4]), Ok(0));

    let mut producer = ring.producer().expect("the role is free");
    assert!(!consumer.is_closed());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert_eq!(producer.try_push(2), Ok(()));
    assert_eq!(consumer.try_pop(), Ok(2));
}

#[test]
fn who_is_there_can_be_asked_from_everywhere() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("a new name");
    assert_eq!((ring.peer(Role::Producer), ring.peer(Role::Consumer)), (Peer::NeverCame, Peer::NeverCame));
    let producer = ring.producer().expect("a free role");
    let me = Peer::Alive { pid: std::process::id() };
    assert_eq!((ring.peer(Role::Producer), ring.peer(Role::Consumer)), (me, Peer::NeverCame));
    assert_eq!(producer.peer(), Peer::NeverCame);
    assert!(!producer.is_closed(), "a consumer may yet come");
    let consumer = ring.consumer().expect("a free role");
    assert_eq!((producer.peer(), consumer.peer()), (me, me));
    drop(consumer);
    assert_eq!((producer.peer(), ring.peer(Role::Consumer)), (Peer::Left, Peer::Left));
    assert!(producer.is_closed());
}

#[test]
fn what_is_in_the_ring_outlives_every_handle() {
    let name = Name::new();
    let options = Options::new().capacity(10);
    let pushed = {
        let ring = spsc::Ring::create(&name, &options).expect("a new name");
        ring.producer().expect("a free role").push_slice(&[1_u64, 2, 3]).expect("a good ring")
    };
    assert_eq!(pushed, 3);
    let ring = spsc::Ring::<u64>::open(&name).expect("a persistent ring");
    assert_eq!((ring.len(), ring.capacity(), ring.name()), (3, 10, name.as_str()));
    let mut consumer = ring.consumer().expect("a free role");
    assert_eq!(consumer.try_pop(), Ok(1));
    drop((consumer, ring));
    let ring = spsc::Ring::<u64>::open(&name).expect("a persistent ring");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    assert_eq!((producer.position(), consumer.position()), (3, 1));
    assert_eq!(producer.try_push(4), Ok(()));
    let mut out = [0; 5];
    assert_eq!(consumer.pop_slice(&mut out), Ok(3));
    assert_eq!(out, [2, 3, 4, 0, 0]);
}

const MANY: u64 = 1_000_000;

/// Pushes `0..many`, one by one and in batches, as fast as there is room.
fn push_many(mut producer: spsc::Producer<u64>, many: u64) {
    let mut next = 0;
    let mut batch = Vec::new();
    while next < many {
        if next % 1000 < 500 {
            match producer.try_push(next) {
                Ok(()) => next += 1,
                Err(full) => {
                    assert_eq!(full, TryPushError::Full(next));
                    std::thread::yield_now();
                }
            }
        } else {
            batch.clear();
            batch.extend(next..(next + 37).min(many));
            let pushed = producer.push_slice(&batch).expect("a good ring");
            next += pushed as u64;
            if pushed == 0 {
                std::thread::yield_now();
            }
        }
    }
}

/// Pops until the producer has left, and checks that every message came, once and in order.
fn pop_many(mut consumer: spsc::Consumer<u64>, many: u64) {
    let mut next = 0;
    let mut out = [u64::MAX; 50];
    loop {
        if next % 700 < 300 {
            match consumer.try_pop() {
                Ok(message) => {
                    assert_eq!(message, next);
                    next += 1;
                }
                Err(TryPopError::Empty) => std::thread::yield_now(),
                Err(TryPopError::Closed) => break,
                Err(other) => panic!("{other}"),
            }
        } else {
            let popped = consumer.pop_slice(&mut out).expect("a good ring");
            for message in &out[..popped] {
                assert_eq!(*message, next);
                next += 1;
            }
            if popped == 0 {
                if consumer.is_closed() {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
    assert_eq!(next, many);
    assert_eq!(consumer.position(), many);
}

#[test]
fn a_million_messages_pass_between_two_threads_in_order() {
    // With room for one, each message may cost a switch of threads.
    for (capacity, many) in [(1, MANY / 10), (100, MANY), (5_000, MANY)] {
        let (_name, _ring, producer, consumer) = ring_of::<u64>(capacity);
        std::thread::scope(|scope| {
            scope.spawn(move || push_many(producer, many));
            pop_many(consumer, many);
        });
    }
}

#[test]
fn a_million_messages_pass_between_two_processes_in_order() {
    for capacity in [50, 1024] {
        let name = Name::new();
        let ring = spsc::Ring::<u64>::create(&name, &Options::new().capacity(capacity)).expect("a new name");
        let consumer = ring.consumer().expect("a free role");
        let mut child = Child::start("push", &[name.as_str()]);
        child.expect("pushing");
        pop_many(consumer, MANY);
        child.finish();
    }
}

fn push(arguments: &[String]) {
    let ring = spsc::Ring::<u64>::open(&arguments[0]).expect("the parent made it");
    let producer = ring.producer().expect("a free role");
    say("pushing");
    push_many(producer, MANY);
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[("push", push)]);
}
