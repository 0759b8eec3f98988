//! Huge pages, real ones: as root on a machine that has some to give. What cannot be checked is said.

mod support;

#[macro_use]
#[path = "contracts/memory.rs"]
mod memory;

use ringway::{
    CreateError, HugePageSize, HugePages, MemoryError, MemoryKind, OpenError, Options, Ring, Source, Spsc, spsc,
};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::memory::{HUGE_FOLDER, HugeMemfd, HugePosix, HugeSystemV, InHugeFolder, Memory, SystemV};
use support::{Name, be_the_other_process, not_checked, wait_until};

const MIB: u64 = 1 << 20;

/// The pool of pages of one size, as large as a test wants it. As it was before, when this is dropped.
struct Pool {
    file: String,
    before: u64,
    _one_test_at_a_time: MutexGuard<'static, ()>,
}

impl Pool {
    /// `None` where it cannot be had; the output says so.
    fn of(size: u64, pages: u64) -> Option<Pool> {
        static POOL: Mutex<()> = Mutex::new(());
        let alone = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let file = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages", size / 1024);
        let before = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let Some(before) = before else {
            not_checked(format_args!("there are no pages of {size} bytes"));
            return None;
        };
        let pool = Pool { file, before, _one_test_at_a_time: alone };
        let used = before - pool.number("free_hugepages");
        if fs::write(&pool.file, (used + pages).to_string()).is_err() || pool.number("free_hugepages") != pages {
            not_checked(format_args!(
                "no {pages} huge pages of {size} bytes can be set aside; be root, with memory free"
            ));
            return None;
        }
        Some(pool)
    }

    fn number(&self, of: &str) -> u64 {
        let file = self.file.replace("nr_hugepages", of);
        fs::read_to_string(file).expect("as before").trim().parse().expect("a number")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        fs::write(&self.file, self.before.to_string()).expect("as before");
    }
}

/// A ring of about 3 MiB: two pages.
fn options() -> Options {
    Options::new().capacity(320_000).processes(4)
}

fn works(ring: &Ring<u64, Spsc>) {
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let messages: Vec<u64> = (0..ring.capacity() as u64).collect();
    let mut popped = vec![0; messages.len()];
    for _ in 0..2 {
        assert_eq!(producer.push_slice(&messages), Ok(messages.len()));
        assert_eq!(consumer.pop_slice(&mut popped), Ok(messages.len()));
        assert!(popped == messages);
    }
}

/// In pages of the pool, each of them.
fn is_of_pages_of(ring: &Ring<u64, Spsc>, size: u64, pages: u64) {
    let memory = ring.memory();
    assert_eq!((memory.page_size, memory.bytes), (size, size * pages), "{memory:?}");
    assert!(memory.locked && memory.refused.is_empty(), "{memory:?}");
    works(ring);
    let memory = ring.memory();
    assert_eq!((memory.in_huge_pages, memory.resident), (memory.bytes, memory.bytes), "{memory:?}");
}

#[test]
fn a_segment_that_is_no_whole_number_of_pages_is_refused_and_not_kept_attached() {
    let Some(pool) = Pool::of(2 * MIB, 2) else { return };
    let segment = SystemV::new();
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | libc::SHM_HUGETLB | 21 << libc::MAP_HUGE_SHIFT | 0o600;
    // SAFETY: it takes numbers.
    let id = unsafe { libc::shmget(segment.0, 3 * MIB as usize, flags) };
    assert!(id >= 0, "{}", std::io::Error::last_os_error());
    for _ in 0..3 {
        Ring::<u64, Spsc>::open(segment.source()).expect_err("no ring");
        ringway::inspect::Segment::open(segment.source()).expect_err("it cannot be kept from forks");
        ringway::remove::ring(segment.source()).expect_err("no ring");
    }
    drop(segment);
    // It goes with the last one who has it attached; others who list what there is have it for a moment.
    wait_until("all pages are back", || pool.number("free_hugepages") == 2 && pool.number("resv_hugepages") == 0);
}

