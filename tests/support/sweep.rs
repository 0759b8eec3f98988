//! One operation, its victim killed after every single instruction, and what must be true after each death.

use super::board::board;
use super::names;
use super::path::{Arrival, Path, Point};
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

/// A debug build has several times as many instructions. There, only some of them are kill points.
pub fn stride(instructions: usize) -> usize {
    if cfg!(debug_assertions) { (instructions / 12).max(2) } else { 1 }
}

/// Kills a victim at every instruction of `scene`.
pub fn sweep<S: Scene>(name: &str, scene: &S, fate: Fate, demands: Demands) {
    let started = Instant::now();
    let mut breeder = Breeder::new(|| scene.victim());
    let path = record(&mut breeder, scene);
    let stride = stride(path.kill_points());
    let (mut points, mut effective, mut first_effective) = (0, 0, None);
    let (mut strays, mut passed_over) = (0, 0);
    let mut failures = Vec::new();
    let mut point = Path::START;
    loop {
        board().heartbeat.add(1);
        let mut stage = scene.set();
        let mut victim = breeder.victim();
        scene.before(&mut stage);
        let arrival = path.send(&mut victim, point);
        if arrival == Arrival::Strayed {
            strays += 1;
            assert!(strays < 1000, "{name}: the victims do not take the way that was recorded");
            if strays % 4 == 0 {
                let next = path.next_leg(point).expect("all victims come to the last leg");
                passed_over += path.instructions_between(point, next);
                point = next;
            }
            drop(victim);
            names::remove_leftovers();
            continue;
        }
        if let Arrival::At(at) = arrival {
            point = at;
        }
        points += 1;
        match meet(scene, stage, victim, fate, arrival) {
            Err(failure) => failures.push(format!("{name}, {fate:?}, instruction {points}: {failure}")),
            Ok(false) if demands.lasting && first_effective.is_some() => {
                failures.push(format!("{name}, {fate:?}: had an effect after {first_effective:?}, none after {points}"))
            }
            Ok(effect) => {
                effective += usize::from(effect);
                first_effective = first_effective.or(effect.then_some(points));
            }
        }
        if arrival == Arrival::Done || failures.len() >= 20 {
            break;
        }
        point = path.after(point, stride);
    }
    let time = started.elapsed();
    let of = if stride > 1 { format!(" of {}", path.kill_points()) } else { String::new() };
    let strays =
        if strays > 0 { format!(", {passed_over} passed over, as no victim came there again") } else { String::new() };
    println!(
        "  {name}, {fate:?}: {points} kill points{of}, {effective} after it took effect, {:.2} s{strays}",
        time.as_secs_f64()
    );
    assert!(failures.is_empty(), "{} failures, at first:\n{}", failures.len(), failures.join("\n"));
    // The markers and a few instructions around them are in the path, too.
    assert!(path.kill_points() >= demands.instructions, "{name}: {} instructions", path.kill_points());
    let covered = points + passed_over + 8 >= path.kill_points() - path.kill_points() / 50;
    assert!(stride > 1 || covered, "{name}: {points} of {}", path.kill_points());
    assert!(passed_over <= path.kill_points() / 20, "{name}: {passed_over} of {} passed over", path.kill_points());
    if demands.both_outcomes {
        assert!(0 < effective && effective < points, "{name}: {effective} of {points} took effect");
    }
}

fn record<S: Scene>(breeder: &mut Breeder, scene: &S) -> Path {
    let mut stage = scene.set();
    let mut victim = breeder.victim();
    scene.before(&mut stage);
    let path = Path::record(&mut victim);
    assert_eq!(board().returned.get(), 1, "the last instruction is the one after which the operation has returned");
    victim.kill();
    drop(stage);
    names::remove_leftovers();
    path
}

/// The victim, at a kill point, meets its fate.
fn meet<S: Scene>(
    scene: &S,
    mut stage: S::Stage,
    mut victim: Victim,
    fate: Fate,
    arrival: Arrival,
) -> Result<bool, String> {
    let pid = victim.pid();
    if fate == Fate::Stopped {
        scene.meanwhile(&mut stage, pid)?;
        if arrival != Arrival::Done && victim.resume() != Stop::Marker {
            return Err("the victim, stopped for a while, did not come to its end".into());
        }
    } else {
        board().kill_points.add(1);
    }
    let returned = board().returned.get() == 1;
    assert!(returned || arrival != Arrival::Done, "the second marker lies behind the operation");
    victim.kill();
    let verdict = scene.judge(stage, End { fate, returned, pid });
    end_orphan();
    names::remove_leftovers();
    verdict
}

/// A way for victims to die right before their operation takes effect.
#[derive(Debug)]
pub struct TooEarly {
    path: Path,
    point: Point,
}

impl TooEarly {
    pub fn find<S: Scene>(scene: &S) -> TooEarly {
        let mut breeder = Breeder::new(|| scene.victim());
        let mut early = TooEarly { path: record(&mut breeder, scene), point: Path::START };
        let (mut without, mut with) = (0, early.path.kill_points() - 1);
        while with - without > 1 {
            let middle = without.midpoint(with);
            early.point = early.path.point(middle);
            let mut stage = scene.set();
            let pid = early.die(&mut breeder, scene, &mut stage);
            let end = End { fate: Fate::SurvivorFirst, returned: board().returned.get() == 1, pid };
            let took_effect = scene.judge(stage, end).expect("a death like any other");
            names::remove_leftovers();
            *if took_effect { &mut with } else { &mut without } = middle;
        }
        early.point = early.path.point(without);
        early
    }

    /// A new victim dies. Returns its pid.
    pub fn die<S: Scene>(&self, breeder: &mut Breeder, scene: &S, stage: &mut S::Stage) -> u32 {
        let mut victim = breeder.victim();
        scene.before(stage);
        assert_eq!(self.path.send(&mut victim, self.point), Arrival::At(self.point), "it takes the way of the others");
        let pid = victim.pid();
        victim.kill();
        pid
    }
}
