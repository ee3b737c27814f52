//! A match: what is said of a client must all be so. What is not said does not matter.

use super::network::Network;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name that a match holds, in bytes. Source: `NAMEDATALEN - 1`; nothing longer reaches the server.
pub const NAME_LIMIT: usize = 63;

/// A client, as it is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// The role that it logged in as.
    pub user: &'a str,
    /// The database.
    pub database: &'a str,
    /// The name that it gives itself: anybody can give any.
    pub application: &'a str,
    /// Where it comes from; none for a Unix socket.
    pub client: Option<IpAddr>,
}

/// See the module's text. A name may end with `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The name that the client gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// Why a match is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchFault {
    /// It would mean everybody.
    #[error("at least one of user, database, application and network is needed")]
    Everybody,
    /// A name is empty, too long, or has a `*` in the middle.
    #[error("{what}: expected 1 to {NAME_LIMIT} bytes, with * at the end or nowhere, got {name:?}")]
    Name {
        /// Which name.
        what: &'static str,
        /// As it was given.
        name: String,
    },
}

impl Match {
    /// Looks whether it can be used.
    ///
    /// # Errors
    /// It says nothing, or a name in it can't be one.
    pub fn check(&self) -> Result<(), MatchFault> {
        let names = [("user", &self.user), ("database", &self.database), ("application", &self.application)];
        if self.network.is_none() && names.iter().all(|(_, name)| name.is_none()) {
            return Err(MatchFault::Everybody);
        }
        for (what, name) in names {
            let Some(name) = name else { continue };
            let stem = name.strip_suffix('*').unwrap_or(name);
            if name.is_empty() || stem.len() > NAME_LIMIT || stem.contains(['*', '\0']) {
                return Err(MatchFault::Name { what, name: name.clone() });
            }
        }
        Ok(())
    }

    /// Whether that client is meant.
    pub fn means(&self, who: &Who<'_>) -> bool {
        let is = |wanted: &Option<String>, name: &str| match wanted {
            None => true,
            Some(wanted) => match wanted.strip_suffix('*') {
                Some(stem) => name.starts_with(stem),
                None => wanted == name,
            },
        };
        is(&self.user, who.user)
            && is(&self.database, who.database)
            && is(&self.application, who.application)
            && self.network.is_none_or(|network| network.holds(who.client))
    }

    /// Whether anybody can make himself meant: it names an application, and neither role nor network.
    pub fn is_forgeable(&self) -> bool {
        self.user.is_none() && self.network.is_none()
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network.map(|network| network.to_string());
        let parts = [
            ("user", &self.user),
            ("database", &self.database),
            ("application", &self.application),
            ("network", &network),
        ];
        let said: Vec<String> =
            parts.iter().filter_map(|(what, value)| Some(format!("{what} {}", value.as_ref()?))).collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Who<'_> = Who {
        user: "app",
        database: "shop",
        application: "sidekiq 7",
        client: Some(IpAddr::V4(core::net::Ipv4Addr::LOCALHOST)),
    };

    fn said(user: &str, database: &str, application: &str) -> Match {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Match { user: name(user), database: name(database), application: name(application), network: None }
    }

    #[test]
    fn all_that_is_said_must_be_so() {
        for (of, means) in [
            (said("app", "", ""), true),
            (said("app", "shop", "sidekiq*"), true),
            (said("app", "other", ""), false),
            (said("", "", "sidekiq"), false),
            (said("ap", "", ""), false),
            (said("", "*", ""), true),
            (Match { network: Some(Network::Local), ..said("app", "", "") }, false),
        ] {
            assert_eq!(of.means(&WHO), means, "{of}");
        }
    }

    #[test]
    fn a_match_says_something_and_its_names_can_be_names() {
        assert_eq!(Match::default().check(), Err(MatchFault::Everybody));
        assert_eq!(said("app", "", "").check(), Ok(()));
        for name in ["a*b".to_owned(), "x".repeat(NAME_LIMIT + 1), "a\0".into()] {
            assert!(said(&name, "", "").check().is_err(), "{name:?}");
        }
        assert!(Match { user: Some(String::new()), ..Match::default() }.check().is_err());
        assert!(said("", "", "cron").is_forgeable() && !said("u", "", "cron").is_forgeable());
    }
}
