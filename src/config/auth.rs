//! Whose authentication ends at the proxy, and how, as the file's `[auth]` says it.

use super::{
    error::Fault,
    raw::{OneOrMany, RawAuth, RawAuthRule},
};
use std::path::PathBuf;

/// How a client proves who it is to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// SCRAM-SHA-256, with channel binding over TLS.
    Scram,
    /// An md5 hash; SCRAM where a SCRAM verifier is what is known.
    Md5,
    /// The password in plain text.
    Password,
    /// A certificate made out to the user, by one of `tls.client_ca`.
    Certificate,
}

/// For whom, and how. Rules are looked at in their order; the first that fits holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthRule {
    users: Vec<String>,
    databases: Vec<String>,
    /// None: the server asks, and the proxy carries it.
    pub method: Option<AuthMethod>,
}

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// Who is asked by the proxy; whom no rule fits is asked by the server.
    pub rules: Vec<AuthRule>,
    /// A file of users and secrets.
    pub secrets: Option<PathBuf>,
    /// A query for a user's secret, with the user as `$1`.
    pub query: Option<AuthQuery>,
}

/// A query for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthQuery {
    /// The SQL; its last column is the secret.
    pub sql: String,
    /// The role that asks; its own secret is in the file.
    pub user: String,
    /// The database that is asked.
    pub database: String,
}

impl AuthSettings {
    /// How that user is to prove who he is to the proxy; none: to the server.
    pub fn method(&self, user: &str, database: &str) -> Option<AuthMethod> {
        let fits = |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
        let rule = self.rules.iter().find(|rule| fits(&rule.users, user) && fits(&rule.databases, database));
        rule.and_then(|rule| rule.method)
    }

    /// Everybody is asked for SCRAM, by the secrets of that file.
    pub(super) fn scram(secrets: PathBuf) -> Self {
        let everybody =
            AuthRule { users: Vec::new(), databases: Vec::new(), method: Some(AuthMethod::Scram) };
        Self { rules: vec![everybody], secrets: Some(secrets), query: None }
    }

    /// Whether anybody's authentication ends here.
    pub fn is_used(&self) -> bool {
        self.rules.iter().any(|rule| rule.method.is_some())
    }

    pub(super) fn check(raw: RawAuth, can_see_certificates: bool, mut fault: impl FnMut(Fault)) -> Self {
        let mut wrong = |key: &str, problem: String| fault(Fault::new(key, problem));
        let mut rules = Vec::new();
        for rule in raw.rules.unwrap_or_default() {
            match AuthRule::check(rule, can_see_certificates) {
                Ok(rule) => rules.push(rule),
                Err(problem) => wrong("auth.rules", problem),
            }
        }
        let asks_for_secrets =
            |rule: &AuthRule| rule.method.is_some_and(|method| method != AuthMethod::Certificate);
        if rules.iter().any(asks_for_secrets) && raw.secrets.is_none() && raw.query.is_none() {
            wrong("auth.secrets", "a file of secrets, or auth.query, is needed by auth.rules".into());
        }
        let query = match (raw.query, raw.query_user) {
            (Some(sql), Some(user)) => {
                let database = raw.query_database.unwrap_or_else(|| "postgres".into());
                Some(AuthQuery { sql, user, database })
            }
            (None, None) => None,
            _ => {
                wrong("auth.query_user", "auth.query and auth.query_user are given together".into());
                None
            }
        };
        Self { rules, secrets: raw.secrets.map(PathBuf::from), query }
    }
}

impl AuthRule {
    fn check(raw: RawAuthRule, can_see_certificates: bool) -> Result<Self, String> {
        let method = match raw.method.as_str() {
            "relayed" => None,
            "scram" => Some(AuthMethod::Scram),
            "md5" => Some(AuthMethod::Md5),
            "password" => Some(AuthMethod::Password),
            "cert" if can_see_certificates => Some(AuthMethod::Certificate),
            "cert" => return Err("the method cert needs tls.client_ca: who vouches for clients?".into()),
            other => {
                return Err(format!("method: expected relayed, scram, md5, password or cert, got {other:?}"));
            }
        };
        let list = |names: Option<OneOrMany>| match names {
            None => Vec::new(),
            Some(OneOrMany::One(name)) => vec![name],
            Some(OneOrMany::Many(names)) => names,
        };
        Ok(Self { users: list(raw.user), databases: list(raw.database), method })
    }
}
