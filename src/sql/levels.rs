//! The stack of open parentheses.
use super::with::With;

/// The parentheses that a text may nest: where bison's stack ends (YYMAXDEPTH), the server's parser gives up with
/// "memory exhausted", so a deeper text does nothing.
pub(super) const MAX_NESTING: usize = 10_000;
/// Levels that are kept without allocating.
const INLINE: usize = 64;

/// What a level of parentheses holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing of it was read; a WITH clause may begin it.
    Fresh,
    /// Nothing of it was read; a statement may begin it: INSERT and its kin are no names here.
    Statement,
    /// A WITH clause is being read.
    With(With),
    /// Anything else that was begun.
    Inside,
    /// The arguments of SUBSTRING or OVERLAY, where FOR tells a length and locks nothing.
    Lengths,
    /// The arguments of `lo_open` before the comma: the mode was not seen.
    LargeObject,
    /// The arguments of XMLELEMENT or XMLPI, where NAME introduces a label.
    XmlName,
}

/// The levels around the innermost one.
#[derive(Debug)]
pub(super) struct Levels {
    inline: [Level; INLINE],
    spilled: Vec<Level>,
    depth: usize,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self { inline: [Level::Inside; INLINE], spilled: Vec::new(), depth: 0 }
    }

    /// Puts a level on the stack; None if it is full.
    pub(super) fn push(&mut self, level: Level) -> Option<()> {
        match self.inline.get_mut(self.depth) {
            Some(place) => *place = level,
            None if self.depth < MAX_NESTING => self.spilled.push(level),
            None => return None,
        }
        self.depth = self.depth.wrapping_add(1);
        Some(())
    }

    /// Takes the last level from the stack; None if it is empty.
    pub(super) fn pop(&mut self) -> Option<Level> {
        self.depth = self.depth.checked_sub(1)?;
        match self.inline.get(self.depth) {
            Some(level) => Some(*level),
            None => self.spilled.pop(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_in_reverse_order_up_to_the_limit() {
        let mut levels = Levels::new();
        let level = |at: usize| if at.is_multiple_of(3) { Level::Fresh } else { Level::Inside };
        for at in 0..MAX_NESTING {
            assert!(levels.push(level(at)).is_some());
        }
        assert_eq!(levels.push(Level::Inside), None);
        for at in (0..MAX_NESTING).rev() {
            assert_eq!(levels.pop(), Some(level(at)));
        }
        assert_eq!(levels.pop(), None);
    }
}
