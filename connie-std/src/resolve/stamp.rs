//! Whether a file of the system's has changed.

use std::fs::{File, Metadata};
use std::path::Path;
use std::time::SystemTime;

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl FileStamp {
    /// That of the file at `path`. `None` where there is no file, or something else, which could keep a
    /// reader waiting.
    pub(super) fn read(path: &Path) -> Option<Self> {
        Self::of(&std::fs::metadata(path).ok()?)
    }

    fn of(metadata: &Metadata) -> Option<Self> {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let stamp = FileStamp { modified: metadata.modified().ok(), length: metadata.len(), inode };
        metadata.is_file().then_some(stamp)
    }
}

/// Opens the file at `path`.
pub(super) fn open(path: &Path) -> Option<(File, FileStamp)> {
    // Looked at first: to open a pipe waits for who writes to it.
    FileStamp::read(path)?;
    let file = File::open(path).ok()?;
    let stamp = FileStamp::of(&file.metadata().ok()?)?;
    Some((file, stamp))
}
