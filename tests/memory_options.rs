//! What is asked of the memory itself: that it is so, that it shows, and what is said when it cannot be had.

mod support;

use ringway::{CreateError, MemoryError, MemoryKind, MemoryLock, OpenError, Options, Ring, Source, Spsc, spsc};
use rustix::process::{Resource, Rlimit};
use std::os::unix::fs::MetadataExt;
use support::memory::{InFolder, Memfd, Memory, Posix, SystemV, source_of};
use support::{Child, Job, Name, be_the_other_process, not_checked, say};

const CAPACITY: usize = 100_000;

fn options() -> Options {
    Options::new().capacity(CAPACITY).processes(8)
}

/// Runs `job` in a process of its own with one thread, on each kind of memory.
#[track_caller]
fn run_on_each(job: &str) {
    for kind in ["posix", "dir", "memfd", "system v"] {
        assert_eq!(Child::start(job, &[kind]).finish(), ["done"], "{kind}");
    }
}

fn on_kind(kind: &str, check: impl Fn(Source, &dyn Fn(&Ring<u64, Spsc>) -> Source)) {
    fn on<M: Memory>(check: impl Fn(Source, &dyn Fn(&Ring<u64, Spsc>) -> Source)) {
        let memory = M::new();
        check(memory.source(), &|ring| source_of(&memory.address(ring.as_fd())));
    }
    match kind {
        "posix" => on::<Posix>(check),
        "dir" => on::<InFolder>(check),
        "system v" => on::<SystemV>(check),
        _ => on::<Memfd>(check),
    }
    say("done");
}

fn page_faults() -> i64 {
    // SAFETY: it is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it writes to a variable of ours.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    usage.ru_minflt + usage.ru_majflt
}

/// Page faults while every cell of the ring is written and read.
fn faults_of_a_round(ring: &Ring<u64, Spsc>, messages: &mut [u64]) -> i64 {
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let before = page_faults();
    for _ in 0..2 {
        assert_eq!(producer.push_slice(messages), Ok(CAPACITY));
        assert_eq!(consumer.pop_slice(messages), Ok(CAPACITY));
    }
    page_faults() - before
}

#[test]
fn a_ring_that_was_mapped_ahead_meets_no_page_fault() {
    run_on_each("prefault");
}

fn prefault(arguments: &[String]) {
    on_kind(&arguments[0], |source, found| {
        let mut messages = vec![7; CAPACITY];
        let ring = spsc::Ring::<u64>::create(source, &options().prefault(true)).expect("memory");
        // Once for what the program itself touches for the first time.
        faults_of_a_round(&ring, &mut messages);
        let pages = (ring.memory().bytes / 4096) as i64;
        assert!(pages > 200);
        assert_eq!(ring.memory().resident, ring.memory().bytes.next_multiple_of(4096));
        let open = |ahead| Ring::open_with(found(&ring), &options().prefault(ahead)).expect("it is there");
        let (slow, fast) = (open(false), open(true));
        assert_eq!(fast.memory().resident, fast.memory().bytes.next_multiple_of(4096));
        assert_eq!(faults_of_a_round(&fast, &mut messages), 0, "of {pages} pages");
        assert_eq!(faults_of_a_round(&ring, &mut messages), 0, "of {pages} pages");
        // The counter counts. (The kernel maps up to sixteen pages at a fault.)
        assert!(slow.memory().resident < slow.memory().bytes / 2);
        assert!(faults_of_a_round(&slow, &mut messages) >= pages / 16 - 2);
    });
}

#[test]
fn a_ring_is_locked_when_that_is_possible() {
    run_on_each("lock");
}

