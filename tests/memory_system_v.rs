//! System V segments: what the system says of them, what else may have a key, creators that died, and namespaces.

mod support;
#[path = "support/system_v.rs"]
mod system_v;

use ringway::{CreateError, HeaderError, InvalidName, Lifetime, OpenError, Options, Source, SystemVError, UnlinkError};
use ringway::{MemoryKind, Role, spsc};
use rustix::thread::UnshareFlags;
use std::fs;
use std::os::unix::process::CommandExt;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::memory::{Memory, SystemV, source_of};
use support::{Child, Job, Name, be_the_other_process, command, listen, not_checked, say, wait_until};
use system_v::{HOLDER, MAGIC, Raw, begin, in_a_child, namespaces, somebody_alive, somebody_dead};

type Ring = spsc::Ring<u64>;

fn options() -> Options {
    Options::new().capacity(100).processes(4)
}

#[test]
fn ipcs_shows_it_with_its_key_size_mode_and_users() {
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options().mode(0o640)).expect("a new key");
    let memory = ring.memory();
    let id = key.id().expect("it is there");
    assert_eq!((memory.kind, memory.shmid, memory.inode), (MemoryKind::SystemV, Some(id), None));
    assert_eq!(ring.name(), format!("sysv:{:#010x}", key.0));
    let same = Ring::open(key.source()).expect("it is there");
    let shown = || {
        let table = fs::read_to_string("/proc/sysvipc/shm").expect("/proc is there");
        let of = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<String>>();
        table.lines().map(of).find(|words| words.get(1) == Some(&id.to_string()))
    };
    let words = shown().expect("it is listed");
    let expected = [key.0.to_string(), id.to_string(), "640".to_owned(), memory.bytes.to_string()];
    assert_eq!((&words[..4], words[6].as_str()), (&expected[..], "2"));
    if let Ok(output) = std::process::Command::new("ipcs").arg("-m").output() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("{:#010x}", key.0)), "{text}");
    }
    // Removed, it stays for those who have it, and goes with the last of them.
    Ring::unlink(key.source()).expect("it is there");
    assert_eq!(key.id(), None);
    ring.producer().expect("free").try_push(1).expect("room");
    assert_eq!(same.consumer().expect("free").try_pop(), Ok(1));
    assert_eq!(shown().expect("still attached")[6], "2");
    drop((ring, same));
    assert_eq!(shown(), None);
}

#[test]
fn a_file_and_a_number_stand_for_a_key() {
    let name = Name::new();
    let error = Ring::create(Source::ftok(name.path(), 7), &options()).expect_err("no such file");
    assert!(
        matches!(&error, CreateError::Name(InvalidName::NoKey { path, .. }) if *path == name.path().display().to_string())
    );
    fs::write(name.path(), "").expect("made");
    let source = Source::ftok(name.path(), 7);
    let ring = Ring::create(&source, &options()).expect("a key that nobody has");
    let shown = source.to_string();
    let key = SystemV(i32::from_str_radix(shown.rsplit_once("0x").expect("a key").1, 16).expect("a number"));
    Ring::open(Source::ftok(name.path(), 7)).expect("the same key");
    assert!(matches!(Ring::open(Source::ftok(name.path(), 8)), Err(OpenError::NotFound { .. })));
    assert_eq!(ring.memory().shmid, key.id());
    for operation in [
        Ring::create(Source::system_v(0), &options()).expect_err("private").to_string(),
        Ring::open(Source::system_v(0)).expect_err("private").to_string(),
        Ring::unlink(Source::system_v(0)).expect_err("private").to_string(),
    ] {
        assert!(operation.contains("IPC_PRIVATE"), "{operation}");
    }
}

