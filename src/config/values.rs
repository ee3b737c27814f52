//! Values that people type: addresses and lengths of time.

use std::{fmt, path::PathBuf, time::Duration};

/// Where to listen, or where something listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host's name or number, and a port; port 0 takes a free one.
    Tcp {
        /// Name or number.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `HOST:PORT`, `[IPV6]:PORT`, or a socket's path, which begins with `/`, `./` or `@`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') || text.starts_with("./") {
            return Ok(Self::Unix(text.into()));
        }
        let wrong = || format!("expected HOST:PORT or a socket's path that begins with /, got {text:?}");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().ok_or_else(wrong)?;
        if host.is_empty() {
            return Err(format!("{} (for every address of this machine say 0.0.0.0:{port})", wrong()));
        }
        Ok(Self::Tcp { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads `500ms`, `30s`, `45m`, `2h`, `1d`, also put together as in `1h30m`.
///
/// # Errors
/// What was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a length of time such as 500ms, 30s, 45m, 2h or 1h30m, got {text:?}");
    let (mut rest, mut total) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let number: u64 = number.parse().ok().ok_or_else(wrong)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).ok_or_else(wrong)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(wrong)?);
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_path() {
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.into(), port });
        assert_eq!(Address::parse("127.0.0.1:6440"), tcp("127.0.0.1", 6440));
        assert_eq!(Address::parse("[::1]:6440"), tcp("::1", 6440));
        assert_eq!(Address::parse("/run/x.sock"), Ok(Address::Unix("/run/x.sock".into())));
        for wrong in ["6440", ":6440", "host", "host:port", "host:70000", ""] {
            assert!(Address::parse(wrong).unwrap_err().contains("expected HOST:PORT"), "{wrong}");
        }
        assert_eq!(Address::parse("[::1]:1").unwrap().to_string(), "[::1]:1");
    }

    #[test]
    fn a_length_of_time_always_has_a_unit() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "30", "s", "30 s", "-1s", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
