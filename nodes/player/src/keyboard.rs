//! The keys of `ros2 bag play` on a terminal: space, cursor right, cursor up and down.

use std::io::{IsTerminal, Read};

use graph::Injector;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::node::Player;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Toggle,
    Next,
    Faster,
    Slower,
}

/// Keys of a terminal. Puts the terminal back as it was when it is let go.
pub struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// The keys of a player; `None` if there is no terminal.
    pub(crate) fn listen(player: Injector<Player>) -> Option<Self> {
        Self::with(move |key| {
            player.send(move |node, ctx| {
                match key {
                    Key::Toggle => node.set_paused(ctx, None),
                    Key::Next => drop(node.play_next(ctx)?),
                    Key::Faster => drop(node.scale_rate(ctx, 1.1)),
                    Key::Slower => drop(node.scale_rate(ctx, 0.9)),
                }
                Ok(())
            })
        })
    }

    /// Calls `each` for each key, on a thread of its own, until it returns false. Ctrl-C stays what it is.
    fn with(mut each: impl FnMut(Key) -> bool + Send + 'static) -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !has_the_terminal() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &keys).ok()?;
        // It waits for keys until the process ends.
        std::thread::spawn(move || {
            let mut decoder = Decoder::default();
            for byte in std::io::stdin().lock().bytes().map_while(Result::ok) {
                if let Some(key) = decoder.feed(byte)
                    && !each(key)
                {
                    return;
                }
            }
        });
        Some(Self { before })
    }
}

/// Calls `action` whenever the space bar is pressed on the terminal; `None` if there is none. The terminal is put back when what is
/// returned is let go.
pub fn on_space(action: impl Fn() + Send + 'static) -> Option<Keyboard> {
    Keyboard::with(move |key| {
        if key == Key::Toggle {
            action();
        }
        true
    })
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if has_the_terminal() {
            // If the terminal is gone there is nothing to put back.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

/// Whether this process is in the foreground: from the background, setting or reading the terminal would stop it (SIGTTOU, SIGTTIN).
fn has_the_terminal() -> bool {
    tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Recognises keys in what a terminal sends: cursor keys are three bytes.
#[derive(Default)]
struct Decoder {
    escape: u8,
}

impl Decoder {
    fn feed(&mut self, byte: u8) -> Option<Key> {
        match (self.escape, byte) {
            (_, 0x1B) => self.escape = 1,
            (1, b'[' | b'O') => self.escape = 2,
            (2, end) => {
                self.escape = 0;
                return match end {
                    b'A' => Some(Key::Faster),
                    b'B' => Some(Key::Slower),
                    b'C' => Some(Key::Next),
                    _ => None,
                };
            }
            (_, b' ') => {
                self.escape = 0;
                return Some(Key::Toggle);
            }
            _ => self.escape = 0,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised_among_others() {
        let mut decoder = Decoder::default();
        let keys: Vec<Key> = b"x \x1b[C\x1bOA\x1b[B\x1b[Dq\x1bz ".iter().filter_map(|b| decoder.feed(*b)).collect();
        assert_eq!(keys, [Key::Toggle, Key::Next, Key::Faster, Key::Slower, Key::Toggle]);
    }
}
