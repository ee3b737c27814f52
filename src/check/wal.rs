//! What the write-ahead log says of the transactions of a stretch of time, as far as it could be read: the exact
//! answer to what a transaction id was used for.

use serde::Deserialize;

/// The transactions that took an id, by what their records say of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct WalRead {
    /// VACUUM and ANALYZE: space and statistics, no data.
    pub upkeep: u64,
    /// The end of temporary tables.
    pub temporary: u64,
    /// Rolled back without a record of anything that was written.
    pub rolled_back: u64,
    /// All others.
    pub writes: u64,
    /// Some of them.
    pub examples: Vec<WalWrite>,
}

/// A transaction that wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct WalWrite {
    /// Its id, as the log has it.
    pub xid: u32,
    /// One of its records: `Heap/INSERT`.
    pub record: String,
    /// The relation that the record is about: by name in the monitor's database, else by its file; none: the log names
    /// none (an unlogged or temporary table, a notification).
    pub relation: Option<String>,
}

/// What the log makes of the ids that were used.
pub(super) enum Read {
    /// All are accounted for, and no transaction wrote.
    Harmless(String),
    /// Somebody wrote.
    Written(String),
    /// It does not tell.
    Unknown,
}

impl WalRead {
    /// What it says of so many ids.
    pub(super) fn judge(&self, used: u64) -> Read {
        let seen = [self.upkeep, self.temporary, self.rolled_back, self.writes];
        let seen = seen.into_iter().fold(0, u64::saturating_add);
        if self.writes > 0 {
            return Read::Written(self.written());
        }
        if seen < used {
            return Read::Unknown;
        }
        let kinds = [
            (self.upkeep, "VACUUM or ANALYZE"),
            (self.temporary, "the end of temporary tables (or of a type: the log does not tell them apart)"),
            (self.rolled_back, "transactions rolled back that wrote nothing"),
        ];
        let told = kinds.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, kind)| format!("{count} by {kind}")).collect();
        Read::Harmless(format!("by the write-ahead log {}", told.join(", ")))
    }

    fn written(&self) -> String {
        let examples = self.examples.iter().map(|write| {
            let relation = write.relation.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
            format!("{} ({}{relation})", write.xid, write.record)
        });
        let examples: Vec<String> = examples.collect();
        format!("by the write-ahead log {} transaction(s) wrote: {}", self.writes, examples.join(", "))
    }
}
