//! Places and messages that are lent: what is pushed, what is skipped, what is delivered again; and bytes that are no
//! message.

mod support;

use ringway::mpmc::{Consumer, Producer, Ring};
use ringway::{Lifetime, Message, Options, PopError, PopSliceError, ReserveError, TryPopError};
use std::mem::forget;
use std::time::Duration;
use support::Name;

/// A ring with an end of each kind.
fn ring_of<T: Message>(capacity: usize) -> (Name, Ring<T>, Producer<T>, Consumer<T>) {
    let name = Name::new();
    let options = Options::new().capacity(capacity).lifetime(Lifetime::LastDetach);
    let ring = Ring::create(&name, &options).expect("a new name");
    let (producer, consumer) = (ring.producer(), ring.consumer());
    (name, ring, producer, consumer)
}

#[track_caller]
fn is_empty(consumer: &mut Consumer<u64>) {
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// The next message, which nobody had before.
#[track_caller]
fn fresh(consumer: &mut Consumer<u64>) -> u64 {
    let popped = consumer.try_pop().expect("a message");
    assert!(!popped.redelivered() && popped.redeliveries() == 0);
    popped.into_inner()
}

/// The ring has room for as many messages as ever, and they come out in order.
#[track_caller]
fn is_as_good_as_new(ring: &Ring<u64>) {
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    is_empty(&mut consumer);
    for _ in 0..3 {
        for number in 0..ring.capacity() as u64 {
            assert_eq!(producer.try_push(number), Ok(()));
        }
        assert!(producer.reserve().is_err_and(|error| error == ReserveError::Full));
        for number in 0..ring.capacity() as u64 {
            assert_eq!(fresh(&mut consumer), number);
        }
        is_empty(&mut consumer);
    }
}

#[test]
fn a_reserved_place_is_pushed_by_commit_and_skipped_otherwise() {
    for capacity in 1..=9 {
        let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(capacity);
        for lap in 0..3 * capacity {
            drop(producer.reserve().expect("room"));
            is_empty(&mut consumer);
            assert_eq!(ring.len(), 0, "lap {lap}");
        }
        // Between others, as many as there is room for.
        for abandoned in 0..capacity {
            for number in 0..capacity {
                let mut place = producer.reserve().expect("room");
                *place = number as u64;
                if number != abandoned {
                    place.commit();
                }
            }
            for number in (0..capacity).filter(|&number| number != abandoned) {
                assert_eq!(fresh(&mut consumer), number as u64);
            }
            is_empty(&mut consumer);
        }
        is_as_good_as_new(&ring);
    }
}

#[test]
fn a_place_can_be_written_in_several_ways() {
    let (_name, _ring, mut producer, mut consumer) = ring_of::<u64>(3);
    let mut place = producer.reserve().expect("room");
    *place = 1;
    place.commit();
    let mut place = producer.reserve().expect("room");
    place.write(2);
    place.commit();
    let mut place = producer.reserve().expect("room");
    place.as_mut_bytes().copy_from_slice(&3_u64.to_ne_bytes());
    place.commit();
    assert_eq!([fresh(&mut consumer), fresh(&mut consumer), fresh(&mut consumer)], [1, 2, 3]);
}

#[test]
fn what_is_behind_a_reserved_place_waits_for_it() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(4);
    let mut other = ring.producer();
    let busy = TryPopError::Busy { pid: std::process::id() };
    let mut place = producer.reserve().expect("room");
    assert_eq!(other.try_push(2), Ok(()));
    assert_eq!(consumer.try_pop(), Err(busy));
    assert!(matches!(consumer.pop_slice(&mut [0; 4]), Err(PopSliceError::Busy { .. })));
    *place = 1;
    place.commit();
    assert_eq!([fresh(&mut consumer), fresh(&mut consumer)], [1, 2]);
    is_as_good_as_new(&ring);
}

#[test]
fn a_place_whose_guard_is_forgotten_is_given_up_with_the_next_operation_or_the_handle() {
    for capacity in [1, 2, 5] {
        let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(capacity);
        forget(producer.reserve().expect("room"));
        drop(producer);
        is_as_good_as_new(&ring);

        let mut producer = ring.producer();
        forget(producer.reserve().expect("room"));
        assert!(matches!(consumer.try_pop(), Err(TryPopError::Busy { .. })));
        // NB: in a ring of one the place that is given up is the only one.
        assert_eq!(producer.try_push(7), Ok(()));
        assert_eq!(fresh(&mut consumer), 7);
        forget(producer.reserve().expect("room"));
        assert_eq!(producer.push_slice(&[8]), Ok(1));
        assert_eq!(fresh(&mut consumer), 8);
        is_as_good_as_new(&ring);
    }
}

#[test]
fn a_message_whose_guard_is_dropped_is_delivered_again_and_says_so() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(3);
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    let message = consumer.peek().expect("a message");
    assert_eq!((*message, message.redelivered(), message.redeliveries()), (1, false, 0));
    drop(message);
    assert_eq!(producer.try_push(4), Err(ringway::TryPushError::Full(4)), "it is in the ring");

    // It may come after others. It does not get lost, and what was not taken before does not say that it was.
    let mut other = ring.consumer();
    let mut got: Vec<(u64, u8)> = Vec::new();
    while let Ok(popped) = other.try_pop() {
        assert_eq!(popped.redelivered(), popped.redeliveries() > 0);
        got.push((*popped, popped.redeliveries()));
    }
    got.sort_unstable();
    assert_eq!(got, [(1, 1), (2, 0), (3, 0)]);
    is_as_good_as_new(&ring);
}

