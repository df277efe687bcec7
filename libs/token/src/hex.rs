//! 256 bits as 64 hexadecimal digits, the form of a key in a file.

use zeroize::Zeroizing;

pub(crate) type Key256 = Zeroizing<[u8; 32]>;

/// Reads exactly 64 digits of either case.
pub(crate) fn read_256(text: &[u8]) -> Option<Key256> {
    if text.len() != 64 {
        return None;
    }
    let mut key = Key256::default();
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(key)
}

/// Writes 64 digits of lower case.
pub(crate) fn write_256(key: &Key256) -> Zeroizing<Vec<u8>> {
    let digits = b"0123456789abcdef";
    // Allocated once at its full length, so no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(64));
    for byte in key.iter() {
        text.push(digits[usize::from(byte >> 4)]);
        text.push(digits[usize::from(byte & 15)]);
    }
    text
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
