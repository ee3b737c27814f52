//! PostgreSQL's lexical rules (scan.l of 13 to 18), on raw bytes in which no byte of a multi-byte character is ASCII.
//!
//! Where versions differ, the reading is the one under which more is a statement: 13 and 14 read `1INTO` as two
//! tokens, 16 and later read a vertical tab as a blank; the others reject such a text. What the server's lexer rejects
//! ends the tokens and leaves a fault: the server splits the whole text before it runs any of it, so a text with a
//! fault does nothing. What tokens *mean* is not known here.
use super::{
    byte_class::{Class, past_digits, past_identifier},
    strings::{
        Continued, Short, constant, continued, past_block_comment, past_dollar, past_line_comment,
        past_quoted, past_string,
    },
    token::{Kind, Token},
    words::Word,
};

/// How the server reads a backslash in a plain string: the setting `standard_conforming_strings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backslash {
    /// On: a backslash is a character like any other.
    Ordinary,
    /// Off: a backslash escapes what follows it.
    Escapes,
}

/// The tokens of a text, one after another. A copy of it looks ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    rest: &'a [u8],
    backslash: Backslash,
    /// A plain string held a backslash: the other reading of backslashes may split the text otherwise.
    pub(super) saw_backslash: bool,
    /// Why the rest cannot be read.
    pub(super) fault: Option<&'static str>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8], backslash: Backslash) -> Self {
        Self { text, rest: text, backslash, saw_backslash: false, fault: None }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Token {
        self.next_by(Word::of)
    }

    /// The next parenthesis or semicolon, or the end, for a rule to which nothing else matters. `behind` comes to be
    /// where the token in front of it ends.
    pub(super) fn next_bracket(&mut self, behind: &mut usize) -> Token {
        loop {
            self.pass_plain(behind);
            let token = self.next_by(|_| Word::NONE);
            if matches!(token.kind(), Kind::Open | Kind::Close | Kind::Semicolon | Kind::End) {
                return token;
            }
            *behind = token.end();
        }
    }

    /// Goes behind the names, numbers, commas and blanks that stand here, without telling them apart: but for the
    /// last of them where a token may go on with what follows, as in `e'…'`, `a$b` and `1e-5`.
    #[inline]
    fn pass_plain(&mut self, behind: &mut usize) {
        let from = self.rest;
        let run = from.iter().position(|byte| !Class::of(*byte).is(Class::PLAIN)).unwrap_or(from.len());
        let (plain, rest) = from.split_at_checked(run).unwrap_or((from, &[]));
        let (passed, kept) = match rest {
            [byte, ..] if !Class::of(*byte).is(Class::SINGLE) => {
                let is_part = |byte: &u8| Class::of(*byte).is(Class::IN_IDENTIFIER);
                let passed = plain.iter().rposition(|byte| !is_part(byte)).map_or(0, |at| at.wrapping_add(1));
                from.split_at_checked(passed).unwrap_or((&[], from))
            }
            _ => (plain, rest),
        };
        if let Some(last) = passed.iter().rposition(|byte| !Class::of(*byte).is(Class::BLANK)) {
            *behind = self.position(from).wrapping_add(last).wrapping_add(1);
        }
        self.rest = kept;
    }

    #[inline]
    fn next_by(&mut self, keyword: impl Fn(&[u8]) -> Word) -> Token {
        let mut from = self.rest;
        loop {
            let [first, tail @ ..] = from else {
                self.rest = from;
                return self.end();
            };
            let class = Class::of(*first);
            if class.is(Class::BLANK) {
                from = tail;
            } else if class.is(Class::LETTER) {
                return self.word(from, keyword);
            } else if class.is(Class::MARK) {
                match self.past_comment(from) {
                    Some(rest) => from = rest,
                    None => return self.operator(from),
                }
            } else if class.is(Class::SINGLE) {
                let kind = match first {
                    b'(' => Kind::Open,
                    b')' => Kind::Close,
                    b',' => Kind::Comma,
                    b'[' => Kind::OpenBracket,
                    b']' => Kind::CloseBracket,
                    _ => Kind::Semicolon,
                };
                return self.token(kind, from, tail);
            } else if class.is(Class::DIGIT) {
                return self.number(from);
            } else {
                return self.other(from);
            }
        }
    }

    /// Ends the tokens: the server rejects the text for this reason.
    pub(super) fn fail(&mut self, why: &'static str) {
        self.fault.get_or_insert(why);
        self.rest = &[];
    }

    fn reject(&mut self, why: &'static str) -> Token {
        self.fail(why);
        self.end()
    }

    fn end(&self) -> Token {
        Token::new(Kind::End, Word::NONE, self.text.len(), self.text.len())
    }

    #[inline]
    fn token(&mut self, kind: Kind, from: &[u8], rest: &'a [u8]) -> Token {
        self.rest = rest;
        Token::new(kind, Word::NONE, self.position(from), self.position(rest))
    }

    #[inline]
    fn position(&self, rest: &[u8]) -> usize {
        self.text.len().wrapping_sub(rest.len())
    }

    /// What stands behind a comment, if one stands here: nothing, if it does not end.
    fn past_comment(&mut self, from: &'a [u8]) -> Option<&'a [u8]> {
        match from {
            [b'-', b'-', ..] => Some(past_line_comment(from)),
            [b'/', b'*', inside @ ..] => Some(past_block_comment(inside).unwrap_or_else(|| {
                self.fail("a comment does not end");
                &[]
            })),
            _ => None,
        }
    }

    /// Skips white space and comments.
    fn skip_blanks(&mut self) {
        while let [byte, tail @ ..] = self.rest {
            if Class::of(*byte).is(Class::BLANK) {
                self.rest = tail;
            } else if let Some(rest) = self.past_comment(self.rest) {
                self.rest = rest;
            } else {
                return;
            }
        }
    }

    /// An identifier or keyword, or what its first letter introduces.
    #[inline]
    fn word(&mut self, from: &'a [u8], keyword: impl Fn(&[u8]) -> Word) -> Token {
        if let [_, b'\'' | b'&', ..] = from
            && let Some(token) = self.introduced(from)
        {
            return token;
        }
        let rest = past_identifier(from);
        self.rest = rest;
        Token::new(Kind::Word, keyword(before(from, rest)), self.position(from), self.position(rest))
    }

    /// A string or a name with a letter in front of its quote. N'…' is none: it is a word and a string.
    #[inline(never)]
    fn introduced(&mut self, from: &'a [u8]) -> Option<Token> {
        match from {
            [b'e' | b'E', b'\'', inside @ ..] => Some(self.string(Kind::Escape, from, inside)),
            [b'b' | b'B' | b'x' | b'X', b'\'', inside @ ..] => Some(self.string(Kind::Bits, from, inside)),
            [b'u' | b'U', b'&', b'\'', inside @ ..] => Some(self.unicode_text(from, inside)),
            [b'u' | b'U', b'&', b'"', inside @ ..] => {
                let name = self.quoted(Kind::UnicodeName, from, inside);
                Some(self.with_uescape(name))
            }
            _ => None,
        }
    }

    fn other(&mut self, from: &'a [u8]) -> Token {
        match from {
            [b'.', b'0'..=b'9', ..] => self.number(from),
            [b'.', rest @ ..] => self.token(Kind::Dot, from, rest),
            [b'"', inside @ ..] => self.quoted(Kind::Quoted, from, inside),
            [b'\'', inside @ ..] => match self.backslash {
                Backslash::Ordinary => self.string(Kind::Plain, from, inside),
                Backslash::Escapes => self.string(Kind::Escape, from, inside),
            },
            [b':', b':', rest @ ..] => self.token(Kind::Cast, from, rest),
            [b':', rest @ ..] => self.token(Kind::Operator, from, rest),
            [b'$', b'0'..=b'9', rest @ ..] => self.token(Kind::Parameter, from, past_digits(rest)),
            [b'$', ..] => match past_dollar(from) {
                Ok(rest) => self.token(Kind::Dollar, from, rest),
                Err(why) => self.reject(why),
            },
            // No rule of gram.y takes any other character.
            _ => self.reject("a character that is no part of SQL"),
        }
    }

    /// `operator` in scan.l: it stops where a comment begins, and it ends in + or - only if it holds a mark that no
    /// operator of the SQL standard has.
    fn operator(&mut self, from: &'a [u8]) -> Token {
        let mut rest = from;
        let mut beyond_standard = false;
        while let [byte, tail @ ..] = rest
            && Class::of(*byte).is(Class::MARK)
            && !matches!(rest, [b'-', b'-', ..] | [b'/', b'*', ..])
        {
            beyond_standard |= !matches!(byte, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=');
            rest = tail;
        }
        let run = before(from, rest);
        let last =
            run.iter().rposition(|byte| !matches!(byte, b'+' | b'-')).map_or(1, |at| at.wrapping_add(1));
        let kept = if beyond_standard { run.len() } else { last };
        let kind = if run.first() == Some(&b'=') && kept == 1 { Kind::Equals } else { Kind::Operator };
        self.token(kind, from, from.get(kept..).unwrap_or_default())
    }

    /// `integer`, `decimal` and `real` as in 13. The forms of 16 (`0x1F`, `1_000`) come out as a number and a word,
    /// which makes no difference to any rule.
    #[inline]
    fn number(&mut self, from: &'a [u8]) -> Token {
        let mut rest = past_digits(from);
        // `1..2` is an integer and two dots.
        if let [b'.', fraction @ ..] = rest
            && fraction.first() != Some(&b'.')
        {
            rest = past_digits(fraction);
        }
        if let [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] = rest
            && power.first().is_some_and(u8::is_ascii_digit)
        {
            rest = past_digits(power);
        }
        self.token(Kind::Number, from, rest)
    }

    #[inline]
    fn quoted(&mut self, kind: Kind, from: &'a [u8], inside: &'a [u8]) -> Token {
        match past_quoted(inside) {
            Some(rest) => self.token(kind, from, rest),
            None => self.reject("a quoted identifier does not end"),
        }
    }

    /// A string and its continuations, from behind its first quote.
    fn string(&mut self, kind: Kind, from: &'a [u8], inside: &'a [u8]) -> Token {
        let mut part = inside;
        loop {
            let (rest, backslash) = past_string(part, kind);
            // Also where the string does not end: the other reading may see its end.
            self.saw_backslash |= backslash && kind == Kind::Plain;
            let Some(rest) = rest else { return self.reject("a string does not end") };
            match continued(rest) {
                Continued::Ends => return self.token(kind, from, rest),
                Continued::GoesOn(next) => part = next,
            }
        }
    }

    fn unicode_text(&mut self, from: &'a [u8], inside: &'a [u8]) -> Token {
        if self.backslash == Backslash::Escapes {
            // "unsafe use of string constant with Unicode escapes" (scan.l, `xusstart`).
            return self.reject("a U& string where backslashes escape");
        }
        let text = self.string(Kind::UnicodeText, from, inside);
        self.with_uescape(text)
    }

    /// UESCAPE and its character belong to the token in front of them (`base_yylex` in parser.c). The look ahead never
    /// meets another U& token, so it neither recurses nor reads anything twice but blanks.
    fn with_uescape(&mut self, token: Token) -> Token {
        let mut ahead = *self;
        ahead.skip_blanks();
        if token.kind() == Kind::End
            || !matches!(ahead.rest.first(), Some(b'u' | b'U'))
            || ahead.rest.get(1) == Some(&b'&')
        {
            return token;
        }
        if !ahead.next().is(Word::UESCAPE) {
            return token;
        }
        ahead.skip_blanks();
        let escape = match ahead.rest {
            [b'\'' | b'$', ..] | [b'e' | b'E', b'\'', ..] => constant(ahead.next(), self.text),
            _ => None,
        };
        *self = ahead;
        match escape.as_ref().map(Short::as_bytes) {
            Some([byte]) if !byte.is_ascii_hexdigit() && !b"+'\" \t\n\r\x0b\x0c".contains(byte) => {
                token.escaped_by(*byte)
            }
            _ => self.reject("UESCAPE without its one character"),
        }
    }
}

/// What of `from` lies before `rest`, which ends it.
#[inline]
fn before<'a>(from: &'a [u8], rest: &[u8]) -> &'a [u8] {
    from.get(..from.len().wrapping_sub(rest.len())).unwrap_or(from)
}

#[cfg(test)]
#[path = "lexer/tests.rs"]
mod tests;
