//! One client from accept to close: greeting, login, relay, and what is left on the server when it has gone. Who comes
//! for the console is brought there.

mod cancelling;
mod leaving;

use crate::{
    auth::{self, Credential},
    causes::with_causes,
    console::{self, Console, Guest},
    control::Operator,
    fleet::{Entrance, Identity, Place, Ruling},
    matching::Who,
    net::{
        Ends, Greeting, LoggedIn, LoginOutcome, LoginWay, NetError, Peer, Relay, Relayed, Server, Stream,
        Worker, greet, log_in, tell, turn_away,
    },
    session::{FenceKind, Role, SessionSettings},
    sql::ClientEncoding,
    trust::Certificate,
    wire::{
        backend::SqlState,
        startup::{Replication, StartupMessage},
    },
};
use serde_json::json;
use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Who takes a place that is kept free for the console has so long to say that it came for that.
const RESERVED_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection as it was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: Stream,
    /// Where it comes from; none for a Unix socket.
    pub client: Option<SocketAddr>,
    /// By which door.
    pub entrance: Entrance,
    /// Whether its place is one that is kept free for the console.
    pub is_reserved: bool,
}

/// What connections of all workers have to do with.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// The verbs.
    pub operator: Arc<Operator>,
    /// The console, if there is one.
    pub console: Option<Arc<Console>>,
}

/// Serves it to its end; `place` is given back then. An idle session shall be small: what is needed once only is
/// boxed, and no argument is kept twice, as an `async fn` would.
pub fn serve<P>(worker: Rc<Worker>, hosts: Hosts, accepted: Accepted, place: P) -> impl Future<Output = ()> {
    let Hosts { operator, console } = hosts;
    let id = operator.next_session_id();
    let Accepted { stream, client, entrance, is_reserved } = accepted;
    let worker_of_it = Rc::clone(&worker);
    let connection =
        Connection { worker: worker_of_it, operator, console, client, entrance, is_reserved, id };
    let established = Box::pin(connection.establish(stream));
    async move {
        match established.await {
            Some(Established::Session(mut relay)) => {
                // In a block of its own: nothing of it is kept while the leave is taken.
                let leave = {
                    let over = relay.run().await;
                    Box::pin(leaving::take_leave(worker, relay, over))
                };
                leave.await;
            }
            Some(Established::Console(guest, stream)) => {
                if let Err(error) = Box::pin(console::talk(*guest, stream)).await {
                    tracing::info!(session = id, %error, "a connection to the console was lost");
                }
            }
            None => {}
        }
        drop(place);
    }
}

struct Connection {
    worker: Rc<Worker>,
    operator: Arc<Operator>,
    console: Option<Arc<Console>>,
    client: Option<SocketAddr>,
    entrance: Entrance,
    is_reserved: bool,
    id: u64,
}

/// What a connection came to.
enum Established {
    Session(Box<Relay>),
    Console(Box<Guest>, Stream),
}

impl Connection {
    /// From the first byte to a session; the client has been told if there is none.
    async fn establish(self, mut stream: Stream) -> Option<Established> {
        let limit = self.worker.shared.config.limits.login_timeout;
        let limit = if self.is_reserved { limit.min(RESERVED_TIMEOUT) } else { limit };
        let established = timeout(limit, self.log_in(&mut stream)).await;
        let result =
            established.unwrap_or_else(|_| Err(NetError::LoginTimeout { limit_ms: limit.as_millis() }));
        match result {
            Ok(None) => None,
            Ok(Some(LoggedInAt::Server(at_server))) => {
                Some(Established::Session(self.begin(stream, *at_server)))
            }
            Ok(Some(LoggedInAt::Console(guest))) => Some(Established::Console(guest, stream)),
            Err(error) => {
                self.operator.note_login(false);
                self.say_why(&mut stream, &error).await;
                let client = self.client.map(tracing::field::display);
                tracing::info!(session = self.id, client, problem = %with_causes(&error), "no session came about");
                None
            }
        }
    }

