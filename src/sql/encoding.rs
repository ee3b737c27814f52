//! Client encodings whose multi-byte characters hold ASCII bytes, and how a text in one of them reads once the server
//! has converted it: it converts before it splits a text into tokens (`pg_client_to_server` in mbutils.c).
//!
//! A text is masked, byte for byte: every ASCII byte that belongs to a multi-byte character becomes a byte beyond ASCII,
//! as which the lexer takes it for part of an identifier, a string or a comment, wherever it stands. Positions stay.
//! A character that is cut short or not valid makes the server reject the text, so how it is masked does not matter.
use std::borrow::Cow;

/// A client encoding, as far as the lexer has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientEncoding {
    /// No byte of a multi-byte character is ASCII: UTF8, the EUC family, all single-byte encodings.
    Safe,
    /// SJIS: the second byte may be ASCII.
    Sjis,
    /// `SHIFT_JIS_2004`: as SJIS, and two of its characters become a backslash and a tilde in a UTF8 database.
    ShiftJis2004,
    /// BIG5, GBK, UHC: the second byte may be ASCII.
    TwoByte,
    /// GB18030: two or four bytes, of which the second and the fourth may be ASCII.
    Gb18030,
    /// JOHAB: two or three bytes. No valid one is ASCII, but the server's steps are these.
    Johab,
    /// Not known at this moment, as a change may be under way: every reading counts.
    Uncertain,
}

/// What `pg_char_to_encoding` knows (encnames.c), folded, but for the safe ones.
const UNSAFE: &[(&[u8], ClientEncoding)] = &[
    (b"sjis", ClientEncoding::Sjis),
    (b"shiftjis", ClientEncoding::Sjis),
    (b"mskanji", ClientEncoding::Sjis),
    (b"win932", ClientEncoding::Sjis),
    (b"windows932", ClientEncoding::Sjis),
    (b"shiftjis2004", ClientEncoding::ShiftJis2004),
    (b"big5", ClientEncoding::TwoByte),
    (b"win950", ClientEncoding::TwoByte),
    (b"windows950", ClientEncoding::TwoByte),
    (b"gbk", ClientEncoding::TwoByte),
    (b"win936", ClientEncoding::TwoByte),
    (b"windows936", ClientEncoding::TwoByte),
    (b"uhc", ClientEncoding::TwoByte),
    (b"win949", ClientEncoding::TwoByte),
    (b"windows949", ClientEncoding::TwoByte),
    (b"gb18030", ClientEncoding::Gb18030),
    (b"johab", ClientEncoding::Johab),
];

/// The same for the safe ones. The numbered families are written out: a number that is not here is unknown.
const SAFE: &str = "abc alt euccn eucjis2004 eucjp euckr euctw iso88591 iso885910 iso885913 iso885914 iso885915 \
    iso885916 iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 koi8 koi8r koi8u latin1 latin10 \
    latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 muleinternal sqlascii tcvn tcvn5712 unicode utf8 vscii win \
    win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257 win1258 win866 win874 windows1250 windows1251 \
    windows1252 windows1253 windows1254 windows1255 windows1256 windows1257 windows1258 windows866 windows874";

impl ClientEncoding {
    /// The encoding of that name, folded as the server does: case and everything but letters and digits is ignored.
    ///
    /// A name that is not known is `Uncertain`: this server may know it, and if it does not, it keeps the encoding that
    /// it had, whatever that was.
    pub fn from_name(name: &[u8]) -> Self {
        let folded: Vec<u8> =
            name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
        if let Some((_, encoding)) = UNSAFE.iter().find(|(name, _)| *name == folded) {
            return *encoding;
        }
        let safe = name.is_ascii() && SAFE.split_ascii_whitespace().any(|name| name.as_bytes() == folded);
        if safe { Self::Safe } else { Self::Uncertain }
    }

    /// Hands over the text as the server may read it, in every way that it may. A text without a byte beyond ASCII reads
    /// alike in all encodings.
    pub(super) fn readings<'t>(self, text: &'t [u8], mut each: impl FnMut(Cow<'t, [u8]>)) {
        let walks: &[Walk] = match self {
            Self::Safe => &[],
            _ if text.is_ascii() => &[],
            Self::Sjis => &[Walk::Sjis],
            Self::ShiftJis2004 => &[Walk::Sjis, Walk::ShiftJis2004],
            Self::TwoByte => &[Walk::TwoByte],
            Self::Gb18030 => &[Walk::Gb18030],
            Self::Johab => &[Walk::Johab],
            Self::Uncertain => {
                each(Cow::Borrowed(text));
                &[Walk::Sjis, Walk::ShiftJis2004, Walk::TwoByte, Walk::Gb18030, Walk::Johab]
            }
        };
        if walks.is_empty() {
            each(Cow::Borrowed(text));
        }
        for walk in walks {
            each(Cow::Owned(walk.masked(text)));
        }
    }
}

