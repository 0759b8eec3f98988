//! `ringway top`: the rings of the machine, live.
//!
//! This file has the terminal and the keys; what is shown is in [`view`], how it is drawn in [`screen`].

mod screen;
mod view;

use crate::failure::{Code, Failure};
use crate::observe::{self, Watched};
use crate::out::{Out, colour_is_welcome};
use clap::{Args, ValueEnum};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::time::{Duration, Instant};
use view::View;

/// Watch rings live.
///
/// Fill, messages per second in and out, how long it takes to drain what is there (LAG), processes, deaths, and who is
/// stuck in the middle of something. Below, the processes of the ring that is chosen.
///
/// Keys: q quits; s sorts by the next column, r the other way round; / filters by name; arrows choose a ring.
#[derive(Debug, Args)]
pub struct Top {
    /// Rings to watch; all, also those to come, if none is given
    names: Vec<String>,
    /// Time between two looks, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..))]
    interval: u64,
    /// Column to sort by
    #[arg(long, value_enum, default_value_t = Order::Name)]
    sort: Order,
    /// Show only rings whose name contains this
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    filter: String,
}

/// By what rings are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    Name,
    Fill,
    In,
    Out,
    Lag,
    Deaths,
}

impl Order {
    fn next(self) -> Order {
        let all = Order::value_variants();
        let index = all.iter().position(|&order| order == self).unwrap_or(0);
        all[(index + 1) % all.len()]
    }
}

impl Top {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        if !out.is_terminal {
            let message = "`top` draws on a terminal, and standard output is none; see `ringway ls`";
            return Err(Failure::new(Code::Usage, message));
        }
        // What is not there is said before the screen is taken.
        let watched =
            |name: &String| Ok::<_, Failure>(Watched::for_long(observe::open(name)?, &observe::source(name)?));
        let named = self.names.iter().map(watched).collect::<Result<Vec<_>, _>>()?;
        let mut view = View::new(named, self.sort, self.filter);
        view.look()?;
        let interval = Duration::from_millis(self.interval);
        on_the_screen(|terminal| watch(terminal, &mut view, interval))
    }
}

/// Lends the whole screen, and gives it back as it was, also after a panic.
fn on_the_screen(show: impl FnOnce(&mut DefaultTerminal) -> Result<(), Failure>) -> Result<(), Failure> {
    // Its panic hook restores the terminal before anything is said.
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal);
    let restored = ratatui::try_restore();
    shown?;
    Ok(restored?)
}

fn watch(terminal: &mut DefaultTerminal, view: &mut View, interval: Duration) -> Result<(), Failure> {
    let colour = colour_is_welcome();
    let mut next_look = Instant::now() + interval;
    // NB: from the first call on, new sizes are noticed. What is drawn before that could be wiped and never drawn again.
    event::poll(Duration::ZERO)?;
    loop {
        terminal.draw(|frame| screen::draw(frame, view, colour))?;
        if event::poll(next_look.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release && obey(view, key) == Then::Quit => return Ok(()),
                // Also when it has its old size again: what was on it in between may be gone.
                Event::Resize(..) => terminal.clear()?,
                _ => {}
            }
        }
        if Instant::now() >= next_look {
            view.look()?;
            next_look = Instant::now() + interval;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Quit,
}

fn obey(view: &mut View, key: KeyEvent) -> Then {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Then::Quit;
    }
    if view.is_typing {
        match key.code {
            KeyCode::Enter => view.is_typing = false,
            KeyCode::Esc => {
                view.is_typing = false;
                view.filter.clear();
            }
            KeyCode::Backspace => {
                view.filter.pop();
            }
            KeyCode::Char(character) => view.filter.push(character),
            _ => {}
        }
        return Then::GoOn;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Then::Quit,
        KeyCode::Char('s') => view.order = view.order.next(),
        KeyCode::Char('r') => view.is_reversed = !view.is_reversed,
        KeyCode::Char('/') => view.is_typing = true,
        KeyCode::Down | KeyCode::Char('j') => view.choose(1),
        KeyCode::Up | KeyCode::Char('k') => view.choose(-1),
        _ => {}
    }
    Then::GoOn
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod keys {
    use super::*;

    #[test]
    fn keys_do_what_the_last_line_says() {
        let mut view = View::new(Vec::new(), Order::Name, String::new());
        let mut press = |code: KeyCode| obey(&mut view, KeyEvent::new(code, KeyModifiers::NONE));
        for key in ['s', 's', 'r', '/', 'q', 'x'] {
            assert_eq!(press(KeyCode::Char(key)), Then::GoOn, "{key}");
        }
        press(KeyCode::Backspace);
        press(KeyCode::Enter);
        assert_eq!(press(KeyCode::Char('q')), Then::Quit);
        assert_eq!((view.order, view.is_reversed, view.filter.as_str()), (Order::In, true, "q"));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(obey(&mut view, interrupt), Then::Quit);
    }

    #[test]
    fn sorting_comes_round() {
        let orders = std::iter::successors(Some(Order::Name), |order| Some(order.next()));
        assert_eq!(orders.skip(1).position(|order| order == Order::Name), Some(5));
    }
}
