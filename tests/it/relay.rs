//! Open, the proxy is invisible: the same answers, in the same order, whatever the size and the pace.

use crate::support::{Postgres, Proxy, binary, eventually, message, short, upstream};
use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

fn open() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    (server, Proxy::spawn(server), server.database())
}

/// Where nothing is asked of the proxy but to relay.
fn any() -> (&'static Postgres, Proxy, String) {
    let server = Postgres::shared();
    (server, Proxy::open(), server.database())
}

fn backends(server: &Postgres, database: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    server.sql("postgres", &sql).parse().unwrap()
}

#[test]
fn psql_gives_the_same_output_through_the_proxy_as_directly() {
    let (server, proxy, database) = any();
    let script = "CREATE TABLE x (a int PRIMARY KEY, b text);\nINSERT INTO x VALUES (1, 'é'), (2, NULL);\n\
                  SELECT * FROM x;\n\\d x\nCOPY x TO STDOUT;\nCOPY x FROM STDIN;\n3\tdrei\n\\.\n\
                  BEGIN; SAVEPOINT s; SELECT 1/0; ROLLBACK TO s; COMMIT;\nDO $$BEGIN RAISE NOTICE 'n'; END$$;\n\
                  SELECT 1 \\; SELECT 2;\n\\bind 7 \\g\nSELECT $1::int \\bind 7 \\g\nLISTEN c; NOTIFY c, 'p';\nSELECT 1;\n\
                  DROP TABLE x;\nSELECT * FROM x;\n";
    let run = |port: u16| {
        let mut child = Command::new("psql")
            .args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string(), "-d", &database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        // The process id of the notifying backend is another one each time.
        let same = |line: &&str| !line.contains("Asynchronous notification");
        text.lines().filter(same).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run(proxy.port), run(server.port));
}

#[test]
fn pgbench_runs_in_all_its_modes() {
    let (server, proxy, database) = any();
    let port = proxy.port.to_string();
    let pgbench = |more: &[&str]| {
        let output = Command::new("pgbench")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port])
            .args(more)
            .arg(&database)
            .output()
            .unwrap();
        assert!(output.status.success(), "{more:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    pgbench(&["-i", "-q"]);
    for mode in ["simple", "extended", "prepared"] {
        let told = pgbench(&["-n", "-M", mode, "-c", "4", "-t", "50"]);
        assert!(told.contains("actually processed: 200/200"), "{mode}: {told}");
        assert!(told.contains("number of failed transactions: 0"), "{mode}: {told}");
    }
    let pipeline = proxy.folder.path().join("pipeline.sql");
    std::fs::write(&pipeline, "\\startpipeline\nSELECT 1;\nSELECT 2;\nSELECT 3;\n\\endpipeline\n").unwrap();
    let told = pgbench(&["-n", "-M", "extended", "-c", "2", "-t", "50", "-f", pipeline.to_str().unwrap()]);
    assert!(told.contains("actually processed: 100/100"), "{told}");
    assert_eq!(server.sql(&database, "SELECT count(*) FROM pgbench_history"), "600");
}

#[test]
fn a_notification_reaches_an_idle_listener() {
    let (server, proxy, database) = open();
    let mut listener = proxy.connect(&database);
    listener.ask("LISTEN news");
    server.sql(&database, "NOTIFY news, 'hello'");
    let news = listener.next().unwrap();
    assert_eq!(news.tag, 'A');
    assert!(String::from_utf8_lossy(&news.body).contains("hello"));
}

#[test]
fn a_row_of_many_megabytes_passes_in_constant_memory() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("SELECT 1");
    let before = proxy.memory_kib();
    client.say(|out| {
        out.query("SELECT repeat('x', 300000000)");
    });
    let (mut seen, mut chunk) = (0_usize, vec![0; 1 << 16]);
    while seen < 300_000_000 {
        seen += client.stream.read(&mut chunk).unwrap();
    }
    let grown = proxy.memory_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more for a row of 300 MB");
}

