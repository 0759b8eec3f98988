//! What every kind of memory must do for either kind of ring. Which kinds there are, and how a test gets at one, is in
//! `support/memory.rs`; a kind that only one process can reach keeps the promises that make sense there.

use crate::support::memory::{Ends, Memory, options_of, source_of};
use crate::support::{Child, Job, listen, say, wait_until};
use ringway::{CreateError, HeaderError, Kind, Lifetime, OpenError, Options, Ring};
use rustix::process::Signal;
use std::time::Duration;

pub const JOBS: [Job; 4] = [("push", push), ("pop", pop), ("hold", hold), ("attach", attach)];

fn options<M: Memory>() -> Options {
    M::wish(Options::new().capacity(100).processes(4))
}

/// A ring, and the address by which other processes find it.
fn ring<K: Ends, M: Memory>(memory: &M, options: &Options) -> (Ring<u64, K>, String) {
    let ring = Ring::<u64, K>::create(memory.source(), options).expect("there is nothing yet");
    let address = memory.address(ring.as_fd());
    (ring, address)
}

fn child<K: Ends>(role: &str, address: &str, more: &[&str]) -> Child {
    Child::start(role, &[&[K::NAME, address], more].concat())
}

/// The ring that a child is told of, attached.
fn opened<K: Ends>(arguments: &[String]) -> Ring<u64, K> {
    open(&arguments[1]).expect("the parent made it")
}

fn open<T: ringway::Message, K: Kind>(address: &str) -> Result<Ring<T, K>, OpenError> {
    Ring::open_with(source_of(address), &options_of(address))
}

macro_rules! of_either_kind {
    ($arguments:ident, $job:ident) => {
        match $arguments[0].as_str() {
            "spsc" => $job::<ringway::Spsc>($arguments),
            _ => $job::<ringway::Mpmc>($arguments),
        }
    };
}

pub fn what_is_pushed_into_one_attachment_comes_out_of_another<K: Ends, M: Memory>() {
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    assert_eq!((ring.capacity(), ring.len()), (100, 0));
    let same = open::<u64, K>(&address).expect("it is there");
    assert_eq!(same.capacity(), 100);
    let (mut producer, mut consumer) = (K::producer(&ring).expect("free"), K::consumer(&same).expect("free"));
    for round in 0..3 {
        for number in 0..100 {
            assert!(K::try_push(&mut producer, 1000 * round + number));
        }
        assert!(!K::try_push(&mut producer, 0), "the ring is full");
        assert!(same.is_full());
        for number in 0..100 {
            assert_eq!(K::try_pop(&mut consumer), Some(1000 * round + number));
        }
        assert_eq!(K::try_pop(&mut consumer), None);
    }
}

pub fn a_name_is_made_once_found_and_removed<K: Ends, M: Memory>() {
    let memory = M::new();
    let is_missing = |error: OpenError| match error {
        OpenError::NotFound { name } => name == memory.source().to_string(),
        OpenError::NoName { .. } => !M::NAMED,
        _ => false,
    };
    assert!(is_missing(Ring::<u64, K>::open(memory.source()).expect_err("nothing yet")));
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    if !M::NAMED {
        assert!(Ring::<u64, K>::unlink(memory.source()).expect_err("no name").to_string().contains("no name"));
        let other = Ring::<u64, K>::open_or_create(memory.source(), &options::<M>()).expect("another one");
        assert!(K::try_push(&mut K::producer(&other).expect("free"), 1));
        assert_eq!((other.len(), ring.len()), (1, 0), "they are two");
        return;
    }
    let again = Ring::<u64, K>::create(memory.source(), &options::<M>()).expect_err("it is there");
    assert!(matches!(&again, CreateError::AlreadyExists { .. }), "{again}");
    assert!(again.to_string().contains(&memory.source().to_string()), "{again}");
    let same = Ring::<u64, K>::open_or_create(source_of(&address), &options::<M>()).expect("it is there");
    assert!(K::try_push(&mut K::producer(&ring).expect("free"), 1));
    assert_eq!(same.len(), 1, "they are one");
    Ring::<u64, K>::unlink(memory.source()).expect("it is there");
    assert!(is_missing(Ring::<u64, K>::open(memory.source()).expect_err("removed")));
    assert!(Ring::<u64, K>::unlink(memory.source()).is_err(), "removed");
    assert_eq!(K::try_pop(&mut K::consumer(&same).expect("free")), Some(1), "who is attached goes on");
    drop((ring, same));
    assert_eq!(memory.left_behind(), Vec::<String>::new());
}

