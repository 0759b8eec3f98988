//! System V segments: seen as files are, and left as they are.

use super::support::memory::{Memory, SystemV};
use super::support::{Child, not_checked, wait_until};
use super::system_v;
use ringway::inspect::{Kind, Maker, PeerState, Segment};
use ringway::{HeaderError, InspectError, Options, inspect, mpmc, spsc};
use std::time::SystemTime;

#[test]
fn a_system_v_segment_is_seen_as_a_file_is_and_stays_as_it_is() {
    let (one, many) = (SystemV::new(), SystemV::new());
    let options = Options::new().capacity(20).processes(4).mode(0o640);
    let single = spsc::Ring::<u64>::create(one.source(), &options).expect("a new key");
    let crowd = mpmc::Ring::<u64>::create(many.source(), &options).expect("a new key");
    single.producer().expect("free").push_slice(&[7, 8, 9]).expect("room");
    crowd.producer().push_slice(&[1, 2, 3]).expect("room");
    let pid = std::process::id();
    for (key, kind, first) in [(&one, Kind::Spsc, 7_u64), (&many, Kind::Mpmc, 1)] {
        let id = key.id().expect("there");
        let before = system_v::Raw::attach(id).bytes();
        let segment = Segment::open(key.source()).expect("ours to read");
        let picture = segment.picture().expect("readable");
        assert_eq!((picture.name, picture.path), (format!("sysv:{:#010x}", key.0), None));
        assert_eq!((picture.errors.len(), picture.in_use, picture.version), (0, true, Some(5)));
        let file = picture.file;
        assert_eq!((file.inode, file.links, file.mode), (id as u64, 1, 0o640));
        assert!(file.allocated >= file.size && file.owner == rustix::process::geteuid().as_raw());
        let system_v = picture.system_v.expect("it is one");
        assert_eq!((system_v.id, system_v.creator), (id, pid));
        // Others who list what there is have it attached for a moment.
        let attached = || segment.picture().expect("readable").system_v.map(|segment| segment.attached);
        wait_until("we who look do not count", || attached() == Some(1));
        assert!(system_v.attached_at.is_some() && system_v.changed_at <= SystemTime::now());
        let contents = picture.contents.expect("in order");
        assert!(contents.still && contents.corrupted.is_empty());
        assert_eq!((contents.fill, contents.processes[0].pid), (3, pid));
        assert_eq!(
            (picture.layout.expect("in order").kind, contents.processes[0].state),
            (Some(kind), PeerState::Alive)
        );
        let glimpses = segment.peek(9, 8).expect("in order");
        assert_eq!((glimpses.len(), glimpses[0].bytes.clone()), (3, first.to_ne_bytes().to_vec()));
        drop(segment);
        assert!(system_v::Raw::attach(id).bytes() == before);
    }

    let mut child = Child::start("worker", &["mpmc", &many.0.to_string()]);
    child.expect("ready");
    let look = || Segment::open(many.source()).expect("there").picture().expect("readable");
    let picture = look();
    let held = picture.contents.expect("in order").held;
    assert_eq!(
        held.iter().map(|held| (held.pid, held.pushing)).collect::<Vec<_>>(),
        [(child.pid(), false), (child.pid(), true)]
    );
    assert!(picture.system_v.is_some_and(|segment| segment.attached >= 2));
    child.kill();
    let state = || look().contents.expect("in order").processes.iter().find(|p| p.pid == child.pid()).map(|p| p.state);
    assert_eq!(state(), Some(PeerState::Dead), "it has been waited for");

    let segment = Segment::open(one.source()).expect("there");
    spsc::Ring::<u64>::unlink(one.source()).expect("there");
    assert_eq!(segment.picture().expect("it is attached").file.links, 0);
    assert!(matches!(Segment::open(one.source()), Err(InspectError::NotFound { .. })));
    drop(single);
    wait_until("nobody else has it", || !segment.picture().expect("we have it").in_use);
}

