//! Numbered messages through a rival, each checked as a whole.

use ringway_rivals::contract::{Payload, Reader, Writer};
use ringway_rivals::rivals::{LendingReader, LendingWriter, SleepingReader, SleepingWriter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What is asked for.
pub const CAPACITY: usize = 16;
/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A name that nobody else has.
pub fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// So many messages that small ones wrap around often, and large ones do not take long.
pub fn messages<T>() -> u64 {
    if size_of::<T>() > 4096 { 300 } else { 10_000 }
}

/// Whether a rival may say that messages of that size cannot be had: only where the system's settings forbid them.
pub fn assert_excused(bytes: usize, reason: &str) {
    assert!(bytes > 8192 && reason.contains("raise "), "{reason}");
    eprintln!("left out: {reason}");
}

fn wait<V>(mut poll: impl FnMut() -> Option<V>) -> V {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "the other side does not answer");
        thread::yield_now();
    }
}

fn check<T: Payload>(message: &T, number: u64) {
    assert!(message.as_bytes() == T::filled(number).as_bytes(), "message {number} is not what was sent");
}

/// One message from one to the other, which are in the same thread.
pub fn meet<T: Payload>(writer: &mut impl Writer<T>, reader: &mut impl Reader<T>) {
    let mut sent = false;
    let message = wait(|| {
        sent = sent || writer.push(T::filled(0)).is_ok();
        reader.pop()
    });
    check(&message, 0);
}

/// Sends them, one by one and in batches.
pub fn send<T: Payload>(writer: &mut impl Writer<T>) {
    let mut sent = 0;
    while sent < messages::<T>() {
        wait(|| writer.push(T::filled(sent)).ok());
        sent += 1;
        let batch: Vec<T> = (sent..messages::<T>().min(sent + 5)).map(T::filled).collect();
        let mut pushed = 0;
        while pushed < batch.len() {
            pushed += wait(|| Some(writer.push_some(&batch[pushed..])).filter(|&count| count > 0));
        }
        sent += pushed as u64;
    }
}

/// Receives them, one by one and in batches; and nothing else.
pub fn receive<T: Payload>(reader: &mut impl Reader<T>) {
    let mut room = vec![T::BLANK; 7];
    let mut got = 0;
    while got < messages::<T>() {
        check(&wait(|| reader.pop()), got);
        got += 1;
        let count = reader.pop_some(&mut room);
        for message in &room[..count] {
            check(message, got);
            got += 1;
        }
    }
    assert!(reader.pop().is_none(), "more came than was sent");
}

/// Sends them asleep.
pub fn send_sleeping<T: Payload>(writer: &mut impl SleepingWriter<T>) {
    for number in 0..messages::<T>() {
        writer.push_sleeping(T::filled(number));
    }
}

/// Receives them asleep.
pub fn receive_sleeping<T: Payload>(reader: &mut impl SleepingReader<T>) {
    for number in 0..messages::<T>() {
        check(&reader.pop_sleeping(), number);
    }
    assert!(reader.pop().is_none(), "more came than was sent");
}

/// Writes them where they will lie.
pub fn send_in_place<T: Payload>(writer: &mut impl LendingWriter<T>) {
    for number in 0..messages::<T>() {
        let message = T::filled(number);
        wait(|| writer.push_in_place(|place| place.copy_from_slice(message.as_bytes())).then_some(()));
    }
}

/// Reads them where they lie.
pub fn receive_in_place<T: Payload>(reader: &mut impl LendingReader<T>) {
    for number in 0..messages::<T>() {
        wait(|| reader.pop_in_place(|message| check(message, number)));
    }
    assert!(reader.pop_in_place(|_| ()).is_none(), "more came than was sent");
}

/// Two send their shares at once, and two receive them: each message once, and those of one sender in their order.
pub fn crowd<T: Payload>(writers: [impl Writer<T>; 2], readers: [impl Reader<T>; 2]) {
    let each = messages::<T>() / 2;
    let received = AtomicU64::new(0);
    let (mut numbers, _writers) = thread::scope(|scope| {
        let received = &received;
        let writers = [0, 1].into_iter().zip(writers).map(|(share, mut writer)| {
            scope.spawn(move || {
                for number in share * each..(share + 1) * each {
                    wait(|| writer.push(T::filled(number)).ok());
                }
                writer
            })
        });
        let writers: Vec<_> = writers.collect();
        let readers = readers.map(|mut reader| scope.spawn(move || share_of(&mut reader, received, 2 * each)));
        let numbers = readers.map(|reader| reader.join().expect("a reader")).concat();
        // They have lived until all was received: a reader may be told that its writer is gone.
        (numbers, writers.into_iter().map(|writer| writer.join().expect("a writer")).collect::<Vec<_>>())
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2 * each).collect::<Vec<_>>(), "each message once");
}

/// The numbers of what one of several readers gets, while fewer than `all` were received.
fn share_of<T: Payload>(reader: &mut impl Reader<T>, received: &AtomicU64, all: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut latest = [None; 2];
    loop {
        let next = wait(|| match reader.pop() {
            Some(message) => Some(Some(message)),
            None => (received.load(Ordering::Relaxed) == all).then_some(None),
        });
        let Some(message) = next else { return numbers };
        received.fetch_add(1, Ordering::Relaxed);
        let first_word = message.as_bytes().first_chunk().expect("a word");
        let number = u64::from_ne_bytes(*first_word) >> 16;
        check(&message, number);
        let sender = (number >= all / 2) as usize;
        assert!(latest[sender] < Some(number), "{number} came after {:?}", latest[sender]);
        latest[sender] = Some(number);
        numbers.push(number);
    }
}
