//! All alive: what is pushed is popped, once, in order, unharmed.

use super::*;
use loom::thread;

/// Each producer pushes batches of these lengths, each consumer pops batches of up to these lengths, one attempt each.
#[derive(Clone, Copy)]
struct Traffic {
    position: u64,
    capacity: usize,
    /// Messages that are in the ring before.
    waiting: u64,
    producers: &'static [&'static [u64]],
    consumers: &'static [&'static [usize]],
}

impl Traffic {
    fn explore(self, preemptions: Option<usize>) {
        explore(preemptions, move || self.run());
    }

    fn run(&self) {
        let ring = ring_at(self.position, self.capacity);
        let waiting = Vec::from_iter(0..self.waiting);
        assert_eq!(push(&mut writer(&ring, 90), &waiting), waiting.len());
        let (mine, others) = self.consumers.split_first().expect("somebody pops");
        let popping = |reader: &mut Reader, lengths: &[usize]| {
            lengths.iter().flat_map(|&most| pop(reader, most)).collect::<Vec<u64>>()
        };
        let mut reader = reader(&ring, 1);
        let producers: Vec<_> = (1..)
            .zip(self.producers)
            .map(|(producer, lengths)| {
                let mut writer = writer(&ring, 10 + producer);
                thread::spawn(move || {
                    let mut next = 10 * u64::from(producer);
                    let mut accepted = Vec::new();
                    for length in *lengths {
                        let batch = Vec::from_iter(next..next + length);
                        accepted.extend(&batch[..push(&mut writer, &batch)]);
                        next += length;
                    }
                    accepted
                })
            })
            .collect();
        let consumers: Vec<_> = (2..)
            .zip(others)
            .map(|(me, lengths)| {
                let mut reader = super::reader(&ring, me);
                thread::spawn(move || popping(&mut reader, lengths))
            })
            .collect();
        let mut first = popping(&mut reader, mine);
        let accepted: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        let delivered: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        first.extend(drain(&mut reader));
        assert_delivered_once(&[&[first], &delivered[..]].concat(), &[&[waiting], &accepted[..]].concat());
        assert_full_capacity_is_usable(&ring, &mut reader);
    }
}

#[test]
fn messages_pass_from_one_producer_to_one_consumer() {
    let all = Traffic { position: 0, capacity: 1, waiting: 0, producers: &[&[1, 1, 1]], consumers: &[&[1, 1, 1]] };
    for capacity in 1..=3 {
        Traffic { capacity, ..all }.explore(Some(2));
    }
    // From a full ring on, over the end.
    Traffic { position: 1, capacity: 2, waiting: 2, ..all }.explore(Some(2));
}

#[test]
fn batches_pass_from_one_producer_to_one_consumer() {
    let all = Traffic { position: 0, capacity: 2, waiting: 2, producers: &[&[2, 2]], consumers: &[&[2, 2]] };
    for position in 0..2 {
        Traffic { position, ..all }.explore(Some(2));
        // What is popped one by one is room for a batch, and the other way round.
        Traffic { position, consumers: &[&[1, 1]], ..all }.explore(Some(2));
        Traffic { position, producers: &[&[1, 1]], ..all }.explore(Some(2));
    }
    for position in 0..3 {
        Traffic { position, capacity: 3, waiting: 1, producers: &[&[3, 1]], consumers: &[&[3, 2]] }.explore(Some(2));
    }
}

#[test]
fn messages_of_two_producers_pass_to_one_consumer() {
    let all = Traffic { position: 1, capacity: 1, waiting: 0, producers: &[&[1, 1], &[1]], consumers: &[&[1, 1]] };
    all.explore(Some(2));
    Traffic { capacity: 2, waiting: 1, ..all }.explore(Some(2));
}

#[test]
fn batches_of_two_producers_pass_to_one_consumer() {
    let all = Traffic { position: 1, capacity: 2, waiting: 2, producers: &[&[1], &[1]], consumers: &[&[2, 1]] };
    all.explore(Some(2));
    Traffic { waiting: 0, producers: &[&[2], &[1]], consumers: &[&[2]], ..all }.explore(Some(2));
}

#[test]
fn messages_pass_from_one_producer_to_two_consumers() {
    let all = Traffic { position: 1, capacity: 1, waiting: 1, producers: &[&[1]], consumers: &[&[1, 1], &[1]] };
    all.explore(Some(2));
    Traffic { capacity: 2, ..all }.explore(Some(2));
}

#[test]
fn batches_pass_from_one_producer_to_two_consumers() {
    let all = Traffic { position: 1, capacity: 2, waiting: 0, producers: &[&[2, 1]], consumers: &[&[1], &[1]] };
    all.explore(Some(2));
    Traffic { capacity: 3, waiting: 2, producers: &[&[2]], consumers: &[&[2], &[1]], ..all }.explore(Some(2));
}

#[test]
fn messages_pass_from_two_producers_to_two_consumers() {
    let all = Traffic { position: 1, capacity: 1, waiting: 0, producers: &[&[1], &[1]], consumers: &[&[1], &[1]] };
    for capacity in 1..=2 {
        Traffic { capacity, ..all }.explore(Some(2));
    }
}