#[test]
fn a_parameter_of_many_megabytes_passes_in_constant_memory() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.ask("SELECT 1");
    let before = proxy.memory_kib();
    let length = 100_000_000_u32;
    client.say(|out| {
        out.parse("", "SELECT length($1)");
    });
    let body = u32::try_from(2 + 2 + 2 + 4 + 2 + 4).unwrap() - 4 + length;
    client.send(&[b"B", &(body + 4).to_be_bytes()[..], b"\0\0\0\0\0\x01", &length.to_be_bytes()].concat());
    let chunk = vec![b'x'; 1 << 20];
    let mut left = usize::try_from(length).unwrap();
    let mut peak = 0;
    while left > 0 {
        let part = left.min(chunk.len());
        client.send(&chunk[..part]);
        left -= part;
        peak = peak.max(proxy.memory_kib());
    }
    client.send(b"\0\0");
    client.say(|out| {
        out.execute("").sync();
    });
    let row = client.until('Z').into_iter().find(|m| m.tag == 'D').unwrap();
    assert_eq!(row.told(), length.to_string());
    assert!(peak.saturating_sub(before) < 8 * 1024, "{} KiB more", peak - before);
}

#[test]
fn a_statement_beyond_the_limit_passes_while_open_and_is_refused_while_frozen() {
    let server = Postgres::shared();
    let database = server.database();
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[limits]\nmax_statement_bytes = 65536\n").unwrap();
    let proxy = Proxy::with(&upstream(server), &["--config", config.path().to_str().unwrap()]);
    let mut client = proxy.connect(&database);
    let long = format!("SELECT length('{}')", "y".repeat(1_000_000));
    assert_eq!(client.value(&long), "1000000");
    assert_eq!(client.extended(&long), "12DC I");
    proxy.freeze();
    assert_eq!(client.ask(&long), "E25006 I");
    assert_eq!(client.extended(&long), "E25006 I");
    assert_eq!(client.ask("SELECT 1"), "TDC I");
    let unknown = "frostgate_statements_refused_total{application=\"\",class=\"unknown\",";
    let (_, page) = proxy.http("GET /metrics");
    assert!(page.lines().any(|line| line.starts_with(unknown) && line.ends_with(" 2")), "{page}");
}

#[test]
fn a_slow_reader_slows_its_own_session_and_nobody_else() {
    let (_, proxy, database) = open();
    let mut slow = proxy.connect(&database);
    slow.say(|out| {
        out.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)");
    });
    let before = proxy.memory_kib();
    let mut quick = proxy.connect(&database);
    for _ in 0..200 {
        assert_eq!(quick.ask("SELECT 1"), "TDC I");
    }
    assert!(proxy.memory_kib().saturating_sub(before) < 8 * 1024);
    assert_eq!(slow.until('Z').iter().filter(|m| m.tag == 'D').count(), 200_000);
}

#[test]
fn a_long_result_leaves_the_others_of_its_thread_their_turn() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::with(&upstream(server), &["--threads", "1"]), server.database());
    let mut busy = proxy.connect(&database);
    let mut others = [proxy.connect(&database), proxy.connect(&database)];
    busy.say(|out| {
        out.query("SELECT repeat('x', 8000) FROM generate_series(1, 50000)");
    });
    let stream = std::thread::spawn(move || {
        let (mut seen, mut chunk) = (0_usize, vec![0; 1 << 20]);
        while seen < 400_000_000 {
            seen += busy.stream.read(&mut chunk).unwrap();
        }
    });
    for _ in 0..20 {
        for other in &mut others {
            assert_eq!(other.ask("SELECT 1"), "TDC I");
        }
    }
    assert!(!stream.is_finished(), "they had to wait for the end of a result of 400 MB");
    stream.join().unwrap();
}

#[test]
fn refusals_without_end_leave_the_others_of_their_thread_their_turn() {
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::with(&upstream(server), &["--threads", "1"]), server.database());
    let busy = proxy.connect(&database).stream;
    let mut others = [proxy.connect(&database), proxy.connect(&database)];
    proxy.freeze();
    let (mut sender, mut reader) = (busy.try_clone().unwrap(), busy.try_clone().unwrap());
    let refused = message(b'Q', b"INSERT INTO t VALUES (1)\0").repeat(10_000);
    let sending = std::thread::spawn(move || while sender.write_all(&refused).is_ok() {});
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let reading = std::thread::spawn(move || {
        let mut chunk = vec![0; 1 << 20];
        while let Ok(read @ 1..) = reader.read(&mut chunk) {
            count.fetch_add(read, Ordering::Relaxed);
        }
    });
    eventually("it is refused", || (seen.load(Ordering::Relaxed) > 1_000_000).then_some(()));
    for _ in 0..200 {
        for other in &mut others {
            assert_eq!(other.ask("SELECT 1"), "TDC I");
        }
    }
    assert!(!sending.is_finished() && !reading.is_finished(), "it went on all the while");
    busy.shutdown(Shutdown::Both).unwrap();
    sending.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn a_client_that_asks_for_more_replies_than_may_be_owed_gets_them_all() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    let mut sender = client.stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || {
        sender.write_all(&message(b'Q', b"SELECT pg_sleep(0.2)\0")).unwrap();
        sender.write_all(&message(b'S', b"").repeat(200_000)).unwrap();
    });
    assert_eq!(short(&client.until('Z')), "TDC I");
    for _ in 0..200_000 {
        assert_eq!(client.next().unwrap().tag, 'Z');
    }
    sent.join().unwrap();
    assert_eq!(client.ask("SELECT 1"), "TDC I");
}

