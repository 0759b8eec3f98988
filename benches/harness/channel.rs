//! Candidates: what is measured, behind one interface, whatever it is made of.
//!
//! A queue that two processes can meet at is a [`Channel`]; of one that lives in one process there is a function that
//! makes a pair of ends. [`across`] and [`in_process`] make the two sides of a job of them.

use super::contract::{Payload, Reader, Writer};
use super::crowd::{Popping, Pushing};
use super::in_place::{InPlaceSink, InPlaceSource, LendingReader, LendingWriter};
use super::job::{Calls, Job, Work};
use super::shared::Shared;
use super::sides::{BatchSink, BatchSource, Both, Ping, Pong, Side, Sink, Source};
use super::timed::{Latencies, PacedSink, PacedSource, TimedPing};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Something with two ends that two processes meet by name.
pub trait Channel<T>: Sized {
    /// The end that is written to.
    type Writer: Writer<T> + 'static;
    /// The end that is read from.
    type Reader: Reader<T> + 'static;

    /// The near side: a new channel of that name, with room for `capacity` messages as far as the candidate can be told.
    /// The name goes when this is dropped, which is done as soon as the two ends have exchanged a message: a process that
    /// is killed after that leaves nothing behind.
    ///
    /// # Errors
    /// What the system or the candidate refused, and why.
    fn create(name: &str, capacity: usize) -> Result<Self, String>;

    /// The far side, in another process or in the same.
    ///
    /// # Errors
    /// What the system or the candidate refused, and why.
    fn open(name: &str) -> Result<Self, String>;

    /// The end that is written to. There must be no other, unless the candidate has many producers.
    fn writer(&self) -> Self::Writer;

    /// The end that is read from. There must be no other, unless the candidate has many consumers.
    fn reader(&self) -> Self::Reader;
}

/// Something that is measured, as a program lists it.
pub struct Candidate {
    /// By which it is called in tables, and found by the other process.
    pub name: &'static str,
    /// Whether its two ends may be in two processes.
    pub across: bool,
    /// Whether it has many producers and many consumers.
    pub crowds: bool,
    /// Makes the sides of a job.
    pub sides: fn(&Job, &Session, Part) -> Result<Sides, String>,
}

/// Which sides of a job are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Both, for two threads.
    Both,
    /// What this process does while another does the rest.
    Near,
    /// The rest.
    Far,
}

/// The sides of a job. Each but the first of the near ones runs in a thread of its own.
pub struct Sides {
    /// The first of them is timed.
    pub near: Vec<Box<dyn Side>>,
    pub far: Vec<Box<dyn Side>>,
    /// What is needed until both sides have met.
    pub until_met: Box<dyn Any>,
}

/// What the sides of one job have in common.
pub struct Session {
    /// How the names of its channels begin.
    pub prefix: String,
    pub shared: Arc<Shared>,
    /// What timed sides fill in.
    pub latencies: Latencies,
}

/// Does something with the type of a message of so many bytes.
macro_rules! with_message {
    ($bytes:expr, $message:ident => $does:expr) => {
        match $bytes {
            8 => {
                type $message = [u64; 1];
                $does
            }
            56 => {
                type $message = [u64; 7];
                $does
            }
            256 => {
                type $message = [u64; 32];
                $does
            }
            4096 => {
                type $message = [u64; 512];
                $does
            }
            65536 => {
                type $message = [u64; 8192];
                $does
            }
            other => Err(format!("no job has messages of {other} bytes")),
        }
    };
}
pub(crate) use with_message;

/// Where the ends of one queue come from.
pub struct Ends<'q, W, R> {
    writer: Box<dyn FnMut() -> W + 'q>,
    reader: Box<dyn FnMut() -> R + 'q>,
}

/// The near and the far sides of a job.
type TwoSides = (Vec<Box<dyn Side>>, Vec<Box<dyn Side>>);

/// The sides of a job with channels, each of which is given to `check` before.
pub fn across<T: Payload, C: Channel<T> + 'static>(
    job: &Job,
    session: &Session,
    part: Part,
    check: impl Fn(&mut C::Writer, &mut C::Reader, usize),
) -> Result<Sides, String> {
    with_channels::<T, C>(job, session, part, check, sides)
}

