//! What can be done to a ring's memory, and to its name, behind the back of those who are attached, and by other users
//! before anybody is. What each kind of memory promises of its own is in the files of that name.

mod support;
#[path = "support/system_v.rs"]
mod system_v;

use ringway::inspect::{RoleHolder, Segment};
use ringway::{CreateError, HeaderError, OpenError, Options, Role, Source, UnlinkError, mpmc, spsc};
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, fallocate};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;
use support::bytes::{RECORDS, Scribbler, set_field};
use support::memory::{Memory, SystemV};
use support::{Child, Job, Name, be_the_other_process, listen, not_checked, nothing_in_the_making, say, wait_until};
use system_v::in_a_child;

type Ring = spsc::Ring<u64>;

fn options() -> Options {
    Options::new().capacity(1_000).processes(4)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn become_user(user: u32) {
    // SAFETY: it takes numbers. The C library changes all threads.
    assert_eq!(unsafe { libc::setresuid(user, user, user) }, 0);
}

fn punch(file: impl AsFd, from: u64, length: u64) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(file, flags, from, length).expect("a file in memory can have holes");
}

#[test]
fn a_hole_is_noticed_by_who_attaches_and_is_garbage_to_who_is_attached() {
    let name = Name::new();
    let ring = Ring::create(&name, &options()).expect("a new name");
    let file = File::options().write(true).open(name.path()).expect("ours");
    let length = file.metadata().expect("ours").len();
    is_punched(&ring, &file, length, Source::from(name.as_str()));
    let errors = Segment::open(&name).expect("a file").picture().expect("readable").errors;
    assert!(matches!(errors[..], [HeaderError::Magic { .. }]), "{errors:?}");
}

#[test]
fn a_hole_in_sealed_memory_is_noticed_by_who_attaches_too() {
    let ring = Ring::create(Source::memfd("holes"), &options()).expect("memory");
    let file = ring.as_fd().expect("it has one").try_clone_to_owned().expect("descriptors");
    let length = ring.memory().bytes;
    is_punched(&ring, &file, length, Source::fd(&file).expect("descriptors"));
}

#[test]
fn a_hole_in_a_system_v_segment_is_no_ring_and_garbage_to_who_is_attached() {
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options()).expect("a new key");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    assert_eq!(producer.push_slice(&[1; 900]), Ok(900));
    let raw = system_v::Raw::attach(key.id().expect("it is there"));
    let first = std::ptr::from_ref(raw.word(0)).cast_mut().cast();
    // SAFETY: all of the segment, which is mapped; its words are atomics, of which zero is a value.
    let punched = unsafe { libc::madvise(first, raw.status().shm_segsz, libc::MADV_REMOVE) };
    assert_eq!(punched, 0, "{}", std::io::Error::last_os_error());
    for number in 0..2_000 {
        let _ = (producer.try_push(number), consumer.try_pop());
    }
    assert!(Ring::open(key.source()).is_err(), "there is no header");
    // It begins with nothing, and somebody has it: so it is nobody's to remove.
    let error = Ring::create(key.source(), &options()).expect_err("the key is taken");
    assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error}");
}

/// First behind the header, and then all of it.
fn is_punched(ring: &Ring, file: impl AsFd, length: u64, source: Source) {
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    for number in 0..900 {
        producer.try_push(number).expect("room");
    }
    let sparse = |error: OpenError| match error {
        OpenError::Header { error: HeaderError::Sparse { found, expected }, .. } => found < expected,
        other => panic!("{other}"),
    };
    punch(&file, 4096, length - 4096);
    assert!(sparse(Ring::open(source.clone()).expect_err("it has a hole")));
    // Zeros where the messages were. They are an error, none, or wrong ones; not a signal.
    let mut use_it = || {
        for number in 0..2_000 {
            let _ = (producer.try_push(number), consumer.try_pop());
        }
        let _ = (producer.push_slice(&[1; 50]), consumer.pop_slice(&mut [0; 50]));
        assert!(producer.len() <= 1_000 && consumer.len() <= 1_000);
    };
    use_it();
    punch(&file, 0, length);
    use_it();
    let error = Ring::open(source).expect_err("there is no header");
    assert!(matches!(error, OpenError::Header { error: HeaderError::Magic { .. }, .. }), "{error}");
}

