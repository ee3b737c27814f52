//! From a client's start-up packet to its session: the server's own authentication, relayed as it is but for one
//! thing. SCRAM's channel binding ties a login to the certificate that the client has seen; where that is not the
//! server's own, the server's offer of it is withheld.

use super::{
    deriving::Deriver,
    error::{NetError, Peer},
    password::take_answer,
    stream::Stream,
};
use crate::{
    auth::{Answer, Answering, Credential, Derivation},
    fleet::Roster,
    tls::random,
    wire::{
        BackendTag, Cut,
        backend::{ErrorFields, ErrorText, SqlState, error_response},
        backend::{Severity, parameter_status, read_parameter_status},
        frame::{HEADER, Rows, cut_backend},
        sasl::{self, BindingFlag, SCRAM_PLUS},
        startup::{CancelKey, StartupMessage},
    },
};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Bytes read at a time during a login.
const READ_AT_ONCE: usize = 8 * 1024;
/// A server says far less before its first ReadyForQuery.
const LOGIN_LIMIT: usize = 1024 * 1024;

/// A session that the server has let in.
#[derive(Debug)]
pub struct LoggedIn {
    /// What was read of the server behind its first ReadyForQuery.
    pub from_server: Vec<u8>,
    /// What was read of the client behind its login.
    pub from_client: Vec<u8>,
    /// Cancels its statements.
    pub cancel_key: Option<CancelKey>,
    /// `client_encoding`, `default_transaction_read_only`, `application_name`: what a session must know.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl LoggedIn {
    /// What the server reported of a setting.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().rev().find(|(n, _)| n == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }
}

/// Who is to speak next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Server,
    /// The server has asked for a password or a SASL message.
    Client,
}

/// How a login goes with regard to the freeze.
#[derive(Debug, Clone, Copy, Default)]
pub enum LoginWay<'a> {
    /// Nothing in it can write.
    #[default]
    Plain,
    /// A login trigger may write while the server is at it: it is counted there.
    Counted(&'a Roster),
    /// It was made read-only by us, and the client is told its own mode instead.
    Fenced {
        /// What it is told of `default_transaction_read_only`.
        told: bool,
    },
}

/// How a login is relayed.
#[derive(Debug, Default)]
pub struct Relayed<'a> {
    /// With regard to the freeze.
    pub way: LoginWay<'a>,
    /// What came of the client behind its start-up packet.
    pub from_client: Vec<u8>,
    /// What binds a login to the certificate that the client was shown, if it was shown one.
    pub end_point: Option<Vec<u8>>,
    /// If the server has no entry in `pg_hba.conf` for a connection of this kind, another kind may be tried.
    pub may_come_otherwise: bool,
    /// Who has proved to the proxy who it is does not hear the server's questions: they are answered with this, and
    /// keys are derived there.
    pub credential: Option<(Credential, Deriver)>,
}

/// What a login came to.
#[derive(Debug)]
pub enum LoginOutcome {
    /// The server let the client in.
    LoggedIn(LoggedIn),
    /// It would not have the client, and has told it why.
    Refused,
    /// It would not have a connection of this kind. Its answer, which the client has not been told, and what came
    /// of the client.
    NotThisWay(Vec<u8>, Vec<u8>),
}

