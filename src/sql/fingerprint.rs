//! The shape of a text: what is left when its literals are taken out. Statements that differ only in values have one
//! shape, so that a refused job poller is one line and not a thousand.
use super::{
    lexer::{Backslash, Lexer},
    token::{Kind, Token},
};

/// Tokens that are looked at; what follows them does not count.
pub const FINGERPRINT_TOKENS: usize = 10_000;
/// The longest shape that is kept as text, in bytes. The hash is of the whole shape.
pub const FINGERPRINT_TEXT: usize = 1024;

/// The shape of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// FNV-1a, 64 bits, of the whole shape: the same on every machine and in every version.
    pub hash: u64,
    /// The shape: unquoted words in lower case, one blank where tokens part, literals and parameters as `?`, a list of
    /// them as one `?`, rows of them as one row. Cut at [`FINGERPRINT_TEXT`] bytes.
    pub normalized: String,
}

/// A part of a shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A literal, a parameter, or a list of them.
    Value,
    Open,
    Close,
    Comma,
    Other(Token),
}

/// Tells the shape of a text. What cannot be read ends it.
pub fn fingerprint(text: &[u8]) -> Fingerprint {
    let mut pieces = Vec::new();
    let mut lexer = Lexer::new(text, Backslash::Ordinary);
    for _ in 0..FINGERPRINT_TOKENS {
        let token = lexer.next();
        match token.kind() {
            Kind::End => break,
            Kind::Plain
            | Kind::Escape
            | Kind::UnicodeText
            | Kind::Dollar
            | Kind::Bits
            | Kind::Number
            | Kind::Parameter => push_value(&mut pieces, text),
            Kind::Open => pieces.push(Piece::Open),
            Kind::Close => push_close(&mut pieces),
            Kind::Comma => pieces.push(Piece::Comma),
            Kind::Word
            | Kind::Quoted
            | Kind::UnicodeName
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Dot
            | Kind::Semicolon
            | Kind::Equals
            | Kind::Cast
            | Kind::Operator => pieces.push(Piece::Other(token)),
        }
    }
    while matches!(pieces.last(), Some(Piece::Other(token)) if token.kind() == Kind::Semicolon) {
        pieces.pop();
    }
    written(&pieces, text)
}

/// A value that follows a value and a comma belongs to the list that it began; a sign in front belongs to the value.
fn push_value(pieces: &mut Vec<Piece>, text: &[u8]) {
    if let [.., Piece::Open | Piece::Comma, Piece::Other(sign)] = pieces.as_slice()
        && matches!(sign.of(text), b"-" | b"+")
    {
        pieces.pop();
    }
    if let [.., Piece::Value, Piece::Comma] = pieces.as_slice() {
        pieces.pop();
    } else {
        pieces.push(Piece::Value);
    }
}

/// A row of values that follows a row of values belongs to it.
fn push_close(pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Close);
    if let [
        ..,
        Piece::Open,
        Piece::Value,
        Piece::Close,
        Piece::Comma,
        Piece::Open,
        Piece::Value,
        Piece::Close,
    ] = pieces.as_slice()
    {
        pieces.truncate(pieces.len().saturating_sub(4));
    }
}

fn written(pieces: &[Piece], text: &[u8]) -> Fingerprint {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut kept = Vec::new();
    let mut write = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        if kept.len() < FINGERPRINT_TEXT {
            kept.push(byte);
        }
    };
    let mut glued = true;
    for piece in pieces {
        if !glued && !sticks_to_the_left(*piece) {
            write(b' ');
        }
        match piece {
            Piece::Value => write(b'?'),
            Piece::Open => write(b'('),
            Piece::Close => write(b')'),
            Piece::Comma => write(b','),
            Piece::Other(token) if token.kind() == Kind::Word => {
                token.of(text).iter().for_each(|byte| write(byte.to_ascii_lowercase()));
            }
            Piece::Other(token) => token.of(text).iter().for_each(|byte| write(*byte)),
        }
        glued = sticks_to_the_right(*piece);
    }
    Fingerprint { hash, normalized: String::from_utf8_lossy(&kept).into_owned() }
}

fn sticks_to_the_left(piece: Piece) -> bool {
    match piece {
        Piece::Close | Piece::Comma => true,
        Piece::Value | Piece::Open => false,
        Piece::Other(token) => {
            matches!(
                token.kind(),
                Kind::Dot | Kind::Semicolon | Kind::Cast | Kind::OpenBracket | Kind::CloseBracket
            )
        }
    }
}

fn sticks_to_the_right(piece: Piece) -> bool {
    match piece {
        Piece::Open => true,
        Piece::Value | Piece::Close | Piece::Comma => false,
        Piece::Other(token) => matches!(token.kind(), Kind::Dot | Kind::Cast | Kind::OpenBracket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        fingerprint(text.as_bytes()).normalized
    }

    #[test]
    fn literals_blanks_case_and_the_length_of_lists_make_no_difference() {
        let one =
            fingerprint(b"UPDATE Jobs SET state = 'done', n=n+1 WHERE id IN (1, -2,3) AND \"Queue\"=$1");
        let other = fingerprint(
            b"update jobs\n set state = E'x', n = n + 42 where id in ($7)/* c */ and \"Queue\" = 'q' ;",
        );
        assert_eq!(one, other);
        assert_eq!(one.normalized, "update jobs set state = ?, n = n + ? where id in (?) and \"Queue\" = ?");
        assert_eq!(
            shape("INSERT INTO t(a,b) VALUES (1,'x'),(2,$$y$$), ($1, $2)"),
            "insert into t (a, b) values (?)"
        );
    }

    #[test]
    fn names_operators_and_structure_do() {
        assert_ne!(fingerprint(b"DELETE FROM a"), fingerprint(b"DELETE FROM b"));
        assert_ne!(fingerprint(b"DELETE FROM \"a\""), fingerprint(b"DELETE FROM \"A\""));
        assert_eq!(
            shape("select a.b::int, c[1], d->>'x' from s.t"),
            "select a.b::int, c[?], d ->> ? from s.t"
        );
        assert_eq!(shape("values (a, 1), (b, 2)"), "values (a, ?), (b, ?)");
        assert_eq!(shape("select a -1"), "select a - ?");
    }

    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_eq!(fingerprint(b"").hash, 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"DELETE FROM t WHERE id = 1").hash, 0x115f_e653_568e_cdd0);
    }

    #[test]
    fn text_and_tokens_are_bounded_and_any_bytes_have_a_shape() {
        let long = "a ".repeat(FINGERPRINT_TEXT);
        assert_eq!(shape(&long).len(), FINGERPRINT_TEXT);
        assert_ne!(fingerprint(long.as_bytes()).hash, fingerprint(&long.as_bytes()[2..]).hash);
        let endless = |n: usize| fingerprint("a ".repeat(n).as_bytes()).hash;
        assert_eq!(endless(FINGERPRINT_TOKENS), endless(FINGERPRINT_TOKENS + 1));
        assert_eq!(shape("select \u{fc}, 'open"), "select \u{fc},");
        assert_eq!(fingerprint(b"select \"\xff\"").normalized, "select \"\u{fffd}\"");
    }
}
