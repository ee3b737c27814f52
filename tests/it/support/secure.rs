//! A server that speaks TLS and asks for every kind of password, and the certificates that go with it, made by
//! openssl as people make them: a root, a server's, a client's of version 1, one signed by itself.

use super::{Postgres, Ran, eventually};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

pub(crate) struct Secure {
    pub(crate) server: &'static Postgres,
    pub(crate) folder: PathBuf,
}

static SECURE: OnceLock<Secure> = OnceLock::new();

const HBA: &str = "local all all trust
hostssl all only_tls all trust
hostnossl all only_plain all trust
hostssl all cert_user all cert
hostnossl all only_tls all reject
hostssl all only_plain all reject
host all pass_user all password
host all md5_user all md5
host all scram_user all scram-sha-256
host replication all all trust
host all all all trust
";

impl Secure {
    pub(crate) fn shared() -> &'static Self {
        SECURE.get_or_init(|| {
            let server: &'static Postgres = Box::leak(Box::new(Postgres::start()));
            server.stop_with_this_process();
            let folder = server.folder.path().join("tls");
            fs::create_dir(&folder).unwrap();
            make_certificates(&folder);
            let data = server.folder.path().join("data");
            let (from, to) = (folder.display(), data.display());
            let shell = |command: &str| {
                server.sql("postgres", &format!("COPY (SELECT 1) TO PROGRAM $x$cat > /dev/null; {command}$x$"));
            };
            shell(&format!("cp {from}/server.* {from}/root.crt {to} && chmod 600 {to}/server.key"));
            fs::write(folder.join("hba"), HBA).unwrap();
            shell(&format!("cp {from}/hba {to}/pg_hba.conf"));
            for sql in [
                "ALTER SYSTEM SET ssl = on",
                "ALTER SYSTEM SET ssl_ca_file = 'root.crt'",
                "SET password_encryption = 'md5'; CREATE ROLE md5_user LOGIN PASSWORD 'password'",
                // The default before 14 was md5.
                "SET password_encryption = 'scram-sha-256'; CREATE ROLE scram_user LOGIN PASSWORD 'password'; \
                 CREATE ROLE pass_user LOGIN PASSWORD 'password'",
                "CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN; CREATE ROLE cert_user LOGIN",
                "SELECT pg_reload_conf()",
            ] {
                server.sql("postgres", sql);
            }
            let secure = Self { server, folder };
            eventually("the server speaks TLS", || {
                (libpq(server.port, "only_tls", "sslmode=require", "SELECT 1").code == 0).then_some(())
            });
            secure
        })
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The way to the server, with more words.
    pub(crate) fn upstream(&self, more: &str) -> String {
        format!("host=localhost hostaddr=127.0.0.1 port={} {more}", self.server.port)
    }
}

/// Runs a statement through libpq, as that user with the password that all have; unaligned.
pub(crate) fn libpq(port: u16, user: &str, words: &str, sql: &str) -> Ran {
    let words = format!("host=localhost hostaddr=127.0.0.1 port={port} user={user} dbname=postgres {words}");
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-q", "-d", &words, "-c", sql])
        .env("PGPASSWORD", "password")
        // libpq would look for certificates there.
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(&output)
}

/// Makes all files in a folder.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let output = output.expect("the tests of TLS need the program openssl");
        assert!(output.status.success(), "{arguments}: {output:?}");
    };
    let key = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    for root in ["root", "other"] {
        openssl(&format!(
            "req -x509 -new {key} -days 30 -subj /CN={root} -keyout {root}.key -out {root}.crt"
        ));
    }
    // Signed by itself, the name in CN only, as the manual of PostgreSQL shows it.
    openssl(&format!("req -x509 -new {key} -days 30 -subj /CN=localhost -keyout self.key -out self.crt"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    fs::write(folder.join("elsewhere"), "subjectAltName=DNS:elsewhere.example\n").unwrap();
    fs::write(folder.join("past"), "subjectAltName=DNS:localhost\n").unwrap();
    for (name, subject, more) in [
        ("server", "/CN=localhost", "-extfile names -days 30"),
        ("second", "/CN=localhost", "-extfile names -days 30"),
        ("elsewhere", "/CN=localhost", "-extfile elsewhere -days 30"),
        ("past", "/CN=localhost", "-extfile past -days 0"),
        // Without extensions these are of version 1.
        ("plain", "/CN=localhost", "-days 30"),
        ("client", "/CN=cert_user", "-days 30"),
    ] {
        openssl(&format!("req -new {key} -subj {subject} -keyout {name}.key -out {name}.csr"));
        let signed = "-req -CA root.crt -CAkey root.key -CAcreateserial";
        openssl(&format!("x509 {signed} -in {name}.csr -out {name}.crt {more}"));
    }
    for entry in fs::read_dir(folder).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        // The server copies what is its own; libpq wants its key for itself.
        let path = entry.unwrap().path();
        let mode = if path.ends_with("client.key") { 0o600 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