    async fn log_in(&self, client: &mut Stream) -> Result<Option<LoggedInAt>, NetError> {
        let shared = &self.worker.shared;
        let (mut message, mut from_client, end_point) = match greet(client, shared.doorway.as_deref()).await?
        {
            Greeting::Nothing => return Ok(None),
            Greeting::Cancel(key) => {
                self.cancel(&key).await;
                return Ok(None);
            }
            Greeting::Session(message, from_client, end_point) => (message, from_client, end_point),
        };
        if let Some(console) =
            self.console.as_ref().filter(|console| self.is_ordinary() && console.is_for(&message))
        {
            let guest = console.log_in(client, &message, (from_client, end_point), self.client).await?;
            return Ok(Some(LoggedInAt::Console(Box::new(guest))));
        }
        if self.is_reserved {
            return Err(NetError::TooMany { remedy: "Frostgate's limits.max_connections is reached." });
        }
        let database = String::from_utf8_lossy(message.database()).into_owned();
        let Some((at, dbname)) = shared.servers.route(&database) else {
            return Err(NetError::NoDatabase { name: database });
        };
        let asked = (&mut from_client, end_point.clone());
        let credential = self.authenticate(client, (&message, &at), asked).await?;
        if matches!(self.ruling(&message), Some(Ruling::Denied(_))) {
            return Err(NetError::Denied);
        }
        let connected = at.upstream.connect().await;
        at.note_up(connected.is_ok());
        let (server, place) = connected?;
        let way = self.login_way((&mut message, &at));
        // From here on it is the server's name for it; what is told, and who is meant, goes by the client's.
        if let Some(dbname) = dbname {
            message.set("database", dbname);
        }
        let credential = credential.map(|credential| (credential, shared.keeper.deriver()));
        let relayed = Relayed { way, from_client, end_point, may_come_otherwise: true, credential };
        let logged_in = self.log_in_either_way(client, (&at, server, place), &message, relayed).await?;
        let Some((login, server, place)) = logged_in else {
            self.operator.note_login(false);
            return Ok(None);
        };
        self.operator.note_login(true);
        if let Some(version) = login.parameter("server_version") {
            at.known.learn_version(&String::from_utf8_lossy(version));
        }
        let is_fenced = matches!(way, LoginWay::Fenced { .. });
        Ok(Some(LoggedInAt::Server(Box::new(AtServer {
            at,
            server,
            place,
            database,
            message,
            login,
            is_fenced,
        }))))
    }

    fn is_ordinary(&self) -> bool {
        self.entrance == Entrance::Ordinary
    }

    /// Asks the client who it is, if the proxy is to ask it; what the server is then answered with.
    async fn authenticate(
        &self,
        client: &mut Stream,
        (message, at): (&StartupMessage, &Server),
        (from_client, end_point): (&mut Vec<u8>, Option<Vec<u8>>),
    ) -> Result<Option<Credential>, NetError> {
        let shared = &self.worker.shared;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let user = text(message.user());
        let Some(method) = shared.keeper.method(&user, &text(message.database())) else { return Ok(None) };
        let certificate = client.peer_certificate().and_then(|der| Certificate::read(der).ok());
        let certificate_name = certificate.and_then(|certificate| certificate.common_name());
        let salt_key = *shared.keeper.salt_key();
        let who = auth::Client { user, method, end_point, certificate_name, salt_key };
        shared.keeper.ask(client, from_client, who, Some(&at.upstream)).await.map(Some)
    }

    /// Where `sslmode` leaves it open whether the server's leg is encrypted, and the server has no entry in
    /// `pg_hba.conf` for the one, the other is tried, as libpq does.
    async fn log_in_either_way(
        &self,
        client: &mut Stream,
        (at, mut server, place): (&Server, Stream, Place),
        message: &StartupMessage,
        relayed: Relayed<'_>,
    ) -> Result<Option<(LoggedIn, Stream, Place)>, NetError> {
        let Relayed { way, ref end_point, ref credential, .. } = relayed;
        let (end_point, credential) = (end_point.clone(), credential.clone());
        let (answer, from_client) = match log_in(client, &mut server, message, relayed).await? {
            LoginOutcome::LoggedIn(login) => return Ok(Some((login, server, place))),
            LoginOutcome::Refused => return Ok(None),
            LoginOutcome::NotThisWay(answer, from_client) => (answer, from_client),
        };
        let Some((mut server, place)) = at.upstream.connect_otherwise(&place).await else {
            tell(client, &answer).await;
            return Ok(None);
        };
        let relayed = Relayed { way, from_client, end_point, may_come_otherwise: false, credential };
        match log_in(client, &mut server, message, relayed).await? {
            LoginOutcome::LoggedIn(login) => Ok(Some((login, server, place))),
            LoginOutcome::Refused | LoginOutcome::NotThisWay(..) => Ok(None),
        }
    }

