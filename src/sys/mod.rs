//! Thin wrappers around what the operating system offers, under the kernel's names. They decide nothing.

pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod pages;
pub(crate) mod process;
pub(crate) mod shm;
pub(crate) mod socket;
