//! A memory in a file, which several processes may write: each writes all of it beside, and has that take the
//! other's place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use std::{error, fmt, fs};

use super::{InvalidMemory, Memory};

/// No memory is longer: 65,535 entries of 40 octets, and 12 before them.
const LONGEST: u64 = 65_535 * 40 + 12;

/// Why a memory could not be read from a file. In one line, with the file's name.
#[derive(Debug)]
#[non_exhaustive]
pub enum MemoryFileError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// What is in it is not a memory.
    Invalid(PathBuf, InvalidMemory),
}

impl fmt::Display for MemoryFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryFileError::Read(path, error) => write!(f, "could not read {}: {error}", path.display()),
            MemoryFileError::Invalid(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

// Its line has all of what lies behind it.
impl error::Error for MemoryFileError {}

impl From<MemoryFileError> for io::Error {
    fn from(error: MemoryFileError) -> Self {
        let kind = match &error {
            MemoryFileError::Read(_, error) => error.kind(),
            MemoryFileError::Invalid(..) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

impl Memory {
    /// The memory that was [saved](Memory::save) in a file, as old as the file is; an empty one where there
    /// is no such file, or nothing in it.
    ///
    /// # Errors
    ///
    /// [`MemoryFileError`] where the file cannot be read, or is none of these.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, MemoryFileError> {
        let path = path.as_ref();
        match read(path) {
            Ok((bytes, _)) if bytes.is_empty() => Ok(Memory::new()),
            Ok((bytes, age)) => Memory::from_bytes(&bytes, age)
                .map_err(|invalid| MemoryFileError::Invalid(path.to_owned(), invalid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Memory::new()),
            Err(error) => Err(MemoryFileError::Read(path.to_owned(), error)),
        }
    }

    /// Writes it into a file that only its owner may read; through a symbolic link, into the file that it
    /// leads to. Whoever reads that meanwhile, or writes it, meets a whole memory: the older or the newer
    /// one.
    ///
    /// # Errors
    ///
    /// Where the file, or one beside it, cannot be written. In the child of a fork that has [none](Memory):
    /// nothing is written then.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        // A symbolic link stays, and what it leads to is replaced.
        let path = &linked(path.as_ref());
        let bytes = self
            .bytes()
            .ok_or_else(|| io::Error::other("the memory was in use when this process was forked"))?;
        let beside = beside(path);
        let written = create(&beside)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| patiently(|| fs::rename(&beside, path)));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

/// What a path leads to, which need not be there.
fn linked(path: &Path) -> PathBuf {
    // As many links as Linux follows.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

fn read(path: &Path) -> io::Result<(Vec<u8>, Duration)> {
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // Such as a pipe, whose opening would wait for one who writes. Of a directory the system says what it
        // is.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = patiently(|| File::open(path))?;
    let written = file.metadata()?.modified();
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes, written.map_or(Duration::ZERO, age)))
}

/// Windows has no file replaced while somebody reads it, nor read while it is replaced. That is over soon.
#[cfg(windows)]
fn patiently<T>(mut go: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    for _ in 0..50 {
        match go() {
            Err(error) if matches!(error.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION)) => {
                crate::clock::pause(Duration::from_millis(2));
            }
            result => return result,
        }
    }
    go()
}

#[cfg(not(windows))]
fn patiently<T>(go: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    go()
}

/// One that was written in the future was written now.
#[expect(clippy::disallowed_methods, reason = "how long a file is old no other clock knows")]
fn age(written: SystemTime) -> Duration {
    SystemTime::now().duration_since(written).unwrap_or_default()
}

/// A name in the same directory that no other process has, nor another call in this one.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{count}.new", process_id()));
    name.into()
}

#[cfg(not(target_os = "wasi"))]
fn process_id() -> u32 {
    std::process::id()
}

/// std panics when it is asked there. A part of the time tells components apart as well.
#[cfg(target_os = "wasi")]
#[expect(clippy::disallowed_methods, reason = "no other clock differs from one component to the next")]
fn process_id() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos()
}

/// A file of nobody else: where others may write to the directory, a link in its place could lead anywhere.
/// One that an earlier process has left behind goes.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => fs::remove_file(path).and_then(|()| options.open(path)),
        _ => Err(error),
    })
}
