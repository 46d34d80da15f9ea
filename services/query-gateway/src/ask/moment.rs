//! A time that a question names.
//!
//! RFC 3339 and `google.protobuf.Timestamp` both end with the year 9999. `jiff` ends a day and two hours earlier, so that every
//! time zone has all its times; nothing is known of that day, so that asking for its end is asking for now.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;

/// Seconds since 1970 of the first and the last second of `google.protobuf.Timestamp`.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;
/// The most nanoseconds beside whole seconds.
const MAX_NANOS: i32 = 999_999_999;

/// A time; later than [`Timestamp::MAX`] is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Moment {
    /// What `google.protobuf.Timestamp` says: in its range, or an error.
    pub(crate) fn of_proto(seconds: i64, nanos: i32) -> Result<Self, String> {
        if !(0..=MAX_NANOS).contains(&nanos) {
            return Err(format!("has {nanos} nanoseconds: give 0 to {MAX_NANOS}"));
        }
        if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
            return Err(format!(
                "has {seconds} seconds: give {FIRST_SECOND} (the year 1) to {LAST_SECOND} (the end of 9999)"
            ));
        }
        Ok(Self(Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX)))
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let error = match text.parse() {
            Ok(time) => return Ok(Self(time)),
            Err(error) => error,
        };
        // The same grammar, but for the range: whether it names an instant at all is seen by its offset.
        match Pieces::parse(text) {
            Ok(pieces)
                if pieces.to_numeric_offset().is_some()
                    && pieces.time().is_some()
                    && pieces.date() >= Timestamp::MAX.to_zoned_datetime(jiff::tz::TimeZone::UTC).date() =>
            {
                Ok(Self(Timestamp::MAX))
            }
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_of_all_is_the_end_of_time() {
        for end in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-12:00"] {
            assert_eq!(end.parse::<Moment>().unwrap(), Moment(Timestamp::MAX), "{end}");
        }
        assert_eq!(Moment::of_proto(LAST_SECOND, MAX_NANOS), Ok(Moment(Timestamp::MAX)));
        let before = "9999-12-30T21:59:59Z";
        assert_eq!(before.parse::<Moment>().unwrap().0.to_string(), before);
        assert_eq!(Moment::of_proto(FIRST_SECOND, 0).unwrap().0.to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_still_none() {
        for wrong in
            ["9999-12-31", "9999-12-31T23:59:59", "9999-12-32T00:00:00Z", "10000-01-01T00:00:00Z", "soon", ""]
        {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
        for (seconds, nanos) in
            [(LAST_SECOND + 1, 0), (FIRST_SECOND - 1, 0), (i64::MAX, 0), (i64::MIN, 0), (0, -1)]
        {
            assert!(Moment::of_proto(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }
}
