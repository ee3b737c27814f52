//! Classifications that were made before: a bounded cache, one per worker, without locks.
//!
//! It is exact: an entry answers only for the very text and encoding that it keeps, so a collision of hashes costs time
//! and nothing else. A text is kept when it comes a second time, so that statements with literals in them, which never
//! come again, neither allocate nor push others out.
use super::{class::Classification, encoding::ClientEncoding, message::classify};

/// Slots of the cache. A text has two to choose from.
pub const CACHE_SLOTS: usize = 2048;
/// The longest text that is kept.
pub const CACHE_LONGEST_TEXT: usize = 16 * 1024;
/// Bytes of all texts that are kept.
pub const CACHE_TOTAL_BYTES: usize = 2 * 1024 * 1024;

/// A text and its classification.
#[derive(Debug)]
struct Entry {
    encoding: ClientEncoding,
    text: Box<[u8]>,
    classification: Classification,
}

/// Small: a statement with literals in it comes once, looks at two slots, finds nothing, and shall not wait for more of
/// the memory than that.
#[derive(Debug, Default)]
struct Slot {
    /// The hash of the last text that fell here, kept or not.
    seen: u64,
    entry: Option<Box<Entry>>,
}

/// [`classify`] with a memory.
#[derive(Debug)]
pub struct Classifier {
    seed: u64,
    slots: Box<[Slot]>,
    bytes: usize,
    /// The slot that is emptied next when the texts take too many bytes.
    hand: usize,
}

impl Classifier {
    /// An empty cache. The seed makes it unforeseeable which texts share a slot.
    pub fn new(seed: u64) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(CACHE_SLOTS).collect();
        Self { seed, slots, bytes: 0, hand: 0 }
    }

    /// [`classify`], remembered.
    pub fn classify(&mut self, text: &[u8], encoding: ClientEncoding) -> Classification {
        if text.is_empty() || text.len() > CACHE_LONGEST_TEXT {
            return classify(text, encoding);
        }
        let hash = self.hash(text, encoding);
        let places = [place(hash), place(hash.rotate_right(32))];
        for place in places {
            if let Some(Slot { seen, entry: Some(entry) }) = self.slots.get(place)
                && *seen == hash
                && entry.encoding == encoding
                && *entry.text == *text
            {
                return entry.classification;
            }
        }
        let classification = classify(text, encoding);
        self.remember(hash, places, || Entry { encoding, text: text.into(), classification });
        classification
    }

    /// Keeps a text that was seen before; of another it keeps in mind that it was seen.
    fn remember(&mut self, hash: u64, [first, second]: [usize; 2], new: impl FnOnce() -> Entry) {
        let vacant = |slots: &[Slot], at: usize| slots.get(at).is_some_and(|slot| slot.entry.is_none());
        let at = if !vacant(&self.slots, first) && vacant(&self.slots, second) { second } else { first };
        let Some(slot) = self.slots.get_mut(at) else { return };
        let seen_before = std::mem::replace(&mut slot.seen, hash) == hash;
        let old = slot.entry.take().map_or(0, |entry| entry.text.len());
        self.bytes = self.bytes.saturating_sub(old);
        if seen_before {
            let entry = new();
            self.make_room(entry.text.len());
            self.bytes = self.bytes.saturating_add(entry.text.len());
            if let Some(slot) = self.slots.get_mut(at) {
                slot.entry = Some(Box::new(entry));
            }
        }
    }

    /// Empties slots, one after another, until a text of that length finds room.
    fn make_room(&mut self, length: usize) {
        for _ in 0..CACHE_SLOTS {
            if self.bytes.saturating_add(length) <= CACHE_TOTAL_BYTES {
                return;
            }
            if let Some(entry) = self.slots.get_mut(self.hand).and_then(|slot| slot.entry.take()) {
                self.bytes = self.bytes.saturating_sub(entry.text.len());
            }
            self.hand = self.hand.wrapping_add(1) % CACHE_SLOTS;
        }
    }

    /// Eight bytes at a time, multiplied and rotated; the length and the encoding are part of it.
    fn hash(&self, text: &[u8], encoding: ClientEncoding) -> u64 {
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let start = mix(self.seed, length.rotate_left(8) ^ number(encoding));
        let (words, _) = text.as_chunks::<8>();
        let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let hash = mix(mix(hash, end(text)), 0);
        hash ^ (hash >> 32)
    }
}

