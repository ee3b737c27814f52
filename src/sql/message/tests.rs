//! Whole messages: what stands for them, what they leave behind, and every reading that counts.
use super::*;

fn of(text: &str) -> Classification {
    classify(text.as_bytes(), ClientEncoding::Safe)
}

/// The facts that a message has, and those of the same list that it has not.
fn facts(text: &str, has: &[Effects], lacks: &[Effects]) {
    let found = of(text).effects;
    for fact in has {
        assert!(found.contains(*fact), "{text}: {found:?} lacks {fact:?}");
    }
    for fact in lacks {
        assert!(!found.intersects(*fact), "{text}: {found:?} has {fact:?}");
    }
}

#[test]
fn the_first_refused_statement_stands_for_the_message_else_the_greatest_class() {
    let found = of("SELECT 1; DELETE FROM t; DROP TABLE t");
    assert_eq!((found.class, found.command.as_str()), (StatementClass::Write, "DELETE"));
    let found = of("SELECT 1; BEGIN; SET work_mem = 1; SHOW work_mem");
    assert_eq!((found.class, found.command.as_str()), (StatementClass::Transaction, "BEGIN"));
    assert_eq!(of(" ; -- nothing\n ;").why, Why::Empty);
}

#[test]
fn what_ends_and_what_begins_is_told() {
    use Effects as E;
    facts("BEGIN; SELECT 1", &[E::BEGINS, E::LEAVES_OPEN], &[E::ENDS, E::LEAVES_CLOSED]);
    facts("BEGIN; COMMIT", &[E::BEGINS, E::ENDS, E::LEAVES_CLOSED], &[E::LEAVES_OPEN, E::WORK_AFTER_END]);
    facts("COMMIT; BEGIN", &[E::LEAVES_OPEN], &[E::LEAVES_CLOSED, E::WORK_AFTER_END]);
    facts("COMMIT AND CHAIN", &[E::ENDS, E::CHAINS, E::LEAVES_OPEN], &[E::LEAVES_CLOSED]);
    facts("END AND CHAIN; ROLLBACK", &[E::CHAINS, E::LEAVES_CLOSED], &[E::LEAVES_OPEN]);
    facts("COMMIT; SET a.b = 1; SHOW a.b; RESET a.b", &[E::ENDS], &[E::WORK_AFTER_END]);
    facts("COMMIT; SELECT 1", &[E::WORK_AFTER_END], &[]);
    facts("COMMIT; LISTEN a", &[E::WORK_AFTER_END], &[]);
    facts("COMMIT; SET CONSTRAINTS ALL IMMEDIATE", &[E::WORK_AFTER_END], &[]);
    facts("SELECT 1; COMMIT", &[], &[E::WORK_AFTER_END]);
    facts(
        "PREPARE TRANSACTION 'x'",
        &[E::ENDS, E::PREPARES_TRANSACTION, E::LEAVES_CLOSED],
        &[E::FINISHES_PREPARED],
    );
    facts("COMMIT PREPARED 'x'", &[E::FINISHES_PREPARED], &[E::ENDS, E::LEAVES_CLOSED]);
}

#[test]
fn what_may_write_is_counted_from_the_last_end() {
    use Effects as E;
    facts("SELECT 1", &[E::MAY_WRITE, E::MAY_WRITE_SINCE_END], &[E::WRITES]);
    facts("DELETE FROM t", &[E::WRITES, E::WRITES_SINCE_END, E::MAY_WRITE, E::MAY_WRITE_SINCE_END], &[]);
    facts(
        "DELETE FROM t; COMMIT",
        &[E::WRITES, E::MAY_WRITE],
        &[E::WRITES_SINCE_END, E::MAY_WRITE_SINCE_END],
    );
    facts("DELETE FROM t; COMMIT; SELECT 1", &[E::WRITES, E::MAY_WRITE_SINCE_END], &[E::WRITES_SINCE_END]);
    facts("BEGIN; SHOW a.b; SET a.b = 1; SAVEPOINT a; LISTEN a; CLOSE a; DEALLOCATE a", &[], &[E::MAY_WRITE]);
    for query in
        ["TABLE t", "VALUES (1)", "FETCH c", "MOVE c", "COPY t TO STDOUT", "EXECUTE p", "EXPLAIN SELECT 1"]
    {
        facts(query, &[E::MAY_WRITE], &[E::WRITES]);
    }
    for writer in
        ["VACUUM", "DO ''", "DROP TABLE t", "SELECT nextval('s')", "NOTIFY n", "LOCK t", "COPY t FROM STDIN"]
    {
        facts(writer, &[E::WRITES, E::MAY_WRITE], &[]);
    }
    facts("PREPARE p AS DELETE FROM t", &[E::NAMES], &[E::MAY_WRITE, E::WRITES]);
    facts("EXPLAIN DELETE FROM t", &[E::MAY_WRITE], &[E::WRITES]);
    facts("SELECT 'x", &[E::MAY_WRITE], &[E::WRITES]);
}

