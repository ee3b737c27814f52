//! The keywords that the rules ask about, and how one is recognised: by ASCII case folding alone, whatever the
//! locale (`ScanKeywordLookup` in kwlookup.c). Every other word is [`Word::NONE`]; that a keyword may also serve as a
//! name is for the rules to know.

/// A keyword, or none that matters: an open vocabulary, of which each rule knows a few words and refuses the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u8);

/// Builds the constants and their spellings from one list.
macro_rules! words {
    ($($word:ident $text:literal)+) => {
        /// The place of each word in `SPELLINGS`, plus one.
        #[expect(clippy::upper_case_acronyms, reason = "named as the constants that they number")]
        enum Place { NONE, $($word,)+ }

        #[expect(clippy::as_conversions, reason = "a number of a fieldless enum, of fewer than 255")]
        impl Word {
            /// Any other word, and any token that is no word.
            pub(super) const NONE: Self = Self(Place::NONE as u8);
            $(pub(super) const $word: Self = Self(Place::$word as u8);)+
        }

        /// Every keyword's spelling in lower case.
        const SPELLINGS: &[&[u8]] = &[$($text.as_bytes(),)+];
    };
}

words! {
    ABORT "abort" ACCESS "access" AGGREGATE "aggregate" ALL "all" ALTER "alter" ANALYSE "analyse"
    ANALYZE "analyze" AND "and" AS "as" ASENSITIVE "asensitive" ATOMIC "atomic"
    AUTHORIZATION "authorization" BEGIN "begin" BINARY "binary" BREADTH "breadth" BY "by" CALL "call"
    CAST "cast" CATALOG "catalog" CHAIN "chain" CHARACTERISTICS "characteristics" CHECKPOINT "checkpoint"
    CLASS "class" CLOSE "close" CLUSTER "cluster" COLLATION "collation" COLUMNS "columns" COMMENT "comment"
    COMMIT "commit" COMMITTED "committed" CONCURRENTLY "concurrently" CONFIGURATION "configuration"
    CONSTRAINT "constraint" CONSTRAINTS "constraints" CONVERSION "conversion" COPY "copy" CREATE "create"
    CURSOR "cursor" CYCLE "cycle" DATA "data" DATABASE "database" DEALLOCATE "deallocate" DECLARE "declare"
    DEFAULT "default" DEFERRABLE "deferrable" DELETE "delete" DEPTH "depth" DICTIONARY "dictionary"
    DISCARD "discard" DO "do" DOMAIN "domain" DROP "drop" END "end" ESCAPE "escape" EVENT "event"
    EXCLUSIVE "exclusive" EXECUTE "execute" EXISTS "exists" EXPLAIN "explain" EXTENSION "extension"
    FAMILY "family" FETCH "fetch" FILTER "filter" FIRST "first" FOR "for" FOREIGN "foreign" FROM "from"
    FUNCTION "function" GLOBAL "global" GRANT "grant" GROUP "group" GROUPING "grouping" HOLD "hold" IF "if"
    IMPORT "import" IN "in" INDEX "index" INSENSITIVE "insensitive" INSERT "insert" INTO "into"
    ISOLATION "isolation" KEY "key" LANGUAGE "language" LARGE "large" LEVEL "level" LISTEN "listen"
    LOAD "load" LOCAL "local" LOCK "lock" MAPPING "mapping" MATERIALIZED "materialized" MERGE "merge"
    METHOD "method" MODE "mode" MOVE "move" NAME "name" NAMES "names" NEXT "next" NO "no" NOT "not"
    NOTIFY "notify" NOWAIT "nowait" OBJECT "object" ON "on" ONLY "only" OPERATOR "operator" OPTION "option"
    OR "or" ORDER "order" OVER "over" OVERLAY "overlay" OWNED "owned" PARSER "parser" PARTITION "partition"
    PASSING "passing" PLANS "plans" POLICY "policy" PREPARE "prepare" PREPARED "prepared"
    PRIVILEGES "privileges" PROCEDURAL "procedural" PROCEDURE "procedure" PUBLICATION "publication"
    READ "read" REASSIGN "reassign" RECURSIVE "recursive" REFRESH "refresh" REINDEX "reindex"
    RELEASE "release" REPEATABLE "repeatable" REPLACE "replace" RESET "reset" REVOKE "revoke" ROLE "role"
    ROLLBACK "rollback" ROUTINE "routine" ROW "row" RULE "rule" SAVEPOINT "savepoint" SCHEMA "schema"
    SCROLL "scroll" SEARCH "search" SECURITY "security" SELECT "select" SEQUENCE "sequence"
    SEQUENCES "sequences" SERIALIZABLE "serializable" SERVER "server" SESSION "session" SET "set"
    SETS "sets" SHARE "share" SHOW "show" SNAPSHOT "snapshot" START "start" STATISTICS "statistics"
    STDIN "stdin" STDOUT "stdout" SUBSCRIPTION "subscription" SUBSTRING "substring" SYSTEM "system"
    TABLE "table" TABLESPACE "tablespace" TEMP "temp" TEMPLATE "template" TEMPORARY "temporary" TEXT "text"
    TIME "time" TO "to" TRANSACTION "transaction" TRANSFORM "transform" TRIGGER "trigger"
    TRUNCATE "truncate" TRUSTED "trusted" TYPE "type" UESCAPE "uescape" UNCOMMITTED "uncommitted"
    UNIQUE "unique" UNLISTEN "unlisten" UNLOGGED "unlogged" UPDATE "update" USER "user" USING "using"
    VACUUM "vacuum" VALUES "values" VERBOSE "verbose" VIEW "view" WITH "with" WITHOUT "without" WORK "work"
    WRAPPER "wrapper" WRITE "write" XML "xml" XMLELEMENT "xmlelement" XMLPI "xmlpi" ZONE "zone"
}

