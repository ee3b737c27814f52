//! What runs by name is judged by what stands under it.

use crate::support::{Postgres, Proxy, short};

fn open() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    (server, Proxy::spawn(server), server.database())
}

#[test]
fn execute_does_what_was_prepared_whoever_prepared_it_and_however_it_is_spelled() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("PREPARE Writes AS INSERT INTO t VALUES (1)");
    client.ask("PREPARE \"Reads\" AS SELECT 1");
    client.say(|out| {
        out.parse("parsed", "INSERT INTO t VALUES (2)").sync();
    });
    client.until('Z');
    proxy.freeze();
    for write in ["EXECUTE writes", "EXECUTE \"writes\"", "EXECUTE U&\"wr\\0069tes\"", "EXECUTE parsed"] {
        assert_eq!(client.ask(write), "E25006 I", "{write}");
        assert_eq!(client.extended(write), "1E25006 I", "{write}");
    }
    assert_eq!(client.ask("EXECUTE \"Reads\""), "TDC I");
    assert_eq!(client.extended("EXECUTE \"Reads\""), "12DC I");
    client.say(|out| {
        out.bind("", "writes").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "E25006 I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_name_that_was_given_away_and_given_anew_stands_for_the_new_statement() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("PREPARE p AS SELECT 1; DEALLOCATE p; PREPARE p AS INSERT INTO t VALUES (1)");
    client.ask("PREPARE q AS INSERT INTO t VALUES (1)");
    client.ask("DISCARD ALL");
    client.ask("PREPARE p AS INSERT INTO t VALUES (1)");
    client.ask("PREPARE q AS SELECT 1");
    proxy.freeze();
    assert_eq!(client.ask("EXECUTE p"), "E25006 I");
    assert_eq!(client.ask("EXECUTE q"), "TDC I");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_definition_that_failed_leaves_what_was_there() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("PREPARE p AS SELECT 1");
    assert_eq!(client.ask("PREPARE p AS INSERT INTO t VALUES (1)"), "E42P05 I");
    for (sql, answer) in [("SELECT 1", "1 I"), ("INSERT INTO t VALUES (1)", "E42P05 I")] {
        client.say(|out| {
            out.parse("s", sql).sync();
        });
        assert_eq!(short(&client.until('Z')), answer);
    }
    proxy.freeze();
    client.say(|out| {
        out.bind("", "s").execute("").sync();
    });
    assert_eq!(short(&client.until('Z')), "2DC I");
}

#[test]
fn execute_of_what_a_parse_named_may_end_a_transaction_and_is_not_let_through_while_frozen() {
    let (server, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.parse("p", "COMMIT").sync();
    });
    client.until('Z');
    client.ask("BEGIN; INSERT INTO t VALUES (1)");
    proxy.shut();
    // PostgreSQL runs a COMMIT by EXECUTE; what follows it in the message would be a new transaction.
    assert_eq!(client.ask("EXECUTE p; INSERT INTO t VALUES (2)"), "E25006 E");
    client.ask("ROLLBACK");
    proxy.is_eventually("frozen");
    assert_eq!(server.rows(&database), 0);
}

#[test]
fn a_cursor_that_locks_rows_is_not_fetched_from_while_frozen() {
    let (server, proxy, database) = open();
    server.sql(&database, "INSERT INTO t VALUES (1)");
    let mut client = proxy.connect(&database);
    client.ask("BEGIN");
    client.ask("DECLARE plain CURSOR FOR SELECT * FROM t");
    proxy.freeze();
    assert_eq!(client.ask("FETCH plain"), "TDC T");
    assert_eq!(client.ask("DECLARE locks CURSOR FOR SELECT * FROM t FOR UPDATE"), "E25006 E");
}

#[test]
fn more_names_than_are_kept_are_unknown_and_refused_while_frozen() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    for chunk in 0..9 {
        client.say(|out| {
            for n in 0..1000 {
                out.parse(&format!("s{}", chunk * 1000 + n), "SELECT 1");
            }
            out.sync();
        });
        client.until('Z');
    }
    proxy.freeze();
    let mut run = |name: &str| {
        client.say(|out| {
            out.bind("", name).execute("").sync();
        });
        short(&client.until('Z'))
    };
    assert_eq!(run("s0"), "2DC I");
    assert_eq!(run("s8999"), "E25006 I");
    proxy.thaw();
    assert_eq!(run("s8999"), "2DC I");
}
