//! What remains of the contract when a rival cannot say how many messages it has room for.

use crate::contract::{Payload, Reader, Writer};

/// More messages than any rival has room for that gives them back when it is full.
const TOO_MANY: usize = 1 << 20;
/// How often a single message goes through.
const LAPS: usize = 200;

/// What a push does when there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// Gives the message back.
    GivesBack,
    /// Blocks until there is room.
    Blocks,
}

/// Asserts what even a queue of so many bytes promises: each message once, in order, as it was sent; empty when all were
/// popped; room again when it is empty. Unless a push blocks then: full at some time, and what is refused is given back.
pub fn keeps_the_weaker_contract<T: Payload>(
    writer: &mut dyn Writer<T>,
    reader: &mut dyn Reader<T>,
    when_full: WhenFull,
) {
    let (mut sent, mut got) = (0, 0);
    let check = |message: &T, number: &mut u64| {
        assert!(message.as_bytes() == T::filled(*number).as_bytes(), "message {number} is not what was sent");
        *number += 1;
    };
    let mut room = vec![T::BLANK; 8];
    assert!(reader.pop().is_none() && reader.pop_some(&mut room) == 0, "a new queue is empty");
    for _ in 0..LAPS {
        assert!(writer.push(T::filled(sent)).is_ok(), "an empty queue has room");
        sent += 1;
        check(&reader.pop().expect("a message"), &mut got);
        assert!(reader.pop().is_none(), "a drained queue is empty");
    }
    for lap in 1..=3 {
        // As many as there is room for, one by one; or one, where nobody says how many that is.
        let most = if when_full == WhenFull::Blocks { 1 } else { TOO_MANY };
        let mut pushed = 0;
        while pushed < most {
            let message = T::filled(sent);
            match writer.push(message) {
                Ok(()) => sent += 1,
                Err(back) => {
                    assert!(back.as_bytes() == message.as_bytes(), "what is refused is given back");
                    break;
                }
            }
            pushed += 1;
        }
        assert!(pushed > 0 && pushed < TOO_MANY, "there is room for some messages, and not for any number");
        if when_full == WhenFull::GivesBack {
            assert_eq!(writer.push_some(&[T::filled(sent)]), 0, "a full queue has no room for one");
        }
        while let Some(message) = reader.pop() {
            check(&message, &mut got);
        }
        assert_eq!(got, sent, "all that was sent came");

        // In batches, of which the first may not be popped whole.
        let wanted = if when_full == WhenFull::Blocks { 1 } else { 5 * lap };
        let batch: Vec<T> = (sent..sent + wanted as u64).map(T::filled).collect();
        let pushed = writer.push_some(&batch);
        assert!(pushed > 0, "an empty queue has room");
        sent += pushed as u64;
        check(&reader.pop().expect("a message"), &mut got);
        loop {
            let popped = reader.pop_some(&mut room[..3]);
            room[..popped].iter().for_each(|message| check(message, &mut got));
            if popped == 0 {
                break;
            }
        }
        assert_eq!(got, sent, "all that was sent came");
    }
}
