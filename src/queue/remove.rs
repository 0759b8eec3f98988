//! Removing names: of rings, and of what creators that were killed have left.

use super::attachment::PATIENCE;
use crate::error::UnlinkError;
use crate::registry::{Gate, Witness, witness};
use crate::segment::folder::Folder;
use crate::segment::keyed::Numbered;
use crate::segment::{Found, Place, Source, making, posix};
use crate::sys::lock::Lock;
use crate::sys::process;
use std::io;

/// Removes the name of a ring of any type, also while processes are attached: they go on, and the memory is freed when
/// the last of them detaches or dies. Something of that name that is no ring is left alone.
///
/// # Errors
/// [`UnlinkError`]; nothing was removed.
pub fn ring(source: impl Into<Source>) -> Result<(), UnlinkError> {
    let found = Found::find(&source.into())?;
    // Whoever takes a name away holds the gate of what it names, so that nobody takes it from a newer ring. Without
    // permission to write, or past somebody who is stopped in there, we go without.
    let _gate = Gate::pass(|| found.reopen().map(Witness::File), Lock::Exclusive, PATIENCE).unwrap_or(None);
    found.unlink()
}

/// As [`ring()`], and only if nobody who is alive is attached, by the kernel's word. Nobody attaches meanwhile: whoever
/// tries waits, and then finds no ring. (Of a System V segment of another layout, or of other namespaces, we cannot keep
/// others out: whoever attaches in that very moment goes on with a ring that nobody else finds.)
///
/// ```
/// # use ringway::{Options, UnlinkError, remove, spsc};
/// # let name = &format!("doc-unused-{}", std::process::id());
/// let ring = spsc::Ring::<u64>::create(name, &Options::new())?;
/// assert!(matches!(remove::unused_ring(name), Err(UnlinkError::InUse { .. })));
/// drop(ring);
/// remove::unused_ring(name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`UnlinkError`]; nothing was removed. [`UnlinkError::Permission`] also when we may not write to the ring, as then we
/// cannot keep others from attaching.
pub fn unused_ring(source: impl Into<Source>) -> Result<(), UnlinkError> {
    let source = source.into();
    match Found::find(&source)? {
        Found::SystemV(found) => unused_segment(&found, source.to_string()),
        found => unused_file(&found, source.to_string()),
    }
}

fn unused_file(found: &Found, name: String) -> Result<(), UnlinkError> {
    let gate = Gate::pass(|| found.reopen().map(Witness::File), Lock::Exclusive, PATIENCE);
    match gate.as_ref().map(|gate| gate.as_ref().map(Gate::witness)) {
        Ok(Some(Witness::File(file))) if !witness::is_in_use(file) => found.unlink(),
        Ok(_) => Err(UnlinkError::InUse { name }),
        Err(_) => gate.map(|_| ()).map_err(failed(name)),
    }
}

/// The kernel counts who has it attached: the living only, whatever is in it.
fn unused_segment(found: &Numbered, name: String) -> Result<(), UnlinkError> {
    if found.is_attached(0)? {
        return Err(UnlinkError::InUse { name });
    }
    let attached = found.attach()?;
    let Some(word) = attached.gate() else {
        // Nobody attaches to a ring that is not in order. One of another version, or of other namespaces, has a gate that
        // is not for us.
        return if found.is_attached(1)? { Err(UnlinkError::InUse { name }) } else { found.unlink() };
    };
    let gate = Gate::pass(|| Ok(Witness::Words(word)), Lock::Exclusive, PATIENCE).map_err(failed(name.clone()))?;
    match gate {
        Some(_gate) if !found.is_attached(1)? => found.unlink(),
        _ => Err(UnlinkError::InUse { name }),
    }
}

fn failed(name: String) -> impl FnOnce(io::Error) -> UnlinkError {
    |error| match error.kind() {
        io::ErrorKind::PermissionDenied => UnlinkError::Permission { name },
        io::ErrorKind::NotFound => UnlinkError::NotFound { name },
        _ => UnlinkError::System { name, source: error },
    }
}

/// Removes what is left of a ring in the making, after its creator was killed: see
/// [`inspect::list`](crate::inspect::list()). The kernel says that the creator is dead; nothing else is ever removed, and
/// no creator at work is disturbed.
///
/// # Errors
/// [`UnlinkError::NotALeftover`] when its creator is alive or proves that in no way that is known here, or the name is not
/// of that kind; [`UnlinkError::NotFound`], [`UnlinkError::Permission`], [`UnlinkError::System`].
pub fn leftover(source: impl Into<Source>) -> Result<(), UnlinkError> {
    let source = source.into();
    let not = |why| Err(UnlinkError::NotALeftover { name: source.to_string(), why });
    match source.place() {
        Place::SystemV { key } => {
            let found = Numbered::find(*key, &source)?;
            if found.is_leftover { found.unlink() } else { not(ALIVE) }
        }
        Place::Posix { name, folder: Folder::Shm } => {
            let name = name.to_string_lossy();
            match (making::creator(&name), making::is_leftover(&name)) {
                (None, _) => not(OTHER_NAME),
                (_, None) => not("its creator is of another build, and proves in no way known here that it is alive"),
                (_, Some(false)) => not(ALIVE),
                (_, Some(true)) => posix::unlink_leftover(&name),
            }
        }
        _ => not(OTHER_NAME),
    }
}

/// Removes a ring in the making whose creator proves in no way that is known here that it is alive
/// ([`Maker::Unproven`](crate::inspect::Maker)). Only if it is not locked, as a ring is that somebody has attached to, and
/// if no process has the pid that its name says. That is no proof: a creator that lives in another pid namespace could be
/// disturbed, and would fail to create its ring. For people to decide.
///
/// # Errors
/// As [`leftover`].
pub fn unproven_leftover(name: impl AsRef<str>) -> Result<(), UnlinkError> {
    let name = name.as_ref();
    let not = |why| Err(UnlinkError::NotALeftover { name: name.into(), why });
    match (making::creator(name), making::is_leftover(name)) {
        (None, _) => not(OTHER_NAME),
        (_, Some(_)) => not("its creator proves that it is alive as long as it is"),
        (Some(creator), _) if !process::is_free(creator) => not("a process with the pid of its creator is there"),
        (_, None) if making::is_locked(name) => not("somebody has it locked"),
        (_, None) => posix::unlink_leftover(name),
    }
}

const ALIVE: &str = "its creator is alive, or that cannot be asked";
const OTHER_NAME: &str = "its name is not of that kind";
