//! What an operation that waits does on either kind of ring: it goes on, or gives up, and says which.

use crate::kind::{Consumer, Producer, Ring, consumer, plain, producer};
use crate::support::bytes::Scribbler;
use crate::support::helper::Helper;
use crate::support::{Name, PATIENCE};
use ringway::{Lifetime, Message, Options, PopError, PushAllError, PushError, Wait};
use std::time::{Duration, Instant};

const HOWS: [Wait; 3] = [Wait::Park, Wait::Yield, Wait::Spin];

/// Any time is up by then.
const NOW: Duration = Duration::ZERO;

fn ring_of<T: Message>(capacity: usize) -> (Name, Ring<T>, Producer<T>, Consumer<T>) {
    let name = Name::new();
    let options = Options::new().capacity(capacity).lifetime(Lifetime::LastDetach);
    let ring = Ring::create(&name, &options).expect("a new name");
    let (producer, consumer) = (producer(&ring), consumer(&ring));
    (name, ring, producer, consumer)
}

/// A ring that has no room.
fn full_ring(capacity: usize) -> (Name, Ring<u64>, Producer<u64>, Consumer<u64>) {
    let (name, ring, mut producer, consumer) = ring_of(capacity);
    for number in 0..capacity as u64 {
        assert_eq!(producer.push(number), Ok(()));
    }
    (name, ring, producer, consumer)
}

fn pop(consumer: &mut Consumer<u64>) -> Result<u64, PopError> {
    consumer.pop().map(plain)
}

/// Whether `job` ends with `expected` once `wake` has been called. Who may park is asleep by then.
fn goes_on<V: PartialEq + std::fmt::Debug + Send + 'static>(
    how: Wait,
    expected: V,
    job: impl FnOnce() -> V + Send + 'static,
    wake: impl FnOnce(),
) {
    let helper = Helper::start(job);
    if how == Wait::Park {
        helper.wait_until_asleep();
    }
    wake();
    assert_eq!(helper.result(), expected, "{how:?}");
}

#[test]
fn a_pop_waits_for_a_message() {
    for how in HOWS {
        let (_name, _ring, mut producer, mut consumer) = ring_of(4);
        consumer.set_wait(how);
        goes_on(how, Ok(7), move || pop(&mut consumer), || assert_eq!(producer.push(7), Ok(())));
    }
}

#[test]
fn a_push_waits_for_room() {
    for how in HOWS {
        let (_name, _ring, mut producer, mut consumer) = full_ring(1);
        producer.set_wait(how);
        let pushing = move || (producer.push(7), producer);
        let helper = Helper::start(pushing);
        if how == Wait::Park {
            helper.wait_until_asleep();
        }
        assert_eq!(pop(&mut consumer), Ok(0));
        let (pushed, _producer) = helper.result();
        assert_eq!((pushed, pop(&mut consumer)), (Ok(()), Ok(7)));
    }
}

#[test]
fn everything_that_makes_room_or_a_message_wakes() {
    let (_name, _ring, mut producer, mut consumer) = ring_of::<u64>(2);
    for number in 0..3 {
        let popping = Helper::start(move || (pop(&mut consumer), consumer));
        popping.wait_until_asleep();
        match number {
            0 => assert_eq!(producer.try_push(number), Ok(())),
            1 => assert_eq!(producer.push_slice(&[number]), Ok(1)),
            _ => {
                let mut place = producer.reserve().expect("room");
                place.write(number);
                place.commit();
            }
        }
        let popped;
        (popped, consumer) = popping.result();
        assert_eq!(popped, Ok(number));
    }
    assert_eq!(producer.push_all(&[0, 1]), Ok(()));
    for number in 2..5 {
        let pushing = Helper::start(move || (producer.push(number), producer));
        pushing.wait_until_asleep();
        let popped = match number {
            2 => consumer.try_pop().map(plain).expect("a message"),
            3 => {
                let mut one = [0];
                assert_eq!(consumer.pop_slice(&mut one).map(plain), Ok(1));
                one[0]
            }
            _ => {
                let message = consumer.peek().expect("a message");
                let number = *message;
                message.release();
                number
            }
        };
        assert_eq!(popped, number - 2);
        let pushed;
        (pushed, producer) = pushing.result();
        assert_eq!(pushed, Ok(()));
    }
}

