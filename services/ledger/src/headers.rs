//! Record headers: ordered pairs of a name and bytes, in one flat buffer, so that a record costs two allocations and
//! not two per header. Promises to keep order, bytes and repeated names.

use std::fmt;

/// Ordered (name, value) pairs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    buffer: Vec<u8>,
    ends: Vec<Ends>,
}

/// Where a pair's name and value end in the buffer. A pair starts where the one before it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: u32,
    value: u32,
}

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `pairs` pairs of `bytes` bytes in all.
    pub fn with_capacity(pairs: usize, bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), ends: Vec::with_capacity(pairs) }
    }

    /// Adds a pair at the end. Panics beyond 4 GiB, which no record can hold.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.buffer.extend_from_slice(name.as_bytes());
        let name = self.end();
        self.buffer.extend_from_slice(value);
        let value = self.end();
        self.ends.push(Ends { name, value });
    }

    /// The last value of that name: a header that was added later speaks last.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let bytes = |i| self.bytes(i);
        (0..self.ends.len()).rev().map(bytes).find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        (0..self.ends.len()).map(|i| self.pair(i))
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// About how many bytes they take.
    pub fn size(&self) -> usize {
        self.buffer.len() + size_of::<Ends>() * self.ends.len()
    }

    fn end(&self) -> u32 {
        u32::try_from(self.buffer.len()).expect("headers stay below 4 GiB")
    }

    fn pair(&self, i: usize) -> (&str, &[u8]) {
        let (name, value) = self.bytes(i);
        (std::str::from_utf8(name).unwrap_or_default(), value)
    }

    fn bytes(&self, i: usize) -> (&[u8], &[u8]) {
        let start = if i == 0 { 0 } else { self.ends[i - 1].value as usize };
        let Ends { name, value } = self.ends[i];
        (&self.buffer[start..name as usize], &self.buffer[name as usize..value as usize])
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string())))
            .finish()
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.push(name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pairs_come_back_in_order_byte_for_byte(
            pairs in prop::collection::vec((".{0,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..12)
        ) {
            let headers: Headers = pairs.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
            prop_assert_eq!(headers.len(), pairs.len());
            let back: Vec<_> = headers.iter().map(|(n, v)| (n.to_owned(), v.to_vec())).collect();
            prop_assert_eq!(&back, &pairs);
            for (name, _) in &pairs {
                let last = pairs.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_slice());
                prop_assert_eq!(headers.get(name), last);
            }
            prop_assert_eq!(headers.get("no such header at all"), None);
        }
    }
}
