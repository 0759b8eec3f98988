//! How long a name stays: who removes it, and that nobody removes what is not theirs, however close the race.

mod support;

use ringway::{ClaimError, Lifetime, OpenError, Options, spsc};
use rustix::process::Signal;
use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Child, Name, be_the_other_process, listen, nothing_in_the_making, say};

type Ring = spsc::Ring<u64>;

fn last_detach() -> Options {
    Options::new().capacity(4).lifetime(Lifetime::LastDetach)
}

fn inode(name: &Name) -> Option<u64> {
    name.path().metadata().ok().map(|found| found.ino())
}

/// Runs both at the same instant, each in a thread.
fn at_once<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            b()
        });
        barrier.wait();
        (a(), other.join().expect("no panic"))
    })
}

/// Not the same in every round, so that a race is run from many distances: up to some tens of microseconds.
fn wait_a_little(round: u64) {
    for _ in 0..round % 100 * 20 {
        std::hint::spin_loop();
    }
}

/// Whether two attachments are of the same ring: what is pushed into the one comes out of the other.
fn is_the_same(one: &Ring, other: &Ring) -> bool {
    let mut producer = one.producer().expect("a free role");
    let mut consumer = other.consumer().expect("a free role");
    producer.try_push(42).expect("room");
    consumer.try_pop() == Ok(42)
}

#[test]
fn a_persistent_name_stays_when_everybody_has_left() {
    let name = Name::new();
    drop(Ring::create(&name, &Options::new()).expect("a new name"));
    let first = inode(&name);
    assert!(first.is_some());
    drop((Ring::open(&name).expect("it stays"), Ring::open(&name).expect("it stays")));
    // What the options of an opener say does not matter: the creator decides.
    drop(Ring::open_with(&name, &Options::new().lifetime(Lifetime::LastDetach)).expect("it stays"));
    assert_eq!(inode(&name), first);
}

#[test]
fn the_last_handle_of_the_last_attachment_removes_the_name() {
    let name = Name::new();
    let first = Ring::create(&name, &last_detach()).expect("a new name");
    let second = Ring::open(&name).expect("it is there");
    let producer = first.producer().expect("free");
    drop((first.clone(), first));
    drop(second);
    assert!(name.exists(), "a handle keeps its ring attached");
    drop(producer);
    assert!(!name.exists());
}

#[test]
fn the_last_process_out_removes_the_name_also_when_others_were_killed() {
    let name = Name::new();
    let ring = Ring::create(&name, &last_detach()).expect("a new name");
    let mut children: Vec<Child> = (0..4).map(|_| Child::start("attach", &[])).collect();
    for child in &mut children {
        child.order(name.as_str());
    }
    drop(ring);
    assert!(name.exists());
    children[0].kill();
    children[1].order("leave");
    children[2].kill();
    assert!(name.exists(), "one of four is left");
    children[3].order("leave");
    assert!(!name.exists());
}

#[test]
fn a_stopped_process_is_attached() {
    let name = Name::new();
    let ring = Ring::create(&name, &last_detach()).expect("a new name");
    let mut child = Child::start("attach", &[]);
    child.order(name.as_str());
    child.signal(Signal::STOP);
    drop(ring);
    assert!(name.exists());
    child.signal(Signal::CONT);
    child.order("leave");
    assert!(!name.exists());
}

#[test]
fn when_the_last_process_is_killed_the_name_goes_with_the_next_one() {
    let name = Name::new();
    let mut child = Child::start("attach", &[]);
    child.order(name.as_str());
    child.kill();
    assert!(name.exists());
    drop(Ring::open(&name).expect("a good ring without anybody"));
    assert!(!name.exists());
}

#[test]
fn of_two_processes_that_leave_at_the_same_instant_one_removes_the_name() {
    let (mut one, mut other) = (Child::start("attach", &[]), Child::start("attach", &[]));
    for _ in 0..500 {
        let name = Name::new();
        one.order(name.as_str());
        other.order(name.as_str());
        one.tell("leave");
        other.tell("leave");
        one.expect("done");
        other.expect("done");
        assert!(!name.exists());
    }
}

/// Between its fork and its exec, a command has a copy of every descriptor that we have just then.
#[test]
fn commands_that_are_started_meanwhile_keep_no_name() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let status = std::process::Command::new("true").status();
                assert!(status.expect("it can be run").success());
            }
        });
        let leftover = (0..3_000).find(|_| {
            let name = Name::new();
            let one = Ring::create(&name, &last_detach()).expect("a new name");
            drop((Ring::open(&name).expect("it is there"), one));
            name.exists()
        });
        stop.store(true, Ordering::Relaxed);
        assert_eq!(leftover, None, "the round in which a name was left over");
    });
}