#[test]
fn what_is_something_else_s_is_refused_and_left_alone() {
    let good = {
        let key = SystemV::new();
        let _ring = Ring::create(key.source(), &options()).expect("a new key");
        Raw::attach(key.id().expect("it is there")).bytes()
    };
    type IsRight = fn(&HeaderError) -> bool;
    let is_magic: IsRight = |error| matches!(error, HeaderError::Magic { .. });
    let is_size: IsRight = |error| matches!(error, HeaderError::FileSize { .. });
    let cases: [(usize, &[u8], IsRight, bool); 6] = [
        (100, b"something", |error| matches!(error, HeaderError::TooShort { found: 100, expected: 512 }), false),
        (1000, b"something", is_magic, false),
        (10_000, b"something", is_magic, false),
        (10_000, b"\0\0\0\0\0\0\0\0and then something", is_magic, false),
        // The true size counts, whatever is said in it.
        (good.len() - 8, &good[..good.len() - 8], is_size, true),
        (good.len() + 8, &good, is_size, true),
    ];
    for (size, bytes, is_right, is_ring) in cases {
        let key = SystemV::new();
        let raw = Raw::create(&key, size);
        raw.write(bytes);
        let before = raw.bytes();
        let error = Ring::open(key.source()).expect_err("no ring for us");
        let OpenError::Header { error, .. } = error else { panic!("{size}: {error}") };
        assert!(is_right(&error), "{size}: {error}");
        let error = Ring::create(key.source(), &options()).expect_err("the key is taken");
        assert!(matches!(error, CreateError::AlreadyExists { .. }), "{size}: {error}");
        let error = Ring::open_or_create(key.source(), &options()).expect_err("no ring for us");
        assert!(matches!(error, OpenError::Header { .. }), "{size}: {error}");
        assert!(raw.bytes() == before && raw.status().shm_nattch == 1);
        match Ring::unlink(key.source()) {
            Ok(()) => assert!(is_ring && key.id().is_none()),
            Err(error) => assert!(!is_ring && matches!(error, UnlinkError::NotARing { .. }), "{size}: {error}"),
        }
    }
}

#[test]
fn limits_of_the_system_are_errors_that_name_them() {
    if !rustix::process::geteuid().is_root() {
        return not_checked("only root can have limits of its own");
    }
    assert_eq!(Child::start("limits", &[]).finish(), ["done"]);
}

fn limits(_: &[String]) {
    // SAFETY: no descriptors or file system state are shared with another thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWIPC) }.expect("root");
    let (one, other) = (SystemV::new(), SystemV::new());
    fs::write("/proc/sys/kernel/shmmax", "100000").expect("our own namespace");
    let error = Ring::create(one.source(), &Options::new().capacity(1 << 20)).expect_err("8 MiB are too many");
    let CreateError::SystemV { error: SystemVError::Size { needed, most: 100_000 }, .. } = &error else {
        panic!("{error}")
    };
    assert!(*needed > 8 << 20 && error.to_string().contains("shmmax"), "{error}");
    fs::write("/proc/sys/kernel/shmmni", "1").expect("our own namespace");
    let ring = Ring::create(one.source(), &options()).expect("one fits");
    let error = Ring::create(other.source(), &options()).expect_err("a second one does not");
    assert!(matches!(error, CreateError::SystemV { error: SystemVError::Full { segments: 1, .. }, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("ipcrm") && text.contains("shmmni"), "{text}");
    let error = Ring::open_or_create(other.source(), &options()).expect_err("as before");
    assert!(matches!(error, OpenError::Create(CreateError::SystemV { .. })), "{error}");
    assert!(ring.producer().expect("free").try_push(1).is_ok());
    say("done");
}

#[test]
fn somebody_without_permission_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return not_checked("only root can become another user");
    }
    let (secret, shared) = (SystemV::new(), SystemV::new());
    let _secret = Ring::create(secret.source(), &options()).expect("a new key");
    let ring = Ring::create(shared.source(), &options().mode(0o666)).expect("a new key");
    let arguments = [secret.0.to_string(), shared.0.to_string()];
    assert_eq!(Child::start("stranger", &[&arguments[0], &arguments[1]]).finish(), ["done"]);
    assert_eq!(ring.consumer().expect("the stranger has left").try_pop(), Ok(7));
}

