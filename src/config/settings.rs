//! The configuration that the program runs on. Defaults live here and nowhere else; all faults are told at
//! once.

use super::{
    auth::AuthSettings,
    console::ConsoleSettings,
    error::{ConfigError, Fault},
    expect::Expectation,
    raw::{OneOrMany, RawConfig, RawLimits, RawRefusal},
    rules::rules,
    tls::TlsSettings,
    upstreams::{self, MAIN, UpstreamSettings, Upstreams},
    values::Address,
    window::WindowSettings,
};
use crate::matching::Rule;
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

/// Where clients connect by default.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:6440";
/// Where metrics and health are by default.
pub const DEFAULT_HTTP: &str = "127.0.0.1:6441";
/// Threads that relay; more than this no machine needs.
const THREADS_LIMIT: u64 = 1024;
const DAY_MS: u64 = 86_400_000;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where ordinary clients connect.
    pub listen: Vec<Address>,
    /// Where exempt ones do.
    pub maintenance_listen: Option<Address>,
    /// Where the servers are, and which databases are on which; who looks at them.
    pub upstreams: Upstreams,
    /// Where the freeze is kept.
    pub state_dir: PathBuf,
    /// The socket that the command line speaks to.
    pub control: PathBuf,
    /// Metrics and health.
    pub http: Option<Address>,
    /// Threads that relay; none: one for each core.
    pub threads: Option<usize>,
    /// Show the fence to clients instead of hiding it.
    pub advertise_read_only: bool,
    /// Refuse, while frozen, what calls a function that is not known to be harmless.
    pub strict_functions: bool,
    /// Who may go round the proxy.
    pub expect: Vec<Expectation>,
    /// How much, how long.
    pub limits: Limits,
    /// TLS to clients; none: they are spoken to in plain text.
    pub tls: Option<TlsSettings>,
    /// Whose authentication ends here.
    pub auth: AuthSettings,
    /// The console that psql connects to; none: there is none.
    pub console: Option<ConsoleSettings>,
    /// What a refusal says beside the operator's words.
    pub refusal: RefusalTexts,
    /// How often a refused statement of one shape, application and user is logged.
    pub audit_interval: Duration,
    /// Whether the audit line holds the statement's shape (never its literals).
    pub audit_sql: bool,
    /// Who may write while frozen, and who may not even read.
    pub rules: Vec<Rule>,
    /// Hooks, the smoke test, the stages of a reopening.
    pub window: WindowSettings,
}

/// How much, how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, those that have not logged in included.
    pub max_connections: usize,
    /// The longest Query or Parse that is held and judged, in bytes; a longer one is of class *unknown*.
    pub max_statement: u32,
    /// From a connection's first byte to the end of its login.
    pub login_timeout: Duration,
    /// For reaching the server.
    pub connect_timeout: Duration,
    /// From SIGTERM to the end.
    pub shutdown_timeout: Duration,
    /// A silent TCP connection is asked for a sign of life after this; none: never.
    pub keepalive: Option<Duration>,
    /// Between two looks at the server while the gate is shut.
    pub monitor_interval: Duration,
}

/// What a refusal says beside the operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalTexts {
    /// The code, five characters.
    pub sql_state: String,
    /// HINT; none: the default text.
    pub hint: Option<String>,
}

