//! A fixed set of names, hashed at compile time: is this name one of them?

/// A set of names, one a line of a text. `SLOTS` is a power of two, well above the number of names.
#[derive(Debug)]
pub(super) struct NameTable<const SLOTS: usize> {
    names: &'static [u8],
    /// Open addressing: where the name begins, plus one; 0 is empty.
    slots: [u16; SLOTS],
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at compile time a fault fails the build"
)]
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the text is shorter than 65,535 bytes, which is asserted"
)]
impl<const SLOTS: usize> NameTable<SLOTS> {
    /// Builds the table; every line ends in a newline.
    pub(super) const fn new(names: &'static [u8]) -> Self {
        assert!(names.len() < 65_535 && SLOTS.is_power_of_two());
        let mut slots = [0; SLOTS];
        let mut start = 0;
        while start < names.len() {
            let mut end = start;
            while names[end] != b'\n' {
                end += 1;
            }
            let (line, _) = names.split_at(end);
            let (_, name) = line.split_at(start);
            let mut slot = Hash::of(name).slot(SLOTS);
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = start as u16 + 1;
            start = end + 1;
        }
        Self { names, slots }
    }
}

impl<const SLOTS: usize> NameTable<SLOTS> {
    /// Whether the name is one of them.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        let mut slot = Hash::of(name).slot(SLOTS);
        loop {
            let start = usize::from(self.slots.get(slot).copied().unwrap_or(0));
            let Some(line) = start.checked_sub(1).and_then(|start| self.names.get(start..)) else {
                return false;
            };
            if line.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'\n')) {
                return true;
            }
            slot = slot.wrapping_add(1).checked_rem(SLOTS).unwrap_or(0);
        }
    }
}

/// FNV-1a, 32 bits: short, and good enough for tables that no one can add to.
#[derive(Clone, Copy)]
pub(super) struct Hash(u32);

#[expect(clippy::as_conversions, reason = "widening, where From is not const")]
#[expect(clippy::arithmetic_side_effects, reason = "the number of slots is a constant, not 0")]
impl Hash {
    pub(super) const fn of(name: &[u8]) -> Self {
        let mut hash = 0x811c_9dc5_u32;
        let mut rest = name;
        while let [byte, tail @ ..] = rest {
            hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
            rest = tail;
        }
        Self(hash)
    }

    /// Where the search begins in a table of that many slots.
    pub(super) const fn slot(self, slots: usize) -> usize {
        let hash = self.0 as usize;
        (hash ^ (hash >> 15)) % slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_its_names_and_no_others() {
        static TABLE: NameTable<16> = NameTable::new(b"lower\nupper\nlo\nup\nlow\n");
        for name in [&b"lower"[..], b"upper", b"lo", b"up", b"low"] {
            assert!(TABLE.contains(name));
        }
        for name in [&b""[..], b"l", b"lowe", b"lowers", b"Lower", b"lower\nupper", b"\n"] {
            assert!(!TABLE.contains(name), "{name:?}");
        }
    }
}
