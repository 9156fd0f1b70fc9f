//! W1 and W2: the first full archive of a tree, and the ones after it.

use std::{fs, path::Path, thread, time::Duration};

use super::{
    case::Case,
    measure::measure,
    setting::Setting,
    table::{Goal, Section, best, median, size, wall},
};
use crate::Done;

/// TMP's site over a tree: `site ROOT WORK STATE-FOLDER`. The work directory is on the root's file system.
pub(super) const SITE: &str = "site() { mkdir -p $3; printf 'schema: tmp/v1\nstate: state\npolicy: {commands: allowed}\n\
systems: {real: {model: {sites: {here: {root: %s, work: %s}}}}}\n' $1 $2 > $3/tmp.yaml; }\n";

const PEERS: [&str; 5] = ["restic", "rustic", "borg, lz4", "ostree, bare", "git add + commit"];

/// W1.
pub(super) fn first(setting: &Setting) -> Done<Section> {
    setting.prepared()?;
    let git =
        "export GIT_DIR=$M/git GIT_WORK_TREE=$A; cd $A; git add -A -f && git commit -q -m a && sync -f $M";
    let cases = [
        Case::ours("tmp archive create", "$TMP --config $M/site/tmp.yaml archive create")
            .before(&format!("{SITE} site $A $R/work $M/site"))
            .weigh("$M/site/state/archive"),
        Case::peer("restic", "restic", "cd $A && restic -q --no-cache -r $M/restic backup . && sync -f $M")
            .before("restic -q -r $M/restic init")
            .weigh("$M/restic")
            .most(3),
        Case::peer("rustic", "rustic", "cd $A && rustic -r $M/rustic --no-progress backup . && sync -f $M")
            .before("rustic -r $M/rustic init")
            .weigh("$M/rustic")
            .most(3),
        Case::peer("borg", "borg, lz4", "cd $A && borg create -C lz4 $M/borg::a . && sync -f $M")
            .before("borg init -e none $M/borg")
            .weigh("$M/borg")
            .most(3),
        Case::peer("borg", "borg, zstd 1", "cd $A && borg create -C zstd,1 $M/borg::a . && sync -f $M")
            .before("borg init -e none $M/borg")
            .weigh("$M/borg")
            .most(2),
        Case::peer("ostree", "ostree, bare", "ostree --repo=$M/ostree commit -b m -s a --tree=dir=$A")
            .before("ostree --repo=$M/ostree init --mode=bare")
            .weigh("$M/ostree")
            .most(3),
        Case::peer("git", "git add + commit", git)
            .before("git init -q --bare $M/git")
            .weigh("$M/git")
            .most(3),
        Case::peer("casync", "casync", "cd $M && casync make --store=$M/s.castr a.caidx $A && sync -f $M")
            .weigh("$M/s.castr $M/a.caidx")
            .most(2),
        Case::peer("bup", "bup", "bup -d $M/bup index $A && bup -d $M/bup save -q -n a $A && sync -f $M")
            .before("bup -d $M/bup init")
            .weigh("$M/bup")
            .most(2),
        Case::floor("tar, no digest, no compression", "tar -C $A -cf $M/a.tar . && sync $M/a.tar")
            .weigh("$M/a.tar"),
        Case::floor("tar with zstd -1", "tar -C $A -cf - . | zstd -q -1 -o $M/a.tzst && sync $M/a.tzst")
            .weigh("$M/a.tzst"),
    ]
    .map(Case::fresh);
    let rows = measure(setting, &cases, |_| Ok(()))?;
    let ours = "tmp archive create";
    let goals = vec![
        Goal::ratio("time, of the best peer's", median(&rows, ours, wall), best(&rows, &PEERS, wall), 0.35),
        Goal::ratio(
            "size, of the smallest peer's",
            median(&rows, ours, size),
            best(&rows, &PEERS, size),
            1.05,
        ),
    ];
    let note = "Fresh, warm, durable at the end.\n";
    Ok(Section { title: "W1: first full archive".into(), note: note.into(), rows, goals })
}

