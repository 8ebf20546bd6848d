//! What a replay may expect of a function.

mod names;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Dialect;

/// What a function does, as far as another run of it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// The same result from the same arguments.
    Plain,
    /// One value of many rows, whatever their order.
    Aggregate,
    /// One value of many rows, in the order in which they come.
    Collecting,
    /// The time when it is called without arguments.
    Clock(Clock),
    /// A new UUID when it is called without arguments.
    Uuid,
    /// Another result every time.
    Random,
    /// The next or the last number of a sequence, which is part of the database.
    Sequence,
    /// A number that the database gives to what it stores.
    InternalId,
    /// Something about the process, the session or the files.
    Surroundings,
}

/// What a clock function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clock {
    /// A day.
    Date,
    /// A day and a time without an offset, in UTC.
    LocalDateTime,
    /// A day and a time with an offset.
    DateTime,
    /// A time of the day.
    LocalTime,
    /// Milliseconds since 1970.
    Milliseconds,
}

/// Which databases know a function: with arguments, where that makes a difference.
#[derive(Debug, Clone, Copy)]
struct Known {
    function: Function,
    ladybug: bool,
    grafeo: bool,
}

/// Name, what it gives, and where it takes an argument to convert: LadybugDB, grafeo.
const CLOCKS: &[(&str, Clock, bool, bool)] = &[
    ("current_date", Clock::Date, false, false),
    ("current_time", Clock::LocalTime, false, false),
    ("current_timestamp", Clock::LocalDateTime, false, false),
    ("currentdate", Clock::Date, false, false),
    ("currenttime", Clock::LocalTime, false, false),
    ("currenttimestamp", Clock::LocalDateTime, false, false),
    ("date", Clock::Date, true, true),
    ("datetime", Clock::LocalDateTime, false, true),
    ("local_datetime", Clock::LocalDateTime, false, true),
    ("local_time", Clock::LocalTime, false, true),
    ("localdatetime", Clock::LocalDateTime, false, true),
    ("localtime", Clock::LocalTime, false, false),
    ("now", Clock::LocalDateTime, false, false),
    ("time", Clock::LocalTime, false, true),
    // In LadybugDB a conversion; grafeo ignores its argument.
    ("timestamp", Clock::Milliseconds, true, false),
    ("todate", Clock::Date, false, true),
    ("todatetime", Clock::LocalDateTime, false, true),
    ("totime", Clock::LocalTime, false, true),
    ("tozoneddatetime", Clock::DateTime, false, true),
    ("zoned_datetime", Clock::DateTime, false, true),
    ("zoneddatetime", Clock::DateTime, false, true),
];

/// Name, and whether LadybugDB converts an argument.
const UUIDS: &[(&str, bool)] = &[("gen_random_uuid", false), ("randomuuid", false), ("uuid", true)];

static TABLE: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    let mut add = |names: &'static str, function, ladybug, grafeo| {
        for name in names.split_ascii_whitespace() {
            table.insert(name, Known { function, ladybug, grafeo });
        }
    };
    add(names::BOTH, Function::Plain, true, true);
    add(names::LADYBUG, Function::Plain, true, false);
    add(names::GRAFEO, Function::Plain, false, true);
    // Conversions in grafeo, which know no time without an argument.
    add("tozonedtime zonedtime", Function::Plain, false, true);
    add(names::AGGREGATES_BOTH, Function::Aggregate, true, true);
    add(names::AGGREGATES_LADYBUG, Function::Aggregate, true, false);
    add(names::AGGREGATES_GRAFEO, Function::Aggregate, false, true);
    add(names::COLLECTING_BOTH, Function::Collecting, true, true);
    add(names::COLLECTING_GRAFEO, Function::Collecting, false, true);
    add(names::RANDOM, Function::Random, true, true);
    add(names::SEQUENCES, Function::Sequence, true, false);
    add(names::INTERNAL_IDS, Function::InternalId, true, true);
    add(names::SURROUNDINGS, Function::Surroundings, true, true);
    add(names::TABLES, Function::Surroundings, true, false);
    for &(name, clock, ladybug, grafeo) in CLOCKS {
        table.insert(name, Known { function: Function::Clock(clock), ladybug, grafeo });
    }
    for &(name, ladybug) in UUIDS {
        table.insert(name, Known { function: Function::Uuid, ladybug, grafeo: false });
    }
    table
});

impl Function {
    /// What is known of a function (its name in lower case) that is called with arguments or without; `None` if the database doesn't
    /// know it so. Whoever gives other results every time is found whatever the dialect is.
    #[must_use]
    pub fn of(name: &str, has_arguments: bool, dialect: Dialect) -> Option<Self> {
        let known = TABLE.get(name)?;
        let here = match dialect {
            Dialect::Any => known.ladybug || known.grafeo,
            Dialect::Ladybug => known.ladybug,
            Dialect::Grafeo => known.grafeo,
        };
        match known.function {
            Self::Clock(_) | Self::Uuid if !has_arguments => Some(known.function),
            Self::Clock(_) | Self::Uuid if here => Some(Self::Plain),
            // These ignore their arguments.
            Self::Clock(clock) if matches!(name, "timestamp" | "now") || name.starts_with("current") => {
                Some(Self::Clock(clock))
            }
            Self::Clock(_) | Self::Uuid => None,
            // Of nothing they make nothing.
            _ if !has_arguments && name.ends_with("zonedtime") => None,
            function => here.then_some(function),
        }
    }
}

/// Whether an unquoted word (in lower case) before a bracket is no function.
#[must_use]
pub fn is_keyword(word: &str) -> bool {
    static KEYWORDS: LazyLock<std::collections::HashSet<&'static str>> =
        LazyLock::new(|| names::KEYWORDS.split_ascii_whitespace().collect());
    KEYWORDS.contains(word)
}

/// Whether a function of a list hides the order of its elements.
pub(super) fn hides_order(name: &str) -> bool {
    names::SORTING.contains(&name)
}