/// The last eight bytes, or all bytes of a shorter text: they overlap where that saves a loop.
fn end(text: &[u8]) -> u64 {
    if let Some(last) = text.last_chunk::<8>() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn place(hash: u64) -> usize {
    usize::try_from(hash & 0xFFFF_FFFF).unwrap_or(0) % CACHE_SLOTS
}

fn number(encoding: ClientEncoding) -> u64 {
    match encoding {
        ClientEncoding::Safe => 0,
        ClientEncoding::Sjis => 1,
        ClientEncoding::ShiftJis2004 => 2,
        ClientEncoding::TwoByte => 3,
        ClientEncoding::Gb18030 => 4,
        ClientEncoding::Johab => 5,
        ClientEncoding::Uncertain => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Classifier) -> usize {
        let lengths = cache.slots.iter().filter_map(|slot| slot.entry.as_ref()).map(|entry| entry.text.len());
        assert_eq!(lengths.clone().sum::<usize>(), cache.bytes);
        lengths.count()
    }

    #[test]
    fn a_text_is_kept_when_it_comes_a_second_time() {
        let mut cache = Classifier::new(7);
        for (time, entries) in [(1, 0), (2, 1), (3, 1)] {
            assert_eq!(
                cache.classify(b"SELECT 1", ClientEncoding::Safe),
                classify(b"SELECT 1", ClientEncoding::Safe)
            );
            assert_eq!(kept(&cache), entries, "time {time}");
        }
    }

    #[test]
    fn the_encoding_is_part_of_the_key() {
        let mut cache = Classifier::new(7);
        let text = b"SELECT '\x95\\'";
        for _ in 0..3 {
            for encoding in [ClientEncoding::Safe, ClientEncoding::Sjis, ClientEncoding::Uncertain] {
                assert_eq!(cache.classify(text, encoding), classify(text, encoding));
            }
        }
    }

    #[test]
    fn two_texts_of_one_slot_never_answer_for_each_other() {
        let mut cache = Classifier::new(7);
        let at = |text: &String| place(cache.hash(text.as_bytes(), ClientEncoding::Safe));
        let reads: Vec<String> = (0..20_000).map(|n| format!("SELECT {n}")).collect();
        let victim = at(&reads[0]);
        let mut rivals: Vec<String> = reads.iter().filter(|text| at(text) == victim).cloned().collect();
        rivals.extend((0..20_000).map(|n| format!("DELETE FROM t{n}")).filter(|text| at(text) == victim));
        assert!(rivals.len() > 10);
        for _ in 0..5 {
            for text in &rivals {
                let found = cache.classify(text.as_bytes(), ClientEncoding::Safe);
                assert_eq!(found, classify(text.as_bytes(), ClientEncoding::Safe), "{text}");
            }
        }
    }

    #[test]
    fn no_limit_is_passed() {
        let mut cache = Classifier::new(7);
        let long = |n: usize, length: usize| format!("SELECT '{n:0>length$}'");
        let longest = |n| long(n, CACHE_LONGEST_TEXT - 9);
        assert_eq!(longest(0).len(), CACHE_LONGEST_TEXT);
        for n in 0..500 {
            for _ in 0..2 {
                cache.classify(longest(n).as_bytes(), ClientEncoding::Safe);
                assert!(cache.bytes <= CACHE_TOTAL_BYTES);
            }
        }
        assert!(kept(&cache) > 100);
        for _ in 0..3 {
            cache.classify(long(501, CACHE_LONGEST_TEXT).as_bytes(), ClientEncoding::Safe);
        }
        assert!(
            cache
                .slots
                .iter()
                .flat_map(|slot| &slot.entry)
                .all(|entry| entry.text.len() <= CACHE_LONGEST_TEXT)
        );
        for n in 0..3 * CACHE_SLOTS {
            for _ in 0..2 {
                cache.classify(format!("SELECT {n}").as_bytes(), ClientEncoding::Safe);
            }
        }
        assert!(kept(&cache) <= CACHE_SLOTS);
    }
}
