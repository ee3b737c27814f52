//! The freeze's state on disk, so that it outlives the process: written to a new file, synced, renamed over
//! the old one, and the folder synced. One process at a time has the folder. What can't be read, or is of a
//! layout that this version does not know, means frozen: believing to be open would break the promise.

use super::error::StoreError;
use crate::freeze::{Epoch, Freeze, FreezeState, STATE_VERSION};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

const STATE: &str = "state.json";
const LOCK: &str = "lock";
/// A state file of ours is far below this; a longer one is not ours.
const LENGTH_LIMIT: u64 = 1024 * 1024;

/// The state directory of this process, locked for as long as this lives.
#[derive(Debug)]
pub struct StateFile {
    folder: PathBuf,
    _lock: File,
}

/// What was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The state to start in.
    pub state: FreezeState,
    /// Why it is not the one on disk, if so: the proxy starts frozen and says this.
    pub fault: Option<String>,
}

impl StateFile {
    /// Takes the folder, which is made if it is not there.
    ///
    /// # Errors
    /// It can't be made, or another process has it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let fail = |source| StoreError::Directory { path: folder.into(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(folder.join(LOCK)).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.into() }),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the state. No file means that nothing was ever frozen here; anything else that is not a state
    /// of ours means frozen.
    pub fn load(&self, now: Timestamp) -> Loaded {
        let path = self.folder.join(STATE);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Loaded { state: FreezeState::default(), fault: None };
            }
            Ok(data) if data.len() > LENGTH_LIMIT => {
                return frozen(format!("{} is too long to be a state", path.display()), now);
            }
            Ok(_) | Err(_) => {}
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) => return frozen(format!("{} can't be read: {error}", path.display()), now),
        };
        match serde_json::from_slice::<FreezeState>(&text) {
            Ok(state) if state.version == STATE_VERSION => Loaded { state, fault: None },
            Ok(state) => {
                let version = state.version;
                frozen(format!("{} has layout {version}, expected {STATE_VERSION}", path.display()), now)
            }
            Err(error) => frozen(format!("{} is not a state: {error}", path.display()), now),
        }
    }

    /// Writes the state; it is on disk when this returns.
    ///
    /// # Errors
    /// The disk would not take it. What was there before is still there.
    pub fn save(&self, state: &FreezeState) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| self.write_error(STATE, io::Error::other(error)))?;
        self.replace(STATE, &text)
    }

    /// Puts a whole file in the place of another, durably.
    ///
    /// # Errors
    /// The disk would not take it. What was there before is still there.
    pub fn replace(&self, name: &str, text: &[u8]) -> Result<(), StoreError> {
        let fail = |source| self.write_error(name, source);
        let next = self.folder.join(format!("{name}.next"));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&next).map_err(fail)?;
        file.write_all(text).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&next, self.folder.join(name)).map_err(fail)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(fail)
    }

    fn write_error(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Write { path: self.folder.join(name), source }
    }
}

fn frozen(fault: String, now: Timestamp) -> Loaded {
    let freeze = Freeze {
        reason: "the state on disk could not be read".into(),
        by: "frostgate".into(),
        since: now,
        until: None,
        frozen_at: None,
        server: None,
        servers: BTreeMap::new(),
        scope: Vec::new(),
        thawed: Vec::new(),
    };
    // The epoch on disk is not known. Seconds since 1970 are more than any number of freezes and thaws.
    let epoch = Epoch(u64::try_from(now.as_second()).unwrap_or(1));
    Loaded {
        state: FreezeState { version: STATE_VERSION, epoch, freeze: Some(freeze), rules: Vec::new() },
        fault: Some(fault),
    }
}
