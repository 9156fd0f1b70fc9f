//! The least that a machine can do: what the bench holds every tool against. Built as tools are, with optimisation.
#![expect(clippy::print_stderr, reason = "it talks to the developer who runs the bench")]

use std::{
    error::Error,
    ffi::CString,
    fs::File,
    io::Write as _,
    path::Path,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

/// How a floor ends.
type Done = Result<(), Box<dyn Error>>;

const HELP: &str =
    "floor nothing | floor walk DIR THREADS | floor create DIR COUNT BYTES | floor append FILE COUNT";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["nothing"] => Ok(()),
        ["walk", dir, threads] => number(threads).and_then(|threads| walk(dir, threads)),
        ["create", dir, count, bytes] => {
            number(count).and_then(|count| create(Path::new(dir), count, number(bytes)?))
        }
        ["append", file, count] => number(count).and_then(|count| append(Path::new(file), count)),
        _ => Err(HELP.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> Result<usize, Box<dyn Error>> {
    Ok(word.parse()?)
}

/// Asks for the attributes of everything below `dir`, on so many threads.
fn walk(dir: &str, threads: usize) -> Done {
    let waiting = Mutex::new(vec![CString::new(dir)?]);
    let unread = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| work(&waiting, &unread))).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err("a worker panicked".into()),
        })
    })
}

/// Reads directories until none is left; `unread` counts those that wait or are being read.
fn work(waiting: &Mutex<Vec<CString>>, unread: &AtomicUsize) -> rustix::io::Result<()> {
    while unread.load(Ordering::Acquire) > 0 {
        let next = waiting.lock().ok().and_then(|mut waiting| waiting.pop());
        let Some(path) = next else {
            std::thread::sleep(Duration::from_micros(20));
            continue;
        };
        let read = list(&path);
        if let (Ok(below), Ok(mut waiting)) = (&read, waiting.lock()) {
            unread.fetch_add(below.len(), Ordering::AcqRel);
            waiting.extend(below.iter().cloned());
        }
        unread.fetch_sub(1, Ordering::AcqRel);
        read?;
    }
    Ok(())
}

/// The directories in one, after asking for the attributes of each entry.
fn list(path: &CString) -> rustix::io::Result<Vec<CString>> {
    let dir = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut below = Vec::new();
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.file_type() == FileType::Directory {
            let joined = [path.to_bytes(), b"/", name.to_bytes()].concat();
            below.extend(CString::new(joined).ok());
        }
    }
    Ok(below)
}

/// Makes files of so many bytes, one after the other, each durable before it takes its name.
fn create(dir: &Path, count: usize, bytes: usize) -> Done {
    std::fs::create_dir_all(dir)?;
    let content = vec![b'x'; bytes];
    for number in 0..count {
        let beside = dir.join("beside");
        let mut file = File::create(&beside)?;
        file.write_all(&content)?;
        file.sync_all()?;
        std::fs::rename(&beside, dir.join(number.to_string()))?;
    }
    Ok(())
}

/// Writes records of 4 KiB into a file that has its length already, each durable before the next.
fn append(path: &Path, count: usize) -> Done {
    let mut file = File::create(path)?;
    let record = [b'x'; 4096];
    (0..count).try_for_each(|_| file.write_all(&record))?;
    file.sync_all()?;
    let mut file = File::options().write(true).open(path)?;
    for _ in 0..count {
        file.write_all(&record)?;
        file.sync_data()?;
    }
    Ok(())
}
