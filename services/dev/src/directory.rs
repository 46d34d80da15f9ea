//! The data directory: `lock`, `format`, `person-keys`, and below it `log`, `tables`, `search` and `cache`.
//!
//! Promises: one process has it at a time, and another is told which; a directory that holds anything else, or data of another
//! format, is refused and left as it is; a temporary one is gone at the end, unless the process is killed.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Error;

/// How the data is laid out. Another layout has another number.
const FORMAT: u32 = 1;
const LOCK: &str = "lock";
const FORMAT_FILE: &str = "format";
/// What [`FORMAT_FILE`] is called until it is whole.
const UNFINISHED: &str = "format.new";
/// What begins [`FORMAT_FILE`].
const TITLE: &str = "data of folio dev";
/// How long those who close the files of a temporary directory may take until it can be removed.
const CLOSING: Duration = Duration::from_secs(2);

/// A directory that is this process's.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    partitions: i32,
    temporary: Option<TempDir>,
    /// Held to the end.
    _lock: File,
}

/// What a directory says of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    format: u32,
    partitions: i32,
}

impl Directory {
    /// Takes `dir`, which is made if it is missing, or a temporary directory. One that is new will have so many partitions.
    pub(crate) fn take(dir: Option<&Path>, partitions: i32) -> Result<Self, Error> {
        if let Some(dir) = dir {
            return Self::at(dir, partitions, None);
        }
        let temporary = tempfile::Builder::new().prefix("folio-dev-").tempdir();
        let temporary = temporary.map_err(failed("make a temporary directory in", &std::env::temp_dir()))?;
        let path = temporary.path().to_owned();
        Self::at(&path, partitions, Some(temporary))
    }

    /// Takes a directory that a process has had before; nothing is made.
    pub(crate) fn again(dir: &Path) -> Result<Self, Error> {
        if !dir.join(FORMAT_FILE).is_file() {
            return Err(Error::NoData { dir: dir.to_owned() });
        }
        Self::at(dir, 1, None)
    }

    fn at(dir: &Path, partitions: i32, temporary: Option<TempDir>) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(failed("make the directory", dir))?;
        let is_made = dir.join(FORMAT_FILE).exists();
        if is_made {
            // What is refused is left as it is, its lock included.
            read_layout(dir)?;
        } else {
            refuse_strangers(dir)?;
        }
        let lock = lock(dir)?;
        let layout = match read_layout(dir)? {
            Some(layout) => layout,
            None => write_layout(dir, Layout { format: FORMAT, partitions })?,
        };
        Ok(Self { path: dir.to_owned(), partitions: layout.partitions, temporary, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// How many partitions its log has.
    pub(crate) fn partitions(&self) -> i32 {
        self.partitions
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The keys of persons, where names are sealed.
    pub(crate) fn person_keys(&self) -> PathBuf {
        self.path.join("person-keys")
    }

    /// For products that are not in use, and for answers that wait for their clients.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// Gives it back, and removes it if it is temporary. Blocks while files in it are being closed.
    pub(crate) fn release(self) -> Result<(), Error> {
        let Self { path, temporary, _lock, .. } = self;
        let Some(temporary) = temporary else { return Ok(()) };
        let until = Instant::now() + CLOSING;
        // Whoever closes files in it may write them while they are removed.
        while let Err(problem) = fs::remove_dir_all(&path) {
            match problem.kind() {
                ErrorKind::NotFound => break,
                _ if Instant::now() > until => return Err(failed("remove", &path)(problem)),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        drop(temporary);
        Ok(())
    }
}

fn failed(tried: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |problem| Error::Unusable { tried, path: path.clone(), problem }
}

/// Refuses a directory that holds what is not ours. What a start leaves behind that was broken off is.
fn refuse_strangers(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let name = entry.map_err(failed("list", dir))?.file_name();
        let is_ours = name == UNFINISHED || name == LOCK && is_lock(&dir.join(LOCK));
        if !is_ours {
            let holds = name.display().to_string();
            return Err(Error::NotOurs { dir: dir.to_owned(), holds });
        }
    }
    Ok(())
}

/// Whether it holds a pid or nothing.
fn is_lock(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|held| held.trim().is_empty() || held.trim().parse::<u32>().is_ok())
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Without it the refusal says less.
            drop(file.read_to_string(&mut pid));
            let by = match pid.trim().parse::<u32>() {
                Ok(pid) => format!("process {pid}"),
                Err(_) => "another process".to_owned(),
            };
            return Err(Error::InUse { dir: dir.to_owned(), by });
        }
        Err(TryLockError::Error(problem)) => return Err(failed("lock", &path)(problem)),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed("write", &path))?;
    Ok(file)
}

fn read_layout(dir: &Path) -> Result<Option<Layout>, Error> {
    let path = dir.join(FORMAT_FILE);
    let text = match fs::read(&path) {
        Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(failed("read", &path))?,
    };
    let text = String::from_utf8_lossy(&text);
    let other =
        |found: String| Error::OtherFormat { dir: dir.to_owned(), found, wanted: format!("format {FORMAT}") };
    match parse(&text) {
        Some(layout) if layout.format == FORMAT && layout.partitions > 0 => Ok(Some(layout)),
        Some(layout) if layout.format != FORMAT => Err(other(format!("format {}", layout.format))),
        _ => Err(other(format!("a file `{FORMAT_FILE}` that says of no format what it is"))),
    }
}

fn parse(text: &str) -> Option<Layout> {
    let mut lines = text.lines();
    let mut number = |name: &str| lines.next()?.strip_prefix(name)?.trim().parse::<i64>().ok();
    let format = u32::try_from(number(&format!("{TITLE}, format"))?).ok()?;
    // What comes behind it is the format's own.
    let partitions = if format == FORMAT { i32::try_from(number("partitions")?).ok()? } else { 0 };
    Some(Layout { format, partitions })
}

/// Written last: a directory without it was never finished.
fn write_layout(dir: &Path, layout: Layout) -> Result<Layout, Error> {
    let (unfinished, path) = (dir.join(UNFINISHED), dir.join(FORMAT_FILE));
    let Layout { format, partitions } = layout;
    let text = format!("{TITLE}, format {format}\npartitions {partitions}\n");
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(failed("write", &path))?;
    Ok(layout)
}
