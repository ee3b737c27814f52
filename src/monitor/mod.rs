//! The monitoring connection: one session of its own to the server, made when it is needed and kept, which looks and
//! changes nothing. What its looks mean is `check`'s.

mod error;
mod login;
mod look;
mod preflight;
mod principal;
mod queries;
mod wal;

pub use error::MonitorError;
pub use look::Monitor;
pub use preflight::{Row, preflight};
pub use principal::{Principal, ROWS_LIMIT, Sitting};
pub use wal::Used;
