//! Bytes that are no value of the message type: they come out as an error, once, and the ring goes on.

mod support;

use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use ringway::{Message, Options, PopSliceError, TryPopError, spsc};
use std::fmt::Debug;
use support::Name;
use support::bytes::Scribbler;

#[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(u8)]
enum Side {
    Buy = 1,
    Sell = 2,
}

#[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(u16)]
enum Venue {
    Here = 500,
    There = 600,
}

#[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Order {
    price: u32,
    venue: Venue,
    side: Side,
    urgent: bool,
}

const ORDER: Order = Order { price: 7, venue: Venue::There, side: Side::Sell, urgent: true };

/// A word that is a boolean: an enum whose valid values are few among many.
#[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(u64)]
enum Switch {
    Off = 0,
    On = 1,
}

/// A flag in front of more bytes than a line holds.
#[derive(Clone, Copy, PartialEq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Large {
    flag: bool,
    rest: [u8; 199],
}

const TAG: u64 = 0x5ca1e;

/// A ring whose consumer expects `T` and whose producer sends whatever `Raw` is: a program gone wrong.
fn deceived<Raw: Message, T: Message>(
    capacity: usize,
) -> (Name, spsc::Ring<T>, spsc::Producer<Raw>, spsc::Consumer<T>) {
    let name = Name::new();
    let options = Options::new().capacity(capacity).schema(TAG);
    let raw = spsc::Ring::<Raw>::create(&name, &options).expect("a new name");
    let ring = spsc::Ring::<T>::open_with(&name, &options).expect("the same size, alignment and tag");
    let consumer = ring.consumer().expect("a free role");
    let producer = raw.producer().expect("a free role");
    (name, ring, producer, consumer)
}

/// The error that stands for message `position` of the ring.
fn invalid(name: &Name, position: u64, expected: &str, found: TryPopError) {
    let TryPopError::Invalid(found) = found else { panic!("{found:?}") };
    assert_eq!((&*found.ring, found.position), (name.as_str(), position));
    assert!(found.expected.ends_with(expected), "{found}");
    let text = found.to_string();
    assert!(text.contains(name.as_str()) && text.contains(expected), "{text}");
}

#[test]
fn a_bool_of_7_is_an_error_once_and_the_ring_goes_on() {
    let (name, ring, mut producer, mut consumer) = deceived::<u8, bool>(100);
    for round in 0..40 {
        for byte in [1, 7, 0, 255, 1] {
            assert_eq!(producer.try_push(byte), Ok(()));
        }
        let first = round * 5;
        assert_eq!(consumer.try_pop(), Ok(true));
        invalid(&name, first + 1, "bool", consumer.try_pop().expect_err("7 is no bool"));
        assert_eq!(consumer.try_pop(), Ok(false));
        assert_eq!(ring.len(), 2);
        invalid(&name, first + 3, "bool", consumer.try_pop().expect_err("255 is no bool"));
        assert_eq!(consumer.try_pop(), Ok(true));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert_eq!(consumer.position(), first + 5);
    }
}

