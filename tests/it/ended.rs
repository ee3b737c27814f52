//! Authentication that ends at the proxy: what it asks for, what it answers the server with, and what is said where
//! neither works.

use crate::support::{Postgres, Proxy, Ran, Secure, binary, eventually, libpq};
use std::{fs, process::Command};
use tempfile::TempDir;

/// A proxy with that `[auth]`, that certificate, and those secrets.
struct Set {
    proxy: Proxy,
    folder: TempDir,
}

fn set(secure: &Secure, upstream: &str, auth: &str, secrets: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secrets"), secrets).unwrap();
    let text = format!(
        "[tls]\ncert = '{}'\nkey = '{}'\nclient_ca = '{}'\n[auth]\nsecrets = '{}'\n{auth}\n",
        secure.file("second.crt"),
        secure.file("second.key"),
        secure.file("root.crt"),
        folder.path().join("secrets").display()
    );
    let config = folder.path().join("config");
    fs::write(&config, text).unwrap();
    let proxy = Proxy::with(&secure.upstream(upstream), &["--config", config.to_str().unwrap()]);
    Set { proxy, folder }
}

fn verifier(server: &Postgres, user: &str) -> String {
    server.sql("postgres", &format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'"))
}

fn refused(ran: &Ran, text: &str) {
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains(text), "{text:?} is not in {ran:?}");
}

const PLAIN: &str = "\"scram_user\" \"password\"\n\"md5_user\" \"password\"\n\"pass_user\" \"password\"\n";

#[test]
fn with_a_plain_password_every_method_leads_to_every_server() {
    let secure = Secure::shared();
    for upstream in ["sslmode=disable", "sslmode=require"] {
        for method in ["scram", "md5", "password"] {
            let set = set(secure, upstream, &format!("rules = [{{ method = '{method}' }}]"), PLAIN);
            for client in ["sslmode=disable", "sslmode=require"] {
                for user in ["scram_user", "md5_user", "pass_user"] {
                    let ran = libpq(set.proxy.port, user, client, "SELECT current_user");
                    assert_eq!(ran.out, user, "{upstream} {method} {client}: {ran:?}");
                    let words = format!("{client} password=wrong");
                    let wrong = libpq(set.proxy.port, user, &words, "SELECT 1");
                    refused(&wrong, &format!("password authentication failed for user \"{user}\""));
                }
                let nobody = libpq(set.proxy.port, "nobody", client, "SELECT 1");
                refused(&nobody, "password authentication failed for user \"nobody\"");
            }
        }
    }
}

#[test]
fn the_servers_own_verifier_is_enough_and_no_password_is_stored() {
    let secure = Secure::shared();
    let secrets = format!("\"scram_user\" \"{}\"\n", verifier(secure.server, "scram_user"));
    for upstream in ["sslmode=disable", "sslmode=require"] {
        let set = set(secure, upstream, "rules = [{ method = 'scram' }]", &secrets);
        for client in ["sslmode=disable", "sslmode=require", "sslmode=require channel_binding=require"] {
            let ran = libpq(set.proxy.port, "scram_user", client, "SELECT current_user");
            assert_eq!(ran.out, "scram_user", "{upstream} {client}: {ran:?}");
        }
        let wrong = libpq(set.proxy.port, "scram_user", "password=wrong", "SELECT 1");
        refused(&wrong, "password authentication failed for user \"scram_user\"");
    }
}

#[test]
fn a_verifier_that_is_not_the_servers_is_named_with_the_remedy() {
    let secure = Secure::shared();
    let sql = "SET password_encryption = 'scram-sha-256'; CREATE ROLE other LOGIN PASSWORD 'password'";
    secure.server.sql("postgres", sql);
    let secrets = format!("\"scram_user\" \"{}\"\n", verifier(secure.server, "other"));
    let set = set(secure, "", "rules = [{ method = 'scram' }]", &secrets);
    let ran = libpq(set.proxy.port, "scram_user", "", "SELECT 1");
    refused(&ran, "the secret's SCRAM verifier is not the server's own");
    refused(&ran, "pg_authid.rolpassword");
}

#[test]
fn a_query_finds_the_secrets_that_the_file_does_not_hold() {
    let secure = Secure::shared();
    let auth = "rules = [{ method = 'scram' }]\nquery_user = 'postgres'\n\
                query = 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'";
    let set = set(secure, "sslmode=require", auth, "");
    assert_eq!(libpq(set.proxy.port, "scram_user", "", "SELECT current_user").out, "scram_user");
    refused(
        &libpq(set.proxy.port, "scram_user", "password=wrong", "SELECT 1"),
        "password authentication failed",
    );
    refused(&libpq(set.proxy.port, "o'brien", "", "SELECT 1"), "password authentication failed");
    let broken = "rules = [{ method = 'scram' }]\nquery_user = 'postgres'\nquery = 'SELECT nonsense'";
    let broken = self::set(secure, "", broken, "");
    let ran = libpq(broken.proxy.port, "scram_user", "", "SELECT 1");
    refused(&ran, "auth.query: the server says: column \"nonsense\" does not exist");
}

