//! The word at the start of a cell: which line of the ring's history the cell holds, and how much of it is committed.

/// `line:56 | count:8`. Line `n` is the `n`-th cell's worth of messages since the ring was created.
///
/// A cell that carries this line's number with a count of `c` holds `c` committed items. A cell that still carries the
/// line of the lap before holds nothing of this line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tag(u64);

impl Tag {
    const COUNT_BITS: u32 = 8;
    /// The number of the last line there can be. At 10^9 lines a second a ring gets there after two years, at the
    /// 10^7 of a busy one after two centuries.
    pub(crate) const MAX_LINE: u64 = u64::MAX >> Self::COUNT_BITS;

    /// `count` committed items of line `line`.
    #[inline(always)]
    pub(crate) const fn new(line: u64, count: usize) -> Tag {
        Tag(line << Self::COUNT_BITS | count as u64)
    }

    /// With `more` committed items of the same line, of which there are fewer than a count can say.
    #[inline(always)]
    pub(crate) const fn plus(self, more: usize) -> Tag {
        Tag(self.0 + more as u64)
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Tag {
        Tag(word)
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn line(self) -> u64 {
        self.0 >> Self::COUNT_BITS
    }

    #[inline(always)]
    pub(crate) const fn count(self) -> usize {
        (self.0 & ((1 << Self::COUNT_BITS) - 1)) as usize
    }
}
