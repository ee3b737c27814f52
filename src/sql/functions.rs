//! Functions that a text calls by name: those that write, or act on the server, past a read-only transaction, and
//! PostgreSQL's own harmless ones.
//!
//! The executor checks a query's tables and a utility command's kind; what a C function does it does not check (FACTS:
//! large objects before 16, slots, origins, dblink …). So these are refused by name. The yardstick is a hot standby,
//! stricter where that lets a superuser touch files or settings. Functions that users wrote are the fence's business.
use super::{
    class::{FunctionName, StatementClass},
    name_table::{Hash, NameTable},
    names::Folded,
};

/// Where a function lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// PostgreSQL itself: `pg_catalog`. In any other schema the name is a user's own function.
    Catalog,
    /// An extension, which may be in any schema.
    Extension,
}

/// How a function can be called beside `name(…)`, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arity {
    /// Never with exactly one argument.
    Other,
    /// Possibly with exactly one argument: then `(argument).name` calls it as well (`ParseFuncOrColumn`).
    One,
}

/// A function that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) function: FunctionName,
    /// What the server calls it in an error: with parentheses.
    pub(super) command: &'static str,
    pub(super) class: StatementClass,
    home: Home,
    arity: Arity,
    /// It is not volatile: the planner may run it, so that EXPLAIN alone calls it.
    pub(super) planned: bool,
}

/// What a call means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callee {
    /// Writes or acts past read-only mode.
    Refused(&'static Refused),
    /// `set_config`: it depends on the first argument.
    SetConfig,
    /// `lo_open`: it depends on the second argument.
    LargeObjectOpen,
    /// Runs SQL that is handed to it as text.
    RunsText,
    /// One of PostgreSQL's own that changes nothing.
    Harmless,
    /// Anyone's.
    Unknown,
}

/// The schema that a name was qualified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// Not qualified.
    None,
    /// `pg_catalog`.
    Catalog,
    /// Any other.
    Other,
}

macro_rules! refused {
    ($($home:ident $class:ident $reason:literal: $($arity:ident $name:literal)+;)+) => {
        &[$($(Refused {
            function: FunctionName { name: $name, reason: $reason },
            command: concat!($name, "()"),
            class: StatementClass::$class,
            home: Home::$home,
            arity: Arity::$arity,
            planned: matches!($name.as_bytes(), b"txid_current" | b"pg_current_xact_id"),
        },)+)+]
    };
}

