//! Where strings, quoted identifiers and comments end (scan.l), and what a short constant says.
use super::token::{Kind, Token};

/// What follows a string's closing quote.
pub(super) enum Continued<'a> {
    /// The string is over.
    Ends,
    /// White space with a newline, then another quote: the string goes on behind it (`quotecontinue`).
    GoesOn(&'a [u8]),
}

/// Where the first byte stands that is one of two, eight bytes at a glance.
#[inline]
fn find(text: &[u8], one: u8, other: u8) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of every byte that is zero, and of none in front of the first such byte.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let (one_each, other_each) = (LOW.wrapping_mul(u64::from(one)), LOW.wrapping_mul(u64::from(other)));
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ one_each) | zeros(word ^ other_each);
        if found != 0 {
            let byte = usize::try_from(found.trailing_zeros() >> 3).unwrap_or(0);
            return Some(at.wrapping_add(byte));
        }
        at = at.wrapping_add(8);
    }
    rest.iter().position(|byte| *byte == one || *byte == other).map(|byte| at.wrapping_add(byte))
}

/// From behind an opening quote to behind the closing one, if there is one, and whether a backslash was met that escapes
/// nothing. In bit strings a doubled quote is no quote but an end and a beginning.
pub(super) fn past_string(inside: &[u8], kind: Kind) -> (Option<&[u8]>, bool) {
    let mut rest = inside;
    let mut backslash = false;
    while let Some(at) = find(rest, b'\'', b'\\') {
        match rest.get(at..).unwrap_or_default() {
            [b'\'', b'\'', tail @ ..] if kind != Kind::Bits => rest = tail,
            [b'\'', tail @ ..] => return (Some(tail), backslash),
            [_, _, tail @ ..] if kind == Kind::Escape => rest = tail,
            [_, tail @ ..] => {
                backslash = true;
                rest = tail;
            }
            [] => break,
        }
    }
    (None, backslash)
}

/// Whether a string goes on: blanks and line comments with a newline among them, then a quote; after the newline a
/// comment must itself end in a newline. Block comments break it.
pub(super) fn continued(behind: &[u8]) -> Continued<'_> {
    let mut rest = behind;
    let mut newline = false;
    loop {
        match rest {
            [b'\n' | b'\r', tail @ ..] => {
                newline = true;
                rest = tail;
            }
            [b' ' | b'\t' | 0x0b | 0x0c, tail @ ..] => rest = tail,
            [b'-', b'-', ..] => rest = past_line_comment(rest),
            [b'\'', tail @ ..] if newline => return Continued::GoesOn(tail),
            _ => return Continued::Ends,
        }
    }
}

/// From a line comment's first dash to the newline or carriage return that ends it.
pub(super) fn past_line_comment(comment: &[u8]) -> &[u8] {
    let end = find(comment, b'\n', b'\r').unwrap_or(comment.len());
    comment.get(end..).unwrap_or_default()
}

/// From inside a block comment to behind its end: they nest. None if it does not end.
pub(super) fn past_block_comment(inside: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    let mut rest = inside;
    loop {
        let at = find(rest, b'*', b'/')?;
        match rest.get(at..)? {
            [b'*', b'/', tail @ ..] => {
                rest = tail;
                match depth.checked_sub(1) {
                    Some(outer) => depth = outer,
                    None => return Some(rest),
                }
            }
            [b'/', b'*', tail @ ..] => {
                depth = depth.wrapping_add(1);
                rest = tail;
            }
            [_, tail @ ..] => rest = tail,
            [] => return None,
        }
    }
}

/// From behind a double quote to behind the one that ends the identifier.
#[inline]
pub(super) fn past_quoted(inside: &[u8]) -> Option<&[u8]> {
    let mut rest = inside;
    loop {
        let end = find(rest, b'"', b'"')?;
        rest = rest.get(end..)?;
        match rest {
            [b'"', b'"', tail @ ..] => rest = tail,
            [_, tail @ ..] => return Some(tail),
            [] => return None,
        }
    }
}

/// The opening `$tag$` of a dollar-quoted string: `dolqdelim`. A tag takes any byte beyond ASCII and no dollar.
fn dollar_tag(from: &[u8]) -> Option<&[u8]> {
    let behind = from.get(1..)?;
    let length = behind
        .iter()
        .position(|byte| !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | 0x80..))?;
    let begins_well = !matches!(behind.first(), Some(b'0'..=b'9'));
    (begins_well && behind.get(length) == Some(&b'$')).then(|| from.get(..length.wrapping_add(2))).flatten()
}

