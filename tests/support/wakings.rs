//! Victims that should wake somebody, and die at it.

use super::board::board;
use super::doze::{Dozer, Kind, go_on, popper, pusher};
use super::ledger::compare;
use super::victim::window;
use super::vigil::{End, Verdict, Vigil};
use core::marker::PhantomData;
use ringway::{PopError, PushError};
use std::time::Duration;

const CAPACITY: usize = 2;

/// The victim, the only producer, pushes a message, while the test sleeps in pops.
#[derive(Debug)]
pub struct Pushing<K>(pub PhantomData<K>);

type Popper = Dozer<(Vec<u64>, PopError)>;

impl<K: Kind> Vigil for Pushing<K> {
    type Stage = (K::Ring, Vec<Popper>);

    fn victim(&self, name: &str) {
        let ring = K::open(name);
        let mut producer = K::producer(&ring);
        window(|| K::push(&mut producer, 1, Duration::MAX).expect("room"));
    }

    fn set(&self, name: &str) -> Self::Stage {
        let ring = K::create(name, CAPACITY);
        let sleepers = (0..K::SLEEPERS).map(|_| popper::<K>(K::consumer(&ring))).collect();
        (ring, sleepers)
    }

    fn before(&self, (_, sleepers): &mut Self::Stage, _: u32) {
        // Awake for a moment, as the victim came.
        sleepers.iter().for_each(Dozer::wait_until_asleep);
    }

    /// All of them have ended: one with the message if it was committed, each because nobody is left.
    fn judge((ring, sleepers): Self::Stage, end: End) -> Result<Verdict, String> {
        let (mut got, mut awake_at) = (Vec::new(), end.died_at);
        for sleeper in sleepers {
            let ((messages, why), at) = sleeper.result()?;
            if why != PopError::Closed {
                return Err(format!("a pop ended: {why}"));
            }
            got.extend(messages);
            awake_at = awake_at.max(at);
        }
        if end.returned || !got.is_empty() {
            compare("popped", &[1], &got)?;
        }
        go_on::<K>(&ring, CAPACITY)?;
        Ok(Verdict { took_effect: !got.is_empty(), awake_at })
    }
}

/// The victim, the only consumer, pops a message of a full ring, while the test sleeps in pushes.
#[derive(Debug)]
pub struct Popping<K>(pub PhantomData<K>);

type Pusher = Dozer<Result<(), PushError<u64>>>;

impl<K: Kind> Vigil for Popping<K> {
    type Stage = (K::Ring, Vec<Pusher>);

    fn victim(&self, name: &str) {
        let ring = K::open(name);
        let mut consumer = K::consumer(&ring);
        window(|| {
            K::pop(&mut consumer, Duration::MAX).expect("a message");
        });
    }

    fn set(&self, name: &str) -> Self::Stage {
        let ring = K::create(name, CAPACITY);
        let mut producer = K::producer(&ring);
        for message in 1..=CAPACITY as u64 {
            K::push(&mut producer, message, Duration::ZERO).expect("room");
        }
        drop(producer);
        let sleepers = (0..K::SLEEPERS as u64).map(|number| pusher::<K>(K::producer(&ring), 10 + number)).collect();
        (ring, sleepers)
    }

    fn before(&self, (_, sleepers): &mut Self::Stage, _: u32) {
        sleepers.iter().for_each(Dozer::wait_until_asleep);
    }

    /// All of them have ended: one has pushed if the message was handed over, the others because nobody is left.
    fn judge((ring, sleepers): Self::Stage, end: End) -> Result<Verdict, String> {
        let (mut pushed, mut awake_at) = (Vec::new(), end.died_at);
        for (sleeper, number) in sleepers.into_iter().zip(10..) {
            let (result, at) = sleeper.result()?;
            match result {
                Ok(()) => pushed.push(number),
                Err(PushError::Closed(message)) if message == number => {}
                Err(error) => return Err(format!("a push ended: {error}")),
            }
            awake_at = awake_at.max(at);
        }
        let handed_over = !pushed.is_empty();
        if end.returned && !handed_over {
            return Err("there was room".into());
        }
        let mut consumer = K::consumer(&ring);
        let mut left = Vec::new();
        while left.len() <= 2 * CAPACITY {
            match K::pop(&mut consumer, Duration::MAX) {
                Ok(message) => left.push(message),
                Err(PopError::Closed) => break,
                Err(error) => return Err(format!("a pop ended: {error}")),
            }
        }
        drop(consumer);
        // What was taken and not handed over may come last.
        left.sort_unstable();
        let expected: Vec<u64> = (if handed_over { 2 } else { 1 }..=CAPACITY as u64).chain(pushed).collect();
        compare("left", &expected, &left)?;
        go_on::<K>(&ring, CAPACITY)?;
        board().heartbeat.add(1);
        Ok(Verdict { took_effect: handed_over, awake_at })
    }
}
