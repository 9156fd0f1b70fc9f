//! `tmp archive export`.

use std::io::{self, IsTerminal as _, Write as _};

use camino::Utf8PathBuf;
use tmp_core::Mode;
use tmp_disk::{At, Disk as _, RealDisk, ensure_dirs, write_all_at};

use super::{failed, find};
use crate::{config::Config, exit::Exit, failure::Failure, files, output::Output};

/// Arguments of `tmp archive export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The snapshot, or how its id begins
    snapshot: String,
    /// Write to this new file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
}

impl Export {
    /// Writes the tar file.
    pub(super) fn run(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        let (archive, info) = find(config, &self.snapshot)?;
        let Some(file) = &self.output else {
            let mut stdout = io::stdout().lock();
            if stdout.is_terminal() {
                return Err(Failure::new(Exit::Usage, "a tar file is not for a terminal")
                    .help("-o FILE, or into a pipe"));
            }
            archive.export(&info.id, &mut stdout).map_err(failed)?;
            stdout.flush().map_err(Failure::unexpected)?;
            return Ok(Exit::Done);
        };
        let path = files::absolute(file)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::new(Exit::Usage, format!("{path} is no file")));
        };
        let dir = ensure_dirs(&RealDisk, folder.as_std_path()).map_err(Failure::unexpected)?;
        let made = RealDisk.create_file(At::new(&dir, name), Mode::from_bits(0o600));
        let file = made.map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot make {path}: {error}")).rule("never-overwritten")
        })?;
        let mut writer = io::BufWriter::new(Sink { file, offset: 0 });
        archive.export(&info.id, &mut writer).map_err(failed)?;
        writer.flush().map_err(Failure::unexpected)?;
        out.message(&format!("wrote {path}"));
        Ok(Exit::Done)
    }
}

struct Sink {
    file: tmp_disk::OpenFile,
    offset: u64,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all_at(&RealDisk, &self.file, self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
