//! What a worker's sessions write, counted by writer and by rough shape, so that `frostgate writers` can tell who
//! writes long before the first freeze. In the steady state a write costs one look into a table of a fixed size,
//! and where its text has not come before as it is, a pass over the front of it: nothing is allocated, locked or timed.
//! Once in a while the worker takes the counts out.
//!
//! The rough shape only tells texts apart that need not be looked at again; the true shape (`sql::fingerprint`) is
//! told elsewhere, from the text that is kept of the first.

use crate::sql::Classification;
use std::{collections::HashMap, sync::Arc};

/// Rough shapes that one worker counts at a time.
pub const SHAPES_LIMIT: usize = 1024;
/// Of a text so much is looked at and kept, in bytes.
pub const WRITE_TEXT_KEPT: usize = 512;
/// Shapes that may be new between two times that the counts are taken; others are counted by their command alone.
pub const NEW_SHAPES_LIMIT: u32 = 128;
/// Writers whose commands are counted without a shape, times their commands.
pub const SHAPELESS_LIMIT: usize = 4096;
/// Places that a shape may stand in.
const PROBES: usize = 4;
/// A shape that was not seen for so many times that the counts were taken leaves its place.
const PATIENCE: u8 = 60;

/// Who writes, as a number: [`crate::session::Session::set_writer`].
pub type WriterId = u32;

/// A count that is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Who.
    pub writer: WriterId,
    /// The class's word.
    pub class: &'static str,
    /// The command word.
    pub command: &'static str,
    /// The front of the first such text; empty where only the command is known.
    pub text: Arc<[u8]>,
    /// How often since the last time.
    pub count: u32,
}

/// Where the shape of a text stands that has been seen as it is: most programs send the same texts again and again.
#[derive(Debug, Clone, Copy, Default)]
struct Memo {
    exact: u64,
    key: u64,
    at: usize,
}

#[derive(Debug)]
struct Slot {
    key: u64,
    written: Written,
    idle: u8,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Writes {
    slots: Box<[Option<Slot>]>,
    memos: Box<[Memo]>,
    shapeless: HashMap<(WriterId, &'static str, &'static str), u32>,
    new: u32,
    lost: u64,
    is_marked: bool,
}

impl Writes {
    /// A write passes: whose, and what. The table is made by the first.
    pub(super) fn note(&mut self, writer: WriterId, what: &Classification, text: &[u8]) {
        self.is_marked = true;
        let text = text.get(..WRITE_TEXT_KEPT).unwrap_or(text);
        if text.is_empty() {
            return self.note_shapeless(writer, what);
        }
        if self.slots.is_empty() {
            self.slots = std::iter::repeat_with(|| None).take(SHAPES_LIMIT).collect();
            self.memos = vec![Memo::default(); SHAPES_LIMIT].into_boxed_slice();
        }
        let exact = exact(text, writer);
        let memo_at = place(exact);
        if let Some(memo) = self.memos.get(memo_at).copied()
            && memo.exact == exact
            && let Some(Some(slot)) = self.slots.get_mut(memo.at)
            && slot.key == memo.key
        {
            slot.written.count = slot.written.count.saturating_add(1);
            return;
        }
        let key = rough(text, writer);
        match self.shape(key, writer, what, text) {
            Some(at) => {
                if let Some(memo) = self.memos.get_mut(memo_at) {
                    *memo = Memo { exact, key, at };
                }
            }
            None => self.note_shapeless(writer, what),
        }
    }

    /// Counts it under its rough shape, if there is room; tells where that stands.
    fn shape(&mut self, key: u64, writer: WriterId, what: &Classification, text: &[u8]) -> Option<usize> {
        let mut vacant = None;
        for at in (place(key)..SHAPES_LIMIT).take(PROBES) {
            match self.slots.get_mut(at) {
                Some(Some(slot)) if slot.key == key => {
                    slot.written.count = slot.written.count.saturating_add(1);
                    return Some(at);
                }
                Some(None) => vacant = vacant.or(Some(at)),
                Some(Some(_)) | None => {}
            }
        }
        let at = vacant.filter(|_| self.new < NEW_SHAPES_LIMIT)?;
        self.new = self.new.saturating_add(1);
        let (class, command) = (what.class.as_str(), what.command.as_str());
        let written = Written { writer, class, command, text: text.into(), count: 1 };
        *self.slots.get_mut(at)? = Some(Slot { key, written, idle: 0 });
        Some(at)
    }

