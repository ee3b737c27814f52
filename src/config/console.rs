//! The console, as the file's `[console]` says it: under which name, for whom, as whom.

use super::{
    auth::AuthSettings,
    error::Fault,
    raw::{OneOrMany, RawConsole},
};
use std::path::PathBuf;

/// Where the console is if nobody says otherwise.
const DEFAULT_DATABASE: &str = "frostgate";
const DEFAULT_CONNECTIONS: u64 = 8;
/// Connections that may be allowed.
const CONNECTIONS_LIMIT: u64 = 1_000;
/// Users that may be named.
const USERS_LIMIT: usize = 1_000;

/// What a user of the console may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsoleRole {
    /// Look.
    Viewer,
    /// Look, and change the state.
    Admin,
}

impl ConsoleRole {
    /// The role's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// The name of the database that is the console.
    pub database: String,
    /// How its users prove who they are.
    pub auth: AuthSettings,
    /// Who may change the state.
    pub admins: Vec<String>,
    /// Who may look.
    pub viewers: Vec<String>,
    /// Connections at a time.
    pub max_connections: usize,
}

impl ConsoleSettings {
    /// What that user may do; none: there is no such user.
    pub fn role(&self, user: &str) -> Option<ConsoleRole> {
        let has = |names: &[String]| names.iter().any(|name| name == user);
        let viewer = has(&self.viewers).then_some(ConsoleRole::Viewer);
        if has(&self.admins) { Some(ConsoleRole::Admin) } else { viewer }
    }

    /// None where nobody is named: then the name goes to the server as every other.
    pub(super) fn check(raw: RawConsole, mut fault: impl FnMut(Fault)) -> Option<Self> {
        if raw == RawConsole::default() {
            return None;
        }
        let mut wrong = |key: &str, problem: String| fault(Fault::new(key, problem));
        let list = |names: Option<OneOrMany>| names.map_or_else(Vec::new, OneOrMany::into_texts);
        let says_users = raw.admins.is_some() || raw.viewers.is_some();
        let (admins, viewers) = (list(raw.admins), list(raw.viewers));
        // Who says that there are none means it.
        if says_users && admins.is_empty() && viewers.is_empty() {
            return None;
        }
        let users = admins.len().saturating_add(viewers.len());
        if users == 0 || users > USERS_LIMIT || admins.iter().chain(&viewers).any(String::is_empty) {
            let problem = "expected the names of the console's users, here or in console.viewers";
            wrong("console.admins", problem.into());
        }
        if raw.secrets.is_none() {
            wrong("console.secrets", "expected a file of the users' passwords or verifiers".into());
        }
        let database = raw.database.unwrap_or_else(|| DEFAULT_DATABASE.into());
        if database.is_empty() {
            wrong("console.database", "expected a name".into());
        }
        let connections = raw.max_connections.unwrap_or(DEFAULT_CONNECTIONS);
        if !(1..=CONNECTIONS_LIMIT).contains(&connections) {
            let problem = format!("expected 1 to {CONNECTIONS_LIMIT}, got {connections}");
            wrong("console.max_connections", problem);
        }
        Some(Self {
            database,
            auth: AuthSettings::scram(PathBuf::from(raw.secrets?)),
            admins,
            viewers,
            max_connections: usize::try_from(connections).unwrap_or(usize::MAX),
        })
    }
}
