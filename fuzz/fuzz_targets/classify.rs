//! Any bytes as SQL: judging, describing and fingerprinting end, and a message is no better than its statements.
#![cfg_attr(fuzzing, no_main)]

use frostgate::sql::{ClientEncoding, Verdict, classify, classify_statements, describe, fingerprint};

fn run(text: &[u8]) {
    for encoding in [ClientEncoding::Safe, ClientEncoding::Sjis, ClientEncoding::Gb18030] {
        let whole = classify(text, encoding);
        let mut has_refused = false;
        classify_statements(text, encoding, |range, found| {
            assert!(range.end <= text.len());
            has_refused |= found.verdict == Verdict::Refuse;
        });
        assert!(
            !has_refused || whole.verdict == Verdict::Refuse,
            "a refused statement in a message that passes"
        );
    }
    let first = fingerprint(text);
    assert_eq!(first.hash, fingerprint(text).hash);
    describe(text);
}

frostgate_fuzz::target!(run);
