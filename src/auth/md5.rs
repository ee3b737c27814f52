//! md5 passwords. Source: `pg_md5_encrypt` in `md5_common.c`; manual, "Password Authentication".

use md5::{Digest as _, Md5};

/// `md5` and the hash of password and user in hexadecimal digits: what the server stores.
pub(super) fn stored(user: &[u8], password: &[u8]) -> String {
    hex(&[password, user])
}

/// What a client answers to a salt.
pub(super) fn answer(stored: &str, salt: &[u8]) -> String {
    hex(&[stored.strip_prefix("md5").unwrap_or(stored).as_bytes(), salt])
}

fn hex(parts: &[&[u8]]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().fold(String::from("md5"), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_hash_is_the_servers() {
        // SELECT 'md5' || md5('password' || 'postgres')
        assert_eq!(stored(b"postgres", b"password"), "md532e12f215ba27cb750c9e093ce4b5127");
        assert_eq!(answer("md532e12f215ba27cb750c9e093ce4b5127", b"salt").len(), 35);
    }
}
