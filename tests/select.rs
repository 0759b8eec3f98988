//! Waiting for any of several rings.

mod support;

use ringway::{Case, Lifetime, MOST_CASES, Options, TryPopError, TryPushError, mpmc, select, spsc};
use std::thread;
use std::time::{Duration, Instant};
use support::{Child, Job, Name, PATIENCE, be_the_other_process, listen, say};

const MOMENT: Duration = Duration::from_millis(2);

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    let jobs: [Job; 2] = [("push", push), ("hold", hold)];
    be_the_other_process(&jobs);
}

/// Pushes a message when it is told to, and is there until it is killed.
fn push(arguments: &[String]) {
    let ring = spsc::Ring::<u64>::open(&arguments[0]).expect("the ring");
    let mut producer = ring.producer().expect("the role");
    say("ready");
    listen();
    producer.try_push(7).expect("room");
    listen();
}

/// Is in the middle of a push until it is killed.
fn hold(arguments: &[String]) {
    let ring = mpmc::Ring::<u64>::open(&arguments[0]).expect("the ring");
    let mut producer = ring.producer();
    let _reserved = producer.reserve().expect("room");
    say("ready");
    listen();
}

fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)
}

fn pair(name: &Name) -> (spsc::Producer<u64>, spsc::Consumer<u64>) {
    let ring = spsc::Ring::create(name, &options(2)).expect("a ring");
    (ring.producer().expect("the role"), ring.consumer().expect("the role"))
}

#[test]
fn it_says_which_of_many_has_a_message_or_room() {
    let names: Vec<Name> = (0..MOST_CASES).map(|_| Name::new()).collect();
    let (mut producers, mut consumers): (Vec<_>, Vec<_>) = names.iter().map(pair).unzip();
    for (number, producer) in producers.iter_mut().enumerate() {
        let pushing = thread::scope(|scope| {
            let pushing = scope.spawn(move || producer.try_push(number as u64));
            let mut cases: Vec<Case<'_>> = consumers.iter_mut().map(spsc::Consumer::case).collect();
            assert_eq!(select(&mut cases, PATIENCE), Some(number));
            pushing.join().expect("it pushed")
        });
        pushing.expect("room");
        assert_eq!(consumers[number].try_pop(), Ok(number as u64));
    }
    // All are full but one.
    producers.iter_mut().for_each(|producer| while producer.try_push(0).is_ok() {});
    consumers[3].pop().expect("a message");
    let mut cases: Vec<Case<'_>> = producers.iter_mut().map(spsc::Producer::case).collect();
    assert_eq!(select(&mut cases, PATIENCE), Some(3));
}

#[test]
fn both_kinds_and_both_ends_go_together() {
    let names = [Name::new(), Name::new()];
    let (mut producer, mut consumer) = pair(&names[0]);
    let ring = mpmc::Ring::<[u8; 3]>::create(&names[1], &options(1)).expect("a ring");
    let (mut jobs_in, mut jobs) = (ring.producer(), ring.consumer());
    while producer.try_push(0).is_ok() {}
    assert_eq!(select(&mut [producer.case(), jobs.case()], MOMENT), None);
    jobs_in.try_push([1; 3]).expect("room");
    assert_eq!(select(&mut [producer.case(), jobs.case(), jobs_in.case()], PATIENCE), Some(1));
    jobs.try_pop().expect("it was said to be there");
    assert_eq!(select(&mut [producer.case(), jobs.case(), jobs_in.case()], PATIENCE), Some(2));
    consumer.try_pop().expect("a message");
    assert_eq!(select(&mut [producer.case(), jobs.case()], PATIENCE), Some(0));
}

#[test]
fn nobody_starves() {
    let names = [Name::new(), Name::new(), Name::new()];
    let mut pairs = names.each_ref().map(pair);
    for (producer, _) in &mut pairs {
        producer.try_push(1).expect("room");
    }
    let mut chosen = [0; 3];
    for _ in 0..300 {
        let mut cases: Vec<Case<'_>> = pairs.iter_mut().map(|(_, consumer)| consumer.case()).collect();
        chosen[select(&mut cases, PATIENCE).expect("all have a message")] += 1;
    }
    assert!(chosen.iter().all(|&times| times > 50), "{chosen:?}");
}

