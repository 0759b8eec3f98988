//! The rivals as candidates of the harness.

use crate::contract::{Payload, Reader, Writer};
use crate::harness::channel::{
    Candidate, Channel, Part, Session, Sides, Virtual, across, across_in_place, in_process, in_process_crowd,
};
use crate::harness::in_place::{LendingReader, LendingWriter};
use crate::harness::job::Job;
use crate::harness::rings::{self, Named};
use crate::rivals::{self, Contract, Description, SleepingReader, SleepingWriter, Sleeps, Visitor, visit};
use ringway::{mpmc, spsc};
use std::marker::PhantomData;

/// How the name of a rival ends whose sides sleep until there is something to do.
const SLEEPING: &str = ", sleeping";

/// A rival, and what is measured of it.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// What it is.
    pub description: &'static Description,
    /// Its sides look again and again.
    pub awake: &'static Candidate,
    /// Its sides sleep, if both can.
    pub asleep: Option<&'static Candidate>,
}

/// All that were built.
pub fn all() -> Vec<Rival> {
    let rivals = rivals::all().into_iter().map(|description| {
        // There are a few of them, and they are needed until the end.
        let description: &'static Description = Box::leak(Box::new(description));
        let candidate = |name: String| -> &'static Candidate {
            let across = !description.in_process_only;
            let crowds = description.multi_producer && description.multi_consumer;
            Box::leak(Box::new(Candidate { name: name.leak(), across, crowds, sides }))
        };
        let sleeps = description.sleeps == Sleeps::Both;
        Rival {
            description,
            awake: candidate(description.name.into()),
            asleep: sleeps.then(|| candidate(format!("{}{SLEEPING}", description.name))),
        }
    });
    rivals.collect()
}

/// Our rings, measured as rivals are: large messages in the same way.
pub static SPSC: Candidate = Candidate {
    name: "ringway spsc",
    across: true,
    crowds: false,
    sides: |job, session, part| match job.bytes {
        256 => large::<_, Named<spsc::Ring<[u64; 32]>>>(job, session, part, &Contract::EXACT),
        4096 => large::<_, Named<spsc::Ring<[u64; 512]>>>(job, session, part, &Contract::EXACT),
        65536 => large::<_, Named<spsc::Ring<[u64; 8192]>>>(job, session, part, &Contract::EXACT),
        _ => (rings::SPSC.sides)(job, session, part),
    },
};
/// The same, with many producers and many consumers.
pub static MPMC: Candidate = Candidate {
    name: "ringway mpmc",
    across: true,
    crowds: true,
    sides: |job, session, part| match job.bytes {
        256 => large::<_, Named<mpmc::Ring<[u64; 32]>>>(job, session, part, &Contract::EXACT),
        4096 => large::<_, Named<mpmc::Ring<[u64; 512]>>>(job, session, part, &Contract::EXACT),
        65536 => large::<_, Named<mpmc::Ring<[u64; 8192]>>>(job, session, part, &Contract::EXACT),
        _ => (rings::MPMC.sides)(job, session, part),
    },
};

/// The sides of a job of any rival.
fn sides(job: &Job, session: &Session, part: Part) -> Result<Sides, String> {
    let name = job.candidate.name;
    let (name, sleeps) = name.strip_suffix(SLEEPING).map_or((name, false), |name| (name, true));
    let mut search = Search { name, sleeps, job, session, part, found: Err(format!("there is no rival `{name}`")) };
    match job.bytes {
        8 => visit::<[u64; 1]>(&mut search),
        56 => visit::<[u64; 7]>(&mut search),
        256 => visit::<[u64; 32]>(&mut Large(&mut search)),
        4096 => visit::<[u64; 512]>(&mut Large(&mut search)),
        65536 => visit::<[u64; 8192]>(&mut Large(&mut search)),
        other => search.found = Err(format!("no job has messages of {other} bytes")),
    }
    search.found
}

/// Looks for the rival of a job, and makes its sides.
struct Search<'j> {
    name: &'j str,
    sleeps: bool,
    job: &'j Job,
    session: &'j Session,
    part: Part,
    found: Result<Sides, String>,
}