/// Long for somebody who spins, and never the end for somebody who sleeps.
fn patience(how: Wait) -> Duration {
    if how == Wait::Park { PATIENCE } else { Duration::from_millis(40) }
}

#[test]
fn a_handle_waits_as_the_options_say_until_it_is_told_otherwise() {
    for how in HOWS {
        let name = Name::new();
        let options = Options::new().capacity(1).lifetime(Lifetime::LastDetach).wait(how);
        let ring = Ring::<u64>::create(&name, &options).expect("a new name");
        let (mut producer, mut consumer) = (producer(&ring), consumer(&ring));
        let otherwise = if how == Wait::Park { Wait::Spin } else { Wait::Park };
        for now in [how, otherwise] {
            if now != how {
                consumer.set_wait(now);
            }
            let helper = Helper::start(move || (consumer.pop_timeout(patience(now)).map(plain), consumer));
            if now == Wait::Park {
                helper.wait_until_asleep();
                assert_eq!(producer.push(1), Ok(()));
            } else {
                assert!(!helper.is_asleep_before_it_returns(), "{how:?}, {now:?}");
            }
            let popped;
            (popped, consumer) = helper.result();
            assert_eq!(popped.is_ok(), now == Wait::Park);
        }
        assert_eq!(producer.push(1), Ok(()));
        for now in [how, otherwise] {
            if now != how {
                producer.set_wait(now);
            }
            let helper = Helper::start(move || (producer.push_timeout(2, patience(now)), producer));
            if now == Wait::Park {
                helper.wait_until_asleep();
                assert!(pop(&mut consumer).is_ok());
            } else {
                assert!(!helper.is_asleep_before_it_returns(), "{how:?}, {now:?}");
            }
            let pushed;
            (pushed, producer) = helper.result();
            assert_eq!(pushed.is_ok(), now == Wait::Park);
        }
    }
}

#[test]
fn nobody_gives_up_before_the_time() {
    // Nothing at all, less than a look at the clock, more than a spin, more than one slice of sleep.
    for nanos in [0, 1, 50_000, 3_000_000, 130_000_000] {
        let patience = Duration::from_nanos(nanos);
        for how in HOWS {
            let (_name, _ring, mut producer, mut consumer) = ring_of(1);
            producer.set_wait(how);
            consumer.set_wait(how);
            let waited = |job: &mut dyn FnMut()| {
                let start = Instant::now();
                job();
                assert!(start.elapsed() >= patience, "{how:?}: {:?} of {patience:?}", start.elapsed());
            };
            let timeout = PopError::Timeout { pid: None };
            waited(&mut || assert_eq!(consumer.pop_timeout(patience).map(plain), Err(timeout.clone())));
            waited(&mut || {
                assert_eq!(consumer.pop_some_timeout(&mut [0; 3], patience).map(plain), Err(timeout.clone()))
            });
            waited(&mut || {
                let deadline = Instant::now() + patience;
                assert_eq!(consumer.pop_deadline(deadline).map(plain), Err(timeout.clone()));
            });
            assert_eq!(producer.push(1), Ok(()));
            let timeout = PushError::Timeout { message: 2, pid: None };
            waited(&mut || assert_eq!(producer.push_timeout(2, patience), Err(timeout.clone())));
            waited(&mut || {
                let deadline = Instant::now() + patience;
                assert_eq!(producer.push_deadline(2, deadline), Err(timeout.clone()));
            });
            waited(&mut || {
                let error = producer.push_all_timeout(&[2, 3], patience).expect_err("no room");
                assert_eq!(error, PushAllError { pushed: 0, why: PushError::Timeout { message: (), pid: None } });
            });
            assert_eq!(pop(&mut consumer), Ok(1), "what was not pushed is not there");
        }
    }
}

