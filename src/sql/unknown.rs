//! What a message is taken for that nobody could judge: it may do anything. Whether it wrote, the server is asked
//! when that matters.

use super::{
    class::{Classification, Command, StatementClass, Verdict, Why},
    effects::Effects,
};

impl Classification {
    /// A message without a readable text: too long to be held, or broken.
    pub const UNREADABLE: Self =
        Self::unknown("statement", Why::Unreadable("the message is too long to be held, or broken"));

    /// A statement or portal that the proxy does not know by that name.
    pub const UNKNOWN_NAME: Self =
        Self::unknown("EXECUTE", Why::UnknownForm("EXECUTE: the name was not seen being prepared"));

    const fn unknown(command: &'static str, why: Why) -> Self {
        let effects = Effects::MAY_WRITE
            .union(Effects::MAY_WRITE_SINCE_END)
            .union(Effects::SAVEPOINT)
            .union(Effects::TOUCHES_READ_ONLY)
            .union(Effects::TOUCHES_ENCODING);
        let class = StatementClass::Unknown;
        Self { class, verdict: Verdict::Refuse, command: Command(command), why, effects }
    }
}
