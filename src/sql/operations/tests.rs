//! Names: what a session is told of prepared statements and cursors.
use super::*;
use crate::sql::{Effects, classify};

fn told(text: &[u8], encoding: ClientEncoding) -> Vec<String> {
    let mut told = Vec::new();
    let name = |name: &SqlName| match name {
        SqlName::Known(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        SqlName::Uncertain => "?".to_owned(),
    };
    named_operations(text, encoding, |operation| {
        told.push(match operation {
            NamedOperation::Prepare { name: n, classification: c } => {
                format!("prepare {} {:?}", name(n), c.verdict)
            }
            NamedOperation::Execute { name: n } => format!("execute {}", name(n)),
            NamedOperation::Deallocate { name: n } => format!("deallocate {}", name(n)),
            NamedOperation::DeallocateAll => "deallocate all".to_owned(),
            NamedOperation::DiscardAll => "discard all".to_owned(),
            NamedOperation::Declare { name: n, classification: c } => {
                format!("declare {} {:?}", name(n), c.verdict)
            }
            NamedOperation::Fetch { name: n } => format!("fetch {}", name(n)),
            NamedOperation::Close { name: n } => format!("close {}", name(n)),
            NamedOperation::CloseAll => "close all".to_owned(),
        });
    });
    told
}

fn safe(text: &str) -> Vec<String> {
    told(text.as_bytes(), ClientEncoding::Safe)
}

#[test]
fn every_operation_is_told_in_order() {
    let text = "PREPARE Put (int) AS INSERT INTO t VALUES ($1); prepare \"Get\" as (SELECT 1); EXECUTE put(1); SELECT 1;
        DECLARE \"c\"\"1\" CURSOR FOR SELECT 1; DECLARE d CURSOR FOR SELECT 1 FROM t FOR SHARE; FETCH ALL IN d; MOVE c;
        CLOSE U&\"\\0064\"; CLOSE ALL; DEALLOCATE PREPARE put; DEALLOCATE prepare; DEALLOCATE ALL; DISCARD ALL";
    assert_eq!(
        safe(text),
        [
            "prepare put Refuse",
            "prepare Get Pass",
            "execute put",
            "declare c\"1 Pass",
            "declare d Refuse",
            "fetch d",
            "fetch c",
            "close d",
            "close all",
            "deallocate put",
            "deallocate prepare",
            "deallocate all",
            "discard all",
        ]
    );
}

#[test]
fn execute_is_told_where_it_runs_and_not_where_it_is_planned() {
    assert_eq!(safe("EXPLAIN ANALYZE EXECUTE p(1)"), ["execute p"]);
    assert_eq!(safe("CREATE TABLE t AS EXECUTE p (1)"), ["execute p"]);
    assert_eq!(safe("CREATE TEMP TABLE t (a) AS EXECUTE p WITH NO DATA"), ["execute p"]);
    assert_eq!(safe("EXPLAIN EXECUTE p(1)"), [""; 0]);
}

#[test]
fn what_cannot_be_read_names_nothing() {
    assert_eq!(safe("PREPARE p AS SELECT 1; SELECT '"), [""; 0]);
    assert_eq!(safe("SELECT 'PREPARE p AS SELECT 1'"), [""; 0]);
    assert_eq!(safe("PREPARE p AS VACUUM"), [""; 0]);
}

#[test]
fn readings_that_agree_tell_the_name_and_others_tell_it_is_uncertain() {
    assert_eq!(safe("PREPARE p AS SELECT '\\d'"), ["prepare p Pass"]);
    // In one reading the second statement is inside the string.
    let split = "PREPARE p AS SELECT '\\'; DEALLOCATE q --'";
    assert_eq!(safe(split), ["prepare ? Pass", "deallocate ?", "prepare ? Pass"]);
    // The same names, but one of the readings prepares a write.
    let hidden = "PREPARE p AS SELECT '\\' FOR UPDATE --'";
    assert_eq!(safe(hidden), ["prepare p Refuse"]);
    let sjis = b"PREPARE p AS SELECT '\x95\\', '; DEALLOCATE q; --'";
    assert_eq!(told(sjis, ClientEncoding::Sjis), ["prepare p Pass"]);
    assert!(told(sjis, ClientEncoding::Uncertain).iter().all(|told| !told.contains(" q")));
}

#[test]
fn the_effect_that_announces_them_is_there_exactly_then() {
    for text in [
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE p",
        "DISCARD ALL",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH c",
        "CLOSE c",
        "EXPLAIN ANALYZE EXECUTE p",
        "CREATE TABLE t AS EXECUTE p",
        "SELECT 1",
        "EXPLAIN EXECUTE p",
        "DISCARD TEMP",
        "BEGIN",
        "PREPARE TRANSACTION 'x'",
        "CREATE TABLE t AS SELECT 1",
    ] {
        let announced = classify(text.as_bytes(), ClientEncoding::Safe).effects.contains(Effects::NAMES);
        assert_eq!(announced, !safe(text).is_empty(), "{text}");
    }
}
