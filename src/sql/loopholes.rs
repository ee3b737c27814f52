//! What a database holds through which a SELECT could write past read-only mode: functions whose text says that they
//! leave it or act where it does not reach, tables that run a program, and what leads to these. The names come from the
//! database's own catalog (`fleet/loopholes.rs` asks for them); here a text is searched for them.
use super::{
    class::{Classification, StatementClass, Verdict, Why},
    effects::Effects,
    lexer::{Backslash, Lexer},
    names::{folded, unquoted},
    token::Kind,
};
use std::collections::HashSet;

/// Names that are kept of one database. Where there are more, every function that users wrote counts as one.
pub const LOOPHOLES_LIMIT: usize = 100;

/// Functions of PostgreSQL and its contrib modules that run SQL which they are given as a text: it may come from where
/// nobody can read it. Refused only where there is a loophole to name.
const RUN_TEXT: [&str; 15] = [
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "crosstabn",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "ts_rewrite",
    "ts_stat",
];

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loopholes {
    names: HashSet<Box<[u8]>>,
    /// A name that is not ASCII throughout: any such name in a text may be it.
    has_foreign_names: bool,
    /// There are more than are kept.
    overflows: bool,
}

impl Loopholes {
    /// From names as the catalog spells them: `None` is one that is not ASCII throughout.
    pub fn new<'a>(names: impl IntoIterator<Item = Option<&'a [u8]>>) -> Self {
        let mut found = Self::default();
        for name in names {
            let Some(name) = name else {
                found.has_foreign_names = true;
                continue;
            };
            if found.names.len() >= LOOPHOLES_LIMIT {
                found.overflows = true;
                break;
            }
            found.names.insert(name.into());
        }
        // In a text that is SQL once more the name may stand in quotes or without.
        let folded: Vec<Box<[u8]>> =
            found.names.iter().map(|name| name.to_ascii_lowercase().into()).collect();
        found.names.extend(folded);
        if !found.is_empty() {
            found.names.extend(RUN_TEXT.iter().map(|name| name.as_bytes().into()));
        }
        found
    }

    /// What a database has that could not be asked: any function that is not PostgreSQL's own may be one.
    pub fn unknown() -> Self {
        Self { overflows: true, ..Self::new([None]) }
    }

    /// Whether there is none: then no text need be searched.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.has_foreign_names
    }

    /// Whether there were more than are kept.
    pub fn overflows(&self) -> bool {
        self.overflows
    }

    /// The classification of a text of this database: that which the text alone has, unless it names a loophole.
    pub fn judge(&self, text: &[u8], alone: Classification) -> Classification {
        let is_one = alone.verdict == Verdict::Pass
            && !self.is_empty()
            && ((self.overflows && alone.effects.contains(Effects::CALLS_UNKNOWN_FUNCTION))
                || self.is_named_in(text));
        if is_one { alone.through_loophole() } else { alone }
    }

    /// Whether a text names one, outside or inside of its strings. What this misses is named in no text at all:
    /// put together from parts, or written in escapes inside of a string.
    fn is_named_in(&self, text: &[u8]) -> bool {
        [Backslash::Ordinary, Backslash::Escapes].into_iter().any(|backslash| {
            let mut lexer = Lexer::new(text, backslash);
            loop {
                let token = lexer.next();
                let is_one = match token.kind() {
                    Kind::End => return lexer.fault.is_some() && self.is_in_words(text),
                    Kind::Word | Kind::Quoted | Kind::UnicodeName => match folded(token, text) {
                        Some(name) => self.is(name.as_bytes(), name.exact),
                        // Longer than any name: the server cuts it.
                        None => true,
                    },
                    Kind::Operator | Kind::Equals | Kind::Cast => self.names.contains(token.of(text)),
                    Kind::Plain | Kind::Escape | Kind::UnicodeText | Kind::Dollar => {
                        self.is_in_words(token.of(text))
                    }
                    Kind::Bits
                    | Kind::Number
                    | Kind::Parameter
                    | Kind::Open
                    | Kind::Close
                    | Kind::OpenBracket
                    | Kind::CloseBracket
                    | Kind::Comma
                    | Kind::Dot
                    | Kind::Semicolon => false,
                };
                if is_one {
                    return true;
                }
            }
        })
    }

    fn is(&self, name: &[u8], exact: bool) -> bool {
        (!exact && self.has_foreign_names) || self.names.contains(name)
    }

    /// Whether one of them stands among the words of a text, whatever stands between these.
    fn is_in_words(&self, text: &[u8]) -> bool {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
        text.split(|byte| !is_part(byte)).filter(|word| !word.is_empty()).any(|word| {
            // A longer word is data: SQL inside of a string that the server would cut is nobody's habit.
            unquoted(word).is_some_and(|name| self.is(name.as_bytes(), name.exact))
                || self.names.contains(word)
        })
    }
}

