//! When a ring is closed, on either kind: the other end was there, nobody alive is left of it, and there is nothing to
//! do any more.

use crate::kind::{Consumer, Producer, Ring, consumer, plain, producer};
use crate::support::asleep::sleepers_of;
use crate::support::helper::Helper;
use crate::support::{Child, Job, Name, PATIENCE, listen, say, wait_until};
use ringway::{Lifetime, Options, PopError, PushError, Wait};
use std::time::{Duration, Instant};

pub const JOBS: [Job; 5] =
    [("push", push), ("sleep", sleep), ("pop", pop), ("reserve", reserve), ("never popped", never_popped)];

/// The promise is 100 ms for a death. The best of some attempts keeps to it, on a machine with other things to do.
const NOTICED: Duration = Duration::from_millis(100);

fn open(arguments: &[String]) -> Ring<u64> {
    Ring::open(&arguments[0]).expect("the ring")
}

/// Pushes one message, and keeps its handle.
fn push(arguments: &[String]) {
    let mut producer = producer(&open(arguments));
    assert_eq!(producer.push(5), Ok(()));
    say("pushed");
    listen();
}

/// Sleeps in a push into a full ring.
fn sleep(arguments: &[String]) {
    let mut producer = producer(&open(arguments));
    say("there");
    let _ = producer.push(6);
}

/// Pops one message, and keeps its handle.
fn pop(arguments: &[String]) {
    let mut consumer = consumer(&open(arguments));
    say(plain(consumer.pop().expect("a message")));
    listen();
}

/// Holds a place.
fn reserve(arguments: &[String]) {
    let mut producer = producer(&open(arguments));
    let _place = producer.reserve().expect("room");
    say("holding");
    listen();
}

/// Keeps a consumer, and does nothing with it.
fn never_popped(arguments: &[String]) {
    let _consumer = consumer(&open(arguments));
    say("there");
    listen();
}

fn ring(capacity: usize) -> (Name, Ring<u64>) {
    let name = Name::new();
    let options = Options::new().capacity(capacity).processes(8).lifetime(Lifetime::LastDetach);
    let ring = Ring::create(&name, &options).expect("a new name");
    (name, ring)
}

fn child(role: &str, name: &Name, word: &str) -> Child {
    let mut child = Child::start(role, &[name.as_str()]);
    child.expect(word);
    child
}

/// Pops until the end, in a thread that is asleep when this returns.
fn sleeping_popper(mut consumer: Consumer<u64>) -> Helper<(Vec<u64>, Result<u64, PopError>)> {
    let helper = Helper::start(move || {
        let mut got = Vec::new();
        loop {
            match consumer.pop().map(plain) {
                Ok(message) => got.push(message),
                end => return (got, end),
            }
        }
    });
    helper.wait_until_asleep();
    helper
}

fn sleeping_pusher(mut producer: Producer<u64>) -> Helper<Result<(), PushError<u64>>> {
    producer.close_when_alone(true);
    let helper = Helper::start(move || producer.push(9));
    helper.wait_until_asleep();
    helper
}

/// The shortest of several delays. Each is from the time that `attempt` returns to the end of the thread that it
/// returns.
fn shortest<V: Send + 'static, K>(attempt: impl Fn() -> (Helper<V>, Instant, K), expected: impl Fn(V)) -> Duration {
    let delays = (0..6).map(|_| {
        let (helper, start, _kept) = attempt();
        let (value, end) = helper.result_at();
        expected(value);
        end.saturating_duration_since(start)
    });
    delays.min().expect("some")
}

#[test]
fn a_pop_that_sleeps_is_told_at_once_when_the_producer_leaves() {
    let attempt = || {
        let (_name, ring) = ring(4);
        let producer = producer(&ring);
        let helper = sleeping_popper(consumer(&ring));
        let start = Instant::now();
        drop(producer);
        (helper, start, ())
    };
    let delay = shortest(attempt, |end| assert_eq!(end, (vec![], Err(PopError::Closed))));
    assert!(delay < NOTICED / 2, "{delay:?}");
}

#[test]
fn a_pop_that_sleeps_is_told_soon_when_the_producer_is_killed() {
    let attempt = || {
        let (name, ring) = ring(4);
        let helper = sleeping_popper(consumer(&ring));
        let mut victim = child("push", &name, "pushed");
        // Awake for the message, it has gone to sleep again.
        helper.wait_until_asleep();
        let start = Instant::now();
        victim.kill();
        (helper, start, ())
    };
    let delay = shortest(attempt, |end| assert_eq!(end, (vec![5], Err(PopError::Closed))));
    assert!(delay < NOTICED * 2, "{delay:?}");
}

