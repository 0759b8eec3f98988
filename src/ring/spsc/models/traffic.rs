//! Both ends alive: what is pushed is popped, once, in order, unharmed.

use super::*;
use loom::thread;

/// One end tries to push `pushes` times while the other tries to pop `pops` times.
fn messages_pass<const K: usize>(capacity: usize, pushes: usize, pops: usize) {
    explore(None, move || {
        let ring = ring::<K>(capacity);
        let (mut writer, mut reader) = (writer(&ring, false), reader(&ring));
        let pushing = thread::spawn(move || {
            let mut accepted = 0;
            for _ in 0..pushes {
                accepted += u64::from(push(&mut writer, accepted + 1));
            }
            (writer, accepted)
        });
        let mut popped: Vec<u64> = (0..pops).filter_map(|_| pop(&mut reader)).collect();
        let (mut writer, accepted) = pushing.join().unwrap();
        popped.extend(drain(&mut reader));
        assert_eq!(popped, Vec::from_iter(1..=accepted));
        assert_full_capacity_is_usable(&mut writer, &mut reader, capacity);
    });
}

#[test]
fn messages_arrive_in_order_and_unharmed_with_one_to_a_cell() {
    messages_pass::<1>(1, 3, 3);
    messages_pass::<1>(2, 4, 3);
    messages_pass::<1>(3, 5, 3);
}

#[test]
fn messages_arrive_in_order_and_unharmed_with_several_to_a_cell() {
    messages_pass::<2>(1, 3, 3);
    messages_pass::<2>(2, 4, 3);
    messages_pass::<2>(3, 5, 3);
    messages_pass::<3>(2, 4, 3);
    messages_pass::<3>(4, 6, 2);
}

/// The batches go in one after the other, each as far as there is room, while the other end takes all it can get.
fn batches_pass<const K: usize>(capacity: usize, offset: usize, batches: &'static [usize], pops: usize) {
    explore(None, move || {
        let ring = ring::<K>(capacity);
        start_at(&ring, offset, &[]);
        let (mut writer, mut reader) = (writer(&ring, false), reader(&ring));
        let pushing = thread::spawn(move || {
            // Where each batch ends, in messages pushed so far.
            let mut ends = vec![0];
            for length in batches {
                let pushed = *ends.last().unwrap();
                let values: Vec<u64> = (pushed..pushed + length).map(|n| n as u64).collect();
                ends.push(pushed + push_slice(&mut writer, &values));
            }
            (writer, ends)
        });
        let mut popped = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..pops {
            popped.extend(pop_slice(&mut reader, capacity));
            seen.push(popped.len());
        }
        let (mut writer, ends) = pushing.join().unwrap();
        assert!(seen.iter().all(|seen| ends.contains(seen)), "a part of a batch was seen: {seen:?} of {ends:?}");
        popped.extend(drain(&mut reader));
        assert_eq!(popped, Vec::from_iter(0..*ends.last().unwrap() as u64));
        assert_full_capacity_is_usable(&mut writer, &mut reader, capacity);
    });
}

#[test]
fn a_batch_over_several_cells_is_seen_whole_or_not_at_all() {
    batches_pass::<1>(3, 0, &[3, 2], 2);
    batches_pass::<1>(2, 1, &[2, 2], 2);
    for offset in 0..2 {
        batches_pass::<2>(3, offset, &[3, 2], 2);
        batches_pass::<2>(5, offset, &[1, 4, 2], 2);
    }
    batches_pass::<3>(4, 2, &[4, 3], 2);
}

#[test]
fn what_was_pushed_one_after_the_other_is_popped_at_once() {
    batches_pass::<1>(2, 0, &[1, 1], 1);
    batches_pass::<1>(3, 1, &[1, 1, 1], 2);
    batches_pass::<2>(4, 0, &[2, 2], 2);
}

#[test]
fn a_batch_that_is_popped_in_pieces_is_popped_once() {
    explore(None, || {
        let ring = ring::<2>(3);
        let (mut writer, mut reader) = (writer(&ring, false), reader(&ring));
        let pushing = thread::spawn(move || {
            assert_eq!(push_slice(&mut writer, &[1, 2, 3]), 3);
            let more = push_slice(&mut writer, &[4, 5]);
            (writer, more)
        });
        let mut popped = pop_slice(&mut reader, 1);
        popped.extend(pop_slice(&mut reader, 2));
        let (mut writer, more) = pushing.join().unwrap();
        popped.extend(drain(&mut reader));
        assert_eq!(popped, Vec::from_iter(1..=3 + more as u64));
        assert_full_capacity_is_usable(&mut writer, &mut reader, 3);
    });
}

fn messages_pass_in_place<const K: usize>(capacity: usize, pushes: u64, peeks: usize) {
    explore(None, move || {
        let ring = ring::<K>(capacity);
        let (mut writer, mut reader) = (writer(&ring, false), reader(&ring));
        let memory = Rc::clone(&ring);
        let pushing = thread::spawn(move || {
            let mut committed = 0;
            for _ in 0..pushes {
                if !writer.reserve().expect("nothing is corrupted") {
                    continue;
                }
                // What is written and abandoned never was; what is written last is what counts.
                memory.fill(writer.place_mut().as_mut_ptr().cast(), 777);
                assert!(writer.reserve().expect("nothing is corrupted"), "there was room");
                committed += 1;
                memory.fill(writer.place_mut().as_mut_ptr().cast(), committed);
                writer.commit();
            }
            (writer, committed)
        });
        let mut peeked = Vec::new();
        for _ in 0..peeks {
            if !reader.peek().expect("nothing is corrupted") {
                continue;
            }
            let value = ring.look(reader.front().as_ptr().cast());
            assert_eq!(ring.look(reader.front().as_ptr().cast()), value, "a message changed while it was looked at");
            peeked.push(value);
            reader.release(1);
        }
        let (mut writer, committed) = pushing.join().unwrap();
        peeked.extend(drain(&mut reader));
        assert_eq!(peeked, Vec::from_iter(1..=committed));
        assert_full_capacity_is_usable(&mut writer, &mut reader, capacity);
    });
}

#[test]
fn a_message_is_written_and_read_in_its_place() {
    messages_pass_in_place::<1>(1, 2, 2);
    messages_pass_in_place::<1>(2, 3, 2);
    messages_pass_in_place::<2>(2, 3, 3);
}

#[test]
fn what_the_consumer_counts_can_be_popped() {
    explore(None, || {
        let ring = ring::<1>(2);
        let (mut writer, mut reader) = (writer(&ring, false), reader(&ring));
        let pushing = thread::spawn(move || {
            push_slice(&mut writer, &[1, 2]);
            push(&mut writer, 3);
            assert!(writer.len().expect("nothing is corrupted") <= 2);
        });
        let counted = reader.len().expect("nothing is corrupted");
        assert!(counted <= 2);
        assert!(pop_slice(&mut reader, 2).len() >= counted, "what was counted could not be popped");
        let empty = reader.is_empty().expect("nothing is corrupted");
        assert!(empty || pop(&mut reader).is_some(), "what was there could not be popped");
        pushing.join().unwrap();
    });
}
