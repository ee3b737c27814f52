//! Big-endian words and C strings off the front of a slice, without a panic.

/// Splits a big-endian 16-bit word off the front.
pub(super) fn u16_be(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk().map(|(word, rest)| (u16::from_be_bytes(*word), rest))
}

/// Splits a big-endian 32-bit word off the front.
pub(super) fn u32_be(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(word, rest)| (u32::from_be_bytes(*word), rest))
}

/// Splits a NUL-terminated string off the front; the NUL is dropped.
pub(super) fn c_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((text, rest.get(1..)?))
}

/// A 32-bit length as a size in memory.
pub(super) fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