/// The longest spelling; a longer word is no keyword.
const LONGEST: usize = 15;
/// Slots of the table: a power of two, five times the keywords, so that most other words meet an empty slot.
const SLOTS: usize = 1024;
/// Open addressing: the number of the keyword; 0 is empty.
static TABLE: [u8; SLOTS] = table();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at compile time a fault fails the build"
)]
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "fewer than 255 keywords, which is asserted"
)]
const fn table() -> [u8; SLOTS] {
    assert!(SPELLINGS.len() < 255);
    let mut table = [0; SLOTS];
    let mut place = 0;
    while place < SPELLINGS.len() {
        let spelling = SPELLINGS[place];
        let middle = spelling[spelling.len() / 2];
        let mut slot = slot_of(spelling[0], middle, spelling[spelling.len() - 1], spelling.len());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = place as u8 + 1;
        place += 1;
    }
    table
}

/// Where the search for a word begins. Bit 0x20 makes ASCII letters equal in case; what it does to other bytes does no
/// harm, as the spelling is compared in the end.
#[expect(clippy::as_conversions, reason = "widening, where From is not const")]
const fn slot_of(first: u8, middle: u8, last: u8, length: usize) -> usize {
    let mixed = ((first | 0x20) as usize)
        .wrapping_mul(0x2F)
        .wrapping_add(((middle | 0x20) as usize).wrapping_mul(0x1F3))
        .wrapping_add(((last | 0x20) as usize).wrapping_mul(0x61))
        .wrapping_add(length.wrapping_mul(0x11));
    mixed % SLOTS
}

impl Word {
    /// The keyword of that number.
    #[inline]
    pub(super) const fn numbered(number: u8) -> Self {
        Self(number)
    }

    /// The keyword's number; 0 is none.
    #[inline]
    pub(super) const fn number(self) -> u8 {
        self.0
    }

    /// The keyword that an unquoted word spells.
    pub(super) fn of(text: &[u8]) -> Self {
        let (Some(first), Some(last)) = (text.first(), text.last()) else { return Self::NONE };
        if text.len() > LONGEST {
            return Self::NONE;
        }
        let middle = text.get(text.len() / 2).unwrap_or(first);
        let mut slot = slot_of(*first, *middle, *last, text.len());
        loop {
            let number = TABLE.get(slot).copied().unwrap_or(0);
            let Some(spelling) = usize::from(number).checked_sub(1).and_then(|place| SPELLINGS.get(place))
            else {
                return Self::NONE;
            };
            if is_spelled(text, spelling) {
                return Self(number);
            }
            slot = slot.wrapping_add(1) % SLOTS;
        }
    }
}

/// Whether a word is a keyword in any case. A spelling holds nothing but lower-case letters, and two bytes only become
/// one of those by bit 0x20: the letter in either case.
/// Several bytes are compared at a time, at both ends: what lies between is in one of the two, or in both.
#[inline]
fn is_spelled(text: &[u8], spelling: &[u8]) -> bool {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    if text.len() != spelling.len() {
        return false;
    }
    match (both_ends(text), both_ends(spelling)) {
        (Some([first, last]), Some([from, to])) => (first | FOLD, last | FOLD) == (from | FOLD, to | FOLD),
        _ => text.iter().zip(spelling).all(|(byte, letter)| byte | 0x20 == *letter),
    }
}

/// The first bytes and the last ones of a word that has four at least: eight of each, or four.
#[inline]
fn both_ends(word: &[u8]) -> Option<[u64; 2]> {
    if let (Some(first), Some(last)) = (word.first_chunk::<8>(), word.last_chunk::<8>()) {
        return Some([u64::from_le_bytes(*first), u64::from_le_bytes(*last)]);
    }
    let (first, last) = (word.first_chunk::<4>()?, word.last_chunk::<4>()?);
    Some([u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case_and_nothing_else_is() {
        assert_eq!(SPELLINGS.iter().map(|spelling| spelling.len()).max(), Some(LONGEST));
        assert!(SPELLINGS.is_sorted());
        assert!(SPELLINGS.iter().all(|spelling| spelling.iter().all(u8::is_ascii_lowercase)));
        for (place, spelling) in SPELLINGS.iter().enumerate() {
            let word = Word::of(spelling);
            assert_eq!(usize::from(word.0), place + 1);
            assert_eq!(Word::of(&spelling.to_ascii_uppercase()), word);
            assert_eq!(Word::of(&[spelling, &b"_"[..]].concat()), Word::NONE, "{word:?} and more");
        }
        assert_eq!(Word::of(b"Select"), Word::SELECT);
        for other in [&b""[..], b"a", b"selec", b"s\xe9lect", b"s@lect", b"INTERSECT", b"\xddnto"] {
            assert_eq!(Word::of(other), Word::NONE);
        }
    }
}
