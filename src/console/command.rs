//! What can be said at the console, and who may say it: each command once.

use super::{
    error::ConsoleError,
    options,
    tables::{TABLES, Table},
};
use crate::{
    config::ConsoleRole,
    control::{FreezeOptions, ThawOptions},
    sql::{Phrase, phrases},
};

/// The longest text, in bytes.
pub(super) const TEXT_LIMIT: usize = 16 * 1024;

/// What `SHOW frostgate.…` tells of the freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    State,
    Reason,
    Until,
    Epoch,
}

impl Word {
    const ALL: [(&'static str, Self); 4] = [
        ("frostgate.state", Self::State),
        ("frostgate.reason", Self::Reason),
        ("frostgate.until", Self::Until),
        ("frostgate.epoch", Self::Epoch),
    ];
}

/// A command, read.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Help,
    Table(&'static Table),
    Word(&'static str, Word),
    Freeze(Box<FreezeOptions>),
    Thaw(Box<ThawOptions>),
    Reload,
    Kill(u64),
    /// What drivers say of themselves; there is nothing here that it would change.
    Heard(&'static str),
    Begin,
    End(&'static str),
}

/// A command, with the text that it was.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) command: Command,
    pub(super) text: String,
}

impl Statement {
    /// The statements of a text.
    pub(super) fn read_all(text: &str) -> Result<Vec<Result<Self, ConsoleError>>, ConsoleError> {
        if text.len() > TEXT_LIMIT {
            return Err(ConsoleError::TooLong { said: text.len(), limit: TEXT_LIMIT });
        }
        let split = phrases(text).map_err(|problem| ConsoleError::Unreadable { problem })?;
        let read = |said: Vec<Phrase>| {
            Command::read(&said).map(|command| Self { command, text: text.trim().to_owned() })
        };
        Ok(split.into_iter().map(read).collect())
    }

    /// The one statement of a text; none if it has none.
    pub(super) fn read_one(text: &str) -> Result<Option<Self>, ConsoleError> {
        let mut all = Self::read_all(text)?;
        if all.len() > 1 {
            return Err(ConsoleError::SeveralInOne);
        }
        all.pop().transpose()
    }
}

impl Command {
    fn read(said: &[Phrase]) -> Result<Self, ConsoleError> {
        let Some((Phrase::Word(verb), rest)) = said.split_first() else {
            return Err(unknown(said.first()));
        };
        let alone = |command: Self, name: &'static str| match rest.first() {
            None => Ok(command),
            Some(_) => Err(ConsoleError::Syntax { problem: format!("{name} stands alone"), command: name }),
        };
        match verb.as_str() {
            "help" => alone(Self::Help, "HELP"),
            "show" => show(rest),
            "freeze" => Ok(Self::Freeze(Box::new(options::read("FREEZE", rest)?))),
            "thaw" => Ok(Self::Thaw(Box::new(options::read("THAW", rest)?))),
            "reload" => alone(Self::Reload, "RELOAD"),
            "kill" => kill(rest),
            "set" => Ok(Self::Heard("SET")),
            "reset" => Ok(Self::Heard("RESET")),
            "discard" => Ok(Self::Heard("DISCARD ALL")),
            "deallocate" => Ok(Self::Heard("DEALLOCATE")),
            "begin" | "start" => Ok(Self::Begin),
            "commit" | "end" => Ok(Self::End("COMMIT")),
            "rollback" | "abort" => Ok(Self::End("ROLLBACK")),
            _ => Err(unknown(said.first())),
        }
    }

    /// How it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Help => "HELP",
            Self::Table(table) => table.name,
            Self::Word(name, _) => name,
            Self::Freeze(_) => "FREEZE",
            Self::Thaw(_) => "THAW",
            Self::Reload => "RELOAD",
            Self::Kill(_) => "KILL",
            Self::Heard(tag) | Self::End(tag) => tag,
            Self::Begin => "BEGIN",
        }
    }

    /// Who may say it.
    pub(super) fn role(&self) -> ConsoleRole {
        match self {
            Self::Freeze(_) | Self::Thaw(_) | Self::Reload | Self::Kill(_) => ConsoleRole::Admin,
            Self::Help | Self::Table(_) | Self::Word(..) | Self::Heard(_) | Self::Begin | Self::End(_) => {
                ConsoleRole::Viewer
            }
        }
    }

    /// The columns of its answer; none: it answers no rows.
    pub(super) fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::Help => vec!["command", "role", "what"],
            Self::Table(table) => table.columns.to_vec(),
            Self::Word(name, _) => vec![name],
            Self::Freeze(_) => vec!["state", "epoch", "told", "quiet"],
            Self::Thaw(_) => vec!["state", "epoch", "told"],
            Self::Reload => vec!["what", "problem"],
            Self::Kill(_) => vec!["session", "user", "database", "application"],
            Self::Heard(_) | Self::Begin | Self::End(_) => Vec::new(),
        }
    }
}

