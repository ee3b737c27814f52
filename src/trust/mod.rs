//! Whether a certificate is to be trusted, and for whom, as libpq and PostgreSQL see it: they ask OpenSSL, which
//! takes certificates that the web's rules refuse, and PostgreSQL's manual teaches people to make them (signed by
//! themselves, of version 1, the name in CN only). Pure: certificates, the trusted roots and the time come in.
//!
//! Source: manual, "Secure TCP/IP Connections with SSL" (Creating Certificates) and "SSL Support" (libpq);
//! `fe-secure-openssl.c`, `fe-secure-common.c`, `be-secure-openssl.c`.

mod certificate;
mod chain;
mod error;
mod host;

pub use certificate::Certificate;
pub use chain::{Purpose, Roots};
pub use error::TrustError;
