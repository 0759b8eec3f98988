//! Those who were not there for a while, or come new, and find their way by the words of others.

use super::*;
use loom::thread;

/// While batches of these lengths go through the ring, from `position` on, somebody else who has slept pushes or pops.
fn meanwhile<L: FnOnce() -> Late + 'static>(position: u64, lengths: &[usize], late: impl FnOnce(Ring) -> L) {
    let ring = ring_at(position, 2);
    let (mut writer, mut reader) = (writer(&ring, 1), reader(&ring, 2));
    let late = thread::spawn(late(Rc::clone(&ring)));
    let (mut accepted, mut delivered) = (Vec::new(), Vec::new());
    let mut values = 0..;
    for &length in lengths {
        let batch = Vec::from_iter(values.by_ref().take(length));
        accepted.extend(&batch[..push(&mut writer, &batch)]);
        delivered.extend(pop(&mut reader, length));
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
        meanwhile(0, &[1, 1, 1], |ring| {
            let writer = writer(&ring, 3);
            || pushes(writer)
        });
    });
}

#[test]
fn a_consumer_that_slept_for_two_laps_goes_on_where_there_are_messages() {
    explore(Some(2), || {
        meanwhile(0, &[1, 1, 1], |ring| {
            let reader = reader(&ring, 3);
            || pops(reader)
        });
    });
}

/// Its cell is the last one of a batch: it learns that it is late while the batch is being handed over.
#[test]
fn a_producer_that_slept_goes_on_behind_a_batch() {
    explore(Some(2), || {
        meanwhile(1, &[1, 2], |ring| {
            let writer = writer(&ring, 3);
            || pushes(writer)
        });
    });
}

#[test]
fn a_consumer_that_slept_goes_on_behind_a_batch() {
    explore(Some(1), || {
        meanwhile(0, &[2, 2, 2], |ring| {
            let reader = reader(&ring, 3);
            || pops(reader)
        });
    });
}

/// The hint is stored at position 32.
#[test]
fn a_new_producer_starts_where_a_hint_says() {
    explore(Some(2), || meanwhile(30, &[1, 1, 1], |ring| move || pushes(writer(&ring, 3))));
}

#[test]
fn a_new_consumer_starts_where_a_hint_says() {
    explore(Some(2), || meanwhile(30, &[1, 1, 1], |ring| move || pops(reader(&ring, 3))));
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
