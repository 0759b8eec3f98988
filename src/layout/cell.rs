//! The word at the start of an MPMC cell: what the cell holds, and who is in the middle of what with it.

/// Which process record a word names.
pub(crate) type Owner = u16;

/// What a cell holds. The numbers are part of the layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    /// Nothing: it waits for the message of its lap.
    Free = 0,
    /// A producer writes a message here, and in the `span - 1` cells behind.
    Claimed = 1,
    /// A committed message.
    Full = 2,
    /// A message that will never come: its producer died, or changed its mind.
    Skip = 3,
    /// A consumer reads this message, and those in the `span - 1` cells behind.
    Taken = 4,
    /// A batch that was handed over, of `span` messages. Its consumer is freeing the cells.
    Done = 5,
    /// A message that was taken and not handed over. Any consumer may have it.
    Orphan = 6,
    /// A consumer reads what was an orphan.
    Adopted = 7,
}

/// `lap:40 | span:8 | owner:13 | state:3`. Zero is a free cell of the first lap.
///
/// `owner` is the process record of who is in the middle of something: of a word in [`State::Claimed`],
/// [`State::Taken`], [`State::Done`] and [`State::Adopted`]. An orphan has no owner. There, and in an adopted one, `span`
/// counts how often the message has been adopted: a word in which that changes is never the same again, whichever process
/// record is used anew meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    const STATE: u64 = 7;
    const OWNER_SHIFT: u32 = 3;
    const OWNER: u64 = (1 << 13) - 1;
    const SPAN_SHIFT: u32 = 16;
    const SPAN: u64 = (1 << 8) - 1;
    const LAP_SHIFT: u32 = 24;
    /// The longest batch, in cells.
    pub(crate) const MAX_SPAN: usize = Self::SPAN as usize;

    #[inline(always)]
    const fn new(lap: u64, span: usize, owner: u64, state: State) -> Word {
        Word(lap << Self::LAP_SHIFT | (span as u64) << Self::SPAN_SHIFT | owner << Self::OWNER_SHIFT | state as u64)
    }

    #[inline(always)]
    pub(crate) const fn free(lap: u64) -> Word {
        Word::new(lap, 0, 0, State::Free)
    }

    #[inline(always)]
    pub(crate) const fn full(lap: u64) -> Word {
        Word::new(lap, 0, 0, State::Full)
    }

    #[inline(always)]
    pub(crate) const fn skip(lap: u64) -> Word {
        Word::new(lap, 0, 0, State::Skip)
    }

    #[inline(always)]
    pub(crate) const fn claimed(lap: u64, owner: Owner, span: usize) -> Word {
        Word::new(lap, span, owner as u64, State::Claimed)
    }

    #[inline(always)]
    pub(crate) const fn taken(lap: u64, owner: Owner, span: usize) -> Word {
        Word::new(lap, span, owner as u64, State::Taken)
    }

    #[inline(always)]
    pub(crate) const fn done(lap: u64, owner: Owner, span: usize) -> Word {
        Word::new(lap, span, owner as u64, State::Done)
    }

    pub(crate) const fn orphan(lap: u64, adoptions: u8) -> Word {
        Word::new(lap, adoptions as usize, 0, State::Orphan)
    }

    pub(crate) const fn adopted(lap: u64, owner: Owner, adoptions: u8) -> Word {
        Word::new(lap, adoptions as usize, owner as u64, State::Adopted)
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u64) -> Word {
        Word(word)
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn state(self) -> State {
        match self.0 & Self::STATE {
            0 => State::Free,
            1 => State::Claimed,
            2 => State::Full,
            3 => State::Skip,
            4 => State::Taken,
            5 => State::Done,
            6 => State::Orphan,
            _ => State::Adopted,
        }
    }

    /// How many laps this word is ahead of lap `lap`: below zero when it is behind. Laps come round after 2^40.
    #[inline(always)]
    pub(crate) const fn laps_ahead_of(self, lap: u64) -> i64 {
        let difference = (self.0 >> Self::LAP_SHIFT).wrapping_sub(lap);
        (difference << Self::LAP_SHIFT) as i64 >> Self::LAP_SHIFT
    }

    /// The lap, as far as the word has it: the low 40 bits.
    #[inline(always)]
    pub(crate) const fn lap(self) -> u64 {
        self.0 >> Self::LAP_SHIFT
    }

    /// Cells of a batch, this one included: at least one.
    #[inline(always)]
    pub(crate) const fn span(self) -> usize {
        match self.state() {
            State::Claimed | State::Taken | State::Done => {
                let span = (self.0 >> Self::SPAN_SHIFT & Self::SPAN) as usize;
                if span == 0 { 1 } else { span }
            }
            _ => 1,
        }
    }

    /// The process record of who is in the middle of something here.
    #[inline(always)]
    pub(crate) const fn owner(self) -> Option<Owner> {
        match self.state() {
            State::Claimed | State::Taken | State::Done | State::Adopted => {
                Some((self.0 >> Self::OWNER_SHIFT & Self::OWNER) as Owner)
            }
            _ => None,
        }
    }

    /// How often the message has been adopted.
    pub(crate) const fn adoptions(self) -> u8 {
        match self.state() {
            State::Orphan | State::Adopted => (self.0 >> Self::SPAN_SHIFT & Self::SPAN) as u8,
            _ => 0,
        }
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}({}", self.state(), self.lap())?;
        if let Some(owner) = self.owner() {
            write!(f, ", of {owner}")?;
        }
        if self.span() > 1 {
            write!(f, ", span {}", self.span())?;
        }
        if self.adoptions() > 0 {
            write!(f, ", adopted {}", self.adoptions())?;
        }
        f.write_str(")")
    }
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_was_put_in() {
        let lap = (1 << 40) - 1;
        let word = Word::from_word(Word::claimed(lap, 8_190, 255).word());
        assert_eq!((word.state(), word.lap(), word.owner(), word.span()), (State::Claimed, lap, Some(8_190), 255));
        let word = Word::adopted(3, 8_190, 255);
        assert_eq!((word.state(), word.owner(), word.span(), word.adoptions()), (State::Adopted, Some(8_190), 1, 255));
        let word = Word::orphan(3, 255);
        assert_eq!((word.state(), word.owner(), word.span(), word.adoptions()), (State::Orphan, None, 1, 255));
        assert_eq!(Word::free(0).word(), 0, "zeroed memory is a ring of free cells");
        for word in [Word::free(7), Word::full(7), Word::skip(7)] {
            assert_eq!((word.lap(), word.owner(), word.span(), word.adoptions()), (7, None, 1, 0));
        }
    }

    #[test]
    fn laps_come_round() {
        let last = (1 << 40) - 1;
        assert_eq!(Word::full(0).laps_ahead_of(last), 1);
        assert_eq!(Word::full(last + 1).laps_ahead_of(last), 1, "a lap that does not fit is cut off");
        assert_eq!(Word::full(last).laps_ahead_of(last + 1), -1);
        assert_eq!(Word::full(9).laps_ahead_of((1 << 41) + 9), 0);
    }
}
