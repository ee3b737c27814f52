//! What PostgreSQL's protocol says, as bytes: no policy, no socket. Lengths come from strangers and are
//! checked here, once; nothing is ever allocated by a length that was only told.
//!
//! Source: PostgreSQL manual, "Frontend/Backend Protocol" (message formats); `src/backend/tcop/postgres.c`
//! (`SocketBackend`) for what the server itself accepts.

pub mod backend;
mod error;
pub mod frame;
pub mod frontend;
pub mod layout;
mod read;
pub mod sasl;
pub mod startup;
mod tag;

pub use error::WireError;
pub use frame::{Cut, FrontendLimits};
pub use tag::{BackendTag, FrontendTag, TransactionStatus};
