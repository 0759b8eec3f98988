//! Standard output: buffered, coloured only for a terminal, quiet when its reader has gone.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Where a verb prints to.
#[derive(Debug)]
pub struct Out {
    stdout: BufWriter<StdoutLock<'static>>,
    /// Somebody looks at it: bars and the like may be drawn.
    pub is_terminal: bool,
    /// Columns of the terminal.
    pub width: usize,
    colour: bool,
}

/// What a word is to be noticed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Heading,
    Good,
    Odd,
    Bad,
}

impl Out {
    pub fn new() -> Out {
        let is_terminal = io::stdout().is_terminal();
        let columns = if is_terminal { ratatui::crossterm::terminal::size().ok() } else { None };
        let width = columns.map(|(columns, _)| usize::from(columns)).filter(|&columns| columns > 0);
        let colour = is_terminal && colour_is_welcome();
        Out { stdout: BufWriter::new(io::stdout().lock()), is_terminal, width: width.unwrap_or(usize::MAX), colour }
    }

    /// `text` in its style, where there is colour.
    pub fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            _ if !self.colour => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Heading => "1",
            Style::Good => "32",
            Style::Odd => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    pub fn finish(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// See no-color.org: any value that is not empty says no.
pub fn colour_is_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

impl Out {
    /// Prints `value` as JSON that people can read too.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), crate::failure::Failure> {
        serde_json::to_writer_pretty(&mut self.stdout, value).map_err(io::Error::from)?;
        Ok(writeln!(self.stdout)?)
    }
}