#[test]
fn work_behind_the_end_of_a_savepoint_is_told() {
    use Effects as E;
    facts(
        "SAVEPOINT a; SELECT 1",
        &[E::SAVEPOINT],
        &[E::ENDS_SUBTRANSACTION, E::WORK_AFTER_SUBTRANSACTION_END],
    );
    facts("RELEASE a", &[E::ENDS_SUBTRANSACTION], &[E::WORK_AFTER_SUBTRANSACTION_END]);
    facts("ROLLBACK TO a; SELECT 1", &[E::ENDS_SUBTRANSACTION, E::WORK_AFTER_SUBTRANSACTION_END], &[E::ENDS]);
    facts("ROLLBACK TO a; COMMIT; SELECT 1", &[E::WORK_AFTER_END], &[E::WORK_AFTER_SUBTRANSACTION_END]);
}

#[test]
fn a_read_only_block_is_told_only_where_it_lasts() {
    use Effects as E;
    for block in [
        "BEGIN READ ONLY",
        "BEGIN; SET TRANSACTION READ ONLY",
        "BEGIN; SET transaction_read_only = 'tr'; SELECT 1",
        "BEGIN READ ONLY; COMMIT AND CHAIN",
        "BEGIN; SET TRANSACTION READ WRITE; SET TRANSACTION READ ONLY",
    ] {
        facts(block, &[E::READ_ONLY_BLOCK], &[]);
    }
    for open in [
        "BEGIN",
        "BEGIN READ ONLY; COMMIT; BEGIN",
        "BEGIN READ ONLY; RELEASE a",
        "BEGIN READ ONLY, READ WRITE",
        "BEGIN READ ONLY; SET TRANSACTION READ WRITE",
        "BEGIN READ ONLY; SELECT set_config('transaction_read_only', 'off', true)",
        "BEGIN READ ONLY; RESET transaction_read_only",
        "SET default_transaction_read_only = on",
    ] {
        facts(open, &[], &[E::READ_ONLY_BLOCK]);
    }
}

#[test]
fn what_touches_the_fence_or_the_encoding_is_told() {
    use Effects as E;
    let read_only = E::TOUCHES_READ_ONLY;
    for text in [
        "SET default_transaction_read_only = on",
        "SET transaction_read_only = off",
        "RESET transaction_read_only",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT set_config($1, $2, false)",
    ] {
        facts(text, &[read_only], &[]);
    }
    for text in [
        "BEGIN READ ONLY",
        "SET work_mem = 1",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SELECT set_config('work_mem', $1, false)",
        "EXPLAIN SELECT set_config($1, $2, false)",
        "DISCARD TEMP",
    ] {
        facts(text, &[], &[read_only, E::TOUCHES_ENCODING]);
    }
    for text in [
        "SET NAMES 'x'",
        "SET NAMES",
        "SET client_encoding TO DEFAULT",
        "RESET client_encoding",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT set_config('client_encoding', 'sjis', false)",
        "SELECT set_config(a, b, false)",
    ] {
        facts(text, &[E::TOUCHES_ENCODING], &[]);
    }
    assert_eq!(of("SELECT set_config('client_encoding', 'sjis', false)").verdict, Verdict::Pass);
}

#[test]
fn reset_all_passes_only_as_the_last_statement() {
    use Effects as E;
    for (text, command) in [("RESET ALL", "RESET"), ("DISCARD ALL", "DISCARD ALL")] {
        let last = of(&format!("SELECT 1; {text} ;; -- done"));
        assert!(last.verdict == Verdict::Pass && last.effects.contains(E::RESETS_ALL));
        let earlier = of(&format!("{text}; SELECT 1"));
        assert!(earlier.verdict == Verdict::Refuse && !earlier.effects.contains(E::RESETS_ALL));
        assert_eq!((earlier.why, earlier.command.as_str()), (Why::ResetsBeforeMore(command), command));
        assert_eq!(of(&format!("DELETE FROM t; {text}; SELECT 1")).command.as_str(), "DELETE");
        let twice = of(&format!("{text}; {text}"));
        assert!(twice.verdict == Verdict::Refuse && twice.effects.contains(E::RESETS_ALL));
    }
}

