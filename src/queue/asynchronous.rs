//! Waiting as a future: what `waiting` does, asleep as a task instead of a thread.

use super::reactor::{self, Place, Registration};
use super::waiting::{End, HELD, IDLE, Look, Shared, Waited};
use crate::sys::fork::Incarnation;
use crate::wait::{Event, Ticket};
use std::fmt;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What a task keeps from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    announced: Option<Announced>,
    registration: Option<Registration>,
}

/// We have said that we sleep.
#[derive(Debug)]
struct Announced {
    place: Place,
    ticket: Ticket,
    alone: bool,
    process: Incarnation,
}

impl Sleep {
    /// Looks, and sees to it that the task is woken when it is worth while to look again.
    pub(super) fn poll<E: End, V>(
        &mut self,
        end: &mut E,
        context: &Context<'_>,
        mut look: impl FnMut(&mut E) -> Look<V>,
    ) -> Poll<Waited<V>> {
        self.registration = None;
        end.rise();
        // NB: who was woken, and is not the only one who sleeps here, says again that it sleeps before it looks.
        if E::ALONE || self.announced.is_none() {
            if let Look::Done(value) = look(end) {
                self.finish(false);
                return Poll::Ready(Waited::Done(value));
            }
        }
        let (ticket, place) = (end.event().prepare(), end.place());
        self.announced =
            Some(Announced { place: place.clone(), ticket, alone: E::ALONE, process: Incarnation::current() });
        let now = Instant::now();
        end.attachment().note_time();
        let asking = end.waiter().asks(now);
        let until = end.waiter().ask_at(now);
        // The other end first: what they did before they left is seen only after they are seen to have left.
        let is_forsaken = end.is_forsaken(asking);
        let waited = match look(end) {
            Look::Done(value) => Waited::Done(value),
            Look::Nothing if is_forsaken => Waited::Closed,
            nothing => {
                let slice = if matches!(nothing, Look::Held { .. }) { HELD } else { IDLE };
                match reactor::register(place, ticket, until.min(now + slice), context.waker().clone()) {
                    Ok(registration) => self.registration = Some(registration),
                    // There can be no thread. The task looks after itself, and is slow at it.
                    Err(_) => {
                        std::thread::sleep(Duration::from_millis(1));
                        context.waker().wake_by_ref();
                    }
                }
                return Poll::Pending;
            }
        };
        self.finish(end.has_more(0));
        Poll::Ready(waited)
    }

    /// We do not sleep any more. If somebody has woken us, it may have been for two: `has_more` says that there is
    /// something to do for another.
    fn finish(&mut self, has_more: bool) {
        self.registration = None;
        if let Some(Announced { place, ticket, alone, .. }) = self.announced.take() {
            let event = Event(Shared(place.word()));
            if alone {
                event.finish(ticket);
            } else if has_more {
                event.wake_one();
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.announced.as_ref().is_some_and(|announced| announced.process != Incarnation::current()) {
            // A forked child has got hold of its parent's task: neither the ring nor the thread is there.
            std::mem::forget((self.announced.take(), self.registration.take()));
            return;
        }
        // Cancelled. A wake-up may be on its way to us, and have taken back that anybody sleeps.
        if let Some(Announced { place, alone: false, .. }) = &self.announced {
            Event(Shared(place.word())).prepare();
        }
        self.finish(true);
    }
}

/// Waits until something is done, or the other end has left.
pub(super) async fn wait<E: End, V>(end: &mut E, mut look: impl FnMut(&mut E) -> Look<V>) -> Waited<V> {
    let mut sleep = Sleep::default();
    std::future::poll_fn(|context| sleep.poll(end, context, &mut look)).await
}

/// The messages of a ring as a [`Stream`](futures_core::Stream), lent by `stream`. It ends when a pop would say
/// [`Closed`](crate::PopError::Closed), and after [`Corrupted`](crate::PopError::Corrupted). Dropping it loses nothing.
pub struct Messages<'c, C> {
    pub(super) consumer: &'c mut C,
    pub(super) sleep: Sleep,
    pub(super) is_over: bool,
}

impl<C> fmt::Debug for Messages<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

/// A producer as a [`Sink`](futures_sink::Sink) of messages, lent by `sink`.
///
/// It holds one message itself, which is pushed when the sink is flushed, or made ready for the next one. Dropped before
/// that, the message is lost: flush it, or use `push_async`.
pub struct Pushes<'p, P, T> {
    pub(super) producer: &'p mut P,
    pub(super) sleep: Sleep,
    pub(super) message: Option<T>,
}