    fn note_shapeless(&mut self, writer: WriterId, what: &Classification) {
        let key = (writer, what.class.as_str(), what.command.as_str());
        if self.shapeless.len() >= SHAPELESS_LIMIT && !self.shapeless.contains_key(&key) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let count = self.shapeless.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes the counts out; tells how many writes found no room at all.
    pub fn take(&mut self, mut each: impl FnMut(Written)) -> u64 {
        self.new = 0;
        for place in &mut self.slots {
            let Some(slot) = place else { continue };
            if slot.written.count > 0 {
                each(slot.written.clone());
                (slot.written.count, slot.idle) = (0, 0);
                continue;
            }
            slot.idle = slot.idle.saturating_add(1);
            if slot.idle >= PATIENCE {
                *place = None;
            }
        }
        for ((writer, class, command), count) in self.shapeless.drain() {
            each(Written { writer, class, command, text: Arc::default(), count });
        }
        self.is_marked = false;
        std::mem::take(&mut self.lost)
    }

    /// Whether anything has been counted since.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }
}

fn place(hash: u64) -> usize {
    usize::try_from(hash & 0xffff_ffff).unwrap_or(0) % SHAPES_LIMIT
}

/// A text as it is, as a number: eight bytes at a time.
fn exact(text: &[u8], writer: WriterId) -> u64 {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    let (words, rest) = text.as_chunks::<8>();
    let end = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let start = mix(u64::from(writer), length);
    let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = mix(mix(hash, end), 0);
    hash ^ (hash >> 32)
}

/// A text without its numbers, quoted texts and comments, as a number. What it mistakes (a backslash before a quote)
/// only makes a shape of its own.
fn rough(text: &[u8], writer: WriterId) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = (0xcbf2_9ce4_8422_2325 ^ u64::from(writer)).wrapping_mul(PRIME);
    let (mut is_quoted, mut is_comment, mut before) = (false, false, b' ');
    for byte in text.iter().copied() {
        let last = std::mem::replace(&mut before, byte);
        if is_comment {
            is_comment = (last, byte) != (b'*', b'/');
            continue;
        }
        if byte == b'\'' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            continue;
        }
        if (last, byte) == (b'/', b'*') {
            is_comment = true;
            continue;
        }
        if byte.is_ascii_digit() && !(last.is_ascii_alphanumeric() || last == b'_') {
            // The digits that follow are a part of the number too.
            before = b' ';
            continue;
        }
        hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{ClientEncoding, classify};

    fn note(writes: &mut Writes, who: WriterId, text: &str) {
        let what = classify(text.as_bytes(), ClientEncoding::Safe);
        writes.note(who, &what, text.as_bytes());
    }

    fn taken(writes: &mut Writes) -> Vec<Written> {
        let mut all = Vec::new();
        writes.take(|written| all.push(written));
        all.sort_by_key(|written| (written.writer, std::cmp::Reverse(written.count)));
        all
    }

    #[test]
    fn writes_that_differ_in_values_and_comments_are_counted_as_one() {
        let mut writes = Writes::default();
        for n in 0..500 {
            note(&mut writes, 1, &format!("INSERT INTO t1 VALUES ({n}, 'x{n}') /* trace={n} */"));
        }
        note(&mut writes, 1, "INSERT INTO t2 VALUES (1, 'x')");
        note(&mut writes, 2, "INSERT INTO t1 VALUES (1, 'x') /* trace=1 */");
        let all = taken(&mut writes);
        let counts: Vec<(u32, u32)> = all.iter().map(|w| (w.writer, w.count)).collect();
        assert_eq!(counts, [(1, 500), (1, 1), (2, 1)]);
        assert!(all[0].text.starts_with(b"INSERT INTO t1 VALUES (0,"), "the first one's text");
        assert!(taken(&mut writes).is_empty(), "what has been taken is not told again");
    }

    #[test]
    fn what_has_no_room_is_counted_by_its_command() {
        let mut writes = Writes::default();
        for n in 0..NEW_SHAPES_LIMIT + 20 {
            note(&mut writes, 1, &format!("DELETE FROM t{n}"));
        }
        let all = taken(&mut writes);
        assert_eq!(all.iter().map(|w| w.count).sum::<u32>(), NEW_SHAPES_LIMIT + 20);
        let shapeless = all.iter().find(|w| w.text.is_empty()).unwrap();
        assert!(shapeless.count >= 20 && shapeless.command == "DELETE", "{shapeless:?}");
    }

    #[test]
    fn the_tables_are_bounded_and_what_is_lost_is_told() {
        let mut writes = Writes::default();
        for who in 0..u32::try_from(SHAPELESS_LIMIT).unwrap() + 7 {
            let what = classify(b"DELETE FROM t", ClientEncoding::Safe);
            writes.note(who, &what, b"");
        }
        assert_eq!(writes.take(|_| {}), 7);
        for round in 0..100 {
            for n in 0..NEW_SHAPES_LIMIT {
                note(&mut writes, 1, &format!("DELETE FROM t{round}_{n}"));
            }
            taken(&mut writes);
        }
        assert!(writes.slots.len() <= SHAPES_LIMIT);
        for _ in 0..PATIENCE {
            taken(&mut writes);
        }
        assert!(writes.slots.iter().all(Option::is_none), "what is not seen any more leaves its place");
    }
}
