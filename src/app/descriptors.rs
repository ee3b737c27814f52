//! File descriptors: a session takes two, and what a process is given at its start is often far fewer than its limit
//! allows it to ask for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For each session: the client's socket and the server's.
const EACH_SESSION: u64 = 2;
/// For listeners, the control socket, threads, state, monitor, log and what comes and goes.
const OTHERS: u64 = 128;

/// Asks for as many as the system lets this process have, and says so where that is not enough for so many sessions.
pub(super) fn raise(sessions: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let given = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    if let Some(told) = told(given, sessions) {
        tracing::warn!("{told}");
    }
}

/// What to say of so many descriptors; none: there is no limit, or it is enough.
fn told(given: Option<u64>, sessions: usize) -> Option<String> {
    let given = given?;
    let needed =
        u64::try_from(sessions).unwrap_or(u64::MAX).saturating_mul(EACH_SESSION).saturating_add(OTHERS);
    let room = given.saturating_sub(OTHERS).checked_div(EACH_SESSION).unwrap_or(0);
    (given < needed).then(|| {
        format!(
            "limits.max_connections is {sessions}, which takes {needed} file descriptors, and this process may have \
             {given}: beyond about {room} sessions new clients wait. Raise it (LimitNOFILE= in a systemd unit, \
             `ulimit -n` in a shell, --ulimit nofile= for a container), or lower limits.max_connections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_told_with_what_they_are_enough_for_and_enough_are_not_told() {
        assert_eq!(told(None, 10_000), None);
        assert_eq!(told(Some(20_128), 10_000), None);
        let few = told(Some(1024), 10_000).unwrap();
        for part in ["10000", "20128", "1024", "about 448 sessions", "LimitNOFILE="] {
            assert!(few.contains(part), "{part}: {few}");
        }
    }
}
