//! What the server knows by name: prepared statements and portals, each with the class of what it runs.
//! A name is defined when its message is forwarded and holds from the moment that the server says so; in
//! between, whatever it may stand for counts, and the strictest wins. Bounded: a name that is not kept, or
//! that the proxy can't fold as the server does, is unknown, and what is unknown is refused while frozen.

use super::transaction::without;
use crate::sql::{Classification, Effects, NamedOperation, SqlName, StatementClass, Verdict};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    rc::Rc,
};

/// Names of one kind that are kept for a session.
pub(super) const NAMES_LIMIT: usize = 8_192;
/// Of the text of a statement that a frozen gate would refuse, so much is kept to tell what it was, in bytes.
pub(super) const TEXT_KEPT: usize = 512;

/// What is known of a prepared statement. It is shared with the portals that are bound to it: to be handed on for each
/// of them, it is too large.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) classification: Classification,
    /// PREPARE, EXECUTE, DEALLOCATE, DECLARE and CLOSE name things when they are run, not when they are parsed.
    pub(super) operations: Box<[Operation]>,
}

/// What a statement does with names, kept until it is run.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Prepare(SqlName, Classification),
    Execute(SqlName),
    Fetch(SqlName),
    Deallocate(SqlName),
    DeallocateAll,
    DiscardAll,
    Declare(SqlName, Classification),
    Close(SqlName),
    CloseAll,
}

impl From<NamedOperation<'_>> for Operation {
    fn from(operation: NamedOperation<'_>) -> Self {
        match operation {
            NamedOperation::Prepare { name, classification } => Self::Prepare(name.clone(), classification),
            NamedOperation::Execute { name } => Self::Execute(name.clone()),
            NamedOperation::Fetch { name } => Self::Fetch(name.clone()),
            NamedOperation::Deallocate { name } => Self::Deallocate(name.clone()),
            NamedOperation::DeallocateAll => Self::DeallocateAll,
            NamedOperation::DiscardAll => Self::DiscardAll,
            NamedOperation::Declare { name, classification } => Self::Declare(name.clone(), classification),
            NamedOperation::Close { name } => Self::Close(name.clone()),
            NamedOperation::CloseAll => Self::CloseAll,
        }
    }
}

impl Operation {
    /// The same, in a text that names a loophole of the database.
    pub(super) fn through_loophole(self) -> Self {
        match self {
            Self::Prepare(name, classification) => Self::Prepare(name, classification.through_loophole()),
            Self::Declare(name, classification) => Self::Declare(name, classification.through_loophole()),
            other @ (Self::Execute(_)
            | Self::Fetch(_)
            | Self::Deallocate(_)
            | Self::DeallocateAll
            | Self::DiscardAll
            | Self::Close(_)
            | Self::CloseAll) => other,
        }
    }
}

impl Prepared {
    /// What stands under a name that nobody knows.
    pub(super) fn unknown() -> Rc<Self> {
        Self::plain(Classification::UNKNOWN_NAME)
    }

    /// What names nothing itself.
    pub(super) fn plain(classification: Classification) -> Rc<Self> {
        Rc::new(Self { classification, operations: Box::default() })
    }
}

/// What one name stands for.
#[derive(Debug, Default)]
struct Slot {
    /// What the server is known to hold.
    confirmed: Option<Rc<Prepared>>,
    /// Definitions in flight, and the last of them.
    pending: u32,
    latest: Option<Rc<Prepared>>,
    latest_batch: u32,
    /// The strictest of the definitions that have been in flight since none was, if there was more than one.
    strictest: Option<Rc<Prepared>>,
    /// A definition was confirmed while others were in flight behind it.
    mixed: bool,
    text: Vec<u8>,
}

/// Names that are not empty.
type Named = BTreeMap<Key, Box<Slot>>;

/// A name in a fixed place: as words it is compared without a call, and one often tells two names apart. None holds a
/// zero byte, so that what is left of the last word is filled up with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key([u64; KEY_WORDS]);

/// So many words of eight bytes hold the longest name.
const KEY_WORDS: usize = NAME_COMPARED.div_ceil(8);

impl Key {
    fn of(name: &[u8]) -> Self {
        let (whole, rest) = key(name).as_chunks();
        let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mut words = [0; KEY_WORDS];
        for (word, bytes) in
            words.iter_mut().zip(whole.iter().map(|bytes| u64::from_be_bytes(*bytes)).chain([last]))
        {
            *word = bytes;
        }
        Self(words)
    }
}

/// A book of names of one kind.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Both are made when they are first used: most sessions lie idle, and of those many never come to it.
    unnamed: Option<Box<Slot>>,
    /// A tree: no client can choose names that make it slow, and the few names that most have are found at once.
    named: Option<Box<Named>>,
    /// A text that nobody read may have defined anything.
    lost: bool,
}

/// A name as the server compares it: by its first 63 bytes (`NAMEDATALEN`; the hash tables of `prepare.c` and
/// `portalmem.c`). Bytes beyond ASCII would be converted from the client's encoding, which may change: such a
/// name is never known.
fn key(name: &[u8]) -> &[u8] {
    name.get(..NAME_COMPARED).unwrap_or(name)
}

