//! `[[exceptions]]` and `[[deny]]`: who may write while frozen, and who may not even read.

use super::{error::Fault, raw::RawRule};
use crate::matching::{Match, Rule, RuleKind};

/// Looks at all of them; each has a name of its own.
pub(super) fn rules(exceptions: Vec<RawRule>, deny: Vec<RawRule>, mut fault: impl FnMut(Fault)) -> Vec<Rule> {
    let exempt = exceptions.into_iter().map(|raw| ("exceptions", RuleKind::Exempt, raw));
    let all = exempt.chain(deny.into_iter().map(|raw| ("deny", RuleKind::Deny, raw)));
    let mut rules: Vec<Rule> = Vec::new();
    for (key, kind, raw) in all {
        let RawRule { name, reason, user, database, application, network, owner, until } = raw;
        let who = Match { user, database, application, network };
        let rule = Rule { name, kind, who, reason, owner, until };
        match rule.check(&rules) {
            Ok(()) => rules.push(rule),
            Err(problem) => fault(Fault::new(format!("{key}.{}", rule.name), problem.to_string())),
        }
    }
    rules
}
