//! Any bytes as a connection's first packet: reading ends, takes no more than is there, and what a message says it
//! says again after it was written.
#![cfg_attr(fuzzing, no_main)]

use frostgate::wire::startup::{StartupPacket, read};

fn run(bytes: &[u8]) {
    let Ok(Some((packet, length))) = read(bytes) else { return };
    assert!(length <= bytes.len());
    if let StartupPacket::StartupMessage(message) = packet {
        let again = message.encode();
        assert_eq!(read(&again).ok().flatten(), Some((StartupPacket::StartupMessage(message), again.len())));
    }
}

frostgate_fuzz::target!(run);
