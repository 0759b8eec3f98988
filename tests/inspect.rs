//! Pictures of rings: what they say, of whatever ring, and that taking them disturbs nobody.

#[path = "inspect/keyed.rs"]
mod keyed;
#[path = "inspect/large.rs"]
mod large;
mod support;
#[path = "support/system_v.rs"]
mod system_v;

use ringway::inspect::{Kind, PeerState, RoleHolder, Segment};
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{HeaderError, InspectError, Lifetime, Message, Options, inspect, mpmc, spsc};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use support::bytes::{FIELDS, field, get_word, set_field, set_word};
use support::{Child, Job, Name, be_the_other_process, listen, say, wait_until};

fn picture(name: &Name) -> inspect::Picture {
    Segment::open(name).expect("it is there").picture().expect("it can be read")
}

fn contents(name: &Name) -> inspect::Contents {
    let picture = picture(name);
    assert!(picture.errors.is_empty(), "{:?}", picture.errors);
    let contents = picture.contents.expect("the header is in order");
    assert!(contents.corrupted.is_empty(), "{:?}", contents.corrupted);
    contents
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Wide([u64; 12]);

/// A name, or the number of a key.
fn source(name: &str) -> ringway::Source {
    name.parse().map_or_else(|_| name.into(), ringway::Source::system_v)
}

/// A process that does as it is told with a ring of `u64`.
fn worker(arguments: &[String]) {
    let name = &arguments[1];
    match arguments[0].as_str() {
        "spsc" => {
            let ring = spsc::Ring::<u64>::open(source(name)).expect("made by the parent");
            let _producer = ring.producer().expect("free");
            say("ready");
            listen();
        }
        _ => {
            let ring = mpmc::Ring::<u64>::open(source(name)).expect("made by the parent");
            let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
            let _taken = consumer.peek().expect("a message");
            let _claimed = producer.reserve().expect("room");
            say("ready");
            listen();
        }
    }
}

const JOBS: &[Job] = &[("worker", worker)];

#[test]
#[ignore = "run by the other tests, as another process"]
fn the_other_process() {
    be_the_other_process(JOBS);
}

#[test]
fn a_picture_says_what_a_ring_is_and_who_is_at_it() {
    let name = Name::new();
    let before = SystemTime::now();
    let ring = spsc::Ring::<Wide>::create(&name, &Options::new().capacity(5).processes(3).schema(77)).expect("new");
    let picture = picture(&name);
    assert_eq!((picture.name.as_str(), picture.version, picture.in_use), (name.as_str(), Some(5), true));
    let layout = picture.layout.expect("of this version");
    assert_eq!((layout.kind, layout.lifetime), (Some(Kind::Spsc), Lifetime::Persistent));
    assert_eq!((layout.type_name.as_str(), layout.schema), ("Wide", 77));
    assert_eq!((layout.item_size, layout.item_align, layout.capacity, layout.processes), (96, 8, 5, 3));
    assert!((before..=SystemTime::now()).contains(&layout.created_at) && !layout.other_boot);
    let metadata = fs::metadata(name.path()).expect("a file");
    use std::os::unix::fs::MetadataExt;
    let file = picture.file;
    assert_eq!((file.inode, file.size, file.mode), (metadata.ino(), metadata.len(), 0o600));
    assert_eq!((file.links, file.owner, file.size), (1, metadata.uid(), layout.total_size));
    assert!(file.allocated >= file.size);

    let contents = picture.contents.expect("the header is in order");
    let [me] = &contents.processes[..] else { panic!("{:?}", contents.processes) };
    assert_eq!((me.pid, me.state, me.elsewhere), (std::process::id(), PeerState::Alive, false));
    assert_eq!(me.command.as_ref().map(|words| words[0].clone()), std::env::args().next());
    assert_eq!(contents.roles.expect("spsc").producer, RoleHolder::NeverCame);

    let (producer, consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let pid = std::process::id();
    let seen = self::contents(&name);
    let roles = seen.roles.expect("spsc");
    assert_eq!((roles.producer, roles.consumer), (RoleHolder::Alive { pid }, RoleHolder::Alive { pid }));
    assert_eq!((seen.processes[0].producers, seen.processes[0].consumers), (1, 1));
    drop((producer, consumer));
    assert_eq!(self::contents(&name).roles.expect("spsc").consumer, RoleHolder::Left);
    drop(ring);
    let picture = self::picture(&name);
    assert!(!picture.in_use && picture.contents.expect("in order").processes.is_empty());
}

/// Pushes and pops until every cell has been used a few times, and compares with what the picture says.
fn counts_are_exact<T: Message + FromBytes + Copy>(message: impl Fn(u64) -> T) {
    for capacity in [1, 2, 7, 8, 100] {
        let (one, many) = (Name::new(), Name::new());
        let options = Options::new().capacity(capacity).processes(2);
        let single = spsc::Ring::<T>::create(&one, &options).expect("new");
        let crowd = mpmc::Ring::<T>::create(&many, &options).expect("new");
        let (mut producer, mut consumer) = (single.producer().expect("free"), single.consumer().expect("free"));
        let (mut mpmc_producer, mut mpmc_consumer) = (crowd.producer(), crowd.consumer());
        let (mut pushed, mut popped) = (0, 0);
        for step in 0..60 {
            let batch = 1 + step % capacity;
            let messages: Vec<T> = (0..batch as u64).map(|index| message(pushed + index)).collect();
            let count = producer.push_slice(&messages).expect("not corrupted");
            assert_eq!(mpmc_producer.push_slice(&messages).expect("nobody else"), count);
            pushed += count as u64;
            for name in [&one, &many] {
                let seen = contents(name);
                assert!(seen.still);
                assert_eq!(
                    (seen.pushed, seen.popped, seen.fill),
                    (pushed, popped, pushed - popped),
                    "{capacity} {step}"
                );
                let glimpses = Segment::open(name).unwrap().peek(usize::MAX, usize::MAX).expect("in order");
                assert_eq!(glimpses.len() as u64, pushed - popped);
                for (glimpse, position) in glimpses.iter().zip(popped..) {
                    assert_eq!((glimpse.position, glimpse.redelivered), (position, false));
                    assert_eq!(glimpse.bytes, message(position).as_bytes());
                }
            }
            for _ in 0..(step * 7 % (capacity + 1)) {
                let got = consumer.try_pop().is_ok();
                assert_eq!(mpmc_consumer.try_pop().is_ok(), got);
                popped += u64::from(got);
            }
        }
        assert!(pushed > 3 * capacity as u64);
    }
}

#[test]
fn counts_and_messages_are_exact_while_nobody_moves_them() {
    counts_are_exact(|position| position);
    counts_are_exact(|position| position as u8);
    counts_are_exact(|position| [position; 3]);
    counts_are_exact(|position| Wide([position; 12]));
    counts_are_exact(|position| [position as u16; 3_000]);
}

#[test]
fn of_a_message_only_so_many_bytes_are_copied_as_are_asked_for() {
    let name = Name::new();
    let ring = mpmc::Ring::<[u8; 100]>::create(&name, &Options::new()).expect("new");
    ring.producer().push_slice(&[[7; 100], [8; 100]]).expect("room");
    let segment = Segment::open(&name).expect("there");
    let glimpses = segment.peek(1, 3).expect("in order");
    assert_eq!((glimpses.len(), glimpses[0].bytes.as_slice()), (1, &[7; 3][..]));
    assert!(segment.peek(0, 3).expect("in order").is_empty());
}

#[test]
fn who_holds_what_and_what_the_dead_have_left_is_shown() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new().capacity(8)).expect("new");
    let mut producer = ring.producer();
    producer.push_slice(&[1, 2, 3]).expect("room");
    let mut child = Child::start("worker", &["mpmc", name.as_str()]);
    child.expect("ready");
    let seen = contents(&name);
    let held: Vec<_> = seen.held.iter().map(|held| (held.pid, held.position, held.messages, held.pushing)).collect();
    assert_eq!(held, [(child.pid(), 0, 1, false), (child.pid(), 3, 1, true)]);
    assert_eq!((seen.held_count, seen.fill), (2, 3), "what is claimed counts as pushed, what is taken as popped");
    let positions =
        |name| Segment::open(name).unwrap().peek(9, 8).unwrap().iter().map(|g| g.position).collect::<Vec<_>>();
    assert_eq!(positions(&name), [1, 2], "what is in somebody's hands is not there");

    child.signal(Signal::STOP);
    let state = || contents(&name).processes.iter().find(|process| process.pid == child.pid()).map(|p| p.state);
    wait_until("it is stopped", || state() == Some(PeerState::Stopped));
    child.kill();
    let dead = |name| contents(name).processes.iter().any(|process| process.state == PeerState::Dead);
    wait_until("it is dead", || dead(&name));
    assert!(ring.recover().deaths == 1 && !dead(&name));
    let seen = contents(&name);
    assert_eq!((seen.recovered.deaths, seen.recovered.skipped, seen.recovered.redelivered), (1, 1, 1));
    assert_eq!((seen.orphans, seen.skips, seen.held.len()), (1, 1, 0));
    assert_eq!(positions(&name), [0, 1, 2]);
    assert!(Segment::open(&name).unwrap().peek(1, 8).unwrap()[0].redelivered);
}