#[test]
fn rules_are_looked_at_in_their_order_and_whom_none_fits_the_server_asks() {
    let secure = Secure::shared();
    let auth = "rules = [{ user = 'pass_user', database = ['a', 'b'], method = 'scram' },\n\
                { user = ['md5_user', 'scram_user'], method = 'relayed' },\n\
                { user = ['md5_user', 'only_plain'], method = 'password' }]";
    let set = set(secure, "sslmode=disable", auth, "");
    for user in ["pass_user", "md5_user", "scram_user"] {
        assert_eq!(libpq(set.proxy.port, user, "", "SELECT current_user").out, user);
    }
    refused(&libpq(set.proxy.port, "only_plain", "", "SELECT 1"), "password authentication failed");
    refused(&libpq(set.proxy.port, "pass_user", "dbname=a", "SELECT 1"), "password authentication failed");
}

#[test]
fn a_clients_certificate_can_be_its_proof() {
    let secure = Secure::shared();
    let (cert, key) = (secure.file("client.crt"), secure.file("client.key"));
    let own = format!("sslmode=require sslcert={cert} sslkey={key}");
    let rules = "rules = [{ method = 'cert' }]";
    let same = set(secure, &format!("sslmode=require sslcert={cert} sslkey={key}"), rules, "");
    assert_eq!(libpq(same.proxy.port, "cert_user", &own, "SELECT current_user").out, "cert_user");
    for (user, words) in
        [("postgres", own.as_str()), ("cert_user", "sslmode=require"), ("cert_user", "sslmode=disable")]
    {
        let ran = libpq(same.proxy.port, user, words, "SELECT 1");
        refused(&ran, &format!("certificate authentication failed for user \"{user}\""));
    }
}

#[test]
fn a_server_that_asks_for_more_than_there_is_is_told_of() {
    let secure = Secure::shared();
    let secrets = format!("\"pass_user\" \"{}\"\n", verifier(secure.server, "pass_user"));
    let set = set(secure, "", "rules = [{ method = 'scram' }]", &secrets);
    let ran = libpq(set.proxy.port, "pass_user", "", "SELECT 1");
    refused(&ran, "it asks for a password, and the secret is a SCRAM verifier");
    refused(&ran, "Give Frostgate the plain password");
}

#[test]
fn the_servers_own_words_reach_a_client_that_the_proxy_let_in() {
    let secure = Secure::shared();
    let secrets = format!("{PLAIN}\"only_tls\" \"password\"\n\"ghost\" \"password\"\n");
    let set = set(secure, "sslmode=disable", "rules = [{ method = 'scram' }]", &secrets);
    let run = |user, words| libpq(set.proxy.port, user, words, "SELECT 1");
    refused(&run("scram_user", "dbname=nowhere"), "database \"nowhere\" does not exist");
    refused(&run("ghost", ""), "role \"ghost\" does not exist");
    refused(&run("only_tls", ""), "pg_hba.conf rejects connection");
}

#[test]
fn new_secrets_hold_after_sighup_and_a_bad_file_changes_nothing() {
    let secure = Secure::shared();
    let set = set(secure, "", "rules = [{ method = 'scram' }]", "");
    let works = || libpq(set.proxy.port, "scram_user", "", "SELECT 1").code == 0;
    assert!(!works());
    let reload = |text: &str, count: usize| {
        fs::write(set.folder.path().join("secrets"), text).unwrap();
        set.proxy.signal("HUP");
        eventually("it was reloaded", || {
            let lines = set.proxy.audit("reloaded");
            let lines: Vec<_> = lines.into_iter().filter(|line| line["what"] == "auth").collect();
            (lines.len() == count).then(|| lines[count - 1]["problem"].clone())
        })
    };
    assert!(reload(PLAIN, 1).is_null());
    assert!(works());
    assert!(reload("nonsense", 2).as_str().unwrap().contains("line 1"));
    assert!(works());
}

#[test]
fn rules_that_can_not_work_are_faults() {
    for (auth, told) in [
        ("rules = [{ method = 'scram' }]", "auth.secrets: a file of secrets, or auth.query, is needed"),
        (
            "rules = [{ method = 'magic' }]",
            "auth.rules: method: expected relayed, scram, md5, password or cert",
        ),
        ("rules = [{ method = 'cert' }]", "auth.rules: the method cert needs tls.client_ca"),
        ("query = 'SELECT 1'", "auth.query_user: auth.query and auth.query_user are given together"),
        ("secrets = '/nowhere'\nrules = [{ method = 'scram' }]", "auth.secrets: /nowhere: "),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        fs::write(&config, format!("upstream = 'host=h'\n[auth]\n{auth}\n")).unwrap();
        let ran = Ran::of(&Command::new(binary()).arg("check-config").arg(&config).output().unwrap());
        refused(&ran, told);
    }
}

#[test]
fn a_session_that_the_proxy_let_in_can_be_cancelled_and_frozen() {
    let secure = Secure::shared();
    let set = set(secure, "sslmode=require", "rules = [{ method = 'scram' }]", PLAIN);
    let run = |sql: &str| libpq(set.proxy.port, "scram_user", "sslmode=require", sql);
    assert_eq!(run("CREATE TEMP TABLE x (a int); INSERT INTO x VALUES (1) RETURNING a").out, "1");
    set.proxy.freeze();
    assert!(
        run("CREATE TABLE x (a int)").err.contains("cannot execute CREATE TABLE in a read-only transaction")
    );
    assert_eq!(run("SELECT 1").out, "1");
}

#[test]
fn the_example_of_a_configuration_is_fine_as_it_stands() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/frostgate.example.toml");
    let ran = Ran::of(&Command::new(binary()).args(["check-config", example]).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
}
