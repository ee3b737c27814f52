//! The question for a database's loopholes, and how its answer is read. What counts as one is told in SQL, as only
//! the database knows its functions; `sql/loopholes.rs` searches statements for their names.

use crate::sql::{LOOPHOLES_LIMIT, Loopholes};

/// How the answer begins, so that it is told from others.
const ANSWER: &str = "loopholes";

/// What makes a function suspicious: a word that its text has, in lower case, and, where that says too little, the
/// shape around it, an "advanced regular expression" (manual, "POSIX Regular Expressions"). A word is found a thousand
/// times faster. Such a function may write though the transaction is read-only: it leaves that mode (before PostgreSQL
/// 16 a function could), has another session write, or calls what is not held by it. Source: the commands that
/// `ClassifyUtilityCommandAsReadOnly` lets pass (`tcop/utility.c`), and C functions without a check.
const SUSPICIOUS: [(&str, &str); 40] = [
    ("transaction_read_only", ""),
    ("write", r"\mread\s+write\M"),
    ("dblink", ""),
    ("query_to_xml", ""),
    ("do", r"\mdo\s+(language|\$|''|e'')"),
    ("lo_", r"\mlo_(create|creat|from_bytea|put|import|export|unlink|open|truncate|truncate64|write)\M"),
    ("lowrite", ""),
    ("pg_logical_emit_message", ""),
    ("pg_create_", ""),
    ("pg_drop_replication", ""),
    ("_slot", r"\mpg_(copy|create|drop)_\w*slot"),
    ("pg_replication_", ""),
    ("pg_switch_wal", ""),
    ("pg_import_system_collations", ""),
    ("notify", r"\m(pg_)?notify\M"),
    ("heap_force_", ""),
    ("pg_truncate_vis", ""),
    ("gin_clean_pending", ""),
    ("brin_", r"\mbrin_(de)?summarize"),
    ("_stats", r"\mpg_(restore|clear)_\w+_stats"),
    ("pg_file_", ""),
    ("pg_reload_conf", ""),
    ("system", r"\malter\s+system\M"),
    ("program", r"\mto\s+program\M"),
    ("explain", r"\manaly[sz]e\M"),
    ("copy", r"\mto\M\s*''"),
    ("execute", r"(?<!\mquery\s+)\mexecute\s+(\w+|\$\d)\s*;"),
    ("txid_current", r"\mtxid_current\M"),
    ("pg_current_xact_id", r"\mpg_current_xact_id\M"),
    ("vacuum", r"\mvacuum\M"),
    ("reindex", r"\mreindex\M"),
    ("cluster", r"\mcluster\M"),
    ("checkpoint", r"\mcheckpoint\M"),
    ("analyze", r"\manalyze\M"),
    ("analyse", r"\manalyse\M"),
    ("prepared", r"\m(commit|rollback)\s+prepared\M"),
    ("crosstab", ""),
    ("connectby", ""),
    ("ts_stat", ""),
    ("ts_rewrite", ""),
];

