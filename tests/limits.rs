//! When the system says no: no space, no permission, no descriptors. A clear error, nothing left behind, never a signal.

mod support;

use ringway::{CreateError, OpenError, Options, UnlinkError, spsc};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::process::{Resource, Rlimit};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Child, Job, Name, be_the_other_process, path_of, say, temporaries_of};

type Ring = spsc::Ring<u64>;

const MIB: u64 = 1 << 20;

/// Runs `job` in a process of its own, which must not fail and must leave nothing in the making.
#[track_caller]
fn run(job: &str, arguments: &[&str]) {
    let child = Child::start(job, arguments);
    let pid = child.pid();
    assert_eq!(child.finish(), ["done"]);
    assert_eq!(temporaries_of(pid), Vec::<std::path::PathBuf>::new());
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not checked: only root can mount file systems and change users");
    }
    root
}

/// Gives this process, which has one thread, a shared memory folder of its own.
fn mount_shm(options: &std::ffi::CStr) {
    // SAFETY: a new mount namespace; no descriptors or file system state are shared with another thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.expect("we are root");
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
    rustix::mount::mount("tmpfs", "/dev/shm", "tmpfs", MountFlags::empty(), options).expect("root");
}

fn is_nothing_left() -> bool {
    fs::read_dir("/dev/shm").expect("our own folder").next().is_none()
}

/// Creates `name`, and says how many bytes it would have needed and how many there were if there was no space.
#[track_caller]
fn create(name: &str, capacity: usize) -> Result<Ring, (u64, u64)> {
    Ring::create(name, &Options::new().capacity(capacity).processes(1)).map_err(|error| match &error {
        CreateError::NoSpace { name: found, needed, available, place } => {
            assert_eq!((found.as_str(), place.as_str()), (name, "/dev/shm"));
            let text = error.to_string();
            assert!(text.contains(&format!("needs {needed} bytes, {available} are available")), "{text}");
            (*needed, *available)
        }
        other => panic!("{other}"),
    })
}

#[test]
fn a_ring_that_does_not_fit_is_refused_and_one_that_fits_works() {
    if is_root() {
        run("small", &[]);
    }
}

fn small(_: &[String]) {
    mount_shm(c"size=1m");
    let (needed, available) = create("large", 1 << 20).expect_err("8 MiB do not fit into 1 MiB");
    assert!(needed >= 8 * MIB && available == MIB, "{needed} {available}");
    let error = Ring::open_or_create("large", &Options::new().capacity(1 << 20)).expect_err("as before");
    assert!(matches!(error, OpenError::Create(CreateError::NoSpace { .. })), "{error}");
    assert!(is_nothing_left());

    // 700 kB fit, and every byte of them can be used.
    let ring = create("fits", 76_000).expect("it fits");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    for round in 0..2 {
        let messages: Vec<u64> = (0..76_000).map(|n| n + round).collect();
        let mut popped = vec![0; 76_000];
        assert_eq!(producer.push_slice(&messages), Ok(76_000));
        assert_eq!(consumer.pop_slice(&mut popped), Ok(76_000));
        assert!(popped == messages);
    }
    let (needed, available) = create("second", 76_000).expect_err("twice does not fit");
    assert!(available < needed && available < MIB / 2, "{needed} {available}");
    drop((producer, consumer, ring));
    Ring::unlink("fits").expect("it is there");
    assert!(is_nothing_left());
    say("done");
}

#[test]
fn a_file_system_that_is_full_to_the_brim_gives_no_ring_and_no_sigbus() {
    if is_root() {
        run("brim", &[]);
    }
}

fn brim(_: &[String]) {
    mount_shm(c"size=1m");
    let filler = File::create(path_of("filler")).expect("our own folder");
    let page = rustix::param::page_size() as u64;
    // The smallest ring has a page and a line.
    for free in 0..6 {
        filler.set_len(0).expect("a file");
        rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, MIB - free * page).expect("it fits");
        match create("tiny", 1) {
            Ok(ring) => {
                assert!(free >= 2, "made of {free} pages");
                ring.producer().expect("free").try_push(1).expect("room");
                assert_eq!(ring.consumer().expect("free").try_pop(), Ok(1));
                Ring::unlink("tiny").expect("it is there");
            }
            Err((needed, available)) => {
                assert_eq!((needed, available), (page + 64, free * page));
                assert!(free < 2, "not made of {free} pages");
            }
        }
        assert_eq!(fs::read_dir("/dev/shm").expect("our own folder").count(), 1, "only the filler is left");
    }
    say("done");
}

#[test]
fn space_that_vanishes_while_a_ring_is_made_is_an_error_and_no_sigbus() {
    if is_root() {
        run("vanishing", &[]);
    }
}