#[test]
fn who_spins_is_told_as_well() {
    for how in [Wait::Spin, Wait::Yield] {
        for killed in [false, true] {
            let (name, ring) = ring(4);
            let mut consumer = consumer(&ring);
            consumer.set_wait(how);
            let helper = Helper::start(move || (consumer.pop().map(plain), consumer.pop().map(plain)));
            let mut other = child("push", &name, "pushed");
            if killed {
                other.kill();
            } else {
                other.tell("leave");
            }
            assert_eq!(helper.result(), (Ok(5), Err(PopError::Closed)), "{how:?}, killed: {killed}");
        }
    }
}

#[test]
fn who_has_little_patience_is_told_of_a_death_all_the_same() {
    let (name, ring) = ring(1);
    let (mut consumer, mut victim) = (consumer(&ring), child("push", &name, "pushed"));
    victim.kill();
    assert_eq!(consumer.pop().map(plain), Ok(5));
    wait_until("the ring is closed", || match consumer.pop_timeout(Duration::from_millis(3)).map(plain) {
        Err(PopError::Timeout { pid: None }) => false,
        end => {
            assert_eq!(end, Err(PopError::Closed));
            true
        }
    });
    drop(consumer);

    let mut victim = child("never popped", &name, "there");
    victim.kill();
    let mut producer = producer(&ring);
    producer.close_when_alone(true);
    assert_eq!(producer.push(1), Ok(()));
    wait_until("the ring is closed", || match producer.push_timeout(2, Duration::from_millis(3)) {
        Err(PushError::Timeout { message: 2, pid: None }) => false,
        end => {
            assert_eq!(end, Err(PushError::Closed(2)));
            true
        }
    });
}

#[test]
fn everything_is_delivered_before_the_end() {
    let (name, ring) = ring(4);
    let mut own = producer(&ring);
    assert_eq!(own.push_all(&[1, 2, 3]), Ok(()));
    drop(own);
    let mut consumer = consumer(&ring);
    for number in 1..4 {
        assert_eq!(consumer.pop().map(plain), Ok(number));
    }
    assert_eq!(consumer.pop().map(plain), Err(PopError::Closed));
    // As well of the dead.
    child("push", &name, "pushed").kill();
    assert_eq!(consumer.pop().map(plain), Ok(5));
    assert_eq!(consumer.pop().map(plain), Err(PopError::Closed));
    assert_eq!(consumer.pop_timeout(PATIENCE).map(plain), Err(PopError::Closed));
    assert_eq!(consumer.pop_some(&mut [0; 2]).map(plain), Err(PopError::Closed));
}

#[test]
fn a_ring_to_which_nobody_has_come_yet_is_not_closed() {
    let (name, ring) = ring(1);
    let mut consumer = consumer(&ring);
    // More than one look at who is there.
    let patience = NOTICED * 2 + NOTICED / 2;
    assert_eq!(consumer.pop_timeout(patience).map(plain), Err(PopError::Timeout { pid: None }));
    let helper = sleeping_popper(consumer);
    let mut other = child("push", &name, "pushed");
    other.tell("leave");
    assert_eq!(helper.result(), (vec![5], Err(PopError::Closed)));

    let (_name, ring) = self::ring(1);
    let mut producer = producer(&ring);
    producer.close_when_alone(true);
    assert_eq!(producer.push(1), Ok(()));
    let timeout = PushError::Timeout { message: 2, pid: None };
    assert_eq!(producer.push_timeout(2, patience), Err(timeout));
}

#[test]
fn a_later_producer_opens_the_ring_again() {
    let (name, ring) = ring(4);
    let mut consumer = consumer(&ring);
    for killed in [true, false, true, false] {
        let mut other = child("push", &name, "pushed");
        if killed {
            other.kill();
        } else {
            other.tell("leave");
        }
        assert_eq!(consumer.pop().map(plain), Ok(5));
        assert_eq!(consumer.pop().map(plain), Err(PopError::Closed), "killed: {killed}");
    }
    let _producer = producer(&ring);
    assert_eq!(consumer.pop_timeout(NOTICED * 2).map(plain), Err(PopError::Timeout { pid: None }));
}

#[test]
fn a_push_goes_on_waiting_for_the_next_consumer_unless_it_is_told_not_to() {
    let (name, ring) = ring(1);
    let mut producer = producer(&ring);
    assert_eq!(producer.push(1), Ok(()));
    // One is killed after it has popped, and one leaves.
    let mut other = child("pop", &name, "1");
    assert_eq!(producer.push(2), Ok(()));
    let helper = Helper::start(move || (producer.push(3), producer));
    helper.wait_until_asleep();
    other.kill();
    let mut other = child("pop", &name, "2");
    let (pushed, mut producer) = helper.result();
    assert_eq!(pushed, Ok(()));
    other.tell("leave");
    other.finish();
    let timeout = PushError::Timeout { message: 4, pid: None };
    assert_eq!(producer.push_timeout(4, NOTICED * 2), Err(timeout));

    producer.close_when_alone(true);
    assert_eq!(producer.push(4), Err(PushError::Closed(4)));
    assert_eq!(producer.push_timeout(5, PATIENCE), Err(PushError::Closed(5)));
    let error = producer.push_all(&[6, 7]).expect_err("no consumer");
    assert_eq!((error.pushed, error.why), (0, PushError::Closed(())));
    producer.close_when_alone(false);
    let timeout = PushError::Timeout { message: 4, pid: None };
    assert_eq!(producer.push_timeout(4, Duration::ZERO), Err(timeout));
}

