//! Typed parameter values.

/// The value of a query's parameter.
///
/// Equality is that of the encoded bytes: doubles are equal when all their bits are, so a NaN equals itself and `-0.0` is
/// not `0.0`. Maps keep the order of their keys, and it counts.
///
/// The enum is exhaustive on purpose: a replay target must decide what each kind becomes in its database, so that a new
/// kind is a new major version rather than a value lost in a wildcard.
#[derive(Debug, Clone)]
pub enum ParamValue {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    Int64(i64),
    /// A 64-bit floating point number. All bits are kept.
    Double(f64),
    /// Text.
    String(String),
    /// Values in order; their kinds may differ.
    List(Vec<ParamValue>),
    /// Values by key, in order. A key occurs once.
    Map(Vec<(String, ParamValue)>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, a time or a duration.
    Temporal {
        /// Which of them.
        kind: TemporalKind,
        /// ISO 8601, extended format; see [`TextKind`](crate::TextKind).
        text: String,
    },
    /// A point in two or three dimensions.
    Point {
        /// The spatial reference system: 4326 is WGS 84 in two dimensions, 4979 in three, 7203 and 9157 are Cartesian.
        srid: u32,
        /// The first coordinate (longitude, for a geographic point).
        x: f64,
        /// The second coordinate (latitude).
        y: f64,
        /// The third coordinate (height), if there is one.
        z: Option<f64>,
    },
    /// A UUID as text: 8-4-4-4-12 hexadecimal digits.
    Uuid(String),
    /// A decimal number of any precision, as text.
    Decimal(String),
    /// An integer from -2^127 to 2^127 - 1, as text.
    Int128(String),
}

/// The kinds of dates and times, as Cypher has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemporalKind {
    /// `2024-02-29`
    Date,
    /// `2024-02-29T12:00:00.5+01:00`, optionally with a zone: `[Europe/Berlin]`.
    DateTime,
    /// `2024-02-29T12:00:00.5`
    LocalDateTime,
    /// `12:00:00.5+01:00`
    Time,
    /// `12:00:00.5`
    LocalTime,
    /// `P1Y2M3DT4H5M6.5S`
    Duration,
}

impl ParamValue {
    /// The name of the value's kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int64(_) => "int64",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Bytes(_) => "bytes",
            Self::Temporal { .. } => "temporal",
            Self::Point { .. } => "point",
            Self::Uuid(_) => "uuid",
            Self::Decimal(_) => "decimal",
            Self::Int128(_) => "int128",
        }
    }
}

impl PartialEq for ParamValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b))
            | (Self::Uuid(a), Self::Uuid(b))
            | (Self::Decimal(a), Self::Decimal(b))
            | (Self::Int128(a), Self::Int128(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Temporal { kind: a, text: s }, Self::Temporal { kind: b, text: t }) => a == b && s == t,
            (Self::Point { srid: a, x, y, z }, Self::Point { srid: b, x: p, y: q, z: r }) => {
                a == b
                    && x.to_bits() == p.to_bits()
                    && y.to_bits() == q.to_bits()
                    && z.map(f64::to_bits) == r.map(f64::to_bits)
            }
            _ => false,
        }
    }
}

impl Eq for ParamValue {}

impl From<bool> for ParamValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for ParamValue {
    fn from(value: i64) -> Self {
        Self::Int64(value)
    }
}

impl From<f64> for ParamValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for ParamValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for ParamValue {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<u8>> for ParamValue {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Vec<ParamValue>> for ParamValue {
    fn from(value: Vec<ParamValue>) -> Self {
        Self::List(value)
    }
}

impl<T: Into<ParamValue>> From<Option<T>> for ParamValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl TemporalKind {
    /// The number in the payload.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Date => 1,
            Self::DateTime => 2,
            Self::LocalDateTime => 3,
            Self::Time => 4,
            Self::LocalTime => 5,
            Self::Duration => 6,
        }
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        [Self::Date, Self::DateTime, Self::LocalDateTime, Self::Time, Self::LocalTime, Self::Duration]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}
