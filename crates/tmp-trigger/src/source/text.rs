//! Texts with a grammar of their own: durations, instants, dates.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use time::{
    Date, OffsetDateTime, PrimitiveDateTime, Time,
    format_description::well_known::Rfc3339,
    macros::{format_description, time},
};

/// A text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct TextError {
    /// The text, shortened.
    pub text: String,
    /// What it should be.
    pub what: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $parse:ident, $schema:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            const WHAT: &'static str = $what;

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                match $parse(text) {
                    Some(_) => Ok(Self(text.to_owned())),
                    None => Err(TextError { text: text.chars().take(80).collect(), what: Self::WHAT }),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> Self {
                text.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": concat!("A text: ", $what, ".") })
            }
        }
    };
}

text!(
    /// A length of time: `60s`, `20m`, `1h30m`, `30d`.
    Span, seconds, "Duration", "a duration: whole numbers with s, m, h or d, largest first, such as 60s, 20m or 1h30m"
);
text!(
    /// A day: `2026-12-02`.
    Day, day, "Date", "a date, such as 2026-12-02"
);
text!(
    /// A point in time: a day, a local date and time, or one with an offset (RFC 3339).
    Moment, instant, "Moment",
    "a date (2026-12-20), a local date and time (2026-12-02T23:00) or one with an offset (2026-12-02T23:00:00+01:00)"
);

impl Span {
    /// The length in whole seconds.
    pub fn seconds(&self) -> u64 {
        seconds(&self.0).unwrap_or_default()
    }
}

fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut largest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        if unit >= largest {
            return None;
        }
        largest = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    (largest < u64::MAX).then_some(total)
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

const END_OF_DAY: Time = time!(23:59:59);

/// A [`Moment`] as it can be compared: with the offset it was written with, if any.
enum Instant {
    Local(PrimitiveDateTime),
    Offset(OffsetDateTime),
}

fn instant(text: &str) -> Option<Instant> {
    if let Some(date) = day(text) {
        return Some(Instant::Local(PrimitiveDateTime::new(date, Time::MIDNIGHT)));
    }
    let minutes = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    if let Ok(local) =
        PrimitiveDateTime::parse(text, minutes).or_else(|_| PrimitiveDateTime::parse(text, seconds))
    {
        return Some(Instant::Local(local));
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(Instant::Offset)
}

impl Moment {
    /// Whether a schedule may begin at this moment and expire at `end`; a day alone expires when it
    /// is over. A local time and one with an offset cannot be compared and are not.
    pub fn may_begin_before(&self, end: &Self) -> bool {
        let last = if day(&end.0).is_some() { END_OF_DAY } else { Time::MIDNIGHT };
        match (instant(&self.0), instant(&end.0)) {
            (Some(Instant::Local(begin)), Some(Instant::Local(end))) => {
                let end = if last == Time::MIDNIGHT { end } else { end.replace_time(last) };
                begin < end
            }
            (Some(Instant::Offset(begin)), Some(Instant::Offset(end))) => begin < end,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, seconds) in
            [("60s", 60), ("20m", 1200), ("1h30m", 5400), ("30d", 2_592_000), ("0s", 0), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(text.parse::<Span>().unwrap().seconds(), seconds, "{text}");
        }
        for bad in ["", "20", "m", "1m1h", "1m1m", "-1s", "1.5h", "1 h", "99999999999999999999s", "20M", "1é"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_moments_and_orders_them() {
        let moment = |text: &str| text.parse::<Moment>().unwrap();
        for bad in
            ["", "2026-13-01", "2026-12-02 23:00", "tomorrow", "2026-12-02T25:00", "2026-12-02T23:00+01"]
        {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
        assert!(moment("2026-12-02T23:00").may_begin_before(&moment("2026-12-02")));
        assert!(!moment("2026-12-03").may_begin_before(&moment("2026-12-02")));
        assert!(!moment("2026-12-02T10:00:00Z").may_begin_before(&moment("2026-12-02T11:00:00+01:00")));
        assert!(moment("2026-12-02T10:00:00Z").may_begin_before(&moment("2026-12-02T11:00:01+01:00")));
        assert!("2026-12-02".parse::<Day>().is_ok() && "2026-2-3".parse::<Day>().is_err());
    }
}