#[test]
fn a_push_is_told_only_when_the_ring_is_full() {
    let (_name, ring) = ring(3);
    let mut producer = producer(&ring);
    producer.close_when_alone(true);
    drop(consumer(&ring));
    assert_eq!(producer.push(1), Ok(()));
    let error = producer.push_all(&[2, 3, 4, 5]).expect_err("no consumer");
    assert_eq!((error.pushed, error.why), (2, PushError::Closed(())));
    let mut consumer = consumer(&ring);
    assert_eq!(consumer.pop().map(plain), Ok(1));
    drop(consumer);
    assert_eq!(producer.push(6), Ok(()), "there is room");
    assert_eq!(producer.push(7), Err(PushError::Closed(7)));
}

#[test]
fn a_push_that_sleeps_is_told_at_once_when_the_consumer_leaves_and_soon_when_it_is_killed() {
    for killed in [false, true] {
        let attempt = || {
            let (name, ring) = ring(1);
            let mut producer = producer(&ring);
            assert_eq!(producer.push(1), Ok(()));
            let mut other = child("pop", &name, "1");
            assert_eq!(producer.push(2), Ok(()));
            let helper = sleeping_pusher(producer);
            let start = Instant::now();
            if killed {
                other.kill();
            } else {
                other.tell("leave");
            }
            (helper, start, other)
        };
        let delay = shortest(attempt, |end| assert_eq!(end, Err(PushError::Closed(9))));
        assert!(delay < if killed { NOTICED * 2 } else { NOTICED / 2 }, "killed: {killed}, {delay:?}");
    }
}

#[test]
fn who_died_in_the_middle_of_a_push_closes_the_ring_as_well() {
    let (name, ring) = ring(4);
    let mut consumer = consumer(&ring);
    child("push", &name, "pushed").kill();
    let mut victim = child("reserve", &name, "holding");
    assert_eq!(consumer.pop().map(plain), Ok(5));
    let helper = Helper::start(move || (consumer.pop().map(plain), consumer));
    helper.wait_until_asleep();
    victim.kill();
    let (end, mut consumer) = helper.result();
    assert_eq!(end, Err(PopError::Closed));
    // Nothing is left of it.
    let mut producer = producer(&ring);
    assert_eq!(producer.push_all_timeout(&[1, 2, 3, 4], Duration::ZERO), Ok(()));
    assert_eq!(consumer.iter().take(4).map(|message| plain(message.expect("valid"))).sum::<u64>(), 10);
}

#[test]
fn everybody_goes_on_when_a_sleeper_is_killed_and_replaced() {
    let (name, ring) = ring(1);
    let mut consumer = consumer(&ring);
    let mut own = producer(&ring);
    assert_eq!(own.push(1), Ok(()));
    drop(own);
    for _ in 0..3 {
        let mut victim = child("sleep", &name, "there");
        wait_until("it sleeps", || sleepers_of(victim.pid()) == 1);
        victim.kill();
    }
    let sleeper = child("sleep", &name, "there");
    wait_until("it sleeps", || sleepers_of(sleeper.pid()) == 1);
    assert_eq!(consumer.pop().map(plain), Ok(1));
    assert_eq!(consumer.pop().map(plain), Ok(6));
    assert_eq!(consumer.pop().map(plain), Err(PopError::Closed));
}

#[test]
fn wait_for_peer_ends_when_one_comes() {
    let (name, ring) = ring(4);
    let consumer = consumer(&ring);
    let start = Instant::now();
    assert!(!consumer.wait_for_peer(Duration::ZERO));
    assert!(!consumer.wait_for_peer(Duration::from_millis(120)));
    assert!(start.elapsed() >= Duration::from_millis(120));
    let helper = Helper::start(move || (consumer.wait_for_peer(PATIENCE), consumer));
    helper.wait_until_asleep();
    let mut other = child("push", &name, "pushed");
    let (there, consumer) = helper.result();
    assert!(there && consumer.wait_for_peer(Duration::ZERO));
    other.kill();
    assert!(!consumer.wait_for_peer(Duration::ZERO), "the dead are not there");
    let helper = Helper::start(move || consumer.wait_for_peer(Duration::MAX));
    helper.wait_until_asleep();
    let own = producer(&ring);
    assert!(helper.result());

    assert!(!own.wait_for_peer(Duration::from_millis(1)), "the consumer has left");
    let helper = Helper::start(move || own.wait_for_peer(PATIENCE));
    helper.wait_until_asleep();
    let _consumer = self::consumer(&ring);
    assert!(helper.result());
}
