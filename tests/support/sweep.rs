//! One operation, its victim killed after every single instruction, and what must be true after each death.

use super::board::board;
use super::names;
use super::path::{self, Path};
use super::victim::{Breeder, Stop, Victim, end_orphan};
use std::time::Instant;

/// Something that is to be survived: an operation of a victim, in one state of a ring.
pub trait Scene {
    /// What the test holds while the victim lives and dies.
    type Stage;

    /// The victim: sets itself up and calls [`window`](super::victim::window).
    fn victim(&self);

    /// Sets the ring up, before the victim is born.
    fn set(&self) -> Self::Stage;

    /// What the test does while the victim stands right before its operation.
    fn before(&self, _: &mut Self::Stage) {}

    /// What the test does while the victim is stopped in the middle of its operation, and alive.
    fn meanwhile(&self, _: &mut Self::Stage, _pid: u32) -> Result<(), String> {
        Err("there is nothing to be done here while the victim is stopped".into())
    }

    /// After the death: does everything go on as it must? Says whether the operation had taken effect.
    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String>;
}

/// How a victim ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    pub fate: Fate,
    /// Whether its operation had returned.
    pub returned: bool,
    pub pid: u32,
}

/// What is done to the victim when it has got to a kill point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Killed. The survivor goes on before there is a successor.
    SurvivorFirst,
    /// Killed. The successor comes before the survivor does anything.
    SuccessorFirst,
    /// Stopped for a while, and killed when its operation has returned.
    Stopped,
}

/// What is to be expected of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Demands {
    /// Instructions that it has at the very least.
    pub instructions: usize,
    /// Whether some deaths must come too early for it to take effect, and some too late to prevent it.
    pub both_outcomes: bool,
    /// Whether what has taken effect at one instruction has taken effect at every later one.
    pub lasting: bool,
}

/// How many victims show the way.
const RECORDINGS: usize = 2;

/// Set, it has a victim killed, or stopped, at each instruction.
const EVERY_INSTRUCTION: &str = "RINGWAY_TEST_EVERY_INSTRUCTION";

/// Who is only stopped goes on with what it knows, so each instruction differs from the next. A few in a row do not
/// touch the ring, and what others may do in between is for the models to show: one in so many is enough here.
const STOPS: usize = 4;

/// Which points of a path are worth a victim. A debug build has several times as many instructions: there, only some.
fn worthwhile(path: &Path, fate: Fate) -> Vec<usize> {
    let last = path.len() - 1;
    let every = |stride: usize| (last % stride..=last).step_by(stride);
    if cfg!(debug_assertions) {
        every((path.len() / 12).max(2)).collect()
    } else if std::env::var_os(EVERY_INSTRUCTION).is_some() {
        every(1).collect()
    } else if fate == Fate::Stopped {
        every(STOPS).collect()
    } else {
        every(1).filter(|&index| index == last || path.makes_a_difference(index)).collect()
    }
}

/// Kills a victim at every instruction of `scene` after which it leaves behind something else than before.
pub fn sweep<S: Scene>(name: &str, scene: &S, fate: Fate, demands: Demands) {
    let started = Instant::now();
    let mut breeder = Breeder::new(|| scene.victim());
    let path = record(&mut breeder, scene);
    let last = path.len() - 1;
    let (mut points, mut missed, mut effective, mut first_effective) = (0, 0, 0, None);
    let mut failures = Vec::new();
    for index in worthwhile(&path, fate) {
        board().heartbeat.add(1);
        let mut stage = scene.set();
        let mut victim = breeder.victim();
        scene.before(&mut stage);
        let stop = path::send(&mut victim, path.point(index));
        let is_there = stop == Stop::Instruction || index == last;
        points += 1;
        missed += usize::from(!is_there);
        match meet(scene, stage, victim, fate, stop) {
            Err(failure) => failures.push(format!("{name}, {fate:?}, point {index}: {failure}")),
            Ok(effect) => {
                effective += usize::from(effect);
                // Who has missed its point says nothing about it.
                if is_there && effect {
                    first_effective = first_effective.or(Some(index));
                } else if let Some(first) = first_effective.filter(|_| is_there && demands.lasting) {
                    failures.push(format!("{name}, {fate:?}: had an effect at point {first}, none at {index}"));
                }
            }
        }
        if failures.len() >= 20 {
            break;
        }
    }
    let (of, time) = (path.len(), started.elapsed().as_secs_f64());
    if fate != Fate::Stopped {
        board().instructions.add(of as u64);
    }
    println!(
        "  {name}, {fate:?}: {points} kill points for {of} instructions, {missed} missed, \
         {effective} after it took effect, {time:.2} s"
    );
    assert!(failures.is_empty(), "{} failures, at first:\n{}", failures.len(), failures.join("\n"));
    // The markers and a few instructions around them are in the path, too.
    assert!(of >= demands.instructions, "{name}: {of} instructions");
    // Who has looked for the time a moment later has taken another way: on a machine that has much else to do, some have.
    assert!(missed <= points / 3, "{name}: victims missed {missed} of {points}");
    if demands.both_outcomes {
        assert!(0 < effective && effective < points, "{name}: {effective} of {points} took effect");
    }
}

/// The way of the victims of `scene`.
pub fn record<S: Scene>(breeder: &mut Breeder, scene: &S) -> Path {
    let mut path = Path::default();
    for _ in 0..RECORDINGS {
        let mut stage = scene.set();
        let mut victim = breeder.victim();
        scene.before(&mut stage);
        path.record(&mut victim);
        assert_eq!(board().returned.get(), 1, "the second marker is behind the operation");
        victim.kill();
        drop(stage);
        names::remove_leftovers();
    }
    path
}

/// The victim, at a kill point, meets its fate.
fn meet<S: Scene>(scene: &S, mut stage: S::Stage, mut victim: Victim, fate: Fate, stop: Stop) -> Result<bool, String> {
    let pid = victim.pid();
    if fate == Fate::Stopped {
        scene.meanwhile(&mut stage, pid)?;
        if stop != Stop::Marker && victim.resume() != Stop::Marker {
            return Err("the victim, stopped for a while, did not come to its end".into());
        }
    } else {
        board().kill_points.add(1);
    }
    let returned = board().returned.get() == 1;
    assert!(returned || stop != Stop::Marker, "the second marker lies behind the operation");
    victim.kill();
    let verdict = scene.judge(stage, End { fate, returned, pid });
    end_orphan();
    names::remove_leftovers();
    verdict
}
