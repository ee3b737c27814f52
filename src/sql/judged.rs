//! A judgement over one statement, and the short ways to pronounce one.
use super::{
    class::{Classification, Command, StatementClass, Verdict, Why},
    effects::Effects,
    query::Found,
    token::{Kind, Token},
    walk::Walk,
    words::Word,
};

/// What a statement does with a name. PREPARE and DECLARE tell where what they name begins: it is judged again when
/// someone asks, as few do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Prepare(Token, Token),
    Execute(Token),
    Deallocate(Token),
    DeallocateAll,
    DiscardAll,
    Declare(Token, Token),
    Fetch(Token),
    Close(Token),
    CloseAll,
}

/// A statement's classification, and what it does with a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) classification: Classification,
    pub(super) operation: Option<Operation>,
}

impl Judged {
    /// Harmless, with these effects.
    #[inline]
    pub(super) fn pass(class: StatementClass, command: &'static str, effects: Effects) -> Self {
        let (command, why) = (Command(command), Why::Harmless);
        Self {
            classification: Classification { class, verdict: Verdict::Pass, command, why, effects },
            operation: None,
        }
    }

    /// Refused. The classes that write bring the effects of writing.
    pub(super) fn refuse(class: StatementClass, command: &'static str, why: Why) -> Self {
        let effects = match class {
            StatementClass::Write
            | StatementClass::Ddl
            | StatementClass::Maintenance
            | StatementClass::Procedural => Effects::WRITES | Effects::MAY_WRITE,
            StatementClass::Unknown => Effects::MAY_WRITE,
            StatementClass::Read | StatementClass::Session | StatementClass::Transaction => Effects::NONE,
        };
        let command = Command(command);
        let classification = Classification { class, verdict: Verdict::Refuse, command, why, effects };
        Self { classification, operation: None }
    }

    /// Refused, as it goes on like no statement that we know. What is left of it is skipped.
    pub(super) fn unknown(walk: &mut Walk<'_>, command: &'static str) -> Self {
        skip(walk);
        Self::refuse(StatementClass::Unknown, command, Why::UnknownForm(command))
    }

    /// Passes, if the statement is over.
    #[inline]
    pub(super) fn complete(self, walk: &mut Walk<'_>) -> Self {
        if walk.at_end() { self } else { Self::unknown(walk, self.classification.command.0) }
    }

    /// Refused if the query that was found in it is.
    #[inline]
    pub(super) fn with_query(mut self, found: &Found) -> Self {
        let judged = &mut self.classification;
        judged.effects |= found.effects();
        if let Some((class, command, why)) = found.fault() {
            let refused = Self::refuse(class, command.0, why).classification;
            *judged = Classification { effects: judged.effects | refused.effects, ..refused };
        }
        self
    }

    /// Refused if a call that was found in it is; the rest of the query is not run.
    #[inline]
    pub(super) fn with_calls(self, found: &Found) -> Self {
        self.with_query(&found.calls_only())
    }

    /// With these effects too.
    #[inline]
    pub(super) fn and(mut self, effects: Effects) -> Self {
        self.classification.effects |= effects;
        self
    }

    /// With this operation, which sets the effect that tells of it.
    #[inline]
    pub(super) fn naming(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self.and(Effects::NAMES)
    }
}

/// Skips what is left of a statement, to the semicolon outside parentheses. No keyword matters there.
pub(super) fn skip(walk: &mut Walk<'_>) {
    let mut depth = 0_usize;
    while !ends(walk, depth) {
        nest(walk, &mut depth);
        walk.pass();
    }
    close_all(walk, depth);
}

/// Skips what is left of CREATE FUNCTION or CREATE PROCEDURE: semicolons inside BEGIN ATOMIC … END do not end it
/// (`routine_body_stmt_list` in gram.y: every statement in it ends in a semicolon, and END follows one).
pub(super) fn skip_routine(walk: &mut Walk<'_>) {
    let mut depth = 0_usize;
    let mut bodies = 0_usize;
    let mut last = Token::NONE;
    while !ends(walk, depth.saturating_add(bodies)) {
        let token = walk.peek();
        if !nest(walk, &mut depth) && depth == 0 {
            if token.is(Word::ATOMIC) && last.is(Word::BEGIN) {
                bodies = bodies.wrapping_add(1);
            } else if token.is(Word::END) && (last.kind() == Kind::Semicolon || last.is(Word::ATOMIC)) {
                bodies = bodies.saturating_sub(1);
            }
        }
        last = walk.advance();
    }
    close_all(walk, depth);
}

/// Whether the statement is over, within so many parentheses.
#[inline]
fn ends(walk: &Walk<'_>, depth: usize) -> bool {
    let kind = walk.peek().kind();
    kind == Kind::End || (kind == Kind::Semicolon && depth == 0)
}

/// Counts a parenthesis that stands here; tells whether one does.
#[inline]
fn nest(walk: &mut Walk<'_>, depth: &mut usize) -> bool {
    let kind = walk.peek().kind();
    if kind == Kind::Open {
        *depth = depth.wrapping_add(1);
    } else if kind == Kind::Close {
        match depth.checked_sub(1) {
            Some(outer) => *depth = outer,
            None => walk.fail("a parenthesis closes that was not opened"),
        }
    }
    matches!(kind, Kind::Open | Kind::Close)
}

fn close_all(walk: &mut Walk<'_>, depth: usize) {
    if depth > 0 {
        walk.fail("a parenthesis does not close");
    }
}