#[test]
fn it_waits_as_long_as_it_is_told_and_not_at_all() {
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name);
    let start = Instant::now();
    assert_eq!(select(&mut [consumer.case()], Duration::from_millis(20)), None);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(select(&mut [consumer.case()], Duration::ZERO), None);
    producer.try_push(1).expect("room");
    assert_eq!(select(&mut [consumer.case()], Duration::ZERO), Some(0));
    let start = Instant::now();
    assert_eq!(select(&mut [], MOMENT), None);
    assert!(start.elapsed() >= MOMENT);
}

#[test]
#[should_panic(expected = "128 handles at most")]
fn more_cases_than_the_kernel_takes_are_refused() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(1)).expect("a ring");
    let mut consumers: Vec<_> = (0..=MOST_CASES).map(|_| ring.consumer()).collect();
    let mut cases: Vec<Case<'_>> = consumers.iter_mut().map(mpmc::Consumer::case).collect();
    select(&mut cases, MOMENT);
}

#[test]
fn a_message_of_another_process_wakes_it_and_so_does_its_death() {
    let names = [Name::new(), Name::new()];
    let (_idle, mut idle) = pair(&names[0]);
    let ring = spsc::Ring::<u64>::create(&names[1], &options(2)).expect("a ring");
    let mut consumer = ring.consumer().expect("the role");
    let mut child = Child::start("push", &[names[1].as_str()]);
    child.expect("ready");
    child.tell("push");
    assert_eq!(select(&mut [idle.case(), consumer.case()], PATIENCE), Some(1));
    assert_eq!(consumer.try_pop(), Ok(7));
    assert_eq!(select(&mut [idle.case(), consumer.case()], MOMENT), None);
    child.kill();
    // Also when nobody waits for long enough to ask in any one go.
    let deadline = Instant::now() + PATIENCE;
    while select(&mut [idle.case(), consumer.case()], MOMENT) != Some(1) {
        assert!(Instant::now() < deadline, "the death is noticed");
    }
    assert!(consumer.is_closed());
}

#[test]
fn a_ring_that_everybody_has_left_says_so() {
    let names = [Name::new(), Name::new()];
    let ring = mpmc::Ring::<u64>::create(&names[0], &options(1)).expect("a ring");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    producer.try_push(1).expect("room");
    assert!(!consumer.is_closed());
    drop(producer);
    assert_eq!(select(&mut [consumer.case()], PATIENCE), Some(0));
    assert!(!consumer.is_closed(), "there is a message");
    assert_eq!(*consumer.try_pop().expect("a message"), 1);
    assert_eq!(select(&mut [consumer.case()], PATIENCE), Some(0));
    assert!(consumer.is_closed());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

    let (mut producer, consumer) = pair(&names[1]);
    while producer.try_push(0).is_ok() {}
    drop(consumer);
    assert_eq!(select(&mut [producer.case()], MOMENT), None, "what is in the ring waits for the next consumer");
    producer.close_when_alone(true);
    assert_eq!(select(&mut [producer.case()], PATIENCE), Some(0));
    assert!(producer.is_closed());
    assert_eq!(producer.try_push(1), Err(TryPushError::Full(1)));
}

#[test]
fn what_a_dead_process_held_does_not_hold_it_up() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(2)).expect("a ring");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut child = Child::start("hold", &[name.as_str()]);
    child.expect("ready");
    producer.try_push(1).expect("room behind it");
    assert_eq!(select(&mut [consumer.case()], MOMENT), None, "the one in front is being pushed");
    child.kill();
    assert_eq!(select(&mut [consumer.case()], PATIENCE), Some(0));
    assert_eq!(*consumer.try_pop().expect("a message"), 1);
}
