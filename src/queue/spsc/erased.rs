//! The two ends of an SPSC ring whose messages are known by their size only: see [`bytes`](crate::bytes).

use crate::error::{ClaimError, Corrupted, Role};
use crate::queue::attachment::Attachment;
use crate::queue::bytes::{Pops, Pushes};
use crate::queue::role::{Claim, HeldRole};
use crate::queue::waiting::Look;
use crate::ring::erased::{Erased, for_items_per_cell};
use crate::ring::spsc::{consumer, producer};
use std::sync::Arc;

struct Producer<const ITEMS: usize> {
    ring: producer::Producer<(), Erased<ITEMS>>,
    role: HeldRole,
}

struct Consumer<const ITEMS: usize> {
    ring: consumer::Consumer<(), Erased<ITEMS>>,
    role: HeldRole,
    /// Messages that are lent: passed, and neither handed over nor given back.
    lent: u64,
}

pub(in crate::queue) fn producer(attachment: &Arc<Attachment>) -> Result<Box<dyn Pushes>, ClaimError> {
    let claim = Claim::new(attachment, Role::Producer)?;
    let parts = attachment.parts().clone();
    for_items_per_cell!(parts.geometry().shape.items_per_cell, ITEMS => {
        let ring = producer::Producer::take_over(Erased::<ITEMS>::new(parts), claim.repair)?;
        Ok(Box::new(Producer { ring, role: claim.keep() }))
    })
}

pub(in crate::queue) fn consumer(attachment: &Arc<Attachment>) -> Result<Box<dyn Pops>, ClaimError> {
    let claim = Claim::new(attachment, Role::Consumer)?;
    let parts = attachment.parts().clone();
    for_items_per_cell!(parts.geometry().shape.items_per_cell, ITEMS => {
        let ring = consumer::Consumer::take_over(Erased::<ITEMS>::new(parts))?;
        Ok(Box::new(Consumer { ring, role: claim.keep(), lent: 0 }))
    })
}

fn has_gone(attachment: &Attachment, role: Role, asking: bool) -> bool {
    if asking { attachment.has_gone(role) } else { attachment.has_left(role) }
}

impl<const ITEMS: usize> Pushes for Producer<ITEMS> {
    fn attachment(&self) -> &Attachment {
        &self.role.attachment
    }

    fn push(&mut self, message: &[u8]) -> Look<Result<(), Box<Corrupted>>> {
        match self.ring.reserve() {
            Ok(true) => {
                self.ring.place_mut().copy_from_slice(message);
                self.ring.commit();
                Look::Done(Ok(()))
            }
            Ok(false) => Look::Nothing,
            Err(corrupted) => Look::Done(Err(corrupted)),
        }
    }

    fn look(&mut self) -> Look<()> {
        // What is corrupted is for the operation to report.
        if self.ring.reserve().unwrap_or(true) { Look::Done(()) } else { Look::Nothing }
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        has_gone(&self.role.attachment, Role::Consumer, asking)
    }

    fn has_more(&mut self, _: usize) -> bool {
        false
    }
}

impl<const ITEMS: usize> Pops for Consumer<ITEMS> {
    fn attachment(&self) -> &Attachment {
        &self.role.attachment
    }

    fn lend(&mut self, to: &mut [u8]) -> Look<Result<(usize, u8), Box<Corrupted>>> {
        let size = self.role.attachment.parts().geometry().shape.item_size;
        for place in to.chunks_exact_mut(size) {
            match self.ring.peek() {
                Ok(true) => {
                    self.ring.copy_front(place);
                    self.ring.pass();
                    self.lent += 1;
                }
                // What was read before it is good; the next attempt meets it first.
                Err(corrupted) if self.lent == 0 => return Look::Done(Err(corrupted)),
                Ok(false) | Err(_) => break,
            }
        }
        if self.lent > 0 { Look::Done(Ok((self.lent as usize, 0))) } else { Look::Nothing }
    }

    fn hand_over(&mut self) {
        self.lent = 0;
        self.ring.release_passed();
    }

    fn give_back(&mut self) {
        self.ring.go_back(std::mem::take(&mut self.lent));
    }

    fn look(&mut self) -> Look<()> {
        if self.ring.is_empty().unwrap_or(false) { Look::Nothing } else { Look::Done(()) }
    }

    fn is_forsaken(&mut self, asking: bool) -> bool {
        has_gone(&self.role.attachment, Role::Producer, asking)
    }

    fn has_more(&mut self, _: usize) -> bool {
        false
    }
}
