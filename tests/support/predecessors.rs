//! Processes that die before the victim comes, or gets going, in the middle of something.

use super::board::board;
use super::names;
use super::path::{self, Point};
use super::sweep::{End, Fate, Scene, record};
use super::victim::{Breeder, Stop};
use core::cell::RefCell;

/// All of them die at the same point.
#[derive(Debug)]
pub struct Predecessors {
    breeder: RefCell<Breeder>,
    point: Point,
}

impl Predecessors {
    /// They are victims of `scene`, and die right before their operation takes effect; or so many points `later`, so
    /// that it has.
    pub fn of<S: Scene>(scene: &S, later: isize) -> Predecessors {
        let mut breeder = Breeder::new(|| scene.victim());
        let path = record(&mut breeder, scene);
        let (mut without, mut with) = (0, path.len() - 1);
        while with - without > 1 {
            let middle = without.midpoint(with);
            let mut stage = scene.set();
            let pid = die(&mut breeder, path.point(middle), scene, &mut stage);
            let end = End { fate: Fate::SurvivorFirst, returned: board().returned.get() == 1, pid };
            let took_effect = scene.judge(stage, end).expect("a death like any other");
            names::remove_leftovers();
            *if took_effect { &mut with } else { &mut without } = middle;
        }
        let point = path.point(without.checked_add_signed(later).expect("a point of the path"));
        Predecessors { breeder: RefCell::new(breeder), point }
    }

    /// One of them dies. Returns its pid.
    pub fn die<S: Scene>(&self, scene: &S, stage: &mut S::Stage) -> u32 {
        let pid = die(&mut self.breeder.borrow_mut(), self.point, scene, stage);
        board().wipe(); // what it said is not of the victim
        pid
    }
}

fn die<S: Scene>(breeder: &mut Breeder, point: Point, scene: &S, stage: &mut S::Stage) -> u32 {
    let mut victim = breeder.victim();
    scene.before(stage);
    assert_eq!(path::send(&mut victim, point), Stop::Instruction, "it takes the way of the others");
    let pid = victim.pid();
    victim.kill();
    pid
}
