//! Who is alive: a role belongs to a process for exactly as long as that process lives and wants it.

mod support;

use ringway::{ClaimError, Lifetime, OpenError, Options, Role, TryPopError, spsc};
use rustix::process::{Pid, Signal};
use spsc::Peer;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use support::{Child, Job, Name, be_the_other_process, command, listen, say};

type Ring = spsc::Ring<u64>;

/// A new ring with room for `processes`, of which this one is the first.
fn ring_for(processes: usize) -> (Name, Ring) {
    let name = Name::new();
    let ring = Ring::create(&name, &Options::new().capacity(16).processes(processes)).expect("a new name");
    (name, ring)
}

/// A process that holds the producer's role of `name`, and has pushed a message.
fn holder_of(name: &Name) -> Child {
    let mut child = Child::start("hold", &[name.as_str()]);
    child.expect("holding");
    child
}

#[track_caller]
fn is_taken_by(ring: &Ring, pid: u32) {
    let taken = ring.producer().expect_err("the role is held");
    let name = ring.name().into();
    assert_eq!(taken, ClaimError::RoleTaken { ring: name, role: Role::Producer, pid });
    let text = taken.to_string();
    assert!(text.contains(ring.name()) && text.contains("producer") && text.contains(&pid.to_string()), "{text}");
    assert_eq!(ring.peer(Role::Producer), Peer::Alive { pid });
}

/// The producer's role is free, and what its last holder pushed is there.
#[track_caller]
fn can_be_taken_over(ring: &Ring) {
    let mut producer = ring.producer().expect("its holder is dead");
    assert_eq!(ring.peer(Role::Producer), Peer::Alive { pid: std::process::id() });
    let mut consumer = ring.consumer().expect("nobody has it");
    assert_eq!(consumer.try_pop(), Ok(7));
    producer.try_push(8).expect("room");
    assert_eq!(consumer.try_pop(), Ok(8));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// A process that is nobody's child any more, killed at the latest when this is dropped.
struct Orphan(Pid);

impl Orphan {
    #[track_caller]
    fn new(pid: &str) -> Orphan {
        Orphan(Pid::from_raw(pid.parse().expect("a pid")).expect("not zero"))
    }

    fn is_alive(&self) -> bool {
        rustix::process::test_kill_process(self.0).is_ok()
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn a_second_claimant_in_the_same_process_is_refused_and_told_who_holds_the_role() {
    let (name, ring) = ring_for(4);
    let same = Ring::open(&name).expect("it is there");
    let me = std::process::id();
    let producer = ring.producer().expect("free");
    is_taken_by(&ring, me);
    is_taken_by(&same, me);
    drop(producer);
    drop(same.producer().expect("dropping frees it"));

    let consumer = same.consumer().expect("free");
    for ring in [&ring, &same] {
        let taken = ring.consumer().expect_err("held");
        assert!(matches!(taken, ClaimError::RoleTaken { role: Role::Consumer, pid, .. } if pid == me), "{taken}");
    }
    drop(consumer);
    ring.consumer().expect("dropping frees it");
}

#[test]
fn a_second_claimant_in_another_process_is_refused_until_the_holder_drops_its_handle() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    is_taken_by(&ring, child.pid());
    child.order("drop");
    assert_eq!(ring.peer(Role::Producer), Peer::Left);
    can_be_taken_over(&ring);
}

#[test]
fn what_can_be_said_of_a_peer_is_that_it_never_came_lives_left_or_died() {
    let (name, ring) = ring_for(4);
    let mut consumer = ring.consumer().expect("free");
    assert_eq!((consumer.peer(), consumer.is_closed()), (Peer::NeverCame, false));
    let mut child = holder_of(&name);
    let pid = child.pid();
    assert_eq!((consumer.peer(), consumer.is_closed()), (Peer::Alive { pid }, false));
    child.kill();
    assert_eq!(consumer.peer(), Peer::Dead { pid });
    assert!(!consumer.is_closed(), "its message is still there");
    assert_eq!(consumer.try_pop(), Ok(7));
    assert!(consumer.is_closed());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty), "it may come back and go on");
    let mut child = holder_of(&name);
    assert_eq!((consumer.peer(), consumer.is_closed()), (Peer::Alive { pid: child.pid() }, false));
    child.order("drop");
    assert_eq!(consumer.peer(), Peer::Left);
    assert_eq!(consumer.try_pop(), Ok(7));
    assert!(consumer.is_closed());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
}

#[test]
fn the_role_of_a_killed_process_is_free_as_soon_as_it_is_waited_for() {
    for _ in 0..30 {
        let (name, ring) = ring_for(4);
        let mut child = holder_of(&name);
        is_taken_by(&ring, child.pid());
        child.kill();
        can_be_taken_over(&ring);
    }
}

