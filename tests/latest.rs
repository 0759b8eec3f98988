//! What a `Latest` promises: the newest value, whole, to any number of readers, whatever becomes of its writers.

mod support;

use ringway::latest::{Peer, Reader};
use ringway::{
    ClaimError, CreateError, HeaderError, Latest, Lifetime, Message, NewerError, OpenError, Options, ReadError, Source,
    Wait, bytes, inspect, mpmc, select, spsc,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::bytes::Scribbler;
use support::{Child, Name, PATIENCE, be_the_other_process, say};

/// Several cache lines, all words of which say the same.
type Wide = [u64; 40];

/// Where `newest` lies.
const NEWEST: usize = 512 + 128;

fn heap<T: Message>(capacity: usize) -> Latest<T> {
    Latest::create(Source::heap(), &Options::new().capacity(capacity)).expect("memory")
}

/// Looks for a newer value, which must be whole and of its version. Says whether there was one.
fn read_wide(reader: &mut Reader<Wide>) -> bool {
    let before = reader.version();
    match reader.read_if_newer() {
        Ok(Some(wide)) => {
            assert_eq!(wide, [reader.version(); 40], "torn, or of another version");
            assert!(reader.version() > before, "{} after {before}", reader.version());
            true
        }
        // With room for two values only, a reader that the system lets wait may be too slow.
        Ok(None) | Err(ReadError::Overtaken { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn readers_get_the_newest_value_and_know_whether_it_is_new() {
    let object = heap::<u64>(3);
    let (mut reader, mut late) = (object.reader(), object.reader());
    assert_eq!((reader.read(), reader.read_if_newer(), reader.version()), (Ok(None), Ok(None), 0));
    assert!(object.is_empty() && reader.peer() == Peer::NeverCame);

    let mut writer = object.writer().expect("nobody writes");
    for value in 1..=10 {
        writer.write(&(value * 7));
        assert_eq!((writer.version(), reader.read_if_newer()), (value, Ok(Some(value * 7))));
        assert_eq!((reader.read_if_newer(), reader.read(), reader.version()), (Ok(None), Ok(Some(value * 7)), value));
    }
    assert_eq!((late.read(), late.version()), (Ok(Some(70)), 10));
    assert_eq!((object.len(), object.capacity(), object.is_full()), (3, 3, true));

    drop(writer);
    assert_eq!((late.read(), late.peer()), (Ok(Some(70)), Peer::Left));
    let mut next = object.writer().expect("it has left");
    next.write(&1);
    assert_eq!((next.version(), late.read(), late.version()), (11, Ok(Some(1)), 11));
}

#[test]
fn values_of_every_size_come_back_as_they_were_written() {
    fn of<const N: usize>() {
        let object = heap::<[u8; N]>(1);
        let (mut writer, mut reader) = (object.writer().expect("nobody writes"), object.reader());
        for turn in 0..5 {
            let value = core::array::from_fn(|index| (index * 31 + turn) as u8);
            writer.write(&value);
            assert!(reader.read() == Ok(Some(value)), "{N} bytes");
            let mut again = [0; N];
            assert_eq!(reader.read_into(&mut again), Ok(true));
            assert!(again == value, "{N} bytes, in place");
        }
    }
    of::<1>();
    of::<3>();
    of::<7>();
    of::<8>();
    of::<9>();
    of::<56>();
    of::<57>();
    of::<64>();
    of::<119>();
    of::<121>();
    of::<4097>();
}

#[test]
fn a_value_is_kept_as_long_as_possible_unless_a_capacity_is_given() {
    let capacity_of = |options: &Options| Latest::<Wide>::create(Source::heap(), options).expect("memory").capacity();
    assert_eq!((capacity_of(&Options::new()), capacity_of(&Options::new().capacity(1))), (64 * 1024 / 384 - 1, 1));
    assert_eq!(Latest::<u8>::create(Source::heap(), &Options::new()).expect("memory").capacity(), 1023);
    assert_eq!(Latest::<[u8; 1 << 20]>::create(Source::heap(), &Options::new()).expect("memory").capacity(), 3);
}

#[test]
fn many_readers_see_whole_values_only_and_never_go_back() {
    let object = heap::<Wide>(2);
    let done = AtomicBool::new(false);
    let reads: Vec<u64> = thread::scope(|scope| {
        let read = || {
            let (mut reader, mut reads) = (object.reader(), 0_u64);
            while !done.load(Ordering::Acquire) {
                match read_wide(&mut reader) {
                    true => reads += 1,
                    false => thread::yield_now(),
                }
            }
            read_wide(&mut reader);
            assert_eq!(reader.version(), 300_000);
            reads
        };
        let readers = [(); 3].map(|()| scope.spawn(read));
        let mut writer = object.writer().expect("nobody writes");
        for version in 1..=300_000 {
            writer.write(&[version; 40]);
            if version % 64 == 0 {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Release);
        readers.map(|reader| reader.join().expect("it saw nothing wrong")).into()
    });
    assert!(reads.iter().sum::<u64>() > 100, "hardly anything was read: {reads:?}");
}

fn other_writer(arguments: &[String]) {
    let mut writer = Latest::<Wide>::open(&arguments[0]).expect("it was created").writer().expect("a free role");
    say(writer.version());
    loop {
        writer.write(&[writer.version() + 1; 40]);
    }
}

fn other_end(arguments: &[String]) {
    let source = support::memory::source_of(&arguments[0]);
    let object = Latest::<u64>::open_with(source, &Options::new().timeout(PATIENCE)).expect("it was created");
    let (mut reader, mut seen) = (object.reader(), 0);
    while seen < 7 {
        seen = reader.read_newer_timeout(PATIENCE).expect("a value");
    }
    say(seen);
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[("writer", other_writer), ("end", other_end)]);
}

#[test]
fn a_writer_that_is_killed_in_the_middle_is_replaced_and_readers_notice_nothing() {
    let name = Name::new();
    let object = Latest::<Wide>::create(&name, &Options::new().capacity(2)).expect("a new name");
    let mut reader = object.reader();
    for _ in 0..20 {
        let mut writer = Child::start("writer", &[name.as_str()]);
        let found: u64 = writer.hear().parse().expect("a version");
        let seen = reader.version();
        assert!(found >= seen, "a successor that goes back");
        support::wait_until("it writes", || read_wide(&mut reader) && reader.version() > seen + 100);
        let pid = writer.pid();
        assert!(matches!(object.writer(), Err(ClaimError::RoleTaken { pid: holder, .. }) if holder == pid));
        writer.kill();
        assert_eq!(reader.peer(), Peer::Dead { pid });
        // What is the newest now stays so, and is whole.
        let newest = reader.read().expect("intact").expect("a value");
        assert_eq!(newest, [reader.version(); 40]);
        assert_eq!((reader.read_if_newer(), reader.read_newer()), (Ok(None), Err(NewerError::Closed)));
    }
}

#[test]
fn it_is_at_home_in_every_kind_of_memory() {
    fn of<M: support::memory::Memory>() {
        let memory = M::new();
        let options = M::wish(Options::new().capacity(2).lifetime(Lifetime::LastDetach));
        let object = Latest::<u64>::create(memory.source(), &options).expect("memory");
        let mut writer = object.writer().expect("nobody writes");
        let mut child = Child::start("end", &[&memory.address(object.as_fd())]);
        support::wait_until("the other process has come", || {
            writer.write(&7);
            object.reader().read() == Ok(Some(7))
        });
        child.expect("7");
        child.finish();
        drop((writer, object));
    }
    of::<support::memory::Posix>();
    of::<support::memory::InFolder>();
    of::<support::memory::Memfd>();
    of::<support::memory::SystemV>();
}

#[test]
fn what_is_something_else_is_refused() {
    let name = Name::new();
    let kind = |error: OpenError, found, expected| match error {
        OpenError::Header { error, .. } => assert_eq!(error, HeaderError::Kind { found, expected }),
        error => panic!("{error}"),
    };
    let object = Latest::<u64>::create(&name, &Options::new()).expect("a new name");
    kind(spsc::Ring::<u64>::open(&name).expect_err("no queue"), 3, 1);
    kind(mpmc::Ring::<u64>::open(&name).expect_err("no queue"), 3, 2);
    kind(bytes::Ring::open(&name).expect_err("no queue"), 3, 1);
    let text = spsc::Ring::<u64>::open(&name).expect_err("no queue").to_string();
    assert!(text.contains("its kind is 3 (latest), expected 1 (spsc)"), "{text}");
    for other in [Latest::<u32>::open(&name).err(), Latest::<i64>::open(&name).err()] {
        assert!(matches!(other, Some(OpenError::Header { .. })), "{other:?}");
    }
    assert!(matches!(Latest::<u64>::create(&name, &Options::new()), Err(CreateError::AlreadyExists { .. })));
    drop(object);
    Latest::<u64>::unlink(&name).expect("it is there");

    let ring = mpmc::Ring::<u64>::create(&name, &Options::new()).expect("a new name");
    kind(Latest::<u64>::open(&name).expect_err("a queue"), 2, 3);
    drop(ring);
    let messages = bytes::Messages::bytes(8);
    let made = bytes::Ring::create("ringway-test-never", bytes::Kind::Latest, &messages, &Options::new());
    assert!(matches!(made, Err(CreateError::NoQueue { .. })));
}

#[test]
fn all_who_wait_are_woken_by_one_value_and_told_when_the_writer_leaves() {
    let object = heap::<u64>(3);
    let mut writer = object.writer().expect("nobody writes");
    let (mut impatient, start) = (object.reader(), Instant::now());
    assert_eq!(impatient.read_newer_timeout(Duration::from_millis(5)), Err(NewerError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(5));
    thread::scope(|scope| {
        let readers: Vec<_> = [Wait::Sleep, Wait::Park, Wait::Yield, Wait::Sleep, Wait::Spin]
            .map(|how| {
                let mut reader = object.reader();
                reader.set_wait(how);
                scope.spawn(move || {
                    let (mut seen, end) = (0, Instant::now() + PATIENCE);
                    loop {
                        match reader.read_newer_deadline(end) {
                            Ok(value) => seen = value,
                            Err(error) => break (seen, error),
                        }
                    }
                })
            })
            .into();
        for value in 1..=500 {
            writer.write(&value);
            if value % 50 == 0 {
                thread::yield_now();
            }
        }
        drop(writer);
        for reader in readers {
            assert_eq!(reader.join().expect("no panic"), (500, NewerError::Closed));
        }
    });
    let (mut reader, mut writer) = (object.reader(), object.writer().expect("it has left"));
    assert_eq!(reader.read(), Ok(Some(500)));
    assert!(reader.wait_for_writer(PATIENCE));
    assert_eq!(select(&mut [reader.case()], Duration::from_millis(1)), None);
    writer.write(&501);
    assert_eq!((select(&mut [reader.case()], PATIENCE), reader.read_if_newer()), (Some(0), Ok(Some(501))));
}

#[test]
fn garbage_is_an_error_or_a_value_of_the_type_and_never_holds_a_reader_up() {
    let name = Name::new();
    let object = Latest::<[bool; 16]>::create(&name, &Options::new().capacity(2)).expect("a new name");
    let (mut writer, mut reader) = (object.writer().expect("nobody writes"), object.reader());
    writer.write(&[true; 16]);
    assert_eq!(reader.read(), Ok(Some([true; 16])));
    let scribbler = Scribbler::new(&name.path());
    let cell = scribbler.cells() + scribbler.stride();

    scribbler.set_byte(cell + 8 + 15, 7);
    let error = reader.read().expect_err("no bool");
    assert!(matches!(error, ReadError::Invalid { version: 1, .. }), "{error}");
    assert!(error.to_string().contains("version 1 of"), "{error}");
    scribbler.set_byte(cell + 8 + 15, 1);

    scribbler.set(cell, 99);
    assert!(matches!(reader.read(), Err(ReadError::Corrupted(what)) if what.found == 99));
    scribbler.set(cell, 1);
    assert_eq!(reader.read(), Ok(Some([true; 16])));

    for newest in [0, u64::MAX, u64::MAX / 2 + 1] {
        scribbler.set(NEWEST, newest);
        assert!(matches!(reader.read(), Err(ReadError::Corrupted(what)) if what.found == newest), "{newest}");
        assert!(matches!(reader.read_newer(), Err(NewerError::Read(ReadError::Corrupted(_)))));
    }
    // One that is possible is believed when its value is there, and not before.
    scribbler.set(NEWEST, 1 << 40);
    assert!(matches!(reader.read(), Err(ReadError::Corrupted(what)) if what.what == "the version of a cell"));
    assert!(matches!(reader.read_if_newer(), Err(ReadError::Corrupted(_))));
    scribbler.set(NEWEST, 1);
    assert_eq!(reader.read(), Ok(Some([true; 16])));

    scribbler.set(NEWEST, u64::MAX / 2 - 1);
    drop(writer);
    assert!(matches!(object.writer(), Err(ClaimError::Corrupted(_))), "it could be counted up to what nobody believes");
    // What a good writer writes next puts a number that went too far right again, for readers that did not believe it.
    scribbler.set(NEWEST, 1);
    object.writer().expect("it is as it was").write(&[false; 16]);
    assert_eq!(reader.read(), Ok(Some([false; 16])));
}

#[test]
fn a_peer_that_does_nothing_but_count_does_not_hold_a_reader_up() {
    let name = Name::new();
    let object = Latest::<Wide>::create(&name, &Options::new().capacity(1)).expect("a new name");
    object.writer().expect("nobody writes").write(&[1; 40]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let scribbler = Scribbler::new(&name.path());
            for newest in (2..).take_while(|_| !done.load(Ordering::Relaxed)) {
                scribbler.set(NEWEST, newest);
            }
        });
        let start = Instant::now();
        for _ in 0..1_000 {
            match object.reader().read() {
                Ok(Some(_)) | Err(ReadError::Overtaken { .. } | ReadError::Corrupted(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        let took = start.elapsed();
        done.store(true, Ordering::Relaxed);
        assert!(took < PATIENCE, "{took:?}");
    });
}

#[test]
fn a_picture_shows_the_newest_version_and_who_writes() {
    let name = Name::new();
    let object = Latest::<u64>::create(&name, &Options::new().capacity(4)).expect("a new name");
    let segment = inspect::Segment::open(&name).expect("it is there");
    let picture = || {
        let picture = segment.picture().expect("it can be read");
        assert_eq!(
            (&picture.errors[..], picture.layout.as_ref().and_then(|layout| layout.kind)),
            (&[][..], Some(inspect::Kind::Latest))
        );
        picture.contents.expect("its header is in order")
    };
    assert_eq!((picture().pushed, picture().fill, segment.peek(9, 8).expect("readable").len()), (0, 0, 0));
    let mut writer = object.writer().expect("nobody writes");
    (1..=9).for_each(|value| writer.write(&(100 + value)));
    let contents = picture();
    assert_eq!((contents.pushed, contents.popped, contents.fill, contents.still), (9, 0, 4, true));
    assert_eq!((contents.processes.len(), contents.processes[0].producers), (1, 1));
    let writes = inspect::RoleHolder::Alive { pid: std::process::id() };
    assert_eq!(contents.roles.map(|roles| roles.producer), Some(writes));
    let glimpse = &segment.peek(9, 8).expect("readable")[..];
    assert!(matches!(glimpse, [one] if one.position == 8 && one.bytes == 109_u64.to_ne_bytes()), "{glimpse:?}");

    let scribbler = Scribbler::new(&name.path());
    scribbler.set(NEWEST, 7);
    assert!(picture().corrupted.is_empty(), "that one is whole as well");
    scribbler.set(NEWEST, 3);
    assert_eq!(picture().corrupted.len(), 1, "that one was overwritten");
}

#[cfg(feature = "cli")]
#[test]
fn the_command_shows_what_it_is() {
    let name = Name::new();
    let object = Latest::<u64>::create(&name, &Options::new().capacity(4)).expect("a new name");
    let mut writer = object.writer().expect("nobody writes");
    (0..9).for_each(|value| writer.write(&value));
    let ringway = |arguments: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_ringway")).args(arguments).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, listed) = ringway(&["ls", name.as_str()]);
    assert!(code == Some(0) && listed.contains(" latest "), "{listed}");
    let (code, info) = ringway(&["info", name.as_str(), "--interval", "0"]);
    let writer_line = format!("writer          process {}", std::process::id());
    assert!(code == Some(0) && info.contains("latest: one writer") && info.contains(&writer_line), "{info}");
    let (code, peeked) = ringway(&["peek", name.as_str()]);
    assert!(code == Some(0) && peeked.starts_with("message 8\n  08 00"), "{peeked}");
    let (code, refused) = ringway(&["recv", name.as_str()]);
    assert!(code == Some(4) && refused.contains("its kind is 3 (latest)"), "{code:?} {refused}");
}
