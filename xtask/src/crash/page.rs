//! `docs/reliability.md`: the last whole run.

use std::{fs, path::Path, process::Command};

use super::results::Results;
use crate::{
    mutants,
    parts::{part, with_part},
    shell,
};

/// The part of the page that has the last long run of the model.
pub(super) const MODEL: &str = "model";

/// The page; what other runs wrote on the one before stays.
pub(super) fn page(results: &Results, before: &str) -> String {
    let page = fresh(results);
    [MODEL, mutants::PART].into_iter().fold(page, |page, id| with_part(&page, id, part(before, id)))
}

fn fresh(results: &Results) -> String {
    let long = if results.choice.long { " --long" } else { "" };
    let seed = results.choice.seed;
    format!(
        "# Reliability: faults put into the real program\n\n\
         **{} faults** were put into running processes of `tmp`, **{} violations**. Written by\n\
         `cargo xtask crash{long} --seed {seed} --write` on {}, on Linux {}, {}; scenes on {}.\n\n\
         {RULES}\n## Results\n\n{}{KINDS}{PARTS}",
        results.points(),
        results.violations(),
        line("date", &["-u", "+%Y-%m-%d"]),
        line("uname", &["-r"]),
        cores(),
        file_system(&results.scratch),
        results.table(),
    )
}

const RULES: &str = "\
Each point disturbs one migration of a fresh copy of a reference package; then `tmp recover` runs twice. What must hold,
as a walker and a database reader see it that share no code with TMP: files and database are exactly as before or exactly as
after, both the same of the two; a migration that said it succeeded did, one that said it rolled back did so before
anything recovered it; the second `recover` finds nothing to do and changes nothing; nothing is left in the work
directory. Anything else, and a process that does not end, is a violation.

Every point has a number within its matrix, and every violation prints the command that repeats it:
`cargo xtask crash --seed S --point MATRIX/K`. `--point K` alone kills the migration of package `sqlite` before call K;
`--list` names the matrices, `--only NAME` runs one matrix, one kind or one package. Without `--long` a seeded sample of
each is tried, which is part of `cargo xtask test`.
";

const KINDS: &str = "
## The packages

| package | what is migrated |
|---|---|
| files | every kind of module: files, symlinks, hard links, a file for a directory and the reverse, attributes, removals |
| sqlite | the same with four SQL changes, one of them outside the transaction |
| atomic | the same, the whole tree exchanged by one rename |
| commands | files, SQLite, a control object, a batch step with what it writes, one with a roll-back command |
| failing | the same with a check that fails at the end: everything goes back after COMMIT |
| large | 347 files of 2.8 MiB together, up to 16 directories deep; 93 modules are put, 46 files removed |

## The matrices

