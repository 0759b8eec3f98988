//! The roles of a ring: one word each, held by a process, taken over from the dead, never from the living.

#[cfg(all(test, ringway_loom))]
mod models;

use crate::layout::control::Holder;
use crate::sync::{AtomicU64, Ordering};

/// How often a claim tries again because the word changed under it. Each time somebody else has got or given up the
/// role, so a correct ring never comes near it; it keeps a process that scribbles on the word from holding us up.
const TRIES: usize = 1_000;

/// The role is ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Whoever had it before may have died in the middle of something.
    pub(crate) repair: bool,
}

/// Somebody has the role, and is alive as far as anybody can tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) by: Holder,
}

/// Claims the role for `me`, from nobody or from the dead.
///
/// `is_alive` answers for the process of a record and generation. It may say that a dead one is alive, never the
/// reverse, and once it says dead, all that the dead process stored is visible to us.
pub(crate) fn claim(word: &AtomicU64, me: Holder, is_alive: impl Fn(usize, u32) -> bool) -> Result<Granted, Taken> {
    // Relaxed: what it says is confirmed by the exchange.
    let mut seen = Holder::from_word(word.load(Ordering::Relaxed));
    for _ in 0..TRIES {
        if let Some((record, generation)) = seen.held_by() {
            if is_alive(record, generation) {
                break;
            }
        }
        // Acquire: we go on where the last holder stopped. Pairs with the Release in `give_up`. A word that names a
        // process is never stored again after that process is dead, so an unchanged word is still the word of the dead.
        match word.compare_exchange(seen.word(), me.word(), Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(Granted { repair: seen.needs_repair() }),
            Err(now) => seen = Holder::from_word(now),
        }
    }
    Err(Taken { by: seen })
}

/// Gives the role up, if it is still `me` who has it. `clean` says that nothing was left half-done.
pub(crate) fn give_up(word: &AtomicU64, me: Holder, clean: bool) {
    // Release: the next holder goes on where we stopped. Pairs with the Acquire in `claim`.
    let _ = word.compare_exchange(me.word(), Holder::left(clean).word(), Ordering::Release, Ordering::Relaxed);
}

/// Who has the role.
pub(crate) fn holder(word: &AtomicU64) -> Holder {
    // Acquire: when the holder has left, all that it pushed or popped before is visible. Pairs with `give_up`.
    Holder::from_word(word.load(Ordering::Acquire))
}
