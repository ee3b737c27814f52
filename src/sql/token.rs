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

impl Kind {
    /// The kind of that number.
    #[inline]
    const fn numbered(number: u8) -> Self {
        match number {
            1 => Self::Word,
            2 => Self::Quoted,
            3 => Self::UnicodeName,
            4 => Self::Plain,
            5 => Self::Escape,
            6 => Self::UnicodeText,
            7 => Self::Dollar,
            8 => Self::Bits,
            9 => Self::Number,
            10 => Self::Parameter,
            11 => Self::Open,
            12 => Self::Close,
            13 => Self::OpenBracket,
            14 => Self::CloseBracket,
            15 => Self::Comma,
            16 => Self::Dot,
            17 => Self::Semicolon,
            18 => Self::Equals,
            19 => Self::Cast,
            20 => Self::Operator,
            _ => Self::End,
        }
    }
}

/// The longest text that is split into tokens: positions are kept in 32 bits.
pub(super) const LONGEST_TEXT: usize = 0xFFFF_FFFF;

/// A token: what it is and where it stands. Packed into two numbers, which a processor hands on in two registers: in
/// memory the parts of one token are written and read in other widths, which stalls it at every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The first byte, and the one behind the last, 32 bits each. UESCAPE and its character are not counted.
    place: u64,
    /// The kind, the keyword and the escape character, eight bits each.
    what: u32,
}

impl Token {
    /// What stands before the first token.
    pub(super) const NONE: Self = Self { place: 0, what: 0x5c_00_00 };

    /// A token between two positions of a text no longer than [`LONGEST_TEXT`].
    #[inline]
    pub(super) fn new(kind: Kind, word: Word, start: usize, end: usize) -> Self {
        let position = |at: usize| u64::try_from(at).unwrap_or(u64::MAX) & 0xFFFF_FFFF;
        #[expect(clippy::as_conversions, reason = "the number of a fieldless enum")]
        let what = u32::from_le_bytes([kind as u8, word.number(), b'\\', 0]);
        Self { place: position(start) | position(end) << 32, what }
    }

    /// The same token with another escape character.
    pub(super) fn escaped_by(self, escape: u8) -> Self {
        let [kind, word, _, _] = self.what.to_le_bytes();
        Self { what: u32::from_le_bytes([kind, word, escape, 0]), ..self }
    }

    /// What kind of token.
    #[inline]
    pub(super) fn kind(self) -> Kind {
        let [kind, _, _, _] = self.what.to_le_bytes();
        Kind::numbered(kind)
    }

    /// Which keyword, if it is an unquoted one.
    #[inline]
    pub(super) fn word(self) -> Word {
        let [_, word, _, _] = self.what.to_le_bytes();
        Word::numbered(word)
    }

    /// What introduces an escape in a U& token: UESCAPE may have said another character than the backslash.
    pub(super) fn escape(self) -> u8 {
        let [_, _, escape, _] = self.what.to_le_bytes();
        escape
    }

    /// Its first byte.
    #[inline]
    pub(super) fn start(self) -> usize {
        usize::try_from(self.place & 0xFFFF_FFFF).unwrap_or(usize::MAX)
    }

    /// Behind its last byte.
    #[inline]
    pub(super) fn end(self) -> usize {
        usize::try_from(self.place >> 32).unwrap_or(usize::MAX)
    }

    /// Whether it is this unquoted keyword.
    #[inline]
    pub(super) fn is(self, word: Word) -> bool {
        self.word() == word
    }

    /// Whether it may stand where the grammar wants a name.
    pub(super) fn is_name(self) -> bool {
        matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::UnicodeName)
    }

    /// Whether it is a string constant (`Sconst` in gram.y: bit strings are none).
    pub(super) fn is_string(self) -> bool {
        matches!(self.kind(), Kind::Plain | Kind::Escape | Kind::UnicodeText | Kind::Dollar)
    }

    /// Whether it may begin a query.
    pub(super) fn begins_query(self) -> bool {
        self.kind() == Kind::Open
            || matches!(self.word(), Word::SELECT | Word::VALUES | Word::TABLE | Word::WITH)
    }

    /// Whether it may begin what can be prepared, explained or copied (`PreparableStmt` in gram.y).
    pub(super) fn begins_preparable(self) -> bool {
        self.begins_query() || matches!(self.word(), Word::INSERT | Word::UPDATE | Word::DELETE | Word::MERGE)
    }

    /// Its bytes in the text.
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start()..self.end()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for kind in (0..=20).map(Kind::numbered) {
            let token = Token::new(kind, Word::SELECT, 7, LONGEST_TEXT).escaped_by(b'!');
            assert_eq!((token.kind(), token.word(), token.escape()), (kind, Word::SELECT, b'!'));
            assert_eq!((token.start(), token.end()), (7, LONGEST_TEXT));
        }
        assert_eq!(
            (Token::NONE.kind(), Token::NONE.word(), Token::NONE.escape()),
            (Kind::End, Word::NONE, b'\\')
        );
    }
}
