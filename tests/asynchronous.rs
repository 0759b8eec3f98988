//! Waiting as a task: what comes, what ends, what a cancelled task leaves to others, and what a death does.

mod support;

use futures_util::{SinkExt, StreamExt};
use ringway::{Lifetime, Message, Options, PopError, PushError, mpmc, spsc};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};
use support::{Child, Job, Name, PATIENCE, be_the_other_process, listen, say};
use tokio::time::timeout;

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    let jobs: [Job; 2] = [("produce", produce), ("produce many", produce_many)];
    be_the_other_process(&jobs);
}

/// Pushes a message, and is there until it is killed.
fn produce(arguments: &[String]) {
    let ring = spsc::Ring::<u64>::open(&arguments[0]).expect("the ring");
    let mut producer = ring.producer().expect("the role");
    say("ready");
    listen();
    producer.push(7).expect("room");
    listen();
}

fn produce_many(arguments: &[String]) {
    let ring = mpmc::Ring::<u64>::open(&arguments[0]).expect("the ring");
    let mut producer = ring.producer();
    let _reserved = producer.reserve().expect("room");
    say("ready");
    listen();
}

fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)
}

fn pair<T: Message>(name: &Name, capacity: usize) -> (spsc::Producer<T>, spsc::Consumer<T>) {
    let ring = spsc::Ring::create(name, &options(capacity)).expect("a ring");
    (ring.producer().expect("the role"), ring.consumer().expect("the role"))
}

/// Runs a task to its end, on one thread, which must come.
fn run<F: Future>(task: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(PATIENCE, task).await.expect("it does not hang") })
}

/// Lets the other tasks run until they all wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_task_gets_what_is_there_and_waits_for_what_is_not() {
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 1);
    run(async {
        producer.push_async(1).await.expect("room");
        let pushing = tokio::spawn(async move {
            producer.push_async(2).await.expect("room soon");
            producer
        });
        settle().await;
        assert_eq!(consumer.pop_async().await, Ok(1));
        assert_eq!(consumer.pop_async().await, Ok(2));
        let mut producer = pushing.await.expect("it pushed");
        let popping = tokio::spawn(async move { consumer.pop_async().await });
        settle().await;
        producer.push(3).expect("room");
        assert_eq!(popping.await.expect("it popped"), Ok(3));
    });
}

#[test]
fn a_task_and_a_thread_wait_for_each_other() {
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 3);
    const COUNT: u64 = 20_000;
    let thread = std::thread::spawn(move || (0..COUNT).for_each(|number| producer.push(number).expect("room")));
    run(async {
        for number in 0..COUNT {
            assert_eq!(consumer.pop_async().await, Ok(number));
        }
        assert_eq!(consumer.pop_async().await, Err(PopError::Closed));
    });
    thread.join().expect("it pushed all");
}

#[test]
fn streams_and_sinks_pass_everything_and_end() {
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4);
    run(async {
        let sending = tokio::spawn(async move {
            let mut sink = producer.sink();
            for number in 0..1_000_u64 {
                sink.send(number).await.expect("room soon");
            }
        });
        let got: Vec<u64> = consumer.stream().map(|message| message.expect("a message")).collect().await;
        assert!(got.into_iter().eq(0..1_000));
        sending.await.expect("it sent all");
    });
}

#[test]
fn each_message_goes_to_one_of_many_tasks() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(4)).expect("a ring");
    const PRODUCERS: u64 = 4;
    const EACH: u64 = 500;
    run(async {
        let popping: Vec<_> = (0..4)
            .map(|_| {
                let mut consumer = ring.consumer();
                tokio::spawn(async move {
                    let messages = consumer.stream().map(|message| *message.expect("a message"));
                    messages.collect::<Vec<u64>>().await
                })
            })
            .collect();
        for from in 0..PRODUCERS {
            let mut producer = ring.producer();
            tokio::spawn(async move {
                for number in from * EACH..(from + 1) * EACH {
                    producer.push_async(number).await.expect("room soon");
                }
            });
        }
        let mut got = BTreeSet::new();
        for task in popping {
            for number in task.await.expect("it ended") {
                assert!(got.insert(number), "{number} came twice");
            }
        }
        assert!(got.into_iter().eq(0..PRODUCERS * EACH));
    });
}

