//! W7: nothing to do.

use std::{process::Stdio, time::Instant};

use super::{
    archive::SITE,
    case::Role,
    machine,
    measure::{Outcome, Row, Sample},
    setting::Setting,
    table::{Goal, Section, median, wall},
};
use crate::Done;

/// Starts of each program for each run that the setting asks for.
const STARTS: usize = 40;
const STATUS: &str = "tmp status";
const NOTHING: &str = "an empty process";

/// W7.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    setting.prepared()?;
    setting.scratch.fresh()?;
    let package = "mkdir -p $R/next; printf 'schema: tmp/enhancement/v1\\nid: next\\nrevision: 1\\ntitle: Next\\nsystem: real\\n\
                   developer: {name: bench, email: bench@example.org}\\n' > $R/next/enhancement.yaml; \
                   $TMP package $R/next -o $M/next.trigger --from $OLD --to $NEW";
    let migrate = "$TMP --config $M/tmp.yaml run $M/next.trigger --now --reason bench";
    setting
        .script(&format!("{SITE} cp -a $OLD $M/target; site target .tmp-work $M; {package}; {migrate}"))?;
    setting.script("cp -a $OLD $M/source; git init -q $M/source; cd $M/source; git add -A -f; git commit -q -m a; sleep 1.2; git status")?;
    for (program, script) in [
        (
            "restic",
            "restic -q --cache-dir $M/cache -r $M/restic init; cd $OLD; restic -q --cache-dir $M/cache -r $M/restic backup .",
        ),
        (
            "sqitch",
            "mkdir $M/plan; cd $M/plan; sqitch init t --engine sqlite --target db:sqlite:$M/s.db; sqitch add one -n one; sqitch deploy --no-verify",
        ),
    ] {
        if setting.has(program) {
            setting.script(script)?;
        }
    }
    let programs: [(&str, Role, &'static str, &str, usize); 8] = [
        (NOTHING, Role::Floor, "true", "exec $FLOOR nothing", 1),
        ("/bin/true", Role::Floor, "true", "exec /bin/true", 1),
        (STATUS, Role::Ours, "true", "exec $TMP --config $M/tmp.yaml status", 1),
        (
            "tmp run of what is in place",
            Role::Ours,
            "true",
            "exec $TMP --config $M/tmp.yaml run $M/next.trigger --now --reason bench",
            8,
        ),
        ("git --version", Role::Peer, "git", "exec git --version", 1),
        ("git status, 3,700 files", Role::Peer, "git", "exec git -C $M/source status --porcelain", 1),
        ("sqitch status", Role::Peer, "sqitch", "cd $M/plan; exec sqitch status", 20),
        (
            "restic snapshots",
            Role::Peer,
            "restic",
            "exec restic -q --cache-dir $M/cache -r $M/restic snapshots",
            20,
        ),
    ];
    let mut rows = Vec::new();
    for (name, role, needs, ..) in &programs {
        let outcome =
            if setting.has(needs) { Outcome::Measured(Vec::new()) } else { Outcome::Missing(needs) };
        rows.push(Row { name: (*name).to_owned(), role: *role, outcome });
    }
    machine::wait_until_quiet(setting.patience);
    // One of each after the other, so that whatever disturbs disturbs all of them.
    for number in 0..setting.runs * STARTS {
        for ((.., script, rarely), row) in programs.iter().zip(&mut rows) {
            let Outcome::Measured(samples) = &mut row.outcome else { continue };
            if number % rarely == 0 {
                samples.push(start(setting, script)?);
            }
        }
    }
    let above = median(&rows, STATUS, wall)
        .zip(median(&rows, NOTHING, wall))
        .map(|(ours, nothing)| (ours - nothing) * 1e3);
    let goals = vec![Goal {
        what: "`tmp status` above an empty process".into(),
        measured: above,
        limit: 5.0,
        unit: " ms",
    }];
    let note = "Each through one bash, whose start is in every figure; warm; one migration of a release is in the journal. \
                Processor time and memory are not taken here.\n";
    Ok(Section { title: "W7: nothing to do".into(), note: note.into(), rows, goals })
}

fn start(setting: &Setting, script: &str) -> Done<Sample> {
    let mut command = setting.bash(script);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{script}: {status}").into());
    }
    Ok(Sample { wall, ..Sample::default() })
}
