//! Victims that come and go: they claim a role, attach, detach, or create a ring.

use super::board::board;
use super::ledger::{BY_VICTIM, Numbered, compare};
use super::names::{self, source};
use super::pair::{Packed, drain, go_on, take_over};
use super::predecessors::Predecessors;
use super::sweep::{End, Scene};
use super::transfers::{Popping, Pushing};
use super::victim::window;
use ringway::spsc::{Consumer, Peer, Producer, Ring};
use ringway::{Lifetime, Options};

/// A scene whose victim has a role.
pub trait Holding: Scene {
    /// Calls [`window`]: in it the role is claimed.
    fn claim(&self);

    /// Who has the role.
    fn holder(stage: &Self::Stage) -> Peer;

    /// Everything goes on as if the one who claimed the role had never been.
    fn go_on_after_claim(stage: Self::Stage, end: End) -> Result<(), String>;
}

impl<T: Packed> Holding for Pushing<T> {
    fn claim(&self) {
        let ring = Ring::<T>::open(self.ring_name()).expect("a ring");
        let mut producer = None;
        window(|| producer = Some(ring.producer().expect("the producer's role")));
    }

    fn holder(stage: &Self::Stage) -> Peer {
        stage.survivor.peer()
    }

    fn go_on_after_claim(stage: Self::Stage, end: End) -> Result<(), String> {
        Pushing::go_on_after(stage, end, &[]).map(drop)
    }
}

impl<T: Packed> Holding for Popping<T> {
    fn claim(&self) {
        let ring = Ring::<T>::open(self.ring_name()).expect("a ring");
        let mut consumer = None;
        window(|| consumer = Some(ring.consumer().expect("the consumer's role")));
    }

    fn holder(stage: &Self::Stage) -> Peer {
        stage.survivor.peer()
    }

    fn go_on_after_claim(stage: Self::Stage, end: End) -> Result<(), String> {
        match Popping::go_on_after(stage, end)? {
            0 => Ok(()),
            handed_over => Err(format!("{handed_over} messages were handed over by a claim")),
        }
    }
}

/// The victim claims the role. The ring is as `scene` has it, and the one who had the role before either left or died in
/// `scene`.
#[derive(Debug)]
pub struct Claiming<'s, S> {
    scene: &'s S,
    predecessors: Option<Predecessors>,
}

impl<'s, S: Holding> Claiming<'s, S> {
    pub fn after_one_who_left(scene: &'s S) -> Self {
        Claiming { scene, predecessors: None }
    }

    pub fn after_one_who_died(scene: &'s S) -> Self {
        Claiming { scene, predecessors: Some(Predecessors::of(scene, 0)) }
    }
}

impl<S: Holding> Scene for Claiming<'_, S> {
    type Stage = S::Stage;

    fn victim(&self) {
        self.scene.claim();
    }

    fn set(&self) -> Self::Stage {
        let mut stage = self.scene.set();
        if let Some(predecessors) = &self.predecessors {
            predecessors.die(self.scene, &mut stage);
        }
        stage
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        let holder = S::holder(&stage);
        let had_the_role = holder == Peer::Dead { pid: end.pid };
        if end.returned && !had_the_role {
            return Err(format!("{holder:?} after a claim"));
        }
        S::go_on_after_claim(stage, end)?;
        Ok(had_the_role)
    }
}

/// The victim attaches to a ring, which the test uses or nobody does.
#[derive(Debug)]
pub struct Attaching {
    pub name: String,
    pub used: bool,
}

/// Both ends, in the test's hands, and the number of a message that is in the ring.
type Both = (Ring<u64>, Producer<u64>, Consumer<u64>);

fn both(ring: Ring<u64>) -> Result<Both, String> {
    let producer = take_over(|| ring.producer())?;
    let consumer = take_over(|| ring.consumer())?;
    Ok((ring, producer, consumer))
}

/// Two processes at most: a record that a dead one keeps would be missed at once.
fn options(lifetime: Lifetime) -> Options {
    Options::new().capacity(u64::CAPACITY).processes(2).lifetime(lifetime)
}

/// Attaches, takes both ends over, finds what `expected` says, goes on, and leaves.
fn attach_and_use(name: &str, expected: &[u64]) -> Result<(), String> {
    let ring = Ring::<u64>::open_with(source(name), &Options::new().capacity(u64::CAPACITY))
        .map_err(|error| format!("attaching: {error}"))?;
    let (_ring, mut producer, mut consumer) = both(ring)?;
    compare("found by the one who attached", expected, &drain(&mut consumer)?)?;
    go_on(&mut producer, &mut consumer)
}

impl Scene for Attaching {
    type Stage = Option<Both>;

    fn victim(&self) {
        let mut ring = None;
        window(|| ring = Some(Ring::<u64>::open(source(&self.name)).expect("a ring")));
    }

