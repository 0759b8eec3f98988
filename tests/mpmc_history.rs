//! Concurrent histories of real rings, and whether they can be those of a queue. What is asked of a history, and what is
//! not asked when processes were killed in it, is said in `support/history.rs`.

#[path = "support/history.rs"]
mod history;
#[path = "support/recorder.rs"]
mod recorder;
mod support;

use history::{Event, NEVER, Queue, What, check};
use proptest::prelude::*;
use recorder::{Clock, Dice, Recorder};
use ringway::mpmc::Ring;
use ringway::{Lifetime, Options};
use std::collections::VecDeque;
use std::fs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{Child, Job, Name, PATIENCE, be_the_other_process};

fn ring(name: &Name, capacity: usize) -> Ring<u64> {
    Ring::create(name, &Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)).expect("a ring")
}

// --- the checker itself ---

/// Tries all orders of operations that respect their times: whether one of them is that of a queue.
fn is_linearizable(events: &[Event], capacity: usize, done: u32, queue: &VecDeque<u64>) -> bool {
    let is_left = |index: &usize| done & 1 << index == 0;
    let left = || (0..events.len()).filter(is_left);
    let first_end = left().map(|index| events[index].ended).min();
    left().all(|_| false)
        || left().filter(|&index| Some(events[index].began) < first_end).any(|index| {
            let mut queue = queue.clone();
            let is_right = match events[index].what {
                What::Push(value) => {
                    queue.push_back(value);
                    queue.len() <= capacity
                }
                What::Pop { value, .. } => queue.pop_front() == Some(value),
                What::Empty => queue.is_empty(),
                What::Full => queue.len() == capacity,
                What::PopOfTheDead => unreachable!("nobody dies here"),
            };
            is_right && is_linearizable(events, capacity, done | 1 << index, &queue)
        })
}

/// Up to eight operations at random times: `kinds` decides what they are, `order` when.
fn small_history(kinds: &[u8], order: &[u16]) -> Vec<Event> {
    let pushes = kinds.iter().filter(|&&kind| kind < 4).count() as u64;
    let mut times: Vec<usize> = (0..2 * kinds.len()).collect();
    times.sort_by_key(|&index| order[index]);
    let mut ranks = vec![0; times.len()];
    times.iter().enumerate().for_each(|(rank, &index)| ranks[index] = rank as u64);
    let (mut pushed, mut popped) = (0, 0);
    let events = kinds.iter().enumerate().map(|(index, kind)| {
        let what = match kind {
            0..4 => {
                pushed += 1;
                What::Push(pushed)
            }
            4..7 if popped < pushes => {
                popped += 1;
                What::Pop { value: popped, redelivered: false }
            }
            7 => What::Full,
            _ => What::Empty,
        };
        let times = [ranks[2 * index], ranks[2 * index + 1]];
        Event { what, began: times[0].min(times[1]), ended: times[0].max(times[1]) }
    });
    events.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The checker beside one that tries everything: it is never stricter, and as strict if the capacity does not matter.
    #[test]
    fn the_checker_agrees_with_trying_everything(
        kinds in prop::collection::vec(0_u8..9, 1..8),
        order in prop::collection::vec(any::<u16>(), 16),
        capacity in 1_usize..4,
    ) {
        let events = small_history(&kinds, &order);
        let answer = check(&events, Queue { capacity, is_drained: false, is_full_exact: true });
        if is_linearizable(&events, capacity, 0, &VecDeque::new()) {
            prop_assert_eq!(answer, Ok(()), "{:?}", events);
        }
        let unbounded: Vec<Event> = events.into_iter().filter(|event| event.what != What::Full).collect();
        let answer = check(&unbounded, Queue { capacity: 100, is_drained: false, is_full_exact: true });
        let expected = is_linearizable(&unbounded, 100, 0, &VecDeque::new());
        prop_assert_eq!(answer.is_ok(), expected, "{:?}: {:?}", answer, unbounded);
    }
}

