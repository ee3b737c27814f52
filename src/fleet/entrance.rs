//! By which door sessions come in: what exempts them, or not.

/// By which door a session came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The ordinary listeners.
    Ordinary,
    /// The maintenance listener: exempt.
    Maintenance,
}
