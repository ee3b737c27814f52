//! A whole message: its statements one after another, every way in which the server may read its text, and what all of
//! it amounts to.
//!
//! How the server reads a backslash in a plain string lags behind what a client sees of its settings, and so may the
//! encoding. So every reading that matters is made. One that the server's lexer would reject does nothing, whatever it
//! seems to say; of the others the worst counts.
use std::ops::Range;

use super::{
    class::{Classification, Command, StatementClass, Verdict, Why},
    effects::Effects,
    encoding::ClientEncoding,
    judged::{Judged, skip},
    lexer::Backslash,
    statement::statement,
    token::Kind,
    walk::Walk,
};

/// The answer for a text that the server would reject in every reading.
fn unreadable(why: &'static str) -> Classification {
    Judged::refuse(StatementClass::Unknown, "statement", Why::Unreadable(why)).classification
}

/// How one reading of a text ended.
struct End {
    /// Why the server rejects the text.
    fault: Option<&'static str>,
    /// Whether the other reading of backslashes may differ.
    saw_backslash: bool,
}

/// Judges the statements of a text in one reading. If it ends with a fault, what was told before is void.
fn read(text: &[u8], backslash: Backslash, mut each: impl FnMut(Range<usize>, Judged)) -> End {
    let mut walk = Walk::new(text, backslash);
    loop {
        while walk.peek().kind == Kind::Semicolon {
            walk.advance();
        }
        if walk.peek().kind == Kind::End {
            return End { fault: walk.fault(), saw_backslash: walk.saw_backslash() };
        }
        let start = walk.peek().start;
        let mut judged = statement(&mut walk);
        if !walk.at_end() {
            // No rule leaves anything over; if one did, what is left must not pass unread.
            skip(&mut walk);
            judged = Judged::unknown(&mut walk, judged.classification.command.0);
        }
        each(start..walk.behind, judged);
    }
}

/// Makes every reading of a text that matters, and hands over what `new` makes for each and `add` fills, unless the
/// server rejects it. Tells why it rejected the last one that it did.
pub(super) fn readings<T>(
    text: &[u8],
    encoding: ClientEncoding,
    new: impl Fn() -> T,
    add: impl Fn(&mut T, &[u8], Range<usize>, Judged),
    mut done: impl FnMut(T),
) -> &'static str {
    if text.contains(&0) {
        return "a NUL byte";
    }
    let mut rejected = "nothing";
    encoding.readings(text, |text| {
        let mut one = |backslash| {
            let mut made = new();
            let end = read(&text, backslash, |range, judged| add(&mut made, &text, range, judged));
            match end.fault {
                Some(why) => rejected = why,
                None => done(made),
            }
            end.saw_backslash
        };
        if one(Backslash::Ordinary) {
            one(Backslash::Escapes);
        }
    });
    rejected
}

/// Classifies the text of a Query or a Parse, without the NUL that ends it.
///
/// Total: any bytes have a classification, in time linear in their number.
pub fn classify(text: &[u8], encoding: ClientEncoding) -> Classification {
    let mut whole: Option<Classification> = None;
    let why = readings(
        text,
        encoding,
        Fold::default,
        |fold, _, _, judged| fold.add(judged.classification),
        |fold| {
            let reading = fold.finish();
            whole = Some(whole.map_or(reading, |whole| worst(whole, reading)));
        },
    );
    whole.unwrap_or_else(|| unreadable(why))
}

/// Classifies each statement of a text: of the reading that [`classify`] goes by.
pub fn classify_statements(
    text: &[u8],
    encoding: ClientEncoding,
    mut each: impl FnMut(Range<usize>, Classification),
) {
    type Statements = Vec<(Range<usize>, Classification)>;
    let mut whole: Option<(Classification, Statements)> = None;
    let why = readings(
        text,
        encoding,
        <(Fold, Statements)>::default,
        |(fold, statements), _, range, judged| {
            if let Some((_, last)) = statements.last_mut()
                && last.effects.contains(Effects::RESETS_ALL)
            {
                *last = reset_too_early(*last);
            }
            fold.add(judged.classification);
            statements.push((range, judged.classification));
        },
        |(fold, statements)| {
            let reading = fold.finish();
            if whole.as_ref().is_none_or(|(whole, _)| is_worse(&reading, whole)) {
                whole = Some((reading, statements));
            }
        },
    );
    match whole {
        Some((_, statements)) => statements.into_iter().for_each(|(range, statement)| each(range, statement)),
        None => each(0..text.len(), unreadable(why)),
    }
}

