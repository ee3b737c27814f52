//! Whether a freeze of some can be what its operator means: one that means nobody would be called frozen at once.

use super::{error::ControlError, operator::Operator};
use crate::{freeze::SCOPE_LIMIT, matching::Match};

/// Matches that can be used, and not too many.
pub(super) fn check_scope(scope: &[Match]) -> Result<(), ControlError> {
    if scope.len() > SCOPE_LIMIT {
        return Err(ControlError::ScopeTooLarge);
    }
    scope.iter().try_for_each(|of| of.check().map_err(|fault| ControlError::Rule { fault: fault.into() }))
}

impl Operator {
    /// Databases are those of the configuration, by the names that clients give, and have no other name. What is in
    /// force already is not looked at again: to refuse it would leave open what it was asked to freeze.
    pub(super) fn guard_scope(&self, scope: &[Match]) -> Result<(), ControlError> {
        let state = self.switch.state();
        let held = state.freeze.as_ref().map(|freeze| freeze.scope.as_slice()).unwrap_or_default();
        let is_new = |of: &&Match| !held.contains(of);
        let databases: Vec<&str> =
            scope.iter().filter(is_new).filter_map(|of| of.database.as_deref()).collect();
        if databases.is_empty() {
            return Ok(());
        }
        let refuse = |problem: String| Err(ControlError::Scope { problem });
        if let Some((name, twin)) = self.twins().into_iter().next() {
            return refuse(format!(
                "{name} and {twin} have one system identifier: if they are one server, clients reach the same database by \
                 both, and a freeze of some databases would leave it open by the other; freeze all, or give it one name"
            ));
        }
        for database in databases {
            if let Some(name) = self.servers.client_name(database) {
                return refuse(format!(
                    "clients call the database {database} {name}, and a freeze goes by their names: freeze with \
                     --database {name}"
                ));
            }
            if !database.ends_with('*') && self.servers.route(database).is_none() {
                return refuse(format!(
                    "no database is called {database} here (databases in the proxy's file): nobody would be frozen"
                ));
            }
        }
        Ok(())
    }
}
