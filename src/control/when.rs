//! `--until` and `--since`: a length of time, an hour of the day, or an instant.

use crate::config::parse_duration;
use jiff::{SignedDuration, Timestamp, Zoned, civil::Time};

/// Reads `45m`, `02:30` or RFC 3339; an hour that is over today means tomorrow's.
///
/// # Errors
/// What was expected.
pub fn until(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong =
        || format!("expected a length of time such as 45m, an hour such as 02:30, or RFC 3339, got {text:?}");
    let at = if let Ok(length) = parse_duration(text) {
        let length = SignedDuration::try_from(length).ok().ok_or_else(wrong)?;
        now.timestamp().checked_add(length).ok().ok_or_else(wrong)?
    } else if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else {
        let hour = Time::strptime("%H:%M", text).ok().ok_or_else(wrong)?;
        let today = now.with().time(hour).build().ok().ok_or_else(wrong)?;
        if today.timestamp() > now.timestamp() {
            today.timestamp()
        } else {
            let tomorrow = now.tomorrow().and_then(|day| day.with().time(hour).build());
            tomorrow.ok().ok_or_else(wrong)?.timestamp()
        }
    };
    if at <= now.timestamp() {
        return Err(format!("{text} is over already"));
    }
    Ok(at)
}

/// Reads `45m` (so long ago), `02:30` or RFC 3339; an hour that is still to come today means yesterday's.
///
/// # Errors
/// What was expected.
pub fn since(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong =
        || format!("expected a length of time such as 45m, an hour such as 02:30, or RFC 3339, got {text:?}");
    if let Ok(length) = parse_duration(text) {
        let length = SignedDuration::try_from(length).ok().ok_or_else(wrong)?;
        return now.timestamp().checked_sub(length).ok().ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let hour = Time::strptime("%H:%M", text).ok().ok_or_else(wrong)?;
    let today = now.with().time(hour).build().ok().ok_or_else(wrong)?;
    if today.timestamp() <= now.timestamp() {
        return Ok(today.timestamp());
    }
    let yesterday = now.yesterday().and_then(|day| day.with().time(hour).build());
    Ok(yesterday.ok().ok_or_else(wrong)?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_three_ways_and_lies_ahead() {
        let now: Zoned = "2026-11-20T10:00:00+00:00[UTC]".parse().unwrap();
        let read = |text| until(text, &now).map(|at| at.to_string());
        assert_eq!(read("45m"), Ok("2026-11-20T10:45:00Z".into()));
        assert_eq!(read("12:30"), Ok("2026-11-20T12:30:00Z".into()));
        assert_eq!(read("02:30"), Ok("2026-11-21T02:30:00Z".into()));
        assert_eq!(
            read("2026-11-20T11:00:00+01:00").unwrap_err(),
            "2026-11-20T11:00:00+01:00 is over already"
        );
        let ago = |text| since(text, &now).map(|at| at.to_string());
        assert_eq!(ago("45m"), Ok("2026-11-20T09:15:00Z".into()));
        assert_eq!(ago("12:30"), Ok("2026-11-19T12:30:00Z".into()));
        assert_eq!(ago("02:30"), Ok("2026-11-20T02:30:00Z".into()));
        assert!(ago("late").unwrap_err().contains("45m"));
        assert!(read("soon").unwrap_err().contains("45m"));
        assert!(read("0s").is_err());
    }
}