/// Source: `NAMEDATALEN - 1`, `pg_config_manual.h`.
const NAME_COMPARED: usize = 63;

/// A change of a book that the server has not confirmed yet.
#[derive(Debug)]
pub(super) enum Change {
    DefineUnnamed,
    Define(Box<[u8]>),
    Remove(Box<[u8]>),
    Clear,
}

impl Change {
    /// What settles a definition that is on its way.
    #[inline]
    pub(super) fn definition(name: &[u8]) -> Self {
        if name.is_empty() { Self::DefineUnnamed } else { Self::Define(key(name).into()) }
    }

    /// What settles the removal of a name that is on its way.
    pub(super) fn removal(name: &[u8]) -> Self {
        Self::Remove(key(name).into())
    }
}

/// How the message ended that makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The server did it.
    Done,
    /// The server did not do it.
    Skipped,
    /// It failed somewhere: the change may or may not have been made.
    Unsure,
}

impl Names {
    /// A definition is on its way: [`Change::definition`] settles it.
    pub(super) fn define(&mut self, name: &[u8], what: Rc<Prepared>, text: &[u8], batch: u32) {
        let name = key(name);
        if let Some(slot) = self.slot_to_define(name) {
            slot.pending = slot.pending.saturating_add(1);
            slot.latest_batch = batch;
            slot.text.clear();
            if what.classification.verdict == Verdict::Refuse {
                slot.text.extend(text.iter().take(TEXT_KEPT));
            }
            if slot.pending > 1 && !slot.expects_alike(&what) {
                let before = slot.strictest.take().or(slot.latest.take());
                slot.strictest = stricter(before, Some(&what));
            }
            slot.latest = Some(what);
        }
    }

    /// A change in flight has come to its end.
    pub(super) fn settle(&mut self, change: Change, how: Settled) {
        match change {
            Change::DefineUnnamed => {
                if let Some(slot) = self.unnamed.as_deref_mut() {
                    slot.settle(how);
                }
            }
            Change::Define(name) => {
                let Some(slot) = self.slot(&name) else { return };
                slot.settle(how);
                if slot.is_void() {
                    self.remove(&name);
                }
            }
            // What may still be there is kept: an unknown name would be refused.
            Change::Remove(name) if how == Settled::Done => self.forget(&name),
            Change::Clear if how == Settled::Done => self.forget_all(),
            Change::Remove(_) | Change::Clear => {}
        }
    }

    /// What a name stands for, in a message of that batch. `None`: nobody knows.
    pub(super) fn look_up(&self, name: &[u8], batch: u32) -> Option<Rc<Prepared>> {
        let name = key(name);
        if self.lost || !name.is_ascii() {
            return None;
        }
        let slot = self.get(name)?;
        if slot.pending == 0 {
            slot.confirmed.clone()
        } else if slot.latest_batch == batch {
            // Had an earlier message of this batch failed, the server would skip the one that asks.
            slot.latest.clone()
        } else {
            stricter(slot.confirmed.clone(), slot.strictest.as_ref().or(slot.latest.as_ref()))
        }
    }

    /// The text last kept under a name.
    pub(super) fn text(&self, name: &[u8]) -> &[u8] {
        let name = key(name);
        self.get(name).map_or(&[], |slot| &slot.text)
    }

    /// All named ones that no definition in flight keeps are gone.
    pub(super) fn forget_all(&mut self) {
        if let Some(named) = &mut self.named {
            named.retain(|_, slot| {
                slot.confirmed = None;
                !slot.is_void()
            });
        }
    }

    /// What passed may be a loophole by what is known now: what could write through a function is unknown until it
    /// is defined anew.
    pub(super) fn distrust(&mut self) {
        let slots = self
            .unnamed
            .as_deref_mut()
            .into_iter()
            .chain(self.named.iter_mut().flat_map(|named| named.values_mut()).map(Box::as_mut));
        let all =
            slots.flat_map(|slot| [&mut slot.confirmed, &mut slot.latest, &mut slot.strictest]).flatten();
        for prepared in all.filter(|known| known.classification.effects.contains(Effects::MAY_WRITE)) {
            let known = Rc::make_mut(prepared);
            known.classification = both(known.classification, Classification::UNKNOWN_NAME);
        }
    }

    /// A message that nobody could read has been forwarded; from now on no name is known.
    pub(super) fn lose_track(&mut self) {
        self.lost = true;
    }

    fn forget(&mut self, name: &[u8]) {
        if let Some(slot) = self.slot(name) {
            slot.confirmed = None;
            if slot.is_void() {
                self.remove(name);
            }
        }
    }

    fn remove(&mut self, name: &[u8]) {
        if let Some(named) = &mut self.named {
            named.remove(&Key::of(name));
        }
    }

