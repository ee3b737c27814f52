//! Why a certificate is not trusted.

/// See the module's text. The texts are for operators, and for whoever reads `can't connect to the server`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is no certificate that we can read.
    #[error("the certificate can't be read: {problem}")]
    Unreadable {
        /// What the reader said.
        problem: String,
    },
    /// Its time is over.
    #[error("the certificate has expired, or one that it stands on has")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet, or one that it stands on is not")]
    NotYetValid,
    /// Nobody who is trusted vouches for it.
    #[error("the certificate was not issued by any of the trusted root certificates")]
    UnknownIssuer,
    /// It was not made for this.
    #[error("the certificate is not made for {purpose}")]
    WrongPurpose {
        /// What it would have to be made for.
        purpose: &'static str,
    },
    /// Whoever shows it does not have its key.
    #[error("the handshake is not signed with the certificate's key")]
    Signature,
    /// Something else about it or about those that vouch for it.
    #[error("the certificate can't be trusted: {problem}")]
    Chain {
        /// What.
        problem: String,
    },
    /// It is somebody else's. Source: `pq_verify_peer_name_matches_certificate`.
    #[error("server certificate for {names} does not match host name \"{host}\"")]
    Name {
        /// Who it is made out to.
        names: String,
        /// Whom it should have been made out to.
        host: String,
    },
}
