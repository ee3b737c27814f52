//! What a byte may be part of (scan.l), and where a run of such bytes ends.

/// What a byte may be: a set of bits, so that one look tells whether an identifier goes on.
#[derive(Clone, Copy)]
pub(super) struct Class(u8);

impl Class {
    /// Begins an identifier: a letter, an underscore, or any byte beyond ASCII (a no-break space too).
    pub(super) const LETTER: u8 = 1;
    pub(super) const DIGIT: u8 = 1 << 1;
    const DOLLAR: u8 = 1 << 2;
    pub(super) const BLANK: u8 = 1 << 3;
    /// May be part of an operator (`op_chars`).
    pub(super) const MARK: u8 = 1 << 4;
    /// A token of its own, whatever follows.
    pub(super) const SINGLE: u8 = 1 << 5;
    /// Part of a name or a number, a blank or a comma: nothing between two others of them begins a string or a comment.
    pub(super) const PLAIN: u8 = 1 << 6;
    pub(super) const IN_IDENTIFIER: u8 = Self::LETTER | Self::DIGIT | Self::DOLLAR;

    #[inline]
    pub(super) fn of(byte: u8) -> Self {
        CLASSES.get(usize::from(byte)).copied().unwrap_or(Self(0))
    }

    #[inline]
    pub(super) const fn is(self, any: u8) -> bool {
        self.0 & any != 0
    }
}

static CLASSES: [Class; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at compile time a fault fails the build"
)]
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the byte stays below 256")]
const fn classes() -> [Class; 256] {
    let mut classes = [Class(0); 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = Class(match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => Class::LETTER | Class::PLAIN,
            b'0'..=b'9' => Class::DIGIT | Class::PLAIN,
            b'$' => Class::DOLLAR,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::BLANK | Class::PLAIN,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/'
            | b'%' | b'<' | b'>' | b'=' => Class::MARK,
            b'(' | b')' | b'[' | b']' | b';' => Class::SINGLE,
            b',' => Class::SINGLE | Class::PLAIN,
            _ => 0,
        });
        byte += 1;
    }
    classes
}

/// What stands behind the letters, digits, underscores, dollars and bytes beyond ASCII that stand here. Eight bytes are
/// looked at as one word, as long as there are so many: a bit of each byte tells whether it is a letter, or beyond ASCII.
#[inline]
pub(super) fn past_identifier(from: &[u8]) -> &[u8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH << 7;
    // Added to a byte below 128 it sets the high bit of those from that character on.
    let from_on = |byte: u8| EACH.wrapping_mul(128_u64.saturating_sub(byte.into()));
    let mut rest = from;
    loop {
        while let Some((word, tail)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let folded = word & !HIGH | EACH.wrapping_mul(0x20);
            let past_z = folded.wrapping_add(from_on(b'z'.wrapping_add(1)));
            let letters = folded.wrapping_add(from_on(b'a')) & !past_z | word;
            let others = !letters & HIGH;
            if others != 0 {
                let kept = usize::try_from(others.trailing_zeros() / 8).unwrap_or(0);
                rest = rest.get(kept..).unwrap_or_default();
                break;
            }
            rest = tail;
        }
        match rest {
            [byte, tail @ ..] if Class::of(*byte).is(Class::IN_IDENTIFIER) => rest = tail,
            _ => return rest,
        }
    }
}

#[inline]
pub(super) fn past_digits(digits: &[u8]) -> &[u8] {
    let mut rest = digits;
    while let [b'0'..=b'9', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_of_an_identifier_ends_it_or_does_not() {
        let all = |byte, before: &[u8], behind: &[u8]| {
            let text = [before, &[byte], behind].concat();
            let ends = |byte: &u8| !Class::of(*byte).is(Class::IN_IDENTIFIER);
            let length = text.iter().position(ends).unwrap_or(text.len());
            assert_eq!(past_identifier(&text), &text[length..], "{text:?}");
        };
        for (byte, at) in (0..=255).flat_map(|byte| (0..20).map(move |at| (byte, at))) {
            all(byte, &b"a_Z$9\xc3\xa9zA0"[..at % 10], &b"bC7_\xff$xY5q"[..at / 2]);
            all(byte, &b"azAZmnopqRSTUvwxyzab"[..at], &b"ZAzabcdefghiJKLmnoPQ"[at / 2..]);
        }
    }
}
