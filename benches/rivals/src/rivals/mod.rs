//! The rivals: one file each, which says what the rival is, how it is used here and why that is fair.
//!
//! A rival is a [`Channel`] if a second process can reach it, and otherwise a pair of ends in one process. [`all`] says
//! what there is, and [`visit`] hands each to a [`Visitor`], with its types.
// Where rivals are left out, nobody uses what is there for them.
#![cfg_attr(not(feature = "kernel"), allow(dead_code, unused_variables))]

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

pub use description::{Contract, Description, Sleeps};
pub use weaker::{WhenFull, keeps_the_weaker_contract};

/// Something with two ends that two processes meet by name.
pub trait Channel<T>: Sized {
    /// The end that is written to.
    type Writer: Writer<T> + 'static;
    /// The end that is read from.
    type Reader: Reader<T> + 'static;

    /// The near side: a new channel of that name, with room for `capacity` messages as far as the rival can be told. The
    /// name goes when this is dropped, so it should be dropped as soon as the two ends have exchanged a message: a process
    /// that is killed after that leaves nothing behind. (Two need their names longer and say what is left.)
    ///
    /// # Errors
    /// What the system or the rival refused, and why.
    fn create(name: &str, capacity: usize) -> Result<Self, String>;

    /// The far side, in another process or in the same.
    ///
    /// # Errors
    /// What the system or the rival refused, and why.
    fn open(name: &str) -> Result<Self, String>;

    /// The end that is written to. There must be no other, unless the rival has many producers.
    fn writer(&self) -> Self::Writer;

    /// The end that is read from. There must be no other, unless the rival has many consumers.
    fn reader(&self) -> Self::Reader;
}

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

/// An end that lends the place of the next message.
pub trait LendingWriter<T>: Writer<T> {
    /// Pushes the message that `fill` writes, if there is room.
    fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool;
}

/// An end that lends the next message.
pub trait LendingReader<T>: Reader<T> {
    /// Pops the message that `see` sees, if there is one.
    fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V>;
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
