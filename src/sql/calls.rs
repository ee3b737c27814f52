//! What the function calls of a query mean: the ones that are refused by name, `set_config` and `lo_open` by their
//! arguments, and those that run a text by what the text names.
use super::{
    class::{Command, StatementClass, Why},
    effects::Effects,
    functions::{Callee, Refused, Schema, attribute, callee, may_be_attribute},
    levels::Level,
    names::{folded, unquoted},
    settings::{Setting, setting},
    strings::{Short, constant},
    token::{Kind, Token},
    walk::Walk,
    words::Word,
};

/// What becomes of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It runs.
    Run,
    /// It is planned: the planner runs functions that are not volatile (`evaluate_function` in clauses.c).
    Plan,
}

/// A call that is refused.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Function(&'static Refused),
    SetConfig,
    LargeObjectMode,
}

/// What the calls of a query do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    used: Use,
    /// The first one that is refused.
    refused: Option<Refusal>,
    pub(super) effects: Effects,
}

impl Calls {
    pub(super) fn new(used: Use) -> Self {
        Self { used, refused: None, effects: Effects::NONE }
    }

    /// The first call that is refused.
    pub(super) fn fault(&self) -> Option<(StatementClass, Command, Why)> {
        Some(match self.refused? {
            Refusal::Function(refused) => {
                (refused.class, Command(refused.command), Why::Function(&refused.function))
            }
            Refusal::SetConfig => (StatementClass::Session, Command("set_config()"), Why::SetConfigName),
            Refusal::LargeObjectMode => {
                (StatementClass::Write, Command("lo_open(INV_WRITE)"), Why::LargeObjectMode)
            }
        })
    }

    /// `schema.name(`, which the walk stands behind. Tells what the parentheses hold.
    pub(super) fn call(&mut self, name: Token, qualifier: Option<Token>, walk: &Walk<'_>) -> Level {
        match name.word() {
            Word::SUBSTRING | Word::OVERLAY if qualifier.is_none() => return Level::Lengths,
            Word::XMLELEMENT | Word::XMLPI if qualifier.is_none() => return Level::XmlName,
            _ => {}
        }
        let schema = qualifier.map_or(Schema::None, |schema| schema_of(schema, walk.text));
        let called = folded(name, walk.text).map_or(Callee::Unknown, |name| callee(&name, schema));
        match called {
            Callee::Harmless => {}
            Callee::Refused(function) => self.refuse_function(function),
            Callee::SetConfig => self.set_config(*walk),
            Callee::LargeObjectOpen => return Level::LargeObject,
            Callee::RunsText => self.runs_text(*walk),
            Callee::Unknown => self.effects |= Effects::CALLS_UNKNOWN_FUNCTION,
        }
        Level::Fresh
    }

    /// `operand.name`, which calls a function of one argument if the operand has no such column.
    pub(super) fn attribute(&mut self, name: Token, text: &[u8]) {
        if may_be_attribute(name.of(text))
            && let Some(function) = folded(name, text).and_then(|name| attribute(&name))
        {
            self.refuse_function(function);
        }
    }

    /// The walk stands behind the comma in `lo_open(oid, mode)`.
    pub(super) fn large_object_mode(&mut self, walk: Walk<'_>) {
        if !reads_only(walk) {
            self.unproven_mode();
        }
    }

    /// `lo_open` whose mode is not provably `INV_READ` alone.
    pub(super) fn unproven_mode(&mut self) {
        self.refuse(Refusal::LargeObjectMode, Effects::WRITES | Effects::MAY_WRITE);
    }

    fn refuse_function(&mut self, function: &'static Refused) {
        if self.used == Use::Run || function.planned {
            self.refused.get_or_insert(Refusal::Function(function));
            self.effects |= Effects::WRITES | Effects::MAY_WRITE;
        }
    }

    /// `set_config` and `lo_open` are volatile: no planner runs them.
    fn refuse(&mut self, refusal: Refusal, effects: Effects) {
        if self.used == Use::Run {
            self.refused.get_or_insert(refusal);
            self.effects |= effects;
        }
    }

    /// `set_config(` passes only for a constant name on the list.
    fn set_config(&mut self, walk: Walk<'_>) {
        let name = constant_argument(walk).or_else(|| name_in_pg_settings(walk));
        let touched = match name.map(|name| setting(name.as_bytes())) {
            Some(Setting::Harmless | Setting::Frostgate(_)) => return,
            Some(Setting::ClientEncoding) => {
                if self.used == Use::Run {
                    self.effects |= Effects::TOUCHES_ENCODING;
                }
                return;
            }
            Some(Setting::TransactionReadOnly | Setting::DefaultReadOnly) => Effects::TOUCHES_READ_ONLY,
            Some(Setting::Other) => Effects::NONE,
            None => Effects::TOUCHES_READ_ONLY | Effects::TOUCHES_ENCODING,
        };
        self.refuse(Refusal::SetConfig, touched);
    }

