//! Many who sleep at one MPMC ring, in one process and in several: each message goes to one, each place as well, and
//! nobody is forgotten. And who sleeps costs nothing.

mod support;

use ringway::mpmc::{Consumer, Ring};
use ringway::{Lifetime, Options, PopError, PushError, Wait, spsc};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use support::asleep::sleepers_of;
use support::helper::Helper;
use support::{Child, Job, Name, PATIENCE, be_the_other_process, listen, say, wait_until};

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    let jobs: [Job; 4] = [("pop", pop), ("push", push), ("reserve", reserve), ("peek", peek)];
    be_the_other_process(&jobs);
}

fn open(arguments: &[String]) -> Ring<u64> {
    Ring::open(&arguments[0]).expect("the ring")
}

/// Pops in several threads until the end, and tells what they got.
fn pop(arguments: &[String]) {
    let ring = open(arguments);
    let poppers: Vec<_> = (0..2).map(|_| popper(ring.consumer())).collect();
    drop(ring);
    poppers.into_iter().flat_map(Helper::result).for_each(say);
}

/// Pushes one message in each of several threads, and says so.
fn push(arguments: &[String]) {
    let ring = open(arguments);
    let first: u64 = arguments[1].parse().expect("a number");
    let pushers: Vec<_> = (first..first + 2).map(|number| pusher(&ring, number)).collect();
    pushers.into_iter().for_each(|pusher| assert_eq!(pusher.result(), Ok(())));
    say("done");
}

/// Holds a place until it is told to commit.
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

/// Holds a message until it is told to hand it over.
fn peek(arguments: &[String]) {
    let ring = open(arguments);
    let mut consumer = ring.consumer();
    let message = consumer.peek().expect("a message");
    say("holding");
    listen();
    message.release();
    say("done");
    listen();
}

fn ring(capacity: usize) -> (Name, Ring<u64>) {
    let name = Name::new();
    let options = Options::new().capacity(capacity).processes(8).lifetime(Lifetime::LastDetach);
    let ring = Ring::create(&name, &options).expect("a ring");
    (name, ring)
}

fn holder(role: &str, name: &Name) -> Child {
    let mut child = Child::start(role, &[name.as_str()]);
    child.expect("holding");
    child
}

/// Pops until the ring is closed.
fn popper(mut consumer: Consumer<u64>) -> Helper<Vec<u64>> {
    Helper::start(move || consumer.iter().map(|message| *message.expect("valid")).collect())
}

fn pusher(ring: &Ring<u64>, number: u64) -> Helper<Result<(), PushError<u64>>> {
    let mut producer = ring.producer();
    Helper::start(move || producer.push(number))
}

fn all_sleep<V: Send + 'static>(threads: &[Helper<V>], children: &[Child]) {
    threads.iter().for_each(Helper::wait_until_asleep);
    wait_until("all others sleep", || children.iter().all(|child| sleepers_of(child.pid()) == 2));
}

/// How long somebody sleeps who was forgotten.
const DROPPED: Duration = Duration::from_millis(100);

/// Each of the sleepers gets one message of one batch, for whose commit only one of them is woken.
#[test]
fn who_is_woken_wakes_the_next_while_there_are_messages() {
    const SLEEPERS: u64 = 4;
    let (_name, ring) = ring(SLEEPERS as usize);
    let mut producer = ring.producer();
    let mut shortest = PATIENCE;
    for _ in 0..100 {
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|_| {
                let mut consumer = ring.consumer();
                Helper::start(move || (consumer.pop().map(|message| *message), consumer))
            })
            .collect();
        all_sleep(&sleepers, &[]);
        let batch: Vec<u64> = (0..SLEEPERS).collect();
        let start = Instant::now();
        assert_eq!(producer.push_slice(&batch), Ok(batch.len()));
        // None of them leaves before the others are awake, which would wake them.
        let woken: Vec<_> = sleepers.into_iter().map(Helper::result).collect();
        shortest = shortest.min(start.elapsed());
        let mut got: Vec<u64> = woken.iter().map(|(popped, _)| popped.clone().expect("a message")).collect();
        got.sort_unstable();
        assert_eq!(got, batch);
    }
    assert!(shortest < DROPPED / 2, "the baton is dropped: {shortest:?}");
}

