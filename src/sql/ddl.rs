//! Commands that are refused whatever they say: only their name is told, as the server's command tag has it
//! (cmdtaglist.h, `CreateCommandTag` in utility.c).
use super::{
    class::{StatementClass, Why},
    effects::Effects,
    judged::{Judged, Operation, skip, skip_routine},
    walk::Walk,
    words::Word,
};

/// Objects of CREATE, ALTER and DROP: the words that name one, and the tags. The first row that fits counts.
type Row = (&'static [Word], [&'static str; 3]);

macro_rules! objects {
    ($($($word:ident)+ => $tag:literal;)+) => {
        &[$((&[$(Word::$word),+], [concat!("CREATE ", $tag), concat!("ALTER ", $tag), concat!("DROP ", $tag)]),)+]
    };
}

const OBJECTS: &[Row] = objects! {
    FOREIGN TABLE => "FOREIGN TABLE"; FOREIGN DATA WRAPPER => "FOREIGN DATA WRAPPER"; TABLE => "TABLE";
    MATERIALIZED VIEW => "MATERIALIZED VIEW"; VIEW => "VIEW"; INDEX => "INDEX"; SEQUENCE => "SEQUENCE";
    SCHEMA => "SCHEMA"; TYPE => "TYPE"; DOMAIN => "DOMAIN"; FUNCTION => "FUNCTION"; PROCEDURE => "PROCEDURE";
    ROUTINE => "ROUTINE"; AGGREGATE => "AGGREGATE"; OPERATOR CLASS => "OPERATOR CLASS";
    OPERATOR FAMILY => "OPERATOR FAMILY"; OPERATOR => "OPERATOR"; CAST => "CAST"; COLLATION => "COLLATION";
    CONVERSION => "CONVERSION"; EVENT TRIGGER => "EVENT TRIGGER"; TRIGGER => "TRIGGER"; RULE => "RULE";
    POLICY => "POLICY"; EXTENSION => "EXTENSION"; STATISTICS => "STATISTICS"; PUBLICATION => "PUBLICATION";
    SUBSCRIPTION => "SUBSCRIPTION"; USER MAPPING => "USER MAPPING"; SERVER => "SERVER";
    ACCESS METHOD => "ACCESS METHOD"; TEXT SEARCH CONFIGURATION => "TEXT SEARCH CONFIGURATION";
    TEXT SEARCH DICTIONARY => "TEXT SEARCH DICTIONARY"; TEXT SEARCH PARSER => "TEXT SEARCH PARSER";
    TEXT SEARCH TEMPLATE => "TEXT SEARCH TEMPLATE"; LANGUAGE => "LANGUAGE"; TRANSFORM => "TRANSFORM";
    ROLE => "ROLE"; USER => "ROLE"; GROUP => "ROLE"; DATABASE => "DATABASE"; TABLESPACE => "TABLESPACE";
    DEFAULT PRIVILEGES => "DEFAULT PRIVILEGES"; LARGE OBJECT => "LARGE OBJECT"; OWNED => "OWNED";
    CONSTRAINT => "TRIGGER";
};

/// Words that may stand between CREATE and its object.
const ADORNMENTS: &[Word] = &[
    Word::OR,
    Word::REPLACE,
    Word::TEMP,
    Word::TEMPORARY,
    Word::UNLOGGED,
    Word::GLOBAL,
    Word::LOCAL,
    Word::RECURSIVE,
    Word::UNIQUE,
    Word::TRUSTED,
    Word::PROCEDURAL,
];

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Alter,
    Drop,
}

/// Behind CREATE, ALTER or DROP.
pub(super) fn define(walk: &mut Walk<'_>, verb: Verb) -> Judged {
    if verb == Verb::Alter && walk.take(Word::SYSTEM) {
        skip(walk);
        return Judged::refuse(
            StatementClass::Maintenance,
            "ALTER SYSTEM",
            Why::Command("changes the server's settings"),
        );
    }
    while ADORNMENTS.contains(&walk.peek().word()) {
        walk.bump();
    }
    let Some((words, [create, alter, drop])) = OBJECTS.iter().find(|(words, _)| stands(*walk, words)) else {
        skip(walk);
        let plain = match verb {
            Verb::Create => "CREATE",
            Verb::Alter => "ALTER",
            Verb::Drop => "DROP",
        };
        return refuse(plain);
    };
    let command = match verb {
        Verb::Create if *words == [Word::TABLE] && { *walk }.take_as() => "CREATE TABLE AS",
        Verb::Create => create,
        Verb::Alter => alter,
        Verb::Drop => drop,
    };
    let mut as_execute = *walk;
    let executes = command == "CREATE TABLE AS" && as_execute.take_as() && as_execute.take(Word::EXECUTE);
    let judged = refuse(command);
    if verb == Verb::Create && matches!(words, [Word::FUNCTION | Word::PROCEDURE]) {
        skip_routine(walk);
    } else {
        skip(walk);
    }
    match as_execute.take_name() {
        Some(name) if executes => judged.naming(Operation::Execute(name)),
        _ => judged,
    }
}

fn refuse(command: &'static str) -> Judged {
    Judged::refuse(StatementClass::Ddl, command, Why::Command("changes definitions"))
}

fn stands(mut walk: Walk<'_>, words: &[Word]) -> bool {
    words.iter().all(|word| walk.take(*word))
}

/// Behind GRANT or REVOKE: without ON it is about roles.
pub(super) fn grant(walk: &mut Walk<'_>, [privilege, role]: [&'static str; 2]) -> Judged {
    let mut ahead = *walk;
    let mut on = false;
    while !ahead.at_end() {
        on |= ahead.bump().is(Word::ON);
    }
    skip(walk);
    refuse(if on { privilege } else { role })
}

/// LOCK TABLE (`LockStmt`): up to ROW EXCLUSIVE a hot standby takes it too (`LockTableCommand`, lockcmds.c).
pub(super) fn lock(walk: &mut Walk<'_>) -> Judged {
    while !walk.at_end() && !walk.peek().is(Word::IN) {
        walk.bump();
    }
    walk.take(Word::IN);
    let weak = match walk.bump().word() {
        Word::ACCESS => walk.take(Word::SHARE),
        Word::ROW => walk.take(Word::SHARE) || walk.take(Word::EXCLUSIVE),
        _ => false,
    };
    let weak = weak && walk.take(Word::MODE);
    walk.take(Word::NOWAIT);
    if weak {
        return Judged::pass(StatementClass::Read, "LOCK TABLE", Effects::NONE).complete(walk);
    }
    skip(walk);
    Judged::refuse(StatementClass::Ddl, "LOCK TABLE", Why::Command("locks a table against writers"))
}
