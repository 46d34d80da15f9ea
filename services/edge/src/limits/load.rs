//! Bytes of a request that are in memory: counted among those of its door and among those of its caller.

use contract::code::Code;
use toolkit::memory::Share;

use super::Account;

/// What a request holds. It gives all of it back when it is dropped.
#[derive(Debug)]
pub struct Load {
    door: Share,
    own: Option<Share>,
    account: Account,
    is_over_own: bool,
}

impl Load {
    pub(super) fn new(door: Share, own: Option<Share>, account: Account) -> Self {
        Self { door, own, account, is_over_own: false }
    }

    /// Takes more; false if there is no room for it: then the request is over, and this is to be dropped or set to 0.
    pub fn grow(&mut self, bytes: usize) -> bool {
        self.take(bytes, Share::grow)
    }

    /// Takes so many in all, more or less than before; false if there is no room.
    pub fn set(&mut self, bytes: usize) -> bool {
        self.take(bytes, Share::set)
    }

    fn take(&mut self, bytes: usize, take: impl Fn(&mut Share, usize) -> bool) -> bool {
        // The caller's first: one who has too much must not push others out of the door's.
        self.is_over_own = self.own.as_mut().is_some_and(|own| !take(own, bytes));
        if self.is_over_own {
            self.account.is_over_bytes();
            return false;
        }
        take(&mut self.door, bytes)
    }

    /// What to answer to whom there was no room for: whose limit it was.
    pub fn refused_as(&self) -> Code {
        if self.is_over_own { Code::TooManyRequests } else { Code::Overloaded }
    }

    /// It has arrived: it is no longer among the door's, and among the caller's until this is dropped.
    #[must_use]
    pub fn arrived(self) -> Option<Share> {
        self.own
    }
}

/// Of nobody in particular.
impl From<Share> for Load {
    fn from(door: Share) -> Self {
        Self::new(door, None, Account::default())
    }
}