#[test]
fn a_role_whose_holder_died_is_shown_as_free_to_claim() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    let mut child = Child::start("worker", &["spsc", name.as_str()]);
    child.expect("ready");
    let producer = || contents(&name).roles.expect("spsc").producer;
    assert_eq!(producer(), RoleHolder::Alive { pid: child.pid() });
    child.kill();
    wait_until("it is dead", || producer() == RoleHolder::Dead { pid: child.pid() });
    let _next = ring.producer().expect("free");
    assert_eq!(producer(), RoleHolder::Alive { pid: std::process::id() });
}

#[test]
fn whoever_sleeps_is_shown() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new().wait(ringway::Wait::Sleep)).expect("new");
    let mut consumer = ring.consumer();
    let (mut producer, sleeper) = (ring.producer(), std::thread::spawn(move || consumer.pop().map(|popped| *popped)));
    wait_until("it sleeps", || contents(&name).consumers_asleep.asleep);
    assert!(!contents(&name).producers_asleep.asleep);
    producer.try_push(1).expect("room");
    assert_eq!(sleeper.join().expect("no panic"), Ok(1));
}

#[test]
fn a_ring_in_motion_is_never_called_corrupted_and_its_messages_are_whole() {
    let (one, many) = (Name::new(), Name::new());
    let options = Options::new().capacity(50).wait(ringway::Wait::Yield);
    let single = spsc::Ring::<[u64; 9]>::create(&one, &options).expect("new");
    let crowd = mpmc::Ring::<[u64; 9]>::create(&many, &options).expect("new");
    let stop = &AtomicBool::new(false);
    /// Also at the end of a failure.
    struct AtTheEnd<'s>(&'s AtomicBool);
    impl Drop for AtTheEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let _at_the_end = AtTheEnd(stop);
        let (mut producer, mut consumer) = (single.producer().expect("free"), single.consumer().expect("free"));
        let (mut mpmc_producer, mut mpmc_consumer) = (crowd.producer(), crowd.consumer());
        scope.spawn(move || {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let _ = producer.try_push([number; 9]);
                let _ = mpmc_producer.push_slice(&[[number; 9]; 3]);
            }
        });
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = consumer.try_pop();
                let _ = mpmc_consumer.try_pop();
            }
        });
        let mut seen = 0;
        let mut last = (0, 0);
        for round in 0..2_000 {
            for name in [&one, &many] {
                let now = contents(name);
                assert!(now.fill <= 50);
                if name.as_str() == one.as_str() {
                    assert!(now.popped >= last.0 && now.pushed >= last.1, "round {round}: it went back");
                    last = (now.popped, now.pushed);
                }
                for glimpse in Segment::open(name).unwrap().peek(20, 72).expect("in order") {
                    let numbers: Vec<u64> = glimpse.bytes.chunks_exact(8).map(|bytes| get_word(bytes, 0)).collect();
                    assert!(numbers.iter().all(|&number| number == numbers[0]), "torn: {numbers:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "a ring that is pushed to has messages now and then");
    });
}

#[test]
fn what_is_wrong_with_a_header_is_said_field_by_field() {
    let name = Name::new();
    drop(spsc::Ring::<u64>::create(&name, &Options::new().capacity(100).processes(2)).expect("new"));
    let good = fs::read(name.path()).expect("a file");
    let errors_of = |bytes: &[u8]| {
        fs::write(name.path(), bytes).expect("ours");
        let picture = picture(&name);
        assert!(picture.contents.is_none());
        assert!(Segment::open(&name).unwrap().peek(1, 1).is_err());
        picture
    };
    for (field, offset, _) in FIELDS {
        let mut bytes = good.clone();
        let wrong = get_word(&bytes, offset) ^ 0x30;
        set_field(&mut bytes, field, wrong);
        let unchecked = ["schema", "boot id", "created at", "last detach"].contains(&field);
        if unchecked {
            continue;
        }
        let picture = errors_of(&bytes);
        let said: Vec<String> = picture.errors.iter().map(ToString::to_string).collect();
        assert!(!said.is_empty(), "{field} was changed, and nothing is said");
        assert_eq!(picture.layout.is_some(), !["magic", "byte order", "version"].contains(&field), "{field}");
    }
    let mut bytes = good.clone();
    set_field(&mut bytes, "capacity", 200);
    set_field(&mut bytes, "cell stride", 128);
    bytes[200] ^= 1;
    let picture = errors_of(&bytes);
    assert!(picture.errors.len() >= 3, "each is named: {:?}", picture.errors);

    let mut bytes = good.clone();
    set_word(&mut bytes, field("version").0, 9);
    let picture = errors_of(&bytes);
    assert_eq!(picture.version, Some(9));
    assert!(matches!(picture.errors[..], [HeaderError::Version { found, .. }] if found == 9));
    assert!(!errors_of(b"RINGWAY\0").in_use);
    assert!(matches!(errors_of(b"something else").errors[..], [HeaderError::TooShort { .. }]));
}

#[test]
fn a_ring_that_is_cut_short_is_an_error_and_no_signal() {
    let name = Name::new();
    let ring = mpmc::Ring::<[u64; 64]>::create(&name, &Options::new().capacity(1_000)).expect("new");
    drop(ring);
    let segment = Segment::open(&name).expect("there");
    assert!(segment.picture().expect("whole").errors.is_empty());
    let file = OpenOptions::new().write(true).open(name.path()).expect("ours");
    let whole = file.metadata().expect("a file").len();
    for length in [whole - 1, whole / 2, 4096, 600, 512, 100, 0] {
        file.set_len(length).expect("ours");
        let picture = segment.picture().expect("what is there can be read");
        assert!(picture.contents.is_none() && !picture.errors.is_empty(), "{length} bytes");
    }
    file.set_len(whole).expect("ours");
    assert!(segment.picture().expect("readable").contents.is_none(), "a hole is no header");
}

#[test]
fn any_file_can_be_looked_at_by_path_or_descriptor_with_or_without_a_name() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    ring.producer().expect("free").try_push(5).expect("room");
    let file = fs::File::open(name.path()).expect("ours");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    spsc::Ring::<u64>::unlink(&name).expect("there");
    let by_path = Segment::open_path(&path).expect("a link to it").picture().expect("readable");
    assert_eq!((by_path.file.links, by_path.contents.expect("in order").fill), (0, 1));
    let by_descriptor = Segment::from_fd(OwnedFd::from(file)).expect("a file");
    assert_eq!(by_descriptor.peek(1, 8).expect("in order")[0].bytes, 5_u64.to_ne_bytes());
    assert!(matches!(Segment::open(&name), Err(InspectError::NotFound { .. })));
    assert!(matches!(Segment::open_path("/dev/shm"), Err(InspectError::NotAFile { found: "directory", .. })));
    assert!(matches!(Segment::open_path("/dev/null"), Err(InspectError::NotAFile { found: "device", .. })));
    assert!(matches!(Segment::open("a/b"), Err(InspectError::Name(_))));
}