#[test]
fn a_memfd_the_heap_and_a_system_v_segment_are_made_of_pages_of_the_pool() {
    let Some(pool) = Pool::of(2 * MIB, 4) else { return };
    let require = options().huge_pages(HugePages::Require);
    let segment = SystemV::new();
    for (source, kind) in [
        (Source::memfd("ringway-test"), MemoryKind::Memfd),
        (Source::heap(), MemoryKind::Heap),
        (segment.source(), MemoryKind::SystemV),
    ] {
        for options in [require.clone(), options().huge_pages(HugePages::Try), require.clone().prefault(true)] {
            let ring = spsc::Ring::<u64>::create(&source, &options).expect("there are four pages");
            assert_eq!(ring.memory().kind, kind);
            is_of_pages_of(&ring, 2 * MIB, 2);
            if let Some(descriptor) = ring.as_fd() {
                let again = Source::fd(descriptor).expect("a descriptor");
                let error = spsc::Ring::<u64>::open(&again).expect_err("a peer may give its pages back");
                let is_right = |error: &MemoryError| matches!(error, MemoryError::Revocable { found: 2_097_152 });
                assert!(matches!(&error, OpenError::Memory { error, .. } if is_right(error)), "{error}");
                is_of_pages_of(&Ring::open_with(&again, &options).expect("sealed"), 2 * MIB, 2);
            }
            if kind == MemoryKind::SystemV {
                is_of_pages_of(&Ring::open(&source).expect("it is there"), 2 * MIB, 2);
                Ring::<u64, Spsc>::unlink(&source).expect("it is there");
            }
            drop(ring);
            wait_until("all pages are back", || pool.number("free_hugepages") == 4);
        }
    }
}

#[test]
fn pages_of_one_gibibyte_work_as_well() {
    let Some(pool) = Pool::of(1024 * MIB, 1) else { return };
    let options = options().huge_pages(HugePages::Require).huge_page_size(HugePageSize::Gib1);
    let ring = spsc::Ring::<u64>::create(Source::memfd("ringway-test"), &options).expect("there is one");
    is_of_pages_of(&ring, 1024 * MIB, 1);
    let error = spsc::Ring::<u64>::create(Source::memfd("ringway-test"), &options).expect_err("it is taken");
    assert!(matches!(error, CreateError::Memory { error: MemoryError::HugePages { free: 0, .. }, .. }), "{error}");
    drop(ring);
    wait_until("it is back", || pool.number("free_hugepages") == 1);
}

#[test]
fn when_there_are_not_enough_an_error_says_how_many_and_what_to_set() {
    let Some(pool) = Pool::of(2 * MIB, 1) else { return };
    let segment = SystemV::new();
    for source in [Source::memfd("ringway-test"), Source::heap(), segment.source()] {
        let require = options().huge_pages(HugePages::Require);
        let error = spsc::Ring::<u64>::create(&source, &require).expect_err("two are needed");
        let CreateError::Memory { error, .. } = error else { panic!("{error}") };
        let MemoryError::HugePages { size, needed, free, total, setting, set } = &error else { panic!("{error}") };
        assert_eq!((*size, *needed, *free, *total), (2 * MIB, 2, 1, pool.number("nr_hugepages")));
        let text = error.to_string();
        assert!(text.contains(&format!("echo {set} > {setting}")), "{text}");

        let ring = Ring::create(&source, &options().huge_pages(HugePages::Try)).expect("it was only tried");
        let memory = ring.memory();
        assert_eq!((memory.page_size, memory.in_huge_pages), (4096, 0));
        assert_eq!(memory.refused, [text]);
        works(&ring);
        let _ = Ring::<u64, Spsc>::unlink(&source);
        drop(ring);
        wait_until("the page is back", || pool.number("free_hugepages") == 1);

        // What it says helps.
        fs::write(setting, set.to_string()).expect("root");
        drop(spsc::Ring::<u64>::create(&source, &require).expect("now there are two"));
        let _ = Ring::<u64, Spsc>::unlink(&source);
        wait_until("all pages are back", || pool.number("free_hugepages") == 2);
        fs::write(setting, (set - 1).to_string()).expect("root");
    }
}

/// Runs `check` where a hugetlbfs is mounted, for this thread and whatever it starts. Says `None` where that cannot be.
fn in_a_huge_folder(check: impl FnOnce()) -> Option<()> {
    // SAFETY: a new mount namespace, for this thread; no descriptors are unshared.
    if unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.is_err() {
        not_checked("only root can mount a hugetlbfs");
        return None;
    }
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
    let _ = fs::create_dir(HUGE_FOLDER);
    let mounted = rustix::mount::mount("none", HUGE_FOLDER, "hugetlbfs", MountFlags::empty(), c"pagesize=2M,mode=700");
    let result = mounted.map(|()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)));
    let _ = rustix::mount::unmount(HUGE_FOLDER, UnmountFlags::DETACH);
    let _ = fs::remove_dir(HUGE_FOLDER);
    match result {
        Err(error) => not_checked(format_args!("no hugetlbfs can be mounted: {error}")),
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Ok(Ok(())) => {}
    }
    Some(())
}

