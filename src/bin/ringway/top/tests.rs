//! That the terminal is given back, also by a panic. This program runs itself in a terminal of its own.

use super::view::View;
use super::{Order, on_the_screen, screen};
use std::process::Command;
use terminal::Terminal;

#[path = "../../../../tests/support/terminal.rs"]
mod terminal;

const NAME: &str = "top::tests::a_panic_in_a_terminal";

#[test]
#[ignore = "run by the other test, in a terminal"]
fn a_panic_in_a_terminal() {
    let _ = on_the_screen(|terminal| {
        let view = View::new(Vec::new(), Order::Name, String::new());
        terminal.draw(|frame| screen::draw(frame, &view, true))?;
        // Until the other process has seen that.
        let _ = ratatui::crossterm::event::read();
        panic!("in the middle of it");
    });
}

#[test]
fn a_panic_gives_the_terminal_back_before_anything_is_said() {
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.args([NAME, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env("RUST_BACKTRACE", "0");
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.wait_for("the screen is taken", |screen| screen.contains("q quit"));
    assert!(terminal.is_taken());
    terminal.type_keys("x");
    terminal
        .wait_for("what has happened", |screen| screen.contains("in the middle of it") && !screen.contains("q quit"));
    terminal.wait_for_end();
    terminal.wait_for("the terminal is given back", |_| !terminal.is_taken());
}