#[test]
fn a_deadline_in_the_past_is_time_enough_for_what_is_there() {
    let past = Instant::now().checked_sub(Duration::from_secs(1)).expect("the machine has been up for that long");
    let (_name, _ring, mut producer, mut consumer) = ring_of(1);
    assert_eq!(consumer.pop_deadline(past).map(plain), Err(PopError::Timeout { pid: None }));
    assert_eq!(producer.push_deadline(1, past), Ok(()));
    assert_eq!(producer.push_deadline(2, past), Err(PushError::Timeout { message: 2, pid: None }));
    assert_eq!(consumer.pop_deadline(past).map(plain), Ok(1));
    assert_eq!(producer.push_timeout(3, NOW), Ok(()));
    assert_eq!(consumer.pop_timeout(NOW).map(plain), Ok(3));
}

#[test]
fn patience_without_end_is_no_overflow() {
    let (_name, _ring, mut producer, mut consumer) = full_ring(1);
    let job = move || (producer.push_timeout(1, Duration::MAX), producer.push_all_timeout(&[2, 3], Duration::MAX));
    let helper = Helper::start(job);
    helper.wait_until_asleep();
    for number in 0..4 {
        assert_eq!(consumer.pop_timeout(Duration::MAX).map(plain), Ok(number));
    }
    assert_eq!(helper.result(), (Ok(()), Ok(())));
    assert_eq!(consumer.pop_some_timeout(&mut [0; 2], Duration::MAX).map(plain), Err(PopError::Closed));
    assert!(!consumer.wait_for_peer(NOW));
}

#[test]
fn push_all_pushes_more_than_the_ring_holds() {
    for (capacity, how) in [(1, Wait::Park), (3, Wait::Yield), (10, Wait::Park), (300, Wait::Spin)] {
        let (_name, _ring, mut producer, mut consumer) = ring_of(capacity);
        producer.set_wait(how);
        consumer.set_wait(how);
        let messages: Vec<u64> = (0..2_000).collect();
        let expected = messages.clone();
        let helper = Helper::start(move || producer.push_all(&messages));
        let mut got: Vec<u64> = Vec::new();
        let mut some = [0_u64; 7];
        let end = loop {
            match consumer.pop_some(&mut some).map(plain) {
                Ok(count) => got.extend(&some[..count]),
                Err(end) => break end,
            }
        };
        assert_eq!((end, helper.result()), (PopError::Closed, Ok(())));
        assert!(got == expected, "capacity {capacity}: {} of {} messages", got.len(), expected.len());
    }
}

#[test]
fn push_all_says_how_many_it_has_pushed() {
    let (_name, _ring, mut producer, mut consumer) = ring_of(5);
    assert_eq!(producer.push(0), Ok(()));
    let error = producer.push_all_timeout(&[1, 2, 3, 4, 5, 6, 7], Duration::from_millis(1)).expect_err("no room");
    assert_eq!(error, PushAllError { pushed: 4, why: PushError::Timeout { message: (), pid: None } });
    assert_eq!(error.to_string(), "4 messages were pushed: no room in time");
    let got: Vec<u64> = consumer.try_iter().map(|message| plain(message.expect("valid"))).collect();
    assert_eq!(got, [0, 1, 2, 3, 4]);
}

#[test]
fn pop_some_waits_for_the_first_and_takes_what_is_there() {
    let (_name, _ring, mut producer, mut consumer) = ring_of(8);
    let helper = Helper::start(move || {
        let mut some = [9_u64; 6];
        (consumer.pop_some(&mut some).map(plain), some, consumer)
    });
    helper.wait_until_asleep();
    assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
    let (count, some, mut consumer) = helper.result();
    assert_eq!((count, some), (Ok(3), [1, 2, 3, 9, 9, 9]));

    assert_eq!(producer.push_all(&[1, 2, 3, 4, 5]), Ok(()));
    let mut some = [0; 3];
    assert_eq!((consumer.pop_some(&mut some).map(plain), some), (Ok(3), [1, 2, 3]));
    assert_eq!((consumer.pop_some_timeout(&mut some, NOW).map(plain), some), (Ok(2), [4, 5, 3]));
}

