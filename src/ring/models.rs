//! What the models of all rings share: their memory, and how they are explored.

pub(crate) mod heap;

use crate::sync::AtomicU64;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `model` in every interleaving, with at most `preemptions` switches away from a thread that could go on, or
/// with any number of them.
pub(crate) fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Explores `model(k)`, in which somebody dies before the k-th of his steps, for every k there is. `model` says whether
/// he has died; when he has in no interleaving, he has no k-th step.
pub(crate) fn explore_every_death(
    preemptions: Option<usize>,
    model: impl Fn(usize) -> bool + Clone + Send + Sync + 'static,
) {
    for steps in 0.. {
        let died = Arc::new(AtomicBool::new(false));
        let (model, seen) = (model.clone(), Arc::clone(&died));
        explore(preemptions, move || {
            seen.fetch_or(model(steps), Ordering::Relaxed);
        });
        if !died.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// The models rest on this: loom by itself misses one of the two (see `AtomicU64` in `sync`).
#[test]
fn a_load_hides_no_other_load_from_the_store_after_it() {
    let seen = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let outcomes = Arc::clone(&seen);
    explore(None, move || {
        let word = Rc::new(AtomicU64::new(0));
        let other = Rc::clone(&word);
        let storing = loom::thread::spawn(move || {
            other.load(Ordering::Relaxed);
            other.store(1, Ordering::Relaxed);
        });
        outcomes[word.load(Ordering::Relaxed) as usize].store(true, Ordering::Relaxed);
        storing.join().unwrap();
    });
    assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed)), "one of the two orders was not tried");
}
