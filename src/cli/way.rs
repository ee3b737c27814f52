//! The way of a window's command to the maintenance listener: what it finds in its environment.

use super::error::CliError;
use crate::{config::Address, control::WindowPlan};
use std::{collections::BTreeMap, path::Path};

/// What would lead the command elsewhere, or to other hosts than `PGHOST` says: taken out of its environment.
pub(super) const ASTRAY: [&str; 2] = ["PGHOSTADDR", "PGSERVICE"];
/// The schemes of URLs that lead to PostgreSQL, in front of a driver's name (`postgresql+psycopg`).
const SCHEMES: [&str; 6] = ["postgres", "postgresql", "postgis", "pgsql", "psql", "ecto"];
/// The parameters of a URL that say where the server is. Source: manual, "Parameter Key Words".
const PLACES: [&str; 3] = ["host", "hostaddr", "port"];

/// What the command finds in its environment.
pub(super) fn way(
    plan: &WindowPlan,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<(&'static str, String)>, CliError> {
    let wrong = |problem: String| CliError::Usage { what: "maintenance_listen", problem };
    let address =
        plan.maintenance.as_deref().ok_or_else(|| wrong("the proxy has none: nobody could write".into()))?;
    let (host, port) = match Address::parse(address).map_err(wrong)? {
        Address::Tcp { host, port } => (host, port.to_string()),
        Address::Unix(path) => socket(&path).ok_or_else(|| {
            wrong(format!(
                "programs find a socket by its folder and a name such as .s.PGSQL.5432, this is {address}"
            ))
        })?,
    };
    let url = match environment.get("DATABASE_URL").filter(|url| !url.is_empty()) {
        None => from_variables(&host, &port, environment),
        // It is not repeated: a password may stand in it.
        Some(url) => led(url, &host, &port)
            .map_err(|problem| CliError::Usage { what: "DATABASE_URL", problem: problem.into() })?,
    };
    Ok(vec![("PGHOST", host), ("PGPORT", port), ("DATABASE_URL", url)])
}

fn socket(path: &Path) -> Option<(String, String)> {
    let port = path.file_name()?.to_str()?.strip_prefix(".s.PGSQL.")?;
    let port: u16 = port.parse().ok()?;
    Some((path.parent()?.to_str()?.to_owned(), port.to_string()))
}

/// What libpq's variables say, as a URL.
fn from_variables(host: &str, port: &str, environment: &BTreeMap<String, String>) -> String {
    let said = |name: &str| environment.get(name).map(|value| escaped(value));
    let user = said("PGUSER").map_or_else(String::new, |user| format!("{user}@"));
    let database = said("PGDATABASE").unwrap_or_default();
    format!("postgresql://{user}/{database}?host={}&port={port}", escaped(host))
}

/// The caller's own URL with another place in it. Every other part stays letter by letter: drivers have parameters and
/// schemes of their own, which nobody but them must understand.
fn led(url: &str, host: &str, port: &str) -> Result<String, &'static str> {
    let (scheme, rest) =
        url.split_once("://").ok_or("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")?;
    if !SCHEMES.contains(&scheme.split_once('+').map_or(scheme, |(base, _)| base)) {
        return Err("its scheme is none of PostgreSQL's (postgresql, postgres, postgis, pgsql, psql, ecto)");
    }
    let (front, query) = rest.split_once('?').map_or((rest, None), |(front, query)| (front, Some(query)));
    let (authority, path) = front.split_once('/').map_or((front, None), |(front, path)| (front, Some(path)));
    let (user, places) = authority.rsplit_once('@').map_or(("", authority), |(user, places)| (user, places));
    let is_stray = |text: Option<&str>| text.is_some_and(|text| text.contains('@'));
    let stray_parameter =
        |query: &str| query.split('&').any(|of| !of.contains('=') && of.contains(['@', '/']));
    // A password's own / or ? ends the host for whoever reads a URL: what stands behind is not guessed.
    if !places.split(',').all(is_place) || is_stray(path) || query.is_some_and(stray_parameter) {
        return Err(
            "its host and port can't be told from the rest; in a password write / as %2F, ? as %3F, @ as %40",
        );
    }
    if [path, query].into_iter().flatten().any(|text| text.contains('#')) {
        return Err("a # behind the host must be written as %23");
    }
    let is_elsewhere = |of: &&str| !PLACES.contains(&of.split('=').next().unwrap_or_default());
    let others = query.unwrap_or_default().split('&').filter(|of| !of.is_empty()).filter(is_elsewhere);
    let mut parameters: Vec<String> = others.map(str::to_owned).collect();
    let user = if authority.contains('@') { format!("{user}@") } else { String::new() };
    let place = if host.starts_with('/') {
        parameters.extend([format!("host={}", escaped(host)), format!("port={port}")]);
        String::new()
    } else if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let path = match path {
        Some(path) => format!("/{path}"),
        // Without a path the parameters would stand at the host.
        None if place.is_empty() => "/".into(),
        None => String::new(),
    };
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    Ok(format!("{scheme}://{user}{place}{path}{parameters}"))
}

