//! The words behind a verb, read by the definitions of the command line's flags: `DRAIN_TIMEOUT '30s'` is
//! `--drain-timeout 30s`.

use super::error::ConsoleError;
use crate::sql::Phrase;
use clap::{Arg, Args, Command};

fn command<O: Args>(verb: &'static str) -> Command {
    O::augment_args(Command::new(verb).no_binary_name(true).disable_help_flag(true))
}

/// Reads them.
pub(super) fn read<O: Args>(verb: &'static str, said: &[Phrase]) -> Result<O, ConsoleError> {
    let command = command::<O>(verb);
    let flags = flags(&command, verb, said)?;
    let wrong = |error: &clap::Error| {
        let problem = in_words(&command, &error.to_string());
        ConsoleError::Syntax { problem, command: verb }
    };
    let matches = command.clone().try_get_matches_from(flags).map_err(|error| wrong(&error))?;
    O::from_arg_matches(&matches).map_err(|error| wrong(&error))
}

/// How they are written: what is needed first.
pub(super) fn written<O: Args>(verb: &'static str) -> String {
    let command = command::<O>(verb);
    let one = |arg: &Arg| {
        let word = word(arg);
        let value = if takes_value(arg) { " '…'" } else { "" };
        if arg.is_required_set() { format!("{word}{value}") } else { format!("[{word}{value}]") }
    };
    let mut parts = vec![verb.to_owned()];
    for is_required in [true, false] {
        parts.extend(command.get_arguments().filter(|arg| arg.is_required_set() == is_required).map(one));
    }
    parts.join(" ")
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn word(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().replace('-', "_").to_ascii_uppercase()
}

fn flags(command: &Command, verb: &'static str, said: &[Phrase]) -> Result<Vec<String>, ConsoleError> {
    let syntax = |problem: String| ConsoleError::Syntax { problem, command: verb };
    let (mut flags, mut rest) = (Vec::new(), said.iter());
    while let Some(phrase) = rest.next() {
        let name = match phrase {
            Phrase::Word(name) => name,
            Phrase::Mark(',') => continue,
            Phrase::Text(text) => {
                return Err(syntax(format!("an option was expected at or near \"{text}\"")));
            }
            Phrase::Mark(mark) => return Err(syntax(format!("syntax error at or near \"{mark}\""))),
        };
        let long = name.replace('_', "-");
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&long));
        let arg = arg.ok_or_else(|| syntax(format!("unrecognized {verb} option \"{name}\"")))?;
        if !takes_value(arg) {
            flags.push(format!("--{long}"));
            continue;
        }
        let value = match rest.next() {
            Some(Phrase::Mark('=')) => rest.next(),
            other => other,
        };
        match value {
            Some(Phrase::Word(value) | Phrase::Text(value)) => flags.push(format!("--{long}={value}")),
            Some(Phrase::Mark(_)) | None => {
                return Err(syntax(format!("{} needs a value between quotes", word(arg))));
            }
        }
    }
    Ok(flags)
}

/// What the flags' own reader says, with the options as they are written here, in one line.
fn in_words(command: &Command, said: &str) -> String {
    let first = said.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let mut told = first.split_whitespace().collect::<Vec<_>>().join(" ");
    for arg in command.get_arguments() {
        if let Some(long) = arg.get_long() {
            told = told.replace(&format!("--{long}"), &word(arg));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        control::{FreezeOptions, Stragglers, ThawOptions},
        sql::phrases,
    };

    fn freeze(text: &str) -> Result<FreezeOptions, ConsoleError> {
        read("FREEZE", &phrases(text).unwrap().concat())
    }

    #[test]
    fn options_are_the_command_lines_flags_written_as_words() {
        let text = "reason = 'it''s -- time', Until 45m DRAIN_TIMEOUT '5s' stragglers ROLLBACK no_wait database shop";
        let options = freeze(text).unwrap();
        assert_eq!((options.reason.as_str(), options.until.as_deref()), ("it's -- time", Some("45m")));
        assert_eq!((options.drain_timeout.as_str(), options.stragglers), ("5s", Stragglers::Rollback));
        assert_eq!((options.no_wait, options.whom.database.as_deref()), (true, Some("shop")));
        assert!(
            written::<FreezeOptions>("FREEZE")
                .starts_with("FREEZE REASON '…' [UNTIL '…'] [DRAIN_TIMEOUT '…']")
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_the_consoles_words() {
        for (text, told) in [
            ("until 45m", "required arguments were not provided: REASON <TEXT>"),
            ("reason", "REASON needs a value"),
            ("reason 'x' drain", "unrecognized FREEZE option \"drain\""),
            ("reason 'x' stragglers drop", "invalid value 'drop' for 'STRAGGLERS"),
            ("reason 'x' reason 'y'", "'REASON <TEXT>' cannot be used multiple times"),
            ("'x'", "an option was expected"),
            ("reason 'x' by 'eve'", "unrecognized FREEZE option \"by\""),
            ("reason 'x' no_wait require_quiet", "cannot be used with"),
        ] {
            let problem = freeze(text).unwrap_err().to_string();
            assert!(problem.contains(told) && !problem.contains("--"), "{text}: {problem}");
        }
        let thaw = read::<ThawOptions>("THAW", &phrases("skip_smoke").unwrap().concat());
        assert!(thaw.unwrap_err().to_string().contains("REASON"));
    }
}
