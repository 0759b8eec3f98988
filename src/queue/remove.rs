//! Removing names: of rings, and of what creators that were killed have left.

use super::attachment::PATIENCE;
use crate::error::UnlinkError;
use crate::registry::{Gate, Witness, witness};
use crate::segment::{Found, Source, making, posix};
use crate::sys::lock::Lock;

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
/// tries waits, and then finds no ring.
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
    let (found, name) = (Found::find(&source)?, source.to_string());
    let gate = Gate::pass(|| found.reopen().map(Witness::File), Lock::Exclusive, PATIENCE);
    match gate.as_ref().map(|gate| gate.as_ref().map(Gate::witness)) {
        Ok(Some(Witness::File(file))) if !witness::is_in_use(file) => found.unlink(),
        Ok(_) => Err(UnlinkError::InUse { name }),
        Err(_) => gate.map(|_| ()).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => UnlinkError::Permission { name },
            std::io::ErrorKind::NotFound => UnlinkError::NotFound { name },
            _ => UnlinkError::System { name, source: error },
        }),
    }
}

/// Removes what is left of a ring in the making, after its creator was killed: see
/// [`inspect::list`](crate::inspect::list). The kernel says that the creator is dead; nothing else is ever removed, and no
/// creator at work is disturbed.
///
/// # Errors
/// [`UnlinkError::NotALeftover`] when its creator is alive, or the name is not of that kind; [`UnlinkError::NotFound`],
/// [`UnlinkError::Permission`], [`UnlinkError::System`].
pub fn leftover(name: impl AsRef<str>) -> Result<(), UnlinkError> {
    let name = name.as_ref();
    let not = |why| Err(UnlinkError::NotALeftover { name: name.into(), why });
    match making::creator(name) {
        None => not("its name is not of that kind"),
        Some(_) if !making::is_leftover(name) => not("its creator is alive, or that cannot be asked"),
        Some(_) => posix::unlink_leftover(name),
    }
}
