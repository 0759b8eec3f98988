//! Removing what nobody uses: never anything in use, whoever comes and goes meanwhile.

mod support;

use ringway::{Lifetime, Options, UnlinkError, inspect, mpmc, remove, spsc};
use std::fs;
use support::{Child, Job, Name, be_the_other_process, listen, path_of, say, temporaries_of, wait_until};

fn attach(arguments: &[String]) {
    let _ring = mpmc::Ring::<u64>::open(&arguments[0]).expect("made by the parent");
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
    let name = format!(".ringway-{}-00c0ffee00c0ffee", std::process::id());
    fs::write(path_of(&name), "").expect("ours");
    let found = || inspect::list().expect("readable").temporaries.into_iter().find(|temporary| temporary.name == name);
    let leftover = found().expect("it is listed");
    assert_eq!((leftover.creator, leftover.is_leftover), (std::process::id(), true));
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
            if temporary.creator == creator.pid() && temporary.is_leftover {
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
