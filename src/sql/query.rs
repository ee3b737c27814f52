//! A query, token by token: whether it modifies data, creates a table, locks rows, or calls what writes.
//!
//! Only a few of its words matter, and only where they are what they seem: a word behind a dot or behind AS is a label.
//! INTO and FOR are reserved (gram.y, `reserved_keyword`), so elsewhere they are what they are; INSERT, UPDATE, DELETE
//! and MERGE are not, so they count only where a statement begins: first of all, or in or behind a WITH clause.
use super::{
    calls::{Calls, Use},
    class::{Command, StatementClass, Why},
    effects::Effects,
    levels::{Level, Levels},
    token::{Kind, Token},
    walk::Walk,
    with::{Step, With},
    words::Word,
};

/// Where the query ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// With the statement.
    Statement,
    /// With the parenthesis that was opened before it, which is taken.
    Close,
}

/// What a query was found to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The statement itself is INSERT, UPDATE, DELETE or MERGE.
    main: Word,
    /// A WITH clause holds one of those.
    in_with: bool,
    into: bool,
    /// The word behind FOR that tells how rows are locked.
    lock: Word,
    /// It goes on in a way that no rule knows.
    broken: bool,
    calls: Calls,
}

/// What the server calls a command that modifies rows, or locks them (`CreateCommandTag` in utility.c).
const COMMANDS: &[(Word, &str, &str)] = &[
    (Word::INSERT, "INSERT", ""),
    (Word::UPDATE, "UPDATE", "SELECT FOR UPDATE"),
    (Word::DELETE, "DELETE", ""),
    (Word::MERGE, "MERGE", ""),
    (Word::NO, "", "SELECT FOR NO KEY UPDATE"),
    (Word::SHARE, "", "SELECT FOR SHARE"),
    (Word::KEY, "", "SELECT FOR KEY SHARE"),
];

impl Found {
    fn new(used: Use) -> Self {
        let calls = Calls::new(used);
        Self { main: Word::NONE, in_with: false, into: false, lock: Word::NONE, broken: false, calls }
    }

    /// Why the query is no harmless one.
    pub(super) fn fault(&self) -> Option<(StatementClass, Command, Why)> {
        let command = |found: Word| COMMANDS.iter().find(|(word, _, _)| *word == found);
        if self.broken {
            return Some((StatementClass::Unknown, Command("SELECT"), Why::UnknownForm("WITH")));
        }
        let (command, why) = if let Some((_, command, _)) = command(self.main) {
            (*command, Why::Command("changes rows"))
        } else if self.in_with {
            ("SELECT", Why::DataModifyingWith)
        } else if self.into {
            ("SELECT INTO", Why::SelectInto)
        } else if let Some((_, _, command)) = command(self.lock) {
            (*command, Why::RowLock)
        } else {
            return self.calls.fault();
        };
        Some((StatementClass::Write, Command(command), why))
    }

    /// The same, but for what a query that is only planned does not do.
    pub(super) fn calls_only(&self) -> Self {
        Self { main: Word::NONE, in_with: false, into: false, lock: Word::NONE, ..*self }
    }

    /// What its calls do to the session.
    pub(super) fn effects(&self) -> Effects {
        self.calls.effects
    }
}

/// What the last token was, as far as it tells what the next one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// An operator, a comma, an opening parenthesis, or a keyword behind which a parenthesis is no call's.
    Open,
    /// A literal or a closing parenthesis.
    Operand,
    /// A name that may be a function's.
    Name,
    /// A keyword; most of them may be names too.
    Keyword,
    /// A label, an alias or a type: parentheses behind it hold columns or a type's length.
    Label,
    Dot,
    As,
    For,
}

struct Reader<'w, 'a> {
    walk: &'w mut Walk<'a>,
    levels: Levels,
    level: Level,
    last: Last,
    /// The last name, and the one before its dot.
    name: Token,
    qualifier: Option<Token>,
    found: Found,
}

/// Reads a query.
pub(super) fn query(walk: &mut Walk<'_>, first: Level, until: Until, used: Use) -> Found {
    let mut reader = Reader {
        walk,
        levels: Levels::new(),
        level: first,
        last: Last::Open,
        name: Token::NONE,
        qualifier: None,
        found: Found::new(used),
    };
    reader.read(until);
    reader.found
}

impl Reader<'_, '_> {
    fn read(&mut self, until: Until) {
        loop {
            let token = self.walk.peek();
            if matches!(token.kind(), Kind::Semicolon | Kind::End) {
                if until == Until::Close || !self.levels.is_empty() {
                    // Neither the end nor a semicolon may stand inside a query's parentheses.
                    self.walk.fail("a parenthesis does not close");
                }
                return;
            }
            self.walk.advance();
            if self.level != Level::Inside && self.begins(token) {
                continue;
            }
            match token.kind() {
                Kind::Word if self.last != Last::Dot && self.last != Last::As => self.word(token),
                Kind::Word | Kind::Quoted | Kind::UnicodeName => self.name(token),
                Kind::Dot => self.dot(),
                Kind::Open => self.open(),
                Kind::Close if until == Until::Close && self.levels.is_empty() => return,
                Kind::Close => self.close(),
                Kind::Comma => self.comma(),
                Kind::CloseBracket
                | Kind::Plain
                | Kind::Escape
                | Kind::UnicodeText
                | Kind::Dollar
                | Kind::Bits
                | Kind::Number
                | Kind::Parameter => self.last = Last::Operand,
                // A type follows, and its parentheses hold no arguments of a call.
                Kind::Cast => self.last = Last::As,
                Kind::OpenBracket | Kind::Equals | Kind::Operator | Kind::Semicolon | Kind::End => {
                    self.last = Last::Open;
                }
            }
        }
    }

