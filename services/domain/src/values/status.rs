//! Where a product stands in its life.

use std::fmt;
use std::str::FromStr;

use super::ValueError;

/// A product's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Being prepared; not for sale yet.
    Draft,
    /// For sale.
    Listed,
    /// No longer for sale, still known.
    Discontinued,
    /// Deleted; its history stays, and it can be restored.
    Deleted,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 4] = [Status::Draft, Status::Listed, Status::Discontinued, Status::Deleted];

    /// The status in lower case, as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Listed => "listed",
            Status::Discontinued => "discontinued",
            Status::Deleted => "deleted",
        }
    }

    /// Parses what [`Status::as_str`] writes.
    pub fn parse(input: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == input)
            .ok_or_else(|| ValueError::new("status", "must be one of draft, listed, discontinued, deleted"))
    }
}

/// The status a product can be created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum InitialStatus {
    /// Being prepared; not for sale yet.
    #[default]
    Draft,
    /// For sale at once; this needs a price.
    Listed,
}

impl InitialStatus {
    /// The status in lower case, as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        Status::from(self).as_str()
    }

    /// Parses what [`InitialStatus::as_str`] writes.
    pub fn parse(input: &str) -> Result<Self, ValueError> {
        [Self::Draft, Self::Listed]
            .into_iter()
            .find(|status| status.as_str() == input)
            .ok_or_else(|| ValueError::new("status", "must be draft or listed"))
    }
}

impl From<InitialStatus> for Status {
    fn from(initial: InitialStatus) -> Self {
        match initial {
            InitialStatus::Draft => Status::Draft,
            InitialStatus::Listed => Status::Listed,
        }
    }
}

/// Gives a status type the usual ways to print and parse it.
macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = ValueError;

            fn try_from(input: &str) -> Result<Self, ValueError> {
                Self::parse(input)
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(input: &str) -> Result<Self, ValueError> {
                Self::parse(input)
            }
        }
    };
}

as_text!(Status);
as_text!(InitialStatus);
