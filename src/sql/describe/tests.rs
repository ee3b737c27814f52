//! Descriptions: what people are told, and that nothing brings the describer down.
use super::*;

fn tables(text: &str) -> Vec<String> {
    describe(text.as_bytes()).tables
}

#[test]
fn the_target_of_every_kind_of_write_is_told() {
    for (text, expected) in [
        ("INSERT INTO jobs VALUES (1)", &["jobs"][..]),
        ("insert into app.\"Jobs\" (a) select a from other", &["app.Jobs"]),
        ("UPDATE ONLY jobs j SET a = 1 FROM t WHERE t.id = j.id", &["jobs"]),
        ("DELETE FROM jobs USING t WHERE t.id = jobs.id", &["jobs"]),
        ("MERGE INTO stock s USING t ON t.id = s.id WHEN MATCHED THEN DELETE", &["stock"]),
        ("TRUNCATE TABLE a, ONLY b", &["a", "b"]),
        ("COPY jobs (a) FROM STDIN", &["jobs"]),
        ("SELECT 1 AS a INTO TEMP fresh FROM t", &["fresh"]),
        ("CREATE TABLE IF NOT EXISTS fresh AS SELECT 1", &["fresh"]),
        ("CREATE INDEX CONCURRENTLY i ON jobs (a)", &["jobs"]),
        ("DROP TABLE IF EXISTS a, b CASCADE", &["a", "b"]),
        ("ALTER TABLE jobs ADD COLUMN b int", &["jobs"]),
        (
            "WITH gone AS (DELETE FROM jobs RETURNING *) INSERT INTO archive SELECT * FROM gone",
            &["archive", "jobs"],
        ),
        ("WITH a AS MATERIALIZED (UPDATE jobs SET a = 1 RETURNING 1) SELECT * FROM a", &["jobs"]),
        ("EXPLAIN ANALYZE DELETE FROM jobs", &["jobs"]),
        ("SELECT 1; DELETE FROM jobs", &["jobs"]),
        ("SELECT nextval('s')", &[]),
    ] {
        let mut found = tables(text);
        found.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_sqlparser_does_not_read_is_told_by_the_tokens() {
    for (text, expected) in [
        // It stops at END and drops the rest.
        ("SELECT 1 END; DELETE FROM t", &["t"][..]),
        ("INSERT INTO t SELECT 1 OPERATOR(pg_catalog.+) 2 ;; UPDATE \"u\"\"v\" SET a = 1", &["t", "u\"v"]),
        ("\u{0} DELETE FROM t", &[]),
    ] {
        assert_eq!(tables(text), expected, "{text}");
    }
    assert_eq!(describe(b"DELETE FROM \xe4").tables, ["\u{fffd}"]);
}

#[test]
fn the_command_is_that_of_the_first_refused_statement() {
    assert_eq!(describe(b"SELECT 1; UPDATE t SET a = 1; DROP TABLE t").command.as_str(), "UPDATE");
}

#[test]
fn no_shape_of_a_text_brings_it_down() {
    // On a stack smaller than a worker's: trees are dropped by recursion.
    let on_a_small_stack = || {
        let n = DESCRIBE_TEXT;
        for text in [
            format!("DELETE FROM t WHERE a{}", "+a".repeat(n / 2 - 20)),
            format!("DELETE FROM t WHERE a{}", "+a".repeat(DESCRIBE_TOKENS / 2 - 10)),
            format!("DELETE FROM t WHERE a{}", "||a".repeat(DESCRIBE_TOKENS / 2 - 10)),
            format!("DELETE FROM t WHERE a{}", "::a".repeat(DESCRIBE_TOKENS / 2 - 10)),
            format!("DELETE FROM t WHERE a{}", "[1]".repeat(DESCRIBE_TOKENS / 3 - 10)),
            format!("DELETE FROM t WHERE {}a", "NOT ".repeat(DESCRIBE_TOKENS - 20)),
            format!("DELETE FROM t WHERE {}1{}", "(".repeat(900), ")".repeat(900)),
            format!("INSERT INTO t {}", "SELECT 1 UNION ".repeat(500)),
            format!("INSERT INTO t SELECT 1 {}", "UNION SELECT 1 ".repeat(500)),
            format!("{}DELETE FROM t", "EXPLAIN ".repeat(1000)),
            format!("INSERT INTO t VALUES {}(1)", "(1),".repeat(n / 4 - 20)),
            "DELETE FROM t;".repeat(1000),
            "(".repeat(1_000_000),
            "INSERT INTO ".repeat(5000),
        ] {
            describe(text.as_bytes());
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(on_a_small_stack).unwrap().join().unwrap();
}

#[test]
fn the_limits_are_reached_and_kept() {
    let many: Vec<String> = (0..100).map(|n| format!("DELETE FROM t{n};")).collect();
    assert_eq!(tables(&many.concat()).len(), DESCRIBE_TABLES);
    let long = format!("DELETE FROM \"{}\"", "ä".repeat(DESCRIBE_NAME));
    assert_eq!(tables(&long)[0].len(), DESCRIBE_NAME - 1);
    let padding = " ".repeat(DESCRIBE_TEXT);
    assert_eq!(tables(&format!("DELETE FROM t{padding}")), ["t"]);
    assert_eq!(tables(&format!("DELETE FROM t WHERE a IN (1{})", ",1".repeat(DESCRIBE_TOKENS))), ["t"]);
}