    /// What a token means at a level that was only just opened, or in a WITH clause. Whether that is all it means.
    fn begins(&mut self, token: Token) -> bool {
        match self.level {
            Level::Fresh | Level::Statement if token.is(Word::WITH) => {
                self.level = Level::With(With::First);
                true
            }
            Level::Statement => {
                self.statement(token);
                false
            }
            Level::Fresh => {
                self.level = Level::Inside;
                false
            }
            Level::XmlName if token.is(Word::NAME) => {
                self.level = Level::Inside;
                self.last = Last::As;
                true
            }
            Level::With(with) => self.with(with, token),
            Level::XmlName | Level::Inside | Level::Lengths | Level::LargeObject => false,
        }
    }

    /// The first word of a statement.
    fn statement(&mut self, token: Token) {
        self.level = Level::Inside;
        if !matches!(token.word(), Word::INSERT | Word::UPDATE | Word::DELETE | Word::MERGE) {
            return;
        }
        if !self.levels.is_empty() {
            self.found.in_with = true;
        } else if self.found.main == Word::NONE {
            self.found.main = token.word();
        }
    }

    /// A token of a WITH clause; false if it begins the statement behind the clause.
    fn with(&mut self, with: With, token: Token) -> bool {
        self.last = Last::Open;
        let opened = match with.step(token, || self.walk.peek()) {
            Step::Next(next) => {
                self.level = Level::With(next);
                return true;
            }
            Step::Statement => {
                self.statement(token);
                return false;
            }
            Step::Broken => {
                self.found.broken = true;
                self.level = Level::Inside;
                return false;
            }
            Step::Open(next) => {
                self.level = Level::With(next);
                Level::Inside
            }
            Step::OpenBody => {
                self.level = Level::With(With::Done);
                Level::Statement
            }
        };
        self.push(opened);
        true
    }

    /// An unquoted word where it is no label.
    fn word(&mut self, token: Token) {
        let locks = self.last == Last::For && self.level != Level::Lengths;
        let before = if self.last == Last::Keyword { self.name.word() } else { Word::NONE };
        match (before, token.word()) {
            (_, Word::NONE) => self.name(token),
            (_, Word::AS) => self.last = Last::As,
            (_, Word::FOR) => self.last = Last::For,
            (_, Word::INTO) => {
                self.found.into = true;
                self.last = Last::Open;
            }
            (_, Word::UPDATE | Word::NO | Word::SHARE | Word::KEY) if locks => self.lock(token.word()),
            // Not reserved, yet no functions here.
            (Word::GROUP | Word::ORDER | Word::PARTITION, Word::BY)
            | (Word::TIME, Word::ZONE)
            | (Word::FETCH, Word::FIRST | Word::NEXT)
            | (Word::GROUPING, Word::SETS) => self.last = Last::Open,
            (_, Word::OVER | Word::FILTER | Word::COLUMNS | Word::PASSING | Word::ESCAPE)
                if self.last == Last::Operand =>
            {
                self.last = Last::Open;
            }
            _ => {
                self.name = token;
                self.qualifier = None;
                self.last = Last::Keyword;
            }
        }
    }

    fn lock(&mut self, strength: Word) {
        if self.found.lock == Word::NONE {
            self.found.lock = strength;
        }
        self.last = Last::Open;
    }

    /// A name, or a label.
    fn name(&mut self, token: Token) {
        match self.last {
            Last::Dot => {
                if self.walk.peek().kind() != Kind::Open {
                    self.found.calls.attribute(token, self.walk.text);
                }
                self.last = Last::Name;
            }
            Last::As => self.last = Last::Label,
            Last::Open | Last::Operand | Last::Name | Last::Keyword | Last::Label | Last::For => {
                self.qualifier = None;
                self.last = Last::Name;
            }
        }
        self.name = token;
    }

    fn dot(&mut self) {
        self.qualifier = matches!(self.last, Last::Name | Last::Keyword).then_some(self.name);
        // What stands behind the dot of a qualified type is its name.
        self.last = if self.last == Last::Label { Last::As } else { Last::Dot };
    }

    fn comma(&mut self) {
        if self.level == Level::LargeObject {
            self.found.calls.large_object_mode(*self.walk);
            self.level = Level::Inside;
        }
        self.last = Last::Open;
    }

    fn open(&mut self) {
        let opened =
            if self.last == Last::Name || (self.last == Last::Keyword && may_be_called(self.name.word())) {
                self.found.calls.call(self.name, self.qualifier, self.walk)
            } else {
                Level::Fresh
            };
        self.last = Last::Open;
        self.push(opened);
    }

    fn push(&mut self, opened: Level) {
        if self.levels.push(self.level).is_none() {
            self.walk.fail("parentheses nest deeper than the server's parser goes");
        }
        self.level = opened;
    }

    fn close(&mut self) {
        if self.level == Level::LargeObject {
            self.found.calls.unproven_mode();
        }
        match self.levels.pop() {
            Some(level) => self.level = level,
            None => self.walk.fail("a parenthesis closes that was not opened"),
        }
        self.last = Last::Operand;
    }
}

/// Whether a keyword may be the name of a function; of those that cannot only the common ones are listed, and
/// OPERATOR, behind which gram.y takes a parenthesis for an operator's full name.
fn may_be_called(keyword: Word) -> bool {
    !matches!(
        keyword,
        Word::IN
            | Word::ON
            | Word::VALUES
            | Word::USING
            | Word::EXISTS
            | Word::AND
            | Word::OR
            | Word::NOT
            | Word::FROM
            | Word::SELECT
            | Word::OPERATOR
    )
}
