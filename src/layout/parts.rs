//! A checked segment, seen as its parts. The one place that turns offsets into references.
#![allow(unsafe_code)]

use super::control::{Control, Record};
use super::geometry::Geometry;
use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;

/// The parts of a segment whose header has been checked, together with what keeps them mapped.
///
/// The geometry is this process's own copy: nobody can change it after the check.
#[derive(Clone)]
pub(crate) struct Parts {
    base: NonNull<u8>,
    geometry: Geometry,
    name: Arc<str>,
    _memory: Arc<dyn Send + Sync>,
}

// SAFETY: `base` points to shared memory, which every thread may reach; all that is lent from it are atomics and raw
// pointers, and `_memory`, which keeps it mapped, is itself `Send + Sync`.
unsafe impl Send for Parts {}
// SAFETY: as above; no method changes the value itself.
unsafe impl Sync for Parts {}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("name", &self.name).field("geometry", &self.geometry).finish_non_exhaustive()
    }
}

impl Parts {
    /// # Safety
    /// `base` is aligned to a page and points to `geometry.total_size` bytes that are readable and writable for as long
    /// as `memory` lives, and that only atomics and the protocol of the ring access.
    pub(crate) unsafe fn new(
        base: NonNull<u8>,
        geometry: Geometry,
        name: Arc<str>,
        memory: Arc<dyn Send + Sync>,
    ) -> Parts {
        Parts { base, geometry, name, _memory: memory }
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The name of the ring, for messages to people.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[inline]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: `Geometry::new` put the control block inside the segment.
        let control = unsafe { self.base.add(self.geometry.control_offset) };
        // SAFETY: it lies at a multiple of its alignment, and consists of atomics, for which every bit pattern is valid
        // and sharing is fine.
        unsafe { control.cast().as_ref() }
    }

    pub(crate) fn records(&self) -> &[Record] {
        // SAFETY: `Geometry::new` put the records inside the segment.
        let first = unsafe { self.base.add(self.geometry.records_offset) };
        // SAFETY: `processes` records lie there, aligned, and consist of atomics, as for the control block.
        unsafe { core::slice::from_raw_parts(first.cast().as_ptr(), self.geometry.processes) }
    }

    /// The first of `geometry.cells` cells.
    pub(crate) fn cells(&self) -> NonNull<u8> {
        // SAFETY: `Geometry::new` put the cells inside the segment.
        unsafe { self.base.add(self.geometry.cells_offset) }
    }
}