| matrix | what is done |
|---|---|
| kill | SIGKILL before a call. Every system call of every thread counts, but those that only wait or manage memory and threads: their number is chance. The number is the same in three undisturbed runs; `failing` looks through the processes of the machine while it goes back, so there it is only nearly so |
| tear | half of a write happens, or a 32nd, then SIGKILL: at every call that writes; point: call.2 or call.32 |
| error | a call that changes something does not happen and returns ENOSPC, EIO, EDQUOT, EROFS, EMFILE, ENOMEM, EACCES or EINTR; once, or from then on. Point: call.errno.1 for from then on |
| read-error | the same for calls that look: EIO, ENOMEM, EACCES, EMFILE |
| short | a call that writes (or reads: short-read) moves half of the bytes and says so |
| twice, thrice | the migration is killed, then `recover`, then another `recover`; the decision never flips. One exception: a recovery that was going forward and dies inside a step takes everything back, since no step is run twice |
| signal | SIGTERM, SIGINT or SIGHUP before a call: success or an orderly rollback, exit code 0 or 10, and nothing left to recover |
| create, prune | SIGKILL of `tmp archive create` and `prune`: every archive reads back whole, the next command works |
| model | no process: the engine on a simulated disk that keeps the five rules (`crates/tmp-disk/src/lib.rs`) and nothing else. All 819 change sets of at most three operations of nine kinds, switched file by file, with and without exchange of names, and as a whole tree, also with a check that fails; at every effect a kill and power losses; some recoveries are struck at each of their effects, some disks lose power again after recovery. Point: case × 1000 + effect |
| reverse, rehearse | SIGKILL of `tmp reverse`, which ends before or after, and of `tmp rehearse`, which changes nothing |
| power-cut | killed before a call, or after the last, then the file system is shut down without writing anything more (`xfs_io -x -c shutdown`), mounted again |
| replay | a disk served over FUSE remembers every write and flush of a migration. For each request: what a loss of power there may leave. What was flushed is there; each block of 4 KiB written since is there, lost, or (ext4, but for its superblock) torn into sectors of 512 bytes: XFS and btrfs presume a disk that writes 4 KiB whole (with torn blocks one XFS image of 1,002 could not be mounted). Seven ways for each request, and nothing lost. Which requests there are differs a little from run to run |
| failing-disk | the disk refuses a flush and forgets what was written since the one before; or every write before a flush; or everything from a flush on. Then what is on the disk is mounted again |
| failed-sync | one sync of the migration returns EIO, then the power is cut |
| full, filled | no byte and no inode is left: after a kill, or from a call on. `recover` runs on the full disk. What was killed before it had a journal is no point |
| room, inodes, quota | so many KiB (at most 40 MiB) or inodes are left when it begins; btrfs by a quota. Quotas of ext4 and XFS are not built into the kernels that ran this |
| read-only | from a call on nothing can be written: ext4 as after an error of its disk (`remount,abort`), XFS shut down |

For the matrices of real file systems (from power-cut on) also: before `recover` runs every path of the tree holds the whole
old or the whole new content; every disk can be mounted; a sync that failed is not asked for again and not followed by
success. Two exceptions, by name: a migration that was committed durably before the disk failed says so in a `note` and ends
with 0; and SQLite does not look at the answer to the sync of the directory of its journal. Each matrix lies in mount
namespaces of its own, on loop devices over images of 96 MiB (ext4), 300 MiB (XFS), 160 MiB (btrfs) and 64 MiB (tmpfs, with
`ephemeral: true`).

EINTR from then on is the one error that a process may meet for ever: what was interrupted is tried again, by SQLite and
by Rust's library, so such a process is stopped after 20,000 attempts and counts as killed. The notes say how many.
";

const PARTS: &str = "
## The model at length

Every change set, with eight losses of power at each effect; written by `cargo xtask crash --only model --long --write`.

<!-- model -->
<!-- /model -->

## Deliberate faults

Built into a build of its own, one at a time; written by `cargo xtask mutants --write`.

<!-- mutants -->
<!-- /mutants -->
";

/// What a program says in one line; nothing where it cannot be started.
fn line(program: &str, words: &[&str]) -> String {
    shell::read(Command::new(program).args(words)).unwrap_or_default().trim().to_owned()
}

fn cores() -> String {
    match std::thread::available_parallelism() {
        Ok(count) => format!("{count} cores"),
        Err(_) => "an unknown number of cores".into(),
    }
}

fn file_system(folder: &Path) -> String {
    let folder = folder.parent().filter(|folder| folder.exists()).unwrap_or(folder);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let longest = fields
        .filter_map(|fields| Some((Path::new(*fields.get(1)?).to_owned(), (*fields.get(2)?).to_owned())))
        .filter(|(mount, _)| folder.starts_with(mount))
        .max_by_key(|(mount, _)| mount.as_os_str().len());
    longest.map_or_else(|| "an unknown file system".into(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::crash::proof::Choice;

    #[test]
    fn what_other_runs_wrote_stays() {
        let results = Results::new(Choice { long: true, seed: 7 }, Path::new("/nowhere"));
        let first = page(&results, "");
        assert!(first.contains("crash --long --seed 7 --write"));
        let filled = with_part(&with_part(&first, MODEL, "states"), mutants::PART, "| a fault |");
        assert_eq!(page(&results, &filled), filled);
        assert_ne!(filled, first);
    }
}