#[test]
fn a_stopped_process_keeps_its_role() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    child.signal(Signal::STOP);
    let pid = Some(Pid::from_raw(child.pid() as i32).expect("not zero"));
    rustix::process::waitpid(pid, rustix::process::WaitOptions::UNTRACED).expect("it stops");
    for _ in 0..1_000 {
        is_taken_by(&ring, child.pid());
    }
    child.signal(Signal::CONT);
    child.order("push");
    assert_eq!(ring.len(), 2);
    child.signal(Signal::STOP);
    child.kill();
    can_be_killed_while_stopped(&ring);
}

#[track_caller]
fn can_be_killed_while_stopped(ring: &Ring) {
    let mut consumer = ring.consumer().expect("nobody has it");
    assert_eq!(consumer.try_pop(), Ok(7));
    ring.producer().expect("its holder is dead");
}

#[test]
fn a_forked_child_that_lives_on_does_not_keep_the_role_of_its_dead_parent() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    child.tell("fork and sleep");
    let orphan = Orphan::new(&child.hear());
    is_taken_by(&ring, child.pid());
    child.kill();
    assert!(orphan.is_alive());
    can_be_taken_over(&ring);
    assert!(orphan.is_alive());
}

#[test]
fn a_forked_child_that_drops_what_it_inherited_does_no_harm() {
    let name = Name::new();
    let options = Options::new().capacity(16).lifetime(Lifetime::LastDetach);
    let ring = Ring::create(&name, &options).expect("a new name");
    let mut child = holder_of(&name);
    for _ in 0..3 {
        child.order("fork and drop");
        is_taken_by(&ring, child.pid());
        assert!(name.exists());
    }
    child.order("push");
    assert_eq!(ring.len(), 2);
    drop(ring);
    assert!(name.exists(), "the parent is still attached");
    child.order("push");
    child.order("drop");
    assert!(!name.exists());
}

#[test]
fn a_process_that_closes_all_its_descriptors_lives_on() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    child.order("closefrom");
    is_taken_by(&ring, child.pid());
    child.order("push");
    assert_eq!(ring.len(), 2);
    // It can still ask, take, and leave; and it closes nobody's descriptor when it does.
    child.order("drop among others");
    assert_eq!(ring.peer(Role::Producer), Peer::Left);
    can_be_killed_while_stopped(&ring);
}

#[test]
fn exec_frees_the_role() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    child.order("exec");
    // The same process, another program.
    can_be_taken_over(&ring);
    child.order("are you there?");
}

#[test]
fn a_command_that_the_holder_starts_changes_nothing() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    child.tell("spawn");
    let orphan = Orphan::new(&child.hear());
    is_taken_by(&ring, child.pid());
    child.order("push");
    child.kill();
    assert!(orphan.is_alive());
    assert_eq!(ring.len(), 2);
    ring.producer().expect("its holder is dead, whoever it started");
    assert!(orphan.is_alive());
}

