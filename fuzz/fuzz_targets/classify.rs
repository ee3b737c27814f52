//! The classifier on any bytes: it never panics, and its answers agree with one another.
//!
//! The first byte chooses the encoding, the rest is the text.
#![cfg_attr(fuzzing, no_main)]
use frostgate::sql::{
    Classification, Classifier, ClientEncoding, DESCRIBE_TABLES, Effects, FINGERPRINT_TEXT, NamedOperation,
    ReplicationKind, StatementClass, Verdict, classify, classify_replication, classify_statements, describe,
    fingerprint, named_operations,
};

const ENCODINGS: [ClientEncoding; 7] = [
    ClientEncoding::Safe,
    ClientEncoding::Sjis,
    ClientEncoding::ShiftJis2004,
    ClientEncoding::TwoByte,
    ClientEncoding::Gb18030,
    ClientEncoding::Johab,
    ClientEncoding::Uncertain,
];

fn run(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*choice) % ENCODINGS.len()];
    let whole = classify(text, encoding);
    consistent(&whole);
    statements_agree(text, encoding, &whole);
    cache_agrees(text, encoding, &whole);
    names_agree(text, encoding, &whole);

    // Whatever one encoding makes of it, an uncertain one makes it no better.
    let known_harm = whole.verdict == Verdict::Refuse && whole.class != StatementClass::Unknown;
    let uncertain = classify(text, ClientEncoding::Uncertain);
    assert!(!known_harm || uncertain.verdict == Verdict::Refuse);

    for kind in [ReplicationKind::Physical, ReplicationKind::Database] {
        consistent(&classify_replication(text, encoding, kind));
    }
    let description = describe(text);
    assert!(description.tables.len() <= DESCRIBE_TABLES);
    let shape = fingerprint(text);
    assert!(shape.normalized.len() <= 3 * FINGERPRINT_TEXT);
    assert_eq!(shape, fingerprint(text));
}

frostgate_fuzz::target!(run);

/// What holds of every answer.
fn consistent(found: &Classification) {
    let effects = found.effects;
    assert!(!effects.contains(Effects::WRITES) || effects.contains(Effects::MAY_WRITE));
    assert!(!effects.contains(Effects::WRITES_SINCE_END) || effects.contains(Effects::WRITES));
    assert!(!effects.contains(Effects::CHAINS) || effects.contains(Effects::ENDS));
    match found.class {
        StatementClass::Read | StatementClass::Session | StatementClass::Transaction => {}
        StatementClass::Write
        | StatementClass::Ddl
        | StatementClass::Maintenance
        | StatementClass::Procedural
        | StatementClass::Unknown => assert_eq!(found.verdict, Verdict::Refuse),
    }
    assert!(!found.why.to_string().is_empty());
}

/// A message is refused if one of its statements is, and the statements lie in it in their order.
fn statements_agree(text: &[u8], encoding: ClientEncoding, whole: &Classification) {
    let mut refused = false;
    let mut behind = 0;
    classify_statements(text, encoding, |range, statement| {
        assert!(behind <= range.start && range.start <= range.end && range.end <= text.len());
        behind = range.end;
        refused |= statement.verdict == Verdict::Refuse;
    });
    assert_eq!(refused, whole.verdict == Verdict::Refuse);
}

/// The cache answers as the classifier does, the first time, when it remembers, and when it recalls.
fn cache_agrees(text: &[u8], encoding: ClientEncoding, whole: &Classification) {
    let mut cache = Classifier::new(7);
    for _ in 0..3 {
        assert_eq!(cache.classify(text, encoding), *whole);
    }
}

/// Names are told exactly if the effects say so.
fn names_agree(text: &[u8], encoding: ClientEncoding, whole: &Classification) {
    let mut named = false;
    named_operations(text, encoding, |operation| {
        named = true;
        if let NamedOperation::Prepare { classification, .. }
        | NamedOperation::Declare { classification, .. } = operation
        {
            consistent(&classification);
        }
    });
    assert_eq!(named, whole.effects.contains(Effects::NAMES));
}
