//! TLS on both legs, against libpq on the one side and PostgreSQL on the other: what each word does, what is
//! refused, and with which text.

use crate::support::{Proxy, Ran, Secure, Wire, binary, eventually, libpq};
use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};
use tempfile::NamedTempFile;

const IS_ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A configuration with that certificate, and more of `[tls]`.
fn config(secure: &Secure, name: &str, more: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let (cert, key) = (secure.file(&format!("{name}.crt")), secure.file(&format!("{name}.key")));
    fs::write(file.path(), format!("[tls]\ncert = '{cert}'\nkey = '{key}'\n{more}\n")).unwrap();
    file
}

/// A proxy that shows that certificate.
fn showing(secure: &Secure, name: &str, upstream: &str, more: &str) -> Proxy {
    let file = config(secure, name, more);
    Proxy::with(&secure.upstream(upstream), &["--config", file.path().to_str().unwrap()])
}

fn fails_with(ran: &Ran, texts: &[&str]) {
    assert_eq!(ran.code, 2, "{ran:?}");
    for text in texts {
        assert!(ran.err.contains(text), "{text:?} is not in {ran:?}");
    }
}

#[test]
fn sslmode_to_the_server_means_what_it_means_to_libpq() {
    let secure = Secure::shared();
    let root = secure.file("root.crt");
    for (words, user, answer) in [
        ("sslmode=disable", "postgres", Some("f")),
        ("sslmode=allow", "postgres", Some("f")),
        ("sslmode=allow", "only_tls", Some("t")),
        ("sslmode=prefer", "postgres", Some("t")),
        ("sslmode=prefer", "only_plain", Some("f")),
        ("", "postgres", Some("t")),
        ("sslmode=require", "postgres", Some("t")),
        ("sslmode=require", "only_plain", None),
        ("sslmode=disable", "only_tls", None),
        (&format!("sslmode=verify-ca sslrootcert={root}"), "postgres", Some("t")),
        (&format!("sslmode=verify-full sslrootcert={root}"), "only_tls", Some("t")),
        (
            &format!("sslmode=verify-full sslrootcert={root} ssl_min_protocol_version=TLSv1.3"),
            "postgres",
            Some("t"),
        ),
    ] {
        let proxy = Proxy::with(&secure.upstream(words), &[]);
        let ran = libpq(proxy.port, user, "sslmode=disable", IS_ENCRYPTED);
        match answer {
            Some(answer) => assert_eq!(ran.out, answer, "{words} {user}: {ran:?}"),
            None => fails_with(&ran, &["pg_hba.conf rejects connection"]),
        }
    }
}

#[test]
fn a_server_that_can_not_be_trusted_is_named_with_the_cause() {
    let secure = Secure::shared();
    let (root, other) = (secure.file("root.crt"), secure.file("other.crt"));
    let unknown = "was not issued by any of the trusted root certificates";
    for (certificate, words, causes) in [
        ("server", format!("sslmode=verify-ca sslrootcert={other}"), &["localhost:", unknown][..]),
        ("server", format!("sslmode=require sslrootcert={other}"), &[unknown]),
        ("self", format!("sslmode=verify-full sslrootcert={root}"), &[unknown]),
        (
            "elsewhere",
            format!("sslmode=verify-full sslrootcert={root}"),
            &["certificate for \"elsewhere.example\" does not match host name \"localhost\""],
        ),
        ("past", format!("sslmode=verify-ca sslrootcert={root}"), &["has expired"]),
    ] {
        // A proxy that shows the certificate stands for the server.
        let shown = showing(secure, certificate, "sslmode=disable", "");
        let upstream = format!("host=localhost hostaddr=127.0.0.1 port={} {words}", shown.port);
        let proxy = Proxy::with(&upstream, &[]);
        // The one that has expired did so a second after it was made.
        let ran = eventually(certificate, || {
            let ran = libpq(proxy.port, "postgres", "sslmode=disable", "SELECT 1");
            (ran.code == 2).then_some(ran)
        });
        fails_with(&ran, causes);
        fails_with(&ran, &["can't connect to the server localhost"]);
    }
    let plain = Proxy::with(&secure.upstream("sslmode=disable"), &[]);
    let proxy = Proxy::with(&format!("host=127.0.0.1 port={} sslmode=require", plain.port), &[]);
    let ran = libpq(proxy.port, "postgres", "sslmode=disable", "SELECT 1");
    fails_with(&ran, &["the server does not support TLS"]);
}

