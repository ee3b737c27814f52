//! Why TLS can't be spoken.

use crate::trust::TrustError;
use rustls::{AlertDescription, CertificateError, Error};
use std::{io, path::PathBuf};

/// A file or a setting that TLS can't be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{key}: can't read {}", path.display())]
    Read {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{key}: {}: {problem}", path.display())]
    Content {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        problem: String,
    },
    /// The machine has no trusted root certificates.
    #[error("sslrootcert=system: this machine has no root certificates that can be read: {problem}")]
    NoSystemRoots {
        /// What was tried.
        problem: String,
    },
    /// The library would not take the settings.
    #[error("TLS can't be set up")]
    Setup(#[from] Error),
}

/// What a failed handshake came to, in words for people: the library's own error is hidden in the socket's.
pub fn explain(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return error.to_string();
    };
    if let Error::InvalidCertificate(CertificateError::Other(other)) = inner
        && let Some(fault) = other.0.downcast_ref::<TrustError>()
    {
        return fault.to_string();
    }
    if let Error::AlertReceived(alert) = inner {
        return format!("the other side gave up the TLS handshake: {}", told(*alert));
    }
    format!("the TLS handshake failed: {inner}")
}

/// Source: RFC 8446, section 6.2.
fn told(alert: AlertDescription) -> String {
    const TEXTS: [(AlertDescription, &str); 8] = [
        (AlertDescription::UnknownCA, "it does not know the authority of our certificate"),
        (AlertDescription::BadCertificate, "it does not accept our certificate"),
        (AlertDescription::CertificateExpired, "our certificate has expired"),
        (AlertDescription::CertificateRevoked, "our certificate has been revoked"),
        (AlertDescription::CertificateRequired, "it demands a certificate and was given none"),
        (AlertDescription::ProtocolVersion, "no common version of TLS"),
        (AlertDescription::HandshakeFailure, "no common algorithms, or no certificate where it demands one"),
        (AlertDescription::NoApplicationProtocol, "it does not speak postgresql here"),
    ];
    let text = TEXTS.iter().find(|(known, _)| *known == alert);
    text.map_or_else(|| format!("{alert:?}"), |(_, text)| (*text).to_owned())
}

/// A certificate's fault as the library carries it.
pub(super) fn untrusted(error: TrustError) -> Error {
    use rustls::OtherError;
    use std::sync::Arc;
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}