impl<P, T> fmt::Debug for Pushes<'_, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").field("holds_one", &self.message.is_some()).finish_non_exhaustive()
    }
}

// `sleep` and `message` are moved as values, never pinned.
impl<C> Unpin for Messages<'_, C> {}
impl<P, T> Unpin for Pushes<'_, P, T> {}

/// What a consumer does as a task.
macro_rules! asynchronous_pops {
    ($consumer:ident, $popped:ty) => {
        impl<T: Message> $consumer<T> {
            /// As [`pop`](Self::pop), in a task of any runtime.
            ///
            /// Cancel-safe: dropped before it is ready, it has not popped anything. One thread of this process sleeps for
            /// all tasks that wait for rings.
            ///
            /// # Errors
            /// Those of `pop`.
            pub async fn pop_async(&mut self) -> Result<$popped, PopError> {
                answer(asynchronous::wait(self, Self::look_and_pop).await)
            }

            /// The messages that come, as a [`Stream`](futures_core::Stream).
            pub fn stream(&mut self) -> Messages<'_, Self> {
                Messages { consumer: self, sleep: Sleep::default(), is_over: false }
            }
        }

        impl<T: Message> futures_core::Stream for Messages<'_, $consumer<T>> {
            type Item = Result<$popped, PopError>;

            fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                let Messages { consumer, sleep, is_over } = &mut *self;
                if *is_over {
                    return Poll::Ready(None);
                }
                sleep.poll(*consumer, context, $consumer::look_and_pop).map(|waited| {
                    let next = answer(waited);
                    *is_over = matches!(next, Err(PopError::Closed | PopError::Corrupted(_)));
                    if matches!(next, Err(PopError::Closed)) { None } else { Some(next) }
                })
            }
        }
    };
}

/// What a producer does as a task.
macro_rules! asynchronous_pushes {
    ($producer:ident) => {
        impl<T: Message> $producer<T> {
            /// As [`push`](Self::push), in a task of any runtime.
            ///
            /// Cancel-safe: dropped before it is ready, it has pushed nothing, and the message is dropped with it. One
            /// thread of this process sleeps for all tasks that wait for rings.
            ///
            /// # Errors
            /// Those of `push`.
            pub async fn push_async(&mut self, message: T) -> Result<(), PushError<T>> {
                let mut message = Some(message);
                let waited = asynchronous::wait(self, |producer| producer.look_and_push(&mut message)).await;
                pushed(waited, message)
            }

            /// This producer as a [`Sink`](futures_sink::Sink).
            pub fn sink(&mut self) -> Pushes<'_, Self, T> {
                Pushes { producer: self, sleep: Sleep::default(), message: None }
            }
        }

        impl<T: Message> futures_sink::Sink<T> for Pushes<'_, $producer<T>, T> {
            type Error = PushError<T>;

            fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PushError<T>>> {
                self.poll_flush(context)
            }

            fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), PushError<T>> {
                assert!(self.message.is_none(), "a sink is sent to after it was ready");
                self.message = Some(message);
                Ok(())
            }

            fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PushError<T>>> {
                let Pushes { producer, sleep, message } = &mut *self;
                if message.is_none() {
                    return Poll::Ready(Ok(()));
                }
                let polled = sleep.poll(*producer, context, |producer| producer.look_and_push(message));
                polled.map(|waited| pushed(waited, message.take()))
            }

            fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PushError<T>>> {
                self.poll_flush(context)
            }
        }
    };
}

pub(super) use {asynchronous_pops, asynchronous_pushes};