#[test]
fn only_a_sole_show_is_told() {
    use Effects as E;
    facts(
        "SHOW \"Transaction_read_ONLY\";",
        &[E::SHOWS_TRANSACTION_READ_ONLY],
        &[E::SHOWS_DEFAULT_READ_ONLY],
    );
    facts(
        "show default_transaction_read_only -- ?",
        &[E::SHOWS_DEFAULT_READ_ONLY],
        &[E::SHOWS_TRANSACTION_READ_ONLY],
    );
    let shows = E::SHOWS_DEFAULT_READ_ONLY | E::SHOWS_TRANSACTION_READ_ONLY | E::SHOWS_FROSTGATE;
    facts("SHOW frostgate.State;", &[E::SHOWS_STATE], &[E::SHOWS_EPOCH]);
    facts("/**/ show \"frostgate\".epoch", &[E::SHOWS_EPOCH], &[E::SHOWS_STATE]);
    for text in [
        "SHOW transaction_read_only; SELECT 1",
        "SELECT 1; SHOW transaction_read_only",
        "SHOW a.transaction_read_only",
        "SHOW frostgate.state; SELECT 1",
        "SET frostgate.state = 'open'",
        "SHOW frostgate.states",
    ] {
        facts(text, &[], &[shows]);
    }
}

#[test]
fn a_call_of_a_users_function_is_told_and_one_of_postgresqls_own_is_not() {
    let unknown = Effects::CALLS_UNKNOWN_FUNCTION;
    for text in [
        "SELECT place_order(1)",
        "SELECT app . \"place_order\" (1)",
        "SELECT 1 FROM t WHERE a AND place_order(1) > 0",
        "SELECT count(*) FILTER (WHERE place_order(1) = 1) FROM t",
        "EXECUTE p(place_order(1))",
        "EXPLAIN SELECT place_order(1)",
        "SELECT \"Lower\"('x'), \"in\"(1)",
        "SELECT public.lower('x')",
        "SELECT by(1)",
        "SELECT DISTINCT ON (a) place_order(a) FROM t",
        "SELECT * FROM ts_stat('select 1')",
    ] {
        facts(text, &[unknown], &[]);
    }
    for text in [
        "SELECT lower('x'), pg_catalog.upper('x'), coalesce(NULL, 1), extract(year FROM now()), CAST(1 AS numeric(3, 1))",
        "SELECT count(*) FILTER (WHERE a IN (1, 2)) OVER (PARTITION BY (b) ORDER BY (c)) FROM t AS t(a, b, c)",
        "WITH w (a) AS (VALUES (1)) SELECT a::varchar(3) FROM w GROUP BY (a), ROLLUP (a), GROUPING SETS ((a)) FETCH FIRST (2) ROWS ONLY",
        "SELECT now() AT TIME ZONE ('UTC'), ARRAY(SELECT 1), ROW(1, 2) = ANY (SELECT 1, 2), 1 OPERATOR(pg_catalog.+) 2",
        "INSERT INTO t (a) VALUES (1)",
    ] {
        facts(text, &[], &[unknown]);
    }
}

#[test]
fn both_readings_of_backslashes_count_unless_the_server_rejects_one() {
    // Odd quotes where backslashes escape: the server would reject that reading.
    assert_eq!(of("SELECT '\\'").verdict, Verdict::Pass);
    assert_eq!(of("SELECT '\\', 'x'").verdict, Verdict::Pass);
    // Only where backslashes escape does this one end.
    assert_eq!(of("SELECT 'it\\'s'").verdict, Verdict::Pass);
    assert_eq!(of("DELETE FROM t WHERE a = 'it\\'s'").verdict, Verdict::Refuse);
    // A write in one of them.
    assert_eq!(of("SELECT '\\' || ' ; DELETE FROM t; --'").verdict, Verdict::Refuse);
    assert_eq!(of("SELECT '\\'; DELETE FROM t; --'").verdict, Verdict::Refuse);
    // In none.
    let neither = of("SELECT 'x\\");
    assert_eq!(
        (neither.class, neither.why),
        (StatementClass::Unknown, Why::Unreadable("a string does not end"))
    );
}

