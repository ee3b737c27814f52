//! The freeze as a value: what is kept of it, and how it changes.

use super::gate::Epoch;
use crate::matching::{Match, Rule, Who};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A freeze: who, why, since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The operator's words. Never empty.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// When the gate shut.
    pub since: Timestamp,
    /// When it should be over. Nothing happens then by itself but an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When nothing was left that could write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
    /// The server's `system_identifier` when the gate shut, or as soon as it was known: another one that answers
    /// later is another server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The same of servers beside the main one, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, String>,
    /// Whom it reaches: those whom one of these means; none: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<Match>,
    /// Who has been thawed already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thawed: Vec<Match>,
}

/// Matches that a scope may hold, and that may be thawed one by one.
pub const SCOPE_LIMIT: usize = 32;

impl Freeze {
    /// The servers that were frozen, each by its name, the main one without, with its identity.
    pub fn identities(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let main = self.server.iter().map(|identity| (None, identity.as_str()));
        main.chain(self.servers.iter().map(|(name, identity)| (Some(name.as_str()), identity.as_str())))
    }

    /// Whether it holds for that client, rules aside.
    pub fn reaches(&self, who: &Who<'_>) -> bool {
        let is_in = self.scope.is_empty() || self.scope.iter().any(|of| of.means(who));
        is_in && !self.thawed.iter().any(|of| of.means(who))
    }
}

/// What is kept on disk: the epoch, and the freeze if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeState {
    /// The layout's version; another one is not read but answered by starting frozen.
    pub version: u32,
    /// Version of the state.
    pub epoch: Epoch,
    /// The freeze that holds; none while open.
    pub freeze: Option<Freeze>,
    /// Exceptions and denials that an operator made; they end with the freeze.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// The layout that this version writes.
pub const STATE_VERSION: u32 = 1;
/// The longest reason or name that is taken, in bytes: it goes into every refusal.
pub const WORDS_LIMIT: usize = 1000;

impl Default for FreezeState {
    fn default() -> Self {
        Self { version: STATE_VERSION, epoch: Epoch::default(), freeze: None, rules: Vec::new() }
    }
}

/// What an operator asks for with `freeze`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeRequest {
    /// Why. Replaces the reason of a freeze that holds already.
    pub reason: String,
    /// Who asks.
    pub by: String,
    /// When it should be over.
    pub until: Option<Timestamp>,
    /// Whom it shall reach; none: everybody.
    pub scope: Vec<Match>,
}

/// What became of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The state is another one now, and so is the epoch.
    Made,
    /// The state was so already; the epoch is the same, words may have been replaced.
    Already,
    /// The freeze reaches more than before: they are to be drained for.
    Widened,
    /// The freeze reaches fewer than before.
    Narrowed,
}

impl FreezeState {
    /// The state after a `freeze`. A second one keeps the epoch, takes the new words, and reaches more than before or
    /// as many, never fewer; who had been thawed in part is frozen again.
    #[must_use]
    pub fn freeze(&self, request: FreezeRequest, now: Timestamp) -> (Self, Change) {
        let FreezeRequest { reason, by, until, scope } = request;
        if let Some(held) = &self.freeze {
            let scope = if scope.is_empty() || held.scope.is_empty() {
                Vec::new()
            } else {
                let more = scope.into_iter().filter(|of| !held.scope.contains(of));
                held.scope.iter().cloned().chain(more).collect()
            };
            let is_wider = scope != held.scope || !held.thawed.is_empty();
            let frozen_at = held.frozen_at.filter(|_| !is_wider);
            let until = until.or(held.until);
            let freeze = Freeze { reason, until, scope, thawed: Vec::new(), frozen_at, ..held.clone() };
            let change = if is_wider { Change::Widened } else { Change::Already };
            return (Self { freeze: Some(freeze), ..self.clone() }, change);
        }
        let freeze = Freeze {
            reason,
            by,
            since: now,
            until,
            frozen_at: None,
            server: None,
            servers: BTreeMap::new(),
            scope,
            thawed: Vec::new(),
        };
        let epoch = self.epoch.next();
        (
            Self { version: STATE_VERSION, epoch, freeze: Some(freeze), rules: self.rules.clone() },
            Change::Made,
        )
    }

    /// The state after a `thaw`. The operator's rules end with the freeze.
    #[must_use]
    pub fn thaw(&self) -> (Self, Change) {
        if self.freeze.is_none() {
            return (self.clone(), Change::Already);
        }
        let epoch = self.epoch.next();
        (Self { version: STATE_VERSION, epoch, freeze: None, rules: Vec::new() }, Change::Made)
    }

    /// The state after a `thaw` of some: they are in the freeze no more, and where nobody is left, it is over.
    #[must_use]
    pub fn thaw_some(&self, whom: &Match) -> (Self, Change) {
        let Some(held) = &self.freeze else { return (self.clone(), Change::Already) };
        let mut freeze = held.clone();
        freeze.scope.retain(|of| of != whom);
        if freeze.scope.is_empty() && !held.scope.is_empty() {
            return self.thaw();
        }
        if freeze.scope.len() == held.scope.len() {
            if held.thawed.contains(whom) {
                return (self.clone(), Change::Already);
            }
            freeze.thawed.push(whom.clone());
        }
        (Self { freeze: Some(freeze), ..self.clone() }, Change::Narrowed)
    }

    /// The state once it is known which servers were frozen, each by its name, the main one without; the first
    /// identity that is known stays.
    #[must_use]
    pub fn on_server(&self, name: Option<&str>, identity: Option<&str>) -> Self {
        let mut after = self.clone();
        if let (Some(freeze), Some(identity)) = (&mut after.freeze, identity) {
            let held = match name {
                None => freeze.server.get_or_insert_with(|| identity.to_owned()),
                Some(name) => freeze.servers.entry(name.to_owned()).or_insert_with(|| identity.to_owned()),
            };
            debug_assert!(!held.is_empty(), "an identity is a number");
        }
        after
    }