/// What one process alone would see of a queue of capacity 3, until it is empty.
fn good_history(length: u64) -> Vec<Event> {
    let (mut queue, mut dice, mut events, mut next) = (VecDeque::new(), Dice(length), Vec::new(), 0);
    for index in 0.. {
        let what = match dice.below(2) {
            0 if index < length && queue.len() == 3 => What::Full,
            0 if index < length => {
                next += 1;
                queue.push_back(next);
                What::Push(next)
            }
            _ => queue.pop_front().map_or(What::Empty, |value| What::Pop { value, redelivered: false }),
        };
        events.push(Event { what, began: 10 * index, ended: 10 * index + 5 });
        if index >= length && what == What::Empty {
            break;
        }
    }
    events
}

#[test]
fn the_checker_finds_what_is_wrong() {
    const QUEUE: Queue = Queue { capacity: 3, is_drained: true, is_full_exact: true };
    let good = good_history(1_000);
    assert_eq!(check(&good, QUEUE), Ok(()));
    let finds = |complaint: &str, queue: Queue, change: &dyn Fn(&mut Vec<Event>)| {
        let mut bad = good.clone();
        change(&mut bad);
        let found = check(&bad, queue).expect_err(complaint);
        assert!(found.contains(complaint), "{found} instead of: {complaint}");
    };
    let positions = |wanted: fn(&What) -> bool| -> Vec<usize> {
        (0..good.len()).filter(|&index| wanted(&good[index].what)).collect()
    };
    let after = |index: usize, what| Event { what, began: good[index].ended + 1, ended: good[index].ended + 2 };

    let pops = positions(|what| matches!(what, What::Pop { .. }));
    for pair in pops.windows(2) {
        let [one, other] = [pair[0], pair[1]];
        let (first, second) = (good[one].what, good[other].what);
        finds("", QUEUE, &|bad| (bad[one].what, bad[other].what) = (second, first));
        finds("popped twice", QUEUE, &|bad| bad[other].what = first);
        finds("missing", QUEUE, &|bad| _ = bad.remove(one));
        finds("popped after it", Queue { is_drained: false, ..QUEUE }, &|bad| _ = bad.remove(one));
        finds("not so at any instant", QUEUE, &|bad| bad.push(after(one, What::Full)));
    }
    for push in positions(|what| matches!(what, What::Push(_))) {
        finds("never pushed", QUEUE, &|bad| _ = bad.remove(push));
        finds("not so at any instant", QUEUE, &|bad| bad.push(after(push, What::Empty)));
    }
    finds("more than 2 values", Queue { capacity: 2, ..QUEUE }, &|_| {});
}

/// The dead explain one loss each, and nothing else; and what is redelivered may be late, not early.
#[test]
fn the_checker_knows_what_the_dead_explain() {
    let event = |what, began, ended| Event { what, began, ended };
    let pop = |value, redelivered| What::Pop { value, redelivered };
    let queue = Queue { capacity: 3, is_drained: true, is_full_exact: false };
    let pushes = [event(What::Push(1), 0, 1), event(What::Push(2), 2, 3), event(What::Push(3), 4, NEVER)];
    let ask = |more: &[Event]| check(&[&pushes[..], more].concat(), queue);

    assert_eq!(ask(&[event(pop(1, false), 10, 11), event(pop(2, false), 12, 13)]), Ok(()), "3 was never committed");
    assert_eq!(ask(&[event(What::PopOfTheDead, 10, NEVER), event(pop(2, false), 12, 13)]), Ok(()), "it had 1");
    assert_eq!(ask(&[event(pop(2, false), 12, 13), event(pop(1, true), 14, 15)]), Ok(()), "1 comes late");
    assert!(ask(&[event(pop(2, false), 12, 13)]).is_err(), "1 is lost");
    assert!(ask(&[event(What::PopOfTheDead, 10, NEVER)]).is_err(), "one of them is lost");
    assert!(ask(&[event(pop(2, true), 12, 13), event(pop(1, false), 14, 15)]).is_err(), "2 was taken before 1");
}

// --- histories of threads ---