#[test]
fn statements_are_told_with_their_places() {
    let mut told = Vec::new();
    let text = b" SELECT 1 ;; /* x */ DELETE FROM t /* y */; RESET ALL; BEGIN";
    classify_statements(text, ClientEncoding::Safe, |range, statement| {
        told.push((String::from_utf8_lossy(&text[range]).into_owned(), statement.verdict));
    });
    let expected = [
        ("SELECT 1", Verdict::Pass),
        ("DELETE FROM t", Verdict::Refuse),
        ("RESET ALL", Verdict::Refuse),
        ("BEGIN", Verdict::Pass),
    ];
    assert_eq!(told, expected.map(|(text, verdict)| (text.to_owned(), verdict)));
    let mut whole = Vec::new();
    classify_statements(b"SELECT '", ClientEncoding::Safe, |range, statement| {
        whole.push((range, statement.class));
    });
    assert_eq!(whole, [(0..8, StatementClass::Unknown)]);
}

#[test]
fn the_routine_body_is_one_statement() {
    use Effects as E;
    let body =
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; END; SELECT 2";
    facts(body, &[E::WRITES], &[E::ENDS, E::LEAVES_CLOSED]);
    let mut count = 0;
    classify_statements(body.as_bytes(), ClientEncoding::Safe, |_, _| count += 1);
    assert_eq!(count, 2);
    // No other statement has such a body: nothing hides behind the two words.
    facts(
        "INSERT INTO t SELECT begin atomic FROM t; COMMIT; DELETE FROM t",
        &[E::ENDS, E::WORK_AFTER_END],
        &[],
    );
}

#[test]
fn time_grows_with_the_length_of_a_text_and_no_faster() {
    // Shapes that make a careless reader look at the same bytes again and again. With twice the text, quadratic work
    // would be four times as much; at these lengths it would take minutes.
    let shapes: &[(&str, &str, &str)] = &[
        ("SELECT ", "(", ""),
        ("SELECT ", "U&\"a\" ", ""),
        ("SELECT ", "U&'a' UESCAPE ", ""),
        ("SELECT ", "'a'\n", ""),
        ("SELECT ", "'a' --\n", ""),
        ("SELECT ", "set_config(", ""),
        ("SELECT ", "set_config(/* */'a',", ""),
        ("SELECT ", "lo_open(1, ", ""),
        ("SELECT ", "query_to_xml('a', ", ""),
        ("SELECT ", "$a$ $b$ ", ""),
        ("SELECT ", "$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""),
        ("SELECT ", "a.", ""),
        ("SELECT ", "1+", "1"),
        ("SELECT ", "/*", ""),
        ("", "WITH a AS (", ""),
        ("", "EXPLAIN ", "SELECT 1"),
        ("", "PREPARE p AS ", "SELECT 1"),
        ("", "SELECT 1;", ""),
        ("", "BEGIN ATOMIC;", ""),
        ("CREATE FUNCTION f() ", "BEGIN ATOMIC;", ""),
        ("CREATE TABLE t ", "(AS", ""),
        ("GRANT ", "a ", ""),
        ("", "\\'", ""),
        ("SELECT '", "\\'", "'"),
        ("", "FOR UPDATE ", ""),
        ("SET ", "a.", "a = 1"),
        ("COPY ", "a.", "a TO STDOUT"),
    ];
    for (start, middle, end) in shapes {
        let text = format!("{start}{}{end}", middle.repeat(2_000_000 / middle.len()));
        for encoding in [ClientEncoding::Safe, ClientEncoding::Uncertain] {
            classify(text.as_bytes(), encoding);
        }
        named(text.as_bytes());
    }
}

fn named(text: &[u8]) {
    let mut count = 0_usize;
    crate::sql::named_operations(text, ClientEncoding::Safe, |_| count += 1);
}

#[test]
fn a_nul_is_found_at_every_place_and_no_other_byte_is_taken_for_one() {
    for (length, byte) in (0..40).flat_map(|length| (0..=255).map(move |byte| (length, byte))) {
        assert_eq!(has_nul(&vec![byte; length]), byte == 0 && length > 0, "{length} of {byte}");
        for at in 0..length {
            let mut text = vec![byte.max(1); length];
            text[at] = 0;
            assert!(has_nul(&text), "at {at} of {length}, among {byte}");
        }
    }
}
