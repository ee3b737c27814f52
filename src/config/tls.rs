//! TLS to clients, as the file's `[tls]` says it.

use super::{error::Fault, raw::RawTls};
use std::path::PathBuf;

/// Whether clients encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Who asks for it gets it.
    Allow,
    /// Who comes by TCP without it is turned away.
    Require,
}

/// What is asked of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Whoever shows one must show a good one. PostgreSQL does the same once `ssl_ca_file` is set.
    Optional,
    /// Whoever shows none is turned away.
    Require,
}

/// The oldest version that is spoken. Older ones are spoken nowhere here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V12,
    /// TLS 1.3.
    V13,
}

impl TlsVersion {
    /// Reads PostgreSQL's words.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "TLSv1" | "TLSv1.1" | "TLSv1.2" | "" => Ok(Self::V12),
            "TLSv1.3" => Ok(Self::V13),
            _ => Err(format!("expected TLSv1.2 or TLSv1.3, got {text:?}")),
        }
    }
}

/// TLS to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whether they encrypt.
    pub policy: TlsPolicy,
    /// The certificate, with those that vouch for it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whose certificates are accepted of clients; none: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// What is asked of them.
    pub client_certificate: ClientCertificate,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

impl TlsSettings {
    /// Looks at the values; none: clients are spoken to in plain text.
    pub(super) fn check(raw: RawTls, mut fault: impl FnMut(Fault)) -> Option<Self> {
        let mut wrong = |key: &str, problem: String| fault(Fault::new(key, problem));
        let has_cert = raw.cert.is_some() || raw.key.is_some();
        let policy = match raw.mode.as_deref() {
            None if has_cert => Some(TlsPolicy::Allow),
            None | Some("off") => None,
            Some("allow") => Some(TlsPolicy::Allow),
            Some("require") => Some(TlsPolicy::Require),
            Some(other) => {
                wrong("tls.mode", format!("expected off, allow or require, got {other:?}"));
                None
            }
        };
        let client_certificate = match raw.client_certificate.as_deref() {
            None | Some("optional") => ClientCertificate::Optional,
            Some("require") => ClientCertificate::Require,
            Some(other) => {
                wrong("tls.client_certificate", format!("expected optional or require, got {other:?}"));
                ClientCertificate::Optional
            }
        };
        if client_certificate == ClientCertificate::Require && raw.client_ca.is_none() {
            wrong("tls.client_certificate", "require needs tls.client_ca: who vouches for clients?".into());
        }
        let min_version = TlsVersion::parse(raw.min_version.as_deref().unwrap_or_default());
        let min_version = min_version.unwrap_or_else(|problem| {
            wrong("tls.min_version", problem);
            TlsVersion::V12
        });
        let policy = policy?;
        let (Some(cert), Some(key)) = (raw.cert, raw.key) else {
            wrong("tls.cert", "tls.cert and tls.key are both needed to speak TLS to clients".into());
            return None;
        };
        let client_ca = raw.client_ca.map(PathBuf::from);
        Some(Self { policy, cert: cert.into(), key: key.into(), client_ca, client_certificate, min_version })
    }
}