fn lock(arguments: &[String]) {
    let limit = rustix::process::getrlimit(Resource::Memlock);
    if limit.current.is_some_and(|limit| limit < 4 << 20) && !rustix::process::geteuid().is_root() {
        not_checked(format_args!("only {:?} bytes may be locked", limit.current));
        return say("done");
    }
    on_kind(&arguments[0], |source, found| {
        let ring = Ring::create(source, &options().lock(MemoryLock::Require)).expect("within the limit");
        let memory = ring.memory();
        assert!(memory.locked && memory.refused.is_empty(), "{memory:?}");
        assert_eq!(memory.resident, memory.bytes.next_multiple_of(4096), "what is locked is there");
        let open = |lock| Ring::<u64, Spsc>::open_with(found(&ring), &options().lock(lock)).expect("it is there");
        assert!(!open(MemoryLock::Never).memory().locked, "each process says for itself");
        assert!(open(MemoryLock::Try).memory().locked);
        assert!(ring.memory().locked);
    });
}

#[test]
fn over_the_limit_an_error_says_what_is_needed_and_what_there_is() {
    run_on_each("lock too much");
}

fn lock_too_much(arguments: &[String]) {
    const LIMIT: u64 = 65_536;
    rustix::process::setrlimit(Resource::Memlock, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).expect("less");
    if rustix::process::geteuid().is_root() {
        // SAFETY: it takes a number. The C library changes all threads. Root may lock anything.
        assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
    }
    on_kind(&arguments[0], |source, found| {
        let require = options().lock(MemoryLock::Require);
        let error = Ring::<u64, Spsc>::create(&source, &require).expect_err("more than the limit");
        let CreateError::Memory { error, .. } = error else { panic!("{error}") };
        let MemoryError::Lock { needed, limit, .. } = &error else { panic!("{error}") };
        assert!(*needed > 800_000 && *limit == Some(LIMIT), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&needed.to_string()) && text.contains("65536 bytes") && text.contains("ulimit"),
            "{text}"
        );

        let ring = Ring::<u64, Spsc>::create(source, &options().lock(MemoryLock::Try)).expect("it was only tried");
        let memory = ring.memory();
        assert!(!memory.locked && memory.refused == [text], "{memory:?}");
        let error = Ring::<u64, Spsc>::open_with(found(&ring), &require).expect_err("more than the limit");
        assert!(matches!(error, OpenError::Memory { error: MemoryError::Lock { .. }, .. }), "{error}");
        // A small one fits.
        drop(ring);
        let small = Options::new().capacity(10).processes(1).lock(MemoryLock::Require);
        let name = Name::new();
        let other = if arguments[0] == "memfd" { Source::memfd("small") } else { Source::from(&name) };
        let ring = Ring::<u64, Spsc>::create(&other, &small).expect("within the limit");
        assert!(ring.memory().locked);
    });
}

#[test]
fn the_node_is_chosen_reported_and_must_exist() {
    run_on_each("node");
}

fn node(arguments: &[String]) {
    let online = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    on_kind(&arguments[0], |source, found| {
        let error = Ring::<u64, Spsc>::create(&source, &options().numa_node(900)).expect_err("nobody has so many");
        let CreateError::Memory { error, .. } = error else { panic!("{error}") };
        assert!(
            matches!(&error, MemoryError::NumaNode { found: 900, nodes, .. } if *nodes == online.trim()),
            "{error}"
        );
        let error = Ring::<u64, Spsc>::create(&source, &options().numa_node(u32::MAX)).expect_err("nobody has so many");
        assert!(matches!(error, CreateError::Memory { error: MemoryError::NumaNode { .. }, .. }), "{error}");
        let ring = Ring::<u64, Spsc>::create(source, &options().numa_node(0)).expect("each machine has node 0");
        if !online.is_empty() {
            assert_eq!(ring.memory().numa_node, Some(0));
            assert_eq!(Ring::<u64, Spsc>::open(found(&ring)).expect("it is there").memory().numa_node, Some(0));
        }
    });
}

#[test]
fn it_says_of_what_kind_it_is_and_which_file() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &options()).expect("a new name");
    let memory = ring.memory();
    assert_eq!((memory.kind, memory.page_size, memory.in_huge_pages), (MemoryKind::Posix, 4096, 0));
    let file = name.path().metadata().expect("it is there");
    assert_eq!((memory.inode, memory.bytes), (Some(file.ino()), file.len()));
    assert!(memory.resident >= 4096 && memory.resident <= memory.bytes.next_multiple_of(4096), "{memory:?}");
    let ring = spsc::Ring::<u64>::create(Source::memfd("ringway-test"), &options()).expect("memory");
    let memory = ring.memory();
    assert_eq!(memory.kind, MemoryKind::Memfd);
    let file = rustix::fs::fstat(ring.as_fd().expect("a memfd")).expect("open");
    assert_eq!((memory.inode, memory.bytes), (Some(file.st_ino), file.st_size as u64));
}

