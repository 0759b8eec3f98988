//! Messages that are written or read in their place, and abandoned or given back.

use super::*;
use crate::ring::mpmc::repair::sweep;
use loom::thread;

/// Writes a message in its place.
fn reserve(ring: &Ring, writer: &mut Writer, value: u64) -> bool {
    let reserved = pushed(writer.reserve().expect("nothing is corrupted")).unwrap_or(0) > 0;
    if reserved {
        ring.fill(writer.place_mut().as_mut_ptr().cast(), value);
    }
    reserved
}

/// Reads a message in its place.
fn peek(ring: &Ring, reader: &mut Reader) -> Option<u64> {
    popped(reader.peek().expect("nothing is corrupted")).ok().flatten()?;
    let value = ring.look(reader.front().as_ptr().cast());
    assert_eq!(ring.look(reader.front().as_ptr().cast()), value, "a message changed while it was looked at");
    Some(value)
}

/// One producer abandons a place and then takes one, while another pushes and a consumer pops.
fn a_place_is_abandoned(capacity: usize, waiting: u64, pops: usize) {
    explore(Some(2), move || {
        let ring = ring_at(1, capacity);
        let waiting = Vec::from_iter(0..waiting);
        assert_eq!(push(&mut writer(&ring, 9), &waiting), waiting.len());
        let (mut undecided, mut other, mut reader) = (writer(&ring, 1), writer(&ring, 2), reader(&ring, 3));
        let memory = Rc::clone(&ring);
        let abandoning = thread::spawn(move || {
            if reserve(&memory, &mut undecided, 777) {
                undecided.abandon();
            }
            let reserved = reserve(&memory, &mut undecided, 10);
            undecided.commit();
            Vec::from_iter(reserved.then_some(10))
        });
        let pushing = thread::spawn(move || Vec::from_iter((push(&mut other, &[20]) > 0).then_some(20)));
        let mut delivered: Vec<u64> = (0..pops).flat_map(|_| pop(&mut reader, 1)).collect();
        let accepted = [waiting, abandoning.join().unwrap(), pushing.join().unwrap()];
        delivered.extend(drain(&mut reader));
        assert_delivered_once(&[delivered], &accepted);
        assert_full_capacity_is_usable(&ring, &mut reader);
    });
}

#[test]
fn a_place_that_is_abandoned_is_skipped() {
    a_place_is_abandoned(1, 0, 1);
    a_place_is_abandoned(2, 1, 1);
}

/// One consumer looks at a message and gives it back, or releases it, while a producer pushes and another consumer pops.
fn a_message_is_looked_at(release: bool, capacity: usize, waiting: u64, pushes: u64, pops: usize) {
    explore(Some(2), move || {
        let ring = ring_at(1, capacity);
        let waiting = Vec::from_iter(0..waiting);
        assert_eq!(push(&mut writer(&ring, 9), &waiting), waiting.len());
        let (mut writer, mut undecided, mut reader) = (writer(&ring, 1), reader(&ring, 2), reader(&ring, 3));
        let pushing = thread::spawn(move || {
            (10..10 + pushes).filter(|&value| push(&mut writer, &[value]) > 0).collect::<Vec<u64>>()
        });
        let memory = Rc::clone(&ring);
        let looking = thread::spawn(move || {
            let peeked = peek(&memory, &mut undecided).filter(|_| release);
            match release {
                true => undecided.release(),
                false => undecided.give_back(),
            }
            Vec::from_iter(peeked)
        });
        let mut delivered: Vec<u64> = (0..pops).flat_map(|_| pop(&mut reader, 1)).collect();
        let (accepted, released) = (pushing.join().unwrap(), looking.join().unwrap());
        delivered.extend(drain(&mut reader));
        // What was given back comes when it is found.
        delivered.sort_unstable();
        assert_delivered_once(&[released, delivered], &[waiting, accepted]);
        assert_full_capacity_is_usable(&ring, &mut reader);
    });
}

#[test]
fn a_message_that_is_given_back_is_found_by_another_consumer() {
    a_message_is_looked_at(false, 1, 0, 1, 2);
    a_message_is_looked_at(false, 2, 1, 1, 2);
    // The other one is past it by then, and searches.
    a_message_is_looked_at(false, 2, 2, 0, 3);
}

/// There was an occasion to search before, and a message is given back in the middle of the search. `before`: whether it
/// had been taken before, so that whoever searches is past it and finds it in no other way.
fn an_orphan_is_made_during_a_search(before: bool) {
    explore(Some(2), move || {
        let ring = ring_at(1, 2);
        sweep(&ring, |_| false, |_, _| ());
        let (mut writer, mut undecided, mut reader) = (writer(&ring, 1), reader(&ring, 2), reader(&ring, 3));
        let memory = Rc::clone(&ring);
        let mut take = move |undecided: &mut Reader| {
            assert_eq!(push(&mut writer, &[10]), 1);
            // Unless it has been popped by then.
            peek(&memory, undecided);
        };
        if before {
            take(&mut undecided);
        }
        let giving_back = thread::spawn(move || {
            if !before {
                take(&mut undecided);
            }
            undecided.give_back();
        });
        let mut delivered = pop(&mut reader, 1);
        giving_back.join().unwrap();
        delivered.extend(drain(&mut reader));
        assert_delivered_once(&[delivered], &[vec![10]]);
        assert_full_capacity_is_usable(&ring, &mut reader);
    });
}

#[test]
fn an_orphan_that_nobody_has_counted_yet_is_read_as_it_was_pushed() {
    an_orphan_is_made_during_a_search(false);
}

#[test]
fn an_orphan_that_a_search_has_missed_is_found_by_the_next() {
    an_orphan_is_made_during_a_search(true);
}

#[test]
fn a_message_is_read_in_its_place() {
    a_message_is_looked_at(true, 1, 1, 1, 1);
    a_message_is_looked_at(true, 2, 1, 1, 2);
}

#[test]
fn what_is_counted_is_exact_when_all_is_quiet_and_never_more_than_fits() {
    explore(Some(2), || {
        let ring = ring_at(1, 2);
        let (mut writer, mut reader) = (writer(&ring, 1), reader(&ring, 2));
        let pushing = thread::spawn(move || push(&mut writer, &[1, 2]) + push(&mut writer, &[3]));
        assert!(count(&ring) <= 2);
        let popped = pop(&mut reader, 1).len();
        assert!(count(&ring) <= 2);
        let pushed = pushing.join().unwrap();
        assert_eq!(count(&ring), pushed - popped);
        assert_eq!(drain(&mut reader).len(), pushed - popped);
        assert_full_capacity_is_usable(&ring, &mut reader);
    });
}
