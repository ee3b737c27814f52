//! What a replication connection sends: the commands of `repl_gram.y`, and SQL where the connection is to a database.
//!
//! The server takes a text for a replication command if its first word is one of the keywords, in capitals
//! (`repl_scanner.l`, `replication_scanner_is_replication_command`); then all of it must be that one command.
use super::{
    class::{Classification, StatementClass, Why},
    effects::Effects,
    encoding::ClientEncoding,
    judged::Judged,
    lexer::Backslash,
    message::classify,
    names::{folded, said},
    token::Kind,
    walk::Walk,
};

/// What a replication connection was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationKind {
    /// `replication=true`: takes no SQL.
    Physical,
    /// `replication=database`: takes SQL as well.
    Database,
}

/// What a replication command comes to.
#[derive(Clone, Copy)]
enum Rule {
    Pass,
    /// Only a temporary slot passes.
    CreateSlot,
    /// Only a backup that goes to the client passes.
    BaseBackup,
    Refuse(&'static str),
}

const RULES: &[(&str, Rule)] = &[
    ("IDENTIFY_SYSTEM", Rule::Pass),
    ("READ_REPLICATION_SLOT", Rule::Pass),
    ("TIMELINE_HISTORY", Rule::Pass),
    ("START_REPLICATION", Rule::Pass),
    ("UPLOAD_MANIFEST", Rule::Pass),
    ("BASE_BACKUP", Rule::BaseBackup),
    ("CREATE_REPLICATION_SLOT", Rule::CreateSlot),
    ("DROP_REPLICATION_SLOT", Rule::Refuse("drops a replication slot")),
    ("ALTER_REPLICATION_SLOT", Rule::Refuse("changes a replication slot")),
];

/// Classifies what a replication connection sends as a Query.
pub fn classify_replication(text: &[u8], encoding: ClientEncoding, kind: ReplicationKind) -> Classification {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    let first =
        text.iter().position(|byte| !blank(byte)).and_then(|start| text.get(start..)).unwrap_or_default();
    let length = first
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..))
        .count();
    let (word, rest) = first.split_at_checked(length).unwrap_or((first, &[]));
    match (RULES.iter().find(|(command, _)| command.as_bytes() == word), kind) {
        (Some((command, rule)), _) => judge(command, *rule, rest, encoding),
        // SHOW is in both grammars, and does the same in both.
        (None, ReplicationKind::Physical) if word != b"SHOW" => {
            Judged::refuse(StatementClass::Unknown, "statement", Why::UnknownStatement).classification
        }
        (None, ReplicationKind::Physical | ReplicationKind::Database) => classify(text, encoding),
    }
}

fn judge(command: &'static str, rule: Rule, rest: &[u8], encoding: ClientEncoding) -> Classification {
    let pass = Judged::pass(StatementClass::Read, command, Effects::NONE).classification;
    let refuse = |why| Judged::refuse(StatementClass::Maintenance, command, Why::Command(why)).classification;
    match rule {
        Rule::Pass => pass,
        Rule::CreateSlot if is_temporary(rest) => pass,
        Rule::CreateSlot => refuse("creates a replication slot that stays"),
        Rule::BaseBackup if goes_to_client(rest, encoding) => pass,
        Rule::BaseBackup => refuse("may write the backup on the server"),
        Rule::Refuse(why) => refuse(why),
    }
}

/// `slot TEMPORARY …`: a keyword, in capitals. The name of a slot is ASCII.
fn is_temporary(rest: &[u8]) -> bool {
    let mut walk = Walk::new(rest, Backslash::Ordinary);
    rest.is_ascii() && walk.take_name().is_some() && walk.peek().of(rest) == b"TEMPORARY"
}

/// Whether the options name no TARGET, or one that is not the server (`parse_basebackup_options`, since 15), however
/// the server reads them.
fn goes_to_client(rest: &[u8], encoding: ClientEncoding) -> bool {
    let mut all = true;
    encoding.readings(rest, |options| all &= names_no_server(&options));
    all
}

