//! Sealed memory: what its peers cannot do to us, what is refused in its place, and how it gets from process to process.

mod support;

use ringway::{HeaderError, OpenError, Options, Source, UnlinkError, spsc};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use support::{Child, Name, be_the_other_process, listen, not_checked, say};

type Ring = spsc::Ring<u64>;

const RIGHT: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

fn sealed() -> Ring {
    Ring::create(Source::memfd("ringway-test"), &Options::new().capacity(100)).expect("memory")
}

/// All bytes of a ring.
fn bytes_of(ring: &Ring) -> Vec<u8> {
    let fd = ring.as_fd().expect("a memfd").as_raw_fd();
    fs::read(format!("/proc/self/fd/{fd}")).expect("its file")
}

/// A memfd with these bytes and seals.
fn made_of(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("ringway-test-forged", flags).expect("memory"));
    file.write_all(bytes).expect("room");
    rustix::fs::fcntl_add_seals(&file, seals).expect("not sealed yet");
    file.into()
}

#[test]
fn no_peer_can_shrink_or_grow_it_or_seal_it_further() {
    let ring = sealed();
    let peer = ring.as_fd().expect("a memfd");
    assert_eq!(rustix::fs::fcntl_get_seals(peer).expect("a memfd").difference(SealFlags::EXEC), RIGHT);
    let size = rustix::fs::fstat(peer).expect("open").st_size as u64;
    for length in [0, 1, size - 1, size + 1, size * 2] {
        assert_eq!(rustix::fs::ftruncate(peer, length), Err(Errno::PERM), "{length} of {size}");
    }
    for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE] {
        assert_eq!(rustix::fs::fcntl_add_seals(peer, seal), Err(Errno::PERM));
    }
    // Whoever has it can write to it, as to any ring. A page that is taken out comes back as zeros, not as a signal.
    let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(peer, hole, 0, size).expect("it may be written");
    assert_eq!((ring.len(), ring.capacity()), (0, 100));
    let _ = ring.producer().map(|mut producer| producer.try_push(1));
    let error = Ring::open(Source::fd(peer).expect("a descriptor")).expect_err("no ring any more");
    assert!(matches!(error, OpenError::Header { error: HeaderError::Magic { .. }, .. }), "{error}");
}

#[test]
fn a_descriptor_that_is_not_sealed_just_so_is_refused_before_it_is_looked_at() {
    let bytes = bytes_of(&sealed());
    let all = [
        SealFlags::empty(),
        SealFlags::SEAL,
        SealFlags::SHRINK,
        SealFlags::SHRINK | SealFlags::GROW,
        SealFlags::SHRINK | SealFlags::SEAL,
        SealFlags::GROW | SealFlags::SEAL,
        RIGHT | SealFlags::WRITE,
        RIGHT | SealFlags::FUTURE_WRITE,
    ];
    for seals in all {
        let forged = made_of(&bytes, seals);
        let error = Ring::open(Source::fd(&forged).expect("a descriptor")).expect_err("not as it must be");
        let OpenError::Seals { found, expected, .. } = &error else { panic!("{seals:?}: {error}") };
        assert_eq!((*found, *expected), (seals.bits(), RIGHT.bits()));
        let path = Source::fd_of(std::process::id(), forged.as_raw_fd() as u32);
        assert_eq!(Ring::open(path).map_err(|error| matches!(error, OpenError::Seals { .. })).err(), Some(true));
    }
    let good = made_of(&bytes, RIGHT);
    Ring::open(Source::fd(&good).expect("a descriptor")).expect("sealed as it must be");
}

#[test]
fn what_is_no_memfd_is_refused_and_waits_for_nobody() {
    let name = Name::new();
    let _named = Ring::create(&name, &Options::new()).expect("a new name");
    let file = File::options().read(true).write(true).open(name.path()).expect("ours");
    let (socket, _other) = UnixStream::pair().expect("sockets");
    let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
    let null = File::open("/dev/null").expect("it is there");
    let folder = File::open("/dev/shm").expect("it is there");
    let others: [OwnedFd; 5] = [file.into(), socket.into(), pipe, null.into(), folder.into()];
    for descriptor in &others {
        let error = Ring::open(Source::fd(descriptor).expect("a descriptor")).expect_err("no memfd");
        assert!(matches!(error, OpenError::Seals { .. }), "{error}");
        let path = Source::fd_of(std::process::id(), descriptor.as_raw_fd() as u32);
        let error = Ring::open(path).expect_err("no memfd");
        assert!(matches!(error, OpenError::Seals { .. } | OpenError::NotAFile { .. }), "{error}");
    }
    assert!(matches!(Ring::open(Source::fd_of(std::process::id(), 9_999)), Err(OpenError::NotFound { .. })));
    assert!(matches!(Ring::open(Source::fd_of(u32::MAX, 0)), Err(OpenError::NotFound { .. })));
    let ring = sealed();
    let only_readable = File::open(format!("/proc/self/fd/{}", ring.as_fd().expect("a memfd").as_raw_fd()));
    Ring::open(Source::fd(only_readable.expect("ours")).expect("a descriptor")).expect("its mode lets us write");
}