#[test]
fn certificates_that_the_web_refuses_and_openssl_takes_are_taken() {
    let secure = Secure::shared();
    // Of version 1 without alternative names; and its own root, as the manual shows it.
    for (certificate, root) in [("plain", "root"), ("self", "self")] {
        let shown = showing(secure, certificate, "sslmode=disable", "");
        let root = secure.file(&format!("{root}.crt"));
        let upstream = format!(
            "host=localhost hostaddr=127.0.0.1 port={} sslmode=verify-full sslrootcert={root}",
            shown.port
        );
        let proxy = Proxy::with(&upstream, &[]);
        assert_eq!(libpq(proxy.port, "postgres", "", "SELECT 7").out, "7", "{certificate}");
    }
}

#[test]
fn files_that_are_no_good_end_the_start_and_are_named() {
    let secure = Secure::shared();
    let file = |name: &str| secure.file(name);
    let up = |words: String| format!("upstream = 'host=localhost port=1 {words}'\n");
    let tls = |cert: &str, key: &str, more: &str| {
        format!("upstream = 'host=h'\n[tls]\ncert = '{}'\nkey = '{}'\n{more}", file(cert), file(key))
    };
    for (text, told) in [
        (up("sslmode=verify-ca sslrootcert=/nowhere".into()), "sslrootcert: can't read /nowhere"),
        (
            up(format!("sslmode=verify-ca sslrootcert={}", file("root.key"))),
            "expected a certificate in PEM form",
        ),
        (up("sslmode=verify-ca".into()), "sslrootcert: verify-ca and verify-full need"),
        (
            up(format!("sslcert={} sslkey={}", file("client.crt"), file("server.key"))),
            "it is not the key of the certificate in",
        ),
        (tls("server.crt", "server.crt", ""), "tls.key: "),
        (tls("server.crt", "second.key", ""), "it is not the key of the certificate in"),
        (tls("server.crt", "server.key", "client_ca = '/nowhere'"), "tls.client_ca: can't read /nowhere"),
    ] {
        let config = NamedTempFile::new().unwrap();
        fs::write(config.path(), &text).unwrap();
        let state = tempfile::tempdir().unwrap();
        for arguments in [
            vec!["check-config", config.path().to_str().unwrap()],
            vec![
                "serve",
                "--config",
                config.path().to_str().unwrap(),
                "--listen",
                "127.0.0.1:0",
                "--http",
                "off",
                "--state-dir",
                state.path().to_str().unwrap(),
            ],
        ] {
            let ran = Ran::of(&Command::new(binary()).args(&arguments).output().unwrap());
            assert_eq!(ran.code, 2, "{text}: {ran:?}");
            assert!(ran.err.contains(told), "{told:?} is not in {ran:?}");
        }
    }
}

#[test]
fn every_password_works_over_every_pair_of_legs() {
    let secure = Secure::shared();
    let root = secure.file("root.crt");
    for upstream in ["sslmode=disable", "sslmode=require"] {
        let proxy = showing(secure, "server", upstream, "");
        for client in [
            "sslmode=disable",
            "sslmode=prefer",
            "sslmode=require",
            &format!("sslmode=verify-full sslrootcert={root}"),
        ] {
            for user in ["postgres", "pass_user", "md5_user", "scram_user"] {
                let ran = libpq(proxy.port, user, client, "SELECT current_user");
                assert_eq!(ran.out, user, "{upstream} | {client}: {ran:?}");
            }
        }
        for user in ["pass_user", "md5_user", "scram_user"] {
            let wrong = libpq(proxy.port, user, "password=wrong", "SELECT 1");
            fails_with(&wrong, &["password authentication failed for user"]);
        }
    }
}

