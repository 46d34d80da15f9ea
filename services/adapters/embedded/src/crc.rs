//! CRC-32C (Castagnoli), eight bytes at a time.
//!
//! Promises: the checksum that iSCSI, ext4 and Kafka call CRC-32C, of several pieces as if they were one.

const POLYNOMIAL: u32 = 0x82f6_3b78;
const TABLES: [[u32; 256]; 8] = tables();

/// The checksum of all `pieces`, one after another.
pub fn crc32c(pieces: &[&[u8]]) -> u32 {
    !pieces.iter().fold(!0, |crc, piece| extend(crc, piece))
}

fn extend(mut crc: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        // What has been summed up so far lies over the first four bytes.
        let folded = u64::from_le_bytes(*word) ^ u64::from(crc);
        let bytes = folded.to_le_bytes().into_iter().zip(TABLES.iter().rev());
        crc = bytes.fold(0, |sum, (byte, table)| sum ^ table[usize::from(byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

/// `[n][byte]` is what a byte does to the checksum when `n` more bytes have followed it.
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[n - 1][byte];
            tables[n][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        n += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720, appendix B.4, and the usual check value.
    #[test]
    fn it_is_the_checksum_of_iscsi() {
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, crc) in [
            (&b"123456789"[..], 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&[], 0),
        ] {
            assert_eq!(crc32c(&[bytes]), crc, "{bytes:?}");
        }
    }

    #[test]
    fn pieces_count_as_one() {
        let bytes: Vec<u8> = (0..100u8).map(|n| n.wrapping_mul(7)).collect();
        for at in 0..bytes.len() {
            assert_eq!(crc32c(&[&bytes[..at], &bytes[at..]]), crc32c(&[&bytes]), "{at}");
        }
    }
}
