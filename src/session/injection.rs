//! What the proxy itself says to the server in a client's session.

/// One thing that is said or asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Injection {
    /// Puts up the session's fence.
    RaiseSession,
    /// Takes it down: what the client never set goes back to where it came from.
    ResetSession,
    /// Takes it down: the client itself had set the mode.
    SetSessionReadWrite,
    /// Makes the open block read-only.
    RaiseBlock,
    /// Asks whether the open block has a transaction id.
    AskWritten,
    /// Asks whether the client itself set the default mode, and to what.
    AskOwn,
    /// Asks what those want to know who know the server; the text is theirs.
    AskServer,
    /// Ends a straggler's block.
    Rollback,
}

impl Injection {
    /// The text, if it is always the same. Every name and operator is qualified, as the session's `search_path` is the client's.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::RaiseSession => "SET SESSION default_transaction_read_only = on",
            Self::ResetSession => "RESET default_transaction_read_only",
            Self::SetSessionReadWrite => "SET SESSION default_transaction_read_only = off",
            Self::RaiseBlock => "SET TRANSACTION READ ONLY",
            Self::AskWritten => "SELECT pg_catalog.pg_current_xact_id_if_assigned()",
            Self::AskOwn => {
                "SELECT CASE WHEN source OPERATOR(pg_catalog.=) 'session' THEN setting ELSE 'unset' END \
                 FROM pg_catalog.pg_settings \
                 WHERE name OPERATOR(pg_catalog.=) 'default_transaction_read_only'"
            }
            Self::AskServer => "",
            Self::Rollback => "ROLLBACK",
        }
    }

    /// Whether its row is the point of it.
    pub(super) fn is_question(self) -> bool {
        matches!(self, Self::AskWritten | Self::AskOwn | Self::AskServer)
    }
}
