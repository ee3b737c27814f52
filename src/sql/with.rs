//! The WITH clause, token by token (`with_clause`, `common_table_expr`, `opt_search_clause` and `opt_cycle_clause` in
//! gram.y). Names in it may be INSERT, UPDATE, VALUES …; only here is it known whether such a word names a query, a
//! column, or begins a statement.
use super::{
    token::{Kind, Token},
    words::Word,
};

/// What the clause wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// WITH was read: RECURSIVE or a name.
    First,
    /// A name.
    Name,
    /// Columns in parentheses, or AS.
    Named,
    /// AS.
    As,
    /// NOT, MATERIALIZED or the body's parenthesis.
    Body,
    /// The body was read: a comma, SEARCH, CYCLE, or the statement itself.
    Done,
    /// SEARCH was read: DEPTH or BREADTH.
    Search,
    /// FIRST.
    SearchFirst,
    /// BY.
    SearchBy,
    /// A column to search by.
    SearchColumn,
    /// A comma or SET.
    SearchMore,
    /// The column that SEARCH sets.
    SearchSet,
    /// SEARCH is complete: a comma, CYCLE, or the statement itself.
    Searched,
    /// A column to find cycles by.
    CycleColumn,
    /// A comma or SET.
    CycleMore,
    /// The column that CYCLE sets.
    CycleSet,
    /// TO or USING.
    CycleTo,
    /// A constant, until DEFAULT.
    CycleMark,
    /// A constant, until USING.
    CycleDefault,
    /// The path column.
    CycleUsing,
    /// CYCLE is complete: a comma, or the statement itself.
    Cycled,
}

/// What a token means to the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It belongs to the clause, which goes on so.
    Next(With),
    /// It opens a parenthesis with names or a constant's arguments.
    Open(With),
    /// It opens the parenthesis of a query's body.
    OpenBody,
    /// It begins the statement that the clause stands before.
    Statement,
    /// No WITH clause that we know.
    Broken,
}

impl With {
    /// What `token` means; `next` is the token behind it.
    pub(super) fn step(self, token: Token, next: impl FnOnce() -> Token) -> Step {
        let named = |then: Self| if token.is_name() { Step::Next(then) } else { Step::Broken };
        let word = |wanted: Word, then: Self| if token.is(wanted) { Step::Next(then) } else { Step::Broken };
        match self {
            // RECURSIVE may be a name itself: then AS or its columns follow.
            Self::First if token.is(Word::RECURSIVE) => {
                let next = next();
                let is_name = next.kind() == Kind::Open || next.is(Word::AS);
                Step::Next(if is_name { Self::Named } else { Self::Name })
            }
            Self::First | Self::Name => named(Self::Named),
            Self::Named if token.kind() == Kind::Open => Step::Open(Self::As),
            Self::Named | Self::As => word(Word::AS, Self::Body),
            Self::Body if token.kind() == Kind::Open => Step::OpenBody,
            Self::Body if token.is(Word::NOT) => Step::Next(Self::Body),
            Self::Body => word(Word::MATERIALIZED, Self::Body),
            Self::Done | Self::Searched | Self::Cycled if token.kind() == Kind::Comma => {
                Step::Next(Self::Name)
            }
            Self::Done if token.is(Word::SEARCH) => Step::Next(Self::Search),
            Self::Done | Self::Searched if token.is(Word::CYCLE) => Step::Next(Self::CycleColumn),
            Self::Done | Self::Searched | Self::Cycled
                if token.begins_preparable() && !token.is(Word::WITH) =>
            {
                Step::Statement
            }
            Self::Done | Self::Searched | Self::Cycled => Step::Broken,
            Self::Search if token.is(Word::DEPTH) => Step::Next(Self::SearchFirst),
            Self::Search => word(Word::BREADTH, Self::SearchFirst),
            Self::SearchFirst => word(Word::FIRST, Self::SearchBy),
            Self::SearchBy => word(Word::BY, Self::SearchColumn),
            Self::SearchColumn => named(Self::SearchMore),
            Self::SearchMore if token.kind() == Kind::Comma => Step::Next(Self::SearchColumn),
            Self::SearchMore => word(Word::SET, Self::SearchSet),
            Self::SearchSet => named(Self::Searched),
            Self::CycleColumn => named(Self::CycleMore),
            Self::CycleMore if token.kind() == Kind::Comma => Step::Next(Self::CycleColumn),
            Self::CycleMore => word(Word::SET, Self::CycleSet),
            Self::CycleSet => named(Self::CycleTo),
            Self::CycleTo if token.is(Word::TO) => Step::Next(Self::CycleMark),
            Self::CycleTo => word(Word::USING, Self::CycleUsing),
            Self::CycleMark if token.is(Word::DEFAULT) => Step::Next(Self::CycleDefault),
            Self::CycleDefault if token.is(Word::USING) => Step::Next(Self::CycleUsing),
            Self::CycleMark | Self::CycleDefault if token.kind() == Kind::Open => Step::Open(self),
            Self::CycleMark | Self::CycleDefault => Step::Next(self),
            Self::CycleUsing => named(Self::Cycled),
        }
    }
}
