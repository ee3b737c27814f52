//! How the proxy's own statements are written: in the extended protocol under names of its own, as a simple
//! Query would destroy the client's unnamed statement; by a simple Query on `replication=database` connections,
//! where nothing else is taken.

use super::{
    injection::Injection,
    pipeline::{Origin, Owed, Pipeline, Step},
};
use crate::{sql::Effects, wire::frontend::Write};

/// The name of our statement and of our portal: nothing a client would choose.
const OURS: &str = "frostgate$";

/// How an injection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Extended, with a Sync of its own: only where no batch of the client is open.
    Synced,
    /// Extended, inside the client's batch, whose Sync ends it.
    InBatch,
    /// A simple Query, for replication connections.
    Simple,
}

/// Writes an injection and books the replies that it will bring.
pub(super) fn inject(what: Injection, sql: &str, form: Form, out: &mut Vec<u8>, pipeline: &mut Pipeline) {
    let mut owe = |step| {
        pipeline.push(Owed { step, origin: Origin::Injected(what), effects: Effects::default(), changes: 0 });
    };
    let mut write = Write(out);
    if form == Form::Simple {
        write.query(sql);
        owe(Step::Query);
        return;
    }
    write.parse(OURS, sql).bind(OURS, OURS).execute(OURS).close_portal(OURS).close_statement(OURS);
    for step in [Step::Parse, Step::Bind, Step::Execute, Step::Close, Step::Close] {
        owe(step);
    }
    if form == Form::Synced {
        write.sync();
        owe(Step::Sync);
    }
}
