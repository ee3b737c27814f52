//! What the write-ahead log says of the transactions of a stretch of time, as far as it could be read: the exact
//! answer to what a transaction id was used for.

use serde::Deserialize;

/// The transactions that took an id, by what their records say of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct WalRead {
    /// Whether the log was on disk as far as it was asked for.
    pub is_whole: bool,
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

impl WalRead {
    /// Whether all of so many ids are accounted for, and no transaction wrote.
    pub(super) fn is_harmless(&self, used: u64) -> bool {
        let seen = [self.upkeep, self.temporary, self.rolled_back].into_iter().fold(0, u64::saturating_add);
        self.writes == 0 && seen >= used
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let examples = self.examples.iter().map(|write| {
            let relation = write.relation.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
            format!("{} ({}{relation})", write.xid, write.record)
        });
        let examples: Vec<String> = examples.collect();
        let kinds = [
            (self.writes, format!("that wrote: {}", examples.join(", "))),
            (self.upkeep, "of VACUUM or ANALYZE".to_owned()),
            (self.temporary, "that ended temporary tables, or a type".to_owned()),
            (self.rolled_back, "rolled back that wrote nothing".to_owned()),
        ];
        let told = kinds.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, kind)| format!("{count} {kind}")).collect();
        let told = if told.is_empty() { "nothing of them".to_owned() } else { told.join(", ") };
        format!("the write-ahead log has, by transactions: {told}")
    }
}
