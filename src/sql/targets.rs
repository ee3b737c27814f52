//! Which tables a write is aimed at, as far as its tokens tell: what `describe` falls back on where sqlparser gives no
//! tree, or one that stops early.
use super::{
    token::{Kind, Token},
    walk::Walk,
    words::Word,
};

/// Hands over the table behind every INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY and SELECT INTO, and the object of a
/// definition, each as the tokens of its name. It only describes: a name that looks like a command may be told too.
pub(super) fn targets(walk: &mut Walk<'_>, mut each: impl FnMut(&[Token])) {
    let mut last = Token::NONE;
    while walk.peek().kind() != Kind::End {
        let token = walk.advance();
        let begins = matches!(last.kind(), Kind::End | Kind::Semicolon | Kind::Open | Kind::Close)
            || matches!(last.word(), Word::AS | Word::EXPLAIN | Word::ANALYZE | Word::VERBOSE);
        let aims = match token.word() {
            Word::INTO => last.word() != Word::AS && last.kind() != Kind::Dot,
            Word::FROM => last.is(Word::DELETE),
            Word::UPDATE | Word::TRUNCATE | Word::COPY => begins,
            Word::TABLE | Word::VIEW | Word::SEQUENCE | Word::INDEX => is_definition(last),
            _ => false,
        };
        last = token;
        while aims && is_noise(walk.peek()) {
            last = walk.advance();
        }
        while aims && name(walk, &mut each) && token.is(Word::TRUNCATE) && walk.take_kind(Kind::Comma) {}
    }
}

fn is_definition(last: Token) -> bool {
    matches!(
        last.word(),
        Word::CREATE
            | Word::ALTER
            | Word::DROP
            | Word::REPLACE
            | Word::TEMP
            | Word::TEMPORARY
            | Word::UNLOGGED
            | Word::MATERIALIZED
            | Word::UNIQUE
            | Word::FOREIGN
            | Word::TRUNCATE
    )
}

/// Words that may stand between a command and its table.
fn is_noise(token: Token) -> bool {
    matches!(
        token.word(),
        Word::TABLE
            | Word::ONLY
            | Word::TEMP
            | Word::TEMPORARY
            | Word::UNLOGGED
            | Word::IF
            | Word::NOT
            | Word::EXISTS
            | Word::CONCURRENTLY
    )
}

/// A name with at most as many dots as a table's has.
fn name(walk: &mut Walk<'_>, each: &mut impl FnMut(&[Token])) -> bool {
    let Some(first) = walk.take_name() else { return false };
    let mut parts = [first; 3];
    let mut length = 1_usize;
    for part in parts.iter_mut().skip(1) {
        if walk.peek().kind() != Kind::Dot || !walk.peek_second().is_name() {
            break;
        }
        walk.bump();
        *part = walk.bump();
        length = length.saturating_add(1);
    }
    each(parts.get(..length).unwrap_or_default());
    true
}