#[test]
fn a_task_that_is_cancelled_has_done_nothing_and_leaves_its_wake_up_to_others() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(1)).expect("a ring");
    run(async {
        let (mut producer, mut cancelled, mut waiting) = (ring.producer(), ring.consumer(), ring.consumer());
        for round in 0..50 {
            let mut popping = Box::pin(cancelled.pop_async());
            assert!(futures_util::poll!(&mut popping).is_pending());
            let mut also = Box::pin(waiting.pop_async());
            assert!(futures_util::poll!(&mut also).is_pending());
            producer.try_push(round).expect("room");
            drop(popping);
            assert_eq!(*also.await.expect("a message"), round);
        }
        producer.try_push(1).expect("room");
        let mut pushing = Box::pin(producer.push_async(2));
        assert!(futures_util::poll!(&mut pushing).is_pending());
        drop(pushing);
        assert_eq!(*waiting.pop().expect("a message"), 1);
        assert!(ring.is_empty(), "what was cancelled was not pushed");
    });
}

#[test]
fn a_producer_that_leaves_or_dies_closes_the_ring() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &options(4)).expect("a ring");
    let mut consumer = ring.consumer().expect("the role");
    let mut child = Child::start("produce", &[name.as_str()]);
    child.expect("ready");
    run(async {
        child.tell("push");
        assert_eq!(consumer.pop_async().await, Ok(7));
        child.kill();
        assert_eq!(consumer.pop_async().await, Err(PopError::Closed));
    });
}

#[test]
fn a_message_behind_a_dead_process_comes_by_itself() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(4)).expect("a ring");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut child = Child::start("produce many", &[name.as_str()]);
    child.expect("ready");
    run(async {
        producer.try_push(1).expect("room");
        let mut popping = Box::pin(consumer.pop_async());
        assert!(futures_util::poll!(&mut popping).is_pending(), "it is behind one that is being pushed");
        child.kill();
        assert_eq!(*popping.await.expect("a message"), 1);
    });
}

#[test]
fn a_push_says_closed_when_that_was_asked_for() {
    let name = Name::new();
    let (mut producer, consumer) = pair(&name, 1);
    run(async {
        producer.close_when_alone(true);
        producer.push_async(1).await.expect("room");
        let mut pushing = Box::pin(producer.push_async(2));
        assert!(futures_util::poll!(&mut pushing).is_pending());
        drop(consumer);
        assert_eq!(pushing.await, Err(PushError::Closed(2)));
    });
}

/// Nobody sleeps to its time-out of 100 ms when there is something to do. One round in two may be late for other reasons:
/// there is more to do on this machine.
fn is_prompt(name: &str, mut round: impl FnMut() -> Duration) {
    let mut late: Vec<Duration> = (0..15).map(|_| round()).collect();
    late.sort();
    assert!(late[7] < Duration::from_millis(40), "{name}: {late:?}");
}

/// Waits until a thread of this process sleeps, which says its id first.
fn wait_until_asleep(said: &std::sync::mpsc::Receiver<rustix::thread::Pid>) {
    let tid = said.recv().expect("a thread").as_raw_nonzero();
    support::wait_until("it sleeps", || {
        let state = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S"))
    });
}

/// A thread that pops, asleep by now, and says when it got something.
fn asleep(mut consumer: mpmc::Consumer<u64>) -> std::thread::JoinHandle<Instant> {
    let (say, said) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        say.send(rustix::thread::gettid()).expect("the test listens");
        consumer.pop().expect("a message");
        Instant::now()
    });
    wait_until_asleep(&said);
    thread
}