#[test]
fn a_name_that_vanishes_is_not_found_and_who_is_attached_goes_on() {
    // As systemd's RemoveIPC does it when a user logs out.
    let (name, key) = (Name::new(), SystemV::new());
    let file = || fs::remove_file(name.path()).expect("it is there");
    let segment = || {
        // SAFETY: this command takes no argument.
        let removed = unsafe { libc::shmctl(key.id().expect("it is there"), libc::IPC_RMID, std::ptr::null_mut()) };
        assert_eq!(removed, 0);
    };
    let kinds: [(Source, &dyn Fn()); 2] = [(Source::from(name.as_str()), &file), (key.source(), &segment)];
    for (source, remove) in kinds {
        let ring = mpmc::Ring::<u64>::create(source.clone(), &options()).expect("new");
        let (mut producer, same) = (ring.producer(), mpmc::Ring::<u64>::open(source.clone()).expect("there"));
        producer.try_push(1).expect("room");
        remove();
        assert!(matches!(mpmc::Ring::<u64>::open(source.clone()), Err(OpenError::NotFound { .. })));
        assert!(matches!(mpmc::Ring::<u64>::unlink(source.clone()), Err(UnlinkError::NotFound { .. })));
        producer.push(2).expect("room");
        let mut consumer = same.consumer();
        assert_eq!((consumer.pop().map(|popped| *popped), consumer.pop().map(|popped| *popped)), (Ok(1), Ok(2)));
        let patience = Duration::from_millis(20);
        assert!(consumer.pop_timeout(patience).is_err(), "it waits as before");
        // Whoever comes next makes another ring, which is not theirs.
        let next = mpmc::Ring::<u64>::open_or_create(source.clone(), &options()).expect("the name is free");
        assert!(next.is_empty() && next.consumer().try_pop().is_err());
        producer.try_push(3).expect("room");
        assert!(next.is_empty());
        drop((producer, consumer, ring, same, next));
    }
}

#[test]
fn a_ring_that_is_replaced_is_another_one_as_its_inode_says() {
    let (name, other) = (Name::new(), Name::new());
    let ring = Ring::create(&name, &options()).expect("a new name");
    let mut producer = ring.producer().expect("free");
    producer.try_push(1).expect("room");
    drop(Ring::create(&other, &options()).expect("a new name"));
    fs::rename(other.path(), name.path()).expect("both are there");
    // Who is attached has what it had; who attaches, the new one.
    let same = Ring::open(&name).expect("there is one");
    assert!(same.producer().is_ok() && same.is_empty());
    assert_eq!(ring.consumer().expect("free").try_pop(), Ok(1));
    let shown = Segment::open(&name).expect("there is one").picture().expect("readable").file.inode;
    assert_eq!(Some(shown), same.memory().inode);
    assert_ne!(Some(shown), ring.memory().inode, "so one sees that it is another one");
    // And who leaves does not take it away.
    drop((producer, ring));
    assert!(name.exists());
}

#[test]
fn a_ring_that_is_cut_short_is_refused_by_who_attaches_and_shown_as_such() {
    let name = Name::new();
    drop(Ring::create(&name, &options()).expect("a new name"));
    let file = File::options().write(true).open(name.path()).expect("ours");
    let whole = file.metadata().expect("ours").len();
    for (length, is_right) in [
        (whole - 1, (|error| matches!(error, HeaderError::FileSize { .. })) as fn(&HeaderError) -> bool),
        (4096, |error| matches!(error, HeaderError::FileSize { .. })),
        (100, |error| matches!(error, HeaderError::TooShort { .. })),
        (whole + 4096, |error| matches!(error, HeaderError::Checksum { .. })),
    ] {
        file.set_len(length).expect("ours");
        let error = match Ring::open(&name).expect_err("it was cut") {
            OpenError::Header { error, .. } => error,
            other => panic!("{other}"),
        };
        assert!(is_right(&error), "{length} bytes: {error}");
        let errors = Segment::open(&name).expect("a file").picture().expect("readable").errors;
        assert!(errors.iter().any(is_right), "{length} bytes: {errors:?}");
    }
}

