//! An entry's timestamp as the value that a clock function would have given.

use graphstream_proto::{ParamValue, TemporalKind};

use super::Clock;

const DAY_MS: i64 = 86_400_000;

/// The value, in UTC; `None` outside of the years 1 to 9999.
pub(super) fn value(clock: Clock, timestamp_ms: i64) -> Option<ParamValue> {
    if clock == Clock::Milliseconds {
        return Some(ParamValue::Int64(timestamp_ms));
    }
    let (days, ms) = (timestamp_ms.div_euclid(DAY_MS), timestamp_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days)?;
    let date = || format!("{year:04}-{month:02}-{day:02}");
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let time = || format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (kind, text) = match clock {
        Clock::Date => (TemporalKind::Date, date()),
        Clock::LocalTime => (TemporalKind::LocalTime, time()),
        Clock::DateTime => (TemporalKind::DateTime, format!("{}T{}Z", date(), time())),
        Clock::LocalDateTime | Clock::Milliseconds => {
            (TemporalKind::LocalDateTime, format!("{}T{}", date(), time()))
        }
    };
    Some(ParamValue::Temporal { kind, text })
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    // Counted from a 1st of March, so that the leap day is the last of its year.
    let days = days.checked_add(719_468)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (1..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(clock: Clock, ms: i64) -> String {
        match value(clock, ms) {
            Some(ParamValue::Temporal { kind, text }) => {
                graphstream_proto::TextKind::from(kind).check(&text).expect("a text of its kind");
                text
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1, 1, 1);
        let first = -719_162;
        assert_eq!(civil(first - 1), None);
        for days in first..=2_932_896 {
            assert_eq!(civil(days), Some((year, month, day)), "{days}");
            let length = match month {
                2 => 28 + i64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(civil(2_932_897), None);
        assert_eq!(civil(i64::MAX), None);
        assert_eq!(civil(i64::MIN), None);
    }

    #[test]
    fn each_clock_has_its_type() {
        let ms = 1_709_164_799_999;
        assert_eq!(text(Clock::Date, ms), "2024-02-28");
        assert_eq!(text(Clock::LocalDateTime, ms + 1), "2024-02-29T00:00:00.000");
        assert_eq!(text(Clock::DateTime, ms), "2024-02-28T23:59:59.999Z");
        assert_eq!(text(Clock::LocalTime, -1), "23:59:59.999");
        assert_eq!(text(Clock::Date, -1), "1969-12-31");
        assert_eq!(value(Clock::Milliseconds, i64::MIN), Some(ParamValue::Int64(i64::MIN)));
        assert_eq!(value(Clock::LocalTime, i64::MAX), None);
    }
}