/// Relays the server's authentication.
///
/// # Errors
/// A socket failed, or a peer broke the protocol, or the client's way to log in can't be relayed.
pub async fn log_in(
    client: &mut Stream,
    server: &mut Stream,
    message: &StartupMessage,
    relayed: Relayed<'_>,
) -> Result<LoginOutcome, NetError> {
    let Relayed { way, from_client, end_point, may_come_otherwise, credential } = relayed;
    let withholds_binding =
        server.is_encrypted() && (end_point.is_none() || end_point != server.peer_end_point());
    let lost_server = |source| NetError::Lost { peer: Peer::Server, source };
    let lost_client = |source| NetError::Lost { peer: Peer::Client, source };
    say(server, &message.encode()).await.map_err(lost_server)?;
    let mut login = Login { from_client, way, withholds_binding, may_come_otherwise, ..Login::default() };
    let mut deriver = None;
    if let Some((credential, by)) = credential {
        let user = String::from_utf8_lossy(message.user()).into_owned();
        login.answering = Some(Answering::new(user, credential, server.peer_end_point(), random()?));
        deriver = Some(by);
    }
    loop {
        let answered = login.hear()?;
        if answered == Heard::NotThisWay {
            return Ok(LoginOutcome::NotThisWay(login.to_client, login.from_client));
        }
        if !login.to_client.is_empty() {
            say(client, &login.to_client).await.map_err(lost_client)?;
            login.to_client.clear();
        }
        if !login.to_server.is_empty() {
            say(server, &login.to_server).await.map_err(lost_server)?;
            login.to_server.clear();
        }
        if let (Some(derivation), Some(by)) = (login.to_derive.take(), &deriver) {
            let keys = by.derive(derivation).await.map_err(NetError::Deriving)?;
            if let Some(answering) = &mut login.answering {
                say(server, &answering.derived(&keys)?).await.map_err(lost_server)?;
            }
        }
        match answered {
            Heard::Ready => return Ok(LoginOutcome::LoggedIn(login.into_logged_in())),
            Heard::NotThisWay => {}
            Heard::More if login.speaks == Speaks::Server => {
                login.from_server.reserve(READ_AT_ONCE);
                let _counted = match way {
                    LoginWay::Counted(roster) => Some(roster.begin_login()),
                    LoginWay::Plain | LoginWay::Fenced { .. } => None,
                };
                let read = hear_more(server, &mut login.from_server).await.map_err(lost_server)?;
                if read == 0 && login.was_refused {
                    return Ok(LoginOutcome::Refused);
                }
                if read == 0 || login.from_server.len() > LOGIN_LIMIT {
                    return Err(NetError::Closed { peer: Peer::Server });
                }
            }
            Heard::More => {
                let Some(answer) = login.answer()? else {
                    if hear_more(client, &mut login.from_client).await.map_err(lost_client)? == 0 {
                        return Err(NetError::Closed { peer: Peer::Client });
                    }
                    continue;
                };
                say(server, &answer).await.map_err(lost_server)?;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Ready,
    More,
    NotThisWay,
}

#[derive(Debug)]
struct Login<'a> {
    speaks: Speaks,
    from_server: Vec<u8>,
    from_client: Vec<u8>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// What the answer to the server's question needs first.
    to_derive: Option<Derivation>,
    cancel_key: Option<CancelKey>,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
    was_refused: bool,
    way: LoginWay<'a>,
    withholds_binding: bool,
    may_come_otherwise: bool,
    answering: Option<Answering>,
}

impl Default for Login<'_> {
    fn default() -> Self {
        Self {
            speaks: Speaks::Server,
            from_server: Vec::new(),
            from_client: Vec::new(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            to_derive: None,
            cancel_key: None,
            parameters: Vec::new(),
            was_refused: false,
            way: LoginWay::Plain,
            withholds_binding: false,
            may_come_otherwise: false,
            answering: None,
        }
    }
}

impl Login<'_> {
    /// Takes in what the server has said.
    fn hear(&mut self) -> Result<Heard, NetError> {
        let mut dealt_with = 0_usize;
        let mut heard = Heard::More;
        while let Some(rest) = self.from_server.get(dealt_with..) {
            let cut = cut_backend(rest, || Rows::Stream)
                .map_err(|source| NetError::Protocol { peer: Peer::Server, source })?;
            // What is too long to be held is no message of a login but a notice: wait for all of it.
            let Cut::Whole { tag, bytes, body } = cut else { break };
            dealt_with = dealt_with.saturating_add(bytes.len());
            if tag == BackendTag::Authentication
                && answer_for_client(&mut self.answering, (&mut self.to_server, &mut self.to_derive), body)?
            {
                self.may_come_otherwise = false;
                continue;
            }
            let parameter = read_parameter_status(body).filter(|_| tag == BackendTag::ParameterStatus);
            match (parameter, self.way) {
                (Some((b"default_transaction_read_only", _)), LoginWay::Fenced { told: read_only }) => {
                    let value: &[u8] = if read_only { b"on" } else { b"off" };
                    parameter_status(&mut self.to_client, "default_transaction_read_only", value);
                    self.parameters.push((b"default_transaction_read_only".to_vec(), value.to_vec()));
                    continue;
                }
                _ if tag == BackendTag::Authentication && self.withholds_binding => {
                    withhold(&mut self.to_client, bytes, body);
                }
                _ => self.to_client.extend_from_slice(bytes),
            }
            if tag == BackendTag::Authentication {
                self.may_come_otherwise = false;
                self.speaks = speaks_after(body);
            } else if tag == BackendTag::BackendKeyData {
                self.cancel_key = CancelKey::read(body);
            } else if tag == BackendTag::ErrorResponse {
                self.was_refused = true;
                let code = ErrorFields(body).sql_state();
                if self.may_come_otherwise && code == Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION) {
                    heard = Heard::NotThisWay;
                }
            } else if tag == BackendTag::ReadyForQuery {
                heard = Heard::Ready;
            } else if let Some((name, value)) = parameter {
                self.parameters.push((name.to_vec(), value.to_vec()));
            }
            if heard != Heard::More {
                break;
            }
        }
        self.from_server.drain(..dealt_with);
        Ok(heard)
    }

    /// The client's answer to the server's question, when it is all there.
    fn answer(&mut self) -> Result<Option<Vec<u8>>, NetError> {
        let Some(answer) = take_answer(&mut self.from_client)? else { return Ok(None) };
        self.speaks = Speaks::Server;
        let body = answer.get(HEADER..).unwrap_or_default();
        // The server, which offered it, would take the client's word for somebody's having tampered with the offer.
        if self.withholds_binding && sasl::binding_flag(body) == Some(BindingFlag::Yes) {
            return Err(NetError::ChannelBinding);
        }
        Ok(Some(answer))
    }

    fn into_logged_in(self) -> LoggedIn {
        LoggedIn {
            from_server: self.from_server,
            from_client: self.from_client,
            cancel_key: self.cancel_key,
            parameters: self.parameters,
        }
    }
}

