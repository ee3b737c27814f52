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
    judged::Judged,
    lexer::Backslash,
    statement::statement,
    token::{Kind, LONGEST_TEXT},
    walk::Walk,
};

/// The answer for a text that the server would reject in every reading.
fn unreadable(why: &'static str) -> Classification {
    Judged::refuse(StatementClass::Unknown, "statement", Why::Unreadable(why)).classification
}

/// A way in which the server may read a text.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) text: &'a [u8],
    pub(super) backslash: Backslash,
}

/// How a reading of a text ended.
struct End {
    /// Why the server rejects the text.
    fault: Option<&'static str>,
    /// Whether the other reading of backslashes may differ.
    saw_backslash: bool,
}

impl Reading<'_> {
    /// Judges the statements of the text. If it ends with a fault, what was told before is void.
    #[inline]
    fn judge(self, mut each: impl FnMut(Range<usize>, &Judged)) -> End {
        let mut walk = Walk::new(self.text, self.backslash);
        loop {
            while walk.peek().kind() == Kind::Semicolon {
                walk.advance();
            }
            if walk.peek().kind() == Kind::End {
                return End { fault: walk.fault(), saw_backslash: walk.saw_backslash() };
            }
            let start = walk.peek().start();
            let mut judged = statement(&mut walk);
            if !walk.at_end() {
                // No rule leaves anything over; if one did, what is left must not pass unread.
                judged = Judged::unknown(&mut walk, judged.classification.command.0);
            }
            each(start..walk.behind, &judged);
        }
    }
}

/// Why the server rejects a text, whatever it says.
fn rejected(text: &[u8]) -> Option<&'static str> {
    if has_nul(text) {
        Some("a NUL byte")
    } else if text.len() > LONGEST_TEXT {
        Some("it is longer than any statement")
    } else {
        None
    }
}

/// Eight bytes at a time, and without a way out in the middle. Subtracting one from each byte borrows into the high bit of
/// a NUL, and of what is behind one.
fn has_nul(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let nul = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(EACH) & !word & (EACH << 7)
    };
    let Some(last) = text.last_chunk::<8>() else { return text.contains(&0) };
    let (words, _) = text.as_chunks::<8>();
    words.iter().fold(nul(last), |found, word| found | nul(word)) != 0
}

/// Makes every reading of a text that matters, and hands over what `new` makes for each and `add` fills, unless the
/// server rejects it. Tells why it rejected the last one that it did.
pub(super) fn readings<T>(
    text: &[u8],
    encoding: ClientEncoding,
    new: impl Fn() -> T,
    add: impl Fn(&mut T, Reading<'_>, Range<usize>, &Judged),
    mut done: impl FnMut(T),
) -> &'static str {
    let mut why = "";
    if let Some(why) = rejected(text) {
        return why;
    }
    encoding.readings(text, |text| {
        for backslash in [Backslash::Ordinary, Backslash::Escapes] {
            let reading = Reading { text: &text, backslash };
            let mut made = new();
            let end = reading.judge(|range, judged| add(&mut made, reading, range, judged));
            match end.fault {
                Some(fault) => why = fault,
                None => done(made),
            }
            if !end.saw_backslash {
                break;
            }
        }
    });
    why
}

/// Classifies the text of a Query or a Parse, without the NUL that ends it.
///
/// Total: any bytes have a classification, in time linear in their number.
pub fn classify(text: &[u8], encoding: ClientEncoding) -> Classification {
    // Nearly every text has one reading.
    if rejected(text).is_none() && (encoding == ClientEncoding::Safe || text.is_ascii()) {
        let mut fold = Fold::default();
        let end = Reading { text, backslash: Backslash::Ordinary }
            .judge(|_, judged| fold.add(&judged.classification));
        if end.fault.is_none() && !end.saw_backslash {
            return fold.finish();
        }
    }
    classify_every_reading(text, encoding)
}

