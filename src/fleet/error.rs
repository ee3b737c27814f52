//! What can go wrong with the state on disk.

use std::{io, path::PathBuf};

/// The freeze's state could not be read, written or locked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder can't be made or opened.
    #[error("can't use the state directory {}", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("the state directory {} is in use by another frostgate process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file in it can't be written.
    #[error("can't write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