#[test]
fn a_task_takes_no_wake_up_from_a_thread() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &options(4)).expect("a ring");
    let (mut producer, mut of_task) = (ring.producer(), ring.consumer());
    // It gets its message, and the thread gets the next one; or it is cancelled, right after it was woken.
    for is_cancelled in [false, true] {
        is_prompt(if is_cancelled { "cancelled" } else { "done" }, || {
            run(async {
                let mut popping = Box::pin(of_task.pop_async());
                assert!(futures_util::poll!(&mut popping).is_pending());
                let thread = asleep(ring.consumer());
                producer.push(1).expect("room");
                if is_cancelled {
                    drop(popping);
                } else {
                    // Which of them gets which, nobody knows.
                    producer.push(2).expect("room");
                    popping.await.expect("a message");
                }
                let start = Instant::now();
                let woken = thread.join().expect("it got a message");
                woken.saturating_duration_since(start)
            })
        });
    }
}

#[test]
fn a_task_that_is_gone_takes_no_wake_up_from_its_own_handle() {
    let name = Name::new();
    let (mut producer, mut consumer) = pair::<u64>(&name, 4);
    is_prompt("a pop behind one that was cancelled", || {
        run(async {
            let mut popping = Box::pin(consumer.pop_async());
            assert!(futures_util::poll!(&mut popping).is_pending());
        });
        let (start, woken) = std::thread::scope(|scope| {
            let (say, said) = std::sync::mpsc::channel();
            let consumer = &mut consumer;
            let popping = scope.spawn(move || {
                say.send(rustix::thread::gettid()).expect("the test listens");
                consumer.pop().expect("a message");
                Instant::now()
            });
            wait_until_asleep(&said);
            let start = Instant::now();
            producer.push(1).expect("room");
            (start, popping.join().expect("it got a message"))
        });
        woken.saturating_duration_since(start)
    });
}

/// It wakes nobody, and panics.
struct Broken;

impl std::task::Wake for Broken {
    fn wake(self: std::sync::Arc<Self>) {
        panic!("somebody else's waker is broken: this is part of the test");
    }
}

#[test]
fn a_waker_that_panics_is_nobody_elses_concern() {
    let names = [Name::new(), Name::new()];
    let (mut of_broken, mut broken) = pair::<u64>(&names[0], 1);
    let (mut producer, mut consumer) = pair::<u64>(&names[1], 1);
    let waker = std::task::Waker::from(std::sync::Arc::new(Broken));
    let mut popping = Box::pin(broken.pop_async());
    assert!(popping.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    of_broken.push(1).expect("room");
    for number in 0..10 {
        let thread = std::thread::spawn(move || {
            producer.push(number).expect("room");
            producer
        });
        assert_eq!(run(consumer.pop_async()), Ok(number));
        producer = thread.join().expect("it pushed");
    }
}

/// More rings than the kernel lets one call sleep on.
#[test]
fn one_thread_sleeps_for_all_rings_of_a_process() {
    let names: Vec<Name> = (0..200).map(|_| Name::new()).collect();
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for name in &names {
        let (producer, consumer) = pair::<u64>(name, 1);
        producers.push(producer);
        consumers.push(consumer);
    }
    run(async {
        let tasks: Vec<_> =
            consumers.into_iter().map(|mut consumer| tokio::spawn(async move { consumer.pop_async().await })).collect();
        settle().await;
        assert_eq!(helper_threads(), 1);
        for (number, producer) in producers.iter_mut().enumerate() {
            producer.push(number as u64).expect("room");
        }
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("it popped"), Ok(number as u64));
        }
    });
}

fn helper_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "ringway").count()
}

#[test]
fn tasks_that_wait_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    let name = Name::new();
    let (mut producer, mut consumer) = pair::<u64>(&name, 1);
    sent(&producer.push_async(1));
    sent(&consumer.pop_async());
    sent(&consumer.stream());
    assert_eq!(timeout_of(&mut consumer), Err(PopError::Timeout { pid: None }));
}

fn timeout_of(consumer: &mut spsc::Consumer<u64>) -> Result<u64, PopError> {
    consumer.pop_timeout(Duration::from_millis(1))
}