fn unknown(at: Option<&Phrase>) -> ConsoleError {
    let near = match at {
        Some(Phrase::Word(text) | Phrase::Text(text)) => text.clone(),
        Some(Phrase::Mark(mark)) => mark.to_string(),
        None => "end of input".into(),
    };
    ConsoleError::Unknown { near }
}

fn show(rest: &[Phrase]) -> Result<Command, ConsoleError> {
    let parts = rest.iter().map(|phrase| match phrase {
        Phrase::Word(text) => text.clone(),
        Phrase::Text(text) => text.to_ascii_lowercase(),
        Phrase::Mark(mark) => mark.to_string(),
    });
    let name = parts.collect::<String>();
    if name == "help" {
        return Ok(Command::Help);
    }
    if let Some(table) = TABLES.iter().find(|table| table.key() == name) {
        return Ok(Command::Table(table));
    }
    let word = Word::ALL.iter().find(|(known, _)| *known == name);
    word.map(|(name, word)| Command::Word(name, *word)).ok_or(ConsoleError::UnknownSetting { name })
}

fn kill(rest: &[Phrase]) -> Result<Command, ConsoleError> {
    let number = match rest {
        [Phrase::Word(number) | Phrase::Text(number)] => number.parse().ok(),
        _ => None,
    };
    number.map(Command::Kill).ok_or_else(|| ConsoleError::Syntax {
        problem: "KILL needs a session's number, as SHOW SESSIONS tells it".into(),
        command: "KILL",
    })
}

/// What `HELP` tells: each command, who may say it, what it does.
pub(super) fn help() -> Vec<Vec<Option<String>>> {
    let row = |command: String, role: ConsoleRole, what: &str| {
        vec![Some(command), Some(role.as_str().to_owned()), Some(what.to_owned())]
    };
    let tables = TABLES.iter().map(|table| row(table.name.to_owned(), ConsoleRole::Viewer, table.what));
    let words = Word::ALL.iter().map(|(name, _)| format!("SHOW {name}"));
    let words = words.map(|name| row(name, ConsoleRole::Viewer, "One value, as on every connection."));
    let verbs = [
        (
            options::written::<FreezeOptions>("FREEZE"),
            "Refuse every write from now on, and wait until nothing is left that could write.",
        ),
        (options::written::<ThawOptions>("THAW"), "Let writes through again."),
        ("KILL number".to_owned(), "End a session: cancel what it runs, roll back, close."),
        ("RELOAD".to_owned(), "Read certificates, keys, secrets, exceptions, denials and stages again."),
    ];
    let verbs = verbs.into_iter().map(|(command, what)| row(command, ConsoleRole::Admin, what));
    tables.chain(words).chain(verbs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Command, ConsoleError> {
        Statement::read_one(text).map(|statement| statement.unwrap().command)
    }

    #[test]
    fn commands_are_read_in_any_case_with_or_without_a_semicolon() {
        for (text, name) in [
            ("show status", "SHOW STATUS"),
            ("SHOW STATUS;", "SHOW STATUS"),
            (" /* x */ Show Sessions ; ", "SHOW SESSIONS"),
            ("SHOW frostgate.STATE", "frostgate.state"),
            ("show \"frostgate.state\"", "frostgate.state"),
            ("kill 7", "KILL"),
            ("help", "HELP"),
            ("SHOW help", "HELP"),
            ("SET extra_float_digits = 3", "SET"),
            ("START TRANSACTION", "BEGIN"),
        ] {
            assert_eq!(read(text).unwrap().name(), name, "{text}");
        }
        assert!(Statement::read_one(" ; ").unwrap().is_none());
        assert_eq!(Statement::read_all("SHOW STATUS; bogus; HELP").unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_command_says_so_with_the_servers_code() {
        for (text, code) in [
            ("SELECT 1", "42601"),
            ("'x'", "42601"),
            ("FREEZE", "42601"),
            ("RELOAD all", "42601"),
            ("KILL ann", "42601"),
            ("SHOW search_path", "42704"),
            ("SHOW", "42704"),
            ("SHOW STATUS; HELP", "42601"),
            ("FREEZE REASON 'open", "42601"),
        ] {
            assert_eq!(read(text).unwrap_err().code(), code, "{text}");
        }
        let long = format!("FREEZE REASON '{}'", "x".repeat(TEXT_LIMIT));
        assert_eq!(read(&long).unwrap_err().code(), "54000");
    }

    #[test]
    fn help_names_every_command_and_who_may_say_it() {
        let told: Vec<String> = help()
            .into_iter()
            .map(|row| format!("{} {}", row[0].as_ref().unwrap(), row[1].as_ref().unwrap()))
            .collect();
        for command in
            ["SHOW STATUS viewer", "SHOW frostgate.state viewer", "RELOAD admin", "KILL number admin"]
        {
            assert!(told.iter().any(|line| line == command), "{command}: {told:?}");
        }
        assert!(told.iter().any(|line| line.starts_with("FREEZE REASON '…' ") && line.ends_with(" admin")));
    }
}