#[test]
fn children_that_are_forked_meanwhile_and_live_on_keep_nobody_out() {
    let name = Name::new();
    let mut child = Child::start("fork meanwhile", &[name.as_str()]);
    child.expect("done");
    assert!(!name.exists(), "the last one has left, and the forked children never were attached");
    child.kill();
}

#[test]
fn of_two_attachments_that_leave_at_the_same_instant_one_removes_the_name() {
    for _ in 0..1_000 {
        let name = Name::new();
        let one = Ring::create(&name, &last_detach()).expect("a new name");
        let other = Ring::open(&name).expect("it is there");
        at_once(|| drop(one), || drop(other));
        assert!(!name.exists());
    }
}

#[test]
fn who_opens_while_the_last_one_leaves_gets_a_ring_that_stays_or_none() {
    let mut outcomes = [0, 0];
    for round in 0.. {
        let name = Name::new();
        let leaving = Ring::create(&name, &last_detach()).expect("a new name");
        let (_, opened) = at_once(
            || drop(leaving),
            || {
                wait_a_little(round);
                Ring::open(&name)
            },
        );
        match opened {
            Ok(ring) => {
                outcomes[0] += 1;
                let again = Ring::open(&name).expect("a ring with somebody attached keeps its name");
                assert!(is_the_same(&ring, &again));
            }
            Err(OpenError::NotFound { .. }) => outcomes[1] += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(!name.exists(), "the last one has left");
        // The race is on when both happen.
        if round >= 1_000 && (outcomes.iter().all(|&count| count > 0) || round >= 20_000) {
            break;
        }
    }
    assert!(outcomes.iter().all(|&count| count > 0), "one side always wins: {outcomes:?}");
}

#[test]
fn open_or_create_succeeds_whoever_leaves_meanwhile() {
    for round in 0..1_000 {
        let name = Name::new();
        let leaving = Ring::create(&name, &last_detach()).expect("a new name");
        let (_, ring) = at_once(
            || drop(leaving),
            || {
                wait_a_little(round);
                Ring::open_or_create(&name, &last_detach())
            },
        );
        let ring = ring.expect("one of the two is always possible");
        let again = Ring::open(&name).expect("a ring with somebody attached keeps its name");
        assert!(is_the_same(&ring, &again));
        drop((ring, again));
        assert!(!name.exists());
    }
}

#[test]
fn of_two_threads_that_open_or_create_both_get_the_same_ring() {
    for _ in 0..1_000 {
        let name = Name::new();
        let options = Options::new().capacity(4);
        let (one, other) = at_once(|| Ring::open_or_create(&name, &options), || Ring::open_or_create(&name, &options));
        assert!(is_the_same(&one.expect("made or found"), &other.expect("made or found")));
    }
    nothing_in_the_making();
}

#[test]
fn of_two_threads_that_create_one_succeeds() {
    for _ in 0..1_000 {
        let name = Name::new();
        let create = || Ring::create(&name, &Options::new().capacity(4)).is_ok();
        let (one, other) = at_once(create, create);
        assert!(one != other);
        assert!(name.exists());
    }
}

#[test]
fn of_two_processes_that_open_or_create_both_get_the_same_ring() {
    let (mut one, mut other) = (Child::start("claim", &[]), Child::start("claim", &[]));
    for _ in 0..500 {
        let name = Name::new();
        one.tell(name.as_str());
        other.tell(name.as_str());
        let heard = [one.hear(), other.hear()];
        // A ring has one producer's role, so there is one ring.
        let one_has_it = ["got".to_owned(), format!("taken by {}", one.pid())];
        let other_has_it = [format!("taken by {}", other.pid()), "got".to_owned()];
        assert!(heard == one_has_it || heard == other_has_it, "{heard:?}");
        one.order("leave");
        other.order("leave");
    }
}

#[test]
fn whoever_looks_while_rings_are_created_and_removed_finds_a_whole_ring_or_none() {
    let name = Name::new();
    let mut child = Child::start("create and remove", &[name.as_str()]);
    child.expect("started");
    let (mut found, mut rounds) = (0, 0);
    while found < 200 {
        match Ring::open(&name) {
            Ok(ring) => {
                assert_eq!((ring.capacity(), ring.len()), (9, 0));
                found += 1;
            }
            Err(OpenError::NotFound { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        rounds += 1;
        assert!(rounds < 5_000_000, "found {found} times");
    }
    child.kill();
    // Absent or whole, wherever it was killed.
    match Ring::open(&name) {
        Ok(ring) => assert_eq!(ring.capacity(), 9),
        Err(error) => assert!(matches!(error, OpenError::NotFound { .. }), "{error}"),
    }
}

#[test]
fn who_waits_for_a_name_gets_the_ring_when_it_comes() {
    for timeout in [Duration::from_secs(30), Duration::MAX] {
        let name = Name::new();
        let options = Options::new().timeout(timeout);
        let (ring, opened) = at_once(
            || Ring::create(&name, &Options::new()).expect("a new name"),
            || Ring::open_with(&name, &options).expect("it comes"),
        );
        assert!(is_the_same(&ring, &opened));
    }
}

#[test]
fn who_waits_in_vain_is_told_after_the_time_and_not_before() {
    let name = Name::new();
    let started = std::time::Instant::now();
    let error = Ring::open_with(&name, &Options::new().timeout(Duration::from_millis(30))).expect_err("nobody");
    assert!(matches!(error, OpenError::NotFound { .. }), "{error}");
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[test]
fn an_older_ring_never_removes_a_newer_one_of_its_name() {
    for newer_lifetime in [Lifetime::Persistent, Lifetime::LastDetach] {
        let name = Name::new();
        let older = Ring::create(&name, &last_detach()).expect("a new name");
        Ring::unlink(&name).expect("it is there");
        let newer = Ring::create(&name, &last_detach().lifetime(newer_lifetime)).expect("the name is free");
        let there = inode(&name);
        drop((older.producer().expect("an unlinked ring works"), older));
        assert!(there.is_some() && inode(&name) == there);
        let again = Ring::open(&name).expect("it is there");
        assert!(is_the_same(&newer, &again));
        drop((newer, again));
        assert_eq!(name.exists(), newer_lifetime == Lifetime::Persistent);
    }
}

#[test]
fn a_ring_never_removes_what_has_got_its_name_otherwise() {
    let name = Name::new();
    let ring = Ring::create(&name, &last_detach()).expect("a new name");
    std::fs::remove_file(name.path()).expect("it is there");
    std::fs::write(name.path(), "a letter").expect("the name is free");
    drop(ring);
    assert_eq!(std::fs::read(name.path()).expect("it is still there"), b"a letter");
}

/// Attaches to the ring of each name that it hears, and leaves it on `leave`.
fn attach(_: &[String]) {
    let mut ring = None;
    while let Some(word) = listen() {
        ring = match word.as_str() {
            "leave" => None,
            name => Some(Ring::open_or_create(name, &last_detach()).expect("one of the two is possible")),
        };
        say("done");
    }
    drop(ring);
}

/// As `attach`, and claims the producer's role. Says who has it.
fn claim(_: &[String]) {
    while let Some(name) = listen() {
        let ring = Ring::open_or_create(&name, &Options::new().capacity(4)).expect("one of the two is possible");
        let producer = match ring.producer() {
            Ok(producer) => {
                say("got");
                Some(producer)
            }
            Err(ClaimError::RoleTaken { pid, .. }) => {
                say(format_args!("taken by {pid}"));
                None
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(listen().as_deref(), Some("leave"));
        drop((producer, ring));
        say("done");
    }
}

/// Attaches and leaves again and again while another thread forks, and its children end only when it has ended.
fn fork_meanwhile(arguments: &[String]) {
    let name = arguments[0].as_str();
    let ring = Ring::create(name, &last_detach().processes(200)).expect("a new name");
    std::thread::scope(|scope| {
        let forking = scope.spawn(|| {
            for _ in 0..100 {
                let parent = std::process::id() as i32;
                // SAFETY: the child calls nothing that the other thread may have been in the middle of.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: it takes nothing.
                    while unsafe { libc::getppid() } == parent {
                        // SAFETY: it takes a number.
                        unsafe { libc::sleep(1) };
                    }
                    // SAFETY: it takes a number, and runs nothing of the parent's.
                    unsafe { libc::_exit(0) };
                }
                assert!(pid > 0);
            }
        });
        while !forking.is_finished() {
            drop(Ring::open(name).expect("nobody stands in the way"));
        }
    });
    drop(Ring::open(name).expect("nobody stands in the way"));
    drop(ring);
    say("done");
    listen();
}

fn create_and_remove(arguments: &[String]) {
    say("started");
    loop {
        drop(Ring::create(&arguments[0], &Options::new().capacity(9)).expect("the name is free"));
        Ring::unlink(&arguments[0]).expect("it is there");
    }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[
        ("attach", attach),
        ("claim", claim),
        ("create and remove", create_and_remove),
        ("fork meanwhile", fork_meanwhile),
    ]);
}