    /// A function that runs a text. A constant text is searched for the names of refused functions; what the text does
    /// otherwise, and a text that is computed, is left to the fence, as a hot standby does.
    fn runs_text(&mut self, walk: Walk<'_>) {
        self.effects |= Effects::CALLS_UNKNOWN_FUNCTION;
        let mut ahead = walk;
        while ahead.peek().is_string() {
            let text = ahead.bump();
            self.search(text.of(walk.text));
            ahead.take_kind(Kind::Comma);
        }
    }

    /// Asks for every word of a text, through quotes within quotes and comments.
    fn search(&mut self, text: &[u8]) {
        for word in text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_') {
            match unquoted(word).map(|name| callee(&name, Schema::None)) {
                Some(Callee::Refused(function)) => self.refuse_function(function),
                Some(Callee::SetConfig) => {
                    let touched = Effects::TOUCHES_READ_ONLY | Effects::TOUCHES_ENCODING;
                    self.refuse(Refusal::SetConfig, touched);
                }
                Some(Callee::LargeObjectOpen) => self.unproven_mode(),
                Some(Callee::RunsText | Callee::Harmless | Callee::Unknown) | None => {}
            }
        }
    }
}

fn schema_of(qualifier: Token, text: &[u8]) -> Schema {
    match folded(qualifier, text) {
        Some(name) if name.as_bytes() != b"pg_catalog" => Schema::Other,
        _ => Schema::Catalog,
    }
}

/// A first argument that is a string constant, perhaps cast to text, and not the only one.
fn constant_argument(mut walk: Walk<'_>) -> Option<Short> {
    let value = constant(walk.bump(), walk.text)?;
    if walk.take_kind(Kind::Cast) && !walk.take(Word::TEXT) {
        return None;
    }
    walk.take_kind(Kind::Comma).then_some(value)
}

/// The one setting's name that the rest of a statement lets `set_config` have, as `pg_dump` writes it:
/// `set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'` (`set_restrict_relation_kind` in
/// `pg_dump.c`: the setting is only made where the server has it). Whatever `pg_settings` is there, it can bring no
/// other name.
fn name_in_pg_settings(mut walk: Walk<'_>) -> Option<Short> {
    let mut holds = walk.take(Word::NAME) && walk.take_kind(Kind::Comma) && walk.bump().is_string();
    holds =
        holds && walk.take_kind(Kind::Comma) && (walk.take_spelled(b"false") || walk.take_spelled(b"true"));
    holds = holds && walk.take_kind(Kind::Close) && walk.take(Word::FROM);
    if walk.take_spelled(b"pg_catalog") {
        holds = holds && walk.take_kind(Kind::Dot);
    }
    holds = holds && walk.take_spelled(b"pg_settings") && walk.take_spelled(b"where");
    holds = holds && walk.take(Word::NAME) && walk.take_kind(Kind::Equals);
    let name = constant(walk.bump(), walk.text)?;
    (holds && walk.at_end()).then_some(name)
}

/// `INV_WRITE` of libpq-fs.h.
pub(super) const INV_WRITE: u64 = 0x2_0000;

/// Whether the last argument is a number constant without `INV_WRITE`: `262144`, `0x40000` or `x'40000'::int`.
fn reads_only(mut walk: Walk<'_>) -> bool {
    let number = walk.bump();
    let digits = number.of(walk.text);
    let mode = if number.kind() == Kind::Bits {
        let inside = digits.strip_prefix(b"x'").or(digits.strip_prefix(b"X'"));
        let cast = walk.take_kind(Kind::Cast) && is_integer(walk.bump(), walk.text);
        inside.and_then(|inside| inside.strip_suffix(b"'")).and_then(hex).filter(|_| cast)
    } else if number.kind() == Kind::Number && digits == b"0" && walk.peek().start() == number.end() {
        let word = walk.bump().of(walk.text);
        word.strip_prefix(b"x").or(word.strip_prefix(b"X")).and_then(hex)
    } else if number.kind() == Kind::Number {
        str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
    } else {
        None
    };
    walk.peek().kind() == Kind::Close && mode.is_some_and(|mode: u64| mode & INV_WRITE == 0)
}

fn hex(digits: &[u8]) -> Option<u64> {
    let all = digits.len() <= 8 && digits.iter().all(u8::is_ascii_hexdigit);
    str::from_utf8(digits).ok().filter(|_| all).and_then(|digits| u64::from_str_radix(digits, 16).ok())
}

fn is_integer(token: Token, text: &[u8]) -> bool {
    token.kind() == Kind::Word
        && [&b"int"[..], b"integer", b"int4"].iter().any(|name| token.of(text).eq_ignore_ascii_case(name))
}
