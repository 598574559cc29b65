//! Where the answer goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::exit_code;
use crate::stdio;
use crate::stdout_queue::{QueuedStdout, TransferStdout, locked};

/// stdout, or a file, which is opened when the first byte comes. What has been written stays there if the
/// rest does not come, so that `-C -` can go on with it.
pub struct Output {
    target: Target,
    /// How it gets to stdout, where that is its target.
    stdout: TransferStdout,
    /// Where the first byte goes.
    start: u64,
    create_folders: bool,
    sink: Option<Sink>,
    /// How many bytes were written.
    written: u64,
}

/// Where the answer is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// What the path of an option stands for.
    pub fn new(path: &Path) -> Self {
        if is_stdout(path) { Target::Stdout } else { Target::File(path.to_owned()) }
    }
}

enum Sink {
    Stdout(stdio::Stdout),
    Queued(Arc<Mutex<QueuedStdout>>),
    File(File),
}

impl Output {
    pub fn new(target: Target, create_folders: bool, stdout: TransferStdout) -> Self {
        Output { target, stdout, start: 0, create_folders, sink: None, written: 0 }
    }

    /// Has a file keep its first `offset` bytes.
    pub fn start_at(&mut self, offset: u64) {
        self.start = offset;
    }

    /// Closes the file, whose content stays.
    pub fn close(&mut self) {
        self.sink = None;
        self.written = 0;
    }

    /// The file that this goes to.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::File(path) => Some(path),
            Target::Stdout => None,
        }
    }

    /// Whether this goes to a file and not to stdout.
    pub fn is_aside(&self) -> bool {
        self.target != Target::Stdout
    }

    /// The length of the existing file; 0 if there is none, or if it is not a regular file.
    pub fn existing_length(&self) -> u64 {
        let Target::File(path) = &self.target else { return 0 };
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map_or(0, |metadata| metadata.len())
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_part(bytes, true)
    }

    fn write_part(&mut self, bytes: &[u8], is_body: bool) -> Result<(), Error> {
        let written = self.sink().and_then(|sink| match sink {
            Sink::Stdout(out) => out.write_all(bytes),
            Sink::Queued(out) => locked(out).write(bytes, is_body),
            Sink::File(file) => file.write_all(bytes),
        });
        written.map_err(|error| self.error(&error))?;
        self.written = self.written.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Writes a head, or a part of one. On stdout it does not stand in the way of another try: what is not to
    /// be there twice is the body.
    pub fn write_head(&mut self, head: &[u8]) -> Result<(), Error> {
        let before = self.written;
        self.write_part(head, false)?;
        if !self.is_aside() {
            self.written = before;
        }
        Ok(())
    }

    /// Everything is written: only now are the last errors known. A file that nothing was written to is made
    /// all the same.
    pub fn finish(&mut self) -> Result<(), Error> {
        let end = self.start.saturating_add(self.written);
        let resumed = self.start > 0;
        let finished = self.sink().and_then(|sink| match sink {
            // What was behind the part that came is not part of the whole.
            Sink::File(file) if resumed => file.set_len(end),
            Sink::File(file) => file.flush(),
            Sink::Stdout(out) => out.flush(),
            // When the transfer is over.
            Sink::Queued(_) => Ok(()),
        });
        finished.map_err(|error| self.error(&error))
    }

    /// Forgets what was written, for another try. Says whether that was possible: stdout takes nothing back.
    pub fn restart(&mut self) -> Result<bool, Error> {
        let start = self.start;
        let reset = match &mut self.sink {
            _ if self.written == 0 => Ok(true),
            Some(Sink::File(file)) => match file.metadata() {
                Ok(metadata) if !metadata.is_file() => Ok(false),
                _ => file.set_len(start).and_then(|()| file.seek(SeekFrom::Start(start))).map(|_| true),
            },
            Some(Sink::Queued(out)) => Ok(locked(out).restart()),
            Some(Sink::Stdout(_)) | None => Ok(false),
        };
        let reset = reset.map_err(|error| self.error(&error))?;
        if reset {
            self.written = 0;
        }
        Ok(reset)
    }

    fn sink(&mut self) -> io::Result<&mut Sink> {
        if self.sink.is_none() {
            self.sink = Some(self.open()?);
        }
        // Just put there.
        self.sink.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn open(&self) -> io::Result<Sink> {
        let Target::File(path) = &self.target else {
            return match self.stdout.of_several() {
                Some(queued) => Ok(Sink::Queued(Arc::clone(queued))),
                None => stdio::stdout().map(Sink::Stdout),
            };
        };
        if let Some(folder) = path.parent().filter(|_| self.create_folders) {
            std::fs::create_dir_all(folder)?;
        }
        if self.start == 0 {
            return File::create(path).map(Sink::File);
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.is_file() {
            file.seek(SeekFrom::Start(self.start))?;
        }
        Ok(Sink::File(file))
    }

    fn error(&self, error: &io::Error) -> Error {
        match &self.target {
            Target::Stdout if error.kind() == io::ErrorKind::TimedOut => Error::new(
                exit_code::TIMED_OUT,
                "another transfer had stdout for all the time allowed; write to a file with -o, or allow it more time with --max-time",
            ),
            Target::Stdout if error.kind() == io::ErrorKind::Interrupted => {
                Error::new(exit_code::ABORTED, "stopped, since another transfer has failed")
            }
            Target::Stdout => Error::write("stdout", error),
            Target::File(path) => Error::write(path.display(), error),
        }
    }
}

/// Whether the path of an option stands for stdout.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Who has stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    /// Nobody: what the command is for goes there.
    Free,
    /// This option.
    Of(&'static str),
}

impl Stdout {
    /// What these options, of which some are given, make of it. Two cannot have it.
    pub fn of(options: &[(bool, &'static str)]) -> Result<Self, Error> {
        let mut given = options.iter().filter(|(given, _)| *given).map(|(_, option)| *option);
        match (given.next(), given.next()) {
            (None, _) => Ok(Stdout::Free),
            (Some(option), None) => Ok(Stdout::Of(option)),
            (Some(first), Some(second)) => {
                Err(Error::usage(format!("{first} and {second} both print on stdout: drop one of them")))
            }
        }
    }
}

/// Writes what the option with this path asks for: `-` is stdout.
pub fn write_file(path: &Path, content: impl std::fmt::Display) -> Result<(), Error> {
    if is_stdout(path) {
        return print(content);
    }
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        write!(file, "{content}")?;
        file.flush()
    };
    write().map_err(|error| Error::write(path.display(), &error))
}

/// Prints `text` on stdout.
pub fn print(text: impl std::fmt::Display) -> Result<(), Error> {
    // In one piece: there is no buffer between.
    let printed = TransferStdout::default().print(text.to_string().as_bytes());
    printed.map_err(|error| Error::write("stdout", &error))
}
