//! One operation, its victim killed after every single instruction, while others sleep who must wake up: by its hand,
//! or by themselves.
//!
//! A wake-up that dies with its victim costs a sleeper up to a tenth of a second. So the victims have a ring each, and
//! many of these are waited for at the same time, while the next victims die.

use super::board::board;
use super::names;
use super::victim::{Breeder, Stop, Victim};
use std::collections::{HashMap, VecDeque};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// Something that is to be survived.
pub trait Vigil {
    /// What the test holds while the victim lives and dies: one ring, and who sleeps there.
    type Stage: Send + 'static;

    /// The victim: sets itself up on the ring `name` and calls [`window`](super::victim::window).
    fn victim(&self, name: &str);

    /// Sets the ring up, before the victim is born.
    fn set(&self, name: &str) -> Self::Stage;

    /// What the test does when the victim, of this pid, stands right before its operation.
    fn before(&self, stage: &mut Self::Stage, pid: u32);

    /// After the death: does everything go on as it must? In a thread of its own.
    fn judge(stage: Self::Stage, end: End) -> Result<Verdict, String>;
}

/// How a victim ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Whether its operation had returned.
    pub returned: bool,
    pub died_at: Instant,
}

#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub took_effect: bool,
    /// When everybody who slept had gone on.
    pub awake_at: Instant,
}

/// How many stages are waited for at the same time.
const AT_ONCE: usize = 24;

/// How long a sleeper may sleep after a death. What the library promises is 100 ms; the rest is for the machine.
pub const BOUND: Duration = Duration::from_secs(5);

/// An operation makes that many system calls at most.
const SYSTEM_CALLS: usize = 60;

/// A debug build has several times as many instructions. There, only some of them are kill points.
const STRIDE: usize = if cfg!(debug_assertions) { 101 } else { 1 };

/// Behind so many system calls, at an instruction, to which the victim comes so often from there.
#[derive(Clone, Copy, Debug)]
struct Point {
    system_calls: usize,
    address: u64,
    visit: usize,
}

/// A death that is being judged.
#[derive(Debug)]
struct Case {
    whereabouts: String,
    end: End,
    judge: JoinHandle<Result<Verdict, String>>,
}

/// What became of all victims.
#[derive(Debug, Default)]
struct Sum {
    points: usize,
    effective: usize,
    longest: Duration,
    failures: Vec<String>,
}

/// Kills a victim at every instruction of `scene`, of which there are so many at least. Some of them must come too
/// early to have an effect, and some too late to prevent it.
pub fn sweep<S: Vigil>(name: &str, scene: &S, instructions: usize) {
    let started = Instant::now();
    let base = names::fresh();
    let stage_name = || format!("{base}-{:08}", board().stage.get());
    let mut breeder = Breeder::new(|| scene.victim(&stage_name()));
    let (mut sum, mut pending) = (Sum::default(), VecDeque::new());
    // Each victim is sent to its death, and whatever way it says that it has taken is returned.
    let mut kill = |send: &mut dyn FnMut(&mut Victim) -> String| {
        board().heartbeat.add(1);
        board().stage.add(1);
        let mut stage = scene.set(&stage_name());
        let mut victim = breeder.victim();
        scene.before(&mut stage, victim.pid());
        let whereabouts = send(&mut victim);
        let returned = board().returned.get() == 1;
        victim.kill();
        board().kill_points.add(1);
        board().instructions.add(STRIDE as u64);
        let end = End { returned, died_at: Instant::now() };
        pending.push_back(Case { whereabouts, end, judge: spawn(move || S::judge(stage, end)) });
        if pending.len() > AT_ONCE {
            sum.add(name, pending.pop_front());
        }
        sum.failures.len() < 20
    };
    let (mut system_calls, mut missed, mut is_over) = (0, 0, false);
    while !is_over {
        assert!(system_calls < SYSTEM_CALLS, "{name} does not come to an end");
        let mut points = Vec::new();
        kill(&mut |scout| {
            is_over = explore(scout, system_calls, &mut points);
            format!("a scout, behind {system_calls} system calls")
        });
        for &point in points.iter().step_by(STRIDE) {
            let goes_on = kill(&mut |victim| {
                missed += usize::from(!send(victim, point));
                format!("{point:x?}")
            });
            is_over |= !goes_on;
        }
        system_calls += 1;
    }
    while !pending.is_empty() {
        board().heartbeat.add(1);
        sum.add(name, pending.pop_front());
    }
    names::remove_leftovers();
    let Sum { points, effective, longest, failures } = sum;
    println!(
        "  {name}: {points} kill points, {missed} missed, {effective} after it took effect, \
         the longest sleep {} ms, {:.2} s",
        longest.as_millis(),
        started.elapsed().as_secs_f64()
    );
    assert!(failures.is_empty(), "{} failures, at first:\n{}", failures.len(), failures.join("\n"));
    assert!(points >= instructions / STRIDE, "{name}: {points} instructions");
    // Who has looked for the dead, or for the time, a moment earlier or later has taken another way, and died there: on a
    // machine that has much else to do, many have.
    assert!(missed <= points / 3, "{name}: victims missed {missed} of {points}");
    assert!(0 < effective && effective < points, "{name}: {effective} of {points} took effect");
    assert!(longest < BOUND, "{name}: somebody slept for {longest:?}");
}

impl Sum {
    fn add(&mut self, name: &str, case: Option<Case>) {
        let Some(Case { whereabouts, end, judge }) = case else { return };
        self.points += 1;
        match judge.join() {
            Ok(Ok(verdict)) => {
                self.effective += usize::from(verdict.took_effect);
                self.longest = self.longest.max(verdict.awake_at.saturating_duration_since(end.died_at));
            }
            Ok(Err(failure)) => {
                self.failures.push(format!("{name}, {whereabouts}, returned: {}: {failure}", end.returned))
            }
            Err(_) => self.failures.push(format!("{name}, {whereabouts}: a panic")),
        }
    }
}

/// Goes on behind so many system calls, and from there one instruction at a time to the next one. Says whether it has
/// come to the end of the operation.
fn explore(scout: &mut Victim, system_calls: usize, points: &mut Vec<Point>) -> bool {
    for _ in 0..system_calls {
        if scout.run_through_system_call_or_to_marker() == Stop::Marker {
            return true;
        }
    }
    let mut visits = HashMap::new();
    let mut before = 0;
    loop {
        let address = scout.at();
        // Once for all repetitions of an instruction.
        if address != before {
            let visit = visits.entry(address).and_modify(|visits| *visits += 1).or_insert(1);
            points.push(Point { system_calls, address, visit: *visit });
        }
        before = address;
        if scout.makes_system_call() {
            return false;
        }
        if scout.step() == Stop::Marker {
            return true;
        }
    }
}

/// Says whether the victim has got there, and not past it, another way.
fn send(victim: &mut Victim, point: Point) -> bool {
    for _ in 0..point.system_calls {
        if victim.run_through_system_call_or_to_marker() == Stop::Marker {
            return false;
        }
    }
    victim.run_to(point.address, point.visit) == Stop::Instruction
}
