//! Authentication that ends here: who is asked by the proxy, what is known of him, and the asking itself.

use super::{
    deriving::Deriver,
    error::{NetError, Peer},
    login::{hear_more, say},
    password::take_answer,
    stream::Stream,
    upstream::Upstream,
};
use crate::{
    auth::{Answer, Answering, Asked, Asking, Client, Credential, SALT_KEY, Secret, Secrets},
    config::{AuthMethod, AuthQuery, AuthSettings},
    tls::random,
    wire::{
        BackendTag, Cut,
        backend::{ErrorFields, SqlState, last_column},
        frame::{HEADER, Rows, cut_backend},
        frontend::Write as Frontend,
        startup::StartupMessage,
    },
};
use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

/// What a server says to a login and a question of ours.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Who is asked by the proxy, and the secrets that it knows.
#[derive(Debug)]
pub struct Keeper {
    settings: AuthSettings,
    secrets: Mutex<Arc<Secrets>>,
    salt_key: [u8; SALT_KEY],
    deriver: Deriver,
}

impl Keeper {
    /// Reads the file of secrets.
    ///
    /// # Errors
    /// It can't be read, or a line of it.
    pub fn new(settings: AuthSettings) -> Result<Self, NetError> {
        let secrets = Mutex::new(Arc::new(read(&settings)?));
        let salt_key = random()?;
        Ok(Self { settings, secrets, salt_key, deriver: Deriver::default() })
    }

    /// What salts are made from, another one for each process.
    pub fn salt_key(&self) -> &[u8; SALT_KEY] {
        &self.salt_key
    }

    /// Where keys are derived.
    pub fn deriver(&self) -> Deriver {
        self.deriver.clone()
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// It can't be read, or a line of it; what was there before stays.
    pub fn reload(&self) -> Result<(), NetError> {
        let secrets = Arc::new(read(&self.settings)?);
        // It is swapped whole.
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
        Ok(())
    }

    /// How that user is to prove who he is to the proxy; none: to the server.
    pub fn method(&self, user: &str, database: &str) -> Option<AuthMethod> {
        self.settings.method(user, database)
    }

    fn of(&self, user: &str) -> Option<Secret> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).of(user)
    }

    /// What is known of a user: from the file, else from the server.
    async fn secret(&self, upstream: Option<&Upstream>, user: &str) -> Result<Option<Secret>, NetError> {
        match (self.of(user), &self.settings.query, upstream) {
            (None, Some(query), Some(upstream)) => {
                let found = look_up(upstream, (query, self.of(&query.user)), user, self.deriver()).await;
                found.map_err(|error| NetError::SecretQuery(Box::new(error)))
            }
            (known, _, _) => Ok(known),
        }
    }

    /// Asks a client who it is. What the server can be answered with; `upstream` is asked for secrets that the file does
    /// not hold.
    ///
    /// # Errors
    /// It has not proved it, or its secret can't be looked up, or its socket failed.
    pub async fn ask(
        &self,
        socket: &mut Stream,
        from_client: &mut Vec<u8>,
        client: Client,
        upstream: Option<&Upstream>,
    ) -> Result<Credential, NetError> {
        let lost = |source| NetError::Lost { peer: Peer::Client, source };
        let secret = self.secret(upstream, &client.user).await?;
        let (mut asking, mut asked) = Asking::begin(client, secret, random()?)?;
        loop {
            match asked {
                Asked::Proven(proof, credential) => {
                    say(socket, &proof).await.map_err(lost)?;
                    return Ok(credential);
                }
                Asked::More(question) => say(socket, &question).await.map_err(lost)?,
                Asked::Derive(derivation) => {
                    let keys = self.deriver.derive(derivation).await.map_err(NetError::Deriving)?;
                    asked = asking.derived(keys)?;
                    continue;
                }
            }
            let answer = loop {
                if let Some(answer) = take_answer(from_client)? {
                    break answer;
                }
                if hear_more(socket, from_client).await.map_err(lost)? == 0 {
                    return Err(NetError::Closed { peer: Peer::Client });
                }
            };
            asked = asking.hear(answer.get(HEADER..).unwrap_or_default())?;
        }
    }
}

/// A file that no rule has a use for is not looked at.
fn read(settings: &AuthSettings) -> Result<Secrets, NetError> {
    let Some(path) = settings.secrets.as_ref().filter(|_| settings.is_used()) else {
        return Ok(Secrets::default());
    };
    let wrong = |problem| NetError::Secrets { path: path.into(), problem };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Secrets::parse(&text).map_err(|error| wrong(error.to_string()))
}