#[test]
fn a_process_of_another_pid_namespace_takes_part_in_a_ring_that_has_a_file() {
    if !is_root() {
        return not_checked("only root can make namespaces");
    }
    let name = Name::new();
    let ring = Ring::create(&name, &options()).expect("a new name");
    let mut elsewhere = Child::start("live elsewhere", &[name.as_str()]);
    match elsewhere.hear().as_str() {
        "no namespace" => return not_checked("there are no pid namespaces"),
        word => assert_eq!(word, "attached"),
    }
    let mut consumer = ring.consumer().expect("free");
    assert_eq!(consumer.pop_timeout(support::PATIENCE), Ok(7));
    // It is process 2 there, whatever that is here, and alive.
    assert_eq!(ring.peer(Role::Producer), spsc::Peer::Alive { pid: 2 });
    assert!(ring.producer().is_err(), "its role is not for us");
    let shown = Segment::open(&name).expect("there").picture().expect("readable").contents.expect("in order");
    assert!(shown.processes.iter().any(|process| process.pid == 2 && process.elsewhere));
    // What it is killed by, or how, is the kernel's to say.
    elsewhere.tell("die");
    wait_until("it is dead", || ring.peer(Role::Producer) == spsc::Peer::Dead { pid: 2 });
    ring.producer().expect("free").try_push(8).expect("room");
    assert_eq!(consumer.try_pop(), Ok(8));
}

fn live_elsewhere(arguments: &[String]) {
    // NB: in processes whose only thread is their first one.
    let status = in_a_child(|| {
        // SAFETY: it takes a number. Children live in the new namespace, not this process.
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            return 2;
        }
        // The first process there, and another one, which is killed while the first goes on.
        in_a_child(|| {
            let killed = is_killed(|| {
                let ring = Ring::open(arguments[0].as_str()).expect("a good ring");
                let mut producer = ring.producer().expect("free");
                producer.push(7).expect("room");
                say("attached");
                let _ = listen();
                kill_process(getpid(), Signal::KILL).expect("it is there");
            });
            i32::from(!killed)
        })
    });
    if status == 2 {
        say("no namespace");
    }
}

/// Runs `job` in a forked child, and says whether it was killed at it.
fn is_killed(job: impl FnOnce()) -> bool {
    // SAFETY: nobody else here is in the middle of anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        // SAFETY: it takes a number, and runs nothing of the parent's.
        unsafe { libc::_exit(1) };
    }
    let ended = waitpid(Pid::from_raw(pid), WaitOptions::empty()).expect("our child").expect("it ends");
    ended.1.terminating_signal() == Some(libc::SIGKILL)
}

#[test]
fn a_ring_of_another_boot_is_taken_over_from_the_dead() {
    // Memory does not outlive its machine; a folder on a disk does, and what was in the ring may be there.
    let name = Name::new();
    drop(Ring::create(&name, &options()).expect("a new name"));
    let mut holder = Child::start("hold", &[name.as_str()]);
    holder.expect("holding");
    holder.kill();
    let mut bytes = fs::read(name.path()).expect("ours");
    set_field(&mut bytes, "boot id", 0x1234_5678);
    let pid = u64::from(std::process::id());
    fs::write(name.path(), &bytes).expect("ours");
    // The pid of the holder is somebody else's by now: ours.
    Scribbler::new(&name.path()).set(RECORDS + 2 * 8, pid);
    let picture = Segment::open(&name).expect("there").picture().expect("readable");
    assert!(picture.layout.expect("a header").other_boot);
    let roles = picture.contents.expect("in order").roles.expect("it has roles");
    assert!(matches!(roles.producer, RoleHolder::Dead { .. }), "{roles:?}");
    let ring = Ring::open(&name).expect("its boot does not matter");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    assert_eq!((consumer.try_pop(), consumer.try_pop()), (Ok(1), Ok(2)), "what was committed");
    producer.try_push(3).expect("room");
    assert_eq!(consumer.try_pop(), Ok(3));
}