impl Config {
    /// Looks at every value. `default_state_dir` is where the freeze is kept if nobody says otherwise.
    ///
    /// # Errors
    /// All faults, each with its key.
    pub fn check(raw: RawConfig, default_state_dir: PathBuf) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, problem: String| faults.push(Fault::new(key, problem));
        let texts = raw.listen.map_or_else(|| vec![DEFAULT_LISTEN.to_owned()], OneOrMany::into_texts);
        let mut address = |key: &str, text: &str| match Address::parse(text) {
            Ok(address) => Some(address),
            Err(problem) => {
                fault(key, problem);
                None
            }
        };
        let listen: Vec<Address> = texts.iter().filter_map(|text| address("listen", text)).collect();
        let maintenance_listen = raw.maintenance_listen.and_then(|t| address("maintenance_listen", &t));
        let http = match raw.http.as_deref() {
            Some("off") => None,
            text => address("http", text.unwrap_or(DEFAULT_HTTP)),
        };
        let said = (raw.upstream.as_deref(), raw.monitor.as_deref());
        let main = main_upstream(said, raw.upstreams.is_empty(), &mut fault);
        if texts.is_empty() {
            fault("listen", "expected at least one address".into());
        }
        let expect = expectations(raw.expect).map_err(|problem| fault("expect", problem));
        let mut bounds = Bounds(Vec::new());
        let threads = raw.threads.map(|n| bounds.check("threads", Some(n), 1, 1..=THREADS_LIMIT));
        let limits = Limits::check(&raw.limits, &mut bounds);
        let audit_interval = bounds.time("audit.interval_ms", raw.audit.interval_ms, 60_000);
        faults.extend(bounds.0);
        let upstreams = Upstreams::check(main, raw.upstreams, raw.databases, |fault| faults.push(fault));
        let can_see_certificates = raw.tls.client_ca.is_some();
        let tls = TlsSettings::check(raw.tls, |fault| faults.push(fault));
        let auth = AuthSettings::check(raw.auth, can_see_certificates, |fault| faults.push(fault));
        let console = ConsoleSettings::check(raw.console, |fault| faults.push(fault));
        let rules = rules(raw.exceptions, raw.deny, |fault| faults.push(fault));
        let window = WindowSettings::check(raw.hooks, raw.smoke, raw.reopen, |fault| faults.push(fault));
        let refusal =
            refusal(raw.refusal).map_err(|problem| faults.push(Fault::new("refusal.sqlstate", problem)));
        let read = (expect, refusal, faults.is_empty());
        let (Ok(expect), Ok(refusal), true) = read else {
            return Err(ConfigError::Faults(faults));
        };
        let state_dir = raw.state_dir.map_or(default_state_dir, PathBuf::from);
        Ok(Self {
            listen,
            maintenance_listen,
            upstreams,
            control: raw.control.map_or_else(|| state_dir.join("control.sock"), PathBuf::from),
            state_dir,
            http,
            threads: threads.and_then(|n| usize::try_from(n).ok()),
            advertise_read_only: raw.advertise_read_only.unwrap_or(false),
            strict_functions: raw.strict_functions.unwrap_or(false),
            expect,
            limits,
            tls,
            auth,
            console,
            refusal,
            audit_interval,
            audit_sql: raw.audit.sql.unwrap_or(false),
            rules,
            window,
        })
    }
}

/// Numbers, and the faults that are found in them.
struct Bounds(Vec<Fault>);

impl Bounds {
    fn check(&mut self, key: &str, value: Option<u64>, default: u64, range: RangeInclusive<u64>) -> u64 {
        let value = value.unwrap_or(default);
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.0.push(Fault::new(key, format!("expected {least} to {most}, got {value}")));
        }
        value
    }

    fn time(&mut self, key: &str, milliseconds: Option<u64>, default: u64) -> Duration {
        Duration::from_millis(self.check(key, milliseconds, default, 1..=DAY_MS))
    }
}

impl Limits {
    fn check(raw: &RawLimits, bounds: &mut Bounds) -> Self {
        let connections = ("limits.max_connections", raw.max_connections, 10_000, 1..=1_000_000);
        let statement = ("limits.max_statement_bytes", raw.max_statement_bytes, 16 << 20, 1 << 10..=1 << 29);
        let mut check = |(key, value, default, range)| bounds.check(key, value, default, range);
        let (connections, statement) = (check(connections), check(statement));
        let keepalive = check(("limits.keepalive_ms", raw.keepalive_ms, 60_000, 0..=DAY_MS));
        Self {
            max_connections: usize::try_from(connections).unwrap_or(usize::MAX),
            max_statement: u32::try_from(statement).unwrap_or(u32::MAX),
            login_timeout: bounds.time("limits.login_timeout_ms", raw.login_timeout_ms, 60_000),
            connect_timeout: bounds.time("limits.connect_timeout_ms", raw.connect_timeout_ms, 10_000),
            shutdown_timeout: bounds.time("limits.shutdown_timeout_ms", raw.shutdown_timeout_ms, 30_000),
            monitor_interval: bounds.time("limits.monitor_interval_ms", raw.monitor_interval_ms, 10_000),
            keepalive: (keepalive > 0).then(|| Duration::from_millis(keepalive)),
        }
    }
}

/// The server that `upstream` tells of, and its monitor; none where the list has all.
fn main_upstream(
    (upstream, monitor): (Option<&str>, Option<&str>),
    is_needed: bool,
    fault: &mut impl FnMut(&str, String),
) -> Option<UpstreamSettings> {
    let conninfo = upstream.map(upstreams::server).transpose();
    let conninfo = conninfo.map_err(|problem| fault("upstream", problem));
    if is_needed && upstream.is_none() {
        let example = "expected the server's connection string, such as \"host=127.0.0.1 port=5432\"";
        fault("upstream", example.into());
    } else if upstream.is_none() && monitor.is_some() {
        fault("monitor", "it looks at upstream, which is not given; each of upstreams has its own".into());
    }
    let monitor = monitor.map(upstreams::monitor).transpose();
    let monitor = monitor.map_err(|problem| fault("monitor", problem)).ok()?;
    Some(UpstreamSettings { name: MAIN.into(), conninfo: conninfo.ok()??, monitor })
}

