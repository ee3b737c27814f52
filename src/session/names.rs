//! What the server knows by name: prepared statements and portals, each with the class of what it runs.
//! A name is defined when its message is forwarded and holds from the moment that the server says so; in
//! between, whatever it may stand for counts, and the strictest wins. Bounded: a name that is not kept, or
//! that the proxy can't fold as the server does, is unknown, and what is unknown is refused while frozen.

use super::transaction::without;
use crate::sql::{Classification, Effects, NamedOperation, SqlName, StatementClass, Verdict};
use std::{collections::BTreeMap, sync::Arc};

/// Names of one kind that are kept for a session.
pub(super) const NAMES_LIMIT: usize = 8_192;
/// Of the text of a statement that a frozen gate would refuse, so much is kept to tell what it was, in bytes.
pub(super) const TEXT_KEPT: usize = 512;

/// What is known of a prepared statement, or of the portal that it was bound to.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) classification: Classification,
    /// PREPARE, EXECUTE, DEALLOCATE, DECLARE and CLOSE name things when they are run, not when they are parsed.
    pub(super) operations: Option<Arc<[Operation]>>,
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
    pub(super) fn unknown() -> Self {
        Self { classification: Classification::UNKNOWN_NAME, operations: None }
    }
}

/// What one name stands for.
#[derive(Debug, Default)]
struct Slot {
    /// What the server is known to hold.
    confirmed: Option<Prepared>,
    /// Definitions in flight, and the last of them.
    pending: u32,
    latest: Option<Prepared>,
    latest_batch: u32,
    /// The strictest of the definitions that have been in flight since none was, if there was more than one.
    strictest: Option<Prepared>,
    /// A definition was confirmed while others were in flight behind it.
    mixed: bool,
    text: Vec<u8>,
}

/// Names that are not empty.
type Named = BTreeMap<Box<[u8]>, Box<Slot>>;

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
pub(super) fn key(name: &[u8]) -> &[u8] {
    name.get(..NAME_COMPARED).unwrap_or(name)
}

/// Source: `NAMEDATALEN - 1`, `pg_config_manual.h`.
const NAME_COMPARED: usize = 63;

/// A change of a book that the server has not confirmed yet.
#[derive(Debug)]
pub(super) enum Change {
    Define(Box<[u8]>),
    Remove(Box<[u8]>),
    Clear,
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
    /// A definition is on its way: the change that settles it.
    pub(super) fn define(&mut self, name: &[u8], what: Prepared, text: &[u8], batch: u32) -> Change {
        let name = key(name);
        if let Some(slot) = self.slot_to_define(name) {
            slot.pending = slot.pending.saturating_add(1);
            slot.latest_batch = batch;
            slot.text.clear();
            if what.classification.verdict == Verdict::Refuse {
                slot.text.extend(text.iter().take(TEXT_KEPT));
            }
            if slot.pending > 1 {
                let before = slot.strictest.take().or(slot.latest.take());
                slot.strictest = stricter(before, Some(&what));
            }
            slot.latest = Some(what);
        }
        Change::Define(name.into())
    }

    /// The removal of a name is on its way.
    pub(super) fn removal(name: &[u8]) -> Change {
        Change::Remove(key(name).into())
    }

    /// A change in flight has come to its end.
    pub(super) fn settle(&mut self, change: Change, how: Settled) {
        match change {
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
    pub(super) fn look_up(&self, name: &[u8], batch: u32) -> Option<Prepared> {
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
            prepared.classification = both(prepared.classification, Classification::UNKNOWN_NAME);
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
            named.remove(name);
        }
    }

    fn get(&self, name: &[u8]) -> Option<&Slot> {
        if name.is_empty() {
            return self.unnamed.as_deref();
        }
        self.named.as_ref()?.get(name).map(Box::as_ref)
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Slot> {
        if name.is_empty() {
            return self.unnamed.as_deref_mut();
        }
        self.named.as_mut()?.get_mut(name).map(Box::as_mut)
    }

    fn slot_to_define(&mut self, name: &[u8]) -> Option<&mut Slot> {
        if name.is_empty() {
            return Some(self.unnamed.get_or_insert_default());
        }
        let named = self.named.get_or_insert_default();
        if !named.contains_key(name) {
            if named.len() >= NAMES_LIMIT || !name.is_ascii() {
                return None;
            }
            named.insert(name.into(), Box::default());
        }
        named.get_mut(name).map(Box::as_mut)
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

    fn is_void(&self) -> bool {
        self.pending == 0 && self.confirmed.is_none()
    }
}

/// Of two things that a name may stand for, the one that a frozen gate would rather refuse; with the effects
/// of both.
pub(super) fn stricter(one: Option<Prepared>, other: Option<&Prepared>) -> Option<Prepared> {
    let (Some(known), Some(other)) = (&one, other) else { return one.or(other.cloned()) };
    if is_alike(known, other) {
        return one;
    }
    let classification = stricter_class(known.classification, other.classification);
    let operations = match (&known.operations, &other.operations) {
        (None, None) => None,
        (Some(operations), None) | (None, Some(operations)) => Some(Arc::clone(operations)),
        (Some(a), Some(b)) => Some(a.iter().chain(b.iter()).cloned().collect()),
    };
    Some(Prepared { classification, operations })
}

/// Whether one of the two is as strict as the other, and does the same: as where a portal is bound anew.
fn is_alike(one: &Prepared, other: &Prepared) -> bool {
    let facts =
        |of: &Prepared| (of.classification.class, of.classification.verdict, of.classification.effects);
    facts(one) == facts(other) && one.operations.is_none() && other.operations.is_none()
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
