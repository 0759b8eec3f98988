//! Those who were not there for a while, or come new, and find their way by the words of others.

use super::*;
use loom::thread;

/// While `position..position + messages` go through the ring, one by one, somebody else who has slept pushes or pops.
fn meanwhile<L: FnOnce() -> Late + 'static>(position: u64, messages: u64, late: impl FnOnce(Ring) -> L) {
    let ring = ring_at(position, 2);
    let (mut writer, mut reader) = (writer(&ring, 1), reader(&ring, 2));
    let late = thread::spawn(late(Rc::clone(&ring)));
    let (mut accepted, mut delivered) = (Vec::new(), Vec::new());
    for value in 0..messages {
        accepted.extend((push(&mut writer, &[value]) > 0).then_some(value));
        delivered.extend(pop(&mut reader, 1));
    }
    let late = late.join().unwrap();
    delivered.extend(drain(&mut reader));
    assert_delivered_once(&[delivered, late.delivered], &[accepted, late.accepted]);
    assert_full_capacity_is_usable(&ring, &mut reader);
}

/// What the late one did.
#[derive(Default)]
struct Late {
    accepted: Vec<u64>,
    delivered: Vec<u64>,
}

fn pushes(mut writer: Writer) -> Late {
    let accepted = if push(&mut writer, &[50]) > 0 { vec![50] } else { vec![] };
    Late { accepted, ..Late::default() }
}

fn pops(mut reader: Reader) -> Late {
    Late { delivered: pop(&mut reader, 1), ..Late::default() }
}

#[test]
fn a_producer_that_slept_for_two_laps_goes_on_where_there_is_room() {
    explore(Some(2), || {
        meanwhile(0, 3, |ring| {
            let writer = writer(&ring, 3);
            || pushes(writer)
        });
    });
}

#[test]
fn a_consumer_that_slept_for_two_laps_goes_on_where_there_are_messages() {
    explore(Some(2), || {
        meanwhile(0, 3, |ring| {
            let reader = reader(&ring, 3);
            || pops(reader)
        });
    });
}

/// The hint is stored at position 32.
#[test]
fn a_new_producer_starts_where_a_hint_says() {
    explore(Some(2), || meanwhile(30, 3, |ring| move || pushes(writer(&ring, 3))));
}

#[test]
fn a_new_consumer_starts_where_a_hint_says() {
    explore(Some(2), || meanwhile(30, 3, |ring| move || pops(reader(&ring, 3))));
}

/// As above, and the word by which the consumer learns that it is late is that of a cell that a producer has freed, which
/// knows more than whoever abandoned the cell.
#[test]
fn a_consumer_that_slept_goes_on_behind_what_was_skipped() {
    explore(Some(2), || {
        let ring = ring_at(0, 2);
        let (mut writer, mut reader, late) = (writer(&ring, 1), reader(&ring, 2), super::reader(&ring, 3));
        assert_eq!(push(&mut writer, &[0, 1]), 2);
        assert_eq!(pop(&mut reader, 1), [0]);
        assert!(pushed(writer.reserve().expect("nothing is corrupted")) == Ok(1));
        writer.abandon();
        let late = thread::spawn(|| pops(late));
        let mut delivered = pop(&mut reader, 1);
        let accepted = Vec::from_iter((1..4).filter(|&value| value == 1 || push(&mut writer, &[value]) > 0));
        let late = late.join().unwrap();
        delivered.extend(drain(&mut reader));
        assert_delivered_once(&[delivered, late.delivered], &[accepted]);
        assert_full_capacity_is_usable(&ring, &mut reader);
    });
}