pub fn each_message_goes_once_from_one_process_to_another<K: Ends, M: Memory>() {
    const MESSAGES: u64 = 100_000;
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    let mut producer = child::<K>("push", &address, &["0", &MESSAGES.to_string()]);
    let mut consumer = K::consumer(&ring).expect("free");
    for number in 0..MESSAGES {
        assert_eq!(K::pop(&mut consumer, Duration::from_secs(30)), Some(number));
    }
    producer.expect("pushed all");
    assert_eq!(K::try_pop(&mut consumer), None);
}

pub fn a_producer_that_is_killed_is_succeeded_and_nothing_is_lost<K: Ends, M: Memory>() {
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    let mut consumer = K::consumer(&ring).expect("free");
    let mut expected = 0;
    for round in 0..8_u64 {
        let mut victim = child::<K>("push", &address, &[&expected.to_string(), &u64::MAX.to_string()]);
        let stop = expected + 1 + 137 * round;
        while expected < stop {
            assert_eq!(K::pop(&mut consumer, Duration::from_secs(30)), Some(expected));
            expected += 1;
        }
        victim.kill();
        // What was committed is there, each once, and nothing of the one that was not.
        while let Some(number) = K::pop(&mut consumer, Duration::from_millis(20)) {
            assert_eq!(number, expected);
            expected += 1;
        }
        assert_eq!(ring.len(), 0);
    }
}

pub fn a_consumer_that_is_killed_is_succeeded_and_nothing_is_lost<K: Ends, M: Memory>() {
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    let mut producer = K::producer(&ring).expect("free");
    let (mut pushed, mut expected) = (0, 0);
    for round in 0..8_u64 {
        let mut victim = child::<K>("pop", &address, &[]);
        let mut first = true;
        let stop = expected + 1 + 57 * round;
        while expected < stop {
            while K::try_push(&mut producer, pushed) {
                pushed += 1;
            }
            let popped: u64 = victim.hear().parse().expect("a number");
            // The one before may have been handed over to a process that did not live to say so.
            assert!(popped == expected || first && round > 0 && popped == expected + 1, "{popped}, not {expected}");
            (first, expected) = (false, popped + 1);
        }
        victim.kill();
        // What it said before it was killed and we have not heard yet.
        for popped in victim.said() {
            assert_eq!(popped, expected.to_string());
            expected += 1;
        }
    }
    let mut consumer = K::consumer(&ring).expect("its holder is dead");
    let next = K::pop(&mut consumer, Duration::from_secs(30)).unwrap_or(expected);
    assert!(next == expected || next == expected + 1, "{next}, not {expected}");
    for number in next + 1..pushed {
        assert_eq!(K::pop(&mut consumer, Duration::from_secs(30)), Some(number));
    }
    assert_eq!(K::try_pop(&mut consumer), None);
}

pub fn another_type_or_capacity_is_refused_and_changes_nothing<K: Ends, M: Memory>() {
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    assert!(K::try_push(&mut K::producer(&ring).expect("free"), 7));
    let header = |error| match error {
        OpenError::Header { error, .. } => error,
        other => panic!("{other}"),
    };
    let error = header(open::<[u8; 5], K>(&address).expect_err("another size"));
    assert!(matches!(error, HeaderError::ItemSize { found: 8, expected: 5, .. }), "{error}");
    let error = header(open::<i64, K>(&address).expect_err("another type"));
    assert!(matches!(error, HeaderError::Schema { .. }), "{error}");
    let other = options_of(&address).capacity(99);
    let error = header(Ring::<u64, K>::open_with(source_of(&address), &other).expect_err("another capacity"));
    assert!(matches!(error, HeaderError::Capacity { found: 100, expected: 99 }), "{error}");
    let error = header(open::<u64, K::Other>(&address).expect_err("another kind"));
    assert!(matches!(error, HeaderError::Kind { .. }), "{error}");
    let same = open::<u64, K>(&address).expect("the right one");
    assert_eq!(K::try_pop(&mut K::consumer(&same).expect("free")), Some(7));
}