#[test]
fn channel_binding_holds_with_the_servers_own_certificate() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=require", "");
    let bound = libpq(proxy.port, "scram_user", "sslmode=require channel_binding=require", "SELECT 1");
    assert_eq!(bound.out, "1", "{bound:?}");
    let to_plain = showing(secure, "server", "sslmode=disable", "");
    let ran = libpq(to_plain.port, "scram_user", "sslmode=require channel_binding=require", "SELECT 1");
    fails_with(&ran, &["channel binding"]);
}

#[test]
fn channel_binding_to_another_certificate_is_explained() {
    let secure = Secure::shared();
    let proxy = showing(secure, "second", "sslmode=require", "");
    let ran = libpq(proxy.port, "scram_user", "sslmode=require", "SELECT 1");
    fails_with(&ran, &["SCRAM channel binding can't be relayed", "channel_binding=disable", "tls.cert"]);
    let ran = libpq(proxy.port, "scram_user", "sslmode=require channel_binding=disable", "SELECT 1");
    assert_eq!(ran.out, "1", "{ran:?}");
    assert_eq!(libpq(proxy.port, "scram_user", "sslmode=disable", "SELECT 1").out, "1");
    assert_eq!(libpq(proxy.port, "md5_user", "sslmode=require", "SELECT 1").out, "1");
}

#[test]
fn plain_text_behind_a_request_for_tls_ends_the_connection() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=disable", "");
    let mut wire = Wire::open(proxy.port);
    wire.send(&[&[0, 0, 0, 8, 4, 210, 22, 47][..], b"\0\0\0\x14\0\x03\0\0user\0x\0\0"].concat());
    let last = wire.next().unwrap();
    assert_eq!(last.told(), "08P01 received unencrypted data after SSL request");
    assert_eq!(wire.next(), None);
}

#[test]
fn a_policy_of_require_lets_nobody_in_by_tcp_without_tls() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=disable", "mode = 'require'");
    let ran = libpq(proxy.port, "postgres", "sslmode=disable", "SELECT 1");
    fails_with(&ran, &["this proxy lets nobody in without TLS", "sslmode=require"]);
    assert_eq!(libpq(proxy.port, "postgres", "sslmode=prefer", "SELECT 1").out, "1");
    assert_eq!(proxy.psql_maintenance("postgres", &["-c", "SELECT 1"]).out, "1", "a socket is no network");
    let off = showing(secure, "server", "sslmode=disable", "mode = 'off'");
    fails_with(&libpq(off.port, "postgres", "sslmode=require", "SELECT 1"), &["server does not support SSL"]);
}

#[test]
fn a_clients_certificate_is_looked_at_where_somebody_vouches_for_clients() {
    let secure = Secure::shared();
    let (root, other) = (secure.file("root.crt"), secure.file("other.crt"));
    let own =
        format!("sslmode=require sslcert={} sslkey={}", secure.file("client.crt"), secure.file("client.key"));
    let require = |ca: &str| format!("client_ca = '{ca}'\nclient_certificate = 'require'");
    let optional = showing(secure, "server", "sslmode=disable", &format!("client_ca = '{root}'"));
    assert_eq!(libpq(optional.port, "postgres", "sslmode=require", "SELECT 1").out, "1");
    assert_eq!(libpq(optional.port, "postgres", &own, "SELECT 1").out, "1");
    let needed = showing(secure, "server", "sslmode=disable", &require(&root));
    assert_eq!(libpq(needed.port, "postgres", &own, "SELECT 1").out, "1");
    assert_eq!(libpq(needed.port, "postgres", "sslmode=require", "SELECT 1").code, 2);
    let strangers = showing(secure, "server", "sslmode=disable", &format!("client_ca = '{other}'"));
    assert_eq!(libpq(strangers.port, "postgres", &own, "SELECT 1").code, 2);
    assert_eq!(libpq(strangers.port, "postgres", "sslmode=require", "SELECT 1").out, "1");
}

