//! What it costs that somebody might sleep: nothing, as long as nobody does. Processes whose system calls are counted.
//!
//! It has no harness, as it forks, and must have a single thread while it does; it understands the usual arguments.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code)] // what the tests of deaths need
mod support {
    pub mod asleep;
    pub mod board;
    pub mod doze;
    pub mod ledger;
    pub mod names;
    pub mod runner;
    pub mod victim;
    pub mod vigil;
}
#[allow(dead_code)]
#[path = "support/bytes.rs"]
mod bytes;

use ringway::{Lifetime, Options, PopError, PushError, Wait, mpmc, spsc};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::time::Duration;
use support::doze::{Dozer, Kind, Mpmc, Spsc, popper, pusher, warm_up};
use support::names;
use support::runner::{self, Report, Test};
use support::victim::{Breeder, window};

fn main() -> ExitCode {
    let tests = [
        Test { name: "a_push_makes_no_system_call_while_nobody_sleeps", run: pushes },
        Test { name: "a_pop_makes_no_system_call_while_nobody_sleeps", run: pops },
        Test { name: "a_stream_between_two_who_are_awake_has_no_wake_ups", run: streams },
    ];
    runner::main(&tests, &Report { instructions: 0, roles: false })
}

const MESSAGES: u64 = 4_000;
const CAPACITY: usize = 8_192;

/// Whether nobody has slept there lately, so that nobody even fences.
/// The rest of the word is a number.
const STATE_OR_ALWAYS: u32 = 7;

fn is_awake(name: &str, offset: usize) -> bool {
    let mut word = [0; 4];
    let file = File::open(format!("/dev/shm/{name}")).expect("the segment");
    file.read_exact_at(&mut word, offset as u64).expect("within the segment");
    u32::from_ne_bytes(word) & STATE_OR_ALWAYS == 0
}

/// The system calls of a new process while it does `operation`.
fn calls_of(operation: impl Fn()) -> Vec<i64> {
    Breeder::new(operation).victim().system_calls()
}

fn pushes() {
    fn of<K: Kind>() {
        let name = names::fresh();
        let ring = K::create(&name, CAPACITY);
        let sends = || {
            let mut producer = K::producer(&K::open(&name));
            window(|| (0..MESSAGES).for_each(|message| push::<K>(&mut producer, message)));
        };
        assert_eq!(calls_of(sends), [], "{}", K::NAME);
        empty::<K>(&ring, MESSAGES);
        // Somebody has slept, and sleeps no more: for a while whoever pushes looks more closely, and then no more.
        let mut producer = K::producer(&ring);
        let sleeper = popper::<K>(K::consumer(&ring));
        sleeper.wait_until_asleep();
        push::<K>(&mut producer, 1);
        drop(producer);
        assert!(matches!(sleeper.result(), Ok(((got, PopError::Closed), _)) if got == [1]));
        assert!(!is_awake(&name, bytes::MESSAGES), "{}", K::NAME);
        let calls = calls_of(sends);
        // An MPMC sleeper does not say that it has gone: one of the first wakes whoever may be there.
        let wake_ups = usize::from(K::SLEEPERS > 1);
        assert!(calls.len() <= wake_ups && calls.iter().all(|&call| call == libc::SYS_futex), "{}: {calls:?}", K::NAME);
        assert!(is_awake(&name, bytes::MESSAGES), "{}", K::NAME);
    }
    warm_up();
    of::<Spsc>();
    of::<Mpmc>();
}

