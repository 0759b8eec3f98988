//! Names: how a ring appears under one, what else may have it, and that what is not ours stays as it is.

mod support;

use ringway::{CreateError, HeaderError, InvalidName, OpenError, Options, UnlinkError, spsc};
use rustix::fs::{CWD, FileType, Mode};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use support::bytes::{set_field, set_word};
use support::{Child, Name, be_the_other_process, listen, nothing_in_the_making, say};

type Ring = spsc::Ring<u64>;

/// Everything about a name that must stay as it is.
#[derive(PartialEq, Debug)]
struct OnDisk {
    inode: u64,
    mode: u32,
    owner: u32,
    links: u64,
    modified: (i64, i64),
    bytes: Option<Vec<u8>>,
    target: Option<std::path::PathBuf>,
}

fn on_disk(path: &Path) -> OnDisk {
    let found = path.symlink_metadata().expect("it is still there");
    OnDisk {
        inode: found.ino(),
        mode: found.mode(),
        owner: found.uid(),
        links: found.nlink(),
        modified: (found.mtime(), found.mtime_nsec()),
        bytes: found.is_file().then(|| fs::read(path).expect("a file that can be read")),
        target: fs::read_link(path).ok(),
    }
}

/// Nothing that is done with a name that is something else's changes it; each attempt ends in an error that names it.
/// Gives back what `open` said.
#[track_caller]
fn stays_as_it_is(name: &Name, options: &Options, is_a_ring: bool) -> OpenError {
    let before = on_disk(&name.path());
    let opened = Ring::open_with(name, options).expect_err("it is no ring for us");
    let either = Ring::open_or_create(name, options).expect_err("it is no ring for us");
    assert_eq!(either.to_string(), opened.to_string());
    let created = Ring::create(name, options).expect_err("the name is taken");
    assert!(matches!(created, CreateError::AlreadyExists { .. }), "{created}");
    for text in [opened.to_string(), created.to_string()] {
        assert!(text.contains(name.as_str()), "{text}");
    }
    if !is_a_ring {
        let unlinked = Ring::unlink(name).expect_err("it is no ring");
        assert!(matches!(unlinked, UnlinkError::NotARing { .. }), "{unlinked}");
        assert!(unlinked.to_string().contains(name.as_str()), "{unlinked}");
    }
    assert_eq!(on_disk(&name.path()), before);
    nothing_in_the_making();
    opened
}

#[test]
fn create_makes_a_name_open_finds_it_and_unlink_removes_it() {
    let name = Name::new();
    assert!(matches!(Ring::open(&name), Err(OpenError::NotFound { name: found }) if found == name.as_str()));
    assert!(matches!(Ring::unlink(&name), Err(UnlinkError::NotFound { name: found }) if found == name.as_str()));
    let ring = Ring::create(&name, &Options::new()).expect("a new name");
    assert!(name.exists());
    let before = on_disk(&name.path());
    let again = Ring::create(&name, &Options::new()).expect_err("it exists");
    assert!(matches!(&again, CreateError::AlreadyExists { name: found } if found == name.as_str()), "{again}");
    assert_eq!(on_disk(&name.path()), before);
    Ring::open(&name).expect("it is there");
    Ring::unlink(&name).expect("it is there");
    assert!(!name.exists());
    assert!(matches!(Ring::open(&name), Err(OpenError::NotFound { .. })));
    // Whoever is attached goes on.
    ring.producer().expect("free").try_push(1).expect("room");
    assert_eq!(ring.consumer().expect("free").try_pop(), Ok(1));
    nothing_in_the_making();
}