#[test]
fn the_bytes_of_a_sealed_file_are_not_believed_either() {
    let bytes = bytes_of(&sealed());
    let open = |bytes: &[u8]| match Ring::open(Source::fd(made_of(bytes, RIGHT)).expect("a descriptor")) {
        Err(OpenError::Header { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(open(&[]), HeaderError::TooShort { found: 0, .. }));
    assert!(matches!(open(&bytes[..bytes.len() - 1]), HeaderError::FileSize { .. }));
    assert!(matches!(open(&[&bytes[..], &[0]].concat()), HeaderError::FileSize { .. }));
    let mut garbage = bytes.clone();
    garbage[70] ^= 1;
    assert!(matches!(open(&garbage), HeaderError::Checksum { .. }));
    // Right in every byte, and most of it not there: touching it would need memory that nobody has set aside.
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut sparse = File::from(rustix::fs::memfd_create("ringway-test-sparse", flags).expect("memory"));
    sparse.write_all(&bytes[..4096]).expect("room");
    rustix::fs::ftruncate(&sparse, bytes.len() as u64).expect("not sealed yet");
    rustix::fs::fcntl_add_seals(&sparse, RIGHT).expect("not sealed yet");
    let error = Ring::open(Source::fd(&sparse).expect("a descriptor")).expect_err("not all there");
    assert!(matches!(error, OpenError::Header { error: HeaderError::Sparse { .. }, .. }), "{error}");
}

#[test]
fn two_calls_bring_it_to_another_process_which_keeps_it_alive() {
    let (name, ring) = (Name::new(), sealed());
    let listener = UnixListener::bind(name.path()).expect("a new name");
    let mut child = Child::start("receive", &[name.path().to_str().expect("text")]);
    let (mut socket, _) = listener.accept().expect("it comes");
    socket.write_all(b"before").expect("it listens");
    ring.send_to(&socket).expect("it listens");
    socket.write_all(b"after").expect("it listens");
    child.expect("attached");
    let mut consumer = ring.consumer().expect("free");
    assert_eq!(consumer.pop(), Ok(1));
    // The memory lives on with whoever has it.
    let again = Source::fd(ring.as_fd().expect("a memfd")).expect("a descriptor");
    drop((consumer, ring));
    child.order("push");
    let ring = Ring::open(again).expect("still there");
    assert_eq!(ring.len(), 1);
    child.kill();
    ring.producer().expect("its holder is dead, though the sender's descriptor lives");
}

fn receive(arguments: &[String]) {
    let mut socket = UnixStream::connect(&arguments[0]).expect("the parent listens");
    let mut text = [0; 6];
    socket.read_exact(&mut text).expect("the parent speaks");
    assert_eq!(&text, b"before");
    let ring = Ring::open(Source::receive(&socket).expect("a ring comes")).expect("sealed");
    socket.read_exact(&mut text[..5]).expect("the parent speaks");
    assert_eq!(&text[..5], b"after");
    let mut producer = ring.producer().expect("free");
    producer.try_push(1).expect("room");
    say("attached");
    while listen().is_some() {
        producer.try_push(2).expect("room");
        say("done");
    }
}

#[test]
fn what_comes_over_the_socket_and_is_no_ring_is_an_error_and_no_descriptor_is_left_open() {
    let open_files = || fs::read_dir("/proc/self/fd").expect("/proc is there").count();
    let job = Child::start("foreign messages", &[]);
    assert_eq!(job.finish(), ["done"]);
    assert!(open_files() > 0);
}

/// In a process of its own, so that nobody else's descriptors are counted.
fn foreign_messages(_: &[String]) {
    let open_files = || fs::read_dir("/proc/self/fd").expect("/proc is there").count();
    let before = open_files();
    for _ in 0..3 {
        let (mut ours, theirs) = UnixStream::pair().expect("sockets");
        ours.write_all(b"R").expect("open");
        assert_eq!(Source::receive(&theirs).map(drop).map_err(|error| error.kind()), Err(ErrorKind::InvalidData));
        let null = File::open("/dev/null").expect("it is there");
        for (text, descriptors) in [(b"x", 1), (b"R", 2), (b"R", 9)] {
            send(&ours, text, &vec![&null; descriptors]);
            assert_eq!(Source::receive(&theirs).map(drop).map_err(|error| error.kind()), Err(ErrorKind::InvalidData));
        }
        send(&ours, b"R", &[&null]);
        let source = Source::receive(&theirs).expect("one descriptor, as it should be");
        assert!(matches!(Ring::open(source), Err(OpenError::Seals { .. })));
        drop(ours);
        assert_eq!(Source::receive(&theirs).map(drop).map_err(|error| error.kind()), Err(ErrorKind::UnexpectedEof));
        let ring = sealed();
        let error = ring.send_to(&theirs).expect_err("nobody listens, and no signal");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    assert_eq!(open_files(), before);
    say("done");
}

fn send(socket: &UnixStream, text: &[u8], files: &[&File]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd;
    let descriptors: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(9))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[std::io::IoSlice::new(text)], &mut control, SendFlags::empty()).expect("open");
}

#[test]
fn a_name_is_opened_and_not_sent() {
    let name = Name::new();
    let ring = Ring::create(&name, &Options::new()).expect("a new name");
    let (socket, _other) = UnixStream::pair().expect("sockets");
    let error = ring.send_to(&socket).expect_err("it has a name");
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains(name.as_str()), "{error}");
    assert!(ring.as_fd().is_none());
    let error = Ring::unlink(Source::memfd("x")).expect_err("no name");
    assert!(matches!(error, UnlinkError::NoName { .. }), "{error}");
}

