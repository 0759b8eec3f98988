//! What every candidate is to the benches: two ends, and the contract that it has to keep before it is timed.

use ringway::Message;

/// A message whose content says which one it is.
pub trait Payload: Message + Copy {
    const BLANK: Self;

    /// Writes the number of the message to its first and its last word.
    fn stamp(&mut self, number: u64);

    /// Zero if this is the message of that number, as far as its first and last word tell.
    fn differs(&self, number: u64) -> u64;

    /// The message of that number, with something of its own in every word.
    fn filled(number: u64) -> Self;
}

impl<const N: usize> Payload for [u64; N]
where
    [u64; N]: Message,
{
    const BLANK: Self = [0; N];

    #[inline(always)]
    fn stamp(&mut self, number: u64) {
        self[0] = number;
        self[N - 1] = number;
    }

    #[inline(always)]
    fn differs(&self, number: u64) -> u64 {
        // A message of one word is used as a whole. Of a longer one we look at two words only; the compiler must not
        // conclude that the others need not be copied.
        let message = if N == 1 { self } else { std::hint::black_box(self) };
        (message[0] ^ number) | (message[N - 1] ^ number)
    }

    fn filled(number: u64) -> Self {
        std::array::from_fn(|word| number << 16 | word as u64)
    }
}

/// The end that is written to.
pub trait Writer<T>: Send {
    /// Pushes a message, or gives it back when that cannot be done now.
    fn push(&mut self, message: T) -> Result<(), T>;

    /// Pushes as many of `messages` as there is room for, and returns how many.
    fn push_some(&mut self, messages: &[T]) -> usize;
}

/// The end that is read from.
pub trait Reader<T>: Send {
    fn pop(&mut self) -> Option<T>;

    /// Pops as many messages as there are, at most as many as `messages` has room for, and returns how many.
    fn pop_some(&mut self, messages: &mut [T]) -> usize;
}

/// Asserts what every queue here promises: each message once, in order, as it was sent; full at its capacity and not
/// before, empty when all were popped.
pub fn keeps_its_contract<T: Payload>(writer: &mut dyn Writer<T>, reader: &mut dyn Reader<T>, capacity: usize) {
    let (mut sent, mut got) = (0, 0);
    let mut next = |count: usize| -> Vec<T> {
        sent += count as u64;
        (sent - count as u64..sent).map(T::filled).collect()
    };
    let mut check = |messages: &[T]| {
        for message in messages {
            assert!(message.as_bytes() == T::filled(got).as_bytes(), "message {got} is not what was sent");
            got += 1;
        }
    };
    let mut room = vec![T::BLANK; capacity + 1];
    for lap in 0..5 {
        assert!(reader.pop().is_none() && reader.pop_some(&mut room) == 0, "a new or drained queue is empty");
        for message in next(capacity) {
            assert!(writer.push(message).is_ok(), "there is room for {capacity}");
        }
        let refused = T::filled(u64::MAX >> 16);
        match writer.push(refused) {
            Err(back) => assert!(back.as_bytes() == refused.as_bytes(), "what is refused is given back"),
            Ok(()) => panic!("there is no room for more than {capacity}"),
        }
        assert_eq!(writer.push_some(&[refused]), 0);
        // Each lap starts somewhere else in a cell.
        for _ in 0..=lap {
            check(&[reader.pop().expect("a message")]);
            assert!(writer.push(next(1)[0]).is_ok(), "one pop makes room for one push");
        }
        for _ in 0..capacity {
            check(&[reader.pop().expect("a message")]);
        }

        let batch = next(capacity);
        let mut more = batch.clone();
        more.push(refused);
        assert_eq!(writer.push_some(&more), capacity);
        assert_eq!(reader.pop_some(&mut room[..1]), 1);
        check(&room[..1]);
        assert_eq!(writer.push_some(&next(1)), 1);
        let mut left = capacity;
        while left > 0 {
            let count = reader.pop_some(&mut room[..left.min(64)]);
            assert_eq!(count, left.min(64), "a batch is popped whole");
            check(&room[..count]);
            left -= count;
        }
    }
    assert!(reader.pop().is_none());
}
