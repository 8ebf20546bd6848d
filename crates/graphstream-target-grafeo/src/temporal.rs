//! Dates and times between ISO 8601 text and grafeo's types.
//!
//! grafeo has parsers of its own. They cut digits they have no room for, saturate or overflow at far years, and skip what they
//! don't know; here every one of these is refused.

use grafeo::Value;
use grafeo_common::types::{Date, Duration, Time, Timestamp, ZonedDatetime};
use graphstream_proto::{TemporalKind, TextKind};

use crate::{Error, Precision, Result};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Years up to here fit grafeo's days (32 bits) with room to spare.
const DATE_YEAR_MAX: i32 = 5_000_000;

/// Years up to here fit its microseconds (64 bits).
const DATETIME_YEAR_MAX: i32 = 250_000;

pub(crate) fn to_grafeo(kind: TemporalKind, text: &str, precision: Precision) -> Result<Value> {
    let name = match kind {
        TemporalKind::Date => "date",
        TemporalKind::DateTime => "datetime",
        TemporalKind::LocalDateTime => "localdatetime",
        TemporalKind::Time => "time",
        TemporalKind::LocalTime => "localtime",
        TemporalKind::Duration => "duration",
    };
    parse(kind, text, precision).map_err(|why| Error::Value { kind: name, why })
}

fn parse(kind: TemporalKind, text: &str, precision: Precision) -> Result<Value, &'static str> {
    // After this the text is ASCII and of the shape that the rest takes for granted.
    let shape = TextKind::from(kind);
    shape.check(text).map_err(|_| shape.expected())?;
    Ok(match kind {
        TemporalKind::Date => Value::Date(date(text, DATE_YEAR_MAX)?),
        TemporalKind::LocalDateTime => {
            let (day, clock) = text.split_once('T').ok_or("it has no T")?;
            Value::Timestamp(timestamp(date(day, DATETIME_YEAR_MAX)?, local_time(clock)?, precision)?)
        }
        TemporalKind::DateTime => {
            let (day, clock) = text.split_once('T').ok_or("it has no T")?;
            if clock.ends_with(']') {
                return Err("it keeps offsets, not named time zones");
            }
            let (clock, offset) = split_offset(clock)?;
            let local = timestamp(date(day, DATETIME_YEAR_MAX)?, local_time(clock)?, precision)?;
            let utc = local
                .as_micros()
                .checked_sub(i64::from(offset) * 1_000_000)
                .ok_or("it is beyond its last year")?;
            Value::ZonedDatetime(ZonedDatetime::from_timestamp_offset(Timestamp::from_micros(utc), offset))
        }
        TemporalKind::Time => {
            let (clock, offset) = split_offset(text)?;
            Value::Time(local_time(clock)?.with_offset(offset))
        }
        TemporalKind::LocalTime => Value::Time(local_time(text)?),
        TemporalKind::Duration => Value::Duration(duration(text)?),
    })
}

fn date(text: &str, year_max: i32) -> Result<Date, &'static str> {
    let (year, rest) = text.split_at_checked(text.len().saturating_sub(6)).ok_or("it is too short")?;
    let year: i32 = year.parse().map_err(|_| "its year is no number")?;
    if !(-year_max..=year_max).contains(&year) {
        return Err("it is beyond its last year");
    }
    let mut parts = rest.split('-').skip(1).map(str::parse::<u32>);
    let (Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next()) else {
        return Err("its month or day is no number");
    };
    Date::from_ymd(year, month, day).ok_or("there is no such day")
}

/// `HH:MM[:SS[.fffffffff]]`
fn local_time(text: &str) -> Result<Time, &'static str> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(str::parse::<u32>);
    let mut next = || parts.next().unwrap_or(Ok(0)).map_err(|_| "it has a part that is no number");
    let (hour, minute, second) = (next()?, next()?, next()?);
    Time::from_hms_nano(hour, minute, second, nanos(fraction)?).ok_or("there is no such time")
}

/// Nanoseconds of the digits behind a point.
fn nanos(fraction: &str) -> Result<u32, &'static str> {
    if fraction.len() > 9 {
        return Err("it is finer than nanoseconds");
    }
    format!("{fraction:0<9}").parse().map_err(|_| "its fraction is no number")
}

/// Splits `Z` or `+HH:MM` from the end; the offset in seconds.
fn split_offset(text: &str) -> Result<(&str, i32), &'static str> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Ok((clock, 0));
    }
    let at = text.rfind(['+', '-']).ok_or("it has no offset")?;
    let (clock, offset) = text.split_at_checked(at).ok_or("it has no offset")?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    for (part, unit) in offset.get(1..).unwrap_or_default().split(':').zip([3600, 60, 1]) {
        let part: i32 = part.parse().map_err(|_| "its offset is no number")?;
        seconds += part * unit;
    }
    if seconds % 60 != 0 {
        return Err("its offsets have no seconds");
    }
    Ok((clock, sign * seconds))
}