#[test]
fn a_byte_that_somebody_overwrites_in_the_segment_is_found_when_it_is_popped() {
    let name = Name::new();
    let ring = spsc::Ring::<Order>::create(&name, &Options::new().capacity(3)).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let scribbler = Scribbler::new(&name.path());
    let item = scribbler.cells() + 8;
    assert_eq!(producer.push_slice(&[ORDER; 3]), Ok(3));
    // One byte of each of its checked fields: the venue of the first, the side of the second, the flag of the third.
    scribbler.set_byte(item + 4, 1);
    scribbler.set_byte(item + 8 + 6, 3);
    scribbler.set_byte(item + 16 + 7, 2);
    for position in 0..3 {
        invalid(&name, position, "Order", consumer.try_pop().expect_err("a broken order"));
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert_eq!(producer.try_push(ORDER), Ok(()));
    assert_eq!(consumer.try_pop(), Ok(ORDER));
}

#[test]
fn reserved_bytes_that_are_no_message_are_found_when_they_are_popped() {
    let name = Name::new();
    let ring = spsc::Ring::<Large>::create(&name, &Options::new().capacity(2)).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let mut reserved = producer.reserve().expect("room");
    reserved.as_mut_bytes().fill(9);
    reserved.commit();
    let good = Large { flag: true, rest: [9; 199] };
    assert_eq!(producer.try_push(good), Ok(()));
    invalid(&name, 0, "Large", consumer.try_pop().expect_err("9 is no bool"));
    assert_eq!(consumer.try_pop(), Ok(good));
}

/// Pushes `raw`, and pops it in slices of `length` from a ring of `T`: every good message must come out in order, every
/// bad one as one error, and no element of the slice may change but those that are counted.
fn pop_slices<Raw, T>(at: u64, raw: &[Raw], good: impl Fn(&Raw) -> Option<T>, untouched: T, length: usize)
where
    Raw: Message + Copy,
    T: Message + Copy + PartialEq + Debug,
{
    let (name, _ring, mut producer, mut consumer) = deceived::<Raw, T>(raw.len() + 60);
    let fine = raw.iter().find(|raw| good(raw).is_some()).expect("a good one among them");
    for _ in 0..at {
        assert!(producer.try_push(*fine).is_ok());
        assert_eq!(consumer.try_pop().ok(), good(fine));
    }
    assert_eq!(producer.push_slice(raw), Ok(raw.len()));
    let mut expected = raw.iter().map(&good).peekable();
    let mut position = at;
    while let Some(next) = expected.peek() {
        let mut out = vec![untouched; length];
        match consumer.pop_slice(&mut out) {
            Ok(count) => {
                assert!(next.is_some() && (1..=length).contains(&count), "{count} at {position}, {next:?}");
                for (index, message) in out.iter().enumerate() {
                    let expected = if index < count { expected.next().expect("one more") } else { Some(untouched) };
                    assert_eq!(Some(*message), expected, "index {index} of {count} at {position}");
                }
                let ends = count == length || expected.peek().is_none_or(Option::is_none);
                assert!(ends, "it stops only where it must: {count} at {position}");
                position += count as u64;
            }
            Err(error) => {
                assert!(next.is_none(), "{error} at {position}");
                assert_eq!(out, vec![untouched; length], "nothing was filled");
                let PopSliceError::Invalid(error) = error else { panic!("{error}") };
                assert_eq!((&*error.ring, error.position), (name.as_str(), position));
                expected.next();
                position += 1;
            }
        }
        assert_eq!(consumer.position(), position);
        assert_eq!(consumer.len() as u64, at + raw.len() as u64 - position);
    }
    // All is taken, nothing is left, and the ring is as good as new.
    assert_eq!(consumer.pop_slice(&mut vec![untouched; length]), Ok(0));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert!(producer.try_push(*fine).is_ok());
    assert_eq!(consumer.try_pop().ok(), good(fine));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

#[test]
fn a_slice_stops_before_an_invalid_word_and_leaves_the_rest_of_the_destination_alone() {
    let good = |&word: &u64| [Switch::Off, Switch::On].into_iter().find(|&switch| switch as u64 == word);
    for at in 0..15 {
        for bad in 0..10 {
            let mut raw: Vec<u64> = (0..10).map(|n| n % 2).collect();
            raw[bad] = 7;
            for length in [1, 2, 7, 8, 10, 20] {
                pop_slices(at, &raw, good, Switch::On, length);
            }
        }
        // Two in a row, both ends, and none in the middle.
        pop_slices(at, &[9, 9, 1, 0, 9, 1, 1, 1, 1, 9, 9], good, Switch::Off, 11);
    }
}

#[test]
fn a_slice_stops_before_an_invalid_byte_among_a_whole_line_of_them() {
    let good = |&byte: &u8| (byte < 2).then_some(byte == 1);
    for at in [0, 1, 54, 55, 56, 57] {
        for bad in [0, 1, 55, 56, 69] {
            let mut raw = vec![1_u8; 70];
            raw[bad] = 2;
            for length in [1, 56, 70, 200] {
                pop_slices(at, &raw, good, false, length);
            }
        }
    }
}

#[test]
fn a_slice_stops_before_an_invalid_large_message() {
    let good = |raw: &[u8; 200]| {
        let rest = raw[1..].try_into().expect("199 bytes");
        (raw[0] < 2).then_some(Large { flag: raw[0] == 1, rest })
    };
    let untouched = Large { flag: true, rest: [42; 199] };
    for bad in 0..4 {
        let mut raw = [[1; 200]; 4];
        raw[bad][0] = 0x80;
        for length in [1, 2, 4, 5] {
            pop_slices(3, &raw, good, untouched, length);
        }
    }
}

#[test]
fn a_message_with_several_checked_fields_arrives_as_it_was_sent() {
    let name = Name::new();
    let ring = spsc::Ring::create(&name, &Options::new().capacity(16)).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let mut sent = Vec::new();
    for (venue, side) in [(Venue::Here, Side::Buy), (Venue::There, Side::Sell), (Venue::Here, Side::Sell)] {
        for urgent in [true, false] {
            sent.push(Order { price: sent.len() as u32, venue, side, urgent });
        }
    }
    assert_eq!(producer.push_slice(&sent), Ok(6));
    assert_eq!(consumer.try_pop(), Ok(sent[0]));
    let mut received = [ORDER; 5];
    assert_eq!(consumer.pop_slice(&mut received), Ok(5));
    assert_eq!(received[..], sent[1..]);
}
