//! Victims that go to sleep, are woken, and die on the way.

use super::asleep::is_asleep;
use super::doze::{Dozer, Kind, go_on, popper, pusher};
use super::ledger::compare;
use super::victim::window;
use super::vigil::{BOUND, End, Verdict, Vigil};
use core::marker::PhantomData;
use ringway::{PopError, PushError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CAPACITY: usize = 1;

/// Whether somebody has slept there before. The first who sleeps calls for a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    First,
    Again,
}

/// Waits until the victim sleeps, which it may never do: until it is `dead`. Says whether it does.
fn sleeps(victim: u32, dead: &AtomicBool) -> bool {
    loop {
        if is_asleep(&victim.to_string()) {
            return true;
        }
        if dead.load(Ordering::SeqCst) {
            return false;
        }
        // Not `yield_now`: the victim is on this processor, and stops at each instruction.
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// A thread that wakes the victim once it sleeps, and knows whether it has.
#[derive(Debug)]
pub struct Waker<V> {
    thread: Option<Dozer<V>>,
    victim_is_dead: Arc<AtomicBool>,
}

impl<V: Send + 'static> Waker<V> {
    fn start(victim: u32, job: impl FnOnce(bool) -> V + Send + 'static) -> Waker<V> {
        let victim_is_dead = Arc::new(AtomicBool::new(false));
        let dead = victim_is_dead.clone();
        Waker { thread: Some(Dozer::start(move || job(sleeps(victim, &dead)))), victim_is_dead }
    }

    fn result(mut self) -> Result<V, String> {
        self.victim_is_dead.store(true, Ordering::SeqCst);
        Ok(self.thread.take().expect("started").result()?.0)
    }
}

/// The victim sleeps in a pop, until the test pushes. Where others may, another sleeps behind it.
#[derive(Debug)]
pub struct SleepingPop<K>(pub Sleep, pub PhantomData<K>);

type Popper = Dozer<(Vec<u64>, PopError)>;

pub struct PopStage<K: Kind> {
    ring: K::Ring,
    /// Until the victim is there.
    producer: Option<K::Producer>,
    other: Option<K::Consumer>,
    waker: Option<Waker<PopWaker<K>>>,
}

pub struct PopWaker<K: Kind> {
    producer: K::Producer,
    other: Option<Popper>,
    pushed: bool,
}

impl<K: Kind> Vigil for SleepingPop<K> {
    type Stage = PopStage<K>;

    fn victim(&self, name: &str) {
        let ring = K::open(name);
        let mut consumer = K::consumer(&ring);
        window(|| assert_eq!(K::pop(&mut consumer, Duration::MAX), Ok(1)));
    }

    fn set(&self, name: &str) -> PopStage<K> {
        let ring = K::create(name, CAPACITY);
        let producer = K::producer(&ring);
        if self.0 == Sleep::Again {
            let timeout = K::pop(&mut K::consumer(&ring), Duration::from_nanos(1));
            assert_eq!(timeout, Err(PopError::Timeout { pid: None }));
        }
        let other = (K::SLEEPERS > 1).then(|| K::consumer(&ring));
        PopStage { ring, producer: Some(producer), other, waker: None }
    }

    fn before(&self, stage: &mut PopStage<K>, pid: u32) {
        let (mut producer, other) = (stage.producer.take().expect("unused"), stage.other.take());
        stage.waker = Some(Waker::start(pid, move |sleeps| {
            let other = other.map(popper::<K>);
            if sleeps {
                other.iter().for_each(Dozer::wait_until_asleep);
                K::push(&mut producer, 1, Duration::ZERO).expect("room");
            }
            PopWaker { producer, other, pushed: sleeps }
        }));
    }

    fn judge(stage: PopStage<K>, end: End) -> Result<Verdict, String> {
        let PopStage { ring, waker, .. } = stage;
        let PopWaker { mut producer, other, pushed } = waker.expect("there").result()?;
        let survivor = other.unwrap_or_else(|| popper::<K>(K::consumer(&ring)));
        // There is room when what was pushed has been handed over, to the dead or to the survivor.
        match K::push(&mut producer, 2, BOUND) {
            Ok(()) => drop(producer),
            Err(error) => return Err(format!("the survivor sleeps: {error}")),
        }
        let awake_at = Instant::now();
        let ((got, why), _) = survivor.result()?;
        if why != PopError::Closed {
            return Err(format!("a pop ended: {why}"));
        }
        let took_effect = pushed && !got.contains(&1);
        if end.returned && !took_effect {
            return Err(format!("popped by the victim, and by the survivor: {got:?}"));
        }
        compare("left", if took_effect || !pushed { &[2] } else { &[1, 2] }, &got)?;
        go_on::<K>(&ring, CAPACITY)?;
        Ok(Verdict { took_effect, awake_at })
    }
}

/// The victim sleeps in a push, until the test pops. Where others may, another sleeps behind it.
#[derive(Debug)]
pub struct SleepingPush<K>(pub Sleep, pub PhantomData<K>);

type Pusher = Dozer<Result<(), PushError<u64>>>;

pub struct PushStage<K: Kind> {
    ring: K::Ring,
    /// Until the victim is there.
    consumer: Option<K::Consumer>,
    other: Option<K::Producer>,
    waker: Option<Waker<PushWaker<K>>>,
}

pub struct PushWaker<K: Kind> {
    consumer: K::Consumer,
    other: Option<Pusher>,
    got: Vec<u64>,
}

/// What was there first, what the victim pushes, and what another does.
const FIRST: u64 = 1;
const BY_VICTIM: u64 = 2;
const BY_OTHER: u64 = 3;

impl<K: Kind> Vigil for SleepingPush<K> {
    type Stage = PushStage<K>;

    fn victim(&self, name: &str) {
        let ring = K::open(name);
        let mut producer = K::producer(&ring);
        window(|| K::push(&mut producer, BY_VICTIM, Duration::MAX).expect("room"));
    }

    fn set(&self, name: &str) -> PushStage<K> {
        let ring = K::create(name, CAPACITY);
        let (mut producer, consumer) = (K::producer(&ring), K::consumer(&ring));
        K::push(&mut producer, FIRST, Duration::ZERO).expect("room");
        if self.0 == Sleep::Again {
            let timeout = K::push(&mut producer, 9, Duration::from_nanos(1));
            assert_eq!(timeout, Err(PushError::Timeout { message: 9, pid: None }));
        }
        let other = (K::SLEEPERS > 1).then_some(producer);
        PushStage { ring, consumer: Some(consumer), other, waker: None }
    }

    fn before(&self, stage: &mut PushStage<K>, pid: u32) {
        let (mut consumer, other) = (stage.consumer.take().expect("unused"), stage.other.take());
        stage.waker = Some(Waker::start(pid, move |sleeps| {
            let other = other.map(|producer| pusher::<K>(producer, BY_OTHER));
            let mut got = Vec::new();
            if sleeps {
                other.iter().for_each(Dozer::wait_until_asleep);
                got.push(K::pop(&mut consumer, Duration::ZERO).expect("a message"));
            }
            PushWaker { consumer, other, got }
        }));
    }

    fn judge(stage: PushStage<K>, end: End) -> Result<Verdict, String> {
        let PushStage { ring, waker, .. } = stage;
        let PushWaker { mut consumer, other, mut got } = waker.expect("there").result()?;
        let survivor = other.unwrap_or_else(|| pusher::<K>(K::producer(&ring), BY_OTHER));
        // With one place only, what the survivor has pushed comes out last, or first.
        while !got.contains(&BY_OTHER) {
            match K::pop(&mut consumer, BOUND) {
                Ok(message) => got.push(message),
                Err(error) => return Err(format!("the survivor sleeps: {error}, after {got:?}")),
            }
        }
        let (pushed, awake_at) = survivor.result()?;
        pushed.map_err(|error| format!("the survivor gave up: {error}"))?;
        loop {
            match K::pop(&mut consumer, BOUND) {
                Ok(message) => got.push(message),
                Err(PopError::Closed) => break,
                Err(error) => return Err(format!("a pop ended: {error}, after {got:?}")),
            }
        }
        drop(consumer);
        let took_effect = got.contains(&BY_VICTIM);
        if end.returned && !took_effect {
            return Err(format!("what the victim has pushed is lost: {got:?}"));
        }
        if got.first() != Some(&FIRST) {
            return Err(format!("out of order: {got:?}"));
        }
        got.sort_unstable();
        let expected: &[u64] = if took_effect { &[FIRST, BY_VICTIM, BY_OTHER] } else { &[FIRST, BY_OTHER] };
        compare("popped", expected, &got)?;
        go_on::<K>(&ring, CAPACITY)?;
        Ok(Verdict { took_effect, awake_at })
    }
}