/// Whether this is a host, which may be left out, and its port, which may be too.
fn is_place(text: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(inner) = text.strip_prefix('[') {
        return inner
            .split_once(']')
            .is_some_and(|(_, behind)| behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port));
    }
    text.split_once(':').is_none_or(|(_, port)| is_port(port))
}

/// For a part of a URL. Source: RFC 3986, "Unreserved Characters".
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letter = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(address: &str) -> WindowPlan {
        WindowPlan { maintenance: Some(address.into()), has_smoke: false, stages: Vec::new() }
    }

    #[test]
    fn the_commands_way_leads_to_the_maintenance_listener_as_the_same_principal() {
        let own = [("DATABASE_URL".to_owned(), "postgres://app:p%40ss@db:5432/shop".to_owned())].into();
        let told = way(&plan("/run/fg/.s.PGSQL.5432"), &own).unwrap();
        assert_eq!(told[0].1, "/run/fg");
        assert_eq!(told[1].1, "5432");
        assert_eq!(told[2].1, "postgres://app:p%40ss@/shop?host=%2Frun%2Ffg&port=5432");
        let variables = [("PGUSER".to_owned(), "ann".to_owned())].into();
        let told = way(&plan("127.0.0.1:6442"), &variables).unwrap();
        assert_eq!(told[2].1, "postgresql://ann@/?host=127.0.0.1&port=6442");
        assert!(way(&plan("/run/fg/maintenance.sock"), &variables).is_err());
        let none = WindowPlan { maintenance: None, ..plan("") };
        assert!(way(&none, &variables).is_err());
    }

    #[test]
    fn a_url_is_led_elsewhere_and_keeps_all_that_is_not_a_place() {
        for (own, by_tcp, by_socket) in [
            (
                "postgres://app:pw@db/shop?pool=5",
                "postgres://app:pw@h:6442/shop?pool=5",
                "postgres://app:pw@/shop?pool=5&host=%2Fr&port=6442",
            ),
            (
                "postgresql://app:p#w@db:5432,db2:5433/shop?schema=public&sslmode=require",
                "postgresql://app:p#w@h:6442/shop?schema=public&sslmode=require",
                "postgresql://app:p#w@/shop?schema=public&sslmode=require&host=%2Fr&port=6442",
            ),
            (
                "postgresql+psycopg://app@[::1]:5432/shop",
                "postgresql+psycopg://app@h:6442/shop",
                "postgresql+psycopg://app@/shop?host=%2Fr&port=6442",
            ),
            (
                "postgresql:///shop?host=/tmp&user=app&port=5433&hostaddr=192.0.2.1&password=x",
                "postgresql://h:6442/shop?user=app&password=x",
                "postgresql:///shop?user=app&password=x&host=%2Fr&port=6442",
            ),
            ("postgres://db", "postgres://h:6442", "postgres:///?host=%2Fr&port=6442"),
        ] {
            assert_eq!(led(own, "h", "6442").as_deref(), Ok(by_tcp));
            assert_eq!(led(own, "/r", "6442").as_deref(), Ok(by_socket));
        }
        assert_eq!(led("postgres://db/a", "::1", "6442").as_deref(), Ok("postgres://[::1]:6442/a"));
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_guessed() {
        for own in [
            "host=db user=app dbname=shop",
            "mysql://app:pw@db/shop",
            "jdbc:postgresql://db/shop",
            "postgres://app:p/w@db/shop",
            "postgres://app:12/w@db/shop",
            "postgres://app:p?w@db/shop",
            "postgres://app:12?w@db/shop",
            "postgres://app@[::1/shop",
            "postgres://app@db/shop#now",
        ] {
            assert!(led(own, "h", "6442").is_err(), "{own}");
        }
    }
}
