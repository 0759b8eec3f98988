//! Our rings as candidates: with the handles' operations that never wait (`try_push`, `try_pop`, and guards).

use super::channel::{Candidate, Channel, Part, Session, Sides, across, across_in_place, with_message};
use super::contract::{Payload, Reader, Writer, keeps_its_contract};
use super::in_place::{LendingReader, LendingWriter};
use super::job::Job;
use ringway::zerocopy::FromBytes;
use ringway::{Lifetime, Options, PopSliceError, PushSliceError, ReserveError, TryPopError, TryPushError, mpmc, spsc};

pub static SPSC: Candidate = Candidate {
    name: "ringway spsc",
    across: true,
    crowds: false,
    sides: |job, session, part| with_message!(job.bytes, T => sides::<T, Named<spsc::Ring<T>>>(job, session, part)),
};

pub static MPMC: Candidate = Candidate {
    name: "ringway mpmc",
    across: true,
    crowds: true,
    sides: |job, session, part| with_message!(job.bytes, T => sides::<T, Named<mpmc::Ring<T>>>(job, session, part)),
};

fn sides<T, C>(job: &Job, session: &Session, part: Part) -> Result<Sides, String>
where
    T: Payload,
    C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
{
    let check = |to: &mut C::Writer, from: &mut C::Reader, capacity| keeps_its_contract(to, from, capacity);
    match job.work.is_in_place() {
        true => across_in_place::<T, C>(job, session, part, check),
        false => across::<T, C>(job, session, part, check),
    }
}

/// The longest batch of the MPMC ring.
const MOST_AT_ONCE: usize = 255;

impl<T: Payload> Writer<T> for spsc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message)) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        self.push_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Reader<T> for spsc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message),
            Err(TryPopError::Empty) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.pop_slice(messages).unwrap_or_else(|error| broken(&error))
    }
}

impl<T: Payload> Writer<T> for mpmc::Producer<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        match self.try_push(message) {
            Ok(()) => Ok(()),
            Err(TryPushError::Full(message) | TryPushError::Busy { message, .. }) => Err(message),
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        let mut pushed = 0;
        for chunk in messages.chunks(MOST_AT_ONCE) {
            let count = match self.push_slice(chunk) {
                Ok(count) => count,
                Err(PushSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            pushed += count;
            if count < chunk.len() {
                break;
            }
        }
        pushed
    }
}

impl<T: Payload> Reader<T> for mpmc::Consumer<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.try_pop() {
            Ok(message) => Some(message.into_inner()),
            Err(TryPopError::Empty | TryPopError::Busy { .. }) => None,
            Err(error) => broken(&error),
        }
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        let mut popped = 0;
        for chunk in messages.chunks_mut(MOST_AT_ONCE) {
            let count = match self.pop_slice(chunk) {
                Ok(count) => count.into_inner(),
                Err(PopSliceError::Busy { .. }) => 0,
                Err(error) => broken(&error),
            };
            popped += count;
            if count < chunk.len() {
                break;
            }
        }
        popped
    }
}

#[cold]
fn broken(error: &dyn std::fmt::Debug) -> ! {
    panic!("the ring is broken: {error:?}")
}

/// A ring, and whether we made it: then its name goes when this is dropped, and whoever is attached goes on without it.
/// Even if we are killed, it goes with the last process that detaches in an orderly way.
pub struct Named<R> {
    pub ring: R,
    name: Option<String>,
}

impl<R> Drop for Named<R> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // The last one to detach may have been first.
            let _ = spsc::Ring::<u64>::unlink(name);
        }
    }
}

/// What a ring of the benches is made with.
pub fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).lifetime(Lifetime::LastDetach)
}

macro_rules! channel {
    ($kind:ident, $($claimed:ident)?) => {
        impl<T: Payload> Channel<T> for Named<$kind::Ring<T>> {
            type Writer = $kind::Producer<T>;
            type Reader = $kind::Consumer<T>;

            fn create(name: &str, capacity: usize) -> Result<Self, String> {
                let ring = $kind::Ring::create(name, &options(capacity)).map_err(|error| error.to_string())?;
                Ok(Named { ring, name: Some(name.into()) })
            }

            fn open(name: &str) -> Result<Self, String> {
                let ring = $kind::Ring::open(name).map_err(|error| error.to_string())?;
                Ok(Named { ring, name: None })
            }

            fn writer(&self) -> Self::Writer {
                self.ring.producer()$(.$claimed("the role is free"))?
            }

            fn reader(&self) -> Self::Reader {
                self.ring.consumer()$(.$claimed("the role is free"))?
            }
        }

        impl<T: Payload> LendingWriter<T> for $kind::Producer<T> {
            #[inline(always)]
            fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool {
                match self.reserve() {
                    Ok(mut place) => {
                        fill(place.as_mut_bytes());
                        place.commit();
                        true
                    }
                    Err(ReserveError::Full | ReserveError::Busy { .. }) => false,
                    Err(error) => broken(&error),
                }
            }
        }

        impl<T: Payload + FromBytes> LendingReader<T> for $kind::Consumer<T> {
            #[inline(always)]
            fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V> {
                match self.peek() {
                    Ok(message) => {
                        let seen = see(&message);
                        message.release();
                        Some(seen)
                    }
                    Err(TryPopError::Empty | TryPopError::Busy { .. }) => None,
                    Err(error) => broken(&error),
                }
            }
        }
    };
}
channel!(spsc, expect);
channel!(mpmc,);
