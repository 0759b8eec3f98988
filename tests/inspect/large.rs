//! Rings of any size are looked at in little memory.

use super::support::Name;
use ringway::inspect::Segment;
use ringway::{Options, mpmc};

#[test]
fn a_large_ring_is_looked_at_in_little_memory() {
    let name = Name::new();
    let cells = 1 << 21;
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new().capacity(cells)).expect("new");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for number in 0..cells as u64 {
        producer.try_push(number).expect("room");
    }
    let _taken = consumer.peek().expect("a message");
    // An orphan, so that all cells are searched for others.
    drop(ring.consumer().peek().expect("a message"));
    let segment = Segment::open(&name).expect("there");
    let most = allocation::most(|| {
        let contents = segment.picture().expect("readable").contents.expect("in order");
        assert_eq!((contents.orphans, contents.held_count, contents.fill), (1, 1, cells as u64 - 2));
        assert!(contents.still && contents.corrupted.is_empty());
        let positions: Vec<u64> = segment.peek(3, 8).expect("in order").iter().map(|g| g.position).collect();
        assert_eq!(positions, [1, 2, 3]);
    });
    assert!(most < 3 << 20, "{most} bytes for a ring of {} cells", cells);
}

/// What this thread has allocated at most.
mod allocation {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static NOW_AND_MOST: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
    }

    struct Counted;

    fn count(by: isize) {
        let _ = NOW_AND_MOST.try_with(|counts| {
            let (now, most) = counts.get();
            counts.set((now + by, most.max(now + by)));
        });
    }

    // SAFETY: the system's allocator, and a number beside it that is no memory.
    unsafe impl GlobalAlloc for Counted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size() as isize);
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            count(-(layout.size() as isize));
            // SAFETY: as the caller promises.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static COUNTED: Counted = Counted;

    pub fn most(job: impl FnOnce()) -> isize {
        NOW_AND_MOST.set((0, 0));
        job();
        NOW_AND_MOST.get().1
    }
}