fn pops() {
    fn of<K: Kind>() {
        let name = names::fresh();
        let ring = K::create(&name, CAPACITY);
        let receives = || {
            let mut consumer = K::consumer(&K::open(&name));
            window(|| {
                for _ in 0..MESSAGES {
                    pop::<K>(&mut consumer);
                }
            });
        };
        fill::<K>(&ring, MESSAGES);
        assert_eq!(calls_of(receives), [], "{}", K::NAME);
        fill::<K>(&ring, CAPACITY as u64);
        let mut consumer = K::consumer(&ring);
        let sleeper = pusher::<K>(K::producer(&ring), 1);
        sleeper.wait_until_asleep();
        pop::<K>(&mut consumer);
        drop(consumer);
        assert!(matches!(sleeper.result(), Ok((Ok(()), _))));
        assert!(!is_awake(&name, bytes::ROOM), "{}", K::NAME);
        let calls = calls_of(receives);
        let wake_ups = usize::from(K::SLEEPERS > 1);
        assert!(calls.len() <= wake_ups && calls.iter().all(|&call| call == libc::SYS_futex), "{}: {calls:?}", K::NAME);
        assert!(is_awake(&name, bytes::ROOM), "{}", K::NAME);
    }
    warm_up();
    of::<Spsc>();
    of::<Mpmc>();
}

fn push<K: Kind>(producer: &mut K::Producer, message: u64) {
    K::push(producer, message, Duration::MAX).expect("room");
}

fn pop<K: Kind>(consumer: &mut K::Consumer) -> u64 {
    K::pop(consumer, Duration::MAX).expect("a message")
}

fn fill<K: Kind>(ring: &K::Ring, messages: u64) {
    let mut producer = K::producer(ring);
    (0..messages).for_each(|message| push::<K>(&mut producer, message));
}

fn empty<K: Kind>(ring: &K::Ring, messages: u64) {
    let mut consumer = K::consumer(ring);
    for _ in 0..messages {
        pop::<K>(&mut consumer);
    }
}

/// A ring through which a child sends to a thread of the test, or the other way round. Both wait by looking again and
/// again. With one processor between the two, each fills the ring, or empties it, and looks until it has to make way.
macro_rules! stream {
    ($module:ident, $claimed:ident) => {{
        const LENGTH: u64 = 100_000;
        let options = Options::new().capacity(CAPACITY).lifetime(Lifetime::LastDetach).wait(Wait::Spin);
        let send = |name: &str| {
            let ring = $module::Ring::<u64>::open_with(name, &options).expect("a ring");
            let mut producer = $claimed(ring.producer());
            move || -> Result<(), PushError<u64>> { (0..LENGTH).try_for_each(|number| producer.push(number)) }
        };
        let receive = |name: &str| {
            let ring = $module::Ring::<u64>::open_with(name, &options).expect("a ring");
            let mut consumer = $claimed(ring.consumer());
            move || -> Result<(), PopError> { (0..LENGTH).try_for_each(|_| consumer.pop().map(drop)) }
        };
        for child_sends in [true, false] {
            let name = names::fresh();
            let _ring = $module::Ring::<u64>::create(&name, &options).expect("a ring");
            let mut breeder = Breeder::new(|| match child_sends {
                true => {
                    let mut send = send(&name);
                    window(|| send().expect("room"))
                }
                false => {
                    let mut receive = receive(&name);
                    window(|| receive().expect("a message"))
                }
            });
            let mut child = breeder.victim();
            let thread = if child_sends {
                let mut receive = receive(&name);
                Dozer::start(move || receive().expect("a message"))
            } else {
                let mut send = send(&name);
                Dozer::start(move || send().expect("room"))
            };
            let calls = child.system_calls();
            thread.result().expect("it ends");
            let wakes = |&call: &i64| call == libc::SYS_futex || call == libc::SYS_membarrier;
            let name = stringify!($module);
            println!("  {name}, the child sends: {child_sends}: {} system calls for {LENGTH} messages", calls.len());
            assert!(!calls.iter().any(wakes), "{name}: {calls:?}");
            // To ask the kernel who is alive, now and then, when there is nothing to do.
            assert!(calls.len() < LENGTH as usize / 100, "{name}: {} system calls", calls.len());
        }
    }};
}

fn streams() {
    fn made<H>(handle: H) -> H {
        handle
    }
    fn free<H>(handle: Result<H, ringway::ClaimError>) -> H {
        handle.expect("a free role")
    }
    warm_up();
    stream!(spsc, free);
    stream!(mpmc, made);
}
