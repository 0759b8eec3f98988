//! `shaq`: queues in a file that processes map, for one producer and one consumer ([`spsc`]) and for many ([`mpmc`]).
//!
//! Nobody is told of a death. With many producers or consumers, one that was killed in the middle of an operation blocks all
//! others of its kind for ever, as they wait for it to finish; `recover_as_exclusive` is for a process that knows to be the
//! only one of its kind.
//!
//! Used as its documentation says: each message alone is published at once, and its batch functions publish once a batch.
//! Each write also looks whether a reader sleeps, behind a full fence, in polling too. The file lies in memory
//! (`/dev/shm`). A capacity is rounded up to a power of two. Readers can sleep, writers cannot.

use super::names::{Name, at, path};
use super::{Contract, Description, Sleeps};
use std::fs::File;

/// What the two have in common.
const SHAQ: Description = Description {
    name: "shaq",
    version: Some("4.3.0"),
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Reader,
    contract: Contract::Whole { room: |asked, _bytes| asked.next_power_of_two() },
    on_death: None,
    link: "https://crates.io/crates/shaq",
};

/// A file that a queue of one of the two kinds lies in.
#[derive(Debug)]
struct Backing {
    file: File,
    _name: Option<Name>,
}

impl Backing {
    fn create(kind: &str, name: &str) -> Result<Backing, String> {
        let name = Name::claim(kind, name);
        let options = File::options().read(true).write(true).create_new(true).open(name.path());
        Ok(Backing { file: options.map_err(at(name.path()))?, _name: Some(name) })
    }

    fn open(kind: &str, name: &str) -> Result<Backing, String> {
        let path = path(kind, name);
        let file = File::options().read(true).write(true).open(&path).map_err(at(&path))?;
        Ok(Backing { file, _name: None })
    }
}

/// One producer, one consumer.
pub mod spsc {
    use super::super::bytes::fill_in_place;
    use super::super::{Channel, LendingReader, LendingWriter, SleepingReader, broken};
    use super::{Backing, Description, SHAQ};
    use crate::contract::{Payload, Reader, Writer};
    use shaq::spsc::{Consumer, Producer, minimum_file_size};
    use std::marker::PhantomData;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    /// What it is.
    pub static DESCRIPTION: Description = Description { name: "shaq spsc", on_death: Some("nobody is told"), ..SHAQ };

    const KIND: &str = "shaq-spsc";

    /// A queue in a file.
    #[derive(Debug)]
    pub struct Ring<T> {
        backing: Backing,
        _messages: PhantomData<fn(T) -> T>,
    }

    impl<T: Payload> Channel<T> for Ring<T> {
        type Writer = WriteEnd<T>;
        type Reader = ReadEnd<T>;

        fn create(name: &str, capacity: usize) -> Result<Self, String> {
            let backing = Backing::create(KIND, name)?;
            // SAFETY: the file is new, and this producer is gone before another one joins. Payloads are plain data.
            unsafe { Producer::<T>::create(&backing.file, minimum_file_size::<T>(capacity)) }
                .map_err(|error| format!("shaq: {error}"))?;
            Ok(Ring { backing, _messages: PhantomData })
        }

        fn open(name: &str) -> Result<Self, String> {
            Ok(Ring { backing: Backing::open(KIND, name)?, _messages: PhantomData })
        }

        fn writer(&self) -> WriteEnd<T> {
            // SAFETY: who uses a channel of this kind has one writer at a time, of the same type.
            let producer = unsafe { Producer::join(&self.backing.file) };
            WriteEnd(producer.unwrap_or_else(|error| broken("shaq", &error)))
        }

        fn reader(&self) -> ReadEnd<T> {
            // SAFETY: who uses a channel of this kind has one reader at a time, of the same type.
            let consumer = unsafe { Consumer::join(&self.backing.file) };
            ReadEnd(consumer.unwrap_or_else(|error| broken("shaq", &error)))
        }
    }

    /// The end that is written to.
    #[allow(missing_debug_implementations)]
    pub struct WriteEnd<T>(Producer<T>);

    impl<T: Payload> Writer<T> for WriteEnd<T> {
        #[inline(always)]
        fn push(&mut self, message: T) -> Result<(), T> {
            self.0.try_write(message)
        }

        #[inline(always)]
        fn push_some(&mut self, messages: &[T]) -> usize {
            let mut batch = self.0.write_batch();
            messages.iter().take_while(|&&message| batch.try_write(message).is_ok()).count()
        }
    }

    impl<T: Payload> LendingWriter<T> for WriteEnd<T> {
        #[inline(always)]
        fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool {
            let mut batch = self.0.write_batch();
            // SAFETY: it is filled; should that panic, whatever is there is published: payloads are numbers, as any bytes are.
            let Some(place) = (unsafe { batch.try_as_mut() }) else {
                return false;
            };
            fill_in_place(place, fill);
            true
        }
    }

    /// The end that is read from.
    #[allow(missing_debug_implementations)]
    pub struct ReadEnd<T>(Consumer<T>);

    impl<T: Payload> Reader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop(&mut self) -> Option<T> {
            self.0.try_read()
        }

