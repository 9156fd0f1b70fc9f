//! Runs cases in turn and says what each run took.

use std::{fs, process::Stdio, time::Instant};

use super::{
    case::{Case, Role},
    machine,
    setting::Setting,
    watch::Watch,
};
use crate::Done;

/// Processors busy with other things at which a run counts as disturbed.
const DISTURBED: f64 = 0.35;

/// One run.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Seconds until the script had ended.
    pub(super) wall: f64,
    /// Seconds of processor time of all its processes.
    pub(super) cpu: f64,
    /// The most memory that one of its processes had, in KiB.
    pub(super) peak: f64,
    /// Bytes of what it made.
    pub(super) size: Option<f64>,
    /// Seconds between the first and the last visible change.
    pub(super) mixture: Option<f64>,
    /// Whether others kept the machine busy.
    pub(super) disturbed: bool,
    /// The last line that it wrote.
    pub(super) said: String,
}

/// What came of a case.
#[derive(Debug)]
pub(super) enum Outcome {
    Measured(Vec<Sample>),
    /// The program is not installed.
    Missing(&'static str),
    /// It did not do what it should.
    Failed(String),
}

/// A case with what came of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) outcome: Outcome,
}

/// Runs every case in turn, as often as the setting says, after `round` has prepared the round.
pub(super) fn measure(
    setting: &Setting,
    cases: &[Case],
    mut round: impl FnMut(usize) -> Done,
) -> Done<Vec<Row>> {
    let mut rows: Vec<_> = cases
        .iter()
        .map(|case| Row {
            name: case.name.clone(),
            role: case.role,
            outcome: if setting.has(case.needs) {
                Outcome::Measured(Vec::new())
            } else {
                Outcome::Missing(case.needs)
            },
        })
        .collect();
    for number in 0..setting.runs {
        round(number)?;
        for (case, row) in cases.iter().zip(&mut rows) {
            let Outcome::Measured(samples) = &mut row.outcome else { continue };
            if number >= case.most {
                continue;
            }
            match once(setting, case) {
                Ok(sample) => {
                    println!(
                        "  {} {:.3} s, {:.0} MiB {}",
                        case.name,
                        sample.wall,
                        sample.peak / 1024.0,
                        sample.said
                    );
                    samples.push(sample);
                }
                Err(error) => {
                    println!("  {} FAILED: {error}", case.name);
                    row.outcome = Outcome::Failed(error.to_string());
                }
            }
        }
    }
    Ok(rows)
}

/// Runs a case once. GNU time says what its processes used: `wait4` adds up their processor time and keeps the
/// largest memory of one.
fn once(setting: &Setting, case: &Case) -> Done<Sample> {
    if case.fresh {
        setting.scratch.fresh()?;
    }
    setting.script(&format!("{}\nsync", case.before))?;
    machine::wait_until_quiet(setting.patience);
    let folder = tempfile::tempdir()?;
    let (used, output) = (folder.path().join("used"), folder.path().join("output"));
    let script = setting.bash(&case.command);
    let mut command = std::process::Command::new("/usr/bin/time");
    command.args(["-q", "-f", "%U %S %M", "-o"]).arg(&used).arg(script.get_program());
    setting.variables(command.args(script.get_args()));
    let file = fs::File::create(&output)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let watch = case.watched.then(|| Watch::start(&setting.scratch.path().join("target"))).transpose()?;
    let (worked, start) = (machine::worked(), Instant::now());
    let status = command.status()?;
    let wall = start.elapsed().as_secs_f64();
    let worked = machine::worked() - worked;
    let mixture = watch.map(Watch::stop).transpose()?.flatten();
    let said = fs::read_to_string(&output)?;
    if !status.success() {
        return Err(format!("{}: {status}: {}", case.command, tail(&said)).into());
    }
    setting.script(&case.after)?;
    let used = fs::read_to_string(&used)?;
    let used: Vec<f64> = used.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[user, system, peak] = used.as_slice() else { return Err("GNU time said nothing".into()) };
    let size = if case.weigh.is_empty() {
        None
    } else {
        Some(setting.script(&format!("du -scB1 {} | tail -n 1 | cut -f 1", case.weigh))?.parse()?)
    };
    let others = (worked - user - system) / wall;
    let disturbed = wall > 0.2 && others > DISTURBED;
    let said = said.lines().last().unwrap_or_default().chars().take(200).collect();
    Ok(Sample { wall, cpu: user + system, peak, size, mixture, disturbed, said })
}

/// The end of what a command said, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(4).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}
