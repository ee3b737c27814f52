//! Authentication that ends at the proxy: it asks the client, as PostgreSQL would, and answers the server, as libpq
//! would. Pure: messages, secrets and random bytes come in, messages go out.
//!
//! Where the secret is the server's own SCRAM verifier, the client's proof holds the key that the proxy logs in to
//! the server with: nobody's password is stored anywhere.

mod answering;
mod asking;
mod error;
mod md5;
mod method;
mod scram;
mod secret;

pub use answering::{Answer, Answering};
pub use asking::{Asked, Asking};
pub use error::AuthError;
pub use method::Client;
pub use scram::{Derivation, Keys, Verifier};
pub use secret::{Credential, Secret, Secrets};

/// Random bytes that one login takes.
pub const RANDOM: usize = 34;
/// Random bytes that salts are made from, once for each process.
pub const SALT_KEY: usize = 32;
