//! How long a ring is held up by a process that is killed: while it has a role (SPSC), or the cell in front (MPMC).

use super::channel::Channel;
use super::cores::{Cores, pin};
use super::rings::Named;
use ringway::{TryPopError, TryPushError, mpmc, spsc};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{Read, Write, stdin, stdout};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// As the first argument, it makes this program the process that is killed.
pub const VICTIM: &str = "bench-victim";
const CAPACITY: usize = 4;
type Word = [u64; 1];
/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the dead one had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Nothing: how soon a process is gone for its parent is the limit.
    Nothing,
    /// The role of the producer (SPSC).
    Role,
    /// A place that it was about to push (MPMC).
    Reservation,
    /// A message that it was working on (MPMC).
    Peek,
}

impl Holding {
    fn name(self) -> &'static str {
        match self {
            Holding::Nothing => "nothing",
            Holding::Role => "role",
            Holding::Reservation => "reservation",
            Holding::Peek => "peek",
        }
    }
}

/// Times from the kill to the next operation that was in the way of the dead one, sorted.
pub fn measure(holding: Holding, kills: usize, cores: Cores) -> Vec<Duration> {
    let name = format!("bench-{}-{}", std::process::id(), holding.name());
    let mut times = match holding {
        Holding::Nothing => (0..kills).map(|_| Victim::start(holding, &name, cores).time_of_death()).collect(),
        Holding::Role => takeovers(&name, kills, cores),
        Holding::Reservation | Holding::Peek => in_the_way(holding, &name, kills, cores),
    };
    times.sort();
    times
}

/// From the kill of the producer of an SPSC ring to a message of the next one.
fn takeovers(name: &str, kills: usize, cores: Cores) -> Vec<Duration> {
    let named: Named<spsc::Ring<Word>> = Channel::create(name, CAPACITY).expect("a ring");
    let mut consumer = named.ring.consumer().expect("the role");
    let mut times = Vec::new();
    for _ in 0..kills {
        let mut victim = Victim::start(Holding::Role, name, cores);
        assert!(named.ring.producer().is_err(), "the role is the victim's");
        let start = victim.kill();
        let mut producer = until(start, || named.ring.producer().ok());
        producer.try_push([7]).expect("room");
        times.push(start.elapsed());
        assert_eq!(consumer.try_pop(), Ok([7]));
    }
    times
}

/// From the kill of who has the cell in front of an MPMC ring to the success of a survivor.
fn in_the_way(holding: Holding, name: &str, kills: usize, cores: Cores) -> Vec<Duration> {
    let named: Named<mpmc::Ring<Word>> = Channel::create(name, CAPACITY).expect("a ring");
    let (mut producer, mut consumer) = (named.ring.producer(), named.ring.consumer());
    let mut times = Vec::new();
    for _ in 0..kills {
        if holding == Holding::Peek {
            (0..CAPACITY as u64).for_each(|message| producer.try_push([message]).expect("room"));
        }
        let mut victim = Victim::start(holding, name, cores);
        let pid = victim.0.id();
        let start = if holding == Holding::Peek {
            assert_eq!(producer.try_push([7]), Err(TryPushError::Busy { message: [7], pid }));
            let start = victim.kill();
            // The message that the dead one had is still there: there is room when somebody has popped it.
            until(start, || match producer.try_push([7]) {
                Ok(()) => Some(()),
                Err(error) => {
                    if matches!(error, TryPushError::Full(_)) {
                        while consumer.try_pop().is_ok() {}
                    }
                    None
                }
            });
            start
        } else {
            producer.try_push([7]).expect("room behind the dead");
            assert_eq!(consumer.try_pop(), Err(TryPopError::Busy { pid }));
            let start = victim.kill();
            until(start, || consumer.try_pop().ok());
            start
        };
        times.push(start.elapsed());
        while consumer.try_pop().is_ok() {}
    }
    times
}

fn until<V>(start: Instant, mut attempt: impl FnMut() -> Option<V>) -> V {
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "the dead one is still in the way");
    }
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

    /// Returns when that was.
    fn kill(&mut self) -> Instant {
        let start = Instant::now();
        self.0.kill().expect("to kill our own child");
        start
    }

    fn time_of_death(mut self) -> Duration {
        let start = self.kill();
        self.0.wait().expect("our own child");
        start.elapsed()
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
    let wait_to_be_killed = || {
        stdout().write_all(b"!").expect("a pipe to the survivor");
        stdout().flush().expect("a pipe to the survivor");
        let _ = stdin().read(&mut [0]);
    };
    let many = || mpmc::Ring::<Word>::open(name).expect("the ring of the survivor");
    match holding.as_str() {
        "nothing" => wait_to_be_killed(),
        "role" => {
            let ring = spsc::Ring::<Word>::open(name).expect("the ring of the survivor");
            let _producer = ring.producer().expect("a free role");
            wait_to_be_killed();
        }
        "reservation" => {
            let mut producer = many().producer();
            let _reserved = producer.reserve().expect("an empty ring");
            wait_to_be_killed();
        }
        _ => {
            let mut consumer = many().consumer();
            let _peek = consumer.peek().expect("a full ring");
            wait_to_be_killed();
        }
    }
}
