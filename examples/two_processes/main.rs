//! Two real processes and two named rings: every message checked, everything timed, beside the limit of the machine.
//!
//! `cargo run --release --example two_processes [messages] [round trips]`

mod lines;

use lines::Lines;
use ringway::{Lifetime, Options, TryPopError, TryPushError, spsc};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Round trips are measured in turns, ours and the bare lines', as the speed of a machine drifts.
const TURNS: u64 = 20;

/// How much is to be done. Both processes know it, so that they go through the same phases.
#[derive(Clone, Copy)]
struct Plan {
    messages: u64,
    round_trips: u64,
}

impl Plan {
    /// The numbers that go round in one turn: 1 and up, never the same twice.
    fn of_turn(self, turn: u64) -> std::ops::RangeInclusive<u64> {
        let share = self.round_trips / TURNS;
        turn * share + 1..=(turn + 1) * share
    }
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_processes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let number = |index: usize, default| arguments.get(index).map_or(Ok(default), |text| text.parse::<u64>());
    match arguments {
        [child, session, messages, round_trips] if child == "echo" => {
            echo(session, Plan { messages: messages.parse()?, round_trips: round_trips.parse()? })
        }
        _ => ask(Plan {
            messages: number(0, 50_000_000)?,
            round_trips: number(1, 1_000_000)?.max(1).next_multiple_of(TURNS),
        }),
    }
}

/// One end of the pair: what we send on, what we receive from.
struct Link {
    out: spsc::Producer<u64>,
    back: spsc::Consumer<u64>,
    /// Two processes on one CPU must take turns.
    alone: bool,
}

impl Link {
    fn send(&mut self, message: u64) -> Result<()> {
        self.patiently(|link| match link.out.try_push(message) {
            Ok(()) => Ok(Some(())),
            Err(TryPushError::Full(_)) => Ok(None),
            Err(error) => Err(error.to_string().into()),
        })
    }

