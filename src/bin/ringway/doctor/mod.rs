//! `ringway doctor`: is this machine fit for rings, and what is to be done if not.

mod checks;

use crate::failure::{Code, Failure};
use crate::out::{Out, Style};
use crate::show;
use clap::Args;
use serde::Serialize;
use std::io::Write;

/// Say whether this machine is fit for rings, and what to do.
///
/// Looks at /dev/shm, limits, and what the kernel can do, and makes a small ring, uses it and removes it. Exits with 1 if
/// rings do not work here.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found, of one subject.
#[derive(Debug, Serialize)]
pub struct Finding {
    subject: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do, if anything is to be done.
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Rings work, and would work better.
    Fair,
    /// Rings do not work.
    Bad,
}

impl Finding {
    fn good(subject: &'static str, found: impl Into<String>) -> Finding {
        Finding { subject, verdict: Verdict::Good, found: found.into(), advice: None }
    }

    fn fair(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { subject, verdict: Verdict::Fair, found: found.into(), advice: Some(advice.into()) }
    }

    fn bad(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { subject, verdict: Verdict::Bad, found: found.into(), advice: Some(advice.into()) }
    }
}

impl Doctor {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let findings = checks::all();
        match self.json {
            true => out.json(&findings)?,
            false => {
                for finding in &findings {
                    print(out, finding)?;
                }
            }
        }
        match findings.iter().any(|finding| finding.verdict == Verdict::Bad) {
            true => Err(Failure::Silent(Code::Failed)),
            false => Ok(()),
        }
    }
}

fn print(out: &mut Out, finding: &Finding) -> std::io::Result<()> {
    let (style, word) = match finding.verdict {
        Verdict::Good => (Style::Good, "good"),
        Verdict::Fair => (Style::Odd, "fair"),
        Verdict::Bad => (Style::Bad, "BAD "),
    };
    let word = out.styled(style, word);
    writeln!(out, "{word}  {:<16} {}", finding.subject, show::harmless(&finding.found))?;
    match &finding.advice {
        Some(advice) => writeln!(out, "      {:<16} -> {advice}", ""),
        None => Ok(()),
    }
}