#[test]
fn who_is_woken_wakes_the_next_while_there_is_room() {
    const SLEEPERS: u64 = 4;
    let (_name, ring) = ring(SLEEPERS as usize);
    let mut consumer = ring.consumer();
    assert_eq!(ring.producer().push_all(&[0; SLEEPERS as usize]), Ok(()));
    let mut shortest = PATIENCE;
    for _ in 0..100 {
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|number| {
                let mut producer = ring.producer();
                Helper::start(move || (producer.push(number), producer))
            })
            .collect();
        all_sleep(&sleepers, &[]);
        let mut batch = [0; SLEEPERS as usize];
        let mut popped = 0;
        let start = Instant::now();
        while popped < batch.len() {
            // Its end may be the end of the ring.
            popped += consumer.pop_some(&mut batch[popped..]).map(|count| *count).expect("messages");
        }
        let woken: Vec<_> = sleepers.into_iter().map(Helper::result).collect();
        shortest = shortest.min(start.elapsed());
        assert!(woken.iter().all(|(pushed, _)| *pushed == Ok(())));
    }
    assert!(shortest < DROPPED / 2, "the baton is dropped: {shortest:?}");
}

#[test]
fn each_message_wakes_one_of_many_in_several_processes() {
    const BURSTS: u64 = 200;
    let (name, ring) = ring(16);
    let mut producer = ring.producer();
    let threads: Vec<_> = (0..3).map(|_| popper(ring.consumer())).collect();
    let children: Vec<_> = (0..2).map(|_| Child::start("pop", &[name.as_str()])).collect();
    let mut number = 0;
    for burst in 0..BURSTS {
        if burst % 10 == 0 {
            all_sleep(&threads, &children);
        }
        for _ in 0..burst % 10 {
            assert_eq!(producer.push(number), Ok(()));
            number += 1;
        }
    }
    drop(producer);
    // All of them end.
    let mut got: Vec<u64> = threads.into_iter().flat_map(Helper::result).collect();
    got.extend(children.into_iter().flat_map(Child::finish).map(|word| word.parse::<u64>().expect("a number")));
    got.sort_unstable();
    assert!(got.into_iter().eq(0..number), "not each message once");
}

#[test]
fn each_place_wakes_one_of_many_in_several_processes() {
    let (name, ring) = ring(2);
    let mut consumer = ring.consumer();
    assert_eq!(ring.producer().push_all(&[0, 1]), Ok(()));
    let threads: Vec<_> = (2..5).map(|number| pusher(&ring, number)).collect();
    let children: Vec<_> = [5, 7].map(|first| Child::start("push", &[name.as_str(), &first.to_string()])).into();
    all_sleep(&threads, &children);
    let mut got: Vec<u64> = (0..9).map(|_| *consumer.pop().expect("a message")).collect();
    threads.into_iter().for_each(|thread| assert_eq!(thread.result(), Ok(())));
    children.into_iter().for_each(|child| assert_eq!(child.finish(), ["done"]));
    got.sort_unstable();
    assert!(got.into_iter().eq(0..9), "not each message once");
    assert_eq!(consumer.pop_timeout(Duration::from_secs(1)), Err(PopError::Closed));
}