#[test]
fn records_of_the_dead_are_used_again() {
    let (name, ring) = ring_for(4);
    let mut consumer = ring.consumer().expect("free");
    for _ in 0..200 {
        let mut child = holder_of(&name);
        child.kill();
        assert_eq!(consumer.try_pop(), Ok(7));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    // Three are free, as at the beginning.
    let others: Vec<Ring> = (0..3).map(|_| Ring::open(&name).expect("a free record")).collect();
    assert!(matches!(Ring::open(&name), Err(OpenError::TooManyProcesses { limit: 4, .. })));
    drop(others);
}

#[test]
fn one_process_more_than_there_is_room_for_is_refused_until_one_leaves_or_dies() {
    let (name, _ring) = ring_for(3);
    // NB: each in a process that starts no others: a command that has not got to its exec keeps a record for a moment.
    let [mut one, mut other, mut third] = [(); 3].map(|()| Child::start("come and go", &[name.as_str()]));
    one.order("come");
    other.order("come");
    for _ in 0..3 {
        let error = Ring::open(&name).expect_err("three are attached");
        assert!(matches!(&error, OpenError::TooManyProcesses { name: found, limit: 3 } if found == name.as_str()));
        assert!(error.to_string().contains("3 processes"), "{error}");
    }
    one.kill();
    third.order("come");
    other.tell("come");
    other.expect("full");
    third.order("go");
    other.order("come");
    third.tell("come");
    third.expect("full");
}

#[test]
fn who_uses_the_record_of_a_dead_holder_is_not_taken_for_it() {
    let (name, ring) = ring_for(2);
    let consumer = ring.consumer().expect("free");
    let mut dead = holder_of(&name);
    let pid = dead.pid();
    dead.kill();
    // The only free record is the dead one's.
    let mut living = Child::start("attach", &[name.as_str()]);
    living.expect("attached");
    assert!(Ring::open(&name).is_err(), "all records are in use");
    assert_eq!(consumer.peer(), Peer::Dead { pid }, "the living is not called dead");
    drop(consumer);
    can_be_taken_over(&ring);
}

#[test]
fn the_living_and_the_dead_are_told_apart_after_the_name_is_gone() {
    let (name, ring) = ring_for(4);
    let mut child = holder_of(&name);
    Ring::unlink(&name).expect("it is there");
    is_taken_by(&ring, child.pid());
    child.kill();
    can_be_taken_over(&ring);
}

#[test]
fn who_cannot_ask_takes_everybody_for_alive() {
    let (name, ring) = ring_for(4);
    let mut dead = holder_of(&name);
    let mut asking = Child::start("ask without a descriptor", &[name.as_str()]);
    asking.expect("alive");
    dead.kill();
    asking.tell("again");
    asking.expect("dead");
    Ring::unlink(&name).expect("it is there");
    asking.tell("and without the name");
    asking.expect("alive");
    drop(ring);
}

/// Holds the producer's role of a ring, and does what it is told.
fn hold(arguments: &[String]) {
    let ring = Ring::open(&arguments[0]).expect("the parent made it");
    let mut producer = ring.producer().expect("the parent leaves it to us");
    producer.try_push(7).expect("room");
    say("holding");
    let mut held = Some((ring, producer));
    let mut spawned = Vec::new();
    while let Some(word) = listen() {
        match word.as_str() {
            "drop" => held = None,
            "push" => held.as_mut().expect("not dropped").1.try_push(7).expect("room"),
            "fork and sleep" => {
                // SAFETY: this process has one thread.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // Long enough, and not for ever when the test dies as well.
                    // SAFETY: it takes a number.
                    unsafe { libc::sleep(60) };
                    // SAFETY: it takes a number, and runs nothing of the parent's.
                    unsafe { libc::_exit(0) };
                }
                say(pid);
                continue;
            }
            "fork and drop" => {
                // SAFETY: this process has one thread.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    drop(held.take());
                    // SAFETY: it takes a number, and runs nothing of the parent's.
                    unsafe { libc::_exit(0) };
                }
                let ended = rustix::process::waitpid(Pid::from_raw(pid), rustix::process::WaitOptions::empty());
                let (_, status) = ended.expect("our child").expect("it ends");
                assert_eq!(status.exit_status(), Some(0), "{status:?}");
            }
            // SAFETY: the ring says that it can take this, and nothing else in this process has any.
            "closefrom" => assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0),
            "drop among others" => drop_among_others(&arguments[0], held.take()),
            "exec" => panic!("{}", command("hear", &[]).exec()),
            "spawn" => {
                // Without our input, or it would take our words.
                let mut program = Command::new("sleep");
                let process =
                    program.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it can be run");
                say(process.id());
                spawned.push(process);
                continue;
            }
            other => panic!("{other}"),
        }
        say("done");
    }
}

/// All descriptors were closed under `held`. Dropping it must not close what others have opened since.
fn drop_among_others(name: &str, held: Option<(Ring, spsc::Producer<u64>)>) {
    let files: Vec<std::fs::File> = (0..20).map(|_| std::fs::File::open("/dev/null").expect("it is there")).collect();
    let ring = Ring::open(name).expect("a second attachment");
    ring.producer().expect_err("the first one still has the role");
    drop(held);
    for file in files {
        assert!(file.metadata().is_ok(), "descriptor {} is closed", file.as_raw_fd());
        // SAFETY: the descriptor is taken out of the file, so nobody else closes it.
        assert_eq!(unsafe { libc::close(file.into_raw_fd()) }, 0);
    }
    drop(ring.producer().expect("given up by the first"));
}

fn attach(arguments: &[String]) {
    let _ring = Ring::open(&arguments[0]).expect("the parent made it");
    say("attached");
    listen();
}

/// Attaches once more, or lets go of all attachments, whenever it is told to.
fn come_and_go(arguments: &[String]) {
    let mut rings = Vec::new();
    while let Some(word) = listen() {
        match word.as_str() {
            "go" => rings.clear(),
            _ => match Ring::open(&arguments[0]) {
                Ok(ring) => rings.push(ring),
                Err(error) => {
                    assert!(matches!(error, OpenError::TooManyProcesses { limit: 3, .. }), "{error}");
                    say("full");
                    continue;
                }
            },
        }
        say("done");
    }
}

/// Says whether the producer is alive, without an open descriptor of the ring, whenever it is told to.
fn ask_without_a_descriptor(arguments: &[String]) {
    let ring = Ring::open(&arguments[0]).expect("the parent made it");
    // SAFETY: the ring says that it can take this, and nothing else in this process has any.
    assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
    loop {
        match ring.peer(Role::Producer) {
            Peer::Alive { .. } => say("alive"),
            Peer::Dead { .. } => say("dead"),
            other => panic!("{other:?}"),
        }
        if listen().is_none() {
            return;
        }
    }
}

/// Has nothing to do with any ring.
fn hear(_: &[String]) {
    say("done");
    while listen().is_some() {
        say("done");
    }
}

const JOBS: [Job; 5] = [
    ("hold", hold),
    ("attach", attach),
    ("come and go", come_and_go),
    ("ask without a descriptor", ask_without_a_descriptor),
    ("hear", hear),
];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}
