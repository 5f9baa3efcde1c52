//! Where a process can be reached, as told to others.

use std::fmt;
use std::str::FromStr;

/// The address of a [`crate::Host`]; as text without slashes, blanks or wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What its host is, digested: only processes with an equal one can share memory.
    pub(crate) host: u64,
    pub(crate) pid: u32,
    pub(crate) fd: u32,
    /// Drawn by the process: a number that went to another process or file since is noticed.
    pub(crate) nonce: u64,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}-{:016x}", self.host, self.pid, self.fd, self.nonce)
    }
}

/// The text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a process")]
pub struct NotAnAddress(String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let read = || {
            let mut parts = text.split('-');
            let mut next = || parts.next();
            let host = u64::from_str_radix(next()?, 16).ok()?;
            let (pid, fd) = (next()?.parse().ok()?, next()?.parse().ok()?);
            let nonce = u64::from_str_radix(next()?, 16).ok()?;
            next().is_none().then_some(Self { host, pid, fd, nonce })
        };
        read().ok_or_else(|| NotAnAddress(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_being_told_and_other_text_is_refused() {
        let address = Address { host: 1, pid: 2, fd: 3, nonce: u64::MAX };
        assert_eq!(address.to_string().parse(), Ok(address));
        for text in ["", "1-2-3", "1-2-3-4-5", "x-2-3-4", "1--3-4", "1-2-3-11111111111111111"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