fn refusal(raw: RawRefusal) -> Result<RefusalTexts, String> {
    let sql_state = raw.sqlstate.unwrap_or_else(|| "25006".into());
    if sql_state.len() != 5 || !sql_state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return Err(format!("expected five digits or capital letters, got {sql_state:?}"));
    }
    Ok(RefusalTexts { sql_state, hint: raw.hint })
}

fn expectations(raw: Option<OneOrMany>) -> Result<Vec<Expectation>, String> {
    let texts = raw.map_or_else(Vec::new, OneOrMany::into_texts);
    texts.iter().map(|text| Expectation::parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConsoleRole, TlsPolicy};

    fn check(text: &str) -> Result<Config, ConfigError> {
        Config::check(RawConfig::parse(text)?, "/state".into())
    }

    #[test]
    fn an_upstream_is_all_that_is_needed() {
        let config = check("upstream = 'host=db'").unwrap();
        assert_eq!(config.listen, [Address::Tcp { host: "127.0.0.1".into(), port: 6440 }]);
        assert_eq!(config.control, PathBuf::from("/state/control.sock"));
        assert_eq!(config.limits.max_statement, 16 << 20);
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_key() {
        let text = "listen = ['x', '127.0.0.1:1']\nhttp = 'y'\nupstream = 'host=h user=u'\nmonitor = 'host=h'\n\
                    expect = 'backup'\nthreads = 0\n\
                    [limits]\nmax_connections = 0\nlogin_timeout_ms = 0\n[refusal]\nsqlstate = '2500'\n";
        let Err(ConfigError::Faults(faults)) = check(text) else { panic!("faults were expected") };
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        let expected = [
            "listen",
            "http",
            "upstream",
            "monitor",
            "expect",
            "threads",
            "limits.max_connections",
            "limits.login_timeout_ms",
            "refusal.sqlstate",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn half_a_way_to_speak_tls_is_a_fault_and_none_is_plain_text() {
        assert_eq!(check("upstream = 'host=h'").unwrap().tls, None);
        let config = check("upstream = 'host=h'\n[tls]\ncert = 'c'\nkey = 'k'").unwrap();
        assert_eq!(config.tls.unwrap().policy, TlsPolicy::Allow);
        for (tls, key) in [
            ("cert = 'c'", "tls.cert:"),
            ("mode = 'require'", "tls.cert:"),
            ("mode = 'on'", "tls.mode:"),
            ("client_certificate = 'require'", "tls.client_certificate:"),
            ("client_certificate = 'yes'", "tls.client_certificate:"),
            ("min_version = 'SSLv3'", "tls.min_version:"),
        ] {
            let error = check(&format!("upstream = 'host=h'\n[tls]\n{tls}")).unwrap_err().to_string();
            assert!(error.contains(key), "{tls}: {error}");
        }
    }

    #[test]
    fn there_is_a_console_only_where_its_users_are_named() {
        assert_eq!(check("upstream = 'host=h'").unwrap().console, None);
        let nobody = "upstream = 'host=h'\n[console]\nsecrets = 's'\nadmins = []\nviewers = []";
        assert_eq!(check(nobody).unwrap().console, None);
        let users = "secrets = 's'\nadmins = 'ann'\nviewers = ['bob', 'ann']";
        let console = check(&format!("upstream = 'host=h'\n[console]\n{users}")).unwrap().console.unwrap();
        assert_eq!((console.database.as_str(), console.max_connections), ("frostgate", 8));
        let roles = ["ann", "bob", "eve"].map(|user| console.role(user));
        assert_eq!(roles, [Some(ConsoleRole::Admin), Some(ConsoleRole::Viewer), None]);
        for (console, key) in [
            ("admins = 'ann'", "console.secrets:"),
            ("secrets = 's'", "console.admins:"),
            ("database = 'x'", "console.admins:"),
            ("secrets = 's'\nadmins = ''", "console.admins:"),
            ("secrets = 's'\nadmins = 'a'\ndatabase = ''", "console.database:"),
            ("secrets = 's'\nadmins = 'a'\nmax_connections = 0", "console.max_connections:"),
        ] {
            let error = check(&format!("upstream = 'host=h'\n[console]\n{console}")).unwrap_err().to_string();
            assert!(error.contains(key), "{console}: {error}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = check("upstream = 'host=h'\nlissten = 'x'").unwrap_err().to_string();
        assert!(error.contains("lissten") && error.contains("maintenance_listen"), "{error}");
    }
}
