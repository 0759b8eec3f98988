//! One state of the model, in as few bytes as will do: there are tens of millions.

use crate::layout::cell::Word;
use zerocopy::{Immutable, IntoBytes};

pub(super) const MAX_CELLS: usize = 4;
pub(super) const PROCESSES: usize = 4;
/// The longest batch.
pub(super) const MAX_SPAN: usize = 3;

/// What a process does next. Each is one operation on the memory that all share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(u8)]
pub(super) enum Doing {
    /// Nothing. Somebody else may take its record.
    Dead,
    /// Loads the word at its place; or looks for dead processes instead, or leaves.
    Look,
    /// Exchanges a skipped word for the free one of the next lap.
    Unskip,

    // Push: the word of one more cell for the batch; the exchange; a message; a word; the hint.
    LookFurther,
    Claim,
    Write,
    Publish,
    StoreTail,

    // Pop: the word of one more cell for the batch; the exchange; a message; the words; the hint.
    LookForMore,
    Take,
    Read,
    HandOver,
    Free,
    StoreHead,

    // Empty, as it seems, or in the hands of somebody: the two counts; the words of all cells, unless the counts are the
    // same.
    LoadOrphaned,
    LoadAdopted,
    Search,
    RaiseAdopted,

    // An orphan: its exchange. Or the count, after a message was given back.
    Adopt,
    CountGivenBack,

    // A cell in the hands of somebody: is it dead? The word again; the words of the later cells; their exchanges; the
    // exchange of the word itself.
    Ask,
    ReadAgain,
    LoadLater,
    ExchangeLater,
    Repair,

    // A dead process: is it dead? The words of all cells, each as above if it is one of that process; the count; the mark.
    // A process that takes a record begins behind the question, and goes on to live.
    AskRecord,
    Sweep,
    CountSwept,
    MarkClean,
    Live,
    MarkUnclean,
}

/// A process, or what is left of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Process {
    /// The word that it has found and is about to act on, or that it has put into a cell.
    pub(super) word: Small,
    /// That of a cell behind.
    pub(super) later: Small,
    /// The position of the cell that holds `word`.
    pub(super) at: u8,
    pub(super) doing: Doing,
    /// Which of the setting's jobs it does.
    pub(super) job: u8,
    /// Messages that it is done with, committed or not.
    pub(super) pushed: u8,
    /// Its own position in the ring.
    pub(super) place: u8,
    /// How many cells, and which of them, or of all cells.
    pub(super) span: u8,
    pub(super) step: u8,
    /// One more than the record that it sweeps. 0: none.
    pub(super) sweeps: u8,
    /// Of a sweep: the mark of the record. Of a search: the count of orphans, see [`State::orphaned`].
    pub(super) noted: u8,
    /// The messages that it has read.
    pub(super) read: [u8; MAX_SPAN],
}

/// A word whose numbers are small.
#[derive(Clone, Copy, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct Small(u32);

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Not committed, or not yet.
    None,
    /// Nobody has taken it yet.
    Committed,
    /// Somebody has, and may have given it back or died over it.
    Taken,
    HandedOver,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct State {
    pub(super) processes: [Process; PROCESSES],
    words: [Small; MAX_CELLS],
    /// Which message lies in which cell. 0: none, or nobody may look.
    pub(super) messages: [u8; MAX_CELLS],
    /// How many processes have had each record.
    pub(super) generations: [u8; PROCESSES],
    /// 0: each cell is clear of the record's process. Otherwise: the generation of that process.
    pub(super) marks: [u8; PROCESSES],
    /// One bit for each record: whether its process holds the lock.
    pub(super) alive: u8,
    pub(super) head: u8,
    pub(super) tail: u8,
    /// The count of orphans, as of above that of adoptions: nothing depends on more. One that was noted is one more,
    /// or 0 when it is below that of adoptions by now.
    pub(super) orphaned: u8,
    /// How many of what the setting allows have been.
    pub(super) deaths: u8,
    pub(super) successors: u8,
    pub(super) abandoned: u8,
    pub(super) given_back: u8,
    /// Two bits for each message.
    fates: u32,
}

impl Small {
    pub(super) const NONE: Small = Small(0);

    pub(super) fn of(word: Word) -> Small {
        Small(word.word().try_into().expect("a small lap"))
    }

    pub(super) fn word(self) -> Word {
        Word::from_word(self.0.into())
    }
}

impl std::fmt::Debug for Small {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.word().fmt(f)
    }
}

impl Process {
    pub(super) const DEAD: Process = Process {
        word: Small::NONE,
        later: Small::NONE,
        at: 0,
        doing: Doing::Dead,
        job: 0,
        pushed: 0,
        place: 0,
        span: 0,
        step: 0,
        sweeps: 0,
        noted: 0,
        read: [0; MAX_SPAN],
    };

    /// Goes back to looking, from its place, and remembers nothing.
    pub(super) fn look(&mut self) {
        let Process { job, pushed, place, .. } = *self;
        *self = Process { doing: Doing::Look, job, pushed, place, ..Process::DEAD };
    }
}

impl State {
    pub(super) fn start() -> State {
        State {
            processes: [Process::DEAD; PROCESSES],
            words: [Small::of(Word::free(0)); MAX_CELLS],
            messages: [0; MAX_CELLS],
            generations: [0; PROCESSES],
            marks: [0; PROCESSES],
            alive: 0,
            head: 0,
            tail: 0,
            orphaned: 0,
            deaths: 0,
            successors: 0,
            abandoned: 0,
            given_back: 0,
            fates: 0,
        }
    }

    pub(super) fn word(&self, cell: usize) -> Word {
        self.words[cell].word()
    }

    /// Nobody looks at the message of a cell that has none, so it is forgotten.
    pub(super) fn store(&mut self, cell: usize, word: Word) {
        use crate::layout::cell::State::{Free, Skip};
        self.words[cell] = Small::of(word);
        if matches!(word.state(), Free | Skip) {
            self.messages[cell] = 0;
        }
    }

    pub(super) fn exchange(&mut self, cell: usize, from: Word, to: Word) -> bool {
        let same = self.word(cell) == from;
        if same {
            self.store(cell, to);
        }
        same
    }

    pub(super) fn is_alive(&self, record: usize) -> bool {
        self.alive >> record & 1 == 1
    }

    pub(super) fn fate(&self, message: u8) -> Fate {
        match self.fates >> (2 * message) & 3 {
            0 => Fate::None,
            1 => Fate::Committed,
            2 => Fate::Taken,
            _ => Fate::HandedOver,
        }
    }

    pub(super) fn set_fate(&mut self, message: u8, fate: Fate) {
        self.fates = self.fates & !(3 << (2 * message)) | (fate as u32) << (2 * message);
    }

    pub(super) fn count_orphans(&mut self) {
        self.orphaned += 1;
    }

    /// `adopted = max(adopted, noted)`: all that was noted counts from there on.
    pub(super) fn raise_adopted(&mut self, noted: u8) {
        let by = noted.saturating_sub(1);
        self.orphaned -= by;
        for process in &mut self.processes {
            if matches!(process.doing, Doing::LoadAdopted | Doing::Search | Doing::RaiseAdopted) {
                process.noted = process.noted.saturating_sub(by);
            }
        }
    }
}
