//! The server's messages: read in place, and written where we answer the client ourselves.

use super::{
    frontend::{c_str, framed},
    read::c_string,
    tag::TransactionStatus,
};

/// A five-character SQLSTATE. Source: manual, "PostgreSQL Error Codes".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `25006`: the refusal.
    pub const READ_ONLY_SQL_TRANSACTION: Self = Self(*b"25006");
    /// `25P02`: the block has failed before.
    pub const IN_FAILED_SQL_TRANSACTION: Self = Self(*b"25P02");
    /// `26000`: what a Bind of no statement gets.
    pub const INVALID_SQL_STATEMENT_NAME: Self = Self(*b"26000");
    /// `34000`: what an Execute of no portal gets.
    pub const INVALID_CURSOR_NAME: Self = Self(*b"34000");
    /// `42601`: what an unparsable word gets.
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// `42883`: what a FunctionCall of no function gets.
    pub const UNDEFINED_FUNCTION: Self = Self(*b"42883");
    /// `57014`: cancelled.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// `57P01`: ended by the administrator.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// `3D000`: there is no such database.
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// `57P03`: no new connections now.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// `53300`: too many connections.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// `08P01`: the client broke the protocol.
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    /// `08006`: the server is gone.
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    /// `08001`: the server can't be reached.
    pub const UNABLE_TO_CONNECT: Self = Self(*b"08001");
    /// `28P01`: that is not the password.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// `28000`: nobody may come in so.
    pub const INVALID_AUTHORIZATION_SPECIFICATION: Self = Self(*b"28000");
    /// `0A000`: this is not supported.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");

    /// Reads five digits or upper-case letters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let code: [u8; 5] = text.try_into().ok()?;
        code.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).then_some(Self(code))
    }

    /// The five characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlState({self})")
    }
}

/// An ErrorResponse's or NoticeResponse's fields as they stand, possibly cut off at the end.
/// Source: manual, "Error and Notice Message Fields".
#[derive(Debug, Clone, Copy)]
pub struct ErrorFields<'a>(pub &'a [u8]);

impl<'a> ErrorFields<'a> {
    /// Each field's type byte and text.
    pub fn iter(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&kind, after) = rest.split_first().filter(|(kind, _)| **kind != 0)?;
            let (text, after) = c_string(after)?;
            rest = after;
            Some((kind, text))
        })
    }

    /// The first field of that type.
    pub fn field(self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, text)| text)
    }

    /// The SQLSTATE.
    pub fn sql_state(self) -> Option<SqlState> {
        self.field(b'C').and_then(SqlState::parse)
    }

    /// Whether the severity is ERROR, by the field that is never translated (PostgreSQL 9.6 and later).
    pub fn is_plain_error(self) -> bool {
        self.field(b'V') == Some(b"ERROR")
    }
}

/// An error that we tell a client in the server's stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorText<'a> {
    /// Whether the connection ends with it.
    pub severity: Severity,
    /// Its code.
    pub code: SqlState,
    /// The primary text.
    pub message: &'a str,
    /// DETAIL, or nothing.
    pub detail: &'a str,
    /// HINT, or nothing.
    pub hint: &'a str,
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The connection goes on.
    Error,
    /// The connection ends.
    Fatal,
}

/// Appends an ErrorResponse.
pub fn error_response(out: &mut Vec<u8>, error: &ErrorText<'_>) {
    let severity: &[u8] = match error.severity {
        Severity::Error => b"ERROR",
        Severity::Fatal => b"FATAL",
    };
    framed(out, b'E', |out| {
        for (kind, text) in [
            (b'S', severity),
            (b'V', severity),
            (b'C', error.code.as_bytes()),
            (b'M', error.message.as_bytes()),
            (b'D', error.detail.as_bytes()),
            (b'H', error.hint.as_bytes()),
        ] {
            if !text.is_empty() {
                out.push(kind);
                c_str(out, text);
            }
        }
        out.push(0);
    });
}

/// Appends a copy of the server's ErrorResponse with our DETAIL and HINT in place of its own.
pub fn error_response_with(out: &mut Vec<u8>, fields: ErrorFields<'_>, detail: &str, hint: &str) {
    framed(out, b'E', |out| {
        for (kind, text) in fields.iter().filter(|(kind, _)| !matches!(kind, b'D' | b'H')) {
            out.push(kind);
            c_str(out, text);
        }
        for (kind, text) in [(b'D', detail), (b'H', hint)] {
            if !text.is_empty() {
                out.push(kind);
                c_str(out, text.as_bytes());
            }
        }
        out.push(0);
    });
}

