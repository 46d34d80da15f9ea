//! An amount of money, in whole minor units: there is no rounding anywhere.

use std::fmt;

use super::{Currency, ValueError};

/// An amount from 0 to 10^15 minor units (cents for USD) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor_units: u64,
    currency: Currency,
}

impl Money {
    /// The largest amount, in minor units.
    pub const MAX: u64 = 1_000_000_000_000_000;

    /// Makes an amount of `minor_units` and a currency code.
    pub fn new(minor_units: i64, currency: &str) -> Result<Self, ValueError> {
        Self::of(minor_units, Currency::parse(currency)?)
    }

    /// Makes an amount of `minor_units` of a currency.
    pub fn of(minor_units: i64, currency: Currency) -> Result<Self, ValueError> {
        match u64::try_from(minor_units) {
            Err(_) => Err(ValueError::new("minor_units", "must not be negative")),
            Ok(units) if units > Self::MAX => {
                Err(ValueError::new("minor_units", format!("must be at most {}", Self::MAX)))
            }
            Ok(minor_units) => Ok(Self { minor_units, currency }),
        }
    }

    /// The amount in minor units.
    pub fn minor_units(self) -> u64 {
        self.minor_units
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the amount is zero.
    pub fn is_zero(self) -> bool {
        self.minor_units == 0
    }
}

/// Prints the amount in major units: `12.34 USD`, `500 JPY`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.minor_digits());
        if digits == 0 {
            return write!(f, "{} {}", self.minor_units, self.currency);
        }
        let unit = 10_u64.pow(u32::from(self.currency.minor_digits()));
        let (major, minor) = (self.minor_units / unit, self.minor_units % unit);
        write!(f, "{major}.{minor:0digits$} {}", self.currency)
    }
}
