//! Four producers and four consumers at one ring, killed with `SIGKILL` hundreds of times per second, and every message
//! accounted for.
//!
//! `cargo run --release --example kill_storm [-- --seconds N --capacity N --seed N]`
//!
//! Each process writes down, in memory that outlives it, what it is going to push, what was pushed, and what it got. In
//! the end each message whose push returned is in exactly one consumer's ledger, or a death explains why it is not:
//!
//! - A consumer was killed after it was handed a message, or a batch, and before it had written that down.
//! - A producer was killed before it had written down that its last push returned: it may be delivered or not.
//!
//! Everything else is *unexplained*: lost, delivered twice, in halves, never pushed, or in the wrong order. (Order is
//! asked of what one producer pushed and one consumer got, redelivered messages aside: those may come late.)
//!
//! The seconds are shared out to rings of several capacities, one after the other.

mod accounts;
mod ledger;
mod storm;
mod worker;

use accounts::Sums;
use ledger::{Ledgers, Message};
use ringway::mpmc::Ring;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use storm::Storm;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The capacities of the rings, unless one is given.
const CAPACITIES: [usize; 6] = [64, 1, 1024, 2, 8, 3];

/// A small generator of random numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_signal: libc::c_int) {
    STOP.store(true, Ordering::SeqCst);
}

/// Removes the name of the ring, if anything went wrong before.
struct Unlinked(String);

impl Drop for Unlinked {
    fn drop(&mut self) {
        let _ = Ring::<Message>::unlink(&self.0);
    }
}

/// The storm, or one of its processes, as the arguments say.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["live", ring, file, slot, life, seed] => live(ring, [file, slot, life, seed]).map(|()| true),
        ref options => run(options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kill_storm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One process of the storm.
fn live(ring: &str, [file, slot, life, seed]: [&str; 4]) -> Result<()> {
    let ledgers = Ledgers::inherited(file.parse()?)?;
    worker::live(ring, &ledgers, slot.parse()?, life.parse()?, seed.parse()?)
}

/// The storm. Says whether everything was explained.
fn run(options: &[&str]) -> Result<bool> {
    let (mut seconds, mut capacity, mut seed) = (60, None, u64::from(std::process::id()));
    for option in options.chunks(2) {
        match *option {
            ["--seconds", value] => seconds = value.parse()?,
            ["--capacity", value] => capacity = Some(value.parse()?),
            ["--seed", value] => seed = value.parse()?,
            _ => return Err("usage: kill_storm [--seconds N] [--capacity N] [--seed N]".into()),
        }
    }
    // SAFETY: the handler stores to an atomic and does nothing else.
    unsafe { libc::signal(libc::SIGINT, stop as *const () as libc::sighandler_t) };

    let ring = Unlinked(format!("kill_storm-{}", std::process::id()));
    let ledgers = Ledgers::new()?;
    let (lives, kills) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut sums, mut deaths, mut skipped, mut redelivered) = (Sums::default(), 0, 0, 0);
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    // Each ring for as long as is left for its share, and for ten seconds at most: a ring's accounts stay small.
    for round in 0.. {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || STOP.load(Ordering::SeqCst) {
            break;
        }
        let to_come = CAPACITIES.len().saturating_sub(round).max(1) as u32;
        let share = (left / to_come).min(Duration::from_secs(10));
        let capacity = capacity.unwrap_or(CAPACITIES[round % CAPACITIES.len()]);
        let storm =
            Storm { name: &ring.0, capacity, ledgers: &ledgers, seed, lives: &lives, kills: &kills, stop: &STOP };
        let (of_ring, recovered) = storm.rage(Instant::now() + share, |delivered| {
            let seconds = start.elapsed().as_secs_f64();
            let (kills, delivered) = (kills.load(Ordering::SeqCst) as f64, (sums.delivered + delivered) as f64);
            let (kills, delivered) = (kills / seconds, delivered / seconds / 1e6);
            progress(&format!(
                "{seconds:.0} s, capacity {capacity}: {kills:.0} kills and {delivered:.2} million messages per second, {} unexplained",
                sums.unexplained
            ));
        })?;
        sums += of_ring;
        deaths += recovered.deaths;
        skipped += recovered.skipped;
        redelivered += recovered.redelivered;
    }
    progress("");

    let (seconds, kills) = (start.elapsed().as_secs_f64(), kills.load(Ordering::SeqCst));
    let (lives, rate) = (lives.load(Ordering::SeqCst), sums.delivered as f64 / seconds / 1e6);
    println!(
        "{lives} processes, {:.0} kills and {rate:.2} million messages per second; seed {seed}",
        kills as f64 / seconds
    );
    println!("recovered: {deaths} deaths while attached, {skipped} messages skipped, {redelivered} to be redelivered");
    println!("delivered to a second consumer: {}, after a death or a dropped peek", sums.redelivered);
    println!(
        "in flight: {} delivered though not acknowledged, {} handed over and not recorded \
         (of them {} unknown, {} consumers died in try_pop)",
        sums.unacknowledged, sums.unrecorded, sums.unknown, sums.killed_in_try_pop
    );
    println!(
        "acknowledged: {}, delivered: {}, in flight at a death: {}, unexplained: {}, kills: {kills}",
        sums.acknowledged,
        sums.delivered,
        sums.in_flight(),
        sums.unexplained
    );
    Ok(sums.unexplained == 0)
}

/// One line on a terminal, gone when all is done.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r\x1b[K{what}");
    }
}