/// The SQL. Every name and operator is qualified, as the session's `search_path` is the client's. Walked are, from
/// functions and foreign tables that run a program: rules and policies to their tables, partitions to their parents,
/// domains' checks, casts, operators, aggregates and SQL-standard bodies, and the texts of functions that name one.
pub(super) fn question() -> String {
    let suspicious: Vec<String> =
        SUSPICIOUS.iter().map(|(word, shape)| format!("('{word}', '{shape}')")).collect();
    format!(
        r"WITH RECURSIVE texts AS MATERIALIZED (
SELECT p.oid, p.proname::pg_catalog.text AS name,
pg_catalog.lower(pg_catalog.pg_get_functiondef(p.oid)) AS body
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.prokind OPERATOR(pg_catalog.<>) 'a' AND p.oid OPERATOR(pg_catalog.>=) 16384
AND l.lanname OPERATOR(pg_catalog.<>) ALL ('{{c,internal}}'::pg_catalog.name[])
AND p.prorettype OPERATOR(pg_catalog.<>) ALL ('{{trigger,event_trigger}}'::pg_catalog.regtype[])),
reach (class, oid, name) AS (
SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, t.oid, t.name FROM texts t
WHERE EXISTS (SELECT FROM (VALUES {suspicious}) v (word, shape)
WHERE CASE WHEN pg_catalog.strpos(t.body, v.word) OPERATOR(pg_catalog.=) 0 THEN false
ELSE v.shape OPERATOR(pg_catalog.=) '' OR t.body OPERATOR(pg_catalog.~) v.shape END)
UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, c.relname::pg_catalog.text
FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) f.ftrelid
WHERE pg_catalog.array_to_string(f.ftoptions, ' ') OPERATOR(pg_catalog.~) '\mprogram='
UNION SELECT n.class, n.oid, n.name FROM reach r CROSS JOIN LATERAL (
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid, c.relname::pg_catalog.text
FROM pg_catalog.pg_depend d
LEFT JOIN pg_catalog.pg_rewrite w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
AND w.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_policy y ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass
AND y.oid OPERATOR(pg_catalog.=) d.objid
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) COALESCE(w.ev_class, y.polrelid)
WHERE d.refclassid OPERATOR(pg_catalog.=) r.class AND d.refobjid OPERATOR(pg_catalog.=) r.oid
UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, c.relname::pg_catalog.text
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.inhparent
WHERE r.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND i.inhrelid OPERATOR(pg_catalog.=) r.oid
UNION ALL SELECT d.classid, d.objid, COALESCE(o.oprname::pg_catalog.text, p.proname::pg_catalog.text, t.typname::pg_catalog.text)
FROM pg_catalog.pg_depend d
LEFT JOIN pg_catalog.pg_operator o ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass
AND o.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_proc p ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
AND p.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_constraint k ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
AND k.oid OPERATOR(pg_catalog.=) d.objid AND k.contypid OPERATOR(pg_catalog.<>) 0
LEFT JOIN pg_catalog.pg_cast a ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_cast'::pg_catalog.regclass
AND a.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) COALESCE(k.contypid, a.casttarget)
WHERE d.refclassid OPERATOR(pg_catalog.=) r.class AND d.refobjid OPERATOR(pg_catalog.=) r.oid
AND (o.oid IS NOT NULL OR p.oid IS NOT NULL OR t.oid IS NOT NULL)
UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, t.oid, t.name FROM texts t
WHERE CASE WHEN pg_catalog.strpos(t.body, pg_catalog.lower(r.name)) OPERATOR(pg_catalog.=) 0 THEN false
ELSE t.body OPERATOR(pg_catalog.~) pg_catalog.concat('\m',
pg_catalog.regexp_replace(pg_catalog.lower(r.name), '([^[:alnum:]_])', '\\\1', 'g'), '\M') END
) n (class, oid, name))
SELECT pg_catalog.concat('{ANSWER}', (SELECT pg_catalog.string_agg(pg_catalog.concat(E'\n', x.name), '') FROM (
SELECT DISTINCT CASE WHEN r.name OPERATOR(pg_catalog.~) '^[ -~]+$' THEN r.name ELSE '' END AS name
FROM reach r LIMIT {limit}) x))",
        suspicious = suspicious.join(", "),
        limit = LOOPHOLES_LIMIT.saturating_add(1)
    )
}

/// Reads the answer; nothing if it is that to another question.
pub(super) fn read(answer: &[u8]) -> Option<Loopholes> {
    let names = answer.strip_prefix(ANSWER.as_bytes())?;
    let names = names.split(|byte| *byte == b'\n').skip(1);
    Some(Loopholes::new(names.map(|name| Some(name).filter(|name| !name.is_empty()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_name_by_name_and_told_from_others() {
        let loopholes = read(b"loopholes\nwf_reset\nft_prog\n").unwrap();
        assert!(!loopholes.is_empty());
        assert_eq!(loopholes, Loopholes::new([Some(&b"ft_prog"[..]), Some(b"wf_reset"), None]));
        assert!(read(b"loopholes").unwrap().is_empty());
        assert_eq!(read(b"7 f"), None);
    }
}