#[test]
fn system_v_rings_are_listed_and_what_killed_creators_have_left_and_nothing_else() {
    let [ring_key, foreign, making, left] = [(); 4].map(|()| SystemV::new());
    let _ring = spsc::Ring::<u64>::create(ring_key.source(), &Options::new()).expect("a new key");
    let raw: Vec<_> = [&foreign, &making, &left].map(|key| system_v::Raw::create(key, 20_000)).into();
    raw[0].write(b"something else");
    system_v::begin(&raw[1], true, system_v::somebody_alive());
    system_v::begin(&raw[2], true, system_v::somebody_dead());
    let listing = inspect::list().expect("readable");
    let of = |key: &SystemV| key.source().to_string();
    let rings: Vec<&str> = listing.rings.iter().map(|ring| ring.name.as_str()).collect();
    assert!(rings.is_sorted() && rings.contains(&&*of(&ring_key)));
    for other in [&foreign, &making, &left] {
        assert!(!rings.contains(&&*of(other)));
    }
    let maker = |key| listing.temporaries.iter().find(|made| made.name == of(key)).map(|made| made.maker);
    assert_eq!((maker(&making), maker(&left), maker(&foreign)), (Some(Maker::Alive), Some(Maker::Dead), None));
    assert!(matches!(Segment::open(ringway::Source::heap()), Err(InspectError::NoName { .. })));
    assert!(!Segment::open(foreign.source()).expect("ours").picture().expect("readable").errors.is_empty());
}

#[test]
fn what_a_parent_has_attached_is_an_error_in_its_forked_child() {
    let key = SystemV::new();
    let _ring = spsc::Ring::<u64>::create(key.source(), &Options::new()).expect("a new key");
    let segment = Segment::open(key.source()).expect("there");
    let status = system_v::in_a_child(|| {
        let pictured = matches!(segment.picture(), Err(InspectError::System { .. }));
        let peeked = matches!(segment.peek(1, 8), Err(InspectError::System { .. }));
        let anew = Segment::open(key.source()).and_then(|segment| segment.picture());
        i32::from(!(pictured && peeked && anew.is_ok_and(|picture| picture.contents.is_some())))
    });
    assert_eq!(status, 0);
    assert!(segment.picture().expect("it is ours").contents.is_some());
}

#[test]
fn a_segment_of_which_not_all_is_there_is_not_read() {
    let good = {
        let key = SystemV::new();
        let _ring = spsc::Ring::<u64>::create(key.source(), &Options::new().capacity(50_000)).expect("a new key");
        system_v::Raw::attach(key.id().expect("there")).bytes()
    };
    let key = SystemV::new();
    let raw = system_v::Raw::create(&key, good.len());
    raw.write(&good[..8192]);
    let picture = Segment::open(key.source()).expect("ours").picture().expect("readable");
    assert!(matches!(picture.errors[..], [HeaderError::Sparse { .. }]), "{:?}", picture.errors);
    raw.write(&good);
    let picture = Segment::open(key.source()).expect("ours").picture().expect("readable");
    assert!(picture.contents.is_some_and(|contents| contents.fill == 0), "{:?}", picture.errors);
}

#[test]
fn a_segment_of_which_nobody_says_how_much_is_there_is_not_read() {
    let key = SystemV::new();
    let _ring = spsc::Ring::<u64>::create(key.source(), &Options::new()).expect("a new key");
    let status = system_v::in_a_child(|| {
        use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
        // SAFETY: it takes a number.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return 2;
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
        mount("none", "/proc/sysvipc", "tmpfs", MountFlags::empty(), c"").expect("root");
        let picture = Segment::open(key.source()).and_then(|segment| segment.picture()).expect("readable");
        i32::from(!matches!(picture.errors[..], [HeaderError::Sparse { found: 0, .. }]))
    });
    match status {
        2 => not_checked("only root can make namespaces"),
        status => assert_eq!(status, 0),
    }
}
