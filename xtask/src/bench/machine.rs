//! The machine: what it is, what it can do at least, and whether others keep it busy.

use std::{
    fmt::Write as _,
    fs, thread,
    time::{Duration, Instant},
};

use super::{
    case::Case,
    measure::{Outcome, measure},
    setting::Setting,
    table,
};
use crate::Done;

/// Clock ticks in a second that /proc/stat counts in (`USER_HZ`, 100 on every Linux of today).
const TICKS: f64 = 100.0;
/// Processors busy at which the machine counts as quiet.
const QUIET: f64 = 0.15;

/// Seconds that all processors together have worked since the start.
pub(super) fn worked() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let numbers: Vec<f64> = first.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, then (after idle and waiting) interrupts, soft interrupts and what the host took.
    [0, 1, 2, 5, 6, 7].iter().filter_map(|at| numbers.get(*at)).sum::<f64>() / TICKS
}

/// Waits until others let the machine rest, but not for longer than `patience`.
pub(super) fn wait_until_quiet(patience: Duration) {
    let start = Instant::now();
    while start.elapsed() < patience {
        let (before, pause) = (worked(), Duration::from_millis(400));
        thread::sleep(pause);
        if (worked() - before) / pause.as_secs_f64() < QUIET {
            return;
        }
    }
}

/// What the machine is.
pub(super) fn description() -> String {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(':'));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let flags = line("/proc/cpuinfo", "flags");
    let has = |flag: &str| if flags.split(' ').any(|word| word == flag) { "with" } else { "without" };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{processors} processors ({}, {} SHA instructions, {} AVX-512), {} of memory, Linux {}.",
        line("/proc/cpuinfo", "model name"),
        has("sha_ni"),
        has("avx512f"),
        line("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

/// The versions of the other tools, as they say themselves.
pub(super) fn versions(setting: &Setting) -> String {
    let version = |tool: &&str| {
        let said = setting.script(&format!("{tool} --version 2> /dev/null || {tool} version")).ok()?;
        let line =
            said.lines().map(str::trim).find(|line| line.contains(|c: char| c.is_ascii_digit()))?.to_owned();
        Some(if line.contains(*tool) { line } else { format!("{tool} {line}") })
    };
    let found: Vec<_> = TOOLS.iter().filter(|tool| setting.has(tool)).filter_map(version).collect();
    format!("Tools: {}.\n", found.join("; "))
}

const TOOLS: [&str; 18] = [
    "restic",
    "rustic",
    "borg",
    "ostree",
    "git",
    "casync",
    "bup",
    "rsync",
    "tar",
    "zstd",
    "sqlite3",
    "sqitch",
    "alembic",
    "yoyo",
    "sqlx",
    "refinery",
    "dbmate",
    "ansible-playbook",
];

/// What the machine can do at least, as a table.
pub(super) fn floors(setting: &Setting) -> Done<String> {
    setting.scratch.fresh()?;
    setting.script(
        "find $A -type f -print0 | xargs -0 cat 2> /dev/null | head -c 268435456 > $M/sample || true; find $A > /dev/null",
    )?;
    let entries = setting.script("find $A | wc -l")?.parse::<f64>()?;
    let bytes = setting.script("stat -c %s $M/sample")?.parse::<f64>()? / 1e9;
    let floors: [(&str, &str, f64, &str); 9] = [
        (
            "sequential write with fsync",
            "dd if=$M/sample of=$M/out bs=4M conv=fsync status=none",
            bytes,
            "GB/s",
        ),
        ("sequential read, warm", "cat $M/sample > /dev/null", bytes, "GB/s"),
        ("SHA-256 of one file (sha256sum)", "sha256sum $M/sample > /dev/null", bytes, "GB/s"),
        ("zstd -1, one thread", "zstd -q -1 -c $M/sample > /dev/null", bytes, "GB/s"),
        ("stat walk, one thread", "$FLOOR walk $A 1", entries, "entries/s"),
        ("stat walk, two threads", "$FLOOR walk $A 2", entries, "entries/s"),
        (
            "create, write 4 KiB, fsync, rename, one by one",
            "rm -rf $M/files; $FLOOR create $M/files 1000 4096",
            1000.0,
            "files/s",
        ),
        ("journal record of 4 KiB with fdatasync", "$FLOOR append $M/journal 1000", 1000.0, "records/s"),
        ("an empty process under bash", "$FLOOR nothing", 1.0, "processes/s"),
    ];
    let cases: Vec<_> = floors.iter().map(|(name, command, ..)| Case::floor(name, command)).collect();
    let rows = measure(setting, &cases, |_| Ok(()))?;
    let mut text = String::from("\n| floor | figure | seconds |\n|---|---|---|\n");
    for (row, (name, _, amount, unit)) in rows.iter().zip(&floors) {
        let Outcome::Measured(samples) = &row.outcome else { continue };
        let seconds = table::spread(samples.iter().map(|sample| sample.wall));
        let rate = amount / seconds.median;
        let rate = if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.0}") };
        writeln!(text, "| {name} | {rate} {unit} | {seconds} |")?;
    }
    Ok(text)
}
