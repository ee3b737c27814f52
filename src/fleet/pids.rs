//! The servers' process ids of our sessions, on disk: after a stop that was none of our own, the next process knows
//! which sessions it must not forget. Written without waiting for the disk: what kills the machine kills the
//! sessions' connections too.

use super::{error::StoreError, file::StateFile};
use crate::config::MAIN;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

const NAME: &str = "sessions";
/// Lines after which the file is written anew with the sessions that there are.
const LINES_LIMIT: usize = 100_000;

/// Process ids by their server. A line is `+PID SERVER` or `-PID SERVER`, and a server is told by its name and its place.
/// Versions before this one wrote the name alone, or nothing for the main one: that is nobody's key now, so that what
/// such a line tells of counts as left on a server that is not configured any more.
type Living = BTreeMap<String, BTreeSet<u32>>;
/// What a process before this one left behind, by its server's name and place.
pub type Orphans = BTreeMap<String, Vec<u32>>;

/// See the module's text.
#[derive(Debug)]
pub struct PidLog {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    living: Living,
    lines: usize,
}

impl PidLog {
    /// Opens the log in the state directory; the process ids that the process before left in it.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn open(store: &StateFile) -> Result<(Self, Orphans), StoreError> {
        let path = store.folder().join(NAME);
        let fail = |source| StoreError::Write { path: path.clone(), source };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(fail(error)),
        };
        let living = read(&String::from_utf8_lossy(&text));
        let mut file = open(&path).map_err(fail)?;
        let lines = count(&living);
        // Orphans stay in the file until this process has ended well: the one after it must know them too.
        write(&mut file, &living).map_err(fail)?;
        let orphans = living.iter().map(|(server, pids)| (server.clone(), pids.iter().copied().collect()));
        let orphans = orphans.collect();
        Ok((Self { path, inner: Mutex::new(Inner { file, living, lines }) }, orphans))
    }

    /// A session has begun on that server.
    pub fn enter(&self, server: &str, pid: u32) {
        self.note('+', server, pid);
    }

    /// A session is known to have ended.
    pub fn leave(&self, server: &str, pid: u32) {
        self.note('-', server, pid);
    }

    /// The process ends well: nothing is left behind but what it found and could not see the end of.
    pub fn close(&self, orphans: Orphans) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.living =
            orphans.into_iter().map(|(server, pids)| (server, pids.into_iter().collect())).collect();
        inner.anew(&self.path);
    }

    fn note(&self, sign: char, server: &str, pid: u32) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut inner.living, sign == '+', server, pid);
        inner.lines = inner.lines.saturating_add(1);
        if inner.lines > LINES_LIMIT {
            inner.anew(&self.path);
        } else if let Err(error) = inner.file.write_all(format!("{sign}{pid} {server}\n").as_bytes()) {
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
        self.lines = count(&self.living);
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

fn write(file: &mut File, living: &Living) -> io::Result<()> {
    let mut text = Vec::new();
    for (server, pids) in living {
        for pid in pids {
            writeln!(text, "+{pid} {server}")?;
        }
    }
    file.write_all(&text)
}

/// One has come, or gone.
fn note(living: &mut Living, has_come: bool, server: &str, pid: u32) {
    match living.get_mut(server) {
        Some(pids) if has_come => drop(pids.insert(pid)),
        Some(pids) => drop(pids.remove(&pid)),
        None if has_come => drop(living.insert(server.to_owned(), [pid].into())),
        None => {}
    }
}

fn count(living: &Living) -> usize {
    living.values().map(BTreeSet::len).sum()
}

/// What is left when all lines have been read. Each is written in one go; one that was cut off tells nothing.
fn read(text: &str) -> Living {
    let mut living = Living::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (mark, server) = line.split_once(' ').unwrap_or((line, MAIN));
        match (mark.strip_prefix('+').map(str::parse), mark.strip_prefix('-').map(str::parse)) {
            (Some(Ok(pid)), _) => note(&mut living, true, server, pid),
            (_, Some(Ok(pid))) => note(&mut living, false, server, pid),
            _ => {}
        }
    }
    living.retain(|_, pids| !pids.is_empty());
    living
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, pids: &[u32]) -> Orphans {
        [(server.to_owned(), pids.to_vec())].into()
    }

    #[test]
    fn what_came_and_did_not_go_is_left_on_its_own_server() {
        let text = "+1\n+2\n-1\n+3\n+x\n\n-9\n+2 b\n+4 b\n-2 b\n-3 b\n-4\n+8 bi";
        let expected = [(MAIN.to_owned(), [2, 3].into()), ("b".to_owned(), [4].into())];
        assert_eq!(read(text), Living::from(expected), "the same process id on two servers is two");
    }

    #[test]
    fn the_next_process_finds_what_this_one_left_and_nothing_after_a_good_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateFile::open(folder.path()).unwrap();
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert!(orphans.is_empty());
        log.enter("b", 5);
        log.enter("b", 6);
        log.enter(MAIN, 5);
        log.leave("b", 5);
        log.leave(MAIN, 5);
        drop(log);
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert_eq!(orphans, of("b", &[6]));
        drop(log);
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert_eq!(orphans, of("b", &[6]), "it has not been seen to end");
        log.close(of("c", &[7]));
        let (log, orphans) = PidLog::open(&store).unwrap();
        assert_eq!(orphans, of("c", &[7]), "nor has this");
        log.close(Orphans::new());
        assert!(PidLog::open(&store).unwrap().1.is_empty());
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateFile::open(folder.path()).unwrap();
        let (log, _) = PidLog::open(&store).unwrap();
        for _ in 0..LINES_LIMIT {
            log.enter("b", 7);
            log.leave("b", 7);
        }
        let length = fs::metadata(folder.path().join(NAME)).unwrap().len();
        assert!(length < u64::try_from(LINES_LIMIT * 6).unwrap(), "{length}");
    }
}