    fn get(&self, name: &[u8]) -> Option<&Slot> {
        if name.is_empty() {
            return self.unnamed.as_deref();
        }
        self.named.as_ref()?.get(&Key::of(name)).map(Box::as_ref)
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Slot> {
        if name.is_empty() {
            return self.unnamed.as_deref_mut();
        }
        self.named.as_mut()?.get_mut(&Key::of(name)).map(Box::as_mut)
    }

    fn slot_to_define(&mut self, name: &[u8]) -> Option<&mut Slot> {
        if name.is_empty() {
            return Some(self.unnamed.get_or_insert_default());
        }
        let named = self.named.get_or_insert_default();
        let has_room = named.len() < NAMES_LIMIT && name.is_ascii();
        match named.entry(Key::of(name)) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) if has_room => Some(place.insert(Box::default())),
            Entry::Vacant(_) => None,
        }
    }
}

impl Slot {
    fn settle(&mut self, how: Settled) {
        self.pending = self.pending.saturating_sub(1);
        if how == Settled::Unsure || (how == Settled::Skipped && self.mixed) {
            let worst = self.strictest.as_ref().or(self.latest.as_ref());
            self.confirmed = stricter(self.confirmed.take(), worst);
        }
        if self.pending > 0 {
            self.mixed |= how != Settled::Skipped;
            return;
        }
        let latest = self.latest.take();
        if how == Settled::Done {
            self.confirmed = latest;
        }
        (self.strictest, self.mixed) = (None, false);
    }

    /// Whether all definitions in flight are as strict as this one.
    fn expects_alike(&self, what: &Rc<Prepared>) -> bool {
        self.strictest.is_none() && self.latest.as_ref().is_some_and(|latest| is_alike(latest, what))
    }

    fn is_void(&self) -> bool {
        self.pending == 0 && self.confirmed.is_none()
    }
}

/// Of two things that a name may stand for, the one that a frozen gate would rather refuse; with the effects
/// of both.
pub(super) fn stricter(one: Option<Rc<Prepared>>, other: Option<&Rc<Prepared>>) -> Option<Rc<Prepared>> {
    let (Some(known), Some(other)) = (&one, other) else { return one.or(other.cloned()) };
    if is_alike(known, other) {
        return one;
    }
    let classification = stricter_class(known.classification, other.classification);
    let operations = known.operations.iter().chain(&other.operations).cloned().collect();
    Some(Rc::new(Prepared { classification, operations }))
}

/// Whether one of the two is as strict as the other, and does the same: as where a portal is bound anew.
fn is_alike(one: &Rc<Prepared>, other: &Rc<Prepared>) -> bool {
    let facts =
        |of: &Prepared| (of.classification.class, of.classification.verdict, of.classification.effects);
    let are_plain = || one.operations.is_empty() && other.operations.is_empty();
    Rc::ptr_eq(one, other) || (facts(one) == facts(other) && are_plain())
}

/// One of the two, nobody knows which: the one that a frozen gate would rather refuse, with the effects of both.
/// If it writes is then not known either; a transaction that was let go on because of it would be let write.
pub(super) fn stricter_class(one: Classification, other: Classification) -> Classification {
    let mut merged = both(one, other);
    let writes = Effects::WRITES.union(Effects::WRITES_SINCE_END);
    if one.effects != other.effects && merged.effects.intersects(writes) {
        merged.effects =
            without(merged.effects, writes).union(Effects::MAY_WRITE).union(Effects::MAY_WRITE_SINCE_END);
    }
    merged
}

/// Both of the two: unknown if one is, else refused if one is; with the effects of both.
pub(super) fn both(one: Classification, other: Classification) -> Classification {
    let rank =
        |what: &Classification| (what.class == StatementClass::Unknown, what.verdict == Verdict::Refuse);
    let (mut strict, mut lax) = if rank(&other) > rank(&one) { (other, one) } else { (one, other) };
    if strict.effects != lax.effects {
        // Whose row is to be rewritten must be certain.
        lax.effects.remove(Effects::SHOWS_FROSTGATE);
        strict.effects.remove(Effects::SHOWS_FROSTGATE);
    }
    strict.effects = strict.effects.union(lax.effects);
    strict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_their_first_63_bytes_and_by_nothing_else() {
        let alphabet = b"abcdefghijklmnopqrstuvwxyz";
        let mut names: Vec<Vec<u8>> = Vec::new();
        for length in 1..=NAME_COMPARED {
            let name: Vec<u8> = alphabet.iter().cycle().take(length).copied().collect();
            for at in 0..length {
                let mut other = name.clone();
                other[at] = b'_';
                names.push(other);
            }
            names.push(name);
        }
        let mut book = Names::default();
        for (name, batch) in names.iter().zip(0..) {
            book.define(name, Prepared::plain(Classification::UNREADABLE), &[], batch);
        }
        assert_eq!(book.named.as_ref().map(|named| named.len()), Some(names.len()));
        for (name, batch) in names.iter().zip(0..) {
            assert_eq!(book.get(name).map(|slot| slot.latest_batch), Some(batch), "{name:?}");
            let longer = [name, &b"xyz"[..]].concat();
            assert_eq!(
                book.look_up(&longer, batch).is_some(),
                name.len() == NAME_COMPARED || names.contains(&longer)
            );
        }
    }
}