fn stranger(arguments: &[String]) {
    // SAFETY: they take numbers. The C library changes all threads.
    let gid = unsafe { libc::setresgid(65_534, 65_534, 65_534) };
    // SAFETY: it takes numbers. As above.
    let uid = unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    assert_eq!((gid, uid), (0, 0));
    let [secret, shared] = [0, 1].map(|index| Source::system_v(arguments[index].parse().expect("a key")));
    for options in [Options::new(), Options::new().owner(0)] {
        let error = Ring::open_with(&secret, &options).expect_err("mode 0600");
        assert!(matches!(&error, OpenError::Permission { name } if *name == secret.to_string()), "{error}");
    }
    let error = Ring::open(&shared).expect_err("not our own");
    assert!(matches!(error, OpenError::Owner { found: 0, expected: 65_534, .. }), "{error}");
    for source in [&secret, &shared] {
        let error = Ring::unlink(source).expect_err("not ours to remove");
        assert!(matches!(error, UnlinkError::Permission { .. }), "{error}");
        assert!(matches!(Ring::create(source, &options()), Err(CreateError::AlreadyExists { .. })));
    }
    let ring = Ring::open_with(&shared, &Options::new().owner(0)).expect("its owner is trusted, its mode lets us");
    ring.producer().expect("a free role").try_push(7).expect("room");
    say("done");
}

#[test]
fn what_a_dead_creator_has_left_half_made_is_nothing_and_gives_way() {
    for (marked, of_ours) in [(true, true), (true, false), (false, true)] {
        let (key, size) = (SystemV::new(), size_of_a_ring());
        // A process that is gone has made it; it came to say so, or not.
        let size = if of_ours { size } else { 12_345 };
        let mut maker = Child::start("make", &[&key.0.to_string(), &size.to_string()]);
        maker.expect("made");
        maker.kill();
        let raw = Raw::attach(key.id().expect("it is there"));
        begin(&raw, marked, if marked && of_ours { somebody_dead() } else { 0 });
        let before = raw.bytes();
        drop(raw);
        assert!(matches!(Ring::open(key.source()), Err(OpenError::NotFound { .. })));
        let id = key.id();
        let ring = Ring::create(key.source(), &options()).expect("it gives way");
        assert!(key.id().is_some() && key.id() != id, "a new segment");
        assert!(ring.producer().expect("free").try_push(1).is_ok());
        assert_eq!(Ring::open(key.source()).expect("whole").len(), 1);
        assert_eq!(before.len(), size);
    }
}

fn size_of_a_ring() -> usize {
    let key = SystemV::new();
    Ring::create(key.source(), &options()).expect("a new key").memory().bytes as usize
}

#[test]
fn zeros_of_another_size_or_in_use_may_be_anybody_s() {
    for (size, used) in [(12_345, false), (size_of_a_ring(), true)] {
        let key = SystemV::new();
        let mut maker = Child::start("make", &[&key.0.to_string(), &size.to_string()]);
        maker.expect("made");
        maker.kill();
        let raw = used.then(|| Raw::attach(key.id().expect("it is there")));
        let id = key.id();
        let error = Ring::create(key.source(), &options()).expect_err("somebody else may have made it");
        assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error}");
        assert!(matches!(Ring::unlink(key.source()), Err(UnlinkError::NotARing { .. })));
        assert_eq!(key.id(), id);
        drop(raw);
    }
}

