//! One statement: its first word tells which rules it has to stand. What begins with no word of this list is unknown.
use super::{
    class::{StatementClass, Why},
    copy::copy,
    ddl::{Verb, define, grant, lock},
    explain::explain,
    judged::{Judged, skip},
    prepared::{close, deallocate, declare, execute, fetch, preparable, prepare},
    query::Until,
    session::{discard, listen, reset, set, show},
    token::Kind,
    transaction::{begin, commit, release, rollback, savepoint},
    walk::Walk,
    words::Word,
};

/// Judges the statement that the walk stands at, and goes to its end.
pub(super) fn statement(walk: &mut Walk<'_>) -> Judged {
    let first = walk.peek();
    if first.kind() == Kind::Open
        || matches!(first.word(), Word::SELECT | Word::WITH | Word::VALUES | Word::TABLE)
    {
        return preparable(walk, Until::Statement);
    }
    walk.bump();
    match first.word() {
        Word::BEGIN => begin(walk, "BEGIN"),
        Word::START => begin(walk, "START TRANSACTION"),
        Word::COMMIT => commit(walk, true),
        Word::END => commit(walk, false),
        Word::ROLLBACK => rollback(walk, false),
        Word::ABORT => rollback(walk, true),
        Word::SAVEPOINT => savepoint(walk),
        Word::RELEASE => release(walk),
        Word::SET => set(walk),
        Word::RESET => reset(walk),
        Word::SHOW => show(walk),
        Word::DISCARD => discard(walk),
        Word::LISTEN => listen(walk, "LISTEN"),
        Word::UNLISTEN => listen(walk, "UNLISTEN"),
        Word::PREPARE => prepare(walk),
        Word::EXECUTE => execute(walk),
        Word::DEALLOCATE => deallocate(walk),
        Word::DECLARE => declare(walk),
        Word::FETCH => fetch(walk, "FETCH"),
        Word::MOVE => fetch(walk, "MOVE"),
        Word::CLOSE => close(walk),
        Word::COPY => copy(walk),
        Word::EXPLAIN => explain(walk),
        Word::LOCK => lock(walk),
        Word::CREATE => define(walk, Verb::Create),
        Word::ALTER => define(walk, Verb::Alter),
        Word::DROP => define(walk, Verb::Drop),
        Word::GRANT => grant(walk, ["GRANT", "GRANT ROLE"]),
        Word::REVOKE => grant(walk, ["REVOKE", "REVOKE ROLE"]),
        word => {
            skip(walk);
            plain(word)
        }
    }
}

/// Commands that are refused whatever follows.
fn plain(first: Word) -> Judged {
    use StatementClass::{Ddl, Maintenance, Procedural, Unknown, Write};
    let (class, command, why) = match first {
        Word::INSERT => (Write, "INSERT", "changes rows"),
        Word::UPDATE => (Write, "UPDATE", "changes rows"),
        Word::DELETE => (Write, "DELETE", "changes rows"),
        Word::MERGE => (Write, "MERGE", "changes rows"),
        Word::TRUNCATE => (Write, "TRUNCATE TABLE", "changes rows"),
        Word::NOTIFY => (Write, "NOTIFY", "notifies, which takes a transaction id and wakes workers"),
        Word::COMMENT => (Ddl, "COMMENT", "changes definitions"),
        Word::SECURITY => (Ddl, "SECURITY LABEL", "changes definitions"),
        Word::REFRESH => (Ddl, "REFRESH MATERIALIZED VIEW", "fills a materialized view"),
        Word::IMPORT => (Ddl, "IMPORT FOREIGN SCHEMA", "changes definitions"),
        Word::REASSIGN => (Ddl, "REASSIGN OWNED", "changes definitions"),
        Word::REINDEX => (Ddl, "REINDEX", "rebuilds an index"),
        Word::CLUSTER => (Ddl, "CLUSTER", "rebuilds a table"),
        Word::VACUUM => (Maintenance, "VACUUM", "acts on the server's storage"),
        Word::ANALYZE | Word::ANALYSE => (Maintenance, "ANALYZE", "changes planner statistics"),
        Word::CHECKPOINT => (Maintenance, "CHECKPOINT", "acts on the server's storage"),
        Word::LOAD => (Maintenance, "LOAD", "loads a library into the server"),
        Word::DO => (Procedural, "DO", "runs code that cannot be read from here"),
        Word::CALL => (Procedural, "CALL", "runs code that cannot be read from here"),
        _ => return Judged::refuse(Unknown, "statement", Why::UnknownStatement),
    };
    Judged::refuse(class, command, Why::Command(why))
}