#[test]
fn rings_are_listed_and_nothing_else() {
    let (ring_name, foreign, link) = (Name::new(), Name::new(), Name::new());
    let ring = spsc::Ring::<u64>::create(&ring_name, &Options::new()).expect("new");
    fs::write(foreign.path(), "RINGWA").expect("ours");
    std::os::unix::fs::symlink(ring_name.path(), link.path()).expect("ours");
    let names = || inspect::list().expect("readable").rings.into_iter().map(|ring| ring.name).collect::<Vec<_>>();
    let listed = names();
    assert!(listed.is_sorted() && listed.contains(&ring_name.as_str().to_owned()));
    assert!(!listed.contains(&foreign.as_str().to_owned()) && !listed.contains(&link.as_str().to_owned()));
    assert!(matches!(Segment::open(&link), Err(InspectError::NotAFile { found: "symbolic link", .. })));
    drop(ring);
    spsc::Ring::<u64>::unlink(&ring_name).expect("there");
    assert!(!names().contains(&ring_name.as_str().to_owned()));
}

#[test]
fn who_waits_is_seen_and_who_does_not_have_to_is_not() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    let seen = || contents(&name).processes[0].seen_at;
    let attached = contents(&name).processes[0].attached_at;
    assert!(seen() >= attached);
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let claimed = seen();
    assert!(claimed > attached);
    for number in 0..1_000 {
        assert!(producer.try_push(number).is_ok() && consumer.try_pop() == Ok(number));
    }
    assert_eq!(seen(), claimed, "for the sake of a push nobody looks at a clock");
    let waiting = std::thread::spawn(move || consumer.pop());
    for _ in 0..3 {
        let before = seen();
        wait_until("it is seen again, while it waits", || seen() > before);
    }
    producer.try_push(5).expect("room");
    assert_eq!(waiting.join().expect("no panic"), Ok(5));
}
