//! The clock, and what else only the process knows of itself. Everybody else is told.

use jiff::{Timestamp, Zoned};
use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "this is where the clock is owned")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The time where this runs.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is owned")]
pub fn local_now() -> Zoned {
    Zoned::now()
}

/// Whether this runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where the state is kept if nobody says otherwise.
pub fn default_state_dir(is_root: bool, home: Option<PathBuf>, state_home: Option<PathBuf>) -> PathBuf {
    if is_root {
        return PathBuf::from("/var/lib/frostgate");
    }
    let state_home = state_home.or_else(|| home.map(|home| home.join(".local/state")));
    state_home.unwrap_or_else(|| PathBuf::from("/tmp")).join("frostgate")
}
