//! The file as it is written: every key optional, unknown keys refused. Defaults live in `settings.rs`.

use crate::matching::Network;
use jiff::Timestamp;
use serde::Deserialize;

/// One value or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn into_texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// See the module's text. Each key is explained in `docs/CONFIGURATION.md`; a test holds that file to this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    pub(super) listen: Option<OneOrMany>,
    pub(super) maintenance_listen: Option<String>,
    pub(super) upstream: Option<String>,
    #[serde(default)]
    pub(super) upstreams: Vec<RawUpstream>,
    #[serde(default)]
    pub(super) databases: Vec<RawDatabase>,
    pub(super) state_dir: Option<String>,
    pub(super) control: Option<String>,
    pub(super) http: Option<String>,
    pub(super) threads: Option<u64>,
    pub(super) advertise_read_only: Option<bool>,
    pub(super) strict_functions: Option<bool>,
    pub(super) monitor: Option<String>,
    pub(super) expect: Option<OneOrMany>,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) tls: RawTls,
    #[serde(default)]
    pub(super) auth: RawAuth,
    #[serde(default)]
    pub(super) refusal: RawRefusal,
    #[serde(default)]
    pub(super) audit: RawAudit,
    #[serde(default)]
    pub(super) console: RawConsole,
    #[serde(default)]
    pub(super) exceptions: Vec<RawRule>,
    #[serde(default)]
    pub(super) deny: Vec<RawRule>,
    #[serde(default)]
    pub(super) hooks: RawHooks,
    #[serde(default)]
    pub(super) smoke: RawSmoke,
    #[serde(default)]
    pub(super) reopen: Vec<RawStage>,
}

/// `[console]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConsole {
    pub(super) database: Option<String>,
    pub(super) secrets: Option<String>,
    pub(super) admins: Option<OneOrMany>,
    pub(super) viewers: Option<OneOrMany>,
    pub(super) max_connections: Option<u64>,
}

/// `[[upstreams]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    pub(super) name: String,
    pub(super) conninfo: String,
    pub(super) monitor: Option<String>,
}

/// `[[databases]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) name: String,
    pub(super) upstream: Option<String>,
    pub(super) dbname: Option<String>,
}

/// `[hooks]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHooks {
    pub(super) before_freeze: Option<OneOrMany>,
    pub(super) after_freeze: Option<OneOrMany>,
    pub(super) after_thaw: Option<OneOrMany>,
    pub(super) timeout_ms: Option<u64>,
}

/// `[smoke]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSmoke {
    pub(super) conninfo: Option<OneOrMany>,
    pub(super) read: Option<String>,
    pub(super) write: Option<String>,
    pub(super) required: Option<bool>,
}

/// `[[reopen]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStage {
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) database: Option<String>,
    pub(super) application: Option<String>,
    pub(super) network: Option<Network>,
    pub(super) dwell_ms: Option<u64>,
    pub(super) max_refused: Option<u64>,
    pub(super) max_server_errors: Option<u64>,
}

/// `[[exceptions]]`, `[[deny]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) user: Option<String>,
    pub(super) database: Option<String>,
    pub(super) application: Option<String>,
    pub(super) network: Option<Network>,
    pub(super) owner: Option<String>,
    pub(super) until: Option<Timestamp>,
}

/// `[limits]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) max_connections: Option<u64>,
    pub(super) max_statement_bytes: Option<u64>,
    pub(super) login_timeout_ms: Option<u64>,
    pub(super) connect_timeout_ms: Option<u64>,
    pub(super) shutdown_timeout_ms: Option<u64>,
    pub(super) keepalive_ms: Option<u64>,
    pub(super) monitor_interval_ms: Option<u64>,
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) mode: Option<String>,
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) min_version: Option<String>,
}

/// `[auth]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub(super) rules: Option<Vec<RawAuthRule>>,
    pub(super) secrets: Option<String>,
    pub(super) query: Option<String>,
    pub(super) query_user: Option<String>,
    pub(super) query_database: Option<String>,
}

/// One of `auth.rules`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthRule {
    pub(super) user: Option<OneOrMany>,
    pub(super) database: Option<OneOrMany>,
    pub(super) method: String,
}

/// `[refusal]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRefusal {
    pub(super) sqlstate: Option<String>,
    pub(super) hint: Option<String>,
}

/// `[audit]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAudit {
    pub(super) interval_ms: Option<u64>,
    pub(super) sql: Option<bool>,
}

/// What flags and the environment may say in the file's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the flags of `serve`, each under its own name")]
pub struct Overrides {
    pub listen: Vec<String>,
    pub maintenance_listen: Option<String>,
    pub upstream: Option<String>,
    pub state_dir: Option<String>,
    pub control: Option<String>,
    pub http: Option<String>,
    pub threads: Option<u64>,
    pub monitor: Option<String>,
    pub expect: Vec<String>,
}

impl RawConfig {
    /// What was said by flag or environment takes the file's place.
    #[must_use]
    pub fn overridden_by(self, said: Overrides) -> Self {
        let many = |said: Vec<String>, own| if said.is_empty() { own } else { Some(OneOrMany::Many(said)) };
        Self {
            listen: many(said.listen, self.listen),
            expect: many(said.expect, self.expect),
            monitor: said.monitor.or(self.monitor),
            maintenance_listen: said.maintenance_listen.or(self.maintenance_listen),
            upstream: said.upstream.or(self.upstream),
            state_dir: said.state_dir.or(self.state_dir),
            control: said.control.or(self.control),
            http: said.http.or(self.http),
            threads: said.threads.or(self.threads),
            ..self
        }
    }
}