pub fn the_last_one_out_leaves_nothing_whoever_was_killed<K: Ends, M: Memory>() {
    let memory = M::new();
    let options = options::<M>().lifetime(Lifetime::LastDetach);
    let (ring, address) = ring::<K, M>(&memory, &options);
    let mut killed = child::<K>("attach", &address, &[]);
    killed.expect("attached");
    let mut leaving = child::<K>("attach", &address, &[]);
    leaving.expect("attached");
    killed.kill();
    leaving.order("leave");
    drop(open::<u64, K>(&address).expect("it is there for as long as somebody is"));
    drop(ring);
    assert_eq!(memory.left_behind(), Vec::<String>::new());
    drop(leaving);
    if M::NAMED {
        assert!(matches!(Ring::<u64, K>::open(memory.source()), Err(OpenError::NotFound { .. })));
    }
}

pub fn the_records_of_the_dead_are_used_again<K: Ends, M: Memory>() {
    let memory = M::new();
    let (_ring, address) = ring::<K, M>(&memory, &options::<M>().processes(2));
    for _ in 0..12 {
        let mut other = child::<K>("attach", &address, &[]);
        other.expect("attached");
        let error = open::<u64, K>(&address).expect_err("two are attached");
        assert!(matches!(error, OpenError::TooManyProcesses { limit: 2, .. }), "{error}");
        other.kill();
    }
    open::<u64, K>(&address).expect("its record is free");
}

pub fn a_stopped_process_is_alive<K: Ends, M: Memory>() {
    let memory = M::new();
    let (ring, address) = ring::<K, M>(&memory, &options::<M>());
    let mut holder = child::<K>("hold", &address, &[]);
    holder.expect("holding");
    holder.signal(Signal::STOP);
    for _ in 0..100 {
        assert!(K::holds_the_producer(&ring, holder.pid()));
    }
    holder.kill();
    assert!(!K::holds_the_producer(&ring, holder.pid()));
    let mut consumer = K::consumer(&ring).expect("nobody had it");
    assert_eq!(K::pop(&mut consumer, Duration::from_secs(30)), Some(7));
    assert!(K::try_push(&mut K::producer(&ring).expect("its holder is dead"), 8));
    assert_eq!(K::try_pop(&mut consumer), Some(8));
}

pub fn a_forked_child_disturbs_nobody_and_keeps_nothing<K: Ends, M: Memory>() {
    let memory = M::new();
    let options = options::<M>().lifetime(Lifetime::LastDetach);
    let (ring, address) = ring::<K, M>(&memory, &options);
    let mut holder = child::<K>("hold", &address, &[]);
    holder.expect("holding");
    // One that drops what it inherited, and one that lives on.
    holder.order("fork and drop");
    assert!(K::holds_the_producer(&ring, holder.pid()));
    holder.order("push");
    assert_eq!(ring.len(), 2);
    holder.tell("fork and sleep");
    let orphan: i32 = holder.hear().parse().expect("a pid");
    let orphan = rustix::process::Pid::from_raw(orphan).expect("not zero");
    holder.kill();
    assert!(!K::holds_the_producer(&ring, holder.pid()), "its forked child does not count");
    rustix::process::kill_process(orphan, Signal::KILL).expect("it lives");
    K::producer(&ring).expect("its holder is dead");
    drop(ring);
    wait_until("the orphan's copies of descriptors are gone", || memory.left_behind().is_empty());
}

/// Pushes numbers, from one on up to another.
fn push(arguments: &[String]) {
    fn job<K: Ends>(arguments: &[String]) {
        let mut producer = K::producer(&opened::<K>(arguments)).expect("the parent leaves it to us");
        let (from, to): (u64, u64) = (arguments[2].parse().expect("number"), arguments[3].parse().expect("number"));
        for number in from..to {
            assert!(K::push(&mut producer, number, Duration::from_secs(30)));
        }
        say("pushed all");
        listen();
    }
    of_either_kind!(arguments, job);
}

