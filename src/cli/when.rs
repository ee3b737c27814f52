//! `--until`: a length of time, an hour of the day, or an instant.

use crate::config::parse_duration;
use jiff::{SignedDuration, Timestamp, Zoned, civil::Time};

/// Reads `45m`, `02:30` or RFC 3339; an hour that is over today means tomorrow's.
///
/// # Errors
/// What was expected.
pub(super) fn until(text: &str, now: &Zoned) -> Result<Timestamp, String> {
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
        assert!(read("soon").unwrap_err().contains("45m"));
        assert!(read("0s").is_err());
    }
}
