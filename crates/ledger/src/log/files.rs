//! The files of one directory, behind a trait: tests put a layer there that loses, tears and refuses what is written.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::LogError;

/// One flat directory of files. Names are plain file names that the log made, never a user's.
pub trait Files: fmt::Debug + Send + Sync {
    /// Creates an empty file, or empties the one of this name, for reading and writing.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading and, where the system allows it, writing.
    ///
    /// # Errors
    /// What the system says; `NotFound` where there is none.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, in the place of what had it. Durable after [`Self::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`Self::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in their order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Puts names that were created, changed and removed on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;

    /// Takes the file of this name for this process alone, until what is returned is dropped or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` where another process has it; else what the system says.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>>;
}

/// One file.
pub trait File: fmt::Debug + Send + Sync {
    /// Writes all bytes at an offset; the file grows as needed.
    ///
    /// # Errors
    /// What the system says; a part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Puts the file's bytes and length on the disk (`fdatasync`).
    ///
    /// # Errors
    /// What the system says. The bytes may be lost then, and a second attempt would not say so.
    fn sync_data(&self) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes; fewer at the end of the file only.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The file's length, bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it by zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

/// A lock that is held as long as this is kept.
pub trait Lock: fmt::Debug + Send + Sync {}

/// A directory of the system.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: PathBuf,
}

#[derive(Debug)]
struct DiskFile(fs::File);

#[derive(Debug)]
struct DiskLock(#[expect(dead_code, reason = "what is locked stays so while the file is open")] fs::File);

impl Disk {
    /// The directory, created where there is none, with those above it.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let missing = directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).count();
        fs::create_dir_all(directory)?;
        let opened = Self::open(directory)?;
        // A directory is there for good when the one above it has been synced; the lowest is looked at even where it was there.
        for above in opened.directory.ancestors().skip(1).take(missing.max(1)) {
            fs::File::open(above)?.sync_all()?;
        }
        Ok(opened)
    }

    /// The directory, which must be there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let directory = directory.canonicalize()?;
        if directory.is_dir() { Ok(Self { directory }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Files for Disk {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let path = self.path(name);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            // Whoever only reads needs no more than that.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                fs::File::open(&path)?
            }
            opened => opened?,
        };
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is no text is none of the log's.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.path(name))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(DiskLock(file)))
    }
}

impl File for DiskFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

impl Lock for DiskLock {}

/// Puts a whole file in the place of what had its name: another name first, synced, then renamed, then the directory synced.
/// A reader finds the one or the other, never a part.
pub(crate) fn replace(files: &dyn Files, name: &str, bytes: &[u8]) -> Result<Box<dyn File>, LogError> {
    let draft = format!("{name}{DRAFT}");
    let written = files.create(&draft).and_then(|file| file.write_all_at(bytes, 0).map(|()| file));
    let file = match written {
        Ok(file) => file,
        Err(source) => {
            // What is left of it would be removed at the next start as well.
            drop(files.remove(&draft));
            return Err(LogError::writing(&draft, source));
        }
    };
    place(files, &*file, name)?;
    Ok(file)
}

/// Gives a draft that was written its name, for good.
pub(crate) fn place(files: &dyn Files, file: &dyn File, name: &str) -> Result<(), LogError> {
    let draft = format!("{name}{DRAFT}");
    file.sync_data().map_err(LogError::fatal("sync", &draft))?;
    files.rename(&draft, name).map_err(LogError::fatal("rename", &draft))?;
    files.sync_dir().map_err(LogError::fatal("sync the directory of", name))
}

/// Ends the name of a file that is not complete.
pub(crate) const DRAFT: &str = ".draft";
