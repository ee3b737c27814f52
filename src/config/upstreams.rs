//! Which servers there are, and which of them a client's database is on. Each database has one name here: a freeze of
//! some databases goes by these names, and one that could be reached by two of them would be frozen by half.

use super::{
    conninfo::Conninfo,
    error::Fault,
    raw::{RawDatabase, RawUpstream},
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// The name of the server that `upstream` tells of.
pub const MAIN: &str = "main";
/// The name in `databases` that means every database that has no entry.
const ALL_OTHERS: &str = "*";
/// Servers.
pub const UPSTREAMS_LIMIT: usize = 32;
/// Entries of `databases`.
const DATABASES_LIMIT: usize = 10_000;
/// As long as PostgreSQL's own names may be. Source: `NAMEDATALEN`.
const NAME_LIMIT: usize = 63;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name, in labels, in what is told, and in what is kept.
    pub name: String,
    /// Where it is.
    pub conninfo: Conninfo,
    /// Where and as whom to look at it from outside.
    pub monitor: Option<Conninfo>,
}

/// Where a client's database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// The server's name.
    pub upstream: &'a str,
    /// What the database is called there, if it is called otherwise.
    pub dbname: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    upstream: String,
    dbname: Option<String>,
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstreams {
    all: Vec<UpstreamSettings>,
    databases: HashMap<String, Target>,
    /// Where a database is that has no entry; none: there is none of that name.
    others: Option<String>,
}

impl fmt::Display for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |of: &UpstreamSettings| match of.name.as_str() {
            MAIN => of.conninfo.to_string(),
            name => format!("{name} ({})", of.conninfo),
        };
        f.write_str(&self.all.iter().map(told).collect::<Vec<_>>().join(", "))
    }
}

impl Upstreams {
    /// All of them, in the order of the configuration; there is one at least.
    pub fn all(&self) -> &[UpstreamSettings] {
        &self.all
    }

    /// How many databases have an entry.
    pub(super) fn entries(&self) -> usize {
        self.databases.len()
    }