#[test]
fn sleepers_that_are_killed_take_nothing_with_them() {
    let (name, ring) = ring(64);
    let mut producer = ring.producer();
    let mut children: Vec<_> = (0..2).map(|_| Child::start("pop", &[name.as_str()])).collect();
    all_sleep::<()>(&[], &children);
    let survivor = popper(ring.consumer());
    survivor.wait_until_asleep();
    // They are first in the queue of sleepers: they are woken, or dead before.
    assert_eq!(producer.push(0), Ok(()));
    children.iter_mut().for_each(Child::kill);
    for number in 1..50 {
        assert_eq!(producer.push(number), Ok(()));
    }
    drop(producer);
    let got = survivor.result();
    // The first may have been handed over to one that could not tell any more, or redelivered.
    assert!(got.iter().filter(|&&number| number == 0).count() <= 1, "{got:?}");
    assert!(got.into_iter().filter(|&number| number != 0).eq(1..50), "not all that came later, in order");
}

#[test]
fn those_who_spin_those_who_yield_and_those_who_sleep_share_a_ring() {
    let (_name, ring) = ring(3);
    let poppers: Vec<_> = [Wait::Spin, Wait::Park, Wait::Yield, Wait::Park]
        .map(|how| {
            let mut consumer = ring.consumer();
            consumer.set_wait(how);
            popper(consumer.clone())
        })
        .into();
    let pushers: Vec<_> = [Wait::Park, Wait::Yield, Wait::Park]
        .into_iter()
        .zip(0..)
        .map(|(how, number)| {
            let mut producer = ring.producer();
            producer.set_wait(how);
            Helper::start(move || {
                let own: Vec<u64> = (0..2_000).map(|n| n * 3 + number).collect();
                let (one_by_one, batches) = own.split_at(1_000);
                one_by_one.iter().for_each(|&message| assert_eq!(producer.push(message), Ok(())));
                producer.push_all(batches)
            })
        })
        .collect();
    pushers.into_iter().for_each(|pusher| assert_eq!(pusher.result(), Ok(())));
    let mut got: Vec<u64> = poppers.into_iter().flat_map(Helper::result).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..6_000), "not each message once");
}

#[test]
fn who_waits_for_somebody_who_is_stopped_is_told_who_it_is() {
    let (name, ring) = ring(2);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let (patience, now) = (Duration::from_millis(30), Duration::ZERO);
    let mut pushing = holder("reserve", &name);
    pushing.signal(Signal::STOP);
    let pid = Some(pushing.pid());
    assert_eq!(producer.push(1), Ok(()));
    let error = consumer.pop_timeout(patience).expect_err("behind the one that is stopped");
    assert_eq!(error, PopError::Timeout { pid });
    assert!(error.to_string().contains(&format!("process {}", pushing.pid())), "{error}");
    assert_eq!(consumer.pop_some_timeout(&mut [0; 2], now), Err(PopError::Timeout { pid }));
    // Not even looking for the next hundredth of a second is a reason to go past it.
    let helper = Helper::start(move || (consumer.pop().map(|message| *message), consumer));
    helper.wait_until_asleep();
    pushing.signal(Signal::CONT);
    pushing.order("commit");
    let (popped, mut consumer) = helper.result();
    assert_eq!((popped, consumer.pop().map(|message| *message)), (Ok(100), Ok(1)));
    drop(pushing);

    assert_eq!(producer.push_all(&[2, 3]), Ok(()));
    let mut popping = holder("peek", &name);
    popping.signal(Signal::STOP);
    assert_eq!(consumer.pop().map(|message| *message), Ok(3));
    let pid = Some(popping.pid());
    let error = producer.push_timeout(4, patience).expect_err("the ring has come round to it");
    assert_eq!(error, PushError::Timeout { message: 4, pid });
    assert!(error.to_string().contains(&format!("process {}", popping.pid())), "{error}");
    let error = producer.push_all_timeout(&[4, 5], now).expect_err("as above");
    assert_eq!(error.why, PushError::Timeout { message: (), pid });
    // It is killed in its sleep: the message is redelivered, and then there is room.
    let helper = Helper::start(move || (producer.push_all(&[4, 5]), producer));
    helper.wait_until_asleep();
    popping.kill();
    let redelivered = consumer.pop().expect("a message");
    assert!(redelivered == 2 && redelivered.redelivered());
    let (pushed, _producer) = helper.result();
    assert_eq!((pushed, consumer.pop().map(|message| *message)), (Ok(()), Ok(4)));
}

