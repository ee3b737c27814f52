//! The quick way past what does not matter, against the lexer token by token.
use super::*;
use proptest::{prelude::*, sample::select};

/// What decides where a token ends, and which of its kinds it is.
const PIECES: &str = r#"( ) ; [ , e E b x n u& U& a aé _ 1 1. . .. 5e e5 - + -- /* */ ' '' " $ $$ $a$ $1 \ \' : = uescape '!' @"#;
const BLANKS: [&str; 4] = ["", "", " ", "\n"];

/// The parentheses, the semicolons and the end, each with where the token in front of it ends.
fn seen(text: &[u8], backslash: Backslash, next: impl Fn(&mut Lexer<'_>, &mut usize) -> Token) -> Seen {
    let mut lexer = Lexer::new(text, backslash);
    let (mut all, mut behind) = (Vec::new(), 0);
    loop {
        let token = next(&mut lexer, &mut behind);
        all.push((token, behind));
        if token.kind() == Kind::End {
            return (all, lexer.fault, lexer.saw_backslash);
        }
        behind = token.end();
    }
}

type Seen = (Vec<(Token, usize)>, Option<&'static str>, bool);

fn bracket_by_bracket(lexer: &mut Lexer<'_>, behind: &mut usize) -> Token {
    lexer.next_bracket(behind)
}

fn token_by_token(lexer: &mut Lexer<'_>, behind: &mut usize) -> Token {
    loop {
        let token = lexer.next_by(|_| Word::NONE);
        if matches!(token.kind(), Kind::Open | Kind::Close | Kind::Semicolon | Kind::End) {
            return token;
        }
        *behind = token.end();
    }
}

fn assert_alike(text: &str) {
    for backslash in [Backslash::Ordinary, Backslash::Escapes] {
        let fast = seen(text.as_bytes(), backslash, bracket_by_bracket);
        assert_eq!(fast, seen(text.as_bytes(), backslash, token_by_token), "{text:?}");
    }
}

#[test]
fn brackets_are_where_they_are_when_every_token_is_told_apart() {
    for text in [
        r"1.e1e'\';('",
        r"1e-1e1e'\';('",
        r"1e5e'\';('",
        r"1.5e5e'\';('",
        r"11e'\';('",
        "a$b$c$(b$",
        "a$b$",
        "1$b$(b$",
        r#"u&"(" uescape '!' ("#,
        r"xu&'(' (",
        "a /* ( */ ;",
        "a   (  ",
        "a--(\n)",
        "n'(' (",
        "b'(' x'(' (",
    ] {
        assert_alike(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn brackets_are_where_they_are_in_whatever_text(
        pieces in prop::collection::vec((select(PIECES.split(' ').collect::<Vec<_>>()), select(&BLANKS[..])), 0..14)
    ) {
        assert_alike(&pieces.iter().flat_map(|(piece, blank)| [*piece, *blank]).collect::<String>());
    }
}
