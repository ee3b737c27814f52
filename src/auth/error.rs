//! Why a login that ends at the proxy came to nothing.

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The client did not prove who it is. Source: `auth_failed` in `auth.c`, the server's own words.
    #[error("password authentication failed for user \"{user}\"")]
    Failed {
        /// Who it says it is.
        user: String,
    },
    /// The client's certificate is somebody else's, or it has shown none.
    #[error("certificate authentication failed for user \"{user}\"")]
    Certificate {
        /// Who it says it is.
        user: String,
    },
    /// The client's words are no SCRAM.
    #[error("malformed SCRAM message: {problem}")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// Somebody took the offer of channel binding away. Source: `read_client_first_message` in `auth-scram.c`.
    #[error(
        "SCRAM channel binding negotiation error: the client supports SCRAM channel binding but thinks that the \
         proxy does not"
    )]
    Downgrade,
    /// The client's binding is not to the certificate that it was shown.
    #[error("SCRAM channel binding check failed")]
    Binding,
    /// The server asks for what can't be answered with the secret that is there.
    #[error("can't log in to the server as \"{user}\": it asks for {asked}, and the secret is {secret}")]
    NoAnswer {
        /// Who.
        user: String,
        /// What the server asked for.
        asked: &'static str,
        /// What there is.
        secret: &'static str,
    },
    /// The verifier is not the one that the server has.
    #[error("can't log in to the server as \"{user}\": the secret's SCRAM verifier is not the server's own")]
    NotTheServersVerifier {
        /// Who.
        user: String,
    },
    /// The server does not know the secret either.
    #[error("the server has not proved that it knows the secret of \"{user}\"")]
    ServerUnproven {
        /// Who.
        user: String,
    },
    /// A line of the secrets' file can't be read.
    #[error("line {line}: expected \"user\" \"secret\"")]
    SecretsLine {
        /// Its number.
        line: usize,
    },
}

impl AuthError {
    /// What can be done about it, if that is known.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoAnswer { .. } => {
                "Give Frostgate the plain password, or the server's own SCRAM verifier (pg_authid.rolpassword) together \
                 with the method scram; or let the server trust Frostgate's certificate (sslcert, sslkey in upstream)."
            }
            Self::NotTheServersVerifier { .. } => {
                "Copy pg_authid.rolpassword of this server, or use auth.query: a password that was set anew has another salt."
            }
            Self::Failed { .. }
            | Self::Certificate { .. }
            | Self::Malformed { .. }
            | Self::Downgrade
            | Self::Binding
            | Self::ServerUnproven { .. }
            | Self::SecretsLine { .. } => "",
        }
    }

    /// Whether the client broke the protocol, and did not merely fail to prove who it is.
    pub fn is_breach(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::Downgrade)
    }
}
