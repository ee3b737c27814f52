//! By which door sessions come in: what exempts them, or not.

/// By which door a session came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The ordinary listeners.
    Ordinary,
    /// The maintenance listener: exempt.
    Maintenance,
}

impl Entrance {
    /// The word that people and programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Maintenance => "maintenance",
        }
    }
}
