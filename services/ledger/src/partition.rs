//! Where a product's records stand. Promises Kafka's default partitioner: murmur2 of the product id, so that anyone can
//! find a product's partition.

use std::fmt;

/// The number of a partition of the events topic, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The partition of a product in a topic of `partitions` partitions, as Kafka's Java client computes it for a key that
/// is the product id. Panics if `partitions` is not positive.
pub fn partition_of(subject: &str, partitions: i32) -> Partition {
    assert!(partitions > 0, "a topic has at least one partition");
    Partition((murmur2(subject.as_bytes()) & 0x7fff_ffff).cast_signed() % partitions)
}

/// `org.apache.kafka.common.utils.Utils.murmur2`, which is little-endian murmur2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of `org.apache.kafka.common.utils.UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn a_partition_is_the_positive_hash_modulo_their_number() {
        assert_eq!(partition_of("abc", 24), Partition(479_470_107 % 24));
        assert_eq!(partition_of("foobar", 24), Partition(0x50e4_7bbe % 24));
        assert_eq!(partition_of("anything", 1), Partition(0));
    }
}