/// The same where the ends lend a message's place in the queue, for the work that is done there.
pub fn across_in_place<T, C>(
    job: &Job,
    session: &Session,
    part: Part,
    check: impl Fn(&mut C::Writer, &mut C::Reader, usize),
) -> Result<Sides, String>
where
    T: Payload,
    C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
{
    with_channels::<T, C>(job, session, part, check, |job, _, part, mut back, _| match job.work {
        Work::Flow { writers: 1, readers: 1, calls: Calls::InPlace } => Ok((
            part.near(|| Box::new(InPlaceSink::new((back.reader)()))),
            part.far(|| Box::new(InPlaceSource::new((back.writer)()))),
        )),
        work => Err(format!("there is nothing to be done in place for `{work}`")),
    })
}

fn with_channels<T: Payload, C: Channel<T> + 'static>(
    job: &Job,
    session: &Session,
    part: Part,
    check: impl Fn(&mut C::Writer, &mut C::Reader, usize),
    make: impl FnOnce(
        &Job,
        &Session,
        Part,
        Ends<'_, C::Writer, C::Reader>,
        Option<Ends<'_, C::Writer, C::Reader>>,
    ) -> Result<TwoSides, String>,
) -> Result<Sides, String> {
    let capacity = job.capacity();
    let channel = |way: &str| {
        let name = format!("{}-{way}", session.prefix);
        if part == Part::Far {
            return C::open(&name);
        }
        // A twin is checked, so that the one that is timed has one writer and one reader in all its life.
        let twin = C::create(&format!("{name}-twin"), capacity)?;
        check(&mut twin.writer(), &mut twin.reader(), capacity);
        drop(twin);
        C::create(&name, capacity)
    };
    let back = channel("back")?;
    let forth = if job.work.is_round_trip() { Some(channel("forth")?) } else { None };
    let ends_of = |channel| {
        let channel: &C = channel;
        Ends { writer: Box::new(|| channel.writer()), reader: Box::new(|| channel.reader()) }
    };
    let (near, far) = make(job, session, part, ends_of(&back), forth.as_ref().map(ends_of))?;
    Ok(Sides { near, far, until_met: Box::new((back, forth)) })
}

/// A channel of which only a table of functions is known: one more jump for each call, and one instance of what the
/// sides do for all channels. Where there are many, and messages are large, that is worth it.
pub struct Virtual<C>(C);

impl<T: Payload, C: Channel<T>> Channel<T> for Virtual<C> {
    type Writer = Box<dyn Writer<T>>;
    type Reader = Box<dyn Reader<T>>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        C::create(name, capacity).map(Virtual)
    }

    fn open(name: &str) -> Result<Self, String> {
        C::open(name).map(Virtual)
    }

    fn writer(&self) -> Self::Writer {
        Box::new(self.0.writer())
    }

    fn reader(&self) -> Self::Reader {
        Box::new(self.0.reader())
    }
}

impl<T> Writer<T> for Box<dyn Writer<T>> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        (**self).push(message)
    }

    #[inline(always)]
    fn push_some(&mut self, messages: &[T]) -> usize {
        (**self).push_some(messages)
    }
}

impl<T> Reader<T> for Box<dyn Reader<T>> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        (**self).pop()
    }

    #[inline(always)]
    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        (**self).pop_some(messages)
    }
}

/// The sides of a job with queues that live in one process, each of which is given to `check` before.
pub fn in_process<T, W, R>(
    job: &Job,
    session: &Session,
    make: impl Fn(usize) -> Result<(W, R), String>,
    check: impl Fn(&mut W, &mut R, usize),
) -> Result<Sides, String>
where
    T: Payload,
    W: Writer<T> + 'static,
    R: Reader<T> + 'static,
{
    let ends = || {
        let (mut writer, mut reader) = make(job.capacity())?;
        check(&mut writer, &mut reader, job.capacity());
        let (mut writer, mut reader) = (Some(writer), Some(reader));
        Ok::<_, String>(Ends {
            writer: Box::new(move || writer.take().expect("it has one writer")),
            reader: Box::new(move || reader.take().expect("it has one reader")),
        })
    };
    let (near, far) = sides(job, session, Part::Both, ends()?, Some(ends()?))?;
    Ok(Sides { near, far, until_met: Box::new(()) })
}

