//! Every parser of foreign bytes against a fuzzer that is led by coverage: the targets of `fuzz/`.
//!
//! The instrumentation is LLVM's own, asked for by flags that the stable compiler takes; they are those that cargo-fuzz
//! sets without a sanitizer.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use crate::{
    Done,
    arguments::Arguments,
    shell::{self, cargo, works},
};

/// How long each target is run, in seconds.
const SECONDS: u64 = 20;

/// How many targets run at once.
const WORKERS: usize = 2;

/// The most memory a target may take, in MiB, and the longest that one input may take, in seconds.
const LIMITS: [&str; 2] = ["-rss_limit_mb=256", "-timeout=10"];

const FLAGS: [&str; 7] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Builds the targets and runs each on its corpus, on what was found before, and then on what it makes of them. Fails
/// where one does not come back from an input, and says which.
pub(crate) fn run(words: &[String]) -> Done {
    let flags = Arguments::with_words(words, &[], &["--seconds"], &["--only"])?;
    let seconds = flags.number("--seconds").unwrap_or(SECONDS);
    if !works(Command::new("c++").arg("--version")) {
        return Err("c++ is needed to build the fuzzer and does not start: install g++ and try again".into());
    }
    let folder = shell::workspace().join("fuzz");
    let mut targets = names(&folder.join("targets"))?;
    if let Some(only) = flags.word("--only") {
        targets.retain(|target| target == only);
        if targets.is_empty() {
            return Err(format!("no target is called {only}: see fuzz/targets").into());
        }
    }
    let output = shell::target_directory()?.join("fuzz");
    let programs = build(&folder, &output, &targets)?;
    let (next, failed) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let take = || next.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(target) = take() {
                    match attempt(&folder, &output, &programs.join(target), seconds) {
                        Ok(told) => println!("{target:14} {told}"),
                        Err(error) => {
                            if let Ok(mut failed) = failed.lock() {
                                failed.push(format!("{target}: {error}"));
                            }
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().map_err(|_| "a worker panicked")?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// The targets, by the names of their files.
fn names(folder: &Path) -> Done<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.path().file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds targets and answers the folder of their programs. For a named machine, because only then what runs while
/// building is not instrumented.
fn build(folder: &Path, output: &Path, targets: &[String]) -> Done<PathBuf> {
    let version = shell::read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let mut command = cargo();
    command.current_dir(folder).args(["build", "--quiet", "--locked", "--release", "--target", host]);
    command.arg("--target-dir").arg(output).env("RUSTFLAGS", FLAGS.join(" "));
    command.args(targets.iter().flat_map(|target| ["--bin", target]));
    shell::run(&mut command)?;
    Ok(output.join(host).join("release"))
}

/// Runs one target and answers what it came to.
fn attempt(folder: &Path, output: &Path, program: &Path, seconds: u64) -> Done<String> {
    let target = program.file_name().unwrap_or_default();
    let (found, artifacts) = (output.join("corpus").join(target), output.join("artifacts").join(target));
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(program);
    command.args(LIMITS).args(["-print_final_stats=1", &format!("-max_total_time={seconds}")]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(found);
    for given in ["corpus", "regressions"].map(|kind| folder.join(kind).join(target)) {
        if given.is_dir() {
            command.arg(given);
        }
    }
    let ended = command.output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if ended.status.success() {
        return Ok(summary(&said));
    }
    let skipped = said.lines().count().saturating_sub(60);
    let end = said.lines().skip(skipped).collect::<Vec<_>>().join("\n");
    Err(format!("{end}\nkeep the input in fuzz/regressions/{} with what mends it", target.display()).into())
}

/// Executions, coverage and memory, from what libFuzzer writes.
fn summary(said: &str) -> String {
    let stats: BTreeMap<&str, &str> =
        said.lines().filter_map(|line| line.strip_prefix("stat::")?.split_once(':')).collect();
    let stat = |name: &str| stats.get(name).map_or("?", |value| value.trim());
    let mut words = said.split_whitespace().rev();
    // Backwards the number stands before its name.
    let mut number = "?";
    let covered = words.find_map(|word| {
        let found = (word == "cov:").then_some(number);
        number = word;
        found
    });
    format!(
        "{} executions, {} edges covered, at most {} MiB",
        stat("number_of_executed_units"),
        covered.unwrap_or("?"),
        stat("peak_rss_mb")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_says_is_summed_up() {
        let said = "#2 INITED cov: 10 ft: 11 corp: 1/1b\n#9 DONE   cov: 345 ft: 600 corp: 2/9b\n\
                    stat::number_of_executed_units: 9000\nstat::peak_rss_mb:              61\n";
        assert_eq!(summary(said), "9000 executions, 345 edges covered, at most 61 MiB");
        assert_eq!(summary(""), "? executions, ? edges covered, at most ? MiB");
    }

    #[test]
    fn every_target_is_built_and_has_a_corpus() {
        let folder = shell::workspace().join("fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let targets = names(&folder.join("targets")).unwrap();
        assert!(targets.len() >= 6, "{targets:?}");
        for target in targets {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
            assert!(fs::read_dir(folder.join("corpus").join(&target)).unwrap().count() > 0, "{target}");
        }
    }
}
