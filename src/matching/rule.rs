//! An exception or a denial: whom it means, why, whose it is, and for how long.

use super::client::{Match, MatchFault};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Rules that there may be, those of the configuration and those by command together.
pub const RULES_LIMIT: usize = 64;
/// The longest name, owner or reason, in bytes.
const TEXT_LIMIT: usize = 500;

/// What a rule does while frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Who is meant may write.
    Exempt,
    /// Who is meant runs nothing, not even reads.
    Deny,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// By which it is spoken of; unique.
    pub name: String,
    /// What it does.
    pub kind: RuleKind,
    /// Whom it means.
    pub who: Match,
    /// Why. Never empty.
    pub reason: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// After this it means nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why a rule is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// Whom it means.
    #[error(transparent)]
    Match(#[from] MatchFault),
    /// A text is missing, too long, or would break logs.
    #[error("{what}: expected 1 to {TEXT_LIMIT} bytes without control characters")]
    Text {
        /// Which.
        what: &'static str,
    },
    /// There is one of that name already.
    #[error("there is a rule called {name:?} already")]
    Doubled {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {RULES_LIMIT} rules already")]
    TooMany,
    /// It is over before it begins.
    #[error("until: {until} is over already")]
    Over {
        /// Its end.
        until: Timestamp,
    },
}

impl Rule {
    /// Looks whether it can be used beside those that are there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, others: &[Self]) -> Result<(), RuleFault> {
        self.who.check()?;
        let texts =
            [("name", Some(&self.name)), ("reason", Some(&self.reason)), ("owner", self.owner.as_ref())];
        for (what, text) in texts {
            let is_wrong = |text: &&String| {
                text.trim().is_empty() || text.len() > TEXT_LIMIT || text.chars().any(char::is_control)
            };
            if text.as_ref().is_some_and(is_wrong) {
                return Err(RuleFault::Text { what });
            }
        }
        if others.iter().any(|other| other.name == self.name) {
            return Err(RuleFault::Doubled { name: self.name.clone() });
        }
        if others.len() >= RULES_LIMIT { Err(RuleFault::TooMany) } else { Ok(()) }
    }

    /// Whether it means anybody yet.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, reason: &str) -> Rule {
        let who = Match { user: Some("app".into()), ..Match::default() };
        let (kind, owner, until) = (RuleKind::Exempt, None, Some(Timestamp::from_second(60).unwrap()));
        Rule { name: name.into(), kind, who, reason: reason.into(), owner, until }
    }

    #[test]
    fn a_rule_has_a_name_of_its_own_and_a_reason() {
        assert_eq!(rule("a", "backup").check(&[]), Ok(()));
        assert_eq!(rule("a", " ").check(&[]), Err(RuleFault::Text { what: "reason" }));
        assert_eq!(rule("a\n", "x").check(&[]), Err(RuleFault::Text { what: "name" }));
        assert_eq!(rule("a", "x").check(&[rule("a", "y")]), Err(RuleFault::Doubled { name: "a".into() }));
        let many: Vec<Rule> = (0..RULES_LIMIT).map(|n| rule(&n.to_string(), "x")).collect();
        assert_eq!(rule("a", "x").check(&many), Err(RuleFault::TooMany));
    }

    #[test]
    fn a_rule_ends_at_its_hour() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(rule("a", "x").holds_at(at(59)) && !rule("a", "x").holds_at(at(60)));
    }
}