    /// A login trigger writes before any fence could be put up in the session. Behind a shut gate the login itself
    /// is made read-only where there may be one; before that, a login that may run one is waited for by a drain.
    fn login_way(&self, (message, at): (&mut StartupMessage, &Server)) -> LoginWay<'_> {
        let shared = &self.worker.shared;
        let database = String::from_utf8_lossy(message.database()).into_owned();
        let may_write = self.entrance == Entrance::Ordinary
            && message.replication() != Replication::Physical
            && at.known.may_have_login_triggers(&database)
            && at.known.is_pooler() != Some(true);
        if !may_write {
            return LoginWay::Plain;
        }
        if !shared.switch.gate().is_shut() || self.ruling(message).is_some_and(|ruling| ruling.is_free()) {
            return LoginWay::Counted(shared.switch.roster());
        }
        let own = message.parameter("default_transaction_read_only").map(|value| value == b"on");
        message.set("default_transaction_read_only", "on");
        LoginWay::Fenced { told: own.unwrap_or(false) }
    }

    /// What a shut gate is to who comes by an ordinary listener, as far as the start-up packet tells.
    fn ruling(&self, message: &StartupMessage) -> Option<Ruling> {
        let switch = &self.worker.shared.switch;
        if self.entrance == Entrance::Maintenance || !switch.gate().is_shut() {
            return None;
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let application = message.parameter("application_name").map(text).unwrap_or_default();
        let (user, database) = (text(message.user()), text(message.database()));
        let client = self.client.map(|address| address.ip());
        let who = Who { user: &user, database: &database, application: &application, client };
        Some(switch.ruling_of(&who).2)
    }

    async fn say_why(&self, client: &mut Stream, error: &NetError) {
        let shared = &self.worker.shared;
        match error {
            NetError::Lost { peer: Peer::Client, .. } | NetError::Closed { peer: Peer::Client } => {}
            // While frozen an absent server is expected: clients read the operator's words.
            NetError::Unreachable { .. } | NetError::Denied if shared.switch.gate().is_shut() => {
                let words = crate::session::Words::new(&shared.switch.state(), &shared.config.refusal);
                turn_away(client, SqlState::CANNOT_CONNECT_NOW, &error.client_text(), &words.detail).await;
            }
            NetError::Protocol { .. }
            | NetError::Lost { .. }
            | NetError::Closed { .. }
            | NetError::LoginTimeout { .. }
            | NetError::Unreachable { .. }
            | NetError::Denied
            | NetError::TooMany { .. }
            | NetError::NoDatabase { .. }
            | NetError::RepeatedRequest
            | NetError::Handshake { .. }
            | NetError::PlainBehindRequest
            | NetError::NotEncrypted
            | NetError::ChannelBinding
            | NetError::Auth(_)
            | NetError::Secrets { .. }
            | NetError::OwnLogin { .. }
            | NetError::SecretQuery(_)
            | NetError::Deriving(_)
            | NetError::Random(_)
            | NetError::Session(_) => {
                turn_away(client, error.sql_state(), &error.client_text(), error.remedy()).await;
            }
        }
    }

    /// Both sides are logged in to each other: from now on it is a session.
    fn begin(&self, client: Stream, at_server: AtServer) -> Box<Relay> {
        let settings = self.settings(&at_server);
        let AtServer { at, server, place, database, message, login, .. } = at_server;
        let shared = &self.worker.shared;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let user = text(message.user());
        let application = login.parameter("application_name").map(text).unwrap_or_default();
        let identity = Identity {
            id: self.id,
            user: user.as_str().into(),
            database: database.as_str().into(),
            client: self.client,
            entrance: self.entrance,
            since: self.operator.now(),
            cancel_key: login.cancel_key,
            upstream: Arc::clone(&at.name),
            place,
        };
        if let Some(key) = &identity.cancel_key {
            shared.pids.enter(&at.key, key.process_id);
        }
        let record = shared.switch.roster().enter(identity, &application);
        let from = self.client.map_or_else(|| "local".to_owned(), |address| address.to_string());
        let upstream = &*at.name;
        tracing::info!(
            session = self.id,
            client = from,
            user,
            database,
            upstream,
            application,
            "session begins"
        );
        if self.entrance == Entrance::Maintenance {
            let who = json!({ "session": self.id, "user": user, "database": database, "client": from });
            self.operator.tell("maintenance_login", who);
        }
        let ends = Ends { client: (client, login.from_client), server: (server, login.from_server) };
        // Boxed, as a future keeps room for each place that a value has been at.
        let whose = (Rc::clone(&self.worker), Arc::clone(&at));
        Box::new(Relay::new(whose, record, settings, ends))
    }

    fn settings(&self, at_server: &AtServer) -> SessionSettings {
        let AtServer { at, message, login, .. } = at_server;
        let replication = message.replication();
        SessionSettings {
            role: match self.entrance {
                Entrance::Ordinary => Role::Ordinary,
                Entrance::Maintenance => Role::Exempt,
            },
            replication,
            fence: match replication {
                _ if at.known.is_pooler() == Some(true) => FenceKind::None,
                Replication::None | Replication::Database => FenceKind::Session,
                Replication::Physical => FenceKind::None,
            },
            encoding: login
                .parameter("client_encoding")
                .map_or(ClientEncoding::Uncertain, ClientEncoding::from_name),
            default_read_only: login.parameter("default_transaction_read_only").map(|value| value == b"on"),
            process_id: login.cancel_key.as_ref().map_or(0, |key| key.process_id),
            fenced_at_login: at_server.is_fenced,
            advertise_read_only: self.worker.shared.config.advertise_read_only,
            is_strict: self.worker.shared.config.strict_functions,
        }
    }
}

/// Where a client has logged in.
enum LoggedInAt {
    Server(Box<AtServer>),
    Console(Box<Guest>),
}

/// What a login came to at the server.
struct AtServer {
    at: Arc<Server>,
    server: Stream,
    place: Place,
    /// As the client calls it.
    database: String,
    message: StartupMessage,
    login: LoggedIn,
    is_fenced: bool,
}
