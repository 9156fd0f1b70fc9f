//! The contents of a repository, streamed out of one `git cat-file --batch`.

use std::{
    io::{self, BufRead as _, BufReader, Cursor, Read, Write as _},
    process::{Child, ChildStdin, ChildStdout},
    sync::{Mutex, PoisonError},
};

use super::program::Program;

/// Where a pointer of Git LFS begins (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A pointer is shorter than this, in bytes.
const POINTER_LONGEST: u64 = 1024;

/// The longest text of a symlink, in bytes.
const LINK: u64 = 4096;

/// The contents of one repository. Memory does not grow with theirs.
#[derive(Debug)]
pub(crate) struct Blobs {
    program: Program,
    /// A git that waits for the next question, if one was started and nobody reads from it.
    idle: Mutex<Option<Batch>>,
}

#[derive(Debug)]
struct Batch {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Blobs {
    pub(super) fn new(program: &Program) -> Self {
        Self { program: program.clone(), idle: Mutex::new(None) }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// It is not there, or is a pointer of Git LFS and its content is somewhere else.
    pub(crate) fn open(&self, id: &str) -> io::Result<Box<dyn Read + '_>> {
        let mut reader = self.raw(id)?;
        if reader.left >= POINTER_LONGEST {
            return Ok(Box::new(reader));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        if bytes.starts_with(POINTER) {
            return Err(io::Error::other(
                "the repository has a pointer of Git LFS in its place, and its content is somewhere else",
            ));
        }
        Ok(Box::new(Cursor::new(bytes)))
    }

    /// The text of a symlink.
    pub(crate) fn link(&self, id: &str) -> io::Result<Vec<u8>> {
        let mut reader = self.raw(id)?;
        if reader.left >= LINK {
            return Err(io::Error::other("the text of the symlink is too long"));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn raw(&self, id: &str) -> io::Result<BlobReader<'_>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut batch = match idle {
            Some(batch) => batch,
            None => Batch::start(&self.program)?,
        };
        let left = batch.ask(id)?;
        let mut reader = BlobReader { blobs: self, batch: Some(batch), left };
        if left == 0 {
            reader.finish()?;
        }
        Ok(reader)
    }
}

impl Batch {
    fn start(program: &Program) -> io::Result<Self> {
        let mut child = program.batch()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output: BufReader::new(output) }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Asks for an object, which must be a blob; answers how long it is.
    fn ask(&mut self, id: &str) -> io::Result<u64> {
        self.input.write_all(format!("{id}\n").as_bytes())?;
        self.input.flush()?;
        let mut line = Vec::new();
        self.output.by_ref().take(256).read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        let mut words = line.split_whitespace().skip(1);
        match (words.next(), words.next().and_then(|size| size.parse().ok())) {
            (Some("blob"), Some(size)) => Ok(size),
            (Some("missing"), _) => Err(io::Error::other(format!(
                "object {id} is not in this clone; `git fetch` what is missing first"
            ))),
            _ => Err(io::Error::other(format!("git answers {:?} for object {id}", line.trim()))),
        }
    }
}

impl Drop for Batch {
    /// Stops the program.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one content and gives the program back at its end.
struct BlobReader<'a> {
    blobs: &'a Blobs,
    batch: Option<Batch>,
    left: u64,
}

impl BlobReader<'_> {
    fn finish(&mut self) -> io::Result<()> {
        if let Some(mut batch) = self.batch.take() {
            let mut end = [0];
            batch.output.read_exact(&mut end)?;
            *self.blobs.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(batch);
        }
        Ok(())
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(batch) = self.batch.as_mut().filter(|_| !buffer.is_empty()) else { return Ok(0) };
        let count = batch.output.by_ref().take(self.left).read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        if self.left == 0 {
            self.finish()?;
        }
        Ok(count)
    }
}