/// Every function that is refused, with what it does. `One`: callable with exactly one argument.
pub(super) const REFUSED: &[Refused] = refused! {
    Catalog Write "moves a sequence": One "nextval" Other "setval";
    Catalog Write "takes a transaction id": Other "txid_current" Other "pg_current_xact_id";
    Catalog Write "notifies, which takes a transaction id and wakes workers": Other "pg_notify";
    Catalog Write "writes a large object": One "lo_creat" One "lo_create" Other "lo_from_bytea" Other "lo_put"
        One "lo_import" One "lo_unlink" Other "lowrite" Other "lo_truncate" Other "lo_truncate64";
    Catalog Maintenance "writes a file on the server": Other "lo_export" Other "pg_file_write" Other "pg_file_rename"
        One "pg_file_unlink" One "pg_file_sync";
    Catalog Maintenance "creates a replication slot": One "pg_create_physical_replication_slot"
        Other "pg_create_logical_replication_slot" Other "pg_copy_physical_replication_slot"
        Other "pg_copy_logical_replication_slot";
    Catalog Maintenance "drops a replication slot": One "pg_drop_replication_slot";
    Catalog Maintenance "moves a replication slot": Other "pg_replication_slot_advance"
        One "pg_logical_slot_get_changes" One "pg_logical_slot_get_binary_changes" Other "pg_sync_replication_slots"
        Other "binary_upgrade_replorigin_advance";
    Catalog Maintenance "changes a replication origin": One "pg_replication_origin_create"
        One "pg_replication_origin_drop" Other "pg_replication_origin_advance"
        One "pg_replication_origin_session_setup" Other "pg_replication_origin_session_reset"
        Other "pg_replication_origin_xact_setup" Other "pg_replication_origin_xact_reset";
    Catalog Maintenance "writes to the write-ahead log": Other "pg_switch_wal" One "pg_create_restore_point"
        Other "pg_logical_emit_message" Other "pg_log_standby_snapshot";
    Catalog Maintenance "changes the course of recovery": One "pg_promote" Other "pg_wal_replay_pause"
        Other "pg_wal_replay_resume";
    Catalog Maintenance "makes the server read its configuration again": Other "pg_reload_conf";
    Catalog Maintenance "switches the server's log file": Other "pg_rotate_logfile" Other "pg_rotate_logfile_old"
        Other "pg_logfile_rotate";
    Catalog Maintenance "inserts catalog rows": One "pg_import_system_collations";
    Catalog Maintenance "consumes object ids": Other "pg_nextoid" Other "pg_stop_making_pinned_objects";
    Catalog Maintenance "changes an index": One "gin_clean_pending_list" One "brin_summarize_new_values"
        Other "brin_summarize_range" Other "brin_desummarize_range";
    Catalog Maintenance "changes planner statistics": One "pg_restore_relation_stats" One "pg_restore_attribute_stats"
        One "pg_restore_extended_stats" Other "pg_clear_relation_stats" Other "pg_clear_attribute_stats"
        Other "pg_clear_extended_stats" Other "pg_set_relation_stats" Other "pg_set_attribute_stats";
    Catalog Maintenance "resets activity statistics": Other "pg_stat_reset" One "pg_stat_reset_shared"
        One "pg_stat_reset_single_table_counters" One "pg_stat_reset_single_function_counters"
        One "pg_stat_reset_slru" One "pg_stat_reset_replication_slot" One "pg_stat_reset_subscription_stats"
        One "pg_stat_reset_backend_stats" One "pg_stat_reset_backend_wal_stats";
    Catalog Maintenance "serves an upgrade in place": Other "binary_upgrade_create_empty_extension"
        Other "binary_upgrade_set_missing_value" One "binary_upgrade_set_next_array_pg_type_oid"
        One "binary_upgrade_set_next_heap_pg_class_oid" One "binary_upgrade_set_next_heap_relfilenode"
        One "binary_upgrade_set_next_index_pg_class_oid" One "binary_upgrade_set_next_index_relfilenode"
        One "binary_upgrade_set_next_multirange_array_pg_type_oid"
        One "binary_upgrade_set_next_multirange_pg_type_oid" One "binary_upgrade_set_next_pg_authid_oid"
        One "binary_upgrade_set_next_pg_enum_oid" One "binary_upgrade_set_next_pg_tablespace_oid"
        One "binary_upgrade_set_next_pg_type_oid" One "binary_upgrade_set_next_toast_pg_class_oid"
        One "binary_upgrade_set_next_toast_relfilenode" One "binary_upgrade_set_record_init_privs"
        Other "binary_upgrade_add_sub_rel_state";
    Extension Write "works on another connection": One "dblink" One "dblink_exec" One "dblink_connect"
        One "dblink_connect_u" Other "dblink_open" Other "dblink_fetch" One "dblink_close" Other "dblink_send_query"
        One "dblink_get_result";
    Extension Write "changes rows beneath the transaction": Other "heap_force_kill" Other "heap_force_freeze";
    Extension Maintenance "truncates a visibility map": One "pg_truncate_visibility_map";
    Extension Maintenance "resets activity statistics": One "pg_stat_statements_reset";
    Extension Maintenance "acts on the server's buffers": Other "autoprewarm_dump_now" Other "autoprewarm_start_worker"
        One "pg_buffercache_evict" One "pg_buffercache_evict_relation" Other "pg_buffercache_evict_all"
        One "pg_buffercache_mark_dirty" One "pg_buffercache_mark_dirty_relation" Other "pg_buffercache_mark_dirty_all";
};

/// Functions that run SQL which is handed to them as text, or which a table, view or cursor hides.
const RUN_TEXT: &[&str] = &[
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xmlschema",
    "table_to_xml_and_xmlschema",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "schema_to_xml",
    "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xmlschema",
    "database_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "crosstabn",
    "connectby",
    "xpath_table",
];

/// PostgreSQL's own functions, from its catalogs (`scripts/sql_names.sh`).
static OWN: NameTable<8192> = NameTable::new(include_bytes!("functions.txt"));
/// Words that stand before a parenthesis and call no function of that name, if they are unquoted.
static SYNTAX: NameTable<512> = NameTable::new(include_bytes!("syntax_words.txt"));

const REFUSED_SLOTS: usize = 512;
/// Open addressing: the place in `REFUSED`, plus one; 0 is empty.
static REFUSED_TABLE: [u8; REFUSED_SLOTS] = refused_table();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at compile time a fault fails the build"
)]
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "fewer than 255 functions, which is asserted"
)]
const fn refused_table() -> [u8; REFUSED_SLOTS] {
    assert!(REFUSED.len() < 255);
    let mut table = [0; REFUSED_SLOTS];
    let mut place = 0;
    while place < REFUSED.len() {
        let mut slot = Hash::of(REFUSED[place].function.name.as_bytes()).slot(REFUSED_SLOTS);
        while table[slot] != 0 {
            slot = (slot + 1) % REFUSED_SLOTS;
        }
        table[slot] = place as u8 + 1;
        place += 1;
    }
    table
}