#[test]
fn nobody_takes_what_a_living_creator_is_making() {
    for holder in [somebody_alive(), 0] {
        let (key, size) = (SystemV::new(), size_of_a_ring());
        let raw = Raw::create(&key, size);
        for marked in [false, true] {
            // Without a name, the kernel remembers us.
            begin(&raw, marked, if marked { holder } else { 0 });
            assert!(matches!(Ring::open(key.source()), Err(OpenError::NotFound { .. })));
            let error = Ring::create(key.source(), &options()).expect_err("somebody is making it");
            assert!(matches!(error, CreateError::AlreadyExists { .. }), "{error}");
            assert_eq!(key.id(), Some(raw.id));
        }
        let error = Ring::open_or_create(key.source(), &options()).expect_err("it does not get on");
        assert!(matches!(&error, OpenError::Timeout { .. }) && error.to_string().contains("stopped"), "{error}");
        // In another namespace, nobody can say whether its maker lives.
        begin(&raw, true, somebody_dead());
        raw.word(HOLDER + 1).store(namespaces() + 1, Ordering::SeqCst);
        assert!(matches!(Ring::create(key.source(), &options()), Err(CreateError::AlreadyExists { .. })));
        // Who knows better can say so.
        Ring::unlink(key.source()).expect("it says that it would have been a ring");
        Ring::create(key.source(), &options()).expect("the key is free");
    }
}

#[test]
fn a_gate_that_the_dead_hold_is_open_and_that_of_the_living_is_waited_for() {
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options().lifetime(Lifetime::LastDetach)).expect("a new key");
    let raw = Raw::attach(key.id().expect("it is there"));
    assert_eq!((raw.word(0).load(Ordering::SeqCst), raw.word(HOLDER).load(Ordering::SeqCst)), (MAGIC, 0));
    raw.word(HOLDER).store(somebody_dead(), Ordering::SeqCst);
    drop(Ring::open(key.source()).expect("the dead hold nothing"));
    assert_eq!(raw.word(HOLDER).load(Ordering::SeqCst), 0);
    raw.word(HOLDER).store(somebody_alive(), Ordering::SeqCst);
    let error = Ring::open(key.source()).expect_err("the first process is alive");
    assert!(matches!(error, OpenError::Timeout { .. }), "{error}");
    raw.word(HOLDER).store(0, Ordering::SeqCst);
    drop(ring);
    assert_eq!(key.id(), None, "the last one has left");
}

#[test]
fn of_many_who_open_or_create_at_once_over_a_dead_creator_all_get_the_same_ring() {
    for _ in 0..30 {
        let (key, size) = (SystemV::new(), size_of_a_ring());
        begin(&Raw::create(&key, size), true, somebody_dead());
        let barrier = std::sync::Barrier::new(4);
        let rings: Vec<Ring> = std::thread::scope(|scope| {
            let open = || {
                barrier.wait();
                Ring::open_or_create(key.source(), &options()).expect("one of the two is possible")
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        rings[0].producer().expect("free").try_push(1).expect("room");
        assert!(rings.iter().all(|ring| ring.len() == 1 && ring.memory().shmid == key.id()));
    }
}

#[test]
fn a_process_of_another_pid_or_time_namespace_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return not_checked("only root can make namespaces");
    }
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options()).expect("a new key");
    for kind in ["pid", "pid with its own /proc", "time"] {
        let said = Child::start("live elsewhere", &[&key.0.to_string(), kind]).finish();
        match &said[..] {
            [word] if word == "no namespace" => not_checked(format_args!("there are no {kind} namespaces")),
            _ => assert_eq!(said, ["refused"], "{kind}"),
        }
    }
    assert!(ring.producer().is_ok());
}