    /// The state once nothing is left that could write.
    #[must_use]
    pub fn drained(&self, now: Timestamp) -> Self {
        let mut after = self.clone();
        if let Some(freeze) = &mut after.freeze {
            freeze.frozen_at.get_or_insert(now);
        }
        after
    }
}

/// Why a freeze's words are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsFault {
    /// A reason is mandatory: it is what every refused client reads.
    #[error("a reason is needed: it is what every refused client reads")]
    Empty,
    /// Too long.
    #[error("{bytes} bytes are too many, the limit is {WORDS_LIMIT}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A control character would break logs and errors.
    #[error("control characters (new lines, NUL …) are not allowed")]
    Control,
}

/// Checks an operator's words.
///
/// # Errors
/// Empty, longer than [`WORDS_LIMIT`], or with control characters.
pub fn check_words(text: &str) -> Result<(), WordsFault> {
    if text.trim().is_empty() {
        return Err(WordsFault::Empty);
    }
    if text.len() > WORDS_LIMIT {
        return Err(WordsFault::TooLong { bytes: text.len() });
    }
    if text.chars().any(char::is_control) { Err(WordsFault::Control) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(reason: &str) -> FreezeRequest {
        FreezeRequest { reason: reason.into(), by: "ann".into(), until: None, scope: Vec::new() }
    }

    #[test]
    fn a_second_freeze_keeps_the_epoch_and_the_instant_and_takes_the_new_reason() {
        let (first, change) = FreezeState::default().freeze(request("one"), Timestamp::UNIX_EPOCH);
        assert_eq!((first.epoch, change), (Epoch(1), Change::Made));
        let later = Timestamp::from_second(60).unwrap();
        let (second, change) = first.freeze(FreezeRequest { by: "eve".into(), ..request("two") }, later);
        assert_eq!((second.epoch, change), (Epoch(1), Change::Already));
        let held = second.freeze.unwrap();
        assert_eq!((held.reason.as_str(), held.since), ("two", Timestamp::UNIX_EPOCH));
        assert_eq!(held.by, "ann", "who froze stays who froze");
    }

    #[test]
    fn a_thaw_of_what_is_open_changes_nothing() {
        let open = FreezeState::default();
        assert_eq!(open.thaw(), (open.clone(), Change::Already));
        let (frozen, _) = open.freeze(request("x"), Timestamp::UNIX_EPOCH);
        let (thawed, change) = frozen.thaw();
        assert_eq!((thawed.epoch, thawed.freeze, change), (Epoch(2), None, Change::Made));
    }

    #[test]
    fn a_freeze_of_some_grows_and_shrinks_until_nobody_is_left() {
        let of = |name: &str| Match { database: Some(name.into()), ..Match::default() };
        let who = |database| Who { user: "u", database, application: "", client: None };
        let some =
            |names: &[&str]| FreezeRequest { scope: names.iter().map(|n| of(n)).collect(), ..request("x") };
        let reaches = |state: &FreezeState| {
            let freeze = state.freeze.as_ref().unwrap();
            ["a", "b", "c"].into_iter().filter(|name| freeze.reaches(&who(name))).collect::<String>()
        };
        let (state, _) = FreezeState::default().freeze(some(&["a"]), Timestamp::UNIX_EPOCH);
        assert_eq!(reaches(&state), "a");
        let (state, change) = state.freeze(some(&["b"]), Timestamp::UNIX_EPOCH);
        assert_eq!((reaches(&state).as_str(), change), ("ab", Change::Widened));
        let (state, change) = state.thaw_some(&of("a"));
        assert_eq!((reaches(&state).as_str(), change), ("b", Change::Narrowed));
        let (all, change) = state.freeze(request("all"), Timestamp::UNIX_EPOCH);
        assert_eq!((reaches(&all).as_str(), change), ("abc", Change::Widened));
        let (but_b, _) = all.thaw_some(&of("b"));
        assert_eq!(reaches(&but_b), "ac");
        assert_eq!(but_b.thaw_some(&of("b")).1, Change::Already);
        let (again, change) = but_b.freeze(request("again"), Timestamp::UNIX_EPOCH);
        assert_eq!((reaches(&again).as_str(), change), ("abc", Change::Widened));
        let (open, change) = state.thaw_some(&of("b"));
        assert_eq!((open.freeze, open.epoch, change), (None, Epoch(2), Change::Made));
    }

    #[test]
    fn words_are_bounded_and_printable() {
        assert_eq!(check_words("upgrade to 18"), Ok(()));
        assert_eq!(check_words(" \t "), Err(WordsFault::Empty));
        assert_eq!(check_words("a\nb"), Err(WordsFault::Control));
        assert_eq!(check_words(&"x".repeat(WORDS_LIMIT)), Ok(()));
        let fault = check_words(&"x".repeat(WORDS_LIMIT + 1));
        assert_eq!(fault, Err(WordsFault::TooLong { bytes: WORDS_LIMIT + 1 }));
    }

    proptest! {
        #[test]
        fn the_epoch_only_grows(verbs in prop::collection::vec(any::<bool>(), 0..40)) {
            let mut state = FreezeState::default();
            for freeze in verbs {
                let (next, change) = if freeze { state.freeze(request("x"), Timestamp::UNIX_EPOCH) } else { state.thaw() };
                let grown = next.epoch.0 - state.epoch.0;
                prop_assert_eq!(grown, u64::from(change == Change::Made));
                state = next;
            }
        }
    }
}
