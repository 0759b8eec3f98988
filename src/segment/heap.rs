//! Memory of one process: a ring between its threads, or for a test. Nobody else can find it, and it needs nothing of the
//! system but memory. Its ends are had by cloning the ring.

use super::file::failed;
use super::memory::place;
use super::{Backing, Memory, MemoryKind, Plan, Segment, Source};
use crate::error::CreateError;
use crate::sys::mapping::Mapping;

#[derive(Debug)]
struct Heap;

impl Backing for Heap {
    fn is_private(&self) -> bool {
        true
    }

    fn describe(&self, mapping: &Mapping, refused: &[String]) -> Memory {
        Memory::of(MemoryKind::Heap, mapping, refused)
    }
}

pub(super) fn create(source: &Source, plan: &Plan<'_>) -> Result<Segment, CreateError> {
    let name = source.to_string();
    let mapping = Mapping::private(plan.geometry.total_size).map_err(failed(&name, "getting memory"))?;
    place(&mapping, plan.wishes).map_err(|error| CreateError::Memory { name: name.clone(), error })?;
    Ok(Segment::lay_out(mapping, &name, plan, Heap))
}
