//! The rivals: one file each, which says what the rival is, how it is used here and why that is fair.
//!
//! A rival is a [`Channel`] if a second process can reach it, and otherwise a pair of ends in one process. [`all`] says
//! what there is, and [`visit`] hands each to a [`Visitor`], with its types.
// Where rivals are left out, nobody uses what is there for them.
#![cfg_attr(not(all(feature = "kernel", feature = "iceoryx2", feature = "shaq")), allow(dead_code, unused_variables))]

use crate::contract::{Payload, Reader, Writer};

mod bytes;
mod description;
mod memory;
mod names;
mod weaker;

#[cfg(feature = "crossbeam-queue")]
pub mod crossbeam_queue;
#[cfg(feature = "futex")]
pub mod futex;
#[cfg(feature = "heapless")]
pub mod heapless;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx2;
#[cfg(feature = "ipc-channel")]
pub mod ipc_channel;
#[cfg(feature = "pipe")]
pub mod pipe;
#[cfg(feature = "posix-mq")]
pub mod posix_mq;
#[cfg(feature = "ringbuf")]
pub mod ringbuf;
#[cfg(feature = "ringfire")]
pub mod ringfire;
#[cfg(feature = "rtrb")]
pub mod rtrb;
#[cfg(feature = "semaphores")]
pub mod semaphores;
#[cfg(feature = "shaq")]
pub mod shaq;
#[cfg(feature = "sysv-mq")]
pub mod sysv_mq;
#[cfg(feature = "unix-socket")]
pub mod unix_socket;
pub mod vyukov;

pub use crate::harness::channel::Channel;
pub use crate::harness::in_place::{LendingReader, LendingWriter};
pub use description::{Contract, Description, Sleeps};
pub use weaker::{WhenFull, keeps_the_weaker_contract};

/// An end that can also sleep until there is room.
pub trait SleepingWriter<T>: Writer<T> {
    /// Pushes a message, and sleeps while there is no room.
    fn push_sleeping(&mut self, message: T);
}

/// An end that can also sleep until there is a message.
pub trait SleepingReader<T>: Reader<T> {
    /// Pops a message, and sleeps while there is none.
    fn pop_sleeping(&mut self) -> T;
}

/// Takes the rivals one by one.
pub trait Visitor<T: Payload> {
    /// A rival that lives in one process. `make` makes a queue of that capacity, or says why it cannot be had.
    fn in_process<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + 'static,
        R: Reader<T> + 'static;

    /// One whose ends can be cloned, for many producers and consumers. Unless this is implemented, it is
    /// [`in_process`](Visitor::in_process) only.
    fn in_process_crowd<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + Clone + 'static,
        R: Reader<T> + Clone + 'static,
    {
        self.in_process(rival, make);
    }

    /// A rival that two processes can meet at.
    fn across<C: Channel<T> + 'static>(&mut self, rival: &'static Description);

    /// One whose two ends also lend a message's place. Unless this is implemented, it is [`across`](Visitor::across) only.
    fn across_lending<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
    {
        self.across::<C>(rival);
    }

    /// One whose two ends can also sleep. Unless this is implemented, it is [`across`](Visitor::across) only.
    fn across_sleeping<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>> + 'static,
    {
        self.across::<C>(rival);
    }
}

/// Shows all rivals that were built to `visitor`, in the order of [`all`].
pub fn visit<T: Payload>(visitor: &mut impl Visitor<T>) {
    #[cfg(feature = "rtrb")]
    visitor.in_process(&rtrb::DESCRIPTION, rtrb::pair::<T>);
    #[cfg(feature = "ringbuf")]
    visitor.in_process(&ringbuf::DESCRIPTION, ringbuf::pair::<T>);
    #[cfg(feature = "heapless")]
    visitor.in_process(&heapless::DESCRIPTION, heapless::pair::<T>);
    #[cfg(feature = "crossbeam-queue")]
    visitor.in_process_crowd(&crossbeam_queue::DESCRIPTION, crossbeam_queue::pair::<T>);
    visitor.in_process_crowd(&vyukov::DESCRIPTION, vyukov::pair::<T>);
    #[cfg(feature = "shaq")]
    visitor.across_lending::<shaq::spsc::Ring<T>>(&shaq::spsc::DESCRIPTION);
    #[cfg(feature = "shaq")]
    visitor.across_lending::<shaq::mpmc::Ring<T>>(&shaq::mpmc::DESCRIPTION);
    #[cfg(feature = "iceoryx2")]
    visitor.across_lending::<iceoryx2::Service<T>>(&iceoryx2::DESCRIPTION);
    #[cfg(feature = "ringfire")]
    visitor.across_sleeping::<ringfire::Ring<T>>(&ringfire::DESCRIPTION);
    #[cfg(feature = "ipc-channel")]
    visitor.across_sleeping::<ipc_channel::Server<T>>(&ipc_channel::DESCRIPTION);
    #[cfg(feature = "pipe")]
    visitor.across_sleeping::<pipe::Fifo<T>>(&pipe::DESCRIPTION);
    #[cfg(feature = "unix-socket")]
    visitor.across_sleeping::<unix_socket::Socket<T>>(&unix_socket::DESCRIPTION);
    #[cfg(feature = "posix-mq")]
    visitor.across_sleeping::<posix_mq::Queue<T>>(&posix_mq::DESCRIPTION);
    #[cfg(feature = "sysv-mq")]
    visitor.across_sleeping::<sysv_mq::Queue<T>>(&sysv_mq::DESCRIPTION);
    #[cfg(feature = "semaphores")]
    visitor.across_sleeping::<semaphores::Buffer<T>>(&semaphores::DESCRIPTION);
    #[cfg(feature = "futex")]
    visitor.across_sleeping::<futex::Mailbox<T>>(&futex::DESCRIPTION);
}

/// What all rivals that were built are.
pub fn all() -> Vec<Description> {
    struct List(Vec<Description>);

    impl Visitor<[u64; 1]> for List {
        fn in_process<W, R>(&mut self, rival: &'static Description, _: fn(usize) -> Result<(W, R), String>)
        where
            W: Writer<[u64; 1]> + 'static,
            R: Reader<[u64; 1]> + 'static,
        {
            self.0.push(*rival);
        }

        fn across<C: Channel<[u64; 1]> + 'static>(&mut self, rival: &'static Description) {
            self.0.push(*rival);
        }
    }

    let mut list = List(Vec::new());
    visit(&mut list);
    list.0
}

/// The end of a measurement: nothing that is timed can go on after this.
#[cold]
fn broken(rival: &str, error: &dyn std::fmt::Display) -> ! {
    panic!("{rival} is broken: {error}")
}
