//! How a verb ends when it does not succeed: what is said, and the exit code.

use ringway::{ClaimError, CreateError, InspectError, OpenError, UnlinkError};
use std::io;
use std::process::ExitCode;

/// Why a verb gave up.
#[derive(Debug)]
pub enum Failure {
    /// Whoever read our output has had enough: no failure at all.
    OutputClosed,
    /// Something to be said, and a code.
    Said(Code, String),
    /// As before, and all has been said.
    Silent(Code),
}

/// The exit codes, as they are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    /// Or no ring of the version, kind or type that is needed.
    Corrupt = 4,
    Busy = 5,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure::Said(code, message.into())
    }

    fn not_found(name: &str) -> Failure {
        let message = format!("ring `{name}` was not found; `ringway ls` shows which there are");
        Failure::new(Code::NotFound, message)
    }

    /// Says it, and returns the code.
    pub fn report(self) -> ExitCode {
        let code = match self {
            Failure::OutputClosed => return ExitCode::SUCCESS,
            Failure::Silent(code) => code,
            Failure::Said(code, message) => {
                use std::io::Write;
                // Nobody to tell it to is no reason to panic.
                let _ = writeln!(io::stderr(), "ringway: {message}");
                code
            }
        };
        ExitCode::from(code as u8)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::new(Code::Failed, format!("output failed: {error}")),
        }
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Failure {
        let code = match error {
            InspectError::Name(_) | InspectError::NoName { .. } => Code::Usage,
            InspectError::NotFound { .. } => Code::NotFound,
            InspectError::Header { .. } | InspectError::NotAFile { .. } => Code::Corrupt,
            _ => Code::Failed,
        };
        match error {
            InspectError::NotFound { name } => Failure::not_found(&name),
            error => Failure::new(code, error.to_string()),
        }
    }
}

impl From<UnlinkError> for Failure {
    fn from(error: UnlinkError) -> Failure {
        let code = match error {
            UnlinkError::Name(_) | UnlinkError::NoName { .. } => Code::Usage,
            UnlinkError::NotFound { .. } => Code::NotFound,
            UnlinkError::NotARing { .. } => Code::Corrupt,
            UnlinkError::InUse { .. } | UnlinkError::Replaced { .. } => Code::Busy,
            _ => Code::Failed,
        };
        match error {
            UnlinkError::NotFound { name } => Failure::not_found(&name),
            error => Failure::new(code, error.to_string()),
        }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Failure {
        let code = match error {
            CreateError::Name(_)
            | CreateError::Capacity { .. }
            | CreateError::Processes { .. }
            | CreateError::NoQueue { .. }
            | CreateError::Messages { .. } => Code::Usage,
            CreateError::AlreadyExists { .. } => Code::Busy,
            _ => Code::Failed,
        };
        match error {
            CreateError::AlreadyExists { name } => {
                let instead = format!("`ringway info {name}` shows by what, and `ringway rm {name}` removes it");
                Failure::new(code, format!("ring `{name}` was not created: the name is taken; {instead}"))
            }
            error => Failure::new(code, error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        let code = match error {
            OpenError::Name(_) => Code::Usage,
            OpenError::NotFound { .. } => Code::NotFound,
            OpenError::NotAFile { .. } | OpenError::Header { .. } => Code::Corrupt,
            OpenError::TooManyProcesses { .. } | OpenError::Timeout { .. } => Code::Busy,
            _ => Code::Failed,
        };
        match error {
            OpenError::NotFound { name } => Failure::not_found(&name),
            error => Failure::new(code, error.to_string()),
        }
    }
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Failure {
        let code = match error {
            ClaimError::RoleTaken { .. } => Code::Busy,
            ClaimError::Corrupted(_) => Code::Corrupt,
            _ => Code::Failed,
        };
        Failure::new(code, error.to_string())
    }
}
