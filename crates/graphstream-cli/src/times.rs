//! Points in time on the command line, and how they are shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock, in milliseconds since 1970 (UTC).
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}

/// Milliseconds since 1970 as RFC 3339 in UTC; the bare number where the calendar ends.
pub(crate) fn rfc3339(ms: i64) -> String {
    // humantime formats the years 1970 to 9999 and panics (or errs) beyond.
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    match u64::try_from(ms) {
        Ok(since) if ms < YEAR_10000_MS => {
            humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(since)).to_string()
        }
        _ => format!("{ms} ms"),
    }
}

/// A time span for people: whole seconds above 10 s, milliseconds below.
pub(crate) fn span(ms: u64) -> String {
    let duration = if ms >= 10_000 { Duration::from_secs(ms / 1000) } else { Duration::from_millis(ms) };
    humantime::format_duration(duration).to_string()
}

/// Parses `--since` and `--until`: RFC 3339, or a duration back from now (`90s`, `2h 30m`).
pub(crate) fn parse_moment(text: &str) -> Result<i64, String> {
    if let Ok(back) = humantime::parse_duration(text) {
        let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
        return Ok(now_ms().saturating_sub(back));
    }
    parse_rfc3339(text).ok_or_else(|| {
        "expected a time as in 2026-01-31T12:00:00Z, or a span back from now as in 90s, 15m, 2h".to_owned()
    })
}

/// Parses a duration flag (`1s`, `500ms`).
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|_| "expected a time span as in 500ms, 1s, 2m".to_owned())?;
    if duration.is_zero() {
        return Err("expected more than nothing".to_owned());
    }
    Ok(duration)
}

fn parse_rfc3339(text: &str) -> Option<i64> {
    // humantime knows UTC only: an offset is taken off here.
    let split = text.len().checked_sub(6)?;
    let (stem, offset_min) = match (text.get(..split), text.get(split..)) {
        (Some(stem), Some(tail)) if stem.contains('T') || stem.contains(' ') => match offset_minutes(tail) {
            Some(minutes) => (format!("{stem}Z"), minutes),
            None => (text.to_owned(), 0),
        },
        _ => (text.to_owned(), 0),
    };
    let time = humantime::parse_rfc3339_weak(&stem).ok()?;
    let ms = i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    Some(ms - offset_min * 60_000)
}

/// `+02:00` in minutes.
fn offset_minutes(text: &str) -> Option<i64> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |part: &str, max: i64| {
        part.parse::<u32>().ok().map(i64::from).filter(|n| *n <= max && part.len() == 2)
    };
    Some(sign * (number(hours, 23)? * 60 + number(minutes, 59)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_with_offsets_and_fractions() {
        let noon = parse_rfc3339("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(rfc3339(noon), "2026-01-31T12:00:00.000Z");
        assert_eq!(parse_rfc3339("2026-01-31T14:00:00+02:00"), Some(noon));
        assert_eq!(parse_rfc3339("2026-01-31T06:30:00-05:30"), Some(noon));
        assert_eq!(parse_rfc3339("2026-01-31 12:00:00"), Some(noon));
        assert_eq!(parse_rfc3339("2026-01-31T12:00:00.250Z"), Some(noon + 250));
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00+2:00", "é2026-01-31"] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_counts_back_from_now() {
        let minute = parse_moment("1m").unwrap();
        assert!((59_000..=61_000).contains(&(now_ms() - minute)));
        assert!(parse_moment("soon").is_err());
        assert!(parse_duration("0s").is_err());
    }

    #[test]
    fn times_outside_the_calendar_are_shown_as_numbers() {
        for ms in [i64::MIN, -1, i64::MAX, 253_402_300_800_000] {
            assert_eq!(rfc3339(ms), format!("{ms} ms"));
        }
        assert_eq!(rfc3339(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    }
}
