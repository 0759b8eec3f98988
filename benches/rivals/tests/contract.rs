//! Each rival in one process: its contract, and messages between two threads.

mod flow;

use flow::{CAPACITY, assert_excused, crowd, meet, receive, receive_in_place, receive_sleeping};
use flow::{send, send_in_place, send_sleeping, unique_name};
use ringway_rivals::contract::{Payload, Reader, Writer};
use ringway_rivals::rivals::{Channel, Description, Sleeps, Visitor, all, visit};
use ringway_rivals::rivals::{LendingReader, LendingWriter, SleepingReader, SleepingWriter};
use std::thread;

/// Looks for one rival.
struct Only {
    name: &'static str,
    found: bool,
}

impl Only {
    fn wants(&mut self, rival: &Description) -> bool {
        let wants = rival.name == self.name;
        self.found |= wants;
        wants
    }
}

/// Messages of 64 KiB go by value, and in an unoptimised program through many hands.
const STACK: usize = 64 << 20;

/// Does one thing in another thread meanwhile.
fn at_once(one: impl FnOnce() + Send, other: impl FnOnce()) {
    thread::scope(|scope| {
        thread::Builder::new().stack_size(STACK).spawn_scoped(scope, one).expect("a thread");
        other();
    });
}

fn between_threads<T: Payload>(mut writer: impl Writer<T>, mut reader: impl Reader<T>) {
    // Neither goes before both are done: a reader may be told that its writer is gone.
    at_once(|| send(&mut writer), || receive(&mut reader));
}

fn create<T: Payload, C: Channel<T>>(name: &str) -> Option<C> {
    match C::create(name, CAPACITY) {
        Ok(channel) => Some(channel),
        Err(reason) => {
            assert_excused(size_of::<T>(), &reason);
            None
        }
    }
}

/// Its contract, twice, as the second pair of ends must not find anything of the first; and flows in both directions.
fn polling<T: Payload, C: Channel<T>>(rival: &Description) {
    let name = unique_name();
    let Some(near) = create::<T, C>(&name) else { return };
    for _ in 0..2 {
        rival.contract.is_kept::<T>(&mut near.writer(), &mut near.reader(), CAPACITY);
    }
    let far = C::open(&name).expect("the channel of the near side");
    let reader = near.reader();
    between_threads(far.writer(), reader);
    let (mut writer, mut reader) = (near.writer(), far.reader());
    // Once they have met, the names may go.
    meet(&mut writer, &mut reader);
    drop((near, far));
    between_threads(writer, reader);
    assert_eq!(rival.multi_producer, rival.multi_consumer);
    if rival.multi_producer {
        in_a_crowd::<T, C>();
    }
}

/// Several producers and consumers, for whom small messages are enough.
fn in_a_crowd<T: Payload, C: Channel<T>>() {
    if size_of::<T>() <= 4096 {
        let near = create::<T, C>(&unique_name()).expect("a channel");
        crowd([near.writer(), near.writer()], [near.reader(), near.reader()]);
    }
}

fn asleep<T: Payload, C>()
where
    C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>>,
{
    let Some(near) = create::<T, C>(&unique_name()) else { return };
    let (mut writer, mut reader) = (near.writer(), near.reader());
    at_once(|| send_sleeping(&mut writer), || receive_sleeping(&mut reader));
}

fn in_place<T: Payload, C>()
where
    C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>>,
{
    let Some(near) = create::<T, C>(&unique_name()) else { return };
    let (mut writer, mut reader) = (near.writer(), near.reader());
    at_once(|| send_in_place(&mut writer), || receive_in_place(&mut reader));
}

impl<T: Payload> Visitor<T> for Only {
    fn in_process<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + 'static,
        R: Reader<T> + 'static,
    {
        if self.wants(rival) {
            assert!(rival.in_process_only && rival.tries && rival.sleeps == Sleeps::Neither);
            let (mut writer, mut reader) = make(CAPACITY).expect("a queue");
            rival.contract.is_kept(&mut writer, &mut reader, CAPACITY);
            between_threads(writer, reader);
        }
    }

    fn in_process_crowd<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + Clone + 'static,
        R: Reader<T> + Clone + 'static,
    {
        self.in_process(rival, make);
        if self.wants(rival) && size_of::<T>() <= 4096 {
            let (writer, reader) = make(CAPACITY).expect("a queue");
            crowd([writer.clone(), writer], [reader.clone(), reader]);
        }
    }

    fn across<C: Channel<T> + 'static>(&mut self, rival: &'static Description) {
        if self.wants(rival) {
            assert!(!rival.in_process_only && rival.sleeps != Sleeps::Both);
            polling::<T, C>(rival);
        }
    }

    fn across_lending<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
    {
        self.across::<C>(rival);
        if self.wants(rival) {
            in_place::<T, C>();
        }
    }

    fn across_sleeping<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>> + 'static,
    {
        if self.wants(rival) {
            assert!(!rival.in_process_only && rival.sleeps == Sleeps::Both);
            polling::<T, C>(rival);
            asleep::<T, C>();
        }
    }
}

fn check(name: &'static str) {
    let all_sizes = || {
        let mut only = Only { name, found: false };
        visit::<[u64; 1]>(&mut only);
        visit::<[u64; 7]>(&mut only);
        visit::<[u64; 512]>(&mut only);
        visit::<[u64; 8192]>(&mut only);
        assert!(only.found, "no rival is called {name}");
    };
    at_once(all_sizes, || ());
}

macro_rules! rivals {
    ($($test:ident: $feature:literal $name:literal;)*) => {
        $(
            #[cfg(feature = $feature)]
            #[test]
            fn $test() {
                check($name);
            }
        )*

        #[test]
        fn every_rival_has_a_test() {
            let tested = [$((cfg!(feature = $feature), $name)),*];
            let tested: Vec<_> = tested.into_iter().filter_map(|(built, name)| built.then_some(name)).collect();
            assert_eq!(all().iter().map(|rival| rival.name).collect::<Vec<_>>(), tested);
        }
    };
}

rivals! {
    rtrb: "rtrb" "rtrb";
    ringbuf: "ringbuf" "ringbuf";
    heapless: "heapless" "heapless spsc";
    crossbeam: "crossbeam-queue" "crossbeam ArrayQueue";
    shaq_spsc: "shaq" "shaq spsc";
    shaq_mpmc: "shaq" "shaq mpmc";
    iceoryx2: "iceoryx2" "iceoryx2";
    ringfire: "ringfire" "ringfire";
    ipc_channel: "ipc-channel" "ipc-channel";
    pipe: "pipe" "pipe";
    unix_socket: "unix-socket" "Unix socket";
    posix_mq: "posix-mq" "POSIX mq";
    sysv_mq: "sysv-mq" "System V mq";
    semaphores: "semaphores" "shared memory + sem_t";
    futex: "futex" "futex";
}

/// The versions that are said to be built are those of `Cargo.lock`.
#[test]
fn versions_are_those_that_were_built() {
    let lock = include_str!("../Cargo.lock");
    for rival in all() {
        let Some(version) = rival.version else { continue };
        let package = rival.link.strip_prefix("https://crates.io/crates/").expect("a crate");
        let entry = format!("name = \"{package}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&entry), "{} {version} is not what Cargo.lock says", rival.name);
    }
}