#[cold]
fn classify_every_reading(text: &[u8], encoding: ClientEncoding) -> Classification {
    let mut whole: Option<Classification> = None;
    let why = readings(
        text,
        encoding,
        Fold::default,
        |fold, _, _, judged| fold.add(&judged.classification),
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
                *last = reset_too_early(last);
            }
            fold.add(&judged.classification);
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
fn reset_too_early(reset: &Classification) -> Classification {
    let mut refused = *reset;
    refused.verdict = Verdict::Refuse;
    refused.why = Why::ResetsBeforeMore(reset.command.0);
    refused.effects.remove(Effects::RESETS_ALL);
    refused
}

fn is_worse(one: &Classification, other: &Classification) -> bool {
    (one.verdict == Verdict::Refuse, one.class) > (other.verdict == Verdict::Refuse, other.class)
}

/// Facts that reassure: they hold only if they hold in every reading.
const REASSURING: Effects = Effects::READ_ONLY_BLOCK.union(SHOWS);

/// Told only of a message that is nothing else.
const SHOWS: Effects = Effects::SHOWS_TRANSACTION_READ_ONLY
    .union(Effects::SHOWS_DEFAULT_READ_ONLY)
    .union(Effects::SHOWS_FROSTGATE);

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
    /// The statement that stands for the message: the first one that is refused, else the first of the greatest class.
    chosen: Option<Classification>,
    effects: Effects,
    /// More than one statement was added.
    several: bool,
    /// The last statement, if it was RESET ALL or DISCARD ALL.
    reset: Option<Classification>,
    ended: bool,
    subtransaction_ended: bool,
}

impl Fold {
    #[inline]
    fn add(&mut self, statement: &Classification) {
        if let Some(reset) = self.reset.take() {
            self.choose(&reset_too_early(&reset));
            self.effects.remove(Effects::RESETS_ALL);
        }
        self.several = self.chosen.is_some();
        self.choose(statement);
        let effects = statement.effects;
        if effects.contains(Effects::RESETS_ALL) {
            self.reset = Some(*statement);
        }
        self.transaction(statement);
        self.effects |= effects;
        if effects.contains(Effects::MAY_WRITE) {
            self.effects |= Effects::MAY_WRITE_SINCE_END;
        }
        if effects.contains(Effects::WRITES) {
            self.effects |= Effects::WRITES_SINCE_END;
        }
    }

    #[inline]
    fn choose(&mut self, statement: &Classification) {
        let better = match &self.chosen {
            None => true,
            Some(Classification { verdict: Verdict::Refuse, .. }) => false,
            Some(chosen) => statement.verdict == Verdict::Refuse || statement.class > chosen.class,
        };
        if better {
            self.chosen = Some(*statement);
        }
    }

    /// What a statement does to the transaction that the ones before it left.
    fn transaction(&mut self, statement: &Classification) {
        let effects = statement.effects;
        if statement.verdict == Verdict::Refuse && effects.contains(Effects::TOUCHES_READ_ONLY) {
            // Where it is not refused, as before a freeze, it may make the block read-write.
            self.effects.remove(Effects::READ_ONLY_BLOCK);
        }
        if effects.contains(Effects::ENDS) {
            self.end(effects.contains(Effects::CHAINS));
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

    fn end(&mut self, chains: bool) {
        self.effects.remove(Effects::MAY_WRITE_SINCE_END | Effects::WRITES_SINCE_END | LEAVES);
        if chains {
            self.effects |= Effects::LEAVES_OPEN;
        } else {
            self.effects.remove(Effects::READ_ONLY_BLOCK);
            self.effects |= Effects::LEAVES_CLOSED;
        }
        self.ended = true;
        self.subtransaction_ended = false;
    }

    fn finish(&self) -> Classification {
        let Some(mut whole) = self.chosen else { return EMPTY };
        whole.effects = self.effects;
        if self.several {
            whole.effects.remove(SHOWS);
        }
        whole
    }
}

/// The answer for a text without a statement.
const EMPTY: Classification = Classification {
    class: StatementClass::Read,
    verdict: Verdict::Pass,
    command: Command("statement"),
    why: Why::Empty,
    effects: Effects::NONE,
};

const LEAVES: Effects = Effects::LEAVES_OPEN.union(Effects::LEAVES_CLOSED);

/// Whether a statement would do something in the transaction it runs in: neither transaction control nor SET, RESET
/// or SHOW.
fn is_work(statement: &Classification) -> bool {
    let only_sets = matches!(statement.command.as_str(), "SET" | "RESET" | "SHOW");
    statement.class == StatementClass::Unknown
        || (statement.class != StatementClass::Transaction && !only_sets)
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
