//! The demo's folder: all that it makes is in it, and it goes with the demo.

use super::error::DemoError;
use std::{
    env,
    fs::{self, File, Permissions},
    io::Read as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process,
};

/// Longest path of the folder: the sockets in it must fit into `sun_path`, 104 bytes on some systems.
const PATH_LIMIT: usize = 50;

/// A user that something belongs to, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it. Others may pass through it, since the server may be another user, but not look into it.
    pub(super) fn make() -> Result<Self, DemoError> {
        let temporary = env::temp_dir();
        let place = if temporary.as_os_str().len() > PATH_LIMIT { PathBuf::from("/tmp") } else { temporary };
        let folder = Self { path: place.join(format!("frostgate-demo-{}", process::id())) };
        make_folder(&folder.path, 0o711, None)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it that only its owner may enter.
    pub(super) fn private(&self, name: &str, owner: Option<Owner>) -> Result<PathBuf, DemoError> {
        let path = self.join(name);
        make_folder(&path, 0o700, owner)?;
        Ok(path)
    }

    /// A file in it that only its owner may read.
    pub(super) fn secret(&self, name: &str, text: &str, owner: Option<Owner>) -> Result<PathBuf, DemoError> {
        let path = self.join(name);
        let fault = |source| DemoError::File { act: "write", path: path.clone(), source };
        // The mode first, the secret second.
        File::create_new(&path).and_then(|file| file.set_permissions(mode(0o600))).map_err(fault)?;
        fs::write(&path, text).map_err(fault)?;
        own(&path, owner)?;
        Ok(path)
    }

    /// Removes it with all that is in it.
    pub(super) fn remove(&self) -> Result<(), DemoError> {
        let removed = fs::remove_dir_all(&self.path);
        removed.map_err(|source| DemoError::File { act: "remove", path: self.path.clone(), source })
    }
}

fn mode(bits: u32) -> Permissions {
    Permissions::from_mode(bits)
}

fn make_folder(path: &Path, bits: u32, owner: Option<Owner>) -> Result<(), DemoError> {
    let made = fs::create_dir(path).and_then(|()| fs::set_permissions(path, mode(bits)));
    made.map_err(|source| DemoError::File { act: "make", path: path.into(), source })?;
    own(path, owner)
}

fn own(path: &Path, owner: Option<Owner>) -> Result<(), DemoError> {
    let Some(Owner { user, group }) = owner else { return Ok(()) };
    let given = chown(path, Some(user), Some(group));
    given.map_err(|source| DemoError::File { act: "give away", path: path.into(), source })
}

/// A password that nobody can guess.
pub(super) fn password() -> Result<String, DemoError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|source| DemoError::File { act: "read", path: path.into(), source })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
