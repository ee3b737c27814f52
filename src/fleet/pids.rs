//! The server's process ids of our sessions, on disk: after a stop that was none of our own, the next process knows
//! which sessions it must not forget. Written without waiting for the disk: what kills the machine kills the
//! sessions' connections too.

use super::{error::StoreError, file::StateFile};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

const NAME: &str = "sessions";
/// Lines after which the file is written anew with the sessions that there are.
const LINES_LIMIT: usize = 100_000;

/// See the module's text.
#[derive(Debug)]
pub struct PidLog {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    living: BTreeSet<u32>,
    lines: usize,
}

impl PidLog {
    /// Opens the log in the state directory; the process ids that the process before left in it.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn open(store: &StateFile) -> Result<(Self, Vec<u32>), StoreError> {
        let path = store.folder().join(NAME);
        let fail = |source| StoreError::Write { path: path.clone(), source };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(fail(error)),
        };
        let orphans = read(&String::from_utf8_lossy(&text));
        let mut file = open(&path).map_err(fail)?;
        let lines = orphans.len();
        // Orphans stay in the file until this process has ended well: the one after it must know them too.
        write(&mut file, &orphans).map_err(fail)?;
        let inner = Inner { file, living: orphans.clone(), lines };
        Ok((Self { path, inner: Mutex::new(inner) }, orphans.into_iter().collect()))
    }

    /// A session has begun.
    pub fn enter(&self, pid: u32) {
        self.note('+', pid);
    }

    /// A session is known to have ended.
    pub fn leave(&self, pid: u32) {
        self.note('-', pid);
    }

    /// The process ends well: nothing is left behind but what it found and could not see the end of.
    pub fn close(&self, orphans: &[u32]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.living = orphans.iter().copied().collect();
        inner.anew(&self.path);
    }

    fn note(&self, sign: char, pid: u32) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if sign == '+' {
            inner.living.insert(pid);
        } else {
            inner.living.remove(&pid);
        }
        inner.lines = inner.lines.saturating_add(1);
        if inner.lines > LINES_LIMIT {
            inner.anew(&self.path);
        } else if let Err(error) = writeln!(inner.file, "{sign}{pid}") {
            tracing::warn!(%error, path = %self.path.display(), "a session's process id could not be noted");
        }
    }
}

impl Inner {
    fn anew(&mut self, path: &std::path::Path) {
        let written = open(path).and_then(|mut file| {
            write(&mut file, &self.living)?;
            self.file = file;
            Ok(())
        });
        self.lines = self.living.len();
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "the sessions' process ids could not be noted");
        }
    }
}

fn open(path: &std::path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    options.open(path)
}

fn write(file: &mut File, living: &BTreeSet<u32>) -> io::Result<()> {
    let text: String = living.iter().fold(String::new(), |text, pid| text + "+" + &pid.to_string() + "\n");
    file.write_all(text.as_bytes())
}

/// What is left when all lines have been read; a line that was cut off tells nothing.
fn read(text: &str) -> BTreeSet<u32> {
    let mut living = BTreeSet::new();
    for line in text.lines() {
        match (line.strip_prefix('+').map(str::parse), line.strip_prefix('-').map(str::parse)) {
            (Some(Ok(pid)), _) => drop(living.insert(pid)),
            (_, Some(Ok(pid))) => drop(living.remove(&pid)),
            _ => {}
        }
    }
    living
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_did_not_go_is_left() {
        assert_eq!(read("+1\n+2\n-1\n+3\n+x\n\n-9\n"), BTreeSet::from([2, 3]));
    }

    #[test]
    fn the_next_process_finds_what_this_one_left_and_nothing_after_a_good_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateFile::open(folder.path()).unwrap();
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert!(orphans.is_empty());
        log.enter(5);
        log.enter(6);
        log.leave(5);
        drop(log);
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert_eq!(orphans, [6]);
        drop(log);
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert_eq!(orphans, [6], "it has not been seen to end");
        log.close(&[]);
        assert!(PidLog::open(&store).unwrap().1.is_empty());
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateFile::open(folder.path()).unwrap();
        let (log, _) = PidLog::open(&store).unwrap();
        for _ in 0..LINES_LIMIT {
            log.enter(7);
            log.leave(7);
        }
        let length = fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(length < u64::try_from(LINES_LIMIT * 4).unwrap(), "{length}");
    }
}
