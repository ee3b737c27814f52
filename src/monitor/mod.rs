//! The monitoring connection: one session of its own to the server, made when it is needed and kept, which looks and
//! changes nothing. What its looks mean is `check`'s.

mod error;
mod look;
mod queries;

pub use error::MonitorError;
pub use look::Monitor;
