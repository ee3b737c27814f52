//! Which client encodings can hide a byte that the lexer would trip over.

/// A client encoding, as far as the lexer has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientEncoding {
    /// No byte of a multi-byte character is ASCII: UTF8, the EUC and all single-byte encodings.
    Safe,
    /// SJIS: the second byte may be ASCII.
    Sjis,
    /// `SHIFT_JIS_2004`: like SJIS, and two of its characters become ASCII on the way to UTF8.
    ShiftJis2004,
    /// BIG5, GBK, UHC: the second byte may be ASCII.
    TwoByte,
    /// GB18030: two or four bytes, some of them ASCII.
    Gb18030,
    /// JOHAB.
    Johab,
    /// Not known at this moment: every reading counts.
    Uncertain,
}