    /// Where the database is that a client calls so; none: there is none of that name.
    pub fn route(&self, database: &str) -> Option<Route<'_>> {
        match self.databases.get(database) {
            Some(target) => Some(Route { upstream: &target.upstream, dbname: target.dbname.as_deref() }),
            None => Some(Route { upstream: self.others.as_deref()?, dbname: None }),
        }
    }

    /// What clients call the database that a server calls so; none: no client's name is another one, or this is one.
    pub fn client_name(&self, dbname: &str) -> Option<&str> {
        if self.databases.contains_key(dbname) {
            return None;
        }
        let is_meant = |target: &Target| target.dbname.as_deref() == Some(dbname);
        let names = self.databases.iter().filter(|(_, target)| is_meant(target));
        names.map(|(name, _)| name.as_str()).min()
    }

    /// Puts `upstream` and `monitor` together with the two lists.
    pub(super) fn check(
        main: Option<UpstreamSettings>,
        upstreams: Vec<RawUpstream>,
        databases: Vec<RawDatabase>,
        mut fault: impl FnMut(Fault),
    ) -> Self {
        if upstreams.len() >= UPSTREAMS_LIMIT || databases.len() > DATABASES_LIMIT {
            let problem = format!(
                "{} upstreams and {} databases are given, the limits are {UPSTREAMS_LIMIT} and {DATABASES_LIMIT}",
                upstreams.len(),
                databases.len()
            );
            fault(Fault::new("upstreams", problem));
        }
        let mut read =
            Self { others: main.as_ref().map(|_| MAIN.into()), all: Vec::new(), databases: HashMap::new() };
        read.all.extend(main);
        for raw in upstreams.into_iter().take(UPSTREAMS_LIMIT) {
            let key = format!("upstreams.{}", raw.name);
            match read.upstream(raw) {
                Ok(upstream) => read.all.push(upstream),
                Err(problem) => fault(Fault::new(key, problem)),
            }
        }
        for raw in databases.into_iter().take(DATABASES_LIMIT) {
            let key = format!("databases.{}", raw.name);
            if let Err(problem) = read.database(raw) {
                fault(Fault::new(key, problem));
            }
        }
        read.check_names(&mut fault);
        read
    }

    fn upstream(&self, raw: RawUpstream) -> Result<UpstreamSettings, String> {
        let RawUpstream { name, conninfo, monitor } = raw;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(is_plain) {
            return Err(format!("name: expected 1 to {NAME_LIMIT} of a-z, 0-9, _ and -"));
        }
        if name == MAIN || self.all.iter().any(|known| known.name == name) {
            return Err(format!("name: there is one called {name} already ({MAIN} is the key upstream)"));
        }
        let conninfo = server(&conninfo).map_err(|problem| format!("conninfo: {problem}"))?;
        // Process ids are told apart by server: one that had two names would be looked at as if it were two.
        let shared =
            |known: &&UpstreamSettings| conninfo.hosts.iter().any(|host| known.conninfo.hosts.contains(host));
        if let Some(known) = self.all.iter().find(shared) {
            return Err(format!(
                "conninfo: that server is {} already; let databases name that one",
                known.name
            ));
        }
        let monitor = monitor.as_deref().map(self::monitor).transpose();
        let monitor = monitor.map_err(|problem| format!("monitor: {problem}"))?;
        Ok(UpstreamSettings { name, conninfo, monitor })
    }

    fn database(&mut self, raw: RawDatabase) -> Result<(), String> {
        let RawDatabase { name, upstream, dbname } = raw;
        let upstream = upstream.unwrap_or_else(|| MAIN.into());
        if !self.all.iter().any(|known| known.name == upstream) {
            return Err(format!("upstream: there is none called {upstream}"));
        }
        if name == ALL_OTHERS {
            if dbname.is_some() {
                return Err(format!("dbname: {ALL_OTHERS} keeps the names that clients give"));
            }
            self.others = Some(upstream);
            return Ok(());
        }
        let is_name = |name: &str| !name.is_empty() && name.len() <= NAME_LIMIT && !name.contains('\0');
        if !is_name(&name) || dbname.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(format!("expected a database's name, of 1 to {NAME_LIMIT} bytes"));
        }
        let dbname = dbname.filter(|there| *there != name);
        match self.databases.insert(name, Target { upstream, dbname }) {
            None => Ok(()),
            Some(_) => Err("is given twice".into()),
        }
    }

    /// No database is reached by two names, and no server is there for none.
    fn check_names(&self, fault: &mut impl FnMut(Fault)) {
        let mut taken: HashSet<(&str, &str)> = HashSet::new();
        let mut names: Vec<(&String, &Target)> = self.databases.iter().collect();
        names.sort_by_key(|(name, _)| *name);
        for (name, Target { upstream, dbname }) in names {
            let there = dbname.as_deref().unwrap_or(name);
            let twice = format!(
                "{there} on {upstream} would be reached by two names, and a freeze of one is none of the other"
            );
            let has_own = dbname.is_some()
                && self.others.as_deref() == Some(upstream)
                && !self.databases.contains_key(there);
            if has_own || !taken.insert((upstream, there)) {
                fault(Fault::new(format!("databases.{name}"), twice));
            }
        }
        for UpstreamSettings { name, .. } in &self.all {
            let is_used =
                self.others.as_ref() == Some(name) || self.databases.values().any(|of| of.upstream == *name);
            if !is_used {
                fault(Fault::new(
                    format!("upstreams.{name}"),
                    "no database leads there: databases names none",
                ));
            }
        }
    }
}

/// A server's place. Clients bring their own user, password and database.
pub(super) fn server(text: &str) -> Result<Conninfo, String> {
    let info = Conninfo::parse(text)?;
    for (key, value) in [("user", &info.user), ("password", &info.password), ("dbname", &info.database)] {
        if value.is_some() {
            return Err(format!("{key}: each client brings its own; leave it out"));
        }
    }
    Ok(info)
}

