//! TLS on both legs, as libpq and PostgreSQL have it: the files are read here, certificates are judged by `trust`,
//! and what comes out are settings that a socket is wrapped with. Nothing here opens a socket.

mod client_leg;
mod error;
mod files;
mod server_leg;
mod verify;

pub use client_leg::{Doorway, Presented};
pub use error::{TlsError, explain};
pub use server_leg::ServerTls;

/// Random bytes, of the kind that secrets are made from.
///
/// # Errors
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], TlsError> {
    let mut bytes = [0; N];
    let filled = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes);
    filled.map_err(|_none| TlsError::Setup(rustls::Error::FailedToGetRandomBytes))?;
    Ok(bytes)
}

/// What both sides say that they speak. Source: manual, "Protocol Flow", "SSL Session Encryption".
const ALPN: &[u8] = b"postgresql";