#[test]
fn a_name_on_a_hugetlbfs_is_in_huge_pages_whatever_is_wished() {
    let Some(pool) = Pool::of(2 * MIB, 3) else { return };
    in_a_huge_folder(|| {
        let memory = InHugeFolder;
        for wish in [HugePages::Never, HugePages::Try, HugePages::Require] {
            let ring = Ring::create(memory.source(), &options().huge_pages(wish)).expect("there are three pages");
            is_of_pages_of(&ring, 2 * MIB, 2);
            is_of_pages_of(&Ring::open_with(memory.source(), &options().huge_pages(wish)).expect("there"), 2 * MIB, 2);
            let error = spsc::Ring::<u64>::create(Source::posix("other").dir(HUGE_FOLDER), &options());
            let error = error.expect_err("one page is left");
            let is_right = |error: &MemoryError| matches!(error, MemoryError::HugePages { needed: 2, free: 1, .. });
            assert!(matches!(&error, CreateError::Memory { error, .. } if is_right(error)), "{error}");
            assert_eq!(memory.left_behind().len(), 1);
            Ring::<u64, Spsc>::unlink(memory.source()).expect("it is there");
            drop(ring);
            wait_until("all pages are back", || pool.number("free_hugepages") == 3);
        }
    });
}

#[test]
fn pages_of_a_posix_name_are_put_together() {
    let (name, require) = (Name::new(), options().huge_pages(HugePages::Require));
    let ring = match spsc::Ring::<u64>::create(&name, &require) {
        Err(CreateError::Memory { error: error @ MemoryError::NoHugePages { .. }, .. }) => {
            let ring = spsc::Ring::<u64>::create(&name, &options().huge_pages(HugePages::Try)).expect("only tried");
            assert_eq!(ring.memory().refused.len(), 1);
            return not_checked(error);
        }
        result => result.expect("the system puts pages together"),
    };
    let is_huge = |ring: &Ring<u64, Spsc>| {
        let memory = ring.memory();
        assert_eq!((memory.bytes, memory.in_huge_pages), (4 * MIB, 4 * MIB), "{memory:?}");
        assert!(memory.refused.is_empty() && memory.page_size == 4096);
        works(ring);
    };
    is_huge(&ring);
    is_huge(&Ring::open_with(&name, &require).expect("it is there"));
    works(&Ring::open(&name).expect("it is there"));
    // An ordinary one, when its opener wishes for them: only whole huge pages are, and it is none long.
    let (small, few) = (Name::new(), Options::new().capacity(100));
    let _ring = spsc::Ring::<u64>::create(&small, &few).expect("a new name");
    let error =
        Ring::<u64, Spsc>::open_with(&small, &few.clone().huge_pages(HugePages::Require)).expect_err("too small");
    assert!(matches!(error, OpenError::Memory { error: MemoryError::NoHugePages { .. }, .. }), "{error}");
    works(&Ring::open_with(&small, &few.huge_pages(HugePages::Try)).expect("only tried"));
    assert!(!ring.memory().locked);
}

#[test]
fn where_there_are_none_of_a_size_it_is_said() {
    let name = Name::new();
    let options = options().huge_pages(HugePages::Require).huge_page_size(HugePageSize::Gib1);
    let error = spsc::Ring::<u64>::create(&name, &options).expect_err("a tmpfs has none");
    assert!(matches!(error, CreateError::Memory { error: MemoryError::NoHugePages { .. }, .. }), "{error}");
    assert!(error.to_string().contains("1073741824 bytes") && error.to_string().contains("memfd"), "{error}");
    assert!(!name.exists());
    support::nothing_in_the_making();
}

#[test]
fn every_contract_is_kept_in_huge_pages() {
    let Some(_pool) = Pool::of(2 * MIB, 4) else { return };
    with_contracts! { keep_contracts! HugeMemfd }
    with_contracts! { keep_contracts! HugeSystemV }
    in_a_huge_folder(|| {
        with_contracts! { keep_contracts! InHugeFolder }
    });
}

#[test]
fn every_contract_is_kept_in_pages_that_were_put_together() {
    let probe = spsc::Ring::<u64>::create(HugePosix::new().source(), &options().huge_pages(HugePages::Require));
    if let Err(error) = probe {
        return not_checked(error);
    }
    with_contracts! { keep_contracts! HugePosix }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&memory::JOBS);
}
