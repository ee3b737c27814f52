//! The reports of past windows on disk, in the state directory: one for each freeze, as JSON and as Markdown.
//! Bounded: the oldest make room.

use super::{error::StoreError, file::StateFile};
use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
};

const FOLDER: &str = "windows";
/// Windows that are kept.
pub const RECORDS_LIMIT: usize = 200;
/// The longest report that is read back, in bytes.
const LENGTH_LIMIT: u64 = 4 * 1024 * 1024;

/// See the module's text.
#[derive(Debug)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// In that state directory.
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn open(store: &StateFile) -> Result<Self, StoreError> {
        let folder = store.folder().join(FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| StoreError::Directory { path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    /// Keeps a window's report, in the place of what was kept of it before.
    ///
    /// # Errors
    /// The disk would not take it.
    pub fn save(
        &self,
        store: &StateFile,
        number: u64,
        json: &[u8],
        markdown: &str,
    ) -> Result<(), StoreError> {
        store.replace(&format!("{FOLDER}/{number}.json"), json)?;
        store.replace(&format!("{FOLDER}/{number}.md"), markdown.as_bytes())?;
        let numbers = self.numbers();
        for old in numbers.iter().take(numbers.len().saturating_sub(RECORDS_LIMIT)) {
            for ending in ["json", "md"] {
                // What can't be removed now is tried again with the next report.
                drop(fs::remove_file(self.folder.join(format!("{old}.{ending}"))));
            }
        }
        Ok(())
    }

    /// The numbers of the windows that are kept, the oldest first.
    pub fn numbers(&self) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let number = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".json")?.parse().ok()
        };
        let mut numbers: Vec<u64> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// A window's report: `json` or `md`. None if there is none, or it is not ours.
    pub fn read(&self, number: u64, ending: &str) -> Option<String> {
        let mut text = String::new();
        let file = fs::File::open(self.folder.join(format!("{number}.{ending}"))).ok()?;
        file.take(LENGTH_LIMIT).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_reports_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateFile::open(folder.path()).unwrap();
        let records = Records::open(&store).unwrap();
        for number in 0..u64::try_from(RECORDS_LIMIT).unwrap() + 3 {
            records.save(&store, number, b"{}", "# x").unwrap();
        }
        let numbers = records.numbers();
        assert_eq!((numbers.len(), numbers.first().copied()), (RECORDS_LIMIT, Some(3)));
        assert_eq!((records.read(5, "md").as_deref(), records.read(1, "json")), (Some("# x"), None));
    }
}
