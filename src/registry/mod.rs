//! Who is attached to a segment, who is alive, and who has which role.

pub(crate) mod role;
