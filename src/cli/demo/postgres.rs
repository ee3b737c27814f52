//! Finding PostgreSQL's own programs, and somebody who may run them.

use super::{
    error::DemoError,
    folder::Owner,
    programs::{self, SOON},
};
use std::{
    cmp::Reverse,
    env, fs,
    path::{Path, PathBuf},
};

/// What must be in one folder; psql may also be found by `PATH`.
const SERVER_PROGRAMS: [&str; 2] = ["initdb", "postgres"];
/// Where systems put a version each: the folder, how the version's folder begins, what follows.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// PostgreSQL's own programs.
#[derive(Debug)]
pub(super) struct Postgres {
    bin: PathBuf,
    psql: PathBuf,
    /// As it calls itself.
    pub(super) version: String,
}

impl Postgres {
    /// The newest that is installed where systems put it, else what `PATH` has; `named` beats both.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn find(named: Option<PathBuf>) -> Result<Self, DemoError> {
        let bin = match named {
            Some(folder) => match SERVER_PROGRAMS.iter().find(|name| !folder.join(name).is_file()) {
                Some(program) => return Err(DemoError::NotPostgres { folder, program }),
                None => folder,
            },
            None => candidates()
                .into_iter()
                .find(|folder| SERVER_PROGRAMS.iter().all(|name| folder.join(name).is_file()))
                .ok_or_else(none_found)?,
        };
        let psql = [bin.clone()].into_iter().chain(path_folders()).map(|folder| folder.join("psql"));
        let psql = psql.into_iter().find(|psql| psql.is_file()).ok_or_else(none_found)?;
        let mut ask = programs::command(bin.join("postgres"));
        ask.arg("--version");
        let said = programs::succeed(ask, SOON).await?;
        let version = said.trim_start_matches("postgres (PostgreSQL) ").split(' ').next().unwrap_or_default();
        Ok(Self { version: version.to_owned(), psql, bin })
    }

    pub(super) fn bin(&self) -> &Path {
        &self.bin
    }

    pub(super) fn psql(&self) -> &Path {
        &self.psql
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (folder, begins, then) in VERSIONED {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(begins)).collect();
        names.sort_by_key(|name| Reverse(number_in(name)));
        found.extend(names.iter().map(|name| Path::new(folder).join(name).join(then)));
    }
    found.extend(path_folders());
    found
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// `15` for `15`, `pgsql-15` and `postgresql@15`.
fn number_in(name: &str) -> u32 {
    let digits: String =
        name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn none_found() -> DemoError {
    let places: Vec<String> =
        VERSIONED.iter().map(|(folder, begins, then)| format!("{folder}/{begins}*/{then}")).collect();
    DemoError::NoPostgres {
        advice: format!(
            "  Debian, Ubuntu:  sudo apt-get install postgresql\n  \
               Fedora, RHEL:    sudo dnf install postgresql-server postgresql-contrib\n  \
               Alpine:          sudo apk add postgresql postgresql-contrib\n  \
               Arch:            sudo pacman -S postgresql\n  \
               macOS:           brew install postgresql@17\n\
             or name the folder of its programs in FROSTGATE_PG_BIN.\n\
             Looked in {} and PATH.",
            places.join(", ")
        ),
    }
}

/// Who runs the server: root may not, so it is the system's `postgres`, or `nobody`.
pub(super) async fn owner() -> Result<Option<Owner>, DemoError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(user), Some(group)) = (id("-u", name).await?, id("-g", name).await?) {
            return Ok(Some(Owner { user, group }));
        }
    }
    Err(DemoError::NobodyToRunIt)
}

async fn id(which: &str, name: &str) -> Result<Option<u32>, DemoError> {
    let mut command = programs::command("id");
    command.args([which, name]);
    let output = programs::finish(command, SOON).await?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_one_with_the_biggest_number() {
        assert_eq!([number_in("9.6"), number_in("pgsql-15"), number_in("postgresql@17")], [9, 15, 17]);
        assert_eq!(number_in("latest"), 0);
    }

    #[test]
    fn where_there_is_no_postgresql_the_error_says_what_to_install() {
        let text = none_found().to_string();
        assert!(text.contains("apt-get install postgresql") && text.contains("FROSTGATE_PG_BIN"), "{text}");
        assert_eq!(none_found().exit().code(), 5);
    }
}