fn refused(name: &[u8]) -> Option<&'static Refused> {
    let mut slot = Hash::of(name).slot(REFUSED_SLOTS);
    loop {
        let place = usize::from(REFUSED_TABLE.get(slot).copied().unwrap_or(0));
        let function = REFUSED.get(place.checked_sub(1)?)?;
        if function.function.name.as_bytes() == name {
            return Some(function);
        }
        slot = slot.wrapping_add(1) % REFUSED_SLOTS;
    }
}

/// What `schema.name(…)` calls.
pub(super) fn callee(name: &Folded, schema: Schema) -> Callee {
    let spelled = name.as_bytes();
    let in_catalog = schema != Schema::Other;
    if let Some(function) = refused(spelled).filter(|function| in_catalog || function.home == Home::Extension)
    {
        return Callee::Refused(function);
    }
    match spelled {
        b"set_config" if in_catalog => Callee::SetConfig,
        b"lo_open" if in_catalog => Callee::LargeObjectOpen,
        _ if !name.exact => Callee::Unknown,
        _ if name.unquoted && schema == Schema::None && SYNTAX.contains(spelled) => Callee::Harmless,
        _ if RUN_TEXT.iter().any(|function| function.as_bytes() == spelled) => Callee::RunsText,
        _ if in_catalog && OWN.contains(spelled) => Callee::Harmless,
        _ => Callee::Unknown,
    }
}

/// What `(argument).name` calls: a function of one argument, of any schema on the search path. A column of that name
/// looks the same and is refused with it.
pub(super) fn attribute(name: &Folded) -> Option<&'static Refused> {
    refused(name.as_bytes()).filter(|function| function.arity == Arity::One)
}

/// Whether an attribute can be one of those at all, by its first bytes: cheap, as every `table.column` is asked.
pub(super) fn may_be_attribute(raw: &[u8]) -> bool {
    if let [b'u' | b'U', b'&', ..] = raw {
        return true;
    }
    let name = raw.strip_prefix(b"\"").unwrap_or(raw);
    match name {
        [first, second, _, ..] if first.is_ascii() && second.is_ascii() => matches!(
            [first | 0x20, second | 0x20],
            [b'n', b'e'] | [b'l', b'o'] | [b'p', b'g'] | [b'd', b'b'] | [b'g', b'i'] | [b'b', b'r' | b'i']
        ),
        // With a byte beyond ASCII in front, whatever it is.
        [_, _, _, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{
        lexer::{Backslash, Lexer},
        names::folded,
    };

    fn name(text: &str) -> Folded {
        folded(Lexer::new(text.as_bytes(), Backslash::Ordinary).next(), text.as_bytes()).unwrap()
    }

    #[test]
    fn every_refused_function_is_refused_in_any_case_and_only_in_its_home() {
        for function in REFUSED {
            for spelled in {
                let name = function.function.name;
                [name.to_owned(), name.to_uppercase(), format!("\"{name}\"")]
            } {
                let name = name(&spelled);
                for schema in [Schema::None, Schema::Catalog, Schema::Other] {
                    let refused = matches!(callee(&name, schema), Callee::Refused(f) if f.function.name == function.function.name);
                    assert_eq!(
                        refused,
                        schema != Schema::Other || function.home == Home::Extension,
                        "{spelled}"
                    );
                }
                assert_eq!(attribute(&name).is_some(), function.arity == Arity::One, "{spelled}");
                assert!(function.arity == Arity::Other || may_be_attribute(spelled.as_bytes()), "{spelled}");
            }
        }
    }

    #[test]
    fn what_is_not_refused_is_known_to_be_harmless_or_unknown() {
        for harmless in
            ["lower", "COUNT", "currval", "pg_advisory_lock", "lo_get", "\"lower\"", "coalesce", "in"]
        {
            assert!(matches!(callee(&name(harmless), Schema::None), Callee::Harmless), "{harmless}");
        }
        for unknown in ["app_write", "\"Lower\"", "\"coalesce\"", "lower_", "pg_not\u{130}fi"] {
            assert!(matches!(callee(&name(unknown), Schema::None), Callee::Unknown), "{unknown}");
        }
        assert!(matches!(callee(&name("lower"), Schema::Other), Callee::Unknown));
        assert!(matches!(callee(&name("set_config"), Schema::Other), Callee::Unknown));
        assert!(matches!(callee(&name("set_config"), Schema::Catalog), Callee::SetConfig));
        assert!(matches!(callee(&name("query_to_xml"), Schema::None), Callee::RunsText));
    }

    #[test]
    fn a_folded_turkish_capital_still_meets_its_function() {
        assert!(
            matches!(callee(&name("pg_not\u{130}fy"), Schema::None), Callee::Refused(f) if f.function.name == "pg_notify")
        );
    }
}
