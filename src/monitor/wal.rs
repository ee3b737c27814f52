//! The write-ahead log between two looks, read by the extension `pg_walinspect` (15 and later) where it is installed in
//! the monitor's database and the role may use it. Each transaction is told by its records:
//!
//! - upkeep: statistics, the figures of a relation or its truncation, and nothing but space beside, which is what VACUUM
//!   and ANALYZE touch. A read that tidies a page as it goes is none; rows of an unlogged table leave no record at all;
//! - the end of temporary tables: rows of catalogs deleted, statistics dropped, and no file: files of temporary
//!   relations are not in a commit record (`smgrGetPendingDeletes` in `storage.c`), those of others are. The end of a
//!   composite type leaves the very same records, so what is told names both;
//! - rolled back, and no record of anything else;
//! - all else has written. A commit alone is one too: of an unlogged or a temporary table, or of a notification.
//!
//! Catalogs are told by the number of their file. Up to 16383 these are given by initdb and never again
//! (`FirstNormalObjectId` in `transam.h`), so none can be anybody's table; a catalog that VACUUM FULL has rewritten has
//! another number, and what touches it counts as a write.

/// `pg_statistic`, `pg_statistic_ext_data`, their indexes and TOAST tables.
const STATISTICS: &str = "'{2619,2696,2840,2841,3429,3433,3430,3431}'";
/// What has a row for a temporary table or sequence: `pg_type`, `pg_attribute`, `pg_class`, `pg_shdepend`, `pg_sequence`,
/// `pg_attrdef`, `pg_constraint`, `pg_depend`, `pg_index`, `pg_statistic`.
const OF_RELATIONS: &str = "'{1247,1249,1259,1214,2224,2604,2606,2608,2610,2619}'";
/// The indexes of `pg_attribute` and `pg_class`, rows of which are updated on the way.
const THEIR_INDEXES: &str = "'{2658,2659,2662,2663,3455}'";
/// More than this is not read: it would take long, and a busy log says enough.
const LENGTH_LIMIT: u64 = 64 << 20;
/// Transactions that are told one by one.
const EXAMPLES_LIMIT: u32 = 5;

/// The extension's schema, if the role may call it. Only the extension's own function counts: anybody could make one of
/// that name.
pub(super) const SCHEMA: &str = "SELECT quote_ident(n.nspname) FROM pg_extension AS e
  JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
  JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
  WHERE e.extname = 'pg_walinspect' AND p.proname = 'pg_get_wal_records_info'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')";

/// What to ask for: the ids from one on, so many, and where in the log they begin.
#[derive(Debug, Clone, Copy)]
pub struct Used<'a> {
    /// The first id.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The place in the log, as `pg_lsn` is written.
    pub from: &'a str,
    /// Where they end.
    pub to: &'a str,
}

