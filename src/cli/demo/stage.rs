//! What the demo tells, and how: headings, lines, tables, and claims, each of which has been looked at or ends
//! the demo.

use super::error::DemoError;
use std::{
    env, fmt,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};
use tokio::time::sleep;

/// For reading an act, where somebody reads.
const READING: Duration = Duration::from_secs(2);

/// How a word is shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Bold,
    Good,
    Bad,
}

impl Tone {
    /// Source: ECMA-48, "Select Graphic Rendition".
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
        }
    }
}

/// Standard output, and how many claims have held so far.
#[derive(Debug)]
pub(super) struct Stage {
    out: io::Stdout,
    is_terminal: bool,
    is_coloured: bool,
    acts: usize,
    claims: usize,
}

impl Stage {
    /// Colour only where a person looks, and not where `NO_COLOR` asks for none.
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let is_coloured = is_terminal && env::var_os("NO_COLOR").is_none();
        Self { out, is_terminal, is_coloured, acts: 0, claims: 0 }
    }

    /// How many claims have held.
    pub(super) fn claims(&self) -> usize {
        self.claims
    }

    /// A text in a tone, if there are tones.
    pub(super) fn tint(&self, tone: Tone, text: &str) -> String {
        if self.is_coloured && tone != Tone::Plain {
            format!("{}{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// A line, not indented.
    pub(super) fn line(&self, text: &str) -> Result<(), DemoError> {
        let mut out = self.out.lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(DemoError::Stdout)
    }

    /// The next act begins, after a pause in which a person can read the one before.
    pub(super) async fn act(&mut self, title: &str) -> Result<(), DemoError> {
        if self.is_terminal && self.acts > 0 {
            sleep(READING).await;
        }
        self.acts = self.acts.saturating_add(1);
        let heading = self.tint(Tone::Bold, &format!("{}  {title}", self.acts));
        self.line(&format!("\n{heading}"))
    }

    /// A text, each of its lines indented.
    pub(super) fn tell(&self, text: &str) -> Result<(), DemoError> {
        text.lines().try_for_each(|line| self.line(format!("   {line}").trim_end()))
    }

    /// A command as it is typed, before what it says.
    pub(super) fn command(&self, typed: &str) -> Result<(), DemoError> {
        self.line("")?;
        format!("$ {typed}").lines().try_for_each(|line| self.tell(&self.tint(Tone::Bold, line)))
    }

    /// A claim: told if it is so.
    ///
    /// # Errors
    /// It is not so, which ends the demo.
    pub(super) fn claim(
        &mut self,
        claim: &str,
        is_so: bool,
        expected: impl fmt::Display,
        seen: impl fmt::Display,
    ) -> Result<(), DemoError> {
        if !is_so {
            let (expected, seen) = (expected.to_string(), seen.to_string());
            return Err(DemoError::NotSo { claim: claim.into(), expected, seen });
        }
        self.claims = self.claims.saturating_add(1);
        self.tell(&format!("{}  {claim}", self.tint(Tone::Good, "ok")))
    }

    /// A claim that two things are the same.
    ///
    /// # Errors
    /// They are not, which ends the demo.
    pub(super) fn claim_same<T: PartialEq + fmt::Debug>(
        &mut self,
        claim: &str,
        expected: &T,
        seen: &T,
    ) -> Result<(), DemoError> {
        self.claim(claim, expected == seen, format!("{expected:?}"), format!("{seen:?}"))
    }
}