#[test]
fn a_group_may_share_a_ring_and_others_may_not() {
    if !rustix::process::geteuid().is_root() {
        not_checked("only root can give files to any group and become another user");
        return;
    }
    for kind in ["posix", "memfd", "system v"] {
        assert_eq!(Child::start("member", &[kind, "12345", "attached"]).finish(), ["done"]);
        assert_eq!(Child::start("member", &[kind, "54321", "refused"]).finish(), ["done"]);
    }
}

/// Makes a ring for group 12345, becomes a member of a group, and tries to open it.
fn member(arguments: &[String]) {
    let (name, options) = (Name::new(), options().mode(0o660).group(12_345));
    let key = SystemV::new();
    let source = match arguments[0].as_str() {
        "posix" => Source::posix(&name),
        "system v" => key.source(),
        _ => Source::memfd("ringway-test"),
    };
    let ring = spsc::Ring::<u64>::create(&source, &options).expect("root");
    let source = match ring.as_fd() {
        Some(descriptor) => Source::fd(descriptor).expect("a descriptor"),
        None if arguments[0] == "system v" => source,
        None => {
            assert_eq!(name.path().metadata().expect("it is there").gid(), 12_345);
            assert_eq!(name.path().metadata().expect("it is there").mode() & 0o7777, 0o660);
            source
        }
    };
    let child = |group: u32| {
        // SAFETY: this process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: no groups at all.
            let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
            // SAFETY: it takes numbers.
            let gid = unsafe { libc::setresgid(group, group, group) };
            // SAFETY: it takes numbers.
            let uid = unsafe { libc::setresuid(7, 7, 7) };
            let opened = Ring::<u64, Spsc>::open_with(&source, &options.clone().owner(0));
            let code = match opened {
                _ if (groups, gid, uid) != (0, 0, 0) => 3,
                Ok(ring) => i32::from(ring.producer().expect("free").try_push(1).is_err()),
                Err(OpenError::Permission { .. }) => 2,
                Err(_) => 4,
            };
            // SAFETY: it takes a number, and runs nothing of the parent's.
            unsafe { libc::_exit(code) };
        }
        let pid = rustix::process::Pid::from_raw(pid);
        let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
        ended.expect("our child").expect("it ends").1.exit_status()
    };
    let expected = if arguments[2] == "attached" { 0 } else { 2 };
    assert_eq!(child(arguments[1].parse().expect("a number")), Some(expected));
    say("done");
}

#[test]
fn a_group_that_is_not_ours_is_an_error_and_nothing_is_left() {
    if !rustix::process::geteuid().is_root() {
        not_checked("which groups are not ours is known of root");
        return;
    }
    // (A System V segment may be given to any group by its owner.)
    for kind in ["posix", "dir", "memfd"] {
        assert_eq!(Child::start("no member", &[kind]).finish(), ["done"], "{kind}");
    }
}

fn no_member(arguments: &[String]) {
    // SAFETY: no groups at all. The C library changes all threads.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: it takes numbers. As above.
    let uid = unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    assert_eq!((groups, uid), (0, 0));
    on_kind(&arguments[0], |source, _| {
        let error = Ring::<u64, Spsc>::create(&source, &options().group(12_345)).expect_err("not ours");
        let CreateError::Memory { error: MemoryError::Group { found: 12_345, .. }, .. } = error else {
            panic!("{error}")
        };
        assert!(Ring::<u64, Spsc>::open(&source).is_err());
    });
}

const JOBS: [Job; 6] = [
    ("prefault", prefault),
    ("lock", lock),
    ("lock too much", lock_too_much),
    ("node", node),
    ("member", member),
    ("no member", no_member),
];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}