#[test]
fn empty_slices_wait_for_nothing() {
    let (_name, _ring, mut producer, mut consumer) = full_ring(2);
    assert_eq!(producer.push_all(&[]), Ok(()));
    assert_eq!(producer.push_all_timeout(&[], NOW), Ok(()));
    assert_eq!(consumer.pop_some(&mut []).map(plain), Ok(0));
    assert_eq!((pop(&mut consumer), pop(&mut consumer)), (Ok(0), Ok(1)));
    assert_eq!(consumer.pop_some(&mut []).map(plain), Ok(0));
    assert_eq!(consumer.pop_some_timeout(&mut [], NOW).map(plain), Ok(0));
    drop(producer);
    assert_eq!(consumer.pop_some(&mut []).map(plain), Ok(0), "nor for a peer");
}

#[test]
fn iterators_give_every_message_and_end_when_the_ring_is_closed() {
    let (_name, ring, mut first, mut consumer) = ring_of(2);
    let helper = Helper::start(move || first.push_all(&[0, 1, 2, 3, 4]));
    let mut got = Vec::new();
    for message in &mut consumer {
        got.push(plain(message.expect("valid")));
    }
    assert_eq!((got, helper.result()), (vec![0, 1, 2, 3, 4], Ok(())));
    let mut iter = consumer.iter();
    assert!(iter.next().is_none());

    let mut second = producer(&ring);
    assert_eq!(second.push(5), Ok(()));
    drop(second);
    assert!(iter.next().is_none(), "it has ended");
    let got: Vec<u64> = consumer.iter().map(|message| plain(message.expect("valid"))).collect();
    assert_eq!(got, [5]);
}

#[test]
fn try_iter_gives_what_is_there_and_never_waits() {
    let (_name, _ring, mut producer, mut consumer) = ring_of(4);
    assert!(consumer.try_iter().next().is_none());
    assert_eq!(producer.push_all(&[1, 2, 3]), Ok(()));
    let mut iter = consumer.try_iter();
    let got: Vec<u64> = iter.by_ref().map(|message| plain(message.expect("valid"))).collect();
    assert_eq!(got, [1, 2, 3]);
    assert_eq!(producer.push(4), Ok(()));
    assert!(iter.next().is_none(), "it has ended");
    drop(producer);
    let got: Vec<u64> = consumer.try_iter().map(|message| plain(message.expect("valid"))).collect();
    assert_eq!(got, [4]);
    assert!(consumer.try_iter().next().is_none(), "nor when it is closed");
}

/// A ring whose consumer expects booleans, and whose producer sends bytes.
fn deceived() -> (Name, Producer<u8>, Consumer<bool>) {
    let name = Name::new();
    let options = Options::new().capacity(16).lifetime(Lifetime::LastDetach).schema(7);
    let raw = Ring::<u8>::create(&name, &options).expect("a new name");
    let ring = Ring::<bool>::open_with(&name, &options).expect("the same size, alignment and tag");
    (name, producer(&raw), consumer(&ring))
}

#[test]
fn invalid_messages_are_reported_and_end_nothing() {
    let (name, mut producer, mut consumer) = deceived();
    let check = |error: PopError, position: u64| {
        let text = error.to_string();
        let PopError::Invalid(invalid) = error else { panic!("{text}") };
        assert_eq!((&*invalid.ring, invalid.position, invalid.expected), (name.as_str(), position, "bool"));
        assert!(text.contains(name.as_str()) && text.contains("not a valid `bool`"), "{text}");
    };
    // To one that is awake, to one that sleeps.
    assert_eq!(producer.push(7), Ok(()));
    check(consumer.pop().expect_err("7 is no bool"), 0);
    let helper = Helper::start(move || (consumer.pop().map(plain), consumer));
    helper.wait_until_asleep();
    assert_eq!(producer.push(8), Ok(()));
    let (popped, mut consumer) = helper.result();
    check(popped.expect_err("8 is no bool"), 1);

    assert_eq!(producer.push_all(&[9, 1]), Ok(()));
    let mut some = [false; 1];
    check(consumer.pop_some(&mut some).expect_err("9 is no bool"), 2);
    assert_eq!((consumer.pop_some(&mut some).map(plain), some), (Ok(1), [true]));

    for try_only in [true, false] {
        assert_eq!(producer.push_all(&[1, 5, 0, 6]), Ok(()));
        let first = if try_only { 4 } else { 8 };
        let mut got: Vec<_> = if try_only {
            consumer.try_iter().map(|message| message.map(plain)).collect()
        } else {
            drop(std::mem::replace(&mut producer, deceived().1)); // so that it ends
            consumer.iter().map(|message| message.map(plain)).collect()
        };
        assert_eq!((got.len(), &got[0], &got[2]), (4, &Ok(true), &Ok(false)));
        check(got.pop().expect("four").expect_err("6 is no bool"), first + 3);
        check(got.swap_remove(1).expect_err("5 is no bool"), first + 1);
    }
}

