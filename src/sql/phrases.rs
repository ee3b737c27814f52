//! A text of the proxy's own commands, as words and constants: PostgreSQL's lexical rules, and nothing of its grammar.

use super::{
    lexer::{Backslash, Lexer},
    token::{Kind, LONGEST_TEXT, Token},
};

/// Words and constants of one text.
pub const PHRASES_LIMIT: usize = 1_000;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phrase {
    /// An unquoted word or a number, in lower case; a number goes on with the letters that follow it at once.
    Word(String),
    /// A constant or a quoted name, without its quotes.
    Text(String),
    /// Anything else: its first character.
    Mark(char),
}

/// The statements of a text; those that are empty are left out.
///
/// # Errors
/// What is wrong with it.
pub fn phrases(text: &str) -> Result<Vec<Vec<Phrase>>, &'static str> {
    if text.len() > LONGEST_TEXT {
        return Err("the text is too long");
    }
    let mut lexer = Lexer::new(text.as_bytes(), Backslash::Ordinary);
    let (mut statements, mut statement, mut before) = (Vec::new(), Vec::new(), Token::NONE);
    for _ in 0..PHRASES_LIMIT {
        let token = lexer.next();
        let kind = token.kind();
        if kind == Kind::End {
            if let Some(fault) = lexer.fault {
                return Err(fault);
            }
            statements.push(statement);
            statements.retain(|statement: &Vec<Phrase>| !statement.is_empty());
            return Ok(statements);
        }
        if kind == Kind::Semicolon {
            statements.push(std::mem::take(&mut statement));
        } else {
            add(&mut statement, phrase(kind, token, text)?, before.end() == token.start());
        }
        before = token;
    }
    Err("the text has too many words")
}

/// Letters that stand behind a number at once are a part of it: `45m`.
fn add(statement: &mut Vec<Phrase>, phrase: Phrase, is_behind_at_once: bool) {
    match (statement.last_mut(), &phrase) {
        (Some(Phrase::Word(number)), Phrase::Word(letters))
            if is_behind_at_once && number.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            number.push_str(letters);
        }
        _ => statement.push(phrase),
    }
}

fn phrase(kind: Kind, token: Token, text: &str) -> Result<Phrase, &'static str> {
    let spelled = text.get(token.start()..token.end()).unwrap_or_default();
    Ok(match kind {
        Kind::Word | Kind::Number => Phrase::Word(spelled.to_ascii_lowercase()),
        Kind::Plain => Phrase::Text(unquoted(spelled, '\'')?),
        Kind::Quoted => Phrase::Text(unquoted(spelled, '"')?),
        Kind::Dollar => {
            let tag = spelled.get(1..).and_then(|rest| rest.find('$')).map_or(0, |at| at.saturating_add(2));
            let end = spelled.len().saturating_sub(tag);
            Phrase::Text(spelled.get(tag..end).unwrap_or_default().into())
        }
        Kind::UnicodeName | Kind::Escape | Kind::UnicodeText | Kind::Bits | Kind::Parameter => {
            return Err("a constant here stands between plain quotes");
        }
        Kind::End
        | Kind::Semicolon
        | Kind::Open
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Comma
        | Kind::Dot
        | Kind::Equals
        | Kind::Cast
        | Kind::Operator => Phrase::Mark(spelled.chars().next().unwrap_or(';')),
    })
}

/// What stands between quotes, with each doubled one taken for one. A constant that goes on behind a newline has more.
fn unquoted(spelled: &str, quote: char) -> Result<String, &'static str> {
    let inside = spelled.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let (mut whole, mut rest) = (String::new(), inside.unwrap_or_default());
    while let Some((part, behind)) = rest.split_once(quote) {
        whole.push_str(part);
        whole.push(quote);
        rest = behind.strip_prefix(quote).ok_or("a constant here is in one piece")?;
    }
    whole.push_str(rest);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_as_the_server_splits_it() {
        let word = |text: &str| Phrase::Word(text.into());
        let text = |text: &str| Phrase::Text(text.into());
        let read = phrases("; FREEZE /* ; */ Reason 'it''s; so' UNTIL 45m -- x;\n;show a.b;").unwrap();
        let freeze = vec![word("freeze"), word("reason"), text("it's; so"), word("until"), word("45m")];
        assert_eq!(read, [freeze, vec![word("show"), word("a"), Phrase::Mark('.'), word("b")]]);
        assert_eq!(phrases("$x$a'b$x$ \"Q\"\"q\" ''").unwrap(), [[text("a'b"), text("Q\"q"), text("")]]);
        assert_eq!(phrases("x 'a''''b'").unwrap(), [[word("x"), text("a''b")]]);
        assert_eq!(phrases(" ;; ").unwrap(), Vec::<Vec<Phrase>>::new());
        for wrong in ["'open", "E'a'", "U&'a'", "'a'\n'b'", "/* open"] {
            assert!(phrases(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_is_an_end_to_a_text() {
        assert!(phrases(&"x ".repeat(PHRASES_LIMIT - 1)).is_ok());
        assert_eq!(phrases(&"x ".repeat(PHRASES_LIMIT)), Err("the text has too many words"));
    }
}