    fn receive(&mut self) -> Result<u64> {
        self.patiently(|link| match link.back.try_pop() {
            Ok(message) => Ok(Some(message)),
            Err(TryPopError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    /// Spins until `attempt` has something, and looks now and then whether the other process is still there.
    #[inline(always)]
    fn patiently<T>(&mut self, mut attempt: impl FnMut(&mut Link) -> Result<Option<T>>) -> Result<T> {
        loop {
            for _ in 0..if self.alone { 100 } else { 10_000_000 } {
                if let Some(value) = attempt(self)? {
                    return Ok(value);
                }
                std::hint::spin_loop();
            }
            if self.out.is_closed() {
                return Err("the other process has gone".into());
            }
            if self.alone {
                std::thread::yield_now();
            }
        }
    }
}

/// The process that a user starts: sends, measures, reports.
fn ask(plan: Plan) -> Result<()> {
    let session = format!("two_processes-{}", std::process::id());
    let options = Options::new().capacity(1024).lifetime(Lifetime::LastDetach);
    let there = spsc::Ring::create(format!("{session}-there"), &options)?;
    let back = spsc::Ring::create(format!("{session}-back"), &options)?;
    let lines = Lines::create(&session)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["echo", &session, &plan.messages.to_string(), &plan.round_trips.to_string()])
        .spawn()?;
    let alone = pin(0)?;
    let mut link = Link { out: there.producer()?, back: back.consumer()?, alone };
    while back.peer(ringway::Role::Producer) == spsc::Peer::NeverCame {
        if let Some(status) = child.try_wait()? {
            return Err(format!("the other process did not start: {status}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    lines.unlink();

    let wrong = one_way(&mut link, plan)?;
    let mut ours = Vec::with_capacity(plan.round_trips as usize);
    let mut limit = Vec::with_capacity(plan.round_trips as usize);
    let mut bad_echoes = 0;
    for turn in 0..TURNS {
        progress("round trips", turn, TURNS);
        let gone = || link.out.is_closed();
        let mut last = Instant::now();
        for number in plan.of_turn(turn) {
            lines.ask(number, alone, gone)?;
            let now = Instant::now();
            limit.push((now - last).as_nanos() as u64);
            last = now;
        }
        let mut last = Instant::now();
        for number in plan.of_turn(turn) {
            link.send(number)?;
            bad_echoes += u64::from(link.receive()? != number);
            let now = Instant::now();
            ours.push((now - last).as_nanos() as u64);
            last = now;
        }
    }
    progress("", 0, 0);
    let [limit_p50, limit_p99, limit_p999] = percentiles(&mut limit);
    let [p50, p99, p999] = percentiles(&mut ours);
    println!("round trips          {:>11}  over two rings, {bad_echoes} wrong", plan.round_trips);
    println!("  ring to ring       p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns");
    println!(
        "  two bare lines     p50 {limit_p50} ns, p99 {limit_p99} ns, p99.9 {limit_p999} ns  (what the machine can do)"
    );
    println!("  ratio              {:.2}", p50 as f64 / limit_p50 as f64);
    if alone {
        println!("NB: there is one CPU only: these are times of a scheduler, not of a queue");
    } else if limit_p50 < 90 {
        println!("NB: the two CPUs seem to share one physical core: run it again for the times of two");
    }

    drop(link);
    let status = child.wait()?;
    if wrong + bad_echoes > 0 || !status.success() {
        return Err(format!("{wrong} messages and {bad_echoes} echoes were wrong; the other process: {status}").into());
    }
    Ok(())
}

/// Sends all messages, numbered; returns how many were missing, extra or wrong.
fn one_way(link: &mut Link, plan: Plan) -> Result<u64> {
    for number in 0..plan.messages {
        link.send(number)?;
        if number % (1 << 20) == 0 {
            progress("messages", number, plan.messages);
        }
    }
    let (received, wrong, nanoseconds) = (link.receive()?, link.receive()?, link.receive()?);
    progress("", 0, 0);
    let rate = received as f64 / nanoseconds as f64 * 1e3;
    println!("messages one way     {received:>11}  of {} received, {wrong} wrong", plan.messages);
    println!("  throughput         {rate:.1} million messages of 8 bytes per second, one by one");
    Ok(wrong + received.abs_diff(plan.messages))
}

/// The other process: checks what comes, sends it back.
fn echo(session: &str, plan: Plan) -> Result<()> {
    let there = spsc::Ring::open(format!("{session}-there"))?;
    let back = spsc::Ring::open(format!("{session}-back"))?;
    let lines = Lines::open(session)?;
    let alone = pin(1)?;
    let mut link = Link { back: there.consumer()?, out: back.producer()?, alone };

    let mut wrong = 0;
    let mut start = Instant::now();
    for number in 0..plan.messages {
        wrong += u64::from(link.receive()? != number);
        if number == 0 {
            start = Instant::now();
        }
    }
    let nanoseconds = start.elapsed().as_nanos() as u64;
    let extra = link.back.len() as u64; // the next message comes only after our report
    for part in [plan.messages + extra, wrong, nanoseconds] {
        link.send(part)?;
    }

    for turn in 0..TURNS {
        let gone = || link.out.is_closed();
        for number in plan.of_turn(turn) {
            lines.answer(number, alone, gone)?;
        }
        for _ in plan.of_turn(turn) {
            let message = link.receive()?;
            link.send(message)?;
        }
    }
    loop {
        match link.back.try_pop() {
            Err(TryPopError::Closed) => return Ok(()),
            Err(TryPopError::Empty) if !link.back.is_closed() => std::thread::yield_now(),
            other => return Err(format!("expected the end, found {other:?}").into()),
        }
    }
}

/// Pins this process to the `index`-th CPU that it may use; says whether there is only one.
fn pin(index: usize) -> Result<bool> {
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let mut only = CpuSet::new();
    only.set(cpus[index % cpus.len()]);
    sched_setaffinity(None, &only)?;
    Ok(cpus.len() == 1)
}

/// p50, p99 and p99.9.
fn percentiles(samples: &mut [u64]) -> [u64; 3] {
    samples.sort_unstable();
    [0.5, 0.99, 0.999].map(|part| samples[((samples.len() - 1) as f64 * part) as usize])
}

/// One line on a terminal, gone when all is done.
fn progress(what: &str, done: u64, all: u64) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let _ = match done * 100 / all.max(1) {
            _ if all == 0 => write!(terminal, "\r\x1b[K"),
            percent => write!(terminal, "\r\x1b[K{what}: {percent} %"),
        };
    }
}
