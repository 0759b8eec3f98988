//! Removing what nobody uses: never anything in use, whoever comes and goes meanwhile.

mod support;
#[path = "support/system_v.rs"]
mod system_v;

use ringway::inspect::Maker;
use ringway::{Lifetime, Options, Source, UnlinkError, inspect, mpmc, remove, spsc};
use std::fs;
use support::memory::{Memory, SystemV};
use support::{Child, Job, Name, be_the_other_process, listen, path_of, say, temporaries_of, wait_until};

fn attach(arguments: &[String]) {
    let source = arguments[0].parse().map_or_else(|_| Source::posix(&arguments[0]), Source::system_v);
    let _ring = mpmc::Ring::<u64>::open(source).expect("made by the parent");
    say("ready");
    listen();
}

/// Makes rings for as long as nobody says that it is enough, and says how many.
fn create_all_the_time(arguments: &[String]) {
    say("ready");
    let enough = std::thread::spawn(listen);
    let mut made = 0;
    while !enough.is_finished() {
        let ring = spsc::Ring::<u64>::create(&arguments[0], &Options::new().capacity(1).lifetime(Lifetime::LastDetach));
        ring.expect("nobody takes it away while it is being made");
        made += 1;
    }
    say(made);
}

const JOBS: &[Job] = &[("attach", attach), ("create", create_all_the_time)];

#[test]
#[ignore = "run by the other tests, as another process"]
fn the_other_process() {
    be_the_other_process(JOBS);
}

#[test]
fn a_ring_in_use_is_not_removed_until_its_processes_have_left_or_died() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    let in_use = || matches!(remove::unused_ring(&name), Err(UnlinkError::InUse { .. }));
    assert!(in_use());
    let mut child = Child::start("attach", &[name.as_str()]);
    child.expect("ready");
    drop(ring);
    assert!(in_use() && name.exists());
    child.kill();
    wait_until("it is removed", || remove::unused_ring(&name).is_ok());
    assert!(!name.exists());
    assert!(matches!(remove::unused_ring(&name), Err(UnlinkError::NotFound { .. })));
}

#[test]
fn a_ring_is_removed_in_spite_of_its_processes_when_that_is_asked_for() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    remove::ring(&name).expect("there");
    assert!(!name.exists());
    ring.producer().try_push(1).expect("it goes on");
}

#[test]
fn a_ring_of_another_version_in_use_is_known_to_be() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    let file = fs::OpenOptions::new().write(true).open(name.path()).expect("ours");
    std::os::unix::fs::FileExt::write_all_at(&file, &9_u32.to_ne_bytes(), 12).expect("ours");
    assert!(matches!(remove::unused_ring(&name), Err(UnlinkError::InUse { .. })));
    drop(ring);
    // A child that another test is starting may have copies of our descriptors until it gets to its exec.
    wait_until("it is removed", || remove::unused_ring(&name).is_ok());
}

#[test]
fn what_is_no_ring_is_left_alone() {
    let name = Name::new();
    fs::write(name.path(), "something else").expect("ours");
    assert!(matches!(remove::unused_ring(&name), Err(UnlinkError::NotARing { .. })));
    assert!(matches!(remove::ring(&name), Err(UnlinkError::NotARing { .. })));
    assert!(matches!(remove::leftover(name.as_str()), Err(UnlinkError::NotALeftover { .. })));
    assert!(name.exists());
}

#[test]
fn what_a_killed_creator_has_left_is_listed_and_removed() {
    // As it is when a creator dies right after it has made its file.
    let name = format!(".ringway-{}-00c0ffee00c0ffee.lock", std::process::id());
    fs::write(path_of(&name), "").expect("ours");
    let found = || inspect::list().expect("readable").temporaries.into_iter().find(|temporary| temporary.name == name);
    let leftover = found().expect("it is listed");
    assert_eq!((leftover.creator, leftover.maker), (std::process::id(), Maker::Dead));
    remove::leftover(&name).expect("nobody is making it");
    assert!(found().is_none() && !path_of(&name).exists());
    assert!(matches!(remove::leftover(&name), Err(UnlinkError::NotFound { .. })));
}

#[test]
fn creators_at_work_are_never_disturbed_and_killed_ones_leave_nothing() {
    let name = Name::new();
    let mut creator = Child::start("create", &[name.as_str()]);
    creator.expect("ready");
    for _ in 0..5_000 {
        for temporary in inspect::list().expect("readable").temporaries {
            if temporary.creator == creator.pid() && temporary.maker == Maker::Dead {
                // By now it has got its name: then there is nothing left to remove.
                let removed = remove::leftover(&temporary.name);
                assert!(matches!(removed, Err(UnlinkError::NotFound { .. })), "of a living creator: {removed:?}");
            }
        }
    }
    creator.tell("enough");
    let words = creator.finish();
    assert!(words[0].parse::<u64>().expect("a number") > 0);

    // Killed in the middle of it, again and again, until it has left something.
    for _ in 0..500 {
        let name = Name::new();
        let mut creator = Child::start("create", &[name.as_str()]);
        creator.expect("ready");
        let pid = creator.pid();
        wait_until("a ring in the making", || !temporaries_of(pid).is_empty());
        creator.kill();
        let left = temporaries_of(pid);
        if left.is_empty() {
            continue;
        }
        for path in left {
            let name = path.file_name().and_then(|name| name.to_str()).expect("as it was made");
            wait_until("it is removed", || remove::leftover(name).is_ok());
        }
        assert!(temporaries_of(pid).is_empty());
        return;
    }
    panic!("a creator that is killed in the middle leaves something, sooner or later");
}

