//! What a rival is and promises, in a form that programs can use.

use super::weaker::{WhenFull, keeps_the_weaker_contract};
use crate::contract::{Payload, Reader, Writer, keeps_its_contract};

/// What a rival is.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// As its users call it, with what tells it from its siblings.
    pub name: &'static str,
    /// The version that was built; `None` for what comes with the system.
    pub version: Option<&'static str>,
    /// No second process can reach it.
    pub in_process_only: bool,
    /// Several may push at once, as it is used here.
    pub multi_producer: bool,
    /// Several may pop at once, as it is used here, and each message goes to one of them.
    pub multi_consumer: bool,
    /// Several messages go with one operation. Otherwise a batch goes one by one.
    pub has_batches: bool,
    /// A push gives the message back when there is no room, and a pop says that there is no message.
    pub tries: bool,
    /// Who can sleep.
    pub sleeps: Sleeps,
    /// What it is held to before it is timed.
    pub contract: Contract,
    /// What becomes of the other side when one is killed, where that is known.
    pub on_death: Option<&'static str>,
    /// Where to read more.
    pub link: &'static str,
}

/// Which ends of a rival can sleep until there is something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleeps {
    /// None.
    Neither,
    /// Only who waits for a message.
    Reader,
    /// Also who waits for room.
    Both,
}

/// What a rival is held to before it is timed.
#[derive(Clone, Copy, Debug)]
pub enum Contract {
    /// The same as ringway: [`keeps_its_contract`].
    Whole {
        /// The messages that there is room for, given how many were asked for and how many bytes each has.
        room: fn(usize, usize) -> usize,
    },
    /// [`keeps_the_weaker_contract`], as there is no saying how many messages there is room for.
    Weaker {
        /// What a push does when there is no room.
        when_full: WhenFull,
    },
}

impl Contract {
    /// The contract of a rival with exactly the capacity that was asked for.
    pub const EXACT: Contract = Contract::Whole { room: |asked, _bytes| asked };

    /// Asserts that the contract is kept by the two ends of a new channel, for which `asked` was asked.
    pub fn is_kept<T: Payload>(&self, writer: &mut dyn Writer<T>, reader: &mut dyn Reader<T>, asked: usize) {
        match self {
            Contract::Whole { room } => keeps_its_contract(writer, reader, room(asked, size_of::<T>())),
            Contract::Weaker { when_full } => keeps_the_weaker_contract(writer, reader, *when_full),
        }
    }

    /// The same in a word, for a table.
    pub fn name(&self) -> &'static str {
        match self {
            Contract::Whole { .. } => "whole",
            Contract::Weaker { when_full: WhenFull::GivesBack } => "no exact capacity",
            Contract::Weaker { when_full: WhenFull::Blocks } => "no exact capacity, blocks when full",
        }
    }
}
