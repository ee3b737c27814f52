//! Looks at a server as a login would meet it, without a client: how it is reached, what it shows, what it asks for.

use super::{
    deriving::Deriver,
    ended::{Conversation, FirstWord},
    error::NetError,
    upstream::Upstream,
};
use crate::{
    auth::{Answering, Credential},
    tls::random,
    trust::Certificate,
    wire::{
        backend::SqlState,
        sasl::{self, SCRAM, SCRAM_PLUS},
        startup::StartupMessage,
    },
};

/// Who looks.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// Its password, to try whether it opens the door.
    pub password: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What it showed over TLS; none: plain text.
    pub shown: Option<Shown>,
    /// What it asks that user for.
    pub asks: Asks,
    /// Whether the password opened the door; none: it was not tried.
    pub opened: Option<Result<(), String>>,
}

/// A server's certificate.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Whose it says it is.
    pub subject: String,
    /// What a SCRAM login is bound to; none where its signature has no hash.
    pub end_point: Option<Vec<u8>>,
}

/// What a server asks a user for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: trust, or a certificate was enough.
    Nothing,
    /// The password in plain text.
    Password,
    /// An md5 hash.
    Md5,
    /// SCRAM; whether it offers channel binding.
    Scram {
        /// -PLUS is offered.
        with_binding: bool,
    },
    /// Something that can't be relayed.
    Other,
    /// It would not have that user.
    Refuses {
        /// The code.
        code: Option<SqlState>,
        /// Its words.
        message: String,
    },
}

/// Connects, and begins a login; goes through with it if there is a password.
///
/// # Errors
/// The server can't be reached, or speaks no protocol that is known.
pub async fn examine(upstream: &Upstream, visitor: &Visitor) -> Result<Examined, NetError> {
    let (server, _) = upstream.connect().await?;
    let certificate = server.peer_certificate().and_then(|der| Certificate::read(der).ok());
    let shown = certificate.map(|read| Shown { subject: read.subject(), end_point: read.end_point() });
    let end_point = shown.as_ref().and_then(|shown| shown.end_point.clone());
    let password = visitor.password.clone().map(|password| Credential::Password(password.into_bytes()));
    let credential = password.clone().unwrap_or(Credential::None);
    let answering = Answering::new(visitor.user.clone(), credential, end_point, random()?);
    let mut conversation = Conversation::new(server, answering, Deriver::default());
    let parameters = [("user", &*visitor.user), ("database", &*visitor.database)];
    conversation.say(&StartupMessage::new(&parameters).encode()).await?;
    let (asks, is_in) = match conversation.first_word().await? {
        FirstWord::Asked(body) => (asks(&body), None),
        FirstWord::Refused { code, message } => (Asks::Refuses { code, message }, Some(())),
    };
    let opened = match (is_in, password) {
        (None, Some(_)) => {
            Some(conversation.until_ready().await.map(drop).map_err(|error| error.to_string()))
        }
        _ => None,
    };
    Ok(Examined { shown, asks, opened })
}

fn asks(body: &[u8]) -> Asks {
    let offered = sasl::offered(body).unwrap_or_default();
    match sasl::request_code(body) {
        Some((sasl::OK, _)) => Asks::Nothing,
        Some((sasl::CLEARTEXT, _)) => Asks::Password,
        Some((sasl::MD5, _)) => Asks::Md5,
        Some((sasl::SASL, _)) if offered.contains(&SCRAM) => {
            Asks::Scram { with_binding: offered.contains(&SCRAM_PLUS) }
        }
        _ => Asks::Other,
    }
}