/// The monitor logs in by itself.
pub(super) fn monitor(text: &str) -> Result<Conninfo, String> {
    let info = Conninfo::parse(text)?;
    if info.user.is_none() {
        return Err("user: expected a role to look as, best one with pg_monitor".into());
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError, RawConfig};

    fn check(text: &str) -> Result<Upstreams, ConfigError> {
        Ok(Config::check(RawConfig::parse(text)?, "/state".into())?.upstreams)
    }

    fn problem(text: &str) -> String {
        check(text).expect_err(text).to_string()
    }

    const TWO: &str = "upstream = 'host=a'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=b'\n";

    #[test]
    fn a_database_goes_where_its_entry_says_and_all_others_to_the_main_server() {
        let text = format!("{TWO}[[databases]]\nname = 'shop'\nupstream = 'b'\ndbname = 'shop_v2'\n");
        let upstreams = check(&text).unwrap();
        assert_eq!(upstreams.route("shop"), Some(Route { upstream: "b", dbname: Some("shop_v2") }));
        assert_eq!(upstreams.route("shop_v2"), Some(Route { upstream: MAIN, dbname: None }));
        assert_eq!(upstreams.to_string(), "a:5432, b (b:5432)");
        assert_eq!((upstreams.client_name("shop_v2"), upstreams.client_name("shop")), (Some("shop"), None));
    }

    #[test]
    fn without_a_main_server_a_database_that_has_no_entry_is_none() {
        let list = "[[upstreams]]\nname = 'b'\nconninfo = 'host=b'\n";
        let upstreams = check(&format!("{list}[[databases]]\nname = 'shop'\nupstream = 'b'\n")).unwrap();
        assert_eq!(upstreams.route("shop"), Some(Route { upstream: "b", dbname: None }));
        assert_eq!(upstreams.route("other"), None);
        let upstreams = check(&format!("{list}[[databases]]\nname = '*'\nupstream = 'b'\n")).unwrap();
        assert_eq!(upstreams.route("other"), Some(Route { upstream: "b", dbname: None }));
    }

    #[test]
    fn no_database_has_two_names_and_no_server_has() {
        let by_two = format!(
            "{TWO}[[databases]]\nname = 'x'\nupstream = 'b'\ndbname = 'z'\n[[databases]]\nname = 'y'\nupstream = 'b'\ndbname = 'z'\n"
        );
        assert!(problem(&by_two).contains("databases.y: z on b would be reached by two names"));
        let own = format!(
            "{TWO}[[databases]]\nname = 'x'\ndbname = 'z'\n[[databases]]\nname = 'w'\nupstream = 'b'\n"
        );
        assert!(problem(&own).contains("databases.x: z on main would be reached by two names"));
        // Where its own name leads elsewhere, it has one.
        let moved = format!(
            "{TWO}[[databases]]\nname = 'x'\ndbname = 'z'\n[[databases]]\nname = 'z'\nupstream = 'b'\n"
        );
        assert!(check(&moved).is_ok());
        let same = "upstream = 'host=a,c'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=c'\n";
        assert!(problem(same).contains("upstreams.b: conninfo: that server is main already"));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_entry() {
        for (text, expected) in [
            ("", "upstream: expected the server's connection string"),
            (
                "monitor = 'host=h user=u'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=b'\n",
                "monitor: it looks at upstream",
            ),
            (TWO, "upstreams.b: no database leads there"),
            ("upstream = 'host=a'\n[[upstreams]]\nname = 'B'\nconninfo = 'host=b'\n", "upstreams.B: name:"),
            (
                "upstream = 'host=a'\n[[upstreams]]\nname = 'main'\nconninfo = 'host=b'\n",
                "upstreams.main: name:",
            ),
            (
                "upstream = 'host=a'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=b user=u'\n",
                "upstreams.b: conninfo: user:",
            ),
            (
                "upstream = 'host=a'\n[[upstreams]]\nname = 'b'\nconninfo = 'host=b'\nmonitor = 'host=b'\n",
                "upstreams.b: monitor: user:",
            ),
            (
                "upstream = 'host=a'\n[[databases]]\nname = 'x'\nupstream = 'c'\n",
                "databases.x: upstream: there is none called c",
            ),
            ("upstream = 'host=a'\n[[databases]]\nname = '*'\ndbname = 'c'\n", "databases.*: dbname:"),
            ("upstream = 'host=a'\n[[databases]]\nname = ''\n", "databases.: expected a database's name"),
            (
                "upstream = 'host=a'\n[[databases]]\nname = 'x'\n[[databases]]\nname = 'x'\n",
                "databases.x: is given twice",
            ),
        ] {
            let problem = problem(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn servers_and_databases_are_limited() {
        let server = |at: usize| {
            format!(
                "[[upstreams]]\nname = 'u{at}'\nconninfo = 'host=h{at}'\n[[databases]]\nname = 'd{at}'\nupstream = 'u{at}'\n"
            )
        };
        let many = |count: usize| (0..count).map(server).collect::<String>();
        assert_eq!(check(&many(UPSTREAMS_LIMIT - 1)).unwrap().all().len(), UPSTREAMS_LIMIT - 1);
        assert!(problem(&many(UPSTREAMS_LIMIT)).contains("the limits are 32 and 10000"));
        let database = |at: usize| format!("[[databases]]\nname = 'd{at}'\n");
        let databases = (0..=DATABASES_LIMIT).map(database).collect::<Vec<_>>().concat();
        assert!(problem(&format!("upstream = 'host=a'\n{databases}")).contains("10001 databases are given"));
    }
}
