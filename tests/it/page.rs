//! What the HTTP port shows: the page in a real browser, and `/maintenance` behind a real nginx.

use crate::support::{Postgres, Proxy, eventually, fetch, free_port, tool};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The page as it stands in a browser that has run its script for some seconds; and a picture of it, where
/// `FROSTGATE_SCREENSHOTS` names a folder.
fn seen(chromium: &Path, proxy: &Proxy, name: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let browse = |more: &[&str]| {
        let output = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("--virtual-time-budget=4000")
            .args(more)
            .arg(format!("http://127.0.0.1:{}/", proxy.http))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    if let Some(folder) = std::env::var_os("FROSTGATE_SCREENSHOTS") {
        for (kind, size, colours) in [
            ("wide", "--window-size=1100,1300", "1"),
            ("dark", "--window-size=1100,1300", "0"),
            ("phone", "--window-size=400,1500", "1"),
        ] {
            let file = Path::new(&folder).join(format!("{name}-{kind}.png"));
            let scheme = format!("--blink-settings=preferredColorScheme={colours}");
            browse(&[size, &scheme, &format!("--screenshot={}", file.display())]);
        }
    }
    browse(&["--dump-dom"])
}

#[test]
fn the_page_tells_the_state_at_a_glance_and_who_is_refused_in_a_real_browser() {
    let Some(chromium) = tool("chromium") else { return };
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    let open = seen(&chromium, &proxy, "open");
    assert!(
        open.contains("data-state=\"open\"") && open.contains("<title>open · Frostgate</title>"),
        "{open}"
    );

    let mut writer = proxy.connect(&database);
    assert_eq!(writer.ask("BEGIN; INSERT INTO t VALUES (1)"), "CC T");
    proxy.shut();
    let draining = seen(&chromium, &proxy, "draining");
    assert!(draining.contains("data-state=\"draining\""), "{draining}");
    assert!(
        draining.contains("Waiting for 1 transaction that wrote."),
        "how far the drain has come: {draining}"
    );
    assert!(draining.contains("pg_terminate_backend("), "who holds it up, and what ends it: {draining}");

    assert_eq!(writer.ask("COMMIT"), "C I");
    proxy.is_eventually("frozen");
    let mut stray = proxy.connect(&database);
    assert_eq!(stray.ask("SET application_name = '<b>stray</b>'"), "CS I");
    assert_eq!(stray.ask("INSERT INTO t VALUES (2)"), "E25006 I");
    let frozen = seen(&chromium, &proxy, "frozen");
    assert!(
        frozen.contains("data-state=\"frozen\"") && frozen.contains("<p id=\"words\">test</p>"),
        "{frozen}"
    );
    assert!(frozen.contains(">&lt;b&gt;stray&lt;/b&gt;</td>"), "a name is a text, not HTML: {frozen}");
    assert!(frozen.contains(">INSERT</td>"), "{frozen}");
    assert!(!frozen.contains("Waiting for"), "{frozen}");
}

#[test]
fn the_page_tells_exceptions_sessions_and_past_windows_in_a_real_browser() {
    let Some(chromium) = tool("chromium") else { return };
    let server = Postgres::shared();
    let (proxy, database) = (Proxy::spawn(server), server.database());
    proxy.freeze();
    proxy.thaw();
    assert_eq!(proxy.run(&["freeze", "--reason", "move", "--database", &database, "--until", "1h"]).code, 0);
    for add in [
        &["--application", "import", "--reason", "late import", "--owner", "dba"][..],
        &["--deny", "--user", "que", "--reason", "jobs would run twice", "--until", "30m"],
    ] {
        assert_eq!(proxy.run(&[&["except", "add"], add].concat()).code, 0);
    }
    let mut reader = proxy.connect(&database);
    assert_eq!(reader.ask("SET application_name = 'reader'"), "CS I");
    let _elsewhere = proxy.connect(&server.database());
    let page = seen(&chromium, &proxy, "second-window");
    for told in [
        ">application import (anybody can say so)</td>",
        ">late import</td>",
        ">runs nothing</td>",
        ">jobs would run twice</td>",
        ">reader</td>",
        ">quiet, spared</td>",
        ">not over</td>",
        &format!("only database {database}"),
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let proxy = Proxy::spawn(Postgres::shared());
    for path in ["/", "/page.css", "/page.js"] {
        let (head, body) = fetch(proxy.http, &format!("GET {path}")).unwrap();
        assert!(head.contains(" 200 ") && head.contains("default-src 'none'"), "{head}");
        let foreign: Vec<&str> =
            body.lines().filter(|line| line.contains("//www.") || line.contains("https:")).collect();
        assert!(foreign.iter().all(|line| line.contains("http://www.w3.org/2000/svg")), "{foreign:?}");
    }
}

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn nginx_answers_503_in_place_of_an_application_while_frozen() {
    let Some(nginx) = tool("nginx") else { return };
    let proxy = Proxy::spawn(Postgres::shared());
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let snippet = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx/maintenance.conf");
    let snippet =
        fs::read_to_string(snippet).unwrap().replace("127.0.0.1:6441", &format!("127.0.0.1:{}", proxy.http));
    let application = "location / { auth_request /frostgate-maintenance; try_files /application =404; }";
    fs::write(folder.path().join("application"), "application").unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.path().display()))
        .concat();
    let path = folder.path().display();
    let config = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error; events {{}}\n\
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {path};\n{snippet}\n{application} }} }}"
    );
    fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let file = folder.path().join("nginx.conf");
    let _nginx =
        Nginx(Command::new(nginx).arg("-c").arg(&file).arg("-p").arg(folder.path()).spawn().unwrap());
    let get = || fetch(port, "GET /").filter(|(head, _)| !head.is_empty());
    assert_eq!(eventually("nginx", get).1, "application");
    proxy.freeze();
    let (head, body) = get().unwrap();
    assert!(head.starts_with("HTTP/1.1 503"), "{head}\n{body}");
    assert!(head.to_lowercase().contains("retry-after: "), "{head}");
    proxy.thaw();
    assert_eq!(get().unwrap().1, "application");
}