fn timestamp(date: Date, time: Time, precision: Precision) -> Result<Timestamp, &'static str> {
    let nanos = time.as_nanos();
    match precision {
        Precision::Milliseconds if !nanos.is_multiple_of(1_000_000) => {
            return Err(
                "the one-file format keeps milliseconds; a database in a directory keeps microseconds",
            );
        }
        Precision::Microseconds if !nanos.is_multiple_of(1_000) => {
            return Err("it is finer than microseconds");
        }
        _ => {}
    }
    let micros = i64::try_from(nanos / 1_000).map_err(|_| "there is no such time")?;
    let days = i64::from(date.as_days());
    days.checked_mul(86_400_000_000)
        .and_then(|midnight| midnight.checked_add(micros))
        .map(Timestamp::from_micros)
        .ok_or("it is beyond its last year")
}

/// `[-]PnYnMnWnDTnHnMnS`, a fraction in the seconds only.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const TOO_LONG: &str = "it is too long";
    let negative = text.starts_with('-');
    let body = text.trim_start_matches(['+', '-']).strip_prefix('P').ok_or("it has no P")?;
    let (days_part, clock_part) = body.split_once('T').unwrap_or((body, ""));
    let (mut months, mut days, mut nanos_total) = (0_i64, 0_i64, 0_i64);
    for (part, of_clock) in [(days_part, false), (clock_part, true)] {
        for amount in part.split_inclusive(|c: char| c.is_ascii_uppercase()) {
            let (number, unit) =
                amount.split_at_checked(amount.len().saturating_sub(1)).ok_or("it has an empty part")?;
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let of_seconds = of_clock && unit == "S";
            if !fraction.is_empty() && !of_seconds {
                return Err("it has a fraction of something that isn't a second");
            }
            let minus = whole.starts_with('-');
            let whole: i64 = whole.parse().map_err(|_| TOO_LONG)?;
            let (total, factor) = match (unit, of_clock) {
                ("Y", false) => (&mut months, 12),
                ("M", false) => (&mut months, 1),
                ("W", false) => (&mut days, 7),
                ("D", false) => (&mut days, 1),
                ("H", true) => (&mut nanos_total, 3600 * NANOS_PER_SECOND),
                ("M", true) => (&mut nanos_total, 60 * NANOS_PER_SECOND),
                ("S", true) => (&mut nanos_total, NANOS_PER_SECOND),
                _ => return Err("it has an unknown unit"),
            };
            let fraction = i64::from(nanos(fraction)?);
            let amount = whole
                .checked_mul(factor)
                .and_then(|amount| amount.checked_add(if minus { -fraction } else { fraction }))
                .ok_or(TOO_LONG)?;
            *total = total.checked_add(amount).ok_or(TOO_LONG)?;
        }
    }
    if negative {
        let negated = |value: i64| value.checked_neg().ok_or(TOO_LONG);
        (months, days, nanos_total) = (negated(months)?, negated(days)?, negated(nanos_total)?);
    }
    Ok(Duration::new(months, days, nanos_total))
}

pub(crate) fn date_text(date: Date) -> String {
    let (year, month, day) = date.to_ymd();
    // ISO 8601 wants a sign on years that don't have four digits.
    let sign = match year {
        ..0 => "-",
        0..=9999 => "",
        _ => "+",
    };
    format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

pub(crate) fn local_datetime_text(timestamp: Timestamp) -> String {
    format!("{}T{}", date_text(timestamp.to_date()), time_text(&timestamp.to_time()))
}

pub(crate) fn datetime_text(value: &ZonedDatetime) -> String {
    let offset = value.offset_seconds();
    let local = value.as_timestamp().as_micros().saturating_add(i64::from(offset) * 1_000_000);
    format!("{}{}", local_datetime_text(Timestamp::from_micros(local)), offset_text(offset))
}

pub(crate) fn time_text(time: &Time) -> String {
    let mut text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if time.nanosecond() > 0 {
        let digits = format!("{:09}", time.nanosecond());
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    if let Some(offset) = time.offset_seconds() {
        text.push_str(&offset_text(offset));
    }
    text
}

fn offset_text(offset: i32) -> String {
    if offset == 0 {
        return "Z".to_owned();
    }
    let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

pub(crate) fn duration_text(duration: &Duration) -> String {
    let (months, days, nanos) = (duration.months(), duration.days(), duration.nanos());
    let mut text = String::from("P");
    if months != 0 {
        text.push_str(&format!("{months}M"));
    }
    if days != 0 {
        text.push_str(&format!("{days}D"));
    }
    if nanos != 0 || text.len() == 1 {
        let sign = if nanos < 0 { "-" } else { "" };
        let seconds = nanos.unsigned_abs() / NANOS_PER_SECOND.unsigned_abs();
        let fraction = format!("{:09}", nanos.unsigned_abs() % NANOS_PER_SECOND.unsigned_abs());
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        text.push_str(&format!("T{sign}{seconds}{point}{fraction}S"));
    }
    text
}
