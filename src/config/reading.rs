//! From a file's text to its raw shape. What can't be read is told all at once: a value or a table that is at fault is
//! cut out, and the rest is read on.

use super::{error::ConfigError, raw::RawConfig};
use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeArray, DeString, DeTable, DeValue, Deserializer, Error},
};

type DeSpanned<'i> = Spanned<DeValue<'i>>;

/// Faults that are told of one file.
const FAULTS_LIMIT: usize = 100;

impl RawConfig {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is not TOML, or keys do not exist, or values are of another kind: all of it that can be told at once.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        read(text)
    }
}

fn read(text: &str) -> Result<RawConfig, ConfigError> {
    let (mut root, mut faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        // What a file that is no TOML would hold is a guess.
        return Err(told(&faults));
    }
    loop {
        let mut fault = match RawConfig::deserialize(Deserializer::from(root.clone())) {
            Ok(raw) if faults.is_empty() => return Ok(raw),
            Ok(_) => return Err(told(&faults)),
            Err(fault) => fault,
        };
        fault.set_input(Some(text));
        let is_cut = fault.span().is_some_and(|span| cut(root.get_mut(), span.start));
        faults.push(fault);
        if !is_cut || faults.len() >= FAULTS_LIMIT {
            return Err(told(&faults));
        }
    }
}

fn told(faults: &[Error]) -> ConfigError {
    let texts = faults.iter().take(FAULTS_LIMIT).map(|fault| fault.to_string().trim_end().to_owned());
    ConfigError::Syntax(texts.collect::<Vec<_>>().join("\n"))
}

/// Cuts out the innermost entry that is written there. Tells whether there was one.
fn cut<'i>(table: &mut DeTable<'i>, at: usize) -> bool {
    if table.iter_mut().any(|(_, value)| cut_inside(value, at)) {
        return true;
    }
    let is_there = |key: &Spanned<DeString<'i>>, value: &DeSpanned<'i>| {
        [key.span(), value.span()].iter().any(|span| span.contains(&at))
    };
    let found = table.iter().find(|(key, value)| is_there(key, value)).map(|(key, _)| key.clone());
    found.and_then(|key| table.remove(&key)).is_some()
}

fn cut_inside(value: &mut DeSpanned<'_>, at: usize) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => cut(table, at),
        DeValue::Array(items) => {
            if items.iter_mut().any(|item| cut_inside(item, at)) {
                return true;
            }
            let before = items.len();
            let all = std::mem::replace(items, DeArray::new());
            for item in all.into_iter().filter(|item| !item.span().contains(&at)) {
                items.push(item);
            }
            items.len() < before
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are told to be at fault, and the whole of what is told.
    fn faults(text: &str) -> (Vec<u32>, String) {
        let told = read(text).unwrap_err().to_string();
        let line =
            |line: &str| line.strip_prefix("TOML parse error at line ")?.split(',').next()?.parse().ok();
        (told.lines().filter_map(line).collect(), told)
    }

    #[test]
    fn all_keys_and_values_that_are_no_good_are_told_at_once_each_with_its_line() {
        let text = "listen = 5\nno_such_key = 1\nupstream = 'host=db'\n[limits]\nmax_connections = 'many'\n\
                    keepalive = 3\nlogin_timeout_ms = 5\n[[exceptions]]\nname = 'a'\n[[exceptions]]\nname = 'b'\n\
                    reason = 'x'\nuser = 7\n[wrong]\nkey = 1\n";
        let (mut lines, told) = faults(text);
        lines.sort_unstable();
        assert_eq!(lines, [1, 2, 5, 6, 8, 13, 14], "{told}");
        for said in ["unknown field `no_such_key`", "missing field `reason`", "unknown field `wrong`"] {
            assert!(told.contains(said), "{said}: {told}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_as_such_and_no_more_than_the_limit() {
        let (mut lines, told) = faults("listen = 'x\nno_such_key = 1\nthreads = 'two\n");
        lines.dedup();
        assert_eq!(lines, [1, 3], "{told}");
        assert!(!told.contains("unknown field"), "{told}");
        let many: Vec<String> = (0..FAULTS_LIMIT + 50).map(|at| format!("k{at} = 1\n")).collect();
        assert_eq!(faults(&many.concat()).0.len(), FAULTS_LIMIT);
        let broken: Vec<String> = (0..FAULTS_LIMIT + 50).map(|at| format!("k{at} = =\n")).collect();
        assert_eq!(faults(&broken.concat()).0.len(), FAULTS_LIMIT);
    }
}
