//! Processes that die, stop, or are removed, in the middle of an MPMC ring: what the others see, and what comes back.
//!
//! Where exactly each of them dies is the business of `deaths_mpmc.rs`. These are the promises as a user meets them.

mod support;

use ringway::mpmc::{Consumer, PeerState, Ring};
use ringway::{EvictError, Lifetime, Options, TryPopError, TryPushError};
use rustix::process::Signal;
use support::{Child, Job, Name, be_the_other_process, listen, say, wait_until};

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    let jobs: [Job; 4] = [("reserve", reserve), ("peek", peek), ("attach", attach), ("drain", drain)];
    be_the_other_process(&jobs);
}

fn open(arguments: &[String]) -> Ring<u64> {
    Ring::open(&arguments[0]).expect("the ring")
}

/// Reserves a place and holds it until it is told to commit.
fn reserve(arguments: &[String]) {
    let ring = open(arguments);
    let mut producer = ring.producer();
    let mut place = producer.reserve().expect("room");
    *place = 100;
    say("holding");
    listen();
    place.commit();
    say("done");
    listen();
}

/// Takes a message and holds it until it is told to hand it over.
fn peek(arguments: &[String]) {
    let ring = open(arguments);
    let mut consumer = ring.consumer();
    let message = consumer.peek().expect("a message");
    say("holding");
    listen();
    let number = *message;
    message.release();
    say(number);
    listen();
}

fn attach(arguments: &[String]) {
    let _ring = open(arguments);
    say("attached");
    listen();
}

fn drain(arguments: &[String]) {
    let ring = open(arguments);
    let mut consumer = ring.consumer();
    while let Ok(message) = consumer.try_pop() {
        say(format!("{} {}", *message, message.redeliveries()));
    }
}

fn ring(name: &Name, capacity: usize, processes: usize) -> Ring<u64> {
    let options = Options::new().capacity(capacity).processes(processes).lifetime(Lifetime::LastDetach);
    Ring::create(name, &options).expect("a ring")
}

fn holder(role: &str, name: &Name) -> Child {
    let mut child = Child::start(role, &[name.as_str()]);
    child.expect("holding");
    child
}

/// The next message, and how often it was redelivered. Recovery comes by itself.
#[track_caller]
fn next(consumer: &mut Consumer<u64>) -> (u64, u8) {
    let mut got = None;
    wait_until("a message", || {
        got = consumer.try_pop().ok().map(|popped| (*popped, popped.redeliveries()));
        got.is_some()
    });
    got.expect("waited for")
}

#[track_caller]
fn full_capacity_is_back(ring: &Ring<u64>) {
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for _ in 0..2 {
        for number in 0..ring.capacity() as u64 {
            assert_eq!(producer.try_push(number), Ok(()));
        }
        assert_eq!(producer.try_push(9), Err(TryPushError::Full(9)));
        assert!(ring.is_full());
        for number in 0..ring.capacity() as u64 {
            assert_eq!(consumer.try_pop().map(|popped| *popped), Ok(number));
        }
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

#[test]
fn what_a_dead_producer_did_not_commit_never_existed() {
    let name = Name::new();
    let ring = ring(&name, 4, 4);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    producer.try_push(1).expect("room");
    let mut victim = holder("reserve", &name);
    producer.try_push(2).expect("room");
    assert_eq!(next(&mut consumer), (1, 0));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid: victim.pid() }));
    victim.kill();
    assert_eq!(next(&mut consumer), (2, 0));
    assert_eq!(ring.recovered().skipped, 1);
    wait_until("the death is noticed", || {
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        ring.recovered().deaths == 1
    });
    full_capacity_is_back(&ring);
}

#[test]
fn what_a_dead_consumer_did_not_hand_over_is_redelivered() {
    let name = Name::new();
    let ring = ring(&name, 4, 4);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for number in 1..=3 {
        producer.try_push(number).expect("room");
    }
    let mut victim = holder("peek", &name);
    assert_eq!(next(&mut consumer), (2, 0), "others go on behind it");
    victim.kill();
    assert_eq!(next(&mut consumer), (3, 0));
    assert_eq!(next(&mut consumer), (1, 1), "redelivered");
    assert_eq!(ring.recovered().redelivered, 1);
    full_capacity_is_back(&ring);
}

#[test]
fn a_message_that_kills_its_consumers_tells_how_often() {
    let name = Name::new();
    let ring = ring(&name, 2, 2);
    ring.producer().try_push(7).expect("room");
    for _ in 0..5 {
        // With two records, each victim takes the one of its predecessor.
        holder("peek", &name).kill();
        assert_eq!(ring.recover().redelivered, 1);
    }
    assert_eq!(next(&mut ring.consumer()), (7, 5));
    assert_eq!(ring.recovered().deaths, 5);
    full_capacity_is_back(&ring);
}

#[test]
fn whoever_takes_the_record_of_the_dead_clears_up_first() {
    let name = Name::new();
    let options = Options::new().capacity(3).processes(1);
    Ring::<u64>::create(&name, &options).expect("a ring").producer().try_push(5).expect("room");
    // There is room for one process only: nobody else could clear up.
    holder("peek", &name).kill();
    holder("reserve", &name).kill();
    let words = Child::start("drain", &[name.as_str()]).finish();
    assert_eq!(words, ["5 1"]);
    let ring = Ring::<u64>::open(&name).expect("a ring");
    let recovered = ring.recovered();
    assert_eq!((recovered.deaths, recovered.skipped, recovered.redelivered), (2, 1, 1));
    full_capacity_is_back(&ring);
}

