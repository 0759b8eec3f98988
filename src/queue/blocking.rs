//! The operations that wait: the same for both kinds of ring, around those that do not wait.

use super::waiting::Look;
use crate::error::{Corrupted, PopError, PopSliceError, PushSliceError, TryPopError};

/// The messages of a ring, one after the other, waiting for each. It ends when a pop would say
/// [`Closed`](PopError::Closed), and after [`Corrupted`](PopError::Corrupted).
#[derive(Debug)]
pub struct Iter<'c, C> {
    pub(super) consumer: &'c mut C,
    pub(super) is_over: bool,
}

/// The messages that are in a ring, one after the other. It ends when there is none, or none that can be popped now.
#[derive(Debug)]
pub struct TryIter<'c, C>(pub(super) Iter<'c, C>);

/// What a producer does that waits for room. It has `try_push`, `push_slice` and `has_peer`, a `waiter` and `closes`, and
/// is an `End`. The macro is given an example of `push`.
macro_rules! blocking_pushes {
    ($producer:ident, $(#[$example:meta])*) => {
        impl<T: Message> $producer<T> {
            /// Pushes one message, and waits while the ring is full: as [`set_wait`](Self::set_wait) says, by default
            /// awake for some microseconds, then asleep.
            ///
            /// When this returns `Ok`, the message is committed, as by `try_push`. Consumers may come and go meanwhile,
            /// and be killed: it waits for the next one, unless [`close_when_alone`](Self::close_when_alone) was asked
            /// for.
            ///
            /// # Errors
            /// [`PushError::Closed`], only if that was asked for; [`PushError::Corrupted`] when somebody has scribbled on
            /// the ring.
            ///
            $(#[$example])*
            #[inline]
            pub fn push(&mut self, message: T) -> Result<(), PushError<T>> {
                self.try_push(message).or_else(|error| self.push_late(error, None))
            }

            /// As [`push`](Self::push), and gives up after `patience`.
            ///
            /// # Errors
            /// Those of `push`, and [`PushError::Timeout`].
            #[inline]
            pub fn push_timeout(&mut self, message: T, patience: Duration) -> Result<(), PushError<T>> {
                self.try_push(message).or_else(|error| self.push_late(error, Instant::now().checked_add(patience)))
            }

            /// As [`push`](Self::push), and gives up at `deadline`.
            ///
            /// # Errors
            /// Those of `push`, and [`PushError::Timeout`].
            #[inline]
            pub fn push_deadline(&mut self, message: T, deadline: Instant) -> Result<(), PushError<T>> {
                self.try_push(message).or_else(|error| self.push_late(error, Some(deadline)))
            }

            #[cold]
            fn push_late(&mut self, error: TryPushError<T>, deadline: Option<Instant>) -> Result<(), PushError<T>> {
                if let TryPushError::Corrupted(message, corrupted) = error {
                    return Err(PushError::Corrupted(message, corrupted));
                }
                let mut message = Some(error.into_inner());
                let waited = wait_longer(self, deadline, |producer| producer.look_and_push(&mut message));
                pushed(waited, message)
            }

            /// Takes the message out and pushes it, or puts it back.
            fn look_and_push(&mut self, message: &mut Option<T>) -> Look<Result<(), PushError<T>>> {
                let Some(attempted) = message.take() else { return Look::Done(Ok(())) };
                let (back, look) = match self.try_push(attempted) {
                    Ok(()) => return Look::Done(Ok(())),
                    Err(TryPushError::Corrupted(back, corrupted)) => {
                        return Look::Done(Err(PushError::Corrupted(back, corrupted)));
                    }
                    Err(TryPushError::Busy { message, pid }) => (message, Look::Held { pid }),
                    Err(TryPushError::Full(message)) => (message, Look::Nothing),
                };
                *message = Some(back);
                look
            }

            /// Pushes all of `messages`, in batches as large as there is room for, and waits for room in between. Each
            /// batch is committed as a whole; others may push between two of them, where there are others.
            ///
            /// # Errors
            /// [`PushAllError`], which says how many were pushed by then; never because of a time-out.
            pub fn push_all(&mut self, messages: &[T]) -> Result<(), PushAllError> {
                self.push_all_until(messages, None)
            }

            /// As [`push_all`](Self::push_all), and gives up after `patience`.
            ///
            /// # Errors
            /// [`PushAllError`], which says how many were pushed by then.
            pub fn push_all_timeout(&mut self, messages: &[T], patience: Duration) -> Result<(), PushAllError> {
                self.push_all_until(messages, Instant::now().checked_add(patience))
            }

            fn push_all_until(&mut self, messages: &[T], deadline: Option<Instant>) -> Result<(), PushAllError> {
                let mut pushed = 0;
                while pushed < messages.len() {
                    let waited = wait(self, deadline, |producer| match producer.push_slice(&messages[pushed..]) {
                        Ok(0) => Look::Nothing,
                        Ok(count) => Look::Done(Ok(count)),
                        Err(error) => error.into(),
                    });
                    let why = match waited {
                        Waited::Done(Ok(count)) => {
                            pushed += count;
                            continue;
                        }
                        Waited::Done(Err(corrupted)) => PushError::Corrupted((), corrupted),
                        Waited::Closed => PushError::Closed(()),
                        Waited::Timeout { pid } => PushError::Timeout { message: (), pid },
                    };
                    return Err(PushAllError { pushed, why });
                }
                Ok(())
            }

            /// How this handle waits from now on.
            pub fn set_wait(&mut self, how: Wait) {
                self.waiter = Waiter::new(how);
            }

            /// Whether a push into a full ring ends with [`PushError::Closed`] when there were consumers and none that
            /// is alive is left. Not by default: what is in the ring waits for the next consumer, which may be the same
            /// one, killed and started again, and so does a push.
            ///
            /// A consumer that leaves is noticed at once, one that is killed within 100 ms.
            pub fn close_when_alone(&mut self, close: bool) {
                self.closes = close;
            }

            /// This handle as a case of [`select`](crate::select()), which waits for room in any of several rings.
            pub fn case(&mut self) -> Case<'_> {
                Case::new(self)
            }

            /// Waits until a consumer is there and alive, for `patience` at most. Says whether there is one.
            pub fn wait_for_peer(&self, patience: Duration) -> bool {
                wait_until(self.attachment(), patience, || self.has_peer())
            }
        }
    };
}

/// What a consumer does that waits for messages. It has `try_pop`, `pop_slice` and `has_peer`, and a `waiter`, and is an
/// `End`. The macro is given what a pop of one, or of many, returns, and an example of `pop`.
macro_rules! blocking_pops {
    ($consumer:ident, $popped:ty, $count:ty, $(#[$example:meta])*) => {
        impl<T: Message> $consumer<T> {
            /// Pops the next message, and waits while there is none: as [`set_wait`](Self::set_wait) says, by default
            /// awake for some microseconds, then asleep.
            ///
            /// When this returns a message, it has been handed over, as by `try_pop`. Where no producer has come yet, it
            /// waits for one.
            ///
            /// # Errors
            /// [`PopError::Closed`] when everything has been popped, and there were producers, and none that is alive is
            /// left: one that leaves is noticed at once, one that is killed within 100 ms. (What another consumer has in
            /// its hands may still come back; until it is handed over, the ring is not closed.) A later producer opens
            /// the ring again. [`PopError::Invalid`] when the bytes are no `T`, in which case they have been consumed and the
            /// ring goes on; [`PopError::Corrupted`] when somebody has scribbled on the ring.
            ///
            $(#[$example])*
            #[inline]
            pub fn pop(&mut self) -> Result<$popped, PopError> {
                self.try_pop().or_else(|error| self.pop_late(error, None))
            }

            /// As [`pop`](Self::pop), and gives up after `patience`.
            ///
            /// # Errors
            /// Those of `pop`, and [`PopError::Timeout`].
            #[inline]
            pub fn pop_timeout(&mut self, patience: Duration) -> Result<$popped, PopError> {
                self.try_pop().or_else(|error| self.pop_late(error, Instant::now().checked_add(patience)))
            }

            /// As [`pop`](Self::pop), and gives up at `deadline`.
            ///
            /// # Errors
            /// Those of `pop`, and [`PopError::Timeout`].
            #[inline]
            pub fn pop_deadline(&mut self, deadline: Instant) -> Result<$popped, PopError> {
                self.try_pop().or_else(|error| self.pop_late(error, Some(deadline)))
            }

            #[cold]
            fn pop_late(&mut self, error: TryPopError, deadline: Option<Instant>) -> Result<$popped, PopError> {
                if let Look::Done(result) = error.into() {
                    return result;
                }
                answer(wait(self, deadline, Self::look_and_pop))
            }

            fn look_and_pop(&mut self) -> Look<Result<$popped, PopError>> {
                match self.try_pop() {
                    Ok(message) => Look::Done(Ok(message)),
                    Err(error) => error.into(),
                }
            }

            /// Fills `messages` from the front with as many messages as there are, as `pop_slice` does, and waits for the
            /// first one. Returns how many: none only if there is no room in `messages`.
            ///
            /// # Errors
            /// Those of [`pop`](Self::pop).
            pub fn pop_some(&mut self, messages: &mut [T]) -> Result<$count, PopError> {
                self.pop_some_until(messages, None)
            }

            /// As [`pop_some`](Self::pop_some), and gives up after `patience`.
            ///
            /// # Errors
            /// Those of `pop`, and [`PopError::Timeout`].
            pub fn pop_some_timeout(&mut self, messages: &mut [T], patience: Duration) -> Result<$count, PopError> {
                self.pop_some_until(messages, Instant::now().checked_add(patience))
            }

            fn pop_some_until(&mut self, messages: &mut [T], deadline: Option<Instant>) -> Result<$count, PopError> {
                answer(wait(self, deadline, |consumer| match consumer.pop_slice(messages) {
                    Ok(count) if count == 0 && !messages.is_empty() => Look::Nothing,
                    Ok(count) => Look::Done(Ok(count)),
                    Err(error) => error.into(),
                }))
            }

            /// The messages that come, waiting for each, until the ring is closed. The same as `for .. in &mut consumer`.
            pub fn iter(&mut self) -> Iter<'_, Self> {
                Iter { consumer: self, is_over: false }
            }

            /// The messages that are there.
            pub fn try_iter(&mut self) -> TryIter<'_, Self> {
                TryIter(self.iter())
            }

            /// How this handle waits from now on.
            pub fn set_wait(&mut self, how: Wait) {
                self.waiter = Waiter::new(how);
            }

            /// This handle as a case of [`select`](crate::select()), which waits for a message in any of several rings.
            pub fn case(&mut self) -> Case<'_> {
                Case::new(self)
            }

            /// Waits until a producer is there and alive, for `patience` at most. Says whether there is one.
            pub fn wait_for_peer(&self, patience: Duration) -> bool {
                wait_until(self.attachment(), patience, || self.has_peer())
            }
        }

        impl<'c, T: Message> IntoIterator for &'c mut $consumer<T> {
            type Item = Result<$popped, PopError>;
            type IntoIter = Iter<'c, $consumer<T>>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        impl<T: Message> Iterator for Iter<'_, $consumer<T>> {
            type Item = Result<$popped, PopError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.is_over {
                    return None;
                }
                let next = self.consumer.pop();
                self.is_over = matches!(next, Err(PopError::Closed | PopError::Corrupted(_)));
                if matches!(next, Err(PopError::Closed)) { None } else { Some(next) }
            }
        }

        impl<T: Message> Iterator for TryIter<'_, $consumer<T>> {
            type Item = Result<$popped, PopError>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.0.is_over {
                    return None;
                }
                let next = match self.0.consumer.try_pop() {
                    Ok(message) => Ok(message),
                    Err(TryPopError::Invalid(invalid)) => Err(PopError::Invalid(invalid)),
                    Err(error) => {
                        self.0.is_over = true;
                        let TryPopError::Corrupted(corrupted) = error else { return None };
                        Err(PopError::Corrupted(corrupted))
                    }
                };
                Some(next)
            }
        }
    };
}