        #[inline(always)]
        fn pop_some(&mut self, messages: &mut [T]) -> usize {
            let Some(batch) = NonZeroUsize::new(messages.len()).and_then(|most| self.0.try_reserve_read_batch(most))
            else {
                return 0;
            };
            let (first, second) = batch.as_slices();
            messages[..first.len()].copy_from_slice(first);
            messages[first.len()..batch.len()].copy_from_slice(second);
            batch.len()
        }
    }

    impl<T: Payload> LendingReader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V> {
            let batch = self.0.try_reserve_read_batch(NonZeroUsize::MIN)?;
            Some(see(&batch[0]))
        }
    }

    impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop_sleeping(&mut self) -> T {
            loop {
                if let Ok(message) = self.0.read_timeout(Duration::MAX) {
                    return message;
                }
            }
        }
    }
}

/// Many producers, many consumers.
pub mod mpmc {
    use super::super::bytes::fill_in_place;
    use super::super::{Channel, LendingReader, LendingWriter, SleepingReader, broken};
    use super::{Backing, Description, SHAQ};
    use crate::contract::{Payload, Reader, Writer};
    use shaq::mpmc::{Consumer, Producer, minimum_file_size};
    use std::marker::PhantomData;
    use std::num::NonZeroUsize;
    use std::time::Duration;

    /// What it is.
    pub static DESCRIPTION: Description = Description {
        name: "shaq mpmc",
        multi_producer: true,
        multi_consumer: true,
        on_death: Some("in the middle of an operation, it blocks all others, until one that is alone repairs"),
        ..SHAQ
    };

    const KIND: &str = "shaq-mpmc";

    /// A queue in a file.
    #[derive(Debug)]
    pub struct Ring<T> {
        backing: Backing,
        _messages: PhantomData<fn(T) -> T>,
    }

    impl<T: Payload> Channel<T> for Ring<T> {
        type Writer = WriteEnd<T>;
        type Reader = ReadEnd<T>;

        fn create(name: &str, capacity: usize) -> Result<Self, String> {
            let backing = Backing::create(KIND, name)?;
            // SAFETY: the file is new. Payloads are plain data.
            unsafe { Producer::<T>::create(&backing.file, minimum_file_size::<T>(capacity)) }
                .map_err(|error| format!("shaq: {error}"))?;
            Ok(Ring { backing, _messages: PhantomData })
        }

        fn open(name: &str) -> Result<Self, String> {
            Ok(Ring { backing: Backing::open(KIND, name)?, _messages: PhantomData })
        }

        fn writer(&self) -> WriteEnd<T> {
            // SAFETY: all ends of a channel have the same type.
            let producer = unsafe { Producer::join(&self.backing.file) };
            WriteEnd(producer.unwrap_or_else(|error| broken("shaq", &error)))
        }

        fn reader(&self) -> ReadEnd<T> {
            // SAFETY: all ends of a channel have the same type.
            let consumer = unsafe { Consumer::join(&self.backing.file) };
            ReadEnd(consumer.unwrap_or_else(|error| broken("shaq", &error)))
        }
    }

    /// An end that is written to.
    #[allow(missing_debug_implementations)]
    pub struct WriteEnd<T>(Producer<T>);

    impl<T: Payload> Writer<T> for WriteEnd<T> {
        #[inline(always)]
        fn push(&mut self, message: T) -> Result<(), T> {
            self.0.try_write(message)
        }

        /// It takes a batch as a whole or not at all, so what is left of one is tried in ever smaller pieces.
        #[inline(always)]
        fn push_some(&mut self, messages: &[T]) -> usize {
            let (mut pushed, mut size) = (0, messages.len());
            while size > 0 {
                if self.0.try_write_slice(&messages[pushed..pushed + size]) {
                    pushed += size;
                    size = size.min(messages.len() - pushed);
                } else {
                    size /= 2;
                }
            }
            pushed
        }
    }

    impl<T: Payload> LendingWriter<T> for WriteEnd<T> {
        #[inline(always)]
        fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool {
            // SAFETY: it is filled; should that panic, whatever is there is published: payloads are numbers, as any bytes are.
            let Some(mut guard) = (unsafe { self.0.try_reserve_write() }) else {
                return false;
            };
            fill_in_place(guard.as_mut(), fill);
            true
        }
    }

    /// An end that is read from.
    #[allow(missing_debug_implementations)]
    pub struct ReadEnd<T>(Consumer<T>);

    impl<T: Payload> Reader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop(&mut self) -> Option<T> {
            self.0.try_read()
        }

        #[inline(always)]
        fn pop_some(&mut self, messages: &mut [T]) -> usize {
            let Some(batch) = NonZeroUsize::new(messages.len()).and_then(|most| self.0.try_reserve_read_batch(most))
            else {
                return 0;
            };
            let (first, second) = batch.as_slices();
            messages[..first.len()].copy_from_slice(first);
            messages[first.len()..batch.len()].copy_from_slice(second);
            batch.len()
        }
    }

    impl<T: Payload> LendingReader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V> {
            let batch = self.0.try_reserve_read_batch(NonZeroUsize::MIN)?;
            Some(see(&batch[0]))
        }
    }

    impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
        #[inline(always)]
        fn pop_sleeping(&mut self) -> T {
            loop {
                if let Ok(message) = self.0.read_timeout(Duration::MAX) {
                    return message;
                }
            }
        }
    }
}
