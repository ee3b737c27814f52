//! Settings by name: which of them are the fence, which one is the encoding, which of them `set_config` may set.
use super::{effects::Effects, name_table::NameTable, strings::Short};

/// What `set_config` may set (`scripts/sql_names.sh`): what a session may set, without the read-only ones and without
/// what writes files, loads libraries or can damage data.
static HARMLESS: NameTable<1024> = NameTable::new(include_bytes!("settings.txt"));

/// A setting, by its whole name: a dotted one is a custom one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// `transaction_read_only`.
    TransactionReadOnly,
    /// `default_transaction_read_only`.
    DefaultReadOnly,
    /// `client_encoding`.
    ClientEncoding,
    /// `frostgate.state`, `.reason`, `.until` or `.epoch`: what the proxy tells of itself, with the effect of showing it.
    Frostgate(Effects),
    /// Any other that `set_config` may set.
    Harmless,
    /// Any other.
    Other,
}

/// The setting of that name: case is folded in quotes as well (`guc_name_compare` in guc.c).
pub(super) fn setting(name: &[u8]) -> Setting {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    if is(b"transaction_read_only") {
        Setting::TransactionReadOnly
    } else if is(b"default_transaction_read_only") {
        Setting::DefaultReadOnly
    } else if is(b"client_encoding") {
        Setting::ClientEncoding
    } else if name.contains(&b'.') {
        frostgate(name).map_or(Setting::Harmless, Setting::Frostgate)
    } else if is_listed(name) {
        Setting::Harmless
    } else {
        Setting::Other
    }
}

fn frostgate(name: &[u8]) -> Option<Effects> {
    let (prefix, word) = name.split_at_checked(b"frostgate.".len())?;
    let is = |other: &[u8]| word.eq_ignore_ascii_case(other);
    if !prefix.eq_ignore_ascii_case(b"frostgate.") {
        None
    } else if is(b"state") {
        Some(Effects::SHOWS_STATE)
    } else if is(b"reason") {
        Some(Effects::SHOWS_REASON)
    } else if is(b"until") {
        Some(Effects::SHOWS_UNTIL)
    } else if is(b"epoch") {
        Some(Effects::SHOWS_EPOCH)
    } else {
        None
    }
}

fn is_listed(name: &[u8]) -> bool {
    let mut lower = Short::EMPTY;
    let short = name.iter().try_for_each(|byte| lower.push(byte.to_ascii_lowercase()));
    short.is_some() && HARMLESS.contains(lower.as_bytes())
}

/// Whether a value is a spelling of true, whatever the version (`parse_bool_with_len` in bool.c): `on`, `1`, and the
/// prefixes of `true` and `yes`.
pub(super) fn is_true(value: &[u8]) -> bool {
    let prefix_of = |word: &[u8]| {
        !value.is_empty() && word.get(..value.len()).is_some_and(|start| value.eq_ignore_ascii_case(start))
    };
    prefix_of(b"true") || prefix_of(b"yes") || value.eq_ignore_ascii_case(b"on") || value == b"1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_and_the_encoding_are_known_in_any_case() {
        assert_eq!(setting(b"Transaction_READ_only"), Setting::TransactionReadOnly);
        assert_eq!(setting(b"default_transaction_read_only"), Setting::DefaultReadOnly);
        assert_eq!(setting(b"Client_Encoding"), Setting::ClientEncoding);
        assert_eq!(setting(b"DateStyle"), Setting::Harmless);
        assert_eq!(setting(b"app.user_id"), Setting::Harmless);
        assert_eq!(setting(b"role"), Setting::Harmless);
        assert_eq!(setting(b"Frostgate.STATE"), Setting::Frostgate(Effects::SHOWS_STATE));
        assert_eq!(setting(b"frostgate.other"), Setting::Harmless);
        assert_eq!(setting(b"a.frostgate.state"), Setting::Harmless);
        for other in
            [&b"zero_damaged_pages"[..], b"jit_dump_bitcode", b"local_preload_libraries", b"", b"nope"]
        {
            assert_eq!(setting(other), Setting::Other, "{other:?}");
        }
    }

    #[test]
    fn only_what_every_version_reads_as_true_is_true() {
        for value in ["on", "ON", "true", "tru", "T", "yes", "y", "1"] {
            assert!(is_true(value.as_bytes()), "{value}");
        }
        for value in ["", "o", "off", "of", "0", "2", "11", "truee", "yess", "no", " on", "on ", "onn"] {
            assert!(!is_true(value.as_bytes()), "{value}");
        }
    }
}