/// The file system is filled and emptied as fast as it goes, so that what was free at first is not free any more when
/// the ring's pages are reserved.
fn vanishing(_: &[String]) {
    mount_shm(c"size=1m");
    let filler = File::create(path_of("filler")).expect("our own folder");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, MIB * 3 / 4).ok();
                filler.set_len(0).expect("a file");
            }
        });
        let (mut made, mut refused) = (0, 0);
        while made < 100 || refused < 100 {
            match create("sometimes", 50_000) {
                Ok(ring) => {
                    made += 1;
                    let messages = vec![made; 50_000];
                    assert_eq!(ring.producer().expect("free").push_slice(&messages), Ok(50_000));
                    Ring::unlink("sometimes").expect("it is there");
                }
                Err(_) => refused += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir("/dev/shm").expect("our own folder").count(), 1, "only the filler is left");
    say("done");
}

#[test]
fn a_file_system_without_room_for_another_file_is_not_said_to_lack_bytes() {
    if is_root() {
        run("inodes", &[]);
    }
}

fn inodes(_: &[String]) {
    mount_shm(c"size=1m,nr_inodes=2");
    let _one = create("one", 1).expect("the root and one file fit");
    match Ring::create("two", &Options::new().capacity(1)).expect_err("no third inode") {
        CreateError::NoSpace { needed, available, .. } => panic!("needs {needed}, has {available}"),
        CreateError::System { source, .. } => assert_eq!(source.kind(), ErrorKind::StorageFull),
        other => panic!("{other}"),
    }
    say("done");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_matter_of_permission() {
    if is_root() {
        run("read-only", &[]);
    }
}

fn read_only(_: &[String]) {
    mount_shm(c"size=1m");
    drop(create("old", 1).expect("it fits"));
    rustix::mount::mount_remount("/dev/shm", MountFlags::RDONLY, c"").expect("root");
    let error = Ring::create("new", &Options::new()).expect_err("read-only");
    assert!(matches!(&error, CreateError::Permission { place, .. } if place == "/dev/shm"), "{error}");
    let error = Ring::open_or_create("new", &Options::new()).expect_err("read-only");
    assert!(matches!(error, OpenError::Create(CreateError::Permission { .. })), "{error}");
    let error = Ring::open("old").expect_err("read-only");
    assert!(matches!(error, OpenError::Permission { .. }), "{error}");
    assert!(Ring::unlink("old").is_err());
    assert!(path_of("old").exists() && !path_of("new").exists());
    say("done");
}

#[test]
fn somebody_without_permission_is_told_so() {
    if !is_root() {
        return;
    }
    let (secret, shared) = (Name::new(), Name::new());
    drop(Ring::create(&secret, &Options::new()).expect("a new name"));
    drop(Ring::create(&shared, &Options::new().mode(0o666)).expect("a new name"));
    run("stranger", &[secret.as_str(), shared.as_str()]);
    assert!(secret.exists() && shared.exists());
    let ring = Ring::open(&shared).expect("ours");
    assert_eq!(ring.consumer().expect("the stranger has left").try_pop(), Ok(7));
}

fn stranger(arguments: &[String]) {
    // SAFETY: it takes a number. The C library changes all threads.
    assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
    let (secret, shared) = (arguments[0].as_str(), arguments[1].as_str());
    for options in [Options::new(), Options::new().owner(0)] {
        let error = Ring::open_with(secret, &options).expect_err("mode 0600");
        assert!(matches!(&error, OpenError::Permission { name } if name == secret), "{error}");
        assert!(error.to_string().contains(secret), "{error}");
    }
    let error = Ring::open(shared).expect_err("not our own");
    assert!(matches!(error, OpenError::Owner { found: 0, expected: 65_534, .. }), "{error}");
    for name in [secret, shared] {
        let error = Ring::unlink(name).expect_err("not ours to remove");
        assert!(matches!(error, UnlinkError::Permission { .. }), "{error}");
    }
    let ring = Ring::open_with(shared, &Options::new().owner(0)).expect("its owner is trusted, its mode lets us");
    ring.producer().expect("a free role").try_push(7).expect("room");
    say("done");
}

#[test]
fn without_descriptors_there_is_an_error_and_nothing_is_left() {
    let name = Name::new();
    drop(Ring::create(&name, &Options::new()).expect("a new name"));
    run("descriptors", &[name.as_str()]);
}

fn descriptors(arguments: &[String]) {
    let name = arguments[0].as_str();
    let new = Name::new();
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // SAFETY: nobody in this process uses what it may have inherited beside the three standard ones.
    assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
    let open = || fs::read_dir("/proc/self/fd").expect("/proc is there").count() as u64 - 1;
    let used = open();
    let (mut refused, mut worked) = (0, 0);
    for room in 0..8 {
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(used + room), ..limit }).expect("less");
        let results = [
            Ring::open(name).map_err(|error| match error {
                OpenError::System { source, .. } => source,
                other => panic!("{other}"),
            }),
            Ring::create(&new, &Options::new()).map_err(|error| match error {
                CreateError::System { source, .. } => source,
                other => panic!("{other}"),
            }),
        ];
        rustix::process::setrlimit(Resource::Nofile, limit).expect("as before");
        for result in results {
            match result {
                Ok(ring) => {
                    worked += 1;
                    ring.producer().expect("a free role").try_push(room).expect("room");
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                }
            }
        }
        assert_eq!(open(), used, "descriptors leak");
        assert_eq!(temporaries_of(std::process::id()), Vec::<std::path::PathBuf>::new());
        if new.exists() {
            Ring::unlink(&new).expect("a whole ring");
        }
    }
    assert!(worked >= 4 && refused >= 4, "{worked} {refused}");
    say("done");
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    run("file size", &[]);
}

