//! Rings in the memory of one process. These tests run under Miri as well: `cargo +nightly miri test --test memory_heap`,
//! with `MIRIFLAGS=-Zmiri-disable-isolation`, as a ring remembers when it was made.

use ringway::{
    ClaimError, Lifetime, MemoryKind, OpenError, Options, Role, Source, TryPopError, TryPushError, UnlinkError, mpmc,
    spsc,
};

const MESSAGES: u64 = if cfg!(miri) { 300 } else { 300_000 };

fn options() -> Options {
    Options::new().capacity(7).processes(2)
}

#[test]
fn a_clone_is_the_other_end_of_the_same_ring() {
    let ring = spsc::Ring::<u64>::create(Source::heap(), &options()).expect("memory");
    assert_eq!((ring.name(), ring.capacity(), ring.len()), ("a ring on the heap", 7, 0));
    let same = ring.clone();
    let (mut producer, mut consumer) = (ring.producer().expect("free"), same.consumer().expect("free"));
    assert!(matches!(same.producer(), Err(ClaimError::RoleTaken { role: Role::Producer, .. })));
    for round in 0..5 {
        for number in 0..7 {
            assert!(producer.try_push(round * 7 + number).is_ok());
        }
        assert!(matches!(producer.try_push(0), Err(TryPushError::Full(0))));
        for number in 0..7 {
            assert_eq!(consumer.try_pop(), Ok(round * 7 + number));
        }
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    drop(producer);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    ring.producer().expect("given up");
}

#[test]
fn each_message_goes_once_from_thread_to_thread() {
    let ring = spsc::Ring::<u64>::create(Source::heap(), &options()).expect("memory");
    let mut producer = ring.producer().expect("free");
    let mut consumer = ring.consumer().expect("free");
    std::thread::scope(|scope| {
        scope.spawn(move || (0..MESSAGES).for_each(|number| producer.push(number).expect("there is a consumer")));
        (0..MESSAGES).for_each(|number| assert_eq!(consumer.pop(), Ok(number)));
    });
}

#[test]
fn each_message_goes_to_one_of_many_threads() {
    let ring = mpmc::Ring::<u64>::create(Source::heap(), &options()).expect("memory");
    let sum: u64 = std::thread::scope(|scope| {
        for thread in 0..2 {
            let mut producer = ring.producer();
            scope.spawn(move || {
                (0..MESSAGES).for_each(|number| producer.push(2 * number + thread).expect("there are consumers"));
            });
        }
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let mut consumer = ring.consumer();
                scope.spawn(move || consumer.iter().map(|message| *message.expect("valid")).sum::<u64>())
            })
            .collect();
        consumers.into_iter().map(|consumer| consumer.join().expect("no panic")).sum()
    });
    assert_eq!(sum, 2 * MESSAGES * (2 * MESSAGES - 1) / 2);
}

#[test]
fn messages_of_many_lines_and_guards_are_as_anywhere() {
    let ring = mpmc::Ring::<[u8; 300]>::create(Source::heap(), &options()).expect("memory");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for round in 0..20 {
        let mut place = producer.reserve().expect("room");
        place.write([round; 300]);
        place.commit();
        drop(producer.reserve().expect("room"));
        producer.try_push([round + 1; 300]).expect("room");
        let peek = consumer.peek().expect("a message");
        assert_eq!(*peek, [round; 300]);
        peek.release();
        assert_eq!(consumer.try_pop().map(|message| message.into_inner()), Ok([round + 1; 300]));
        assert!(consumer.try_pop().is_err());
    }
}

#[test]
fn nobody_else_finds_it() {
    let error = spsc::Ring::<u64>::open(Source::heap()).expect_err("nowhere to be found");
    assert!(matches!(&error, OpenError::NoName { .. }) && error.to_string().contains("clone"), "{error}");
    let error = spsc::Ring::<u64>::unlink(Source::heap()).expect_err("nothing to remove");
    assert!(matches!(error, UnlinkError::NoName { .. }), "{error}");
    let (one, other) = (
        spsc::Ring::<u64>::open_or_create(Source::heap(), &options()).expect("memory"),
        spsc::Ring::<u64>::open_or_create(Source::heap(), &options().lifetime(Lifetime::LastDetach)).expect("memory"),
    );
    one.producer().expect("free").try_push(1).expect("room");
    assert_eq!((one.len(), other.len()), (1, 0));
    assert!(one.as_fd().is_none());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no /proc")]
fn it_is_memory_of_which_all_that_can_be_asked_is_so() {
    let ring = spsc::Ring::<u64>::create(Source::heap(), &options().capacity(50_000).prefault(true)).expect("memory");
    let memory = ring.memory();
    assert_eq!((memory.kind, memory.inode, memory.locked), (MemoryKind::Heap, None, false));
    assert_eq!(memory.resident, memory.bytes.next_multiple_of(4096));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no forks")]
fn a_forked_child_has_no_part_in_it() {
    let ring = spsc::Ring::<u64>::create(Source::heap(), &options()).expect("memory");
    let producer = ring.producer().expect("free");
    let mut held = Some((ring.clone(), producer));
    // SAFETY: the child drops what it inherited, and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(held.take());
        // SAFETY: it takes a number, and runs nothing of the parent's.
        unsafe { libc::_exit(0) };
    }
    let ended = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), rustix::process::WaitOptions::empty());
    assert_eq!(ended.expect("our child").expect("it ends").1.exit_status(), Some(0));
    let (ring, mut producer) = held.expect("still ours");
    producer.try_push(1).expect("room");
    assert!(ring.producer().is_err(), "the role is still held");
    assert_eq!(ring.consumer().expect("free").try_pop(), Ok(1));
}
