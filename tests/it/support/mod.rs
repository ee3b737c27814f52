//! What the stories are told with.

mod given;
mod postgres;
mod proxy;
mod secure;
mod wire;

pub(crate) use postgres::{Postgres, free_port};
pub(crate) use proxy::{Proxy, Ran};
pub(crate) use proxy::{binary, fetch, upstream};
pub(crate) use secure::{Secure, libpq};
pub(crate) use wire::{Message, Wire, message, short, unix_query};

use std::{
    env,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A program that some tests need and not every machine has; where `FROSTGATE_TEST_TOOLS` names it, its absence is a
/// failure.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.exists());
    let required = env::var("FROSTGATE_TEST_TOOLS").is_ok_and(|names| names.contains(name));
    assert!(found.is_some() || !required, "{name} is not installed");
    if found.is_none() {
        println!("SKIPPED: {name} is not installed");
    }
    found
}

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