fn names_no_server(options: &[u8]) -> bool {
    let mut walk = Walk::new(options, Backslash::Ordinary);
    while walk.peek().kind() != Kind::End {
        let token = walk.advance();
        let is_target =
            token.is_name() && folded(token, options).is_none_or(|name| name.as_bytes() == b"target");
        let target = said(walk.peek(), options);
        if is_target && !target.is_some_and(|target| matches!(target.as_bytes(), b"client" | b"blackhole")) {
            return false;
        }
    }
    walk.fault().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::class::Verdict;

    fn verdict(text: &str, kind: ReplicationKind) -> Verdict {
        classify_replication(text.as_bytes(), ClientEncoding::Safe, kind).verdict
    }

    #[test]
    fn streaming_backups_and_temporary_slots_pass() {
        for text in [
            "IDENTIFY_SYSTEM",
            " \n IDENTIFY_SYSTEM ;",
            "SHOW wal_segment_size",
            "TIMELINE_HISTORY 1",
            "READ_REPLICATION_SLOT s",
            "UPLOAD_MANIFEST",
            "START_REPLICATION SLOT \"s\" 0/3000000 TIMELINE 1",
            "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1')",
            "BASE_BACKUP",
            "BASE_BACKUP LABEL 'it''s mine' PROGRESS FAST NOWAIT",
            "BASE_BACKUP ( LABEL 'b', PROGRESS, CHECKPOINT 'fast', WAIT 0, TARGET 'client')",
            "BASE_BACKUP (LABEL 'é', TARGET 'blackhole')",
            "CREATE_REPLICATION_SLOT \"pg_basebackup_1\" TEMPORARY PHYSICAL ( RESERVE_WAL)",
            "CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
        ] {
            for kind in [ReplicationKind::Physical, ReplicationKind::Database] {
                assert_eq!(verdict(text, kind), Verdict::Pass, "{text}");
            }
        }
    }

    #[test]
    fn what_lasts_is_refused() {
        for text in [
            "CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL",
            "CREATE_REPLICATION_SLOT s LOGICAL pgoutput",
            "CREATE_REPLICATION_SLOT TEMPORARY PHYSICAL",
            "CREATE_REPLICATION_SLOT s temporary PHYSICAL",
            "CREATE_REPLICATION_SLOT s \"TEMPORARY\" PHYSICAL",
            "CREATE_REPLICATION_SLOT",
            "DROP_REPLICATION_SLOT s WAIT",
            "ALTER_REPLICATION_SLOT s (failover true)",
            "BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/backup')",
            "BASE_BACKUP (Target server)",
            "BASE_BACKUP (LABEL 'x', \"target\" 'server')",
            "BASE_BACKUP (LABEL 'x",
        ] {
            for kind in [ReplicationKind::Physical, ReplicationKind::Database] {
                assert_eq!(verdict(text, kind), Verdict::Refuse, "{text}");
            }
        }
    }

    #[test]
    fn sql_is_judged_as_sql_and_only_where_it_is_taken() {
        for (text, expected) in [
            ("SELECT 1", Verdict::Pass),
            ("show work_mem; DELETE FROM t", Verdict::Refuse),
            ("SHOW work_mem; DELETE FROM t", Verdict::Refuse),
            ("INSERT INTO t VALUES (1)", Verdict::Refuse),
            ("identify_system", Verdict::Refuse),
            ("/* c */ IDENTIFY_SYSTEM", Verdict::Refuse),
            ("\"IDENTIFY_SYSTEM\"", Verdict::Refuse),
            ("IDENTIFY_SYSTEMS", Verdict::Refuse),
        ] {
            assert_eq!(verdict(text, ReplicationKind::Database), expected, "{text}");
        }
        assert_eq!(verdict("SELECT 1", ReplicationKind::Physical), Verdict::Refuse);
    }
}
