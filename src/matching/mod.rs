//! Who is meant: one *match* for exceptions, denials, the scope of a freeze and the stages of a thaw. Pure.

mod client;
mod network;
mod rule;

pub use client::{Match, MatchFault, NAME_LIMIT, Who};
pub use network::Network;
pub use rule::{RULES_LIMIT, Rule, RuleFault, RuleKind};