#[test]
fn the_proxys_own_certificate_is_shown_to_a_server_that_asks_for_it() {
    let secure = Secure::shared();
    let words =
        format!("sslmode=require sslcert={} sslkey={}", secure.file("client.crt"), secure.file("client.key"));
    let proxy = Proxy::with(&secure.upstream(&words), &[]);
    assert_eq!(libpq(proxy.port, "cert_user", "", "SELECT current_user").out, "cert_user");
    let without = Proxy::with(&secure.upstream("sslmode=require"), &[]);
    fails_with(&libpq(without.port, "cert_user", "", "SELECT 1"), &["requires a valid client certificate"]);
}

#[test]
fn a_new_certificate_is_shown_after_sighup_and_a_bad_one_changes_nothing() {
    let secure = Secure::shared();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let put = |name: &str| {
        for kind in ["crt", "key"] {
            fs::copy(secure.file(&format!("{name}.{kind}")), at(&format!("now.{kind}"))).unwrap();
        }
    };
    put("server");
    let text = format!("[tls]\ncert = '{}'\nkey = '{}'\n", at("now.crt").display(), at("now.key").display());
    fs::write(at("config"), text).unwrap();
    let proxy = Proxy::with(&secure.upstream(""), &["--config", at("config").to_str().unwrap()]);
    let trusts = |root: &str| {
        let words = format!("sslmode=verify-ca sslrootcert={}", secure.file(root));
        libpq(proxy.port, "postgres", &words, "SELECT 1").out == "1"
    };
    assert!(trusts("root.crt") && !trusts("self.crt"));
    let reloads = |count: usize| {
        proxy.signal("HUP");
        eventually("it was reloaded", || {
            let lines = proxy.audit("reloaded");
            let lines: Vec<_> = lines.into_iter().filter(|line| line["what"] == "tls").collect();
            (lines.len() == count).then(|| lines[count - 1]["problem"].clone())
        })
    };
    fs::write(at("now.crt"), "nonsense").unwrap();
    let problem = reloads(1).as_str().unwrap().to_owned();
    assert!(problem.contains("now.crt"), "{problem}");
    assert!(trusts("root.crt") && !trusts("self.crt"), "what was there before stays");
    put("self");
    assert!(reloads(2).is_null());
    assert!(trusts("self.crt") && !trusts("root.crt"));
}

/// What openssl gets that begins TLS without asking, logs in and runs a query.
fn direct(port: u16, more: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let login = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
    let mut input = child.stdin.take().unwrap();
    // It may have been turned away before it has read this.
    drop(input.write_all(&[login, &b"Q\0\0\0\x14SELECT 'direct'\0X\0\0\0\x04"[..]].concat()));
    let mut answer = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    drop(input);
    child.wait().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn tls_may_begin_without_asking_if_it_names_the_protocol() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=disable", "");
    assert!(direct(proxy.port, &["-alpn", "postgresql"]).contains("direct"));
    assert_eq!(direct(proxy.port, &[]), "");
    assert_eq!(direct(proxy.port, &["-alpn", "http/1.1"]), "");
    assert!(direct(proxy.port, &["-alpn", "postgresql", "-tls1_2"]).contains("direct"));
    let newest = showing(secure, "server", "sslmode=disable", "min_version = 'TLSv1.3'");
    assert_eq!(direct(newest.port, &["-alpn", "postgresql", "-tls1_2"]), "");
    // To a server that takes it so: another proxy.
    let root = secure.file("root.crt");
    let words = format!("sslmode=verify-full sslnegotiation=direct sslrootcert={root}");
    let upstream = format!("host=localhost hostaddr=127.0.0.1 port={} {words}", proxy.port);
    let before = Proxy::with(&upstream, &[]);
    assert_eq!(libpq(before.port, "postgres", "", "SELECT 7").out, "7");
}

