//! The values that are kept as text, and what each text must look like.
//!
//! A text is checked when an entry is made, from JSON or by a program: a follower can't ask anybody what `2024-02-30` was meant to be.
//! It is not checked when a payload is read.

use std::fmt;

use crate::{Error, Result, TemporalKind};

/// The kinds of values that are kept as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextKind {
    /// `YYYY-MM-DD`, or a signed year of 4 to 9 digits.
    Date,
    /// A date, `T`, a time of day, an offset, and optionally a zone in brackets.
    DateTime,
    /// A date, `T` and a time of day.
    LocalDateTime,
    /// A time of day and an offset (`Z` or `+HH:MM`).
    Time,
    /// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fffffffff`.
    LocalTime,
    /// `PnYnMnWnDTnHnMnS`.
    Duration,
    /// 8-4-4-4-12 hexadecimal digits.
    Uuid,
    /// Digits with an optional sign, point and exponent.
    Decimal,
    /// Digits with an optional sign, from -2^127 to 2^127 - 1.
    Int128,
}

impl TextKind {
    /// What the text must be, for messages.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Date => "an ISO 8601 date: YYYY-MM-DD",
            Self::DateTime => "an ISO 8601 date and time with offset: YYYY-MM-DDTHH:MM:SS.fff+HH:MM or ...Z",
            Self::LocalDateTime => "an ISO 8601 date and time without offset: YYYY-MM-DDTHH:MM:SS.fff",
            Self::Time => "an ISO 8601 time with offset: HH:MM:SS.fff+HH:MM or ...Z",
            Self::LocalTime => "an ISO 8601 time without offset: HH:MM:SS.fff",
            Self::Duration => "an ISO 8601 duration: PnYnMnWnDTnHnMnS",
            Self::Uuid => "8-4-4-4-12 hexadecimal digits",
            Self::Decimal => "decimal digits with an optional sign, point and exponent",
            Self::Int128 => "an integer from -2^127 to 2^127 - 1",
        }
    }

    /// Whether the text is what this kind requires.
    ///
    /// # Errors
    /// [`Error::InvalidText`] when it is not.
    pub fn check(self, text: &str) -> Result<()> {
        let mut rest = Text(text.as_bytes());
        let valid = match self {
            Self::Date => rest.date(),
            Self::DateTime => {
                rest.date() && rest.byte(b'T') && rest.time_of_day() && rest.offset() && rest.zone()
            }
            Self::LocalDateTime => rest.date() && rest.byte(b'T') && rest.time_of_day(),
            Self::Time => rest.time_of_day() && rest.offset(),
            Self::LocalTime => rest.time_of_day(),
            Self::Duration => rest.duration(),
            Self::Uuid => rest.uuid(),
            Self::Decimal => rest.decimal(),
            Self::Int128 => {
                rest = Text(&[]);
                text.parse::<i128>().is_ok()
            }
        };
        if valid && rest.0.is_empty() { Ok(()) } else { Err(Error::InvalidText { kind: self }) }
    }
}

impl fmt::Display for TextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Date => "a date",
            Self::DateTime => "a datetime",
            Self::LocalDateTime => "a local datetime",
            Self::Time => "a time",
            Self::LocalTime => "a local time",
            Self::Duration => "a duration",
            Self::Uuid => "a UUID",
            Self::Decimal => "a decimal",
            Self::Int128 => "an int128",
        })
    }
}

impl From<TemporalKind> for TextKind {
    fn from(kind: TemporalKind) -> Self {
        match kind {
            TemporalKind::Date => Self::Date,
            TemporalKind::DateTime => Self::DateTime,
            TemporalKind::LocalDateTime => Self::LocalDateTime,
            TemporalKind::Time => Self::Time,
            TemporalKind::LocalTime => Self::LocalTime,
            TemporalKind::Duration => Self::Duration,
        }
    }
}