    fn set(&self) -> Self::Stage {
        let lifetime = if self.used { Lifetime::LastDetach } else { Lifetime::Persistent };
        let (ring, mut producer, consumer) =
            both(Ring::create(source(&self.name), &options(lifetime)).expect("a ring")).expect("a new ring");
        producer.try_push(u64::new(1)).expect("room");
        self.used.then_some((ring, producer, consumer))
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        let Some((ring, mut producer, mut consumer)) = stage else {
            attach_and_use(&self.name, &[1])?;
            return Ok(end.returned);
        };
        // The one before has died, so there is a record for another one.
        let another = Ring::<u64>::open(source(&self.name)).map_err(|error| format!("attaching: {error}"))?;
        if let Ok(third) = Ring::<u64>::open(source(&self.name)) {
            return Err(format!("{third:?} is the third of two processes"));
        }
        compare("left alone by who attached", &[1], &drain(&mut consumer)?)?;
        go_on(&mut producer, &mut consumer)?;
        drop((ring, producer, consumer));
        let (another, mut producer, mut consumer) = both(another)?;
        go_on(&mut producer, &mut consumer)?;
        drop((another, producer, consumer));
        if names::exists(&self.name) {
            return Err("the last one has left, but not its name".into());
        }
        Ok(end.returned)
    }
}

/// The victim, a producer, leaves: it drops its handles. The test is attached, or nobody is.
#[derive(Debug)]
pub struct Detaching {
    pub name: String,
    pub lifetime: Lifetime,
    pub last: bool,
}

impl Scene for Detaching {
    type Stage = Option<(Ring<u64>, Consumer<u64>)>;

    fn victim(&self) {
        let ring = Ring::<u64>::open_or_create(source(&self.name), &options(self.lifetime)).expect("a ring");
        let mut producer = ring.producer().expect("the producer's role");
        for number in (BY_VICTIM..).take(10) {
            producer.try_push(u64::new(number)).expect("room");
        }
        window(|| {
            drop(producer);
            drop(ring);
        });
    }

    fn set(&self) -> Self::Stage {
        (!self.last).then(|| {
            let ring = Ring::create(source(&self.name), &options(self.lifetime)).expect("a ring");
            let consumer = ring.consumer().expect("the consumer's role");
            (ring, consumer)
        })
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        let pushed: Vec<u64> = (BY_VICTIM..).take(10).collect();
        let removed = !names::exists(&self.name);
        if removed && (self.lifetime == Lifetime::Persistent || !self.last) {
            return Err("the name is gone".into());
        }
        let took_effect = match stage {
            Some((ring, mut consumer)) => {
                let left = consumer.peer() == Peer::Left;
                compare("pushed by the one who left", &pushed, &drain(&mut consumer)?)?;
                let successor = Ring::open(source(&self.name)).map_err(|error| format!("attaching: {error}"))?;
                drop(ring);
                go_on(&mut take_over(|| successor.producer())?, &mut consumer)?;
                left
            }
            None if removed => {
                let ring =
                    Ring::create(source(&self.name), &options(self.lifetime)).map_err(|error| error.to_string())?;
                let (_ring, mut producer, mut consumer) = both(ring)?;
                go_on(&mut producer, &mut consumer)?;
                true
            }
            None => {
                attach_and_use(&self.name, &pushed)?;
                self.lifetime == Lifetime::Persistent && end.returned
            }
        };
        if end.returned && !took_effect {
            return Err("who has left is still there".into());
        }
        if names::exists(&self.name) != (self.lifetime == Lifetime::Persistent) {
            return Err("the name is not as the last one who leaves must leave it".into());
        }
        Ok(took_effect)
    }
}

/// The victim creates a ring, whose name is free, or is that of a ring which the test uses, or of one that a creator has
/// left half made.
#[derive(Debug)]
pub struct Creating {
    pub name: String,
    pub taken: bool,
    pub half_made: bool,
}

impl Scene for Creating {
    type Stage = Option<Both>;

    fn victim(&self) {
        let mut ring = None;
        window(|| {
            let created = Ring::<u64>::create(source(&self.name), &options(Lifetime::Persistent));
            assert_eq!(created.is_ok(), !self.taken, "{created:?}");
            ring = Some(created);
        });
    }

    fn set(&self) -> Self::Stage {
        if self.half_made {
            names::leave_half_made(&self.name);
        }
        self.taken.then(|| {
            let (ring, mut producer, consumer) =
                both(Ring::create(source(&self.name), &options(Lifetime::Persistent)).expect("a ring"))
                    .expect("a new ring");
            producer.try_push(u64::new(1)).expect("room");
            (ring, producer, consumer)
        })
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        let temporaries = names::remove_temporaries(end.pid);
        board().temporaries.add(temporaries);
        let created = !self.taken && names::is_ring(&self.name);
        if temporaries > u64::from(!created && !end.returned) {
            return Err(format!("{temporaries} temporary files, created: {created}, returned: {}", end.returned));
        }
        if let Some((ring, mut producer, mut consumer)) = stage {
            compare("left alone by who wanted its name", &[1], &drain(&mut consumer)?)?;
            go_on(&mut producer, &mut consumer)?;
            drop((ring, producer, consumer));
            attach_and_use(&self.name, &[])?;
            return Ok(end.returned);
        }
        if created {
            attach_and_use(&self.name, &[])?;
        } else if end.returned {
            return Err("it was created, and is not there".into());
        } else {
            let ring =
                Ring::create(source(&self.name), &options(Lifetime::Persistent)).map_err(|error| error.to_string())?;
            let (_ring, mut producer, mut consumer) = both(ring)?;
            go_on(&mut producer, &mut consumer)?;
        }
        Ok(created)
    }
}