pub(super) use {blocking_pops, blocking_pushes};

impl<V> From<TryPopError> for Look<Result<V, PopError>> {
    fn from(error: TryPopError) -> Self {
        match error {
            TryPopError::Empty => Look::Nothing,
            TryPopError::Busy { pid } => Look::Held { pid },
            TryPopError::Closed => Look::Done(Err(PopError::Closed)),
            TryPopError::Invalid(invalid) => Look::Done(Err(PopError::Invalid(invalid))),
            TryPopError::Corrupted(corrupted) => Look::Done(Err(PopError::Corrupted(corrupted))),
        }
    }
}

impl<V> From<PopSliceError> for Look<Result<V, PopError>> {
    fn from(error: PopSliceError) -> Self {
        match error {
            PopSliceError::Busy { pid } => Look::Held { pid },
            PopSliceError::Invalid(invalid) => Look::Done(Err(PopError::Invalid(invalid))),
            PopSliceError::Corrupted(corrupted) => Look::Done(Err(PopError::Corrupted(corrupted))),
        }
    }
}

impl<V> From<Box<Corrupted>> for Look<Result<V, Box<Corrupted>>> {
    fn from(corrupted: Box<Corrupted>) -> Self {
        Look::Done(Err(corrupted))
    }
}

impl<V> From<PushSliceError> for Look<Result<V, Box<Corrupted>>> {
    fn from(error: PushSliceError) -> Self {
        match error {
            PushSliceError::Busy { pid } => Look::Held { pid },
            PushSliceError::Corrupted(corrupted) => Look::Done(Err(corrupted)),
        }
    }
}
