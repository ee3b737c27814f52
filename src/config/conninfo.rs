//! libpq's connection strings: `key=value` pairs and URLs. Source: manual, "Connection Strings" and
//! "Parameter Key Words"; `conninfo_parse` and `conninfo_uri_parse` in `fe-connect.c`.

use super::tls::TlsVersion;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Hosts that one connection string may name.
pub(super) const HOSTS_LIMIT: usize = 64;
const DEFAULT_PORT: u16 = 5432;

/// One place where a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By name or number; `address` is the number to use if the name is only for the certificate.
    Tcp {
        /// Name or number, as it was given.
        name: String,
        /// `hostaddr`.
        address: Option<String>,
        /// Port.
        port: u16,
    },
    /// The folder of a Unix socket.
    Unix {
        /// The folder.
        folder: PathBuf,
        /// The port is part of the socket's name.
        port: u16,
    },
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port, .. } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port, .. } => write!(f, "{name}:{port}"),
            Self::Unix { folder, port } => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// How far TLS is insisted on. Source: manual, "SSL Mode Descriptions".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server will not do without.
    Allow,
    /// If the server can.
    #[default]
    Prefer,
    /// Always; the certificate is not looked at unless a root certificate is given.
    Require,
    /// Always, and the certificate must come from a trusted authority.
    VerifyCa,
    /// As before, and it must be the host's.
    VerifyFull,
}

/// A connection string, read.
#[derive(Clone, PartialEq, Eq)]
pub struct Conninfo {
    /// Where the server is, in the order of trying. Never empty.
    pub hosts: Vec<Host>,
    /// `user`.
    pub user: Option<String>,
    /// `password`.
    pub password: Option<String>,
    /// `dbname`.
    pub database: Option<String>,
    /// `application_name`.
    pub application_name: Option<String>,
    /// `sslmode`.
    pub ssl_mode: SslMode,
    /// `sslrootcert`: a file, or `system`.
    pub ssl_root_cert: Option<PathBuf>,
    /// `sslcert`.
    pub ssl_cert: Option<PathBuf>,
    /// `sslkey`.
    pub ssl_key: Option<PathBuf>,
    /// `sslnegotiation=direct`.
    pub ssl_direct: bool,
    /// `ssl_min_protocol_version`.
    pub ssl_min_version: TlsVersion,
    /// `connect_timeout`; none means the configuration's limit.
    pub connect_timeout: Option<Duration>,
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conninfo({self})")
    }
}

/// Shown without the password.
impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        write!(f, "{}", hosts.join(","))
    }
}

impl Conninfo {
    /// All of its hosts with their numbers and ports, on one line: another place is told otherwise.
    pub fn place(&self) -> String {
        let told = |host: &Host| match host {
            Host::Tcp { address: Some(address), .. } => format!("{host}={address}"),
            Host::Tcp { .. } | Host::Unix { .. } => host.to_string(),
        };
        let hosts: Vec<String> = self.hosts.iter().map(told).collect();
        hosts.join(",").escape_debug().to_string()
    }

    /// Reads either form.
    ///
    /// # Errors
    /// What is wrong, and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pairs = if text.starts_with("postgresql://") || text.starts_with("postgres://") {
            super::conninfo_text::uri(text)?
        } else {
            super::conninfo_text::pairs(text)?
        };
        let mut given = Given::default();
        for (key, value) in pairs {
            given.take(&key, value)?;
        }
        given.check()
    }
}

/// The values as texts, before they are looked at together.
#[derive(Default)]
struct Given {
    host: String,
    hostaddr: String,
    port: String,
    found: Found,
}

#[derive(Default)]
struct Found {
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    application_name: Option<String>,
    ssl_mode: Option<SslMode>,
    ssl_root_cert: Option<PathBuf>,
    ssl_cert: Option<PathBuf>,
    ssl_key: Option<PathBuf>,
    ssl_direct: bool,
    ssl_min_version: TlsVersion,
    connect_timeout: Option<Duration>,
}

