//! Memory of one process: a ring between its threads, or for a test. Nobody else can find it, and it needs nothing of the
//! system but memory. Its ends are had by cloning the ring.

use super::memory::place;
use super::{Backing, HugePageSize, Memory, MemoryKind, Plan, Segment, Source};
use crate::error::CreateError;
use crate::sys::mapping::Mapping;
use rustix::mm::MapFlags;

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
    let in_pages_of = |huge: Option<HugePageSize>| {
        let flags = match huge {
            None => MapFlags::empty(),
            Some(HugePageSize::Mib2) => MapFlags::HUGETLB | MapFlags::HUGE_2MB,
            Some(HugePageSize::Gib1) => MapFlags::HUGETLB | MapFlags::HUGE_1GB,
        };
        Mapping::private(plan.length(huge), flags).map_err(|error| plan.refused(&name, huge, error, "getting memory"))
    };
    let (mapping, refused) = plan.in_huge_pages_or_not(in_pages_of)?;
    place(&mapping, plan.wishes).map_err(|error| CreateError::Memory { name: name.clone(), error })?;
    let segment = Segment::lay_out(mapping, &name, plan, Heap);
    Ok(Segment { refused, ..segment })
}
