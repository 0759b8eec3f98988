//! The roles as handles hold them: claimed through the registry, given up on drop, and who has them now.

use super::attachment::Attachment;
use crate::error::{ClaimError, Role};
pub use crate::inspect::RoleHolder as Peer;
use crate::registry::role;
use crate::sync::{self, AtomicU64};
use std::sync::Arc;

impl Attachment {
    #[inline]
    fn role_word(&self, role: Role) -> &AtomicU64 {
        let roles = &self.parts().control().roles;
        sync::mapped(match role {
            Role::Producer => &roles.producer,
            Role::Consumer => &roles.consumer,
        })
    }

    pub(super) fn peer(&self, role: Role) -> Peer {
        let holder = role::holder(self.role_word(role));
        match holder.held_by() {
            Some((record, generation)) => {
                let pid = holder.pid();
                if self.is_alive(record, generation) { Peer::Alive { pid } } else { Peer::Dead { pid } }
            }
            None if holder.is_used() => Peer::Left,
            None => Peer::NeverCame,
        }
    }

    /// Whether somebody had the role and nobody alive has it now.
    pub(super) fn has_gone(&self, role: Role) -> bool {
        matches!(self.peer(role), Peer::Left | Peer::Dead { .. })
    }

    /// Whether the last holder of the role has given it up. Costs a load, and does not notice a death.
    #[inline]
    pub(super) fn has_left(&self, role: Role) -> bool {
        let holder = role::holder(self.role_word(role));
        holder.held_by().is_none() && holder.is_used()
    }
}

/// A role that has been claimed, and is not yet known to be in order.
pub(super) struct Claim {
    held: HeldRole,
    pub(super) repair: bool,
}

/// A role that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct HeldRole {
    pub(super) attachment: Arc<Attachment>,
    role: Role,
    /// Whether the next holder can go on without a repair.
    clean: bool,
}

impl Claim {
    pub(super) fn new(attachment: &Arc<Attachment>, role: Role) -> Result<Claim, ClaimError> {
        let is_alive = |record, generation| attachment.is_alive(record, generation);
        match role::claim(attachment.role_word(role), attachment.holder(), is_alive) {
            Ok(role::Granted { repair }) => {
                let held = HeldRole { attachment: attachment.clone(), role, clean: !repair };
                attachment.announce();
                Ok(Claim { held, repair })
            }
            Err(role::Taken { by }) => {
                Err(ClaimError::RoleTaken { ring: (&**attachment.parts().name()).into(), role, pid: by.pid() })
            }
        }
    }

    /// The ring is in order, as far as this role is concerned.
    pub(super) fn keep(mut self) -> HeldRole {
        self.held.clean = true;
        self.held
    }
}

impl Drop for HeldRole {
    fn drop(&mut self) {
        if !self.attachment.is_inherited() {
            role::give_up(self.attachment.role_word(self.role), self.attachment.holder(), self.clean);
            self.attachment.announce();
        }
    }
}