fn live_elsewhere(arguments: &[String]) {
    // NB: in a process whose only thread is its first one: `/proc` shows the namespaces of no other.
    let status = in_a_child(|| {
        let flag = if arguments[1] == "time" { libc::CLONE_NEWTIME } else { libc::CLONE_NEWPID };
        // SAFETY: it takes a number. Children live in the new namespaces, not this process.
        if unsafe { libc::unshare(flag | libc::CLONE_NEWNS) } != 0 {
            return 2;
        }
        if flag == libc::CLONE_NEWTIME {
            // So that it shows: the same process was started at another time there.
            fs::write("/proc/self/timens_offsets", "boottime 1000 0").expect("nobody lives there yet");
        }
        in_a_child(|| {
            if arguments[1].contains("own") {
                use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
                mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
                mount("proc", "/proc", "proc", MountFlags::empty(), c"").expect("root");
            }
            match Ring::open(Source::system_v(arguments[0].parse().expect("a key"))) {
                Err(OpenError::OtherNamespace { found, expected, .. }) if found != expected && found != 0 => 0,
                _ => 1,
            }
        })
    });
    match status {
        0 => say("refused"),
        2 => say("no namespace"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_zombie_is_dead_and_one_with_another_thread_is_alive() {
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options()).expect("a new key");
    let holder = Child::start("hold", &[&key.0.to_string(), "and end"]);
    // Nobody has waited for it yet.
    wait_until("it is a zombie", || state_of(holder.pid()) == Some('Z'));
    ring.producer().expect("its holder is dead");
    drop(holder);

    let mut parent = Child::start("hold", &[&key.0.to_string(), "in a thread"]);
    let pid: u32 = parent.hear().parse().expect("a pid");
    wait_until("its first thread has ended", || state_of(pid) == Some('Z'));
    for _ in 0..100 {
        assert_eq!(ring.peer(Role::Producer), spsc::Peer::Alive { pid });
    }
    parent.order("kill it");
    ring.producer().expect("its holder is dead");
}

fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Ends holding the producer's role, or has a process hold it of which the first thread has ended.
fn hold(arguments: &[String]) {
    let claim = || {
        let ring = Ring::open(Source::system_v(arguments[0].parse().expect("a key"))).expect("the parent made it");
        ring.producer().expect("free")
    };
    if arguments[1] == "and end" {
        let _producer = claim();
        // SAFETY: it takes a number, and drops nothing.
        unsafe { libc::_exit(0) };
    }
    // NB: a test may run in a second thread. A forked child has one, which is its first.
    // SAFETY: nobody else here is in the middle of anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let producer = claim();
        std::thread::spawn(move || {
            let _held = producer;
            loop {
                std::thread::sleep(Duration::from_secs(60));
            }
        });
        // SAFETY: the thread ends, and nothing else. (`exit_group` would end the process.)
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    say(pid);
    let told = listen();
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("our child");
    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).expect("it ends");
    if told.is_some() {
        say("done");
    }
}

#[test]
fn a_process_counts_as_attached_after_an_exec_until_it_ends() {
    let key = SystemV::new();
    let ring = Ring::create(key.source(), &options()).expect("a new key");
    let mut child = Child::start("hold and exec", &[&key.0.to_string()]);
    child.expect("another program");
    assert_eq!(ring.peer(Role::Producer), spsc::Peer::Alive { pid: child.pid() });
    child.kill();
    ring.producer().expect("its holder is dead");
}

fn hold_and_exec(arguments: &[String]) {
    let ring = Ring::open(Source::system_v(arguments[0].parse().expect("a key"))).expect("the parent made it");
    let _producer = ring.producer().expect("free");
    panic!("{}", command("another program", &[]).exec());
}

fn another_program(_: &[String]) {
    say("another program");
    listen();
}

/// Makes a segment, and no ring.
fn make(arguments: &[String]) {
    let key = std::mem::ManuallyDrop::new(SystemV(arguments[0].parse().expect("a key")));
    let _raw = Raw::create(&key, arguments[1].parse().expect("a size"));
    say("made");
    listen();
}

#[test]
fn an_address_is_a_key() {
    let key = SystemV::new();
    assert_eq!(source_of(&key.address(None)).to_string(), key.source().to_string());
}

const JOBS: [Job; 7] = [
    ("limits", limits),
    ("stranger", stranger),
    ("live elsewhere", live_elsewhere),
    ("hold", hold),
    ("hold and exec", hold_and_exec),
    ("another program", another_program),
    ("make", make),
];

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&JOBS);
}