/// Answers the server in the client's place, if the proxy is to do that. Whether the client shall not hear of it.
fn answer_for_client(
    answering: &mut Option<Answering>,
    (to_server, to_derive): (&mut Vec<u8>, &mut Option<Derivation>),
    body: &[u8],
) -> Result<bool, NetError> {
    let Some(answering) = answering else { return Ok(false) };
    match answering.hear(body)? {
        Answer::None => {}
        Answer::Say(answer) => to_server.extend_from_slice(&answer),
        Answer::Derive(derivation) => *to_derive = Some(derivation),
    }
    Ok(sasl::request_code(body).is_some_and(|(code, _)| code != sasl::OK))
}

/// Passes on what the server offers, without what is bound to a certificate that the client has not seen.
fn withhold(to_client: &mut Vec<u8>, bytes: &[u8], body: &[u8]) {
    match sasl::offered(body) {
        Some(mut mechanisms) if mechanisms.len() > 1 && mechanisms.contains(&SCRAM_PLUS) => {
            mechanisms.retain(|name| *name != SCRAM_PLUS);
            sasl::offer(to_client, &mechanisms);
        }
        _ => to_client.extend_from_slice(bytes),
    }
}

/// Source: manual, "Message Formats", the Authentication messages: Ok (0) and `SASLFinal` (12) ask for nothing.
fn speaks_after(body: &[u8]) -> Speaks {
    match body.first_chunk::<4>().map(|word| u32::from_be_bytes(*word)) {
        Some(0 | 12) | None => Speaks::Server,
        Some(_) => Speaks::Client,
    }
}

/// Reads on; 0 is the end. Over TLS some end without a farewell: the last message was whole, or it is missed.
pub(super) async fn hear_more(from: &mut Stream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    match from.read_buf(bytes).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// Writes it all, and sees to it that nothing of it is held back.
pub(super) async fn say(to: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Brings a client the server's last words to it.
pub async fn tell(client: &mut Stream, bytes: &[u8]) {
    // A client that does not listen any more has gone already.
    drop(say(client, bytes).await);
    drop(client.shutdown().await);
}

/// Tells a client that has no session yet why it gets none.
pub async fn turn_away(client: &mut Stream, code: SqlState, message: &str, detail: &str) {
    let mut text = Vec::new();
    let error = ErrorText { severity: Severity::Fatal, code, message, detail, hint: "" };
    error_response(&mut text, &error);
    tell(client, &text).await;
}