#[test]
fn corruption_ends_every_wait_and_every_iterator() {
    let (name, ring, mut producer, mut consumer) = ring_of::<u64>(3);
    let scribbler = Scribbler::new(&name.path());
    let cells = scribbler.cells()..scribbler.length();
    let stride = scribbler.stride();
    let helper = Helper::start(move || (consumer.pop().map(plain), consumer));
    helper.wait_until_asleep();
    // Nothing of the lap before the first, with no bit that says what.
    cells.step_by(stride).for_each(|cell| scribbler.set(cell, u64::MAX << 3));
    // It looks by itself now and then.
    let (popped, mut consumer) = helper.result();
    let error = popped.expect_err("scribbled on");
    assert!(matches!(error, PopError::Corrupted(_)), "{error:?}");
    assert!(error.to_string().contains("unlink it"), "{error}");
    assert!(matches!(consumer.pop_some(&mut [0; 2]), Err(PopError::Corrupted(_))));
    let all: Vec<_> = consumer.iter().collect();
    assert!(matches!(all[..], [Err(PopError::Corrupted(_))]), "{all:?}");
    let all: Vec<_> = consumer.try_iter().collect();
    assert!(matches!(all[..], [Err(PopError::Corrupted(_))]), "{all:?}");
    drop(consumer);

    // A producer finds out where it looks: in the cells of one kind, at the head of the other.
    scribbler.set(crate::support::bytes::HEAD, u64::MAX);
    let pushed: Vec<_> = (0..=ring.capacity() as u64).map(|number| producer.push(number)).collect();
    let error = pushed.into_iter().find_map(Result::err).expect("scribbled on");
    assert!(matches!(error, PushError::Corrupted(..)), "{error:?}");
    let error = producer.push_all(&[5, 6, 7, 8]).expect_err("scribbled on");
    assert!(matches!(error.why, PushError::Corrupted((), _)), "{error:?}");
}

#[test]
fn a_push_that_fails_gives_its_message_back() {
    let (_name, _ring, mut producer, consumer) = full_ring(1);
    let error = producer.push_timeout(41, NOW).expect_err("no room");
    assert_eq!(error.to_string(), "no room in time");
    assert_eq!(format!("{error:?}"), "Timeout { pid: None, .. }");
    assert_eq!(error.into_inner(), 41);
    drop(consumer);
    producer.close_when_alone(true);
    let error = producer.push(42).expect_err("no consumer");
    assert_eq!(error.to_string(), "the ring is full and its consumers have left; start one, or stop");
    assert_eq!(format!("{error:?}"), "Closed(..)");
    assert_eq!(error.into_inner(), 42);
}

#[test]
fn a_pop_that_fails_says_why() {
    let (_name, _ring, producer, mut consumer) = ring_of::<u64>(1);
    let error = consumer.pop_timeout(NOW).expect_err("nothing there");
    assert_eq!(error.to_string(), "no message in time");
    drop(producer);
    let error = consumer.pop().expect_err("nobody there");
    assert_eq!(error.to_string(), "the ring is empty and its producers have left");
    let held = PopError::Timeout { pid: Some(7) };
    assert!(held.to_string().contains("in the hands of process 7"), "{held}");
}