/// The same with queues that have any number of ends.
pub fn in_process_crowd<T, W, R>(
    job: &Job,
    session: &Session,
    make: impl Fn(usize) -> Result<(W, R), String>,
    check: impl Fn(&mut W, &mut R, usize),
) -> Result<Sides, String>
where
    T: Payload,
    W: Writer<T> + Clone + 'static,
    R: Reader<T> + Clone + 'static,
{
    let ends = || {
        let (mut writer, mut reader) = make(job.capacity())?;
        check(&mut writer, &mut reader, job.capacity());
        let (writer, reader) = (move || writer.clone(), move || reader.clone());
        Ok::<_, String>(Ends { writer: Box::new(writer), reader: Box::new(reader) })
    };
    let (near, far) = sides(job, session, Part::Both, ends()?, Some(ends()?))?;
    Ok(Sides { near, far, until_met: Box::new(()) })
}

/// Who sends what to whom. A flow comes to the near side, which holds the clock.
fn sides<T, W, R>(
    job: &Job,
    session: &Session,
    part: Part,
    mut back: Ends<'_, W, R>,
    forth: Option<Ends<'_, W, R>>,
) -> Result<TwoSides, String>
where
    T: Payload,
    W: Writer<T> + 'static,
    R: Reader<T> + 'static,
{
    let batch = job.batch();
    match (job.work, forth) {
        (Work::RoundTrip | Work::EachTrip, Some(mut forth)) => Ok((
            part.near(|| {
                let (to, from) = ((forth.writer)(), (back.reader)());
                match job.work {
                    Work::EachTrip => Box::new(TimedPing::new(to, from, session.latencies.clone())),
                    _ => Box::new(Ping::new(to, from)),
                }
            }),
            part.far(|| Box::new(Pong::new((back.writer)(), (forth.reader)()))),
        )),
        (Work::RoundTrip | Work::EachTrip, None) => Err("a round trip takes two queues".into()),
        (Work::Flow { writers: 1, readers: 1, calls: Calls::OneByOne }, _) => Ok((
            part.near(|| Box::new(Sink::new((back.reader)()))),
            part.far(|| Box::new(Source::new((back.writer)()))),
        )),
        (Work::Flow { writers: 1, readers: 1, calls: Calls::Batches }, _) => Ok((
            part.near(|| Box::new(BatchSink::new((back.reader)(), batch))),
            part.far(|| Box::new(BatchSource::new((back.writer)(), batch))),
        )),
        (Work::Flow { calls: Calls::InPlace, .. }, _) => Err("it lends no place in the queue".into()),
        (Work::Flow { writers, readers, .. }, _) => {
            if !job.candidate.crowds {
                return Err("it has one writer and one reader".into());
            }
            // As many ends on one core as on the other.
            let (mut near, mut far) = (Vec::new(), Vec::new());
            for index in 0..writers {
                let mut side = || -> Box<dyn Side> {
                    Box::new(Pushing::new((back.writer)(), index, writers, batch, session.shared.clone()))
                };
                if index % 2 == 0 { near.extend(part.near(side)) } else { far.extend(part.far(&mut side)) }
            }
            for index in 0..readers {
                let mut side = || -> Box<dyn Side> {
                    Box::new(Popping::new((back.reader)(), readers, batch, session.shared.clone()))
                };
                if index % 2 == 1 { near.extend(part.near(side)) } else { far.extend(part.far(&mut side)) }
            }
            Ok((near, far))
        }
        (Work::Paced { nanoseconds }, _) => Ok((
            part.near(|| Box::new(PacedSink::new((back.reader)(), nanoseconds, session.latencies.clone()))),
            part.far(|| Box::new(PacedSource::new((back.writer)(), nanoseconds))),
        )),
        (Work::Alone, _) => Ok((part.near(|| Box::new(Both::new((back.writer)(), (back.reader)()))), Vec::new())),
    }
}

impl Part {
    /// A near side, if it is wanted.
    pub fn near(self, side: impl FnOnce() -> Box<dyn Side>) -> Vec<Box<dyn Side>> {
        if self == Part::Far { Vec::new() } else { vec![side()] }
    }

    /// A far side, if it is wanted.
    pub fn far(self, side: impl FnOnce() -> Box<dyn Side>) -> Vec<Box<dyn Side>> {
        if self == Part::Near { Vec::new() } else { vec![side()] }
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
