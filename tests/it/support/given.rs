//! A server and a proxy that are there already, by the environment: `FROSTGATE_TEST_SERVER` and `FROSTGATE_TEST_PROXY`,
//! each HOST:PORT. Their user is `postgres`, a superuser, with the password in `PGPASSWORD` if one is asked for.

use frostgate::auth::{Answer, Answering, Credential, RANDOM};
use std::{
    env, io,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

/// The port on this machine by which the server is reached; none: the tests make their own.
pub(crate) fn server() -> Option<u16> {
    port_of("FROSTGATE_TEST_SERVER")
}

/// The port on this machine by which the proxy in front of that server is reached; none: the tests start their own.
pub(crate) fn proxy() -> Option<u16> {
    let port = port_of("FROSTGATE_TEST_PROXY");
    assert!(port.is_none() || server().is_some(), "FROSTGATE_TEST_PROXY needs FROSTGATE_TEST_SERVER");
    port
}

fn port_of(variable: &str) -> Option<u16> {
    let address = env::var(variable).ok().filter(|address| !address.is_empty())?;
    let (host, port) = address.rsplit_once(':').unwrap_or_else(|| panic!("{variable}: HOST:PORT is needed"));
    let port = port.parse().unwrap_or_else(|_| panic!("{variable}: {port} is no port"));
    Some(if host == "127.0.0.1" { port } else { forward(host.to_owned(), port) })
}

/// Carries what comes to a free port to an address elsewhere, as long as this process lives.
fn forward(host: String, port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect((host.as_str(), port)) else { continue };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || {
                    // Whichever side ends, the other one is told.
                    drop(io::copy(&mut from, &mut to));
                    drop(to.shutdown(Shutdown::Write));
                });
            }
        }
    });
    here
}

/// Answers a server that asks for a password.
pub(crate) struct Password(Answering);

impl Password {
    pub(crate) fn of(user: &str) -> Self {
        let password = env::var("PGPASSWORD").unwrap_or_default().into_bytes();
        Self(Answering::new(user.into(), Credential::Password(password), None, [9; RANDOM]))
    }

    /// The answer to the body of an Authentication message, if it wants one.
    pub(crate) fn answer(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        match self.0.hear(body).unwrap() {
            Answer::None => None,
            Answer::Say(answer) => Some(answer),
            Answer::Derive(derivation) => Some(self.0.derived(&derivation.run()).unwrap()),
        }
    }
}