/// Pops, and says what.
fn pop(arguments: &[String]) {
    fn job<K: Ends>(arguments: &[String]) {
        let mut consumer = K::consumer(&opened::<K>(arguments)).expect("the parent leaves it to us");
        while let Some(number) = K::pop(&mut consumer, Duration::from_secs(30)) {
            say(number);
        }
    }
    of_either_kind!(arguments, job);
}

/// Holds a producer, and does what it is told.
fn hold(arguments: &[String]) {
    fn job<K: Ends>(arguments: &[String]) {
        let ring = opened::<K>(arguments);
        let mut producer = K::producer(&ring).expect("the parent leaves it to us");
        assert!(K::try_push(&mut producer, 7));
        let mut held = Some((ring, producer));
        say("holding");
        while let Some(word) = listen() {
            match word.as_str() {
                "push" => assert!(K::try_push(&mut held.as_mut().expect("held").1, 7)),
                "fork and drop" => {
                    // SAFETY: this process has one thread.
                    let pid = unsafe { libc::fork() };
                    if pid == 0 {
                        drop(held.take());
                        // SAFETY: it takes a number, and runs nothing of the parent's.
                        unsafe { libc::_exit(0) };
                    }
                    let pid = rustix::process::Pid::from_raw(pid);
                    let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
                    let (_, status) = ended.expect("our child").expect("it ends");
                    assert_eq!(status.exit_status(), Some(0), "{status:?}");
                }
                _ => {
                    // SAFETY: this process has one thread.
                    let pid = unsafe { libc::fork() };
                    if pid == 0 {
                        // Long enough, and not for ever when the test dies as well.
                        // SAFETY: it takes a number.
                        unsafe { libc::sleep(60) };
                        // SAFETY: it takes a number, and runs nothing of the parent's.
                        unsafe { libc::_exit(0) };
                    }
                    say(pid);
                    continue;
                }
            }
            say("done");
        }
    }
    of_either_kind!(arguments, job);
}

fn attach(arguments: &[String]) {
    fn job<K: Ends>(arguments: &[String]) {
        let ring = opened::<K>(arguments);
        say("attached");
        if listen().is_some() {
            drop(ring);
            say("done");
            listen();
        }
    }
    of_either_kind!(arguments, job);
}

/// Hands the names of all contracts to a macro.
#[macro_export]
macro_rules! with_contracts {
    ($macro:ident! $($first:tt)*) => {
        $macro! { $($first)*
            what_is_pushed_into_one_attachment_comes_out_of_another
            a_name_is_made_once_found_and_removed
            each_message_goes_once_from_one_process_to_another
            a_producer_that_is_killed_is_succeeded_and_nothing_is_lost
            a_consumer_that_is_killed_is_succeeded_and_nothing_is_lost
            another_type_or_capacity_is_refused_and_changes_nothing
            the_last_one_out_leaves_nothing_whoever_was_killed
            the_records_of_the_dead_are_used_again
            a_stopped_process_is_alive
            a_forked_child_disturbs_nobody_and_keeps_nothing
        }
    };
}

/// A test of each contract, for both kinds of ring in one kind of memory.
#[macro_export]
macro_rules! contract_tests {
    ($memory:ident $($contract:ident)*) => {
        mod spsc {
            use super::*;
            $(#[test] fn $contract() { $crate::memory::$contract::<ringway::Spsc, $memory>() })*
        }
        mod mpmc {
            use super::*;
            $(#[test] fn $contract() { $crate::memory::$contract::<ringway::Mpmc, $memory>() })*
        }
    };
}

/// All contracts, one after the other, for both kinds of ring in one kind of memory.
#[macro_export]
macro_rules! keep_contracts {
    ($memory:ident $($contract:ident)*) => {
        $(
            $crate::memory::$contract::<ringway::Spsc, $memory>();
            $crate::memory::$contract::<ringway::Mpmc, $memory>();
        )*
    };
}
