//! A client that speaks raw messages: what goes over the wire is what the test says, and what comes back is told
//! message by message.

use super::{PATIENCE, given::Password};
use frostgate::wire::{
    backend::ErrorFields,
    frontend::Write as Frontend,
    startup::{CancelKey, StartupMessage},
};
use std::{
    io::{Read, Write as _},
    net::TcpStream,
};

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    held: Vec<u8>,
    pub(crate) key: Option<CancelKey>,
    pub(crate) parameters: Vec<(String, String)>,
}

/// A message from the server's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: char,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// An error's code and text: `25006 cannot execute …`; ReadyForQuery's status; a command's tag.
    pub(crate) fn told(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        match self.tag {
            'E' | 'N' => {
                let field = |kind| text(ErrorFields(&self.body).field(kind).unwrap_or_default());
                format!("{} {}", field(b'C'), field(b'M'))
            }
            'Z' | 'C' => text(&self.body),
            'D' => text(self.body.get(6..).unwrap_or_default()),
            _ => String::new(),
        }
    }

    pub(crate) fn field(&self, kind: u8) -> String {
        String::from_utf8_lossy(ErrorFields(&self.body).field(kind).unwrap_or_default()).into_owned()
    }
}

/// A message with that tag and body.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

impl Wire {
    pub(crate) fn connect(port: u16, database: &str) -> Self {
        let mut wire = Self::open(port);
        wire.log_in(&[("user", "postgres"), ("database", database)]);
        wire
    }

    /// A connection that has said nothing yet.
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, held: Vec::new(), key: None, parameters: Vec::new() }
    }

    pub(crate) fn log_in(&mut self, parameters: &[(&str, &str)]) {
        self.log_in_with(&StartupMessage::new(parameters));
    }

    /// What the server said to the login.
    pub(crate) fn log_in_with(&mut self, message: &StartupMessage) -> Vec<Message> {
        self.send(&message.encode());
        let mut password = Password::of(&String::from_utf8_lossy(message.user()));
        let mut said = Vec::new();
        loop {
            let message = self.next().expect("a login");
            match message.tag {
                'R' => {
                    if let Some(answer) = password.answer(&message.body) {
                        self.send(&answer);
                    }
                }
                'K' => self.key = CancelKey::read(&message.body),
                'S' => {
                    let text = String::from_utf8_lossy(&message.body).into_owned();
                    let mut words = text.split('\0').map(str::to_owned);
                    self.parameters.push((words.next().unwrap(), words.next().unwrap()));
                }
                'E' => panic!("no login: {}", message.told()),
                _ => {}
            }
            let is_last = message.tag == 'Z';
            said.push(message);
            if is_last {
                return said;
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what is written by the closure.
    pub(crate) fn say(&mut self, write: impl FnOnce(&mut Frontend<'_>)) {
        let mut bytes = Vec::new();
        write(&mut Frontend(&mut bytes));
        self.send(&bytes);
    }

    /// The next message; none: the connection has ended.
    pub(crate) fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(head) = self.held.get(..5) {
                let length = 1 + usize::try_from(u32::from_be_bytes(head[1..5].try_into().unwrap())).unwrap();
                if self.held.len() >= length {
                    let rest = self.held.split_off(length);
                    let whole = std::mem::replace(&mut self.held, rest);
                    return Some(Message { tag: char::from(whole[0]), body: whole[5..].to_vec() });
                }
            }
            let mut chunk = [0; 8192];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.held.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// All messages up to one with that tag.
    pub(crate) fn until(&mut self, tag: char) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message =
                self.next().unwrap_or_else(|| panic!("the connection ended before {tag}: {messages:?}"));
            let is_last = message.tag == tag;
            messages.push(message);
            if is_last {
                return messages;
            }
        }
    }

    /// A simple Query and its whole answer.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<Message> {
        self.say(|out| {
            out.query(sql);
        });
        self.until('Z')
    }

    /// A simple Query, told short: tags, errors by code, the last status. `TDC I`, `E25006 T`.
    pub(crate) fn ask(&mut self, sql: &str) -> String {
        short(&self.query(sql))
    }

    /// Parse, Bind, Execute of the unnamed, and Sync.
    pub(crate) fn extended(&mut self, sql: &str) -> String {
        self.say(|out| {
            out.parse("", sql).bind("", "").execute("").sync();
        });
        short(&self.until('Z'))
    }

    /// The first value that a query gives.
    pub(crate) fn value(&mut self, sql: &str) -> String {
        let answer = self.query(sql);
        answer.iter().find(|m| m.tag == 'D').unwrap_or_else(|| panic!("no row: {answer:?}")).told()
    }
}

/// Tags, errors by code, ReadyForQuery by status.
pub(crate) fn short(messages: &[Message]) -> String {
    let mut told = String::new();
    for message in messages {
        match message.tag {
            'E' => {
                told.push('E');
                told.push_str(&message.field(b'C'));
            }
            'Z' => {
                told.push(' ');
                told.push_str(&message.told());
            }
            tag => told.push(tag),
        }
    }
    told
}

/// Logs in through a Unix socket and runs one statement.
pub(crate) fn unix_query(stream: &mut std::os::unix::net::UnixStream, database: &str, sql: &str) {
    let login = StartupMessage::new(&[("user", "postgres"), ("database", database)]).encode();
    let mut bytes = Vec::new();
    Frontend(&mut bytes).query(sql);
    stream.write_all(&[login, bytes].concat()).unwrap();
    let (mut seen, mut ready) = (Vec::new(), 0);
    while ready < 2 {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the connection ended");
        seen.extend_from_slice(&chunk[..read]);
        ready = seen.windows(5).filter(|window| window == b"Z\0\0\0\x05").count();
    }
}