/// Appends a ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    framed(out, b'Z', |out| out.push(status.byte()));
}

/// Appends a ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    framed(out, b'S', |out| {
        c_str(out, name.as_bytes());
        c_str(out, value);
    });
}

/// Appends a RowDescription of one column of type text, in the text format.
pub fn row_description(out: &mut Vec<u8>, name: &str) {
    framed(out, b'T', |out| {
        out.extend_from_slice(&[0, 1]);
        c_str(out, name.as_bytes());
        // No table and no column of one; the type's oid (`pg_type.dat`), its length and modifier: none; the format.
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    });
}

/// Appends a CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    framed(out, b'C', |out| c_str(out, tag.as_bytes()));
}

/// Appends a DataRow of one text column.
pub fn data_row(out: &mut Vec<u8>, value: &[u8]) {
    framed(out, b'D', |out| {
        let length = u32::try_from(value.len()).unwrap_or(0);
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend(value.iter().take(super::read::size(length)));
    });
}

/// A setting's name and value out of a ParameterStatus.
pub fn read_parameter_status(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = c_string(body)?;
    let (value, _) = c_string(rest)?;
    Some((name, value))
}

/// The first column of a DataRow: `None` if it is NULL or not there.
pub fn first_column(body: &[u8]) -> Option<&[u8]> {
    let (_, rest) = super::read::u16_be(body)?;
    let (length, rest) = super::read::u32_be(rest)?;
    rest.get(..super::read::size(length))
}

/// The last column of a DataRow: `None` if it is NULL or not there.
pub fn last_column(body: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = super::read::u16_be(body)?;
    let mut last = None;
    for _ in 0..count {
        let (length, after) = super::read::u32_be(rest)?;
        // A length of -1 is NULL, and no bytes follow.
        let length = if length == u32::MAX { None } else { Some(super::read::size(length)) };
        let (column, after) = after.split_at_checked(length.unwrap_or(0))?;
        last = length.map(|_| column);
        rest = after;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_reads_back_as_it_was_told() {
        let error = ErrorText {
            severity: Severity::Error,
            code: SqlState::READ_ONLY_SQL_TRANSACTION,
            message: "cannot execute INSERT in a read-only transaction",
            detail: "frozen",
            hint: "",
        };
        let mut out = Vec::new();
        error_response(&mut out, &error);
        let fields = ErrorFields(&out[5..]);
        assert_eq!(fields.sql_state(), Some(SqlState::READ_ONLY_SQL_TRANSACTION));
        assert!(fields.is_plain_error());
        assert_eq!(fields.field(b'D'), Some(&b"frozen"[..]));
        assert_eq!(fields.field(b'H'), None);
    }

    #[test]
    fn a_nul_in_an_operators_words_ends_the_field_and_not_the_message() {
        let mut out = Vec::new();
        let error = ErrorText {
            severity: Severity::Fatal,
            code: SqlState::CANNOT_CONNECT_NOW,
            message: "a\0b",
            detail: "",
            hint: "c",
        };
        error_response(&mut out, &error);
        let fields = ErrorFields(&out[5..]);
        assert_eq!(fields.field(b'M'), Some(&b"a"[..]));
        assert_eq!(fields.field(b'H'), Some(&b"c"[..]));
        assert!(!fields.is_plain_error());
    }

    #[test]
    fn a_rewritten_error_keeps_what_the_server_said_but_detail_and_hint() {
        let mut out = Vec::new();
        error_response_with(&mut out, ErrorFields(b"VERROR\0C25006\0Mm\0Dold\0Wwhere\0\0"), "new", "hint");
        let seen: Vec<_> = ErrorFields(&out[5..]).iter().collect();
        let want: [(u8, &[u8]); 6] = [
            (b'V', b"ERROR"),
            (b'C', b"25006"),
            (b'M', b"m"),
            (b'W', b"where"),
            (b'D', b"new"),
            (b'H', b"hint"),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn the_first_column_is_read_only_as_far_as_it_is_there() {
        let mut out = Vec::new();
        data_row(&mut out, b"on");
        assert_eq!(first_column(&out[5..]), Some(&b"on"[..]));
        assert_eq!(first_column(&[0, 1, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(first_column(&[0, 0]), None);
        assert_eq!(last_column(&out[5..]), Some(&b"on"[..]));
        assert_eq!(last_column(&[0, 2, 0, 0, 0, 1, b'x', 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(last_column(&[0, 2, 0, 0, 0, 1, b'x', 0, 0, 0, 1, b'y']), Some(&b"y"[..]));
        assert_eq!(last_column(&[0, 9, 0, 0]), None);
    }
}
