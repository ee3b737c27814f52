//! Who comes to the console: the login, the limit on connections, and whose waiting a cancel request ends.

use crate::{
    auth::{self, AuthError},
    config::{AuthMethod, ConsoleRole, ConsoleSettings},
    control::{Operator, Reloaded},
    net::{Keeper, NetError, Shared, Stream},
    tls::random,
    wire::startup::{CancelKey, Replication, StartupMessage},
};
use jiff::Zoned;
use serde_json::json;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::Notify};

/// The newest minor version of the protocol that is spoken.
pub(super) const MINOR: u16 = 2;

/// Places beyond the limit for admins: whoever only looks can't keep out who thaws.
const ADMIN_PLACES: usize = 2;

/// See the module's text. One for all workers.
#[derive(Debug)]
pub struct Console {
    settings: ConsoleSettings,
    keeper: Keeper,
    pub(super) operator: Arc<Operator>,
    pub(super) shared: Shared,
    pub(super) clock: fn() -> Zoned,
    pub(super) runtime: Handle,
    guests: Mutex<HashMap<CancelKey, Arc<Notify>>>,
}

/// A connection that has logged in; its place is given back when it goes.
#[derive(Debug)]
pub struct Guest {
    pub(super) console: Arc<Console>,
    pub(super) user: String,
    pub(super) role: ConsoleRole,
    pub(super) client: String,
    pub(super) application: String,
    pub(super) key: CancelKey,
    pub(super) cancelled: Arc<Notify>,
    /// What it sent behind its login.
    pub(super) held: Vec<u8>,
    /// The protocol's minor version that it asked for, and what it asked for beside that nobody knows.
    pub(super) minor: u16,
    pub(super) unknown: Vec<String>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.console.lock().remove(&self.key);
    }
}

impl Console {
    /// A console; `clock` tells the time where the proxy runs. What is said there is done on that runtime, and not on the
    /// threads that relay: verbs wait for the disk.
    ///
    /// # Errors
    /// The file of secrets can't be read.
    pub fn new(
        settings: ConsoleSettings,
        operator: Arc<Operator>,
        shared: Shared,
        clock: fn() -> Zoned,
        runtime: Handle,
    ) -> Result<Self, NetError> {
        let keeper = Keeper::new(settings.auth.clone())?;
        Ok(Self { settings, keeper, operator, shared, clock, runtime, guests: Mutex::default() })
    }

    /// Reads the file of secrets again.
    pub fn reload(&self) -> Reloaded {
        Reloaded::of("console", self.keeper.reload())
    }

    /// Whether the console is what that client wants.
    pub fn is_for(&self, message: &StartupMessage) -> bool {
        message.database() == self.settings.database.as_bytes() && message.replication() == Replication::None
    }

    /// Ends the waiting of the connection that has that key, if one has.
    pub fn cancel(&self, key: &CancelKey) -> bool {
        let guests = self.lock();
        // Only who waits now hears it: what is said next is not meant.
        guests.get(key).inspect(|cancelled| cancelled.notify_waiters()).is_some()
    }

    /// Asks a client who it is, and gives it a place.
    ///
    /// # Errors
    /// It has not proved it, or is no user of the console, or all places are taken; that is in the audit too.
    pub async fn log_in(
        self: &Arc<Self>,
        stream: &mut Stream,
        message: &StartupMessage,
        (mut held, end_point): (Vec<u8>, Option<Vec<u8>>),
        from: Option<SocketAddr>,
    ) -> Result<Guest, NetError> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let user = text(message.user());
        let client = from.map_or_else(|| "local".to_owned(), |address| address.to_string());
        let who = auth::Client {
            user: user.clone(),
            method: AuthMethod::Scram,
            end_point,
            certificate_name: None,
            salt_key: *self.keeper.salt_key(),
        };
        let asked = self.keeper.ask(stream, &mut held, who, None).await;
        let entered = asked.and_then(|_credential| {
            let role = self.settings.role(&user).ok_or(AuthError::Failed { user: user.clone() })?;
            let (key, cancelled) = self.enter(message.minor, role)?;
            Ok((role, key, cancelled))
        });
        let (role, key, cancelled) = entered.inspect_err(|error| {
            let problem = error.to_string();
            let facts = json!({ "user": user, "client": client, "problem": problem });
            self.operator.tell_aside("console_login_failed", facts);
        })?;
        let facts = json!({ "user": user, "role": role.as_str(), "client": client });
        self.operator.tell_aside("console_login", facts);
        let application = message.parameter("application_name").map(text).unwrap_or_default();
        let unknown = message.parameters().map(|(name, _)| name).filter(|name| name.starts_with(b"_pq_."));
        Ok(Guest {
            console: Arc::clone(self),
            user,
            role,
            client,
            application,
            key,
            cancelled,
            held,
            minor: message.minor,
            unknown: unknown.map(text).collect(),
        })
    }

    fn enter(&self, minor: u16, role: ConsoleRole) -> Result<(CancelKey, Arc<Notify>), NetError> {
        let [a, b, c, d, secret @ ..] = random::<36>()?;
        // A process id is positive.
        let process_id = u32::from_be_bytes([a, b, c, d]) >> 1;
        // Four bytes is what protocol 3.0 has room for.
        let length = if minor == 0 { 4 } else { secret.len() };
        let key = CancelKey { process_id, secret: secret.get(..length).unwrap_or_default().into() };
        let mut guests = self.lock();
        let more = if role == ConsoleRole::Admin { ADMIN_PLACES } else { 0 };
        if guests.len() >= self.settings.max_connections.saturating_add(more) {
            return Err(NetError::TooMany {
                remedy: "All places of Frostgate's console are taken: console.max_connections.",
            });
        }
        let cancelled = Arc::<Notify>::default();
        guests.insert(key.clone(), Arc::clone(&cancelled));
        Ok((key, cancelled))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CancelKey, Arc<Notify>>> {
        // A map is whole even if a holder panicked.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