/// How to step from character to character (`pg_*_mblen` in wchar.c).
#[derive(Clone, Copy)]
enum Walk {
    Sjis,
    ShiftJis2004,
    TwoByte,
    Gb18030,
    Johab,
}

impl Walk {
    /// The length of the character that begins with a byte beyond ASCII.
    fn length(self, first: u8, second: u8) -> usize {
        match (self, first) {
            // JIS X 0201 kana are single bytes.
            (Self::Sjis | Self::ShiftJis2004, 0xa1..=0xdf) => 1,
            (Self::Gb18030, _) if second.is_ascii_digit() => 4,
            // SS3 introduces three bytes (`pg_euc_mblen`).
            (Self::Johab, 0x8f) => 3,
            _ => 2,
        }
    }

    fn masked(self, text: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            if first.is_ascii() {
                masked.push(*first);
                rest = tail;
                continue;
            }
            let length = self.length(*first, tail.first().copied().unwrap_or(0)).min(rest.len());
            let (character, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            match (self, character) {
                // A blank keeps the length, and is harmless in front of either, wherever they stand.
                (Self::ShiftJis2004, [0x81, 0x5f]) => masked.extend_from_slice(b" \\"),
                (Self::ShiftJis2004, [0x81, 0xb0]) => masked.extend_from_slice(b" ~"),
                _ => masked.extend(character.iter().map(|byte| byte | 0x80)),
            }
            rest = behind;
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_folded_as_the_server_folds_it() {
        use ClientEncoding::{Gb18030, Johab, Safe, ShiftJis2004, Sjis, TwoByte, Uncertain};
        for (name, encoding) in [
            ("UTF8", Safe),
            ("utf-8", Safe),
            ("Unicode", Safe),
            ("SQL_ASCII", Safe),
            ("ISO-8859-15", Safe),
            ("EUC_JIS_2004", Safe),
            ("SJIS", Sjis),
            ("Shift_JIS", Sjis),
            ("Windows-932", Sjis),
            ("SHIFT_JIS_2004", ShiftJis2004),
            ("BIG5", TwoByte),
            ("win936", TwoByte),
            ("UHC", TwoByte),
            ("GB18030", Gb18030),
            ("Johab", Johab),
            ("utf9", Uncertain),
            ("", Uncertain),
            ("utf8é", Uncertain),
        ] {
            assert_eq!(ClientEncoding::from_name(name.as_bytes()), encoding, "{name}");
        }
    }

    fn readings(encoding: ClientEncoding, text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        encoding.readings(text, |text| found.push(text.into_owned()));
        found
    }

    #[test]
    fn ascii_bytes_inside_characters_are_masked_and_others_are_kept() {
        let one = |encoding, text: &[u8]| readings(encoding, text).pop().unwrap();
        assert_eq!(one(ClientEncoding::Sjis, b"'\x95\\'"), b"'\x95\xdc'");
        // A kana is a byte of its own.
        assert_eq!(one(ClientEncoding::Sjis, b"\xb1'"), b"\xb1'");
        assert_eq!(one(ClientEncoding::TwoByte, b"\xb1'"), b"\xb1\xa7");
        assert_eq!(one(ClientEncoding::Gb18030, b"\x810\x810'"), b"\x81\xb0\x81\xb0'");
        assert_eq!(one(ClientEncoding::Gb18030, b"\x81@'"), b"\x81\xc0'");
        assert_eq!(one(ClientEncoding::Johab, b"\x8f''''"), b"\x8f\xa7\xa7''");
        assert_eq!(one(ClientEncoding::TwoByte, b"'\x81"), b"'\x81");
    }

    #[test]
    fn two_characters_of_shift_jis_2004_may_become_ascii() {
        let text = b"E'\x81_', 1\x81\xb0";
        let [kept, converted] = &readings(ClientEncoding::ShiftJis2004, text)[..] else { panic!() };
        assert_eq!(kept, b"E'\x81\xdf', 1\x81\xb0");
        assert_eq!(converted, b"E' \\', 1 ~");
    }

    #[test]
    fn an_ascii_text_has_one_reading_and_an_uncertain_one_has_all() {
        assert_eq!(readings(ClientEncoding::Uncertain, b"SELECT 1").len(), 1);
        assert_eq!(readings(ClientEncoding::Uncertain, b"SELECT '\xe4'").len(), 6);
        assert_eq!(readings(ClientEncoding::Safe, b"SELECT '\xe4'"), [b"SELECT '\xe4'"]);
    }
}
