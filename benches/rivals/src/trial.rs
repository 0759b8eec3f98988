//! Each rival once, in a process of its own: one that crashes, hangs or breaks its contract must not stop the others.

use crate::questions::place_of;
use ringway_rivals::harness::channel::Candidate;
use ringway_rivals::harness::cores::{Cores, pin};
use ringway_rivals::harness::job::{Job, Work};
use ringway_rivals::harness::link::Link;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// As the first argument, it makes this program try one rival.
pub const TRIAL: &str = "try-rival";
/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Whether round trips work, or why they do not.
pub fn of(candidate: &Candidate) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("our own program: {error}"))?;
    let mut child = Command::new(program)
        .args([TRIAL, candidate.name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("a process to try it in: {error}"))?;
    let start = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("the state of its trial: {error}"))? {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it hangs: no round trips within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if ended.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What it cannot say is not needed.
        let _ = stderr.read_to_string(&mut said);
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("note:"));
    Err(last.map_or(format!("{ended}"), |line| line.trim().to_owned()))
}

/// What the process of a trial does.
pub fn take(arguments: &[String], candidates: &[&'static Candidate]) -> Result<(), String> {
    let candidate = arguments.first().and_then(|name| candidates.iter().find(|candidate| candidate.name == *name));
    let candidate =
        candidate.ok_or_else(|| format!("`{TRIAL}` is for the program itself: it tries a rival with it"))?;
    // If our parent is gone, nobody wants to know.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("to end with the first process: {error}"))?;
    let cores = Cores::choose();
    pin(cores.near);
    let place = place_of(candidate);
    Link::open(Job { candidate, work: Work::RoundTrip, place, bytes: 8 }, cores).map(drop)
}