#[test]
fn a_name_that_cannot_be_one_is_refused_by_every_operation_before_anything_is_touched() {
    let long = "x".repeat(251);
    type IsRight = fn(&InvalidName) -> bool;
    let bad: [(&[u8], IsRight); 12] = [
        (b"", |error| *error == InvalidName::Empty),
        (long.as_bytes(), |error| *error == InvalidName::TooLong { found: 251, expected: 250 }),
        (b"a/b", |error| matches!(error, InvalidName::NotAComponent { found } if found == "a/b")),
        (b"/a", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b"../a", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b"a\nb", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b"a\0b", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b".", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b"..", |error| matches!(error, InvalidName::NotAComponent { .. })),
        (b"a\xffb", |error| matches!(error, InvalidName::NotUtf8 { found } if found == "a\u{fffd}b")),
        (b".ringway-", |error| matches!(error, InvalidName::Reserved { .. })),
        (b".ringway-1-2", |error| matches!(error, InvalidName::Reserved { prefix: ".ringway-", .. })),
    ];
    for (bytes, is_right) in bad {
        let name = OsStr::from_bytes(bytes);
        let errors = [
            match Ring::create(name, &Options::new()) {
                Err(CreateError::Name(error)) => error,
                other => panic!("{other:?}"),
            },
            match Ring::open(name) {
                Err(OpenError::Name(error)) => error,
                other => panic!("{other:?}"),
            },
            match Ring::open_or_create(name, &Options::new()) {
                Err(OpenError::Name(error)) => error,
                other => panic!("{other:?}"),
            },
            match Ring::unlink(name) {
                Err(UnlinkError::Name(error)) => error,
                other => panic!("{other:?}"),
            },
        ];
        for error in errors {
            assert!(is_right(&error), "{name:?}: {error}");
        }
    }
}

#[test]
fn the_longest_name_and_the_oddest_ones_work() {
    struct Removed<'n>(&'n str);
    impl Drop for Removed<'_> {
        fn drop(&mut self) {
            let _ = Ring::unlink(self.0);
        }
    }
    let pid = std::process::id();
    let odd = format!("ringway-test-{pid}-");
    let longest = format!("{odd}{}", "y".repeat(250 - odd.len()));
    for name in [longest.as_str(), &format!("{odd} %s"), &format!("{odd}übung"), &format!("..{odd}")] {
        let _removed = Removed(name);
        let ring = Ring::open_or_create(name, &Options::new()).expect("a good name");
        assert_eq!(ring.name(), name);
        Ring::open(name).expect("it is there");
        Ring::unlink(name).expect("it is there");
    }
}

#[test]
fn sizes_that_no_ring_can_have_are_refused_and_leave_nothing() {
    let name = Name::new();
    let most = (isize::MAX as usize) / 64 * 7;
    for capacity in [0, usize::MAX, usize::MAX / 2, isize::MAX as usize] {
        let error = Ring::create(&name, &Options::new().capacity(capacity)).expect_err("no ring is that large");
        let CreateError::Capacity { found, expected, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, capacity);
        assert!((most - 100_000..=most).contains(expected), "{expected}");
        assert!(error.to_string().contains(&format!("{capacity} messages, expected 1 to {expected}")), "{error}");
        let either = Ring::open_or_create(&name, &Options::new().capacity(capacity)).expect_err("too large");
        assert_eq!(either.to_string(), error.to_string());
    }
    for processes in [0, 8_192, usize::MAX] {
        let error = Ring::create(&name, &Options::new().processes(processes)).expect_err("too many");
        assert!(matches!(error, CreateError::Processes { found, expected: 8_191, .. } if found == processes));
    }
    assert!(!name.exists());
    let ring = Ring::create(&name, &Options::new().capacity(1).processes(8_191)).expect("the most there can be");
    assert_eq!(ring.capacity(), 1);
}