/// The question. None: that is no place in the log.
pub(super) fn question(schema: &str, used: Used<'_>) -> Option<String> {
    let Used { first, count, from, to } = used;
    let is_place = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'/');
    if !is_place(from) || !is_place(to) {
        return None;
    }
    // Ids in the log have 32 bits. Source: manual, "Transaction ID and Snapshot Information Functions".
    Some(format!(
        "WITH place AS (
  SELECT least('{from}'::pg_lsn, pg_current_wal_flush_lsn()) AS start, pg_current_wal_flush_lsn() AS stop
), record AS MATERIALIZED (
  SELECT xid::text::int8 AS xid, resource_manager AS manager, record_type AS type,
    description LIKE '%; rels: %' AS drops_files, description LIKE '%; dropped stats: %' AS drops_statistics,
    ARRAY(SELECT m[3]::int8 FROM regexp_matches(coalesce(block_ref, ''), 'rel (\\d+)/(\\d+)/(\\d+)', 'g') AS m) AS files,
    regexp_match(block_ref, 'rel (\\d+)/(\\d+)/(\\d+)') AS file
  FROM place, LATERAL {schema}.pg_get_wal_records_info(start, stop)
  WHERE pg_wal_lsn_diff(stop, start) <= {LENGTH_LIMIT}
), known AS (
  SELECT *, manager IN ('Transaction', 'Standby', 'XLOG') AS is_end,
    manager = 'Transaction' AND type ~ '^(COMMIT|ABORT)' AS has_ended,
    (manager = 'Heap2' AND type ~ '^(NEW_CID|PRUNE|VISIBLE|FREEZE|VACUUM)') OR (manager = 'Heap' AND type ~ '^INPLACE')
      OR (manager = 'Storage' AND type = 'TRUNCATE') OR (files <> '{{}}' AND files <@ {STATISTICS}) AS is_upkeep,
    (manager = 'Heap2' AND type ~ '^(NEW_CID|PRUNE|VISIBLE)')
      OR (manager = 'Heap' AND type ~ '^(DELETE|UPDATE|HOT_UPDATE|LOCK|INPLACE)' AND files <> '{{}}'
          AND files <@ {OF_RELATIONS})
      OR (manager = 'Btree' AND files <> '{{}}' AND files <@ {THEIR_INDEXES}) AS is_of_relations
  FROM record WHERE xid <> 0 AND (xid - {first} % 4294967296 + 4294967296) % 4294967296 < {count}
), transaction AS (
  SELECT xid, bool_and(is_end) AS is_bare,
    bool_and(is_end OR is_upkeep) AND bool_or(is_upkeep AND manager <> 'Heap2') AND bool_or(has_ended) AS is_upkeep,
    bool_and(is_end OR is_of_relations) AND bool_or(drops_statistics) AND NOT bool_or(drops_files) AS is_temporary,
    bool_or(manager = 'Transaction' AND type ~ '^ABORT') AS is_rolled_back,
    min(ARRAY[(manager <> 'Heap')::text, manager || '/' || type] || file)
      FILTER (WHERE NOT is_end AND type <> 'NEW_CID') AS record
  FROM known GROUP BY xid
), told AS (
  SELECT *, CASE WHEN is_bare AND is_rolled_back THEN 'rolled_back' WHEN is_bare THEN 'write'
    WHEN is_upkeep THEN 'upkeep' WHEN is_temporary THEN 'temporary' ELSE 'write' END AS kind
  FROM transaction
)
SELECT json_build_object(
  -- The place is one of insertion, which may stand behind a page's header where nothing is flushed yet.
  'is_whole', pg_wal_lsn_diff('{to}'::pg_lsn, pg_current_wal_flush_lsn()) <= 40,
  'upkeep', count(*) FILTER (WHERE kind = 'upkeep'), 'temporary', count(*) FILTER (WHERE kind = 'temporary'),
  'rolled_back', count(*) FILTER (WHERE kind = 'rolled_back'), 'writes', count(*) FILTER (WHERE kind = 'write'),
  'examples', coalesce((SELECT json_agg(json_build_object(
      'xid', xid, 'record', coalesce(record[2], 'a commit alone'), 'relation', coalesce(
        CASE WHEN record[4] = (SELECT oid::text FROM pg_database WHERE datname = current_database()) THEN
          pg_filenode_relation((CASE record[3] WHEN '1663' THEN '0' ELSE record[3] END)::oid, record[5]::oid)::text END,
        'file ' || array_to_string(record[3:5], '/'))))
    FROM (SELECT * FROM told WHERE kind = 'write' ORDER BY xid LIMIT {EXAMPLES_LIMIT}) AS example), '[]'))::text
FROM told"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_none_is_not_asked_for() {
        let used = |from| Used { first: 700, count: 2, from, to: "0/15000A8" };
        assert!(question("public", used("0/1500'; --")).is_none());
        assert!(question("public", used("0/15000A8")).unwrap().contains("'0/15000A8'::pg_lsn"));
    }
}
