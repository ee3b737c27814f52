//! The tokens of a text with one token of look ahead: what the rules walk over.
use super::{
    lexer::{Backslash, Lexer},
    token::{Kind, Token},
    words::Word,
};

/// A walk over a text's tokens. A copy of it looks further ahead than one token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) text: &'a [u8],
    lexer: Lexer<'a>,
    ahead: Token,
    /// Where the last token that was taken ends.
    pub(super) behind: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a [u8], backslash: Backslash) -> Self {
        let mut lexer = Lexer::new(text, backslash);
        let ahead = lexer.next();
        Self { text, lexer, ahead, behind: 0 }
    }

    /// A walk that begins at a token of a text that was walked before.
    pub(super) fn at(text: &'a [u8], token: Token, backslash: Backslash) -> Self {
        Self::new(text.get(token.start()..).unwrap_or_default(), backslash)
    }

    /// The token that comes next.
    pub(super) fn peek(&self) -> Token {
        self.ahead
    }

    /// The token behind the one that comes next.
    pub(super) fn peek_second(&self) -> Token {
        let mut ahead = self.lexer;
        ahead.next()
    }

    /// Takes the next token of the statement: at its end there is none to take.
    pub(super) fn bump(&mut self) -> Token {
        if self.at_end() { self.ahead } else { self.advance() }
    }

    /// Takes the next token, be it a semicolon.
    pub(super) fn advance(&mut self) -> Token {
        let token = self.ahead;
        self.behind = token.end();
        self.ahead = self.lexer.next();
        token
    }

    /// Takes the next token, and all behind it up to a parenthesis, a semicolon or the end.
    pub(super) fn pass(&mut self) {
        self.behind = self.ahead.end();
        self.ahead = self.lexer.next_bracket(&mut self.behind);
    }

    /// Takes the next token if it is this unquoted keyword.
    pub(super) fn take(&mut self, word: Word) -> bool {
        let found = self.ahead.is(word);
        if found {
            self.bump();
        }
        found
    }

    /// Takes the next token if it is this unquoted word, in any case.
    pub(super) fn take_spelled(&mut self, word: &[u8]) -> bool {
        let found = self.ahead.kind() == Kind::Word && self.ahead.of(self.text).eq_ignore_ascii_case(word);
        if found {
            self.bump();
        }
        found
    }

    /// Takes the next token if it is of this kind.
    pub(super) fn take_kind(&mut self, kind: Kind) -> bool {
        let found = self.ahead.kind() == kind;
        if found {
            self.bump();
        }
        found
    }

    /// Takes the next token if it may be a name.
    pub(super) fn take_name(&mut self) -> Option<Token> {
        self.ahead.is_name().then(|| self.bump())
    }

    /// Goes behind the AS of CREATE … AS: the first outside parentheses that is no part of a name.
    pub(super) fn take_as(&mut self) -> bool {
        let mut depth = 0_usize;
        let mut last = Kind::End;
        while !self.at_end() {
            let token = self.bump();
            if token.kind() == Kind::Open {
                depth = depth.wrapping_add(1);
            } else if token.kind() == Kind::Close {
                depth = depth.saturating_sub(1);
            } else if depth == 0 && token.is(Word::AS) && last != Kind::Dot {
                return true;
            }
            last = token.kind();
        }
        false
    }

    /// Whether the statement is over.
    pub(super) fn at_end(&self) -> bool {
        matches!(self.ahead.kind(), Kind::Semicolon | Kind::End)
    }

    /// The server rejects the whole text for this reason.
    pub(super) fn fail(&mut self, why: &'static str) {
        self.lexer.fail(why);
        self.ahead = self.lexer.next();
    }

    /// Why the server rejects the whole text.
    pub(super) fn fault(&self) -> Option<&'static str> {
        self.lexer.fault
    }

    /// Whether a plain string held a backslash.
    pub(super) fn saw_backslash(&self) -> bool {
        self.lexer.saw_backslash
    }
}
