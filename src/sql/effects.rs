//! What a message does beyond its class: the facts by which a session tracks its transaction, its fence and its names.
use std::ops::{BitOr, BitOrAssign};

/// A set of facts about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects(u32);

impl Effects {
    /// No fact at all.
    pub const NONE: Self = Self(0);
    /// Not provably harmless: runs a query, and any query may call a function, an operator or a cast that writes.
    pub const MAY_WRITE: Self = Self(1);
    /// A known writer: the classes write, ddl, maintenance and procedural. Comes with `MAY_WRITE`.
    pub const WRITES: Self = Self(1 << 1);
    /// `MAY_WRITE`, of the statements behind the message's last transaction end (of all, if it ends none).
    pub const MAY_WRITE_SINCE_END: Self = Self(1 << 2);
    /// `WRITES`, of the statements behind the message's last transaction end (of all, if it ends none).
    pub const WRITES_SINCE_END: Self = Self(1 << 3);
    /// BEGIN or START TRANSACTION.
    pub const BEGINS: Self = Self(1 << 4);
    /// COMMIT, END, ROLLBACK, ABORT or PREPARE TRANSACTION.
    pub const ENDS: Self = Self(1 << 5);
    /// The last transaction control is BEGIN, START TRANSACTION or an end AND CHAIN.
    pub const LEAVES_OPEN: Self = Self(1 << 6);
    /// The last transaction control is an end without CHAIN.
    pub const LEAVES_CLOSED: Self = Self(1 << 7);
    /// An end AND CHAIN: the new transaction has the mode of the old one.
    pub const CHAINS: Self = Self(1 << 8);
    /// Behind an end stands a statement that is neither transaction control nor SET, RESET or SHOW: it would run in
    /// a new transaction.
    pub const WORK_AFTER_END: Self = Self(1 << 9);
    /// SAVEPOINT.
    pub const SAVEPOINT: Self = Self(1 << 10);
    /// RELEASE or ROLLBACK TO: both restore the read-only mode of before the savepoint (xact.c, `prevXactReadOnly`).
    pub const ENDS_SUBTRANSACTION: Self = Self(1 << 11);
    /// Behind one of those stands a statement that is neither transaction control nor SET, RESET or SHOW.
    pub const WORK_AFTER_SUBTRANSACTION_END: Self = Self(1 << 12);
    /// BEGIN, START TRANSACTION or SET TRANSACTION says READ ONLY, or `transaction_read_only` is set to on.
    pub const READ_ONLY_BLOCK: Self = Self(1 << 13);
    /// Names `(default_)transaction_read_only` in a way that may change it, or resets everything.
    pub const TOUCHES_READ_ONLY: Self = Self(1 << 14);
    /// RESET ALL or DISCARD ALL is the last statement of the message.
    pub const RESETS_ALL: Self = Self(1 << 15);
    /// May change `client_encoding`.
    pub const TOUCHES_ENCODING: Self = Self(1 << 16);
    /// `named_operations` has something to tell.
    pub const NAMES: Self = Self(1 << 17);
    /// COPY … FROM STDIN: the server will ask for data.
    pub const COPIES_IN: Self = Self(1 << 18);
    /// The message is nothing but SHOW `transaction_read_only`.
    pub const SHOWS_TRANSACTION_READ_ONLY: Self = Self(1 << 19);
    /// The message is nothing but SHOW `default_transaction_read_only`.
    pub const SHOWS_DEFAULT_READ_ONLY: Self = Self(1 << 20);
    /// PREPARE TRANSACTION.
    pub const PREPARES_TRANSACTION: Self = Self(1 << 21);
    /// COMMIT PREPARED or ROLLBACK PREPARED.
    pub const FINISHES_PREPARED: Self = Self(1 << 22);
    /// Calls, by the syntax of a call, a function that is not one of PostgreSQL's own harmless ones: for a strict
    /// mode. Operators, casts and views call functions without that syntax; only the fence sees those.
    pub const CALLS_UNKNOWN_FUNCTION: Self = Self(1 << 23);
    /// The message is nothing but SHOW `frostgate.state`.
    pub const SHOWS_STATE: Self = Self(1 << 24);
    /// As above, of `frostgate.reason`.
    pub const SHOWS_REASON: Self = Self(1 << 25);
    /// As above, of `frostgate.until`.
    pub const SHOWS_UNTIL: Self = Self(1 << 26);
    /// As above, of `frostgate.epoch`.
    pub const SHOWS_EPOCH: Self = Self(1 << 27);
    /// Any of these four, which the proxy answers.
    pub const SHOWS_FROSTGATE: Self =
        Self::SHOWS_STATE.union(Self::SHOWS_REASON).union(Self::SHOWS_UNTIL).union(Self::SHOWS_EPOCH);

    /// Whether every fact of `other` is among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any fact of `other` is among these.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds the facts of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Takes away the facts of `other`.
    pub const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The facts of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The facts that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is no fact.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Effects {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Effects {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}
