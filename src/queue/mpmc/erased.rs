//! The ends of an MPMC ring whose messages are known by their size only: see [`bytes`](crate::bytes).

use super::Membership;
use super::watch::{self, Obstacles, Watch};
use crate::error::{Corrupted, Role};
use crate::queue::attachment::Attachment;
use crate::queue::bytes::{Pops, Pushes};
use crate::queue::waiting::Look;
use crate::ring::erased::Erased;
use crate::ring::mpmc::consumer::{self, Pop};
use crate::ring::mpmc::producer::{self, Push};
use crate::ring::mpmc::{self, Held, repair};
use std::sync::Arc;

type Memory = Erased<1>;

struct Producer {
    ring: producer::Producer<(), Memory>,
    membership: Membership,
    watch: Watch,
}

struct Consumer {
    ring: consumer::Consumer<(), Memory>,
    membership: Membership,
    watch: Watch,
}

pub(in crate::queue) fn producer(attachment: &Arc<Attachment>) -> Box<dyn Pushes> {
    let ring = producer::Producer::new(Memory::new(attachment.parts().clone()), attachment.record() as _);
    Box::new(Producer { ring, membership: Membership::new(attachment, Role::Producer), watch: Watch::default() })
}

pub(in crate::queue) fn consumer(attachment: &Arc<Attachment>) -> Box<dyn Pops> {
    let ring = consumer::Consumer::new(Memory::new(attachment.parts().clone()), attachment.record() as _);
    Box::new(Consumer { ring, membership: Membership::new(attachment, Role::Consumer), watch: Watch::default() })
}

/// What an attempt of either end came to.
enum Attempt<V> {
    Done(V),
    Nothing,
    Held(Held),
}

/// Tries until there is an answer that will not change by itself in a moment.
fn persist<E, V>(
    end: &mut E,
    attachment: &Attachment,
    watch: &mut Watch,
    memory: fn(&E) -> &Memory,
    mut attempt: impl FnMut(&mut E) -> Result<Attempt<V>, Box<Corrupted>>,
) -> Look<Result<V, Box<Corrupted>>> {
    let mut obstacles = Obstacles::default();
    let mut looked = false;
    loop {
        match attempt(end) {
            Ok(Attempt::Done(value)) => return Look::Done(Ok(value)),
            Ok(Attempt::Nothing) => {
                if looked || !watch.is_worth_another_try(attachment, memory(end)) {
                    return Look::Nothing;
                }
                looked = true;
            }
            Ok(Attempt::Held(held)) => {
                if let Err(pid) = obstacles.overcome(held, watch, attachment, memory(end)) {
                    return Look::Held { pid };
                }
            }
            Err(corrupted) => return Look::Done(Err(corrupted)),
        }
    }
}

/// Whether there is something to do; an error is something.
fn without_error<V>(look: Look<V>) -> Look<()> {
    match look {
        Look::Done(_) => Look::Done(()),
        Look::Nothing => Look::Nothing,
        Look::Held { pid } => Look::Held { pid },
    }
}

impl From<Push> for Attempt<()> {
    fn from(push: Push) -> Attempt<()> {
        match push {
            Push::Done(_) => Attempt::Done(()),
            Push::Full => Attempt::Nothing,
            Push::Held(held) => Attempt::Held(held),
        }
    }
}

impl<V> From<Pop<V>> for Attempt<(V, u8)> {
    fn from(pop: Pop<V>) -> Attempt<(V, u8)> {
        match pop {
            Pop::Got(value, redeliveries) => Attempt::Done((value, redeliveries)),
            // Any bytes are a message here, so nothing is ever reported as invalid.
            Pop::Empty | Pop::Invalid(_) => Attempt::Nothing,
            Pop::Held(held) => Attempt::Held(held),
        }
    }
}

impl Pushes for Producer {
    fn attachment(&self) -> &Attachment {
        &self.membership.attachment
    }

    fn push(&mut self, message: &[u8]) -> Look<Result<(), Box<Corrupted>>> {
        let Producer { ring, membership, watch } = self;
        let reserve = |ring: &mut producer::Producer<_, _>| ring.reserve().map(Attempt::from);
        let look = persist(ring, &membership.attachment, watch, |ring| ring.memory(), reserve);
        if matches!(look, Look::Done(Ok(()))) {
            ring.place_mut().copy_from_slice(message);
            ring.commit();
        }
        look
    }

    fn look(&mut self) -> Look<()> {
        let Producer { ring, membership, watch } = self;
        let look = |ring: &mut producer::Producer<_, _>| ring.look().map(Attempt::from);
        without_error(persist(ring, &membership.attachment, watch, |ring| ring.memory(), look))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        self.membership.is_forsaken(asking)
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        mpmc::count(self.ring.memory()) + beyond < self.attachment().parts().geometry().capacity
    }
}

impl Pops for Consumer {
    fn attachment(&self) -> &Attachment {
        &self.membership.attachment
    }

    fn lend(&mut self, to: &mut [u8]) -> Look<Result<(usize, u8), Box<Corrupted>>> {
        let Consumer { ring, membership, watch } = self;
        let size = membership.attachment.parts().geometry().shape.item_size;
        let wanted = to.len() / size;
        let peek = |ring: &mut consumer::Consumer<_, _>| ring.peek_slice(wanted).map(Attempt::from);
        let look = persist(ring, &membership.attachment, watch, |ring| ring.memory(), peek);
        if let Look::Done(Ok((count, _))) = look {
            for (index, place) in to.chunks_exact_mut(size).take(count).enumerate() {
                ring.copy_lent(index, place);
            }
        }
        look
    }

    fn hand_over(&mut self) {
        self.ring.release();
    }

    fn give_back(&mut self) {
        // In a forked child it is the parent's, and its memory is not there.
        if !self.membership.attachment.is_inherited() {
            self.ring.give_back();
            // Somebody may be asleep who can have it.
            self.membership.attachment.announce();
        }
    }

    fn look(&mut self) -> Look<()> {
        let Consumer { ring, membership, watch } = self;
        let look = |ring: &mut consumer::Consumer<_, _>| ring.look().map(Attempt::from);
        without_error(persist(ring, &membership.attachment, watch, |ring| ring.memory(), look))
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        if !self.membership.is_forsaken(asking) {
            return false;
        }
        // What the dead had taken is still to come, and what others have in their hands may be.
        watch::look(&self.membership.attachment, self.ring.memory());
        !repair::is_any_taken(self.ring.memory())
    }

    fn has_more(&mut self, beyond: usize) -> bool {
        mpmc::count(self.ring.memory()) > beyond || self.ring.may_find_orphans()
    }
}