impl Given {
    fn take(&mut self, key: &str, value: String) -> Result<(), String> {
        let found = &mut self.found;
        match key {
            "host" => self.host = value,
            "hostaddr" => self.hostaddr = value,
            "port" => self.port = value,
            "user" => found.user = Some(value),
            "password" => found.password = Some(value),
            "dbname" => found.database = Some(value),
            "application_name" => found.application_name = Some(value),
            "sslmode" => found.ssl_mode = Some(ssl_mode(&value)?),
            "sslrootcert" => found.ssl_root_cert = Some(value.into()),
            "sslcert" => found.ssl_cert = Some(value.into()),
            "sslkey" => found.ssl_key = Some(value.into()),
            "sslnegotiation" => found.ssl_direct = ssl_negotiation(&value)?,
            "ssl_min_protocol_version" => {
                found.ssl_min_version =
                    TlsVersion::parse(&value).map_err(|problem| format!("{key}: {problem}"))?;
            }
            "connect_timeout" => {
                let seconds: u64 = value
                    .parse()
                    .ok()
                    .ok_or_else(|| format!("connect_timeout: expected whole seconds, got {value:?}"))?;
                found.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            // The client logs in through the connection, once: there is no asking a server first what it is.
            "target_session_attrs" if value == "any" => {}
            "target_session_attrs" => {
                return Err("target_session_attrs: the first host that answers is taken, whatever it is; clients may \
                            ask for what they want"
                    .into());
            }
            // What GSSAPI would encrypt, a proxy could not read.
            "gssencmode" if value != "require" => {}
            _ => {
                return Err(format!(
                    "{key}: not a keyword that is supported here; known are host, hostaddr, port, user, \
                     password, dbname, application_name, sslmode, sslrootcert, sslcert, sslkey, \
                     sslnegotiation, ssl_min_protocol_version, connect_timeout, gssencmode (but require)"
                ));
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Conninfo, String> {
        let hosts = self.hosts()?;
        let found = self.found;
        let ssl_mode = ssl_mode_with(found.ssl_mode, found.ssl_root_cert.as_deref())?;
        if found.ssl_direct && matches!(ssl_mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
            return Err("sslnegotiation: direct needs sslmode require or stronger".into());
        }
        if found.ssl_cert.is_some() != found.ssl_key.is_some() {
            return Err("sslcert: sslcert and sslkey are given together or not at all".into());
        }
        Ok(Conninfo {
            hosts,
            user: found.user,
            password: found.password,
            database: found.database,
            application_name: found.application_name,
            ssl_mode,
            ssl_root_cert: found.ssl_root_cert,
            ssl_cert: found.ssl_cert,
            ssl_key: found.ssl_key,
            ssl_direct: found.ssl_direct,
            ssl_min_version: found.ssl_min_version,
            connect_timeout: found.connect_timeout,
        })
    }

    /// `host`, `hostaddr` and `port` are lists of the same length, or one port for all.
    fn hosts(&self) -> Result<Vec<Host>, String> {
        let split = |text: &str| -> Vec<String> {
            if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
        };
        let (names, addresses, ports) = (split(&self.host), split(&self.hostaddr), split(&self.port));
        let count = names.len().max(addresses.len());
        if count == 0 {
            return Err("host: expected the server's name, number or socket folder".into());
        }
        if count > HOSTS_LIMIT {
            return Err(format!("host: {count} hosts are given, the limit is {HOSTS_LIMIT}"));
        }
        if !addresses.is_empty() && !names.is_empty() && addresses.len() != names.len() {
            return Err(format!(
                "hostaddr: {} addresses are given for {} hosts",
                addresses.len(),
                names.len()
            ));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(format!("port: {} ports are given for {count} hosts", ports.len()));
        }
        (0..count)
            .map(|at| {
                let port = match ports.get(at).or(ports.first().filter(|_| ports.len() == 1)) {
                    None => DEFAULT_PORT,
                    Some(text) if text.is_empty() => DEFAULT_PORT,
                    Some(text) => port(text)?,
                };
                let address = addresses.get(at).filter(|a| !a.is_empty()).cloned();
                let name = names.get(at).filter(|n| !n.is_empty()).cloned().or_else(|| address.clone());
                let name = name.ok_or("host: one of the hosts is empty")?;
                if address.is_none() && (name.starts_with('/') || name.starts_with('@')) {
                    return Ok(Host::Unix { folder: name.into(), port });
                }
                Ok(Host::Tcp { name, address, port })
            })
            .collect()
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("port: expected 1 to 65535, got {text:?}"))
}

fn ssl_mode(value: &str) -> Result<SslMode, String> {
    Ok(match value {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(format!(
                "sslmode: expected disable, allow, prefer, require, verify-ca or verify-full, got {value:?}"
            ));
        }
    })
}

/// What root certificates ask of the mode. Source: manual, `sslrootcert`: with `system` the mode is `verify-full`
/// by default, and a weaker one is an error. libpq would look for a file in the user's home; a proxy is told.
fn ssl_mode_with(given: Option<SslMode>, roots: Option<&Path>) -> Result<SslMode, String> {
    let is_system = roots.is_some_and(|path| path == Path::new("system"));
    match given {
        None if is_system => Ok(SslMode::VerifyFull),
        Some(mode) if is_system && mode != SslMode::VerifyFull => {
            Err("sslmode: with sslrootcert=system it must be verify-full: anybody can have a certificate"
                .into())
        }
        Some(SslMode::VerifyCa | SslMode::VerifyFull) if roots.is_none() => {
            Err("sslrootcert: verify-ca and verify-full need a file of root certificates, or system".into())
        }
        given => Ok(given.unwrap_or_default()),
    }
}

fn ssl_negotiation(value: &str) -> Result<bool, String> {
    match value {
        "postgres" => Ok(false),
        "direct" => Ok(true),
        _ => Err(format!("sslnegotiation: expected postgres or direct, got {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(name: &str, port: u16) -> Host {
        Host::Tcp { name: name.into(), address: None, port }
    }

    #[test]
    fn both_forms_say_the_same() {
        let pairs = Conninfo::parse("host=db.internal port = 5433 sslmode='require' user='a b\\'c'").unwrap();
        let uri = Conninfo::parse("postgresql://a%20b%27c@db.internal:5433/?sslmode=require").unwrap();
        assert_eq!(pairs, uri);
        assert_eq!(pairs.hosts, [tcp("db.internal", 5433)]);
        assert_eq!(pairs.user.as_deref(), Some("a b'c"));
    }

    #[test]
    fn hosts_come_in_lists_and_a_slash_means_a_socket() {
        let many = Conninfo::parse("host=a,b,/run port=1,2,3").unwrap();
        let unix = Host::Unix { folder: "/run".into(), port: 3 };
        assert_eq!(many.hosts, [tcp("a", 1), tcp("b", 2), unix]);
        let uri = Conninfo::parse("postgres://h1:1,[::1]:2/app").unwrap();
        assert_eq!(uri.hosts, [tcp("h1", 1), tcp("::1", 2)]);
        assert_eq!(uri.database.as_deref(), Some("app"));
        assert_eq!(Conninfo::parse("postgresql:///?host=/tmp").unwrap().to_string(), "/tmp/.s.PGSQL.5432");
        let too_many = format!("host={}", vec!["h"; HOSTS_LIMIT + 1].join(","));
        assert!(Conninfo::parse(&too_many).unwrap_err().contains("the limit is 64"));
    }

    #[test]
    fn the_machines_own_roots_ask_for_the_strictest_mode() {
        let info = Conninfo::parse("host=h sslrootcert=system").unwrap();
        assert_eq!(info.ssl_mode, SslMode::VerifyFull);
        assert_eq!(Conninfo::parse("host=h").unwrap().ssl_mode, SslMode::Prefer);
    }

    #[test]
    fn a_password_is_never_shown() {
        let info = Conninfo::parse("host=h user=u password=secret").unwrap();
        assert!(!format!("{info:?} {info}").contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_keyword() {
        for (text, key) in [
            ("", "host:"),
            ("host=h port=0", "port:"),
            ("host=a,b port=1,2,3", "port:"),
            ("host=a,b hostaddr=1.1.1.1", "hostaddr:"),
            ("host=h sslmode=yes", "sslmode:"),
            ("host=h sslnegotiation=direct", "sslnegotiation:"),
            ("host=h sslcert=/x", "sslcert:"),
            ("host=h sslmode=verify-ca", "sslrootcert:"),
            ("host=h sslmode=require sslrootcert=system", "sslmode:"),
            ("host=h ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version:"),
            ("host=h gssencmode=require", "gssencmode:"),
            ("host=h fallback=1", "fallback:"),
            ("host=h target_session_attrs=read-write", "target_session_attrs:"),
            ("host=h connect_timeout=soon", "connect_timeout:"),
            ("host", "host:"),
            ("host='h", "host:"),
            ("postgresql://h/%zz", "%zz"),
            ("postgresql://[::1/x", "]"),
        ] {
            let fault = Conninfo::parse(text).unwrap_err();
            assert!(fault.contains(key), "{text}: {fault}");
        }
    }
}