impl<T: Payload> Visitor<T> for Search<'_> {
    fn in_process<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + 'static,
        R: Reader<T> + 'static,
    {
        if rival.name == self.name {
            let check = |to: &mut W, from: &mut R, asked| rival.contract.is_kept(to, from, asked);
            self.found = in_process(self.job, self.session, make, check);
        }
    }

    fn in_process_crowd<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + Clone + 'static,
        R: Reader<T> + Clone + 'static,
    {
        if rival.name == self.name {
            let check = |to: &mut W, from: &mut R, asked| rival.contract.is_kept(to, from, asked);
            self.found = in_process_crowd(self.job, self.session, make, check);
        }
    }

    fn across<C: Channel<T> + 'static>(&mut self, rival: &'static Description) {
        if rival.name == self.name {
            let check = |to: &mut C::Writer, from: &mut C::Reader, asked| rival.contract.is_kept(to, from, asked);
            self.found = across::<T, C>(self.job, self.session, self.part, check);
        }
    }

    fn across_sleeping<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>> + 'static,
    {
        if rival.name == self.name && self.sleeps {
            let check = |to: &mut Sleeper<T, C::Writer>, from: &mut Sleeper<T, C::Reader>, asked| {
                rival.contract.is_kept(&mut to.0, &mut from.0, asked)
            };
            self.found = across::<T, Asleep<T, C>>(self.job, self.session, self.part, check);
        } else {
            self.across::<C>(rival);
        }
    }
}

type AnyEnds<T> = (Box<dyn Writer<T>>, Box<dyn Reader<T>>);

/// The same for large messages: through a table of functions, and, where a rival can and the job wants it, in place.
struct Large<'s, 'j>(&'s mut Search<'j>);

impl<T: Payload> Visitor<T> for Large<'_, '_> {
    fn in_process<W, R>(&mut self, rival: &'static Description, make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + 'static,
        R: Reader<T> + 'static,
    {
        let search = &mut *self.0;
        if rival.name == search.name {
            let make = |capacity| {
                make(capacity).map(|(writer, reader)| -> AnyEnds<T> { (Box::new(writer), Box::new(reader)) })
            };
            let check = |to: &mut Box<dyn Writer<T>>, from: &mut Box<dyn Reader<T>>, asked| {
                rival.contract.is_kept(&mut **to, &mut **from, asked)
            };
            search.found = in_process(search.job, search.session, make, check);
        }
    }

    fn across<C: Channel<T> + 'static>(&mut self, rival: &'static Description) {
        let search = &mut *self.0;
        if rival.name == search.name {
            search.found = through_a_table::<T, C>(search.job, search.session, search.part, &rival.contract);
        }
    }

    fn across_lending<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
    {
        let search = &mut *self.0;
        if rival.name == search.name {
            search.found = large::<T, C>(search.job, search.session, search.part, &rival.contract);
        }
    }
}

fn large<T, C>(job: &Job, session: &Session, part: Part, contract: &Contract) -> Result<Sides, String>
where
    T: Payload,
    C: Channel<T, Writer: LendingWriter<T>, Reader: LendingReader<T>> + 'static,
{
    if job.work.is_in_place() {
        let check = |to: &mut C::Writer, from: &mut C::Reader, asked| contract.is_kept(to, from, asked);
        return across_in_place::<T, C>(job, session, part, check);
    }
    through_a_table::<T, C>(job, session, part, contract)
}

fn through_a_table<T: Payload, C: Channel<T> + 'static>(
    job: &Job,
    session: &Session,
    part: Part,
    contract: &Contract,
) -> Result<Sides, String> {
    across::<T, Virtual<C>>(job, session, part, |to, from, asked| contract.is_kept(&mut **to, &mut **from, asked))
}

/// A channel whose ends sleep until it is done.
struct Asleep<T, C>(C, PhantomData<fn(T) -> T>);

/// An end that does.
struct Sleeper<T, E>(E, PhantomData<fn(T) -> T>);

impl<T, C> Channel<T> for Asleep<T, C>
where
    T: Payload,
    C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>> + 'static,
{
    type Writer = Sleeper<T, C::Writer>;
    type Reader = Sleeper<T, C::Reader>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        C::create(name, capacity).map(|channel| Asleep(channel, PhantomData))
    }

    fn open(name: &str) -> Result<Self, String> {
        C::open(name).map(|channel| Asleep(channel, PhantomData))
    }

    fn writer(&self) -> Self::Writer {
        Sleeper(self.0.writer(), PhantomData)
    }

    fn reader(&self) -> Self::Reader {
        Sleeper(self.0.reader(), PhantomData)
    }
}

impl<T: Payload, W: SleepingWriter<T>> Writer<T> for Sleeper<T, W> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.0.push_sleeping(message);
        Ok(())
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().for_each(|message| self.0.push_sleeping(*message));
        messages.len()
    }
}

impl<T: Payload, R: SleepingReader<T>> Reader<T> for Sleeper<T, R> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        Some(self.0.pop_sleeping())
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        self.0.pop_some(messages)
    }
}
