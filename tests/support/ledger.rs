//! Messages that can be told apart, and what is missing of them or came twice.

use super::board::board;
use core::fmt::Debug;
use ringway::Message;
use ringway::zerocopy::FromBytes;
use std::time::Duration;

/// How long anything may take that takes microseconds.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A message that carries a number, and shows when it is not whole.
pub trait Numbered: Message + FromBytes + Copy + Debug {
    /// How a ring of these is called in the output.
    const NAME: &'static str;

    fn new(number: u64) -> Self;
    /// The number, unless bytes of another message, or of none, are among its own.
    fn number(&self) -> Option<u64>;
}

impl Numbered for u64 {
    const NAME: &'static str = "u64";

    fn new(number: u64) -> u64 {
        !number << 32 | number
    }

    fn number(&self) -> Option<u64> {
        let number = self & 0xffff_ffff;
        (*self == u64::new(number)).then_some(number)
    }
}

/// Several cache lines.
impl Numbered for [u64; 16] {
    const NAME: &'static str = "[u64; 16]";

    fn new(number: u64) -> [u64; 16] {
        std::array::from_fn(|index| u64::new(number).rotate_left(index as u32))
    }

    fn number(&self) -> Option<u64> {
        let number = self[0].number()?;
        (*self == Self::new(number)).then_some(number)
    }
}

/// Who pushed a message: numbers of the test, of victims and of successors begin at different places.
pub const BY_TEST: u64 = 1_000;
pub const BY_VICTIM: u64 = 2_000;
pub const BY_SUCCESSOR: u64 = 3_000;

/// Counts what was lost and what came twice, or without ever having been committed.
pub fn compare(what: &str, expected: &[u64], got: &[u64]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let lost = expected.iter().filter(|message| !got.contains(message)).count();
    let extra = |&(index, message): &(usize, &u64)| !expected.contains(message) || got[..index].contains(message);
    let duplicated = got.iter().enumerate().filter(extra).count();
    board().lost.add(lost as u64);
    board().duplicated.add(duplicated as u64);
    Err(format!("{what}: expected {expected:?}, got {got:?}: {lost} lost, {duplicated} too many"))
}
