//! The freeze as a value: what the state is, how it changes, the small copy of it that a session reads for each
//! message, and the word that a session gives back. Pure: stores and watches live in `fleet`, waiting for a
//! drain in `control`.

mod gate;
mod report;
mod state;

pub use gate::{Epoch, Gate, Phase};
pub use report::{Report, Standing};
pub use state::{
    Change, Freeze, FreezeRequest, FreezeState, SCOPE_LIMIT, STATE_VERSION, WORDS_LIMIT, WordsFault,
    check_words,
};