/// W2.
pub(super) fn again(setting: &Setting) -> Done<Section> {
    setting.prepared()?;
    setting.scratch.fresh()?;
    setting.script(&format!("{SITE} cp -a $A $M/t; site $M/t $M/work $M/site; git init -q --bare $M/git"))?;
    for (program, script) in [
        ("restic", "restic -q --cache-dir $M/cache -r $M/restic init"),
        ("rustic", "rustic -r $M/rustic init"),
        ("borg", "borg init -e none $M/borg"),
    ] {
        if setting.has(program) {
            setting.script(script)?;
        }
    }
    let cases = tools();
    let unchanged: Vec<_> = [
        Case::floor("bare stat walk, two threads", "$FLOOR walk $M/t 2"),
        Case::peer("git", "git status", &format!("{GIT} git status --porcelain > /dev/null")),
    ]
    .into_iter()
    .chain(cases.clone())
    .collect();
    // The first archive of each, and time enough that no file is as new as what a cache knows of it.
    for case in cases.iter().filter(|case| setting.has(case.needs)) {
        setting.script(&case.command).map_err(|error| format!("{}: {error}", case.name))?;
    }
    settle();
    let mut rows = measure(setting, &unchanged, |_| Ok(()))?;
    let ours = median(&rows, OURS, wall);
    let mut goals = vec![
        Goal::ratio(
            "unchanged, of a bare stat walk",
            ours,
            median(&rows, "bare stat walk, two threads", wall),
            1.25,
        ),
        Goal::ratio("unchanged, of `git status`", ours, median(&rows, "git status", wall), 1.0),
    ];
    let changed: Vec<_> =
        cases.into_iter().map(|case| Case { name: format!("{}, 1 % changed", case.name), ..case }).collect();
    let after = measure(setting, &changed, |round| {
        change(&setting.scratch.path().join("t"), round)?;
        settle();
        Ok(())
    })?;
    let with = |name: &str| median(&after, &format!("{name}, 1 % changed"), wall);
    goals.extend([
        Goal::ratio("1 % changed, of rustic", with(OURS), with("rustic"), 0.1),
        Goal::ratio("1 % changed, of git add + commit", with(OURS), with("git add + commit"), 0.3),
    ]);
    rows.extend(after);
    let note = "Warm; every tool has archived the tree before; trees and archives on one ext4. A changed file has a line more in \
                its middle.\n";
    Ok(Section { title: "W2: archive again".into(), note: note.into(), rows, goals })
}

const OURS: &str = "tmp archive create";
const GIT: &str = "export GIT_DIR=$M/git GIT_WORK_TREE=$M/t; cd $M/t;";

/// Everybody's archive of `$M/t`.
fn tools() -> Vec<Case> {
    let git = format!("{GIT} git add -A -f; git diff --cached --quiet || git commit -q -m x; sync -f $M");
    vec![
        Case::ours(OURS, "$TMP --config $M/site/tmp.yaml archive create"),
        Case::peer("git", "git add + commit", &git),
        Case::peer(
            "restic",
            "restic",
            "cd $M/t; restic -q --cache-dir $M/cache -r $M/restic backup .; sync -f $M",
        )
        .most(3),
        Case::peer("rustic", "rustic", "cd $M/t; rustic -r $M/rustic --no-progress backup .; sync -f $M")
            .most(3),
        Case::peer("borg", "borg", "cd $M/t; borg create -C lz4 $M/borg::a$(date +%s%N) .; sync -f $M")
            .most(3),
    ]
}

/// Lets the clock of the file system go on.
fn settle() {
    thread::sleep(Duration::from_millis(1200));
}

/// Puts a line into the middle of every hundredth file, others in each round. Returns how many.
pub(super) fn change(root: &Path, round: usize) -> Done<usize> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => directories.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    let chosen: Vec<_> = files.iter().skip(round % 100).step_by(100).collect();
    for path in &chosen {
        let mut content = fs::read(path)?;
        let middle = content.len() / 2;
        content.splice(middle..middle, format!("\nchanged in round {round}\n").into_bytes());
        fs::write(path, content)?;
    }
    Ok(chosen.len())
}