fn record_threads(capacity: usize, producers: usize, consumers: usize) {
    const EACH: usize = 4_000;
    let name = Name::new();
    let (ring, time) = (ring(&name, capacity), AtomicU64::new(1));
    let clock = Clock::new(&time);
    let left = AtomicUsize::new(producers * EACH);
    let deadline = Instant::now() + PATIENCE;
    let go_on = || assert!(Instant::now() < deadline, "{} messages do not come", left.load(Ordering::Relaxed));
    let mut events: Vec<Event> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..producers {
            let mut producer = ring.producer();
            threads.push(scope.spawn(move || {
                let mut recorder = Recorder::new(clock, number as u64);
                let mut pushed = 0;
                while pushed < EACH {
                    go_on();
                    match recorder.push(&mut producer, EACH - pushed) {
                        0 => thread::yield_now(),
                        more => pushed += more,
                    }
                }
                recorder.events
            }));
        }
        for number in producers..producers + consumers {
            let (mut consumer, left) = (ring.consumer(), &left);
            threads.push(scope.spawn(move || {
                let mut recorder = Recorder::new(clock, number as u64);
                while left.load(Ordering::Relaxed) > 0 {
                    go_on();
                    match recorder.pop(&mut consumer) {
                        0 => thread::yield_now(),
                        more => _ = left.fetch_sub(more, Ordering::Relaxed),
                    }
                }
                recorder.events
            }));
        }
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    events.extend(recorder::drain(clock, &ring));
    check(&events, Queue { capacity, is_drained: true, is_full_exact: true }).unwrap_or_else(|wrong| {
        panic!("capacity {capacity}, {producers} producers, {consumers} consumers: {wrong}");
    });
}

#[test]
fn histories_of_threads_are_those_of_a_queue() {
    for capacity in [1, 2, 3, 8] {
        for (producers, consumers) in [(2, 2), (4, 4), (2, 4), (4, 2)] {
            record_threads(capacity, producers, consumers);
        }
    }
}

// --- histories of processes that are killed ---

const JOBS: [Job; 2] = [("produce", produce), ("consume", consume)];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}

fn produce(arguments: &[String]) {
    recorder::in_a_process(arguments, |recorder, ring| {
        let mut producer = ring.producer();
        move || _ = recorder.push_one(&mut producer)
    });
}

fn consume(arguments: &[String]) {
    recorder::in_a_process(arguments, |recorder, ring| {
        let mut consumer = ring.consumer();
        move || _ = recorder.pop_one(&mut consumer)
    });
}

fn record_processes(capacity: usize, kills: u64) {
    let (name, time, mut logs) = (Name::new(), Name::new(), Vec::new());
    let ring = ring(&name, capacity);
    let clock = Clock::create(&time);
    let mut dice = Dice(capacity as u64);
    let mut alive = VecDeque::new();
    for life in 0..kills {
        let log = Name::new();
        let (number, path) = (life.to_string(), log.path());
        let arguments = [name.as_str(), time.as_str(), path.to_str().expect("text"), &number];
        let mut child = Child::start(JOBS[life as usize % 2].0, &arguments);
        child.expect("attached");
        logs.push(log);
        alive.push_back(child);
        if alive.len() > 4 {
            thread::sleep(Duration::from_micros(dice.below(3_000)));
            alive.pop_front().expect("a process").kill();
        }
    }
    alive.iter_mut().for_each(Child::kill);
    ring.recover();
    let mut events = recorder::drain(clock, &ring);
    for log in &logs {
        events.extend(recorder::read(&fs::read(log.path()).expect("a log")));
    }
    let acknowledged = |event: &&Event| matches!(event.what, What::Push(_)) && event.ended != NEVER;
    assert!(events.iter().filter(acknowledged).count() > 100, "nothing happened");
    check(&events, Queue { capacity, is_drained: true, is_full_exact: false })
        .unwrap_or_else(|wrong| panic!("capacity {capacity}: {wrong}"));
}

#[test]
fn histories_of_processes_that_are_killed_are_those_of_a_queue() {
    for capacity in [1, 2, 3, 8] {
        record_processes(capacity, 30);
    }
}