#[test]
fn a_system_v_ring_in_use_is_not_removed_until_its_processes_have_left_or_died() {
    let key = SystemV::new();
    let ring = mpmc::Ring::<u64>::create(key.source(), &Options::new()).expect("a new key");
    let in_use = || matches!(remove::unused_ring(key.source()), Err(UnlinkError::InUse { .. }));
    assert!(in_use());
    let mut child = Child::start("attach", &[&key.0.to_string()]);
    child.expect("ready");
    drop(ring);
    assert!(in_use() && key.id().is_some());
    child.kill();
    assert!(matches!(remove::leftover(key.source()), Err(UnlinkError::NotALeftover { .. })));
    // Another test may be listing what there is, and so have it attached for a moment.
    wait_until("it is removed", || remove::unused_ring(key.source()).is_ok());
    assert_eq!(key.id(), None);
    assert!(matches!(remove::unused_ring(key.source()), Err(UnlinkError::NotFound { .. })));
    assert!(matches!(remove::unused_ring(Source::heap()), Err(UnlinkError::NoName { .. })));
}

#[test]
fn a_system_v_ring_of_another_version_in_use_is_known_to_be() {
    let key = SystemV::new();
    let ring = mpmc::Ring::<u64>::create(key.source(), &Options::new()).expect("a new key");
    let raw = system_v::Raw::attach(key.id().expect("there"));
    raw.word(1).fetch_add(1 << 32, std::sync::atomic::Ordering::SeqCst);
    drop(ring);
    assert!(matches!(remove::unused_ring(key.source()), Err(UnlinkError::InUse { .. })), "we have it");
    drop(raw);
    wait_until("it is removed", || remove::unused_ring(key.source()).is_ok());
}

#[test]
fn who_attaches_while_a_system_v_ring_is_removed_finds_none_or_keeps_it() {
    let key = SystemV::new();
    let options = Options::new().capacity(1);
    for _ in 0..300 {
        drop(mpmc::Ring::<u64>::create(key.source(), &options).expect("a free key"));
        let attaching = std::thread::spawn({
            let source = key.source();
            move || mpmc::Ring::<u64>::open(source)
        });
        let removed = remove::unused_ring(key.source());
        let attached = attaching.join().expect("no panic");
        match (removed, attached) {
            (Ok(()), Err(ringway::OpenError::NotFound { .. })) => assert_eq!(key.id(), None),
            (Err(UnlinkError::InUse { .. }), Ok(ring)) => {
                assert!(key.id().is_some(), "who is attached is not left alone with it");
                drop(ring);
                wait_until("it is removed", || remove::unused_ring(key.source()).is_ok());
            }
            // Each was in the other's way.
            (Err(UnlinkError::InUse { .. }), Err(_)) => {
                wait_until("it is removed", || remove::unused_ring(key.source()).is_ok());
            }
            (removed, attached) => panic!("{removed:?}, {attached:?}"),
        }
    }
}

#[test]
fn what_the_creator_of_a_system_v_ring_has_left_is_removed_when_it_is_dead() {
    let key = SystemV::new();
    let raw = system_v::Raw::create(&key, 20_000);
    for (marked, holder) in [(true, system_v::somebody_alive()), (false, 0)] {
        system_v::begin(&raw, marked, holder);
        assert!(remove::leftover(key.source()).is_err() && key.id().is_some());
    }
    system_v::begin(&raw, true, system_v::somebody_dead());
    remove::leftover(key.source()).expect("nobody is making it");
    assert_eq!(key.id(), None);
}

#[test]
fn creators_of_other_builds_are_left_alone_unless_somebody_decides_otherwise() {
    let ours = format!(".ringway-{}-00c0ffee00c0fff0", std::process::id());
    // A process that is not there any more.
    let mut gone = std::process::Command::new("true").spawn().expect("it can be run");
    gone.wait().expect("it ends");
    let left = Name::of(&format!(".ringway-{}-00c0ffee00c0fff1", gone.id()));
    let ours = Name::of(&ours);
    for name in [&ours, &left] {
        fs::write(name.path(), "").expect("ours");
        let listed = inspect::list().expect("readable").temporaries.into_iter().find(|made| made.name == name.as_str());
        assert_eq!(listed.expect("it is listed").maker, Maker::Unproven);
        assert!(matches!(remove::leftover(name), Err(UnlinkError::NotALeftover { .. })));
    }
    let refused =
        |name: &Name| matches!(remove::unproven_leftover(name.as_str()), Err(UnlinkError::NotALeftover { .. }));
    assert!(refused(&ours) && ours.exists(), "a process with that pid is there");
    assert!(refused(&Name::of("ticks")));
    let file = fs::File::open(left.path()).expect("ours");
    lock_a_byte(&file);
    assert!(refused(&left) && left.exists(), "somebody has it locked");
    drop(file);
    remove::unproven_leftover(left.as_str()).expect("nobody is there");
    assert!(!left.exists());
}

/// As whoever attaches has one: of an open file description.
fn lock_a_byte(file: &fs::File) {
    // SAFETY: plain numbers, for which zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence, lock.l_start, lock.l_len) = (libc::F_RDLCK as _, libc::SEEK_SET as _, 7, 1);
    // SAFETY: it reads a variable of ours.
    let locked = unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(file), libc::F_OFD_SETLK, &lock) };
    assert_eq!(locked, 0);
}