#[test]
fn a_client_that_sends_without_reading_is_not_read_without_end() {
    let (_, proxy, database) = open();
    proxy.freeze();
    let mut client = proxy.connect(&database);
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let refused = message(b'Q', b"INSERT INTO t VALUES (1)\0").repeat(1000);
    // Its refusals fill the sockets; then it can't send any more, and the proxy has not grown.
    let begin = Instant::now();
    while client.stream.write_all(&refused).is_ok() {
        assert!(begin.elapsed() < Duration::from_mins(1), "it could send without end");
    }
    assert!(proxy.memory_kib() < 64 * 1024, "{} KiB", proxy.memory_kib());
    assert_eq!(proxy.connect(&database).ask("SELECT 1"), "TDC I");
}

#[test]
fn the_end_of_either_side_ends_the_other_within_a_second() {
    let (server, proxy, database) = open();
    let client = proxy.connect(&database);
    assert_eq!(backends(server, &database), 1);
    let begin = Instant::now();
    drop(client);
    eventually("the backend has gone", || (backends(server, &database) == 0).then_some(()));
    assert!(begin.elapsed() < Duration::from_secs(1));
    let mut client = proxy.connect(&database);
    let pid = client.key.as_ref().unwrap().process_id;
    server.sql("postgres", &format!("SELECT pg_terminate_backend({pid})"));
    let last = client.next().unwrap();
    assert_eq!(last.field(b'C'), "57P01");
    assert_eq!(client.next(), None);
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let (_, proxy, database) = open();
    let mut client = proxy.connect(&database);
    client.say(|out| {
        out.query("SELECT 'half', pg_sleep(0.3)");
    });
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(short(&client.until('Z')), "TDC I");
}

#[test]
fn a_statement_cut_into_single_bytes_is_the_same_statement() {
    let (_, proxy, database) = open();
    proxy.freeze();
    let mut client = proxy.connect(&database);
    for (sql, answer) in [("SELECT 1", "TDC I"), ("INSERT INTO t VALUES (1)", "E25006 I")] {
        for byte in message(b'Q', format!("{sql}\0").as_bytes()) {
            client.send(&[byte]);
        }
        assert_eq!(short(&client.until('Z')), answer);
    }
}

#[test]
fn a_replication_stream_passes_while_open_and_while_frozen() {
    let (server, proxy, database) = open();
    for frozen in [false, true] {
        if frozen {
            proxy.freeze();
        }
        let mut walsender = crate::support::Wire::open(proxy.port);
        walsender.log_in(&[("user", "postgres"), ("database", &database), ("replication", "database")]);
        walsender.ask("CREATE_REPLICATION_SLOT goes TEMPORARY LOGICAL test_decoding");
        walsender.say(|out| {
            out.query("START_REPLICATION SLOT goes LOGICAL 0/0");
        });
        walsender.until('W');
        server.sql(&database, "INSERT INTO t VALUES (31337)");
        loop {
            let data = walsender.next().unwrap();
            if data.tag == 'd' && String::from_utf8_lossy(&data.body).contains("31337") {
                break;
            }
        }
        walsender.send(b"c\0\0\0\x04");
        walsender.until('c');
        assert_eq!(short(&walsender.until('Z')).chars().last(), Some('I'));
        assert_eq!(walsender.ask("IDENTIFY_SYSTEM"), "TDC I");
    }
}

#[test]
fn a_process_that_was_given_few_descriptors_takes_as_many_as_it_may_have_and_says_if_they_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 900; ulimit -S -n 40; exec \"$0\" \"$@\""]).arg(binary());
    let proxy = Proxy::started_by(few, folder, &upstream(Postgres::shared()), &[]);
    let database = Postgres::shared().database();
    let held: Vec<_> = (0..30).map(|_| proxy.connect(&database)).collect();
    assert_eq!(held.len(), 30, "they take 60 descriptors");
    let log = proxy.log();
    assert!(log.contains("LimitNOFILE=") && log.contains("about 386 sessions"), "{log}");
}
