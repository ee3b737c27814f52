//! The two ways to write a connection string, taken apart into keys and values.

/// `key = value` pairs; a value may be quoted, with backslashes before quotes and backslashes.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err(format!("{}: expected key=value", rest.trim_end()));
        };
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(format!("{key}: expected key=value"));
        }
        let (value, after) = value(after.trim_start()).map_err(|problem| format!("{key}: {problem}"))?;
        found.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(found)
}

/// A value off the front, and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    let quoted = text.starts_with('\'');
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(usize::from(quoted)) {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' if quoted => {
                let after = at.checked_add(1).and_then(|end| text.get(end..)).unwrap_or_default();
                return Ok((value, after));
            }
            c if !quoted && c.is_whitespace() => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    if quoted { Err("the quoted value does not end".into()) } else { Ok((value, "")) }
}

/// `postgresql://[user[:password]@][host[:port][,…]][/dbname][?key=value[&…]]`
pub(super) fn uri(text: &str) -> Result<Vec<(String, String)>, String> {
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut found = Vec::new();
    for (key, value) in [("user", user), ("password", password), ("dbname", database)] {
        if !value.is_empty() {
            found.push((key.to_owned(), decode(value)?));
        }
    }
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (name, port) = host_and_port(host)?;
            names.push(decode(name)?);
            ports.push(port.to_owned());
        }
        found.push(("host".to_owned(), names.join(",")));
        found.push(("port".to_owned(), ports.join(",")));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("{pair}: expected key=value"));
        };
        found.push((decode(key)?, decode(value)?));
    }
    Ok(found)
}

fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    let Some(inside) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    };
    let wrong = || format!("{text}: an IPv6 address is written [address]:port, with a ] at its end");
    let (name, after) = inside.split_once(']').ok_or_else(wrong)?;
    match after.strip_prefix(':') {
        Some(port) => Ok((name, port)),
        None if after.is_empty() => Ok((name, "")),
        None => Err(wrong()),
    }
}

/// Percent signs and two hexadecimal digits.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || format!("{text}: % is followed by two hexadecimal digits that make up UTF-8");
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).ok().ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).ok().ok_or_else(wrong)?);
        rest = after;
    }
    String::from_utf8(bytes).ok().ok_or_else(wrong)
}