#[test]
fn a_name_that_is_something_else_s_is_refused_and_left_alone() {
    type Make = fn(&Path);
    let make: [(&str, Make); 9] = [
        ("0 bytes", |path| fs::write(path, b"").expect("made")),
        ("100 bytes", |path| fs::write(path, [7; 100]).expect("made")),
        ("begins with", |path| fs::write(path, [7; 10_000]).expect("made")),
        ("begins with", |path| fs::write(path, [b'R'; 512]).expect("made")),
        ("symbolic link", |path| symlink("/dev/null", path).expect("made")),
        ("symbolic link", |path| symlink("/dev/shm/ringway-test-nothing-here", path).expect("made")),
        ("directory", |path| fs::create_dir(path).expect("made")),
        ("fifo", |path| {
            rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made");
        }),
        ("socket", |path| drop(UnixListener::bind(path).expect("made"))),
    ];
    for (found, make) in make {
        let name = Name::new();
        make(&name.path());
        let error = stays_as_it_is(&name, &Options::new(), false);
        assert!(error.to_string().contains(found), "{error}");
        match error {
            OpenError::NotAFile { found: kind, .. } => assert_eq!(kind, found),
            OpenError::Header { error: HeaderError::TooShort { found: length, expected: 512 }, .. } => {
                assert_eq!(format!("{length} bytes"), found);
            }
            OpenError::Header { error: HeaderError::Magic { expected, .. }, .. } => {
                assert_eq!(expected, *b"RINGWAY\0");
            }
            other => panic!("{other}"),
        }
    }
    assert!(!Path::new("/dev/shm/ringway-test-nothing-here").exists(), "a dangling link is not followed");
}

#[test]
fn a_link_to_a_ring_is_no_ring() {
    let (name, link) = (Name::new(), Name::new());
    let _ring = Ring::create(&name, &Options::new()).expect("a new name");
    symlink(name.path(), link.path()).expect("made");
    assert!(matches!(
        stays_as_it_is(&link, &Options::new(), false),
        OpenError::NotAFile { found: "symbolic link", .. }
    ));
    assert!(name.exists());
}

#[test]
fn a_second_hard_name_is_the_same_ring_and_goes_alone() {
    let (name, second) = (Name::new(), Name::new());
    let ring = Ring::create(&name, &Options::new()).expect("a new name");
    fs::hard_link(name.path(), second.path()).expect("made");
    let same = Ring::open(&second).expect("a ring by its other name");
    ring.producer().expect("free").try_push(7).expect("room");
    assert_eq!(same.consumer().expect("free").try_pop(), Ok(7));
    Ring::unlink(&second).expect("it is there");
    assert!(name.exists() && !second.exists());
}

#[test]
fn somebody_else_s_ring_is_refused_unless_its_owner_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not checked: only root can give a file away");
        return;
    }
    let name = Name::new();
    drop(Ring::create(&name, &Options::new()).expect("a new name"));
    std::os::unix::fs::chown(name.path(), Some(12_345), None).expect("we are root");
    let error = stays_as_it_is(&name, &Options::new(), true);
    assert!(matches!(error, OpenError::Owner { found: 12_345, expected: 0, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("12345") && text.contains("user 0"), "{text}");
    Ring::open_with(&name, &Options::new().owner(12_345)).expect("its owner is trusted");
    let error = Ring::open_with(&name, &Options::new().owner(54_321)).expect_err("another owner");
    assert!(matches!(error, OpenError::Owner { found: 12_345, expected: 54_321, .. }), "{error}");
}

#[test]
fn a_ring_of_another_type_or_capacity_is_refused_and_left_alone() {
    #[derive(
        ringway::zerocopy::FromBytes,
        ringway::zerocopy::IntoBytes,
        ringway::zerocopy::Immutable,
        ringway::zerocopy::KnownLayout,
    )]
    #[zerocopy(crate = "ringway::zerocopy")]
    #[repr(C)]
    struct Pair(u32, u32);

    let name = Name::new();
    drop(Ring::create(&name, &Options::new().capacity(10)).expect("a new name"));
    let before = on_disk(&name.path());
    let header = |error| match error {
        OpenError::Header { name: found, error } if found == name.as_str() => (error.to_string(), error),
        other => panic!("{other}"),
    };

    let (text, error) = header(spsc::Ring::<u32>::open(&name).expect_err("another size"));
    assert!(matches!(error, HeaderError::ItemSize { found: 8, expected: 4, .. }));
    assert!(text.contains("`u64` of 8 bytes") && text.contains("`u32` of 4 bytes"), "{text}");

    let (text, error) = header(spsc::Ring::<Pair>::open(&name).expect_err("another alignment"));
    assert!(matches!(error, HeaderError::ItemAlign { found: 8, expected: 4 }), "{text}");

    let (text, error) = header(spsc::Ring::<i64>::open(&name).expect_err("another type of the same size"));
    assert!(matches!(error, HeaderError::Schema { .. }));
    assert!(text.contains("`u64`") && text.contains("`i64`"), "{text}");

    let (text, error) = header(Ring::open_with(&name, &Options::new().schema(1)).expect_err("another tag"));
    assert!(matches!(error, HeaderError::Schema { expected: 1, .. }), "{text}");

    let (text, error) = header(Ring::open_with(&name, &Options::new().capacity(11)).expect_err("another capacity"));
    assert!(matches!(error, HeaderError::Capacity { found: 10, expected: 11 }), "{text}");
    assert!(text.contains("10 messages, expected 11"), "{text}");

    stays_as_it_is(&name, &Options::new().capacity(11), true);
    assert_eq!(on_disk(&name.path()), before);
    Ring::open_with(&name, &Options::new().capacity(10)).expect("the right type and capacity");
}

