//! Names as the server folds them: unquoted ones in lower case, `""` undoubled, U& escapes decoded (scan.l,
//! `downcase_identifier` in scansup.c, `str_udeescape` in parser.c).
use super::{
    strings::{Short, constant, unicode_escape},
    token::{Kind, Token},
};

/// The name of a prepared statement or a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlName {
    /// Exactly these bytes, all of them ASCII.
    Known(Vec<u8>),
    /// It has bytes beyond ASCII, whose folding depends on the database's encoding and locale, or it is longer than
    /// 63 bytes, where the server cuts it: it may be any name.
    Uncertain,
}

impl SqlName {
    /// The name that a token spells.
    pub(super) fn of(token: Token, text: &[u8]) -> Self {
        match folded(token, text) {
            Some(name) if name.exact => Self::Known(name.as_bytes().to_vec()),
            _ => Self::Uncertain,
        }
    }
}

/// A short name, folded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folded {
    name: Short,
    /// Every byte is certain.
    pub(super) exact: bool,
    /// It was unquoted.
    pub(super) unquoted: bool,
}

impl Folded {
    /// The name. If it is not exact, a run of bytes beyond ASCII stands here as the one `i` that it may become: in a
    /// Turkish single-byte database the server's `tolower` makes an ASCII i of a dotted capital I, and no other byte
    /// beyond ASCII becomes ASCII in any locale. So a name that is compared with a dangerous one still meets it.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

/// The name that a token spells; None if it is longer than any name that is asked for.
pub(super) fn folded(token: Token, text: &[u8]) -> Option<Folded> {
    let raw = token.of(text);
    let mut name = Short::EMPTY;
    if token.kind() == Kind::Word {
        return unquoted(raw);
    }
    let exact = if token.kind() == Kind::UnicodeName {
        quoted(raw.get(3..)?, Some(token.escape()), &mut name)?
    } else if token.kind() == Kind::Quoted {
        quoted(raw.get(1..)?, None, &mut name)?
    } else {
        return None;
    };
    Some(Folded { name, exact, unquoted: false })
}

/// The name that an unquoted word spells.
pub(super) fn unquoted(word: &[u8]) -> Option<Folded> {
    let mut name = Short::EMPTY;
    let mut exact = true;
    for byte in word {
        if byte.is_ascii() {
            name.push(byte.to_ascii_lowercase())?;
        } else if name.as_bytes().last() != Some(&b'i') || exact {
            name.push(b'i')?;
        }
        exact &= byte.is_ascii();
    }
    Some(Folded { name, exact, unquoted: true })
}

/// What a value says that may be a word, a number or a string, if it is short and certain.
pub(super) fn said(value: Token, text: &[u8]) -> Option<Short> {
    if value.kind() == Kind::Number {
        let mut number = Short::EMPTY;
        value.of(text).iter().try_for_each(|byte| number.push(*byte))?;
        return Some(number);
    }
    if value.is_name() {
        return folded(value, text).filter(|name| name.exact).map(|name| name.name);
    }
    constant(value, text)
}

/// A quoted name from behind its quote; whether its every byte is certain. Quoted names are not folded: one with a
/// character beyond ASCII equals no ASCII name.
fn quoted(from: &[u8], escape: Option<u8>, name: &mut Short) -> Option<bool> {
    let mut exact = true;
    let mut rest = from;
    loop {
        rest = match rest {
            [b'"', b'"', tail @ ..] => {
                name.push(b'"')?;
                tail
            }
            [b'"', ..] | [] => return Some(exact),
            [byte, tail @ ..] if Some(*byte) == escape => unicode_escape(tail, *byte, name)?,
            [byte, tail @ ..] => {
                exact &= byte.is_ascii();
                name.push(*byte)?;
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::{Backslash, Lexer};

    fn name(text: &[u8]) -> SqlName {
        SqlName::of(Lexer::new(text, Backslash::Ordinary).next(), text)
    }

    #[test]
    fn a_name_is_folded_as_the_server_folds_it() {
        let known = |name: &[u8]| SqlName::Known(name.to_vec());
        assert_eq!(name(b"Plan$1"), known(b"plan$1"));
        assert_eq!(name(b"\"Plan\"\"s\""), known(b"Plan\"s"));
        assert_eq!(name(b"U&\"pl\\0061n\""), known(b"plan"));
        assert_eq!(name(b"u&\"pl!+000061n!!\" /* c */ uescape '!'"), known(b"plan!"));
        assert_eq!(name(b"U&\"pl!0061n\"\"\" UESCAPE E'\\x21'"), known(b"plan\""));
        assert_eq!(name(&[b'A'; 63]), known(&[b'a'; 63]));
    }

    #[test]
    fn a_name_that_the_server_cuts_or_a_locale_folds_is_uncertain() {
        for text in [&[b'a'; 64][..], "plän".as_bytes(), b"\"pl\xe4n\"", b"U&\"pl\\00e4n\"", b"U&\"pl\\zz\""]
        {
            assert_eq!(name(text), SqlName::Uncertain);
        }
    }

    #[test]
    fn a_dotted_capital_i_may_become_an_ascii_i() {
        for text in [&b"pg_not\xddfy"[..], "PG_NOT\u{130}FY".as_bytes()] {
            let folded = folded(Lexer::new(text, Backslash::Ordinary).next(), text).unwrap();
            assert!(!folded.exact);
            assert_eq!(folded.as_bytes(), b"pg_notify");
        }
    }
}
