//! Why the process can't run.

use std::io;

/// See the module's text.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address can't be listened on.
    #[error("{key}: can't listen on {address}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state directory can't be used.
    #[error("state_dir")]
    State(#[from] crate::fleet::StoreError),
    /// A file that TLS needs is no good.
    #[error("can't speak TLS")]
    Tls(#[from] crate::tls::TlsError),
    /// The secrets of users can't be had.
    #[error("can't authenticate clients")]
    Secrets(#[from] crate::net::NetError),
    /// The operating system would not give something.
    #[error("can't {what}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}
