//! How a refusal looks: the words that the client reads, and the poison that makes the server itself fail
//! the message that was refused (ARCHITECTURE.md, "Why a refusal poisons").

use super::pipeline::Step;
use crate::{
    config::RefusalTexts,
    freeze::FreezeState,
    sql::{Classification, Why},
    wire::{
        backend::{self, ErrorFields, ErrorText, Severity, SqlState},
        frontend::Write,
    },
};
use jiff::Timestamp;

/// An operator's words as every refused client reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The code; `25006` unless the configuration says otherwise.
    pub code: SqlState,
    /// Reason, since when, until when.
    pub detail: String,
    /// What the client may do.
    pub hint: String,
    /// The reason alone, and when it should be over; empty where nobody said so.
    pub reason: String,
    /// As above.
    pub until: String,
    /// Whether `frozen` has been said of this gate.
    pub is_declared: bool,
}

impl Words {
    /// The words for a state, with what the configuration says of refusals.
    pub fn new(state: &FreezeState, texts: &RefusalTexts) -> Self {
        let code = SqlState::parse(texts.sql_state.as_bytes()).unwrap_or(SqlState::READ_ONLY_SQL_TRANSACTION);
        let Some(freeze) = &state.freeze else {
            // Only a transaction that began while frozen can still be rejected for our sake.
            return Self {
                code,
                detail: "This transaction began while Frostgate was frozen and stays read-only to its end."
                    .into(),
                hint: "Frostgate is open again: roll back, and run the transaction anew.".into(),
                reason: String::new(),
                until: String::new(),
                is_declared: false,
            };
        };
        let end = freeze.until.map(|until| seconds(until).to_string()).unwrap_or_default();
        let until = if end.is_empty() { String::new() } else { format!(", until {end}") };
        let (since, by, reason) = (seconds(freeze.since), &freeze.by, &freeze.reason);
        let hint = texts.hint.clone().unwrap_or_else(|| {
            "Reads go on. Writes are refused until the thaw; this connection stays usable.".into()
        });
        Self {
            code,
            detail: format!("Frozen since {since} by {by}{until}: {reason}."),
            hint,
            reason: reason.clone(),
            until: end,
            is_declared: freeze.frozen_at.is_some(),
        }
    }
}

/// An instant without its fraction: people read it.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its class, its command word, and why.
    pub classification: Classification,
    /// The statement's text as far as it was kept: never longer than a named limit, and never bind values.
    pub text: Box<[u8]>,
}

impl Refusal {
    /// Of a message's text so much is kept to tell what it was, in bytes.
    pub const TEXT_KEPT: usize = 16 * 1024;

    pub(super) fn new(classification: Classification, text: &[u8]) -> Self {
        let text = text.get(..Self::TEXT_KEPT).unwrap_or(text);
        Self { classification, text: text.into() }
    }
}

/// Appends the error that the client reads for a refused message.
pub(super) fn tell(out: &mut Vec<u8>, refusal: &Refusal, words: &Words) {
    let Classification { command, why, .. } = refusal.classification;
    let message = format!("cannot execute {} in a read-only transaction", command.as_str());
    let is_plain = matches!(why, Why::Command(_) | Why::Empty);
    let detail = if is_plain { words.detail.clone() } else { format!("{} Refused: {why}.", words.detail) };
    let error = ErrorText {
        severity: Severity::Error,
        code: words.code,
        message: &message,
        detail: &detail,
        hint: &words.hint,
    };
    backend::error_response(out, &error);
}

/// Appends the answer to anything but its end in a block that has failed already; it is no refusal.
/// Source: `exec_simple_query`, "current transaction is aborted".
pub(super) fn tell_failed_block(out: &mut Vec<u8>) {
    let error = ErrorText {
        severity: Severity::Error,
        code: SqlState::IN_FAILED_SQL_TRANSACTION,
        message: "current transaction is aborted, commands ignored until end of transaction block",
        detail: "",
        hint: "",
    };
    backend::error_response(out, &error);
}

/// Appends what goes to the server in the place of a refused message.
pub(super) fn poison(out: &mut Vec<u8>, step: Step, refusal: &Refusal) {
    let word = poison_word(refusal);
    let mut write = Write(out);
    match step {
        Step::Query => write.query(&word),
        Step::Parse => write.parse(&word, &word),
        Step::Bind => write.bind(&word, &word),
        Step::Execute => write.execute(&word),
        Step::FunctionCall => write.function_call(0),
        // Nothing else is ever refused.
        Step::Describe | Step::Close | Step::Sync | Step::CopyEnd | Step::Refusal => &mut write,
    };
}

/// A word that starts no statement, and that tells a reader of the server's log what happened.
fn poison_word(refusal: &Refusal) -> String {
    let command = refusal.classification.command.as_str().to_ascii_lowercase().replace(' ', "_");
    format!("frostgate_refused_{command}")
}

/// Whether this error is what our poison brings, and nothing else.
pub(super) fn is_answer_to_poison(step: Step, error: ErrorFields<'_>) -> bool {
    let expected = match step {
        Step::Query | Step::Parse => SqlState::SYNTAX_ERROR,
        Step::Bind => SqlState::INVALID_SQL_STATEMENT_NAME,
        Step::Execute => SqlState::INVALID_CURSOR_NAME,
        Step::FunctionCall => SqlState::UNDEFINED_FUNCTION,
        Step::Describe | Step::Close | Step::Sync | Step::CopyEnd | Step::Refusal => return false,
    };
    error.is_plain_error() && error.sql_state() == Some(expected)
}
