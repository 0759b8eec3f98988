//! The `ringway` command.

mod bench;

use clap::{Parser, Subcommand};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Rings in shared memory.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Bench(bench::Bench),
    #[command(hide = true)]
    BenchPeer(bench::BenchPeer),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Bench(verb) => verb.run(),
        Verb::BenchPeer(verb) => verb.run(),
    };
    let printed = done.and_then(|text| match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read our output has had enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("output failed: {error}")),
        _ => Ok(()),
    });
    if let Err(reason) = printed {
        // Nobody to tell it to is no reason to panic.
        let _ = writeln!(std::io::stderr(), "ringway: {reason}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
