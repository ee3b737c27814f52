//! Any bytes as what a client says to the proxy that asks it who it is, and as what a server says to the proxy that
//! answers it: nothing of it is a proof, and an offer says again what it said after it was written.
//!
//! The first byte chooses who speaks and how; the rest is messages, each behind its length in two bytes.
#![cfg_attr(fuzzing, no_main)]

use frostgate::{
    auth::{Answer, Answering, Asked, Asking, Client, Credential, Keys, RANDOM, SALT_KEY, Secret},
    config::AuthMethod,
    wire::sasl,
};

/// One round, so that nothing is slow here; its keys belong to no password.
const VERIFIER: &str = "SCRAM-SHA-256$1:c2FsdHNhbHRzYWx0c2FsdA==\
                        $AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const PASSWORD: &str = "b1946ac92492d2347c6235b4d2611184";

fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let messages = messages(rest);
    for message in &messages {
        read(message);
    }
    if choice & 1 == 0 { ask(*choice, &messages) } else { answer(*choice, &messages) }
}

fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, after) = rest.split_at(length);
        found.push(message);
        bytes = after;
    }
    found
}

/// What a relay reads of messages that pass.
fn read(message: &[u8]) {
    if let Some(mechanisms) = sasl::offered(message) {
        let mut again = Vec::new();
        sasl::offer(&mut again, &mechanisms);
        assert_eq!(sasl::offered(&again[5..]), Some(mechanisms));
    }
    if sasl::binding_flag(message).is_some() {
        assert!(sasl::initial_response(message).is_some());
    }
}

fn client(choice: u8) -> Client {
    let method = match choice >> 1 & 3 {
        0 => AuthMethod::Scram,
        1 => AuthMethod::Md5,
        2 => AuthMethod::Password,
        _ => AuthMethod::Certificate,
    };
    Client {
        user: "ann".into(),
        method,
        end_point: (choice & 8 != 0).then(|| vec![1; 32]),
        certificate_name: None,
        salt_key: [3; SALT_KEY],
    }
}

fn ask(choice: u8, messages: &[&[u8]]) {
    let secret = match choice >> 4 & 3 {
        0 => None,
        1 => Some(Secret::parse(PASSWORD)),
        2 => Some(Secret::parse(&format!("md5{PASSWORD}"))),
        _ => Some(Secret::parse(VERIFIER)),
    };
    let is_slow = matches!((choice >> 1 & 3, &secret), (0, Some(Secret::Password(_))));
    let Ok((mut asking, _)) = Asking::begin(client(choice), secret, [5; RANDOM]) else { return };
    for message in messages {
        let asked = match asking.hear(message) {
            // Thousands of rounds, which are tried elsewhere.
            Ok(Asked::Derive(_)) if is_slow => return,
            Ok(Asked::Derive(derivation)) => asking.derived(derivation.run()),
            asked => asked,
        };
        match asked {
            Ok(Asked::Proven(..)) => panic!("nobody knows the secret"),
            Ok(Asked::More(_) | Asked::Derive(_)) => {}
            Err(_) => return,
        }
    }
}

/// Keys with the verifier's own salt and rounds.
fn keys() -> Keys {
    let plain = Client { method: AuthMethod::Password, ..client(0) };
    let Ok((mut asking, _)) = Asking::begin(plain, Some(Secret::parse(VERIFIER)), [5; RANDOM]) else {
        panic!("it asks for a password")
    };
    let Ok(Asked::Derive(derivation)) = asking.hear(b"x\0") else { panic!("a verifier needs keys") };
    derivation.run()
}

fn answer(choice: u8, messages: &[&[u8]]) {
    let credential = match choice >> 4 & 3 {
        0 => Credential::None,
        1 => Credential::Password(PASSWORD.into()),
        2 => Credential::Md5(format!("md5{PASSWORD}")),
        _ => Credential::Keys(keys()),
    };
    let mut answering = Answering::new("ann".into(), credential, client(choice).end_point, [6; RANDOM]);
    let mut speaks_scram = false;
    for message in messages {
        let code = sasl::request_code(message).map(|(code, _)| code);
        match answering.hear(message) {
            Ok(_) if code == Some(sasl::OK) => assert!(!speaks_scram, "the server has proved nothing"),
            Ok(Answer::Say(_)) => speaks_scram |= code == Some(sasl::SASL),
            Ok(Answer::None) => {}
            Ok(Answer::Derive(_)) | Err(_) => return,
        }
    }
}

frostgate_fuzz::target!(run);