/// Asks the server for a user's secret.
async fn look_up(
    upstream: &Upstream,
    (query, own): (&AuthQuery, Option<Secret>),
    user: &str,
    deriver: Deriver,
) -> Result<Option<Secret>, NetError> {
    let (server, _) = upstream.connect().await?;
    let end_point = server.peer_end_point();
    let answering = Answering::new(query.user.clone(), own.into(), end_point, random()?);
    let mut conversation = Conversation::new(server, answering, deriver);
    let parameters = [("user", &*query.user), ("database", &*query.database)];
    conversation.say(&StartupMessage::new(&parameters).encode()).await?;
    conversation.until_ready().await?;
    let mut text = Vec::new();
    Frontend(&mut text).parse("", &query.sql).bind_text("", "", &[user]).execute("").sync();
    conversation.say(&text).await?;
    let secret = conversation.until_ready().await?;
    let mut text = Vec::new();
    Frontend(&mut text).terminate();
    // It has answered; whether it hears the farewell is nobody's loss.
    drop(conversation.say(&text).await);
    Ok(secret.map(|text| Secret::parse(&text)))
}

/// A short one with the server, of our own.
pub(super) struct Conversation {
    server: Stream,
    held: Vec<u8>,
    answering: Answering,
    deriver: Deriver,
}

/// How a server answers a start-up packet.
pub(super) enum FirstWord {
    /// With a question: the body of an Authentication message, which has not been answered yet.
    Asked(Vec<u8>),
    /// With an error.
    Refused {
        /// Its code.
        code: Option<SqlState>,
        /// Its text.
        message: String,
    },
}

impl Conversation {
    pub(super) fn new(server: Stream, answering: Answering, deriver: Deriver) -> Self {
        Self { server, held: Vec::new(), answering, deriver }
    }

    /// The first message that is a question or an error. A question stays to be answered.
    pub(super) async fn first_word(&mut self) -> Result<FirstWord, NetError> {
        loop {
            let (tag, length) = self.next_message().await?;
            let body = self.held.get(HEADER..length).unwrap_or_default();
            if tag == BackendTag::Authentication {
                return Ok(FirstWord::Asked(body.to_vec()));
            }
            if tag == BackendTag::ErrorResponse {
                let fields = ErrorFields(body);
                let message = String::from_utf8_lossy(fields.field(b'M').unwrap_or_default()).into_owned();
                return Ok(FirstWord::Refused { code: fields.sql_state(), message });
            }
            self.held.drain(..length);
        }
    }

    /// Waits for a whole message at the front of what is held; its tag and its length.
    async fn next_message(&mut self) -> Result<(BackendTag, usize), NetError> {
        loop {
            let cut = cut_backend(&self.held, || Rows::Held);
            let cut = cut.map_err(|source| NetError::Protocol { peer: Peer::Server, source })?;
            if let Cut::Whole { tag, bytes, .. } = cut {
                return Ok((tag, bytes.len()));
            }
            let lost = |source| NetError::Lost { peer: Peer::Server, source };
            let read = hear_more(&mut self.server, &mut self.held).await.map_err(lost)?;
            if read == 0 || self.held.len() > ANSWER_LIMIT {
                return Err(NetError::Closed { peer: Peer::Server });
            }
        }
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        say(&mut self.server, bytes).await.map_err(|source| NetError::Lost { peer: Peer::Server, source })
    }

    /// The last column of the first row, if there is one.
    pub(super) async fn until_ready(&mut self) -> Result<Option<String>, NetError> {
        let mut found = None;
        loop {
            let (tag, length) = self.next_message().await?;
            let body = self.held.get(HEADER..length).unwrap_or_default();
            let mut answer = Answer::None;
            if tag == BackendTag::ErrorResponse {
                let message = ErrorFields(body).field(b'M').unwrap_or_default();
                return Err(NetError::OwnLogin { problem: String::from_utf8_lossy(message).into_owned() });
            } else if tag == BackendTag::Authentication {
                answer = self.answering.hear(body)?;
            } else if tag == BackendTag::DataRow && found.is_none() {
                found = last_column(body).map(|text| String::from_utf8_lossy(text).into_owned());
            }
            self.held.drain(..length);
            if tag == BackendTag::ReadyForQuery {
                return Ok(found);
            }
            match answer {
                Answer::None => {}
                Answer::Say(answer) => self.say(&answer).await?,
                Answer::Derive(derivation) => {
                    let keys = self.deriver.derive(derivation).await.map_err(NetError::Deriving)?;
                    let answer = self.answering.derived(&keys)?;
                    self.say(&answer).await?;
                }
            }
        }
    }
}