#[test]
fn redeliveries_are_counted_up_to_128_at_least() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(2);
    assert_eq!(producer.try_push(1), Ok(()));
    for times in 0..300 {
        let message = consumer.peek().expect("it comes back");
        let redeliveries = usize::from(message.redeliveries());
        assert!(*message == 1 && if times < 128 { redeliveries == times } else { redeliveries >= 128 });
    }
    let popped = consumer.try_pop().expect("it comes back");
    assert!(*popped == 1 && popped.redeliveries() >= 128);
    is_as_good_as_new(&ring);
}

#[test]
fn a_message_whose_guard_is_forgotten_is_given_back_with_the_next_operation_or_the_handle() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(2);
    assert_eq!(producer.try_push(1), Ok(()));
    forget(consumer.peek().expect("a message"));
    is_empty(&mut ring.consumer());
    drop(consumer);
    let mut consumer = ring.consumer();
    forget(consumer.peek().expect("it comes back"));
    let popped = consumer.try_pop().expect("it comes back");
    assert_eq!((*popped, popped.redeliveries()), (1, 2));
    is_as_good_as_new(&ring);
}

#[test]
fn redelivered_messages_come_one_at_a_time() {
    let (_name, ring, mut producer, mut consumer) = ring_of::<u64>(4);
    let mut other = ring.consumer();
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
    let (one, two) = (consumer.peek().expect("a message"), other.peek().expect("a message"));
    drop((one, two));
    let mut got = [0; 2].map(|_: u64| {
        let mut out = [0; 4];
        let popped = consumer.pop_slice(&mut out).expect("one of them");
        assert_eq!((*popped, popped.redeliveries(), &out[1..]), (1, 1, &[0; 3][..]));
        out[0]
    });
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
    is_as_good_as_new(&ring);
}

/// Pushes bytes, of which 0 and 1 are a `bool`.
fn push_bytes(producer: &mut Producer<bool>, bytes: &[u8]) {
    for &byte in bytes {
        let mut place = producer.reserve().expect("room");
        place.as_mut_bytes()[0] = byte;
        place.commit();
    }
}

#[test]
fn a_bool_of_7_is_an_error_once_and_the_ring_goes_on() {
    let (name, ring, mut producer, mut consumer) = ring_of::<bool>(5);
    for lap in 0..20 {
        push_bytes(&mut producer, &[1, 7, 0, 255]);
        assert!(*consumer.try_pop().expect("a bool"));
        let Err(TryPopError::Invalid(invalid)) = consumer.try_pop() else { panic!("7 is no bool") };
        assert_eq!((&*invalid.ring, invalid.position, invalid.expected), (name.as_str(), 4 * lap + 1, "bool"));
        assert_eq!((*consumer.try_pop().expect("a bool"), ring.len()), (false, 1));
        assert!(matches!(consumer.try_pop(), Err(TryPopError::Invalid(_))));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

#[test]
fn what_is_invalid_in_a_slice_is_left_out_and_reported_by_the_next_call() {
    let (name, _ring, mut producer, mut consumer) = ring_of::<bool>(8);
    push_bytes(&mut producer, &[1, 7, 0, 255, 1]);
    let mut out = [false; 8];
    assert_eq!(*consumer.pop_slice(&mut out).expect("three bools"), 3);
    assert_eq!(out[..3], [true, false, true]);
    let Err(PopSliceError::Invalid(invalid)) = consumer.pop_slice(&mut out) else { panic!("7 was no bool") };
    assert_eq!((&*invalid.ring, invalid.position), (name.as_str(), 1), "the first of them");
    assert_eq!(*consumer.pop_slice(&mut out).expect("nothing"), 0);

    // Whichever call comes next, and whatever else there is.
    push_bytes(&mut producer, &[7, 1]);
    assert_eq!(*consumer.pop_slice(&mut out).expect("a bool"), 1);
    push_bytes(&mut producer, &[0]);
    assert!(matches!(consumer.try_pop(), Err(TryPopError::Invalid(invalid)) if invalid.position == 5));
    assert!(!*consumer.try_pop().expect("a bool"));

    // Nothing but bytes that are no bools.
    push_bytes(&mut producer, &[8, 9]);
    assert!(matches!(consumer.pop_slice(&mut out), Err(PopSliceError::Invalid(invalid)) if invalid.position == 8));
    assert_eq!(*consumer.pop_slice(&mut out).expect("nothing"), 0);
}

#[test]
fn a_ring_is_not_closed_while_a_message_may_still_be_given_back() {
    let (_name, ring, mut producer, mut holder) = ring_of::<u64>(2);
    let mut other = ring.consumer();
    producer.try_push(1).expect("room");
    let message = holder.peek().expect("a message");
    drop(producer);
    assert!(!other.is_closed());
    assert_eq!(other.pop_timeout(Duration::from_millis(5)), Err(PopError::Timeout { pid: None }));
    drop(message);
    assert!(other.pop().is_ok_and(|popped| popped == 1 && popped.redelivered()));
    assert!(other.is_closed());
    assert_eq!(other.pop(), Err(PopError::Closed));
}