/// RESET ALL or DISCARD ALL takes a session's fence down; behind it only the end of the message may follow, where the
/// fence is put up again before anything else runs.
fn reset_too_early(reset: Classification) -> Classification {
    let mut refused = reset;
    refused.verdict = Verdict::Refuse;
    refused.why = Why::ResetsBeforeMore(reset.command.0);
    refused.effects.remove(Effects::RESETS_ALL);
    refused
}

fn is_worse(one: &Classification, other: &Classification) -> bool {
    (one.verdict == Verdict::Refuse, one.class) > (other.verdict == Verdict::Refuse, other.class)
}

/// Facts that reassure: they hold only if they hold in every reading.
const REASSURING: Effects = Effects::READ_ONLY_BLOCK
    .union(Effects::SHOWS_TRANSACTION_READ_ONLY)
    .union(Effects::SHOWS_DEFAULT_READ_ONLY);

/// Two readings of a message in one.
fn worst(one: Classification, other: Classification) -> Classification {
    let mut effects = one.effects | other.effects;
    effects.remove(REASSURING);
    effects |= one.effects.intersection(other.effects).intersection(REASSURING);
    Classification { effects, ..if is_worse(&other, &one) { other } else { one } }
}

/// What the statements of a message amount to, in their order.
#[derive(Clone, Copy, Debug, Default)]
struct Fold {
    refused: Option<Classification>,
    worst: Option<Classification>,
    effects: Effects,
    statements: usize,
    /// The last statement, if it was RESET ALL or DISCARD ALL.
    reset: Option<Classification>,
    ended: bool,
    subtransaction_ended: bool,
}

impl Fold {
    fn add(&mut self, statement: Classification) {
        self.statements = self.statements.saturating_add(1);
        if let Some(reset) = self.reset.take() {
            self.refused.get_or_insert(reset_too_early(reset));
            self.effects.remove(Effects::RESETS_ALL);
        }
        if statement.verdict == Verdict::Refuse {
            self.refused.get_or_insert(statement);
        }
        if self.worst.is_none_or(|worst| statement.class > worst.class) {
            self.worst = Some(statement);
        }
        if statement.effects.contains(Effects::RESETS_ALL) {
            self.reset = Some(statement);
        }
        self.transaction(&statement);
        self.effects |= statement.effects;
        let since_end = [
            (Effects::MAY_WRITE, Effects::MAY_WRITE_SINCE_END),
            (Effects::WRITES, Effects::WRITES_SINCE_END),
        ];
        for (fact, since) in since_end {
            if statement.effects.contains(fact) {
                self.effects |= since;
            }
        }
    }

    /// What a statement does to the transaction that the ones before it left.
    fn transaction(&mut self, statement: &Classification) {
        let effects = statement.effects;
        if effects.contains(Effects::ENDS) {
            let mut gone = Effects::MAY_WRITE_SINCE_END | Effects::WRITES_SINCE_END | LEAVES;
            let chains = effects.contains(Effects::CHAINS);
            if !chains {
                gone |= Effects::READ_ONLY_BLOCK;
            }
            self.effects.remove(gone);
            self.effects |= if chains { Effects::LEAVES_OPEN } else { Effects::LEAVES_CLOSED };
            (self.ended, self.subtransaction_ended) = (true, false);
        } else if effects.contains(Effects::BEGINS) {
            self.effects.remove(LEAVES);
            self.effects |= Effects::LEAVES_OPEN;
        } else if effects.contains(Effects::ENDS_SUBTRANSACTION) {
            self.effects.remove(Effects::READ_ONLY_BLOCK);
            self.subtransaction_ended = true;
        } else if is_work(statement) {
            if self.ended {
                self.effects |= Effects::WORK_AFTER_END;
            }
            if self.subtransaction_ended {
                self.effects |= Effects::WORK_AFTER_SUBTRANSACTION_END;
            }
        }
    }

    fn finish(self) -> Classification {
        let Some(whole) = self.refused.or(self.worst) else {
            let command = Command("statement");
            let (class, verdict) = (StatementClass::Read, Verdict::Pass);
            return Classification { class, verdict, command, why: Why::Empty, effects: Effects::NONE };
        };
        let mut effects = self.effects;
        if self.statements > 1 {
            effects.remove(Effects::SHOWS_TRANSACTION_READ_ONLY | Effects::SHOWS_DEFAULT_READ_ONLY);
        }
        Classification { effects, ..whole }
    }
}

const LEAVES: Effects = Effects::LEAVES_OPEN.union(Effects::LEAVES_CLOSED);

/// Whether a statement would do something in the transaction it runs in: neither transaction control nor SET, RESET
/// or SHOW.
fn is_work(statement: &Classification) -> bool {
    statement.class != StatementClass::Transaction
        && !matches!(statement.command.as_str(), "SET" | "RESET" | "SHOW")
}