#[test]
fn a_ring_of_another_program_version_or_machine_is_refused_and_left_alone() {
    let name = Name::new();
    drop(Ring::create(&name, &Options::new()).expect("a new name"));
    let good = fs::read(name.path()).expect("a file");
    type Change = fn(&mut Vec<u8>);
    let change: [(&str, Change); 8] = [
        ("its layout version is 3, expected 5", |bytes| set_field(bytes, "version", 3)),
        ("its kind is 9, expected 1", |bytes| set_field(bytes, "kind", 9)),
        ("0x04030201, expected 0x01020304", |bytes| set_field(bytes, "byte order", 0x0403_0201)),
        ("its number of cells is 1, expected 148", |bytes| set_field(bytes, "cells", 1)),
        ("the checksum of its header is 0x0000000000000001", |bytes| set_word(bytes, 504, 1)),
        ("bytes long, expected", |bytes| bytes.truncate(bytes.len() - 1)),
        ("bytes long, expected", |bytes| bytes.truncate(512)),
        ("bytes long, expected", |bytes| bytes.push(0)),
    ];
    for (expected, change) in change {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(name.path(), &bytes).expect("still ours");
        let error = stays_as_it_is(&name, &Options::new(), true);
        assert!(matches!(error, OpenError::Header { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        // It is still a ring to those who want to be rid of it.
    }
    Ring::unlink(&name).expect("a broken ring is a ring");
    assert!(!name.exists());
}

#[test]
fn only_we_may_open_a_ring_unless_the_mode_says_otherwise_whatever_the_umask() {
    let mut child = Child::start("modes", &[]);
    for umask in [0o000, 0o022, 0o077, 0o777] {
        for mode in [None, Some(0o600), Some(0o660), Some(0o666), Some(0o640), Some(0o7777)] {
            let name = Name::new();
            child.order(&format!("{} {umask} {}", name.as_str(), mode.unwrap_or(0o1_000_000)));
            let found = name.path().metadata().expect("it was created").permissions().mode() & 0o7777;
            assert_eq!(found, mode.unwrap_or(0o600) & 0o777 | 0o600, "mode {mode:?}, umask {umask:o}");
        }
    }
}

/// Creates rings by the parent's wishes, as somebody to whom modes mean something.
fn modes(_: &[String]) {
    if rustix::process::geteuid().is_root() {
        // SAFETY: it takes a number. The C library changes all threads.
        assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
    }
    while let Some(order) = listen() {
        let words: Vec<&str> = order.split(' ').collect();
        let (umask, mode) = (words[1].parse().expect("a number"), words[2].parse().expect("a number"));
        rustix::process::umask(Mode::from_raw_mode(umask));
        let options = if mode == 0o1_000_000 { Options::new() } else { Options::new().mode(mode) };
        let ring = Ring::create(words[0], &options).expect("a new name");
        ring.producer().expect("a free role").try_push(1).expect("room");
        say("done");
    }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[("modes", modes)]);
}
