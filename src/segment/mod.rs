//! Mapped ranges of bytes under a name. A segment knows where its parts lie and nothing of what a ring does with them.
//!
//! A new kind of memory is one more file here.

pub(crate) mod making;
pub(crate) mod name;
pub(crate) mod posix;