/// What is left of a text. Every method takes what it names from the front and says whether it was there.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn byte(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn sign(&mut self) -> bool {
        self.byte(b'+') || self.byte(b'-')
    }

    /// Takes all digits and returns how many there were.
    fn digits(&mut self) -> usize {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count
    }

    /// A number of exactly `width` digits within a range.
    fn number(&mut self, width: usize, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(width)?;
        let number = digits.iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number.checked_mul(10)?.checked_add(u32::from(byte - b'0')))?
        })?;
        self.0 = rest;
        range.contains(&number).then_some(number)
    }

    fn date(&mut self) -> bool {
        let signed = self.sign();
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let valid_width = if signed { (4..=9).contains(&digits) } else { digits == 4 };
        if !valid_width {
            return false;
        }
        let Some(year) = self.number(digits, 0..=999_999_999) else { return false };
        // The sign does not change which years are leap years.
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if !self.byte(b'-') {
            return false;
        }
        let days = match self.number(2, 1..=12) {
            Some(2) => 28 + u32::from(leap),
            Some(4 | 6 | 9 | 11) => 30,
            Some(_) => 31,
            None => return false,
        };
        self.byte(b'-') && self.number(2, 1..=days).is_some()
    }

    fn time_of_day(&mut self) -> bool {
        if self.number(2, 0..=23).is_none() || !self.byte(b':') || self.number(2, 0..=59).is_none() {
            return false;
        }
        if !self.byte(b':') {
            return true;
        }
        self.number(2, 0..=59).is_some() && (!self.byte(b'.') || (1..=9).contains(&self.digits()))
    }

    fn offset(&mut self) -> bool {
        if self.byte(b'Z') {
            return true;
        }
        self.sign()
            && self.number(2, 0..=18).is_some()
            && self.byte(b':')
            && self.number(2, 0..=59).is_some()
            && (!self.byte(b':') || self.number(2, 0..=59).is_some())
    }

    /// `[Europe/Berlin]`, or nothing.
    fn zone(&mut self) -> bool {
        if !self.byte(b'[') {
            return true;
        }
        let named = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
        let count = self.0.iter().take_while(named).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count > 0 && self.byte(b']')
    }

    fn duration(&mut self) -> bool {
        self.sign();
        if !self.byte(b'P') {
            return false;
        }
        let (date_valid, date_parts) = self.amounts(b"YMWD");
        if !date_valid {
            return false;
        }
        if !self.byte(b'T') {
            return date_parts > 0;
        }
        let (time_valid, time_parts) = self.amounts(b"HMS");
        time_valid && time_parts > 0
    }

    /// Numbers, each followed by one of `units`, which come in this order. Says whether they are valid, and how many.
    fn amounts(&mut self, mut units: &[u8]) -> (bool, usize) {
        let mut count = 0;
        while !matches!(self.0.first(), None | Some(b'T')) {
            self.sign();
            if self.digits() == 0 || (self.byte(b'.') && self.digits() == 0) {
                return (false, count);
            }
            let Some((unit, rest)) = self.0.split_first() else { return (false, count) };
            let Some(at) = units.iter().position(|known| known == unit) else { return (false, count) };
            units = units.get(at + 1..).unwrap_or_default();
            self.0 = rest;
            count += 1;
        }
        (true, count)
    }

    fn uuid(&mut self) -> bool {
        [8, 4, 4, 4, 12].into_iter().enumerate().all(|(group, width)| {
            (group == 0 || self.byte(b'-'))
                && self.0.split_at_checked(width).is_some_and(|(digits, rest)| {
                    self.0 = rest;
                    digits.iter().all(u8::is_ascii_hexdigit)
                })
        })
    }

    fn decimal(&mut self) -> bool {
        self.sign();
        let whole = self.digits();
        let fraction = if self.byte(b'.') { self.digits() } else { 0 };
        if whole + fraction == 0 {
            return false;
        }
        if self.byte(b'e') || self.byte(b'E') {
            self.sign();
            return self.digits() > 0;
        }
        true
    }
}