fn hold(arguments: &[String]) {
    let ring = Ring::open(arguments[0].as_str()).expect("a good ring");
    let (mut producer, _consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
    say("holding");
    let _ = listen();
}

#[test]
fn what_another_user_has_put_there_before_us_is_refused_and_left_alone() {
    if !is_root() {
        return not_checked("only root can be another user");
    }
    let ring = Name::new();
    drop(Ring::create(&ring, &options().mode(0o666)).expect("a new name"));
    let names: Vec<Name> = THINGS.iter().map(|_| Name::new()).collect();
    let said = Child::start(
        "put things there",
        &[&[ring.as_str()], &names.iter().map(Name::as_str).collect::<Vec<_>>()[..]].concat(),
    );
    let said = said.finish();
    assert_eq!(said.last().map(String::as_str), Some("done"));
    let before = fs::read(ring.path()).expect("ours");
    // To root, who may do anything, and to a third user.
    is_refused(&names);
    assert_eq!(Child::start("third", &names.iter().map(Name::as_str).collect::<Vec<_>>()).finish(), ["done"]);
    assert!(before == fs::read(ring.path()).expect("ours"), "a link to it was followed");
    assert!(!support::path_of(NOWHERE).exists(), "a dangling link was followed");
    nothing_in_the_making();
}

/// What another user makes.
const THINGS: [&str; 6] = ["file", "ring", "fifo", "directory", "symbolic link", "dangling link"];
const NOWHERE: &str = "ringway-test-nothing-is-here";

fn put_things_there(arguments: &[String]) {
    become_user(65_534);
    for (thing, name) in THINGS.iter().zip(&arguments[1..]) {
        let path = support::path_of(name);
        let open = Mode::from_raw_mode(0o666);
        match *thing {
            "file" => {
                fs::write(&path, [7; 10_000]).expect("made");
                rustix::fs::chmod(&path, open).expect("ours");
            }
            "ring" => drop(Ring::create(name.as_str(), &options().mode(0o666)).expect("a new name")),
            "fifo" => {
                rustix::fs::mknodat(CWD, &path, FileType::Fifo, open, 0).expect("made");
                rustix::fs::chmod(&path, open).expect("ours");
            }
            "directory" => fs::create_dir(&path).expect("made"),
            "symbolic link" => symlink(support::path_of(&arguments[0]), &path).expect("made"),
            _ => symlink(support::path_of(NOWHERE), &path).expect("made"),
        }
    }
    say("done");
}

fn is_refused(names: &[Name]) {
    for (thing, name) in THINGS.iter().zip(names) {
        let before = name.path().symlink_metadata().expect("it is there");
        let opened = Ring::open(name).expect_err("not ours");
        let right = match &opened {
            OpenError::NotAFile { found, .. } => {
                thing.contains(found) || thing.contains("link") && found.contains("link")
            }
            OpenError::Owner { found: 65_534, .. } => ["file", "ring"].contains(thing),
            // The system may refuse to open another's fifo, or file, in such a folder (fs.protected_fifos).
            OpenError::Permission { .. } => *thing == "fifo",
            _ => false,
        };
        assert!(right, "{thing}: {opened}");
        let either = Ring::open_or_create(name, &options()).expect_err("not ours");
        assert_eq!(either.to_string(), opened.to_string());
        let created = Ring::create(name, &options()).expect_err("taken");
        assert!(matches!(created, CreateError::AlreadyExists { .. }), "{thing}: {created}");
        if *thing != "ring" {
            Ring::unlink(name).expect_err("no ring");
        }
        let after = name.path().symlink_metadata().expect("it is still there");
        let facts = |of: &fs::Metadata| (of.ino(), of.mode(), of.uid(), of.len(), of.mtime_nsec());
        assert_eq!(facts(&before), facts(&after), "{thing}");
    }
}

fn third(arguments: &[String]) {
    become_user(65_533);
    let names: Vec<Name> = arguments.iter().map(|name| Name::of(name)).collect();
    is_refused(&names);
    // They are the parent's to remove, who may.
    names.into_iter().for_each(std::mem::forget);
    say("done");
}

#[test]
fn a_segment_that_another_user_made_and_gave_to_us_is_not_ours() {
    if !is_root() {
        return not_checked("only root can be another user");
    }
    let key = SystemV::new();
    for (maker, owner, found) in [(65_534, 65_533, 65_534), (65_533, 65_533, 0), (0, 65_533, 0)] {
        let numbers = [key.0, maker, owner].map(|number| number.to_string());
        assert_eq!(Child::start("give away", &numbers.each_ref().map(String::as_str)).finish(), ["done"]);
        assert_eq!(Child::start("receive", &[&numbers[0], &found.to_string()]).finish(), ["done"]);
        Ring::unlink(key.source()).expect("we are root");
    }
}

fn give_away(arguments: &[String]) {
    let [key, maker, owner] = [0, 1, 2].map(|index| arguments[index].parse::<i32>().expect("a number"));
    become_user(maker as u32);
    drop(Ring::create(Source::system_v(key), &options().mode(0o666)).expect("a new key"));
    // SAFETY: it takes numbers.
    let raw = system_v::Raw::attach(unsafe { libc::shmget(key, 0, 0) });
    let mut status = raw.status();
    status.shm_perm.uid = owner as u32;
    // SAFETY: it reads from a variable of ours.
    assert_eq!(unsafe { libc::shmctl(raw.id, libc::IPC_SET, &mut status) }, 0, "anybody can give away");
    say("done");
}

/// Nobody but itself and root is trusted. The second argument names whom it finds instead, if it does; 0: nobody.
fn receive(arguments: &[String]) {
    become_user(65_533);
    let (key, maker) = (arguments[0].parse().expect("a key"), arguments[1].parse::<u32>().expect("a number"));
    match Ring::open(Source::system_v(key)) {
        Err(OpenError::Owner { found, expected: 65_533, .. }) => assert_eq!(found, maker),
        Ok(_) => assert_eq!(maker, 0),
        Err(other) => panic!("{other}"),
    }
    say("done");
}

#[test]
fn another_name_for_our_ring_is_our_ring_whoever_gave_it() {
    if !is_root() {
        return not_checked("only root can be another user");
    }
    let (ring, secret, link) = (Name::new(), Name::new(), Name::new());
    let shared = Ring::create(&ring, &options().mode(0o666)).expect("a new name");
    drop(Ring::create(&secret, &options()).expect("a new name"));
    let said = Child::start("link", &[ring.as_str(), secret.as_str(), link.as_str()]).finish();
    if said != ["linked"] {
        return not_checked(format_args!("another user may not link to our file: {said:?}"));
    }
    // It may write there anyway. So nothing is given away that it has not.
    let same = Ring::open(&link).expect("our own");
    assert_eq!(same.memory().inode, shared.memory().inode);
    Ring::unlink(&link).expect("there");
    assert!(ring.exists() && !link.exists());
}

fn link(arguments: &[String]) {
    become_user(65_534);
    let path = |index: usize| support::path_of(&arguments[index]);
    let protected = fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1");
    if protected {
        fs::hard_link(path(1), path(2)).expect_err("it may not be read");
    }
    match fs::hard_link(path(0), path(2)) {
        Ok(()) => say("linked"),
        Err(error) => say(error),
    }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    const JOBS: [Job; 7] = [
        ("live elsewhere", live_elsewhere),
        ("hold", hold),
        ("put things there", put_things_there),
        ("third", third),
        ("link", link),
        ("give away", give_away),
        ("receive", receive),
    ];
    be_the_other_process(&JOBS);
}
