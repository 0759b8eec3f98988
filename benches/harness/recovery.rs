//! How long a ring is held up by a process that is killed while it has the cell in front.

use super::cores::{Cores, pin};
use super::queues::RingOf;
use ringway::{TryPopError, TryPushError, mpmc};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{Read, Write, stdin, stdout};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// As the first argument, it makes this program the process that is killed.
pub const VICTIM: &str = "--victim";
const CAPACITY: usize = 4;
/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the dead one was in the middle of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    Reservation,
    Peek,
}

impl Holding {
    fn name(self) -> &'static str {
        match self {
            Holding::Reservation => "reservation",
            Holding::Peek => "peek",
        }
    }
}

/// Times from the kill to the next operation that was in the way of the dead one, sorted.
pub fn measure(holding: Holding, kills: usize, cores: Cores) -> Vec<Duration> {
    let name = format!("bench-{}-{}", std::process::id(), holding.name());
    let (ring, _name): (mpmc::Ring<[u64; 1]>, _) = RingOf::create(name.clone(), CAPACITY);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut times = Vec::new();
    for _ in 0..kills {
        if holding == Holding::Peek {
            (0..CAPACITY as u64).for_each(|message| producer.try_push([message]).expect("room"));
        }
        let mut victim = Victim::start(holding, &name, cores);
        let pid = victim.0.id();
        match holding {
            Holding::Reservation => {
                producer.try_push([7]).expect("room behind the dead");
                assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid }));
            }
            Holding::Peek => {
                let refused = producer.try_push([7]);
                assert_eq!(refused, Err(TryPushError::Busy { message: [7], pid }));
            }
        }
        let start = Instant::now();
        victim.0.kill().expect("to kill our own child");
        match holding {
            Holding::Reservation => {
                while consumer.try_pop().is_err() {
                    assert!(start.elapsed() < PATIENCE, "the dead one is still in the way");
                }
            }
            // The message that the dead one had is still there: there is room when somebody has popped it.
            Holding::Peek => {
                while let Err(error) = producer.try_push([7]) {
                    if matches!(error, TryPushError::Full(_)) {
                        while consumer.try_pop().is_ok() {}
                    }
                    assert!(start.elapsed() < PATIENCE, "the dead one is still in the way");
                }
            }
        }
        times.push(start.elapsed());
        while consumer.try_pop().is_ok() {}
    }
    times.sort();
    times
}

struct Victim(Child);

impl Victim {
    /// Returns when it holds the cell in front.
    fn start(holding: Holding, name: &str, cores: Cores) -> Victim {
        let mut child = Command::new(std::env::current_exe().expect("our own program"))
            .args([VICTIM, holding.name(), name, &cores.far.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process to kill");
        let mut ready = [0];
        child.stdout.as_mut().expect("a pipe from it").read_exact(&mut ready).expect("it to hold the cell in front");
        Victim(child)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the process that is to be killed does instead of benches.
pub fn be_the_victim(arguments: &[String]) {
    let [holding, name, cpu] = arguments else {
        panic!("started by hand? this is for the bench itself");
    };
    set_parent_process_death_signal(Some(Signal::KILL)).expect("to die in time");
    pin(cpu.parse().expect("a number"));
    let ring = mpmc::Ring::<[u64; 1]>::open(name).expect("the ring of the survivor");
    let wait_to_be_killed = || {
        stdout().write_all(b"!").expect("a pipe to the survivor");
        stdout().flush().expect("a pipe to the survivor");
        let _ = stdin().read(&mut [0]);
    };
    if holding == Holding::Reservation.name() {
        let mut producer = ring.producer();
        let _reserved = producer.reserve().expect("an empty ring");
        wait_to_be_killed();
    } else {
        let mut consumer = ring.consumer();
        let _peek = consumer.peek().expect("a full ring");
        wait_to_be_killed();
    }
}