#[test]
fn what_a_dead_consumer_held_is_delivered_before_the_ring_is_closed() {
    for noticed in [false, true] {
        let (name, ring) = ring(4);
        let mut producer = ring.producer();
        assert_eq!(producer.push_all(&[1, 2]), Ok(()));
        let mut holding = holder("peek", &name);
        let mut consumer = ring.consumer();
        assert_eq!(consumer.pop().map(|message| *message), Ok(2));
        let survivor = Helper::start(move || {
            let first = consumer.pop().map(|message| (*message, message.redeliveries()));
            (first, consumer.pop())
        });
        survivor.wait_until_asleep();
        holding.kill();
        // The producer leaves before anybody has noticed the death, or after.
        if noticed {
            wait_until("it is redelivered", || ring.recovered().redelivered == 1);
        }
        drop(producer);
        assert_eq!(survivor.result(), (Ok((1, 1)), Err(PopError::Closed)));
    }
}

#[test]
fn a_ring_with_several_producers_is_closed_when_the_last_of_them_is_gone() {
    let (name, ring) = ring(8);
    let own = ring.producer();
    let mut children: Vec<_> = (0..3).map(|_| holder("reserve", &name)).collect();
    let poppers: Vec<_> = (0..3).map(|_| popper(ring.consumer())).collect();
    all_sleep(&poppers, &[]);
    // One leaves, one is killed in the middle of a push, one of ours leaves, and one is killed.
    children[0].order("commit");
    children.remove(0).tell("leave");
    children.remove(0).kill();
    drop(own);
    children[0].order("commit");
    all_sleep(&poppers, &[]);
    children.remove(0).kill();
    let mut got: Vec<u64> = poppers.into_iter().flat_map(Helper::result).collect();
    got.sort_unstable();
    assert_eq!(got, [100, 100]);
}

/// What the thread that calls this has taken of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn who_sleeps_takes_less_than_a_hundredth_of_a_processor() {
    const LONG: Duration = Duration::from_secs(2);
    let costs = |job: Box<dyn FnOnce() + Send>| {
        Helper::start(move || {
            job();
            processor_time()
        })
    };
    let (_many_name, many) = ring(1);
    let (mut popper, mut other_popper) = (many.consumer(), many.consumer());
    let (_full_name, full) = ring(1);
    let (mut pusher, _popper) = (full.producer(), full.consumer());
    assert_eq!(pusher.push(1), Ok(()));
    let (name, full_name) = (Name::new(), Name::new());
    let options = Options::new().capacity(1).lifetime(Lifetime::LastDetach);
    let single = |name: &Name| spsc::Ring::<u64>::create(name, &options).expect("a ring");
    let (single, full_single) = (single(&name), single(&full_name));
    let mut single_popper = single.consumer().expect("free");
    let mut single_pusher = full_single.producer().expect("free");
    assert_eq!(single_pusher.push(1), Ok(()));
    let sleepers = [
        costs(Box::new(move || assert!(popper.pop_timeout(LONG).is_err()))),
        costs(Box::new(move || assert!(other_popper.pop_timeout(LONG).is_err()))),
        costs(Box::new(move || assert!(pusher.push_timeout(2, LONG).is_err()))),
        costs(Box::new(move || assert!(single_popper.pop_timeout(LONG).is_err()))),
        costs(Box::new(move || assert!(single_pusher.push_timeout(2, LONG).is_err()))),
    ];
    for (sleeper, what) in sleepers.into_iter().zip(["pop", "another pop", "push", "SPSC pop", "SPSC push"]) {
        let cost = sleeper.result();
        println!("{what}: {cost:?} in {LONG:?}");
        assert!(cost < LONG / 100, "{what}: {cost:?} in {LONG:?}");
    }
}
