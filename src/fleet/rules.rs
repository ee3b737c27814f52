//! The rules that hold now, the configuration's and the operator's, with what has been made of each; and what they
//! and the scope of a freeze say of one client. Looked at when a session begins, when the gate moves and when a
//! client gives itself another name; never for a message.

use crate::{
    freeze::FreezeState,
    matching::{Rule, RuleKind, Who},
};
use jiff::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What has been made of a rule since it was there.
#[derive(Debug, Default)]
pub struct RuleUse {
    sessions: AtomicU64,
    statements: AtomicU64,
    writes: AtomicU64,
}

impl RuleUse {
    /// A session has come under it.
    pub fn count_session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// So many statements ran thanks to it, so many of them writes.
    pub fn count_statements(&self, statements: u64, writes: u64) {
        self.statements.fetch_add(statements, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
    }

    /// Sessions, statements, writes.
    pub fn read(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.sessions), load(&self.statements), load(&self.writes))
    }
}

/// A rule that holds.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The rule.
    pub rule: Rule,
    /// Whether it comes from the configuration.
    pub is_configured: bool,
    /// What has been made of it.
    pub usage: Arc<RuleUse>,
}

/// What a shut gate is to one client.
#[derive(Debug, Clone)]
pub enum Ruling {
    /// It holds for it.
    Bound,
    /// The freeze does not reach it.
    Spared,
    /// It may write.
    Excepted(Arc<RuleUse>),
    /// It runs nothing.
    Denied(Arc<RuleUse>),
}

impl Ruling {
    /// Whether the client may do all that it may do while open.
    pub fn is_free(&self) -> bool {
        matches!(self, Self::Spared | Self::Excepted(_))
    }
}

/// All rules that hold.
#[derive(Debug, Default)]
pub struct RuleBook {
    listed: Vec<Listed>,
}

impl RuleBook {
    /// The configuration's rules and the operator's, as of now; what has been made of a rule before is kept.
    #[must_use]
    pub fn renewed(&self, configured: &[Rule], by_operator: &[Rule], now: Timestamp) -> Self {
        let list = |rule: &Rule, is_configured| {
            let before = self.listed.iter().find(|listed| listed.rule == *rule);
            let usage = before.map_or_else(Arc::default, |listed| Arc::clone(&listed.usage));
            Listed { rule: rule.clone(), is_configured, usage }
        };
        let configured = configured.iter().map(|rule| list(rule, true));
        let all = configured.chain(by_operator.iter().map(|rule| list(rule, false)));
        Self { listed: all.filter(|listed| listed.rule.holds_at(now)).collect() }
    }

    /// All of them.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Whether one of them is over.
    pub fn is_outdated(&self, now: Timestamp) -> bool {
        self.listed.iter().any(|listed| !listed.rule.holds_at(now))
    }

    /// What that state's gate is to that client. Who is denied by one rule is not excepted by another.
    pub fn ruling(&self, state: &FreezeState, who: &Who<'_>) -> Ruling {
        let Some(freeze) = &state.freeze else { return Ruling::Bound };
        if !freeze.reaches(who) {
            return Ruling::Spared;
        }
        let of = |kind| self.listed.iter().find(|l| l.rule.kind == kind && l.rule.who.means(who));
        match (of(RuleKind::Deny), of(RuleKind::Exempt)) {
            (Some(denied), _) => Ruling::Denied(Arc::clone(&denied.usage)),
            (None, Some(excepted)) => Ruling::Excepted(Arc::clone(&excepted.usage)),
            (None, None) => Ruling::Bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{freeze::FreezeRequest, matching::Match};

    fn rule(name: &str, kind: RuleKind, application: &str) -> Rule {
        let who = Match { application: Some(application.into()), ..Match::default() };
        Rule { name: name.into(), kind, who, reason: "x".into(), owner: None, until: None }
    }

    fn who(application: &str) -> Who<'_> {
        Who { user: "u", database: "d", application, client: None }
    }

    #[test]
    fn a_denial_beats_an_exception_and_nothing_is_ruled_while_open() {
        let rules = [rule("a", RuleKind::Exempt, "job*"), rule("b", RuleKind::Deny, "jobs")];
        let book = RuleBook::default().renewed(&rules, &[], Timestamp::UNIX_EPOCH);
        let open = FreezeState::default();
        let request = FreezeRequest { reason: "x".into(), by: "x".into(), until: None, scope: Vec::new() };
        let (frozen, _) = open.freeze(request, Timestamp::UNIX_EPOCH);
        assert!(matches!(book.ruling(&open, &who("jobs")), Ruling::Bound));
        assert!(matches!(book.ruling(&frozen, &who("jobs")), Ruling::Denied(_)));
        assert!(matches!(book.ruling(&frozen, &who("job")), Ruling::Excepted(_)));
        assert!(matches!(book.ruling(&frozen, &who("web")), Ruling::Bound));
    }

    #[test]
    fn what_was_made_of_a_rule_outlives_the_list_that_it_stood_in() {
        let rules = [rule("a", RuleKind::Exempt, "a")];
        let book = RuleBook::default().renewed(&rules, &[], Timestamp::UNIX_EPOCH);
        book.listed()[0].usage.count_session();
        let book = book.renewed(&rules, &[rule("b", RuleKind::Exempt, "b")], Timestamp::UNIX_EPOCH);
        assert_eq!(book.listed()[0].usage.read().0, 1);
        assert_eq!(book.listed().len(), 2);
    }
}