impl Classification {
    /// The same statement where a name in it is a loophole of its database.
    #[must_use]
    pub fn through_loophole(self) -> Self {
        Self {
            class: StatementClass::Procedural,
            verdict: Verdict::Refuse,
            why: Why::Loophole,
            effects: self.effects.union(Effects::MAY_WRITE),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{ClientEncoding, classify};

    fn verdict(names: &[&str], text: &str) -> Verdict {
        let loopholes = Loopholes::new(names.iter().map(|name| Some(name.as_bytes())));
        loopholes.judge(text.as_bytes(), classify(text.as_bytes(), ClientEncoding::Safe)).verdict
    }

    #[test]
    fn a_name_is_found_however_it_is_spelled() {
        for text in [
            "SELECT wf_reset('x')",
            "SELECT * FROM public.WF_Reset('x')",
            "SELECT \"wf_reset\"('x')",
            "SELECT U&\"wf\\005freset\"('x')",
            "SELECT 1 WHERE pg_catalog.query_to_xml($1, true, true, '') IS NOT NULL",
            "SELECT query_to_xmlschema('select wf_reset(1)', true, true, '')",
            "PREPARE p AS SELECT wf_reset('x')",
            "DECLARE c CURSOR FOR SELECT wf_reset('x')",
            "SELECT '\\' || wf_reset('x') || '\\'",
        ] {
            assert_eq!(verdict(&["wf_reset", "Odd Name", "@@+"], text), Verdict::Refuse, "{text}");
        }
        assert_eq!(verdict(&["Odd Name"], "TABLE \"Odd Name\""), Verdict::Refuse);
        assert_eq!(verdict(&["@@+"], "SELECT 1 @@+ 2"), Verdict::Refuse);
    }

    #[test]
    fn what_names_none_passes_as_before() {
        for text in ["SELECT wf_resets(1)", "SELECT a FROM t", "SELECT '\u{e9}'", "SHOW work_mem"] {
            assert_eq!(verdict(&["wf_reset"], text), Verdict::Pass, "{text}");
        }
        assert_eq!(verdict(&[], "SELECT query_to_xml('select 1', true, true, '')"), Verdict::Pass);
    }

    #[test]
    fn a_name_beyond_ascii_may_be_any_such_name() {
        let loopholes = Loopholes::new([None]);
        let judge = |text: &str| {
            loopholes.judge(text.as_bytes(), classify(text.as_bytes(), ClientEncoding::Safe)).verdict
        };
        assert_eq!(judge("SELECT sch\u{f6}n(1)"), Verdict::Refuse);
        assert_eq!(judge("SELECT f(1)"), Verdict::Pass);
    }

    #[test]
    fn beyond_the_limit_every_function_that_is_not_postgresql_s_own_counts_as_one() {
        let names: Vec<String> = (0..=LOOPHOLES_LIMIT).map(|number| format!("f{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(verdict(&names, "SELECT someone_s(1)"), Verdict::Refuse);
        assert_eq!(verdict(&names, "SELECT lower('A')"), Verdict::Pass);
        assert_eq!(verdict(&names[1..], "SELECT someone_s(1)"), Verdict::Pass);
        let judge = |text: &str| {
            Loopholes::unknown().judge(text.as_bytes(), classify(text.as_bytes(), ClientEncoding::Safe))
        };
        assert_eq!(
            judge("SELECT someone_s(1)").verdict,
            Verdict::Refuse,
            "nor may it be what nobody could ask for"
        );
        assert_eq!(judge("SELECT a FROM t").verdict, Verdict::Pass);
    }
}