#[test]
fn it_is_gone_with_the_last_who_has_it() {
    assert_eq!(Child::start("come and go", &[]).finish(), ["done"]);
}

fn come_and_go(_: &[String]) {
    let is_here = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("/proc is there");
        let files = fs::read_dir("/proc/self/fd").expect("/proc is there").flatten();
        let open = files.filter_map(|entry| fs::read_link(entry.path()).ok());
        maps.contains("ringway-test") || open.into_iter().any(|file| file.to_string_lossy().contains("ringway-test"))
    };
    assert!(!is_here());
    let ring = sealed();
    assert!(is_here(), "the label is shown to people");
    let same = Ring::open(Source::fd(ring.as_fd().expect("a memfd")).expect("a descriptor")).expect("sealed");
    drop(ring);
    assert!(is_here());
    drop(same);
    assert!(!is_here());
    say("done");
}

#[test]
fn another_user_who_is_given_it_may_use_it_if_the_mode_says_so() {
    if !rustix::process::geteuid().is_root() {
        not_checked("only root can become another user");
        return;
    }
    for (mode, expected) in [(0o600, "refused"), (0o666, "attached")] {
        let (name, options) = (Name::new(), Options::new().mode(mode));
        let ring = Ring::create(Source::memfd("ringway-test"), &options).expect("memory");
        let listener = UnixListener::bind(name.path()).expect("a new name");
        let mut child = Child::start("stranger", &[name.path().to_str().expect("text")]);
        let (socket, _) = listener.accept().expect("it comes");
        ring.send_to(&socket).expect("it listens");
        child.expect(expected);
        assert_eq!(ring.len(), usize::from(expected == "attached"));
    }
}

fn stranger(arguments: &[String]) {
    let socket = UnixStream::connect(&arguments[0]).expect("the parent listens");
    // SAFETY: it takes a number. The C library changes all threads.
    assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
    match Ring::open(Source::receive(&socket).expect("a ring comes")) {
        Ok(ring) => {
            ring.producer().expect("free").try_push(1).expect("room");
            say("attached");
        }
        Err(OpenError::Permission { .. }) => say("refused"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[
        ("receive", receive),
        ("foreign messages", foreign_messages),
        ("come and go", come_and_go),
        ("stranger", stranger),
    ]);
}
