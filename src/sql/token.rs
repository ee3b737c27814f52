//! What the lexer hands out: the kinds of token, and where one stands.
use super::words::Word;

/// What kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The text is over, or the rest of it cannot be read (`Lexer::fault`).
    End,
    /// An unquoted identifier or keyword.
    Word,
    /// A "delimited identifier".
    Quoted,
    /// A U&"delimited identifier".
    UnicodeName,
    /// A 'string' without escapes.
    Plain,
    /// A string with backslash escapes: E'…', or a plain one where backslashes escape.
    Escape,
    /// A U&'string'.
    UnicodeText,
    /// A $tag$string$tag$.
    Dollar,
    /// B'…' or X'…'.
    Bits,
    /// A number.
    Number,
    /// $1
    Parameter,
    /// (
    Open,
    /// )
    Close,
    /// [
    OpenBracket,
    /// ]
    CloseBracket,
    /// ,
    Comma,
    /// .
    Dot,
    /// ;
    Semicolon,
    /// =
    Equals,
    /// ::
    Cast,
    /// Any other operator or mark.
    Operator,
}

/// A token: what it is and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What kind of token.
    pub(super) kind: Kind,
    /// Which keyword, if it is an unquoted one.
    pub(super) word: Word,
    /// What introduces an escape in a U& token: UESCAPE may have said another character than the backslash.
    pub(super) escape: u8,
    /// Its first byte.
    pub(super) start: usize,
    /// Behind its last byte; UESCAPE and its character are not counted.
    pub(super) end: usize,
}

impl Token {
    /// What stands before the first token.
    pub(super) const NONE: Self = Self { kind: Kind::End, word: Word::NONE, escape: b'\\', start: 0, end: 0 };

    /// Whether it is this unquoted keyword.
    pub(super) fn is(self, word: Word) -> bool {
        self.word == word
    }

    /// Whether it may stand where the grammar wants a name.
    pub(super) fn is_name(self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted | Kind::UnicodeName)
    }

    /// Whether it is a string constant (`Sconst` in gram.y: bit strings are none).
    pub(super) fn is_string(self) -> bool {
        matches!(self.kind, Kind::Plain | Kind::Escape | Kind::UnicodeText | Kind::Dollar)
    }

    /// Its bytes in the text.
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}
