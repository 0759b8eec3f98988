//! `ringway completions` and `ringway man`: generated from what the other verbs say of themselves.

use crate::Arguments;
use crate::failure::Failure;
use crate::out::Out;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

/// Print completions for a shell.
///
/// For example: ringway completions bash > /etc/bash_completion.d/ringway
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        // NB: the generator panics when it cannot write, so it does not write to a pipe.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "ringway", &mut script);
        Ok(out.write_all(&script)?)
    }
}

/// Print the manual page, with all verbs.
///
/// For example: ringway man > /usr/local/share/man/man1/ringway.1
#[derive(Debug, Args)]
pub struct Man {}

impl Man {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let mut command = Arguments::command();
        command.build();
        let page = clap_mangen::Man::new(command.clone());
        page.render_title(out)?;
        page.render_name_section(out)?;
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            writeln!(out, ".SH \"{}\"", verb.get_name().to_uppercase())?;
            let page = clap_mangen::Man::new(verb.clone());
            // Within a page that has one title, what would be sections of a page of its own is a part of one.
            let mut body = Vec::new();
            page.render_synopsis_section(&mut body)?;
            page.render_description_section(&mut body)?;
            page.render_options_section(&mut body)?;
            out.write_all(String::from_utf8_lossy(&body).replace(".SH ", ".SS ").as_bytes())?;
        }
        page.render_extra_section(out)?;
        Ok(())
    }
}