#[test]
fn psql_is_interrupted_over_tls_on_both_legs() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=require", "");
    let database = secure.server.database();
    let words = format!("host=127.0.0.1 port={} user=postgres dbname={database} sslmode=require", proxy.port);
    let child = Command::new("psql")
        .args(["-X", "-d", &words, "-c", "SELECT pg_sleep(60)"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let active = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active' AND query LIKE '%pg_sleep%'"
    );
    eventually("it sleeps", || (secure.server.sql("postgres", &active) == "1").then_some(()));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("canceling statement due to user request"));
}

#[test]
fn much_passes_both_ways_over_tls_in_constant_memory() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=require", "");
    let rows = |sql: &str| libpq(proxy.port, "postgres", "sslmode=require", sql);
    let before = proxy.memory_kib();
    let long = rows("SELECT repeat('x', 100000000)");
    assert_eq!(long.out.len(), 100_000_000);
    let many = rows("SELECT repeat('y', 100) FROM generate_series(1, 200000)");
    assert_eq!(many.out.lines().count(), 200_000);
    let words = format!("host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=require", proxy.port);
    let mut copy = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-d", &words])
        .args([
            "-c",
            "CREATE TEMP TABLE c (a text)",
            "-c",
            "COPY c FROM STDIN",
            "-c",
            "SELECT count(*) FROM c",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = copy.stdin.take().unwrap();
    let line = "z".repeat(999) + "\n";
    for _ in 0..50 {
        input.write_all(line.repeat(1000).as_bytes()).unwrap();
    }
    drop(input);
    let output = Ran::of(&copy.wait_with_output().unwrap());
    assert_eq!(output.out, "50000", "{output:?}");
    let grown = proxy.memory_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more");
}

#[test]
fn a_freeze_holds_over_tls() {
    let secure = Secure::shared();
    let proxy = showing(secure, "server", "sslmode=require", "");
    let database = secure.server.database();
    let run = |sql: &str| {
        let words = format!("sslmode=require dbname={database}");
        libpq(proxy.port, "postgres", &words, sql)
    };
    assert_eq!(run("INSERT INTO t VALUES (1) RETURNING a").out, "1");
    proxy.freeze();
    assert!(run("INSERT INTO t VALUES (2)").err.contains("cannot execute INSERT in a read-only transaction"));
    assert_eq!(run("SELECT a FROM t").out, "1");
    proxy.thaw();
    assert_eq!(run("INSERT INTO t VALUES (3) RETURNING a").out, "3");
}

#[test]
fn doctor_says_beforehand_what_a_login_would_come_to() {
    let secure = Secure::shared();
    let doctor = |words: &str, certificate: Option<&str>| {
        let mut command = Command::new(binary());
        command.args(["doctor", &secure.upstream(words)]);
        let file = certificate.map(|name| config(secure, name, ""));
        if let Some(file) = &file {
            command.arg("--config").arg(file.path());
        }
        Ran::of(&command.output().unwrap())
    };
    let scram = "sslmode=require user=scram_user dbname=postgres password=password";
    let own = doctor(scram, Some("server"));
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.out.contains("tls.cert is the server's own certificate"), "{own:?}");
    assert!(own.out.contains("the password lets scram_user in"), "{own:?}");
    let other = doctor(scram, Some("second"));
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.out.contains("bad   SCRAM channel binding can't be relayed"), "{other:?}");
    let wrong = doctor("sslmode=require user=scram_user dbname=postgres password=wrong", None);
    assert!(wrong.code == 1 && wrong.out.contains("password authentication failed"), "{wrong:?}");
    let certificate = doctor("sslmode=require user=cert_user dbname=postgres", None);
    assert!(certificate.code == 1 && certificate.out.contains("sslcert and sslkey"), "{certificate:?}");
    let trust = doctor("sslmode=disable user=postgres", None);
    assert!(trust.code == 0 && trust.out.contains("without asking"), "{trust:?}");
    let away = Command::new(binary()).args(["doctor", "host=127.0.0.1 port=1"]).output().unwrap();
    assert_eq!(Ran::of(&away).code, 5);
}
