//! What the stories are told with.

mod postgres;
mod proxy;
mod secure;
mod wire;

pub(crate) use postgres::{Postgres, free_port};
pub(crate) use proxy::{Proxy, Ran};
pub(crate) use proxy::{binary, upstream};
pub(crate) use secure::{Secure, libpq};
pub(crate) use wire::{Wire, message, short, unix_query};

use std::{
    thread,
    time::{Duration, Instant},
};

/// The longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a fact; there is no sleep in a test but this one, which looks again.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
