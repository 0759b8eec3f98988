//! Victims that repair what others have left, who died in the middle of something.

use super::crowd::{CAPACITY, Deed, Stage};
use super::deeds::{Operation, State, Using, use_past};
use super::ledger::{BY_TEST, BY_VICTIM, Numbered};
use super::predecessors::Predecessors;
use super::sweep::{End, Scene};
use super::victim::window;
use ringway::mpmc::Ring;

/// How the victim comes to repair it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repair {
    /// By an operation of its own.
    By(Operation),
    /// By attaching: the process record of the dead becomes its own.
    ByAttaching,
}

/// Who died, and in the middle of what.
#[derive(Clone, Debug)]
pub struct Death {
    pub operation: Operation,
    pub state: State,
    /// So many points later than right before it took effect.
    pub later: isize,
    /// So many messages were pushed behind.
    pub behind: usize,
}

/// A predecessor has died, and the victim repairs what it held.
#[derive(Debug)]
pub struct Mending<T> {
    dead: Using<T>,
    predecessors: Predecessors,
    death: Death,
    repair: Repair,
    /// The victim, when it has handles.
    living: Using<T>,
}

impl<T: Numbered> Mending<T> {
    pub fn new(death: Death, repair: Repair) -> Self {
        let mut dead = Using::<T>::new(death.operation, death.state.clone());
        dead.number = BY_VICTIM + 500;
        dead.processes = if repair == Repair::ByAttaching { 2 } else { 3 };
        let operation = match repair {
            Repair::By(operation) => operation,
            Repair::ByAttaching => Operation::Recover,
        };
        let mut living = Using::new(operation, death.state.clone());
        living.name.clone_from(&dead.name);
        let predecessors = Predecessors::of(&dead, death.later);
        Mending { dead, predecessors, death, repair, living }
    }

    fn predecessor_dies(&self, stage: &mut Stage<T>) {
        let pid = self.predecessors.die(&self.dead, stage);
        stage.wait_for_death_of(pid);
        if self.death.later > 0 {
            let deed = self.dead.deed();
            stage.committed.retain(|number| !deed.takes_of.contains(number));
            stage.committed.extend(deed.pushes);
        }
        let mut producer = stage.ring.producer();
        for _ in 0..self.death.behind {
            stage.push(&mut producer).expect("room behind it");
        }
    }

    /// What the victim's operation does, whichever message it is that it comes to.
    fn deed(&self) -> Deed {
        let (dead, operation) = (self.dead.deed(), self.living.operation);
        let mut messages = self.death.state.filled + self.death.behind;
        if self.death.later > 0 {
            messages = messages + dead.pushes.len() - dead.takes;
        }
        let all: Vec<u64> = (BY_TEST..).take(2 * CAPACITY).collect();
        Deed {
            takes: operation.pops().min(messages),
            takes_of: all.clone(),
            pushes: (BY_VICTIM..).take(operation.pushes().min(CAPACITY - messages)).collect(),
            touches: all,
            ..Deed::default()
        }
    }
}

impl<T: Numbered> Scene for Mending<T> {
    type Stage = Stage<T>;

    fn victim(&self) {
        match self.repair {
            Repair::By(_) => self.living.victim(),
            Repair::ByAttaching => {
                let mut ring = None;
                window(|| ring = Some(Ring::<T>::open(&self.living.name).expect("a ring")));
            }
        }
    }

    fn set(&self) -> Stage<T> {
        let mut stage = self.dead.set();
        if self.repair == Repair::ByAttaching {
            self.predecessor_dies(&mut stage);
        }
        stage
    }

    fn before(&self, stage: &mut Stage<T>) {
        if self.repair != Repair::ByAttaching {
            self.predecessor_dies(stage);
        }
    }

    fn meanwhile(&self, stage: &mut Stage<T>, pid: u32) -> Result<(), String> {
        let recovered = stage.ring.recover();
        if recovered.deaths > 1 {
            return Err(format!("{pid} is stopped, not dead: {recovered:?}"));
        }
        use_past(stage, pid)
    }

    fn judge(&self, stage: Stage<T>, end: End) -> Result<bool, String> {
        let took_effect = stage.settle(end, &self.deed(), self.death.state.first)?;
        Ok(match self.repair {
            Repair::By(operation) if operation != Operation::Recover => took_effect,
            _ => end.returned,
        })
    }
}
