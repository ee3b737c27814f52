//! The type bytes of messages, and the transaction status that ReadyForQuery carries.

/// A message from the client. Source: manual, "Message Formats"; `SocketBackend` in `postgres.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the manual's")]
pub enum FrontendTag {
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Parse,
    Query,
    Sync,
    Terminate,
    /// Password, SASL and GSS responses share this byte; it is legal only during login.
    Password,
    Unknown(u8),
}

impl FrontendTag {
    /// Reads a type byte.
    #[inline]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            b'B' => Self::Bind,
            b'C' => Self::Close,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail,
            b'D' => Self::Describe,
            b'E' => Self::Execute,
            b'H' => Self::Flush,
            b'F' => Self::FunctionCall,
            b'P' => Self::Parse,
            b'Q' => Self::Query,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'p' => Self::Password,
            other => Self::Unknown(other),
        }
    }
}

/// A message from the server. Unknown bytes are kept: what a later server adds is passed on untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the manual's")]
pub enum BackendTag {
    Authentication,
    BackendKeyData,
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyBothResponse,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    ErrorResponse,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    RowDescription,
    Unknown(u8),
}

impl BackendTag {
    /// Reads a type byte.
    #[expect(
        clippy::inline_always,
        reason = "who reads it asks at once which it is: one choice in place of two"
    )]
    #[inline(always)]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            b'D' => Self::DataRow,
            b'Z' => Self::ReadyForQuery,
            b'C' => Self::CommandComplete,
            b'1' => Self::ParseComplete,
            b'2' => Self::BindComplete,
            b'3' => Self::CloseComplete,
            b'T' => Self::RowDescription,
            b't' => Self::ParameterDescription,
            b'n' => Self::NoData,
            b's' => Self::PortalSuspended,
            b'I' => Self::EmptyQueryResponse,
            b'E' => Self::ErrorResponse,
            b'N' => Self::NoticeResponse,
            b'A' => Self::NotificationResponse,
            b'S' => Self::ParameterStatus,
            b'K' => Self::BackendKeyData,
            b'R' => Self::Authentication,
            b'G' => Self::CopyInResponse,
            b'H' => Self::CopyOutResponse,
            b'W' => Self::CopyBothResponse,
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'V' => Self::FunctionCallResponse,
            b'v' => Self::NegotiateProtocolVersion,
            other => Self::Unknown(other),
        }
    }
}

/// What ReadyForQuery says of the session's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionStatus {
    /// `I`: no transaction block.
    #[default]
    Idle,
    /// `T`: in a transaction block.
    InBlock,
    /// `E`: in a failed block; only its end, or ROLLBACK TO, is accepted.
    Failed,
}

impl TransactionStatus {
    /// Reads the status byte; a byte that PostgreSQL does not know is taken for the most cautious one.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            b'I' => Self::Idle,
            b'E' => Self::Failed,
            _ => Self::InBlock,
        }
    }

    /// The status byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InBlock => b'T',
            Self::Failed => b'E',
        }
    }
}