/// From a dollar to behind the dollar-quoted string that it opens, or why there is none.
pub(super) fn past_dollar(from: &[u8]) -> Result<&[u8], &'static str> {
    let tag = dollar_tag(from).ok_or("a stray dollar")?;
    let mut rest = from.get(tag.len()..).unwrap_or_default();
    // A tag holds no dollar but its first and last byte, so no comparison reads past the next dollar: linear.
    while let Some(at) = find(rest, b'$', b'$') {
        rest = rest.get(at..).unwrap_or_default();
        if let Some(behind) = rest.strip_prefix(tag) {
            return Ok(behind);
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    Err("a dollar-quoted string does not end")
}

/// The longest constant or name that is ever compared: as long as the server's longest name, NAMEDATALEN - 1.
pub(super) const SHORT: usize = 63;

/// A constant's or a name's bytes, kept only while it is short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    bytes: [u8; SHORT],
    length: usize,
}

impl Short {
    pub(super) const EMPTY: Self = Self { bytes: [0; SHORT], length: 0 };

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends a byte; None if it no longer is short.
    pub(super) fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length = self.length.wrapping_add(1);
        Some(())
    }
}

/// What a string constant says, if it is short and its every byte is certain.
pub(super) fn constant(token: Token, text: &[u8]) -> Option<Short> {
    let raw = token.of(text);
    let mut value = Short::EMPTY;
    if token.kind() == Kind::Dollar {
        let tag = dollar_tag(raw)?.len();
        let end = raw.len().checked_sub(tag)?;
        raw.get(tag..end)?.iter().try_for_each(|byte| value.push(*byte))?;
        return Some(value);
    }
    if !token.is_string() {
        return None;
    }
    let opening = raw.iter().position(|byte| *byte == b'\'')?;
    let mut rest = raw.get(opening.wrapping_add(1)..)?;
    loop {
        rest = match rest {
            [b'\'', b'\'', tail @ ..] => {
                value.push(b'\'')?;
                tail
            }
            [b'\'', tail @ ..] => match continued(tail) {
                Continued::Ends => return Some(value),
                Continued::GoesOn(next) => next,
            },
            [b'\\', tail @ ..] if token.kind() == Kind::Escape => backslash_escape(tail, &mut value)?,
            [byte, tail @ ..] if token.kind() == Kind::UnicodeText && *byte == token.escape() => {
                unicode_escape(tail, token.escape(), &mut value)?
            }
            [byte, tail @ ..] => {
                value.push(*byte)?;
                tail
            }
            [] => return None,
        };
    }
}

/// One escape of an E'…' string (`xeescape`, `xeoctesc`, `xehexesc`, `xeunicode`), from behind its backslash.
fn backslash_escape<'a>(from: &'a [u8], value: &mut Short) -> Option<&'a [u8]> {
    let (first, tail) = from.split_first()?;
    let digits = |from: &'a [u8], most: usize, radix: u32| -> Option<(u32, &'a [u8])> {
        let count = from.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
        let (digits, rest) = from.split_at_checked(count)?;
        Some((u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()?, rest))
    };
    let (code, rest) = match first {
        b'0'..=b'7' => digits(from, 3, 8)?,
        b'x' if tail.first().is_some_and(u8::is_ascii_hexdigit) => digits(tail, 2, 16)?,
        b'u' => digits(tail, 4, 16)?,
        b'U' => digits(tail, 8, 16)?,
        b'b' => (8, tail),
        b'f' => (12, tail),
        b'n' => (10, tail),
        b'r' => (13, tail),
        b't' => (9, tail),
        // A vertical tab since 17, before that the letter: not certain.
        b'v' => return None,
        other => (u32::from(*other), tail),
    };
    value.push(u8::try_from(code).ok().filter(u8::is_ascii)?)?;
    Some(rest)
}

/// One escape of a U& token (`str_udeescape` in parser.c), from behind its escape character.
pub(super) fn unicode_escape<'a>(from: &'a [u8], escape: u8, value: &mut Short) -> Option<&'a [u8]> {
    if let [byte, rest @ ..] = from
        && *byte == escape
    {
        value.push(escape)?;
        return Some(rest);
    }
    let (digits, rest) = match from {
        [b'+', long @ ..] => long.split_at_checked(6)?,
        short => short.split_at_checked(4)?,
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let code = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    value.push(u8::try_from(code).ok().filter(u8::is_ascii)?)?;
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_bytes_is_found_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                let mut text = vec![0x80; length];
                assert_eq!(find(&text, b'\'', b'\\'), None);
                text[at] = b'\\';
                assert_eq!(find(&text, b'\'', b'\\'), Some(at));
                text[length - 1] = b'\'';
                assert_eq!(find(&text, b'\'', b'\\'), Some(at));
                // The neighbours of a byte that is looked for must not be taken for it.
                text.iter_mut().skip(at).for_each(|byte| *byte = b'\'' + 1);
                assert_eq!(find(&text, b'\'', b'\\'), None);
                text[at] = b'\'';
                assert_eq!(find(&text, b'\'', b'\\'), Some(at));
            }
        }
    }
}