fn file_size(_: &[String]) {
    let name = Name::new();
    let limit = rustix::process::getrlimit(Resource::Fsize);
    rustix::process::setrlimit(Resource::Fsize, Rlimit { current: Some(MIB), ..limit }).expect("less");
    let error = Ring::create(&name, &Options::new().capacity(1 << 20)).expect_err("8 MiB are too large a file");
    match error {
        CreateError::System { source, .. } => assert_eq!(source.kind(), ErrorKind::FileTooLarge),
        other => panic!("{other}"),
    }
    assert!(!name.exists());
    Ring::create(&name, &Options::new().capacity(1_000)).expect("a smaller one may be made");
    say("done");
}

#[test]
fn a_limit_on_the_address_space_is_an_error_and_nothing_is_left() {
    run("address space", &[]);
}

fn address_space(_: &[String]) {
    let (old, new) = (Name::new(), Name::new());
    let options = Options::new().capacity(8 << 20);
    drop(Ring::create(&old, &options).expect("a new name"));
    let limit = rustix::process::getrlimit(Resource::As);
    let pages = fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages: u64 = pages.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    let used = pages * rustix::param::page_size() as u64;
    // Of a ring of 73 MiB: nothing can be mapped, part of it, or all of it and nothing more.
    for room in [1, 70 * MIB, 80 * MIB, 147 * MIB] {
        rustix::process::setrlimit(Resource::As, Rlimit { current: Some(used + room), ..limit }).expect("less");
        let created = Ring::create(&new, &options);
        let opened = Ring::open(&old);
        rustix::process::setrlimit(Resource::As, limit).expect("as before");
        match created {
            Err(CreateError::System { source, .. }) => assert_eq!(source.kind(), ErrorKind::OutOfMemory, "{source}"),
            Err(other) => panic!("{other}"),
            Ok(_) => assert!(room > 73 * MIB),
        }
        match opened {
            Err(OpenError::System { source, .. }) => assert_eq!(source.kind(), ErrorKind::OutOfMemory, "{source}"),
            Err(other) => panic!("{other}"),
            Ok(_) => assert!(room > 73 * MIB),
        }
        assert_eq!(temporaries_of(std::process::id()), Vec::<std::path::PathBuf>::new());
        assert!(old.exists());
        let _ = Ring::unlink(&new);
    }
    say("done");
}

#[test]
fn a_process_without_standard_input_loses_no_descriptor_and_leaves_nothing() {
    run("no input", &[]);
}

fn no_input(_: &[String]) {
    // SAFETY: nobody reads from standard input in this process.
    assert_eq!(unsafe { libc::close(0) }, 0);
    let name = Name::new();
    // SAFETY: it asks about a number.
    let is_free = || unsafe { libc::fcntl(0, libc::F_GETFD) } == -1;
    for _ in 0..2 {
        drop(Ring::create(&name, &Options::new()).expect("a new name"));
        assert!(is_free(), "create");
        drop(Ring::open(&name).expect("it is there"));
        assert!(is_free(), "open");
        Ring::unlink(&name).expect("it is there");
    }
    let limit = rustix::process::getrlimit(Resource::As);
    rustix::process::setrlimit(Resource::As, Rlimit { current: Some(64 * MIB), ..limit }).expect("less");
    Ring::create(&name, &Options::new().capacity(100 << 20)).expect_err("it cannot be mapped");
    rustix::process::setrlimit(Resource::As, limit).expect("as before");
    assert!(is_free(), "create that fails");
    assert_eq!(temporaries_of(std::process::id()), Vec::<std::path::PathBuf>::new());
    say("done");
}

const JOBS: [Job; 10] = [
    ("small", small),
    ("brim", brim),
    ("vanishing", vanishing),
    ("inodes", inodes),
    ("read-only", read_only),
    ("stranger", stranger),
    ("descriptors", descriptors),
    ("file size", file_size),
    ("address space", address_space),
    ("no input", no_input),
];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}