#[test]
fn the_stopped_are_named_and_never_robbed() {
    let name = Name::new();
    let ring = ring(&name, 4, 4);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut pushing = holder("reserve", &name);
    pushing.signal(Signal::STOP);
    producer.try_push(2).expect("room behind it");
    wait_until("it is stopped", || {
        let peers = ring.peers();
        let peer = peers.iter().find(|peer| peer.pid == pushing.pid()).expect("attached");
        assert_eq!((peer.producers, peer.consumers, peer.holds.len()), (1, 0, 1));
        peer.state == PeerState::Stopped
    });
    for _ in 0..100 {
        assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid: pushing.pid() }));
    }
    let peers = ring.peers();
    let held = peers.iter().find(|peer| peer.pid == pushing.pid()).expect("attached").holds[0];
    assert!(held.pushing && held.position == 0 && held.messages == 1);
    assert!(held.in_the_way_for.is_some(), "somebody was told that it is in the way");
    assert!(ring.recover().is_empty(), "nobody died");
    pushing.signal(Signal::CONT);
    pushing.order("commit");
    assert_eq!((next(&mut consumer), next(&mut consumer)), ((100, 0), (2, 0)));
    drop(pushing);

    // A consumer that is stopped keeps its message; producers get stuck when the ring has come round to it.
    producer.try_push(3).expect("room");
    let mut popping = holder("peek", &name);
    popping.signal(Signal::STOP);
    let pushed = (4..).take_while(|&number| producer.try_push(number).is_ok()).count();
    assert_eq!(pushed, 3);
    let error = producer.try_push(9).expect_err("no room");
    assert_eq!(error, TryPushError::Busy { message: 9, pid: popping.pid() });
    assert_eq!([next(&mut consumer), next(&mut consumer), next(&mut consumer)], [(4, 0), (5, 0), (6, 0)]);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    popping.signal(Signal::CONT);
    popping.tell("release");
    popping.expect("3");
    full_capacity_is_back(&ring);
}

#[test]
fn what_the_dead_had_taken_comes_although_somebody_alive_is_in_the_way() {
    let name = Name::new();
    let ring = ring(&name, 4, 4);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    producer.try_push(1).expect("room");
    let mut popping = holder("peek", &name);
    let pushing = holder("reserve", &name);
    pushing.signal(Signal::STOP);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid: pushing.pid() }));
    popping.kill();
    assert_eq!(next(&mut consumer), (1, 1));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid: pushing.pid() }));
    // Given back, it is nobody's, and as good as any.
    ring.evict(pushing.pid()).expect("we may kill our child");
    producer.try_push(2).expect("room");
    drop(consumer.peek().expect("a message"));
    let mut place = producer.reserve().expect("room");
    assert_eq!(next(&mut consumer), (2, 1));
    *place = 3;
    place.commit();
    assert_eq!(next(&mut consumer), (3, 0));
    full_capacity_is_back(&ring);
}

#[test]
fn messages_that_were_given_back_are_not_counted_as_more_than_there_are() {
    let name = Name::new();
    let ring = ring(&name, 8, 1);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    assert_eq!(producer.push_slice(&[0, 1, 2, 3, 4, 5, 6, 7]), Ok(8));
    drop(consumer.peek().expect("a message"));
    for number in 1..8 {
        assert_eq!(next(&mut consumer), (number, 0));
    }
    assert!(ring.len() <= 1 && !ring.is_full());
    assert_eq!(producer.try_push(8), Err(TryPushError::Full(8)), "its place is taken");
    assert_eq!(next(&mut consumer), (0, 1));
    full_capacity_is_back(&ring);
}

#[test]
fn evict_kills_the_stopped_and_clears_up() {
    let name = Name::new();
    let ring = ring(&name, 4, 4);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let victim = holder("reserve", &name);
    victim.signal(Signal::STOP);
    producer.try_push(2).expect("room");
    assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid: victim.pid() }));
    let recovered = ring.evict(victim.pid()).expect("we may kill our child");
    assert_eq!((recovered.deaths, recovered.skipped, recovered.redelivered), (1, 1, 0));
    assert_eq!(next(&mut consumer), (2, 0));
    assert!(matches!(ring.evict(victim.pid()), Err(EvictError::NotAttached { pid, .. }) if pid == victim.pid()));
    full_capacity_is_back(&ring);
}

#[test]
fn evict_refuses_ourselves_and_strangers() {
    let name = Name::new();
    let ring = ring(&name, 1, 2);
    assert!(matches!(ring.evict(std::process::id()), Err(EvictError::Ourselves { .. })));
    let error = ring.evict(1).expect_err("not attached");
    assert!(matches!(error, EvictError::NotAttached { pid: 1, .. }));
    let text = error.to_string();
    assert!(text.contains(name.as_str()) && text.contains("process 1 "), "{text}");
}

#[test]
fn peers_come_and_go() {
    let name = Name::new();
    let ring = ring(&name, 1, 3);
    let mut other = Child::start("attach", &[name.as_str()]);
    other.expect("attached");
    let pids = |ring: &Ring<u64>| ring.peers().iter().map(|peer| (peer.pid, peer.state)).collect::<Vec<_>>();
    let me = (std::process::id(), PeerState::Alive);
    assert_eq!(pids(&ring), [me, (other.pid(), PeerState::Alive)]);
    other.kill();
    assert_eq!(pids(&ring), [me, (other.pid(), PeerState::Dead)]);
    assert_eq!(ring.recover().deaths, 1);
    assert_eq!(pids(&ring), [me]);
    let clones = (ring.producer(), ring.producer().clone(), ring.consumer());
    assert_eq!((ring.peers()[0].producers, ring.peers()[0].consumers), (2, 1));
    drop(clones);
    assert_eq!((ring.peers()[0].producers, ring.peers()[0].consumers), (0, 0));
}
