//! W4 and W5: from one release to the next, and how long old and new could be seen together.

use super::{
    archive::SITE,
    case::Case,
    measure::{Outcome, Row, Sample, measure},
    setting::Setting,
    table::{Goal, Section, median, wall},
};
use crate::Done;

const OURS: &str = "tmp run";
const ATOMIC: &str = "tmp run, switch: atomic";
const BACK: &str = "tmp run, refused by its check and rolled back";
const REVERSE: &str = "tmp reverse";
const RSYNC: &str = "rsync -a --delete + sync -f";

/// The folders of the enhancements: the difference of the releases, and the same with a check that fails.
const PREPARE: &str = "enhancement() { mkdir -p $R/$1; printf 'schema: tmp/enhancement/v1\\nid: %s\\nrevision: 1\\ntitle: Next\\n\
system: real\\ndeveloper: {name: bench, email: bench@example.org}\\n%s\\n' $1 \"$2\" > $R/$1/enhancement.yaml; \
$TMP package $R/$1 -o $R/$1.trigger --from $OLD --to $NEW; }\n\
enhancement next ''\nenhancement refused 'verify: [{name: refuses, run: [\"false\"]}]'\n\
git init -q --bare $R/git; export GIT_DIR=$R/git; cd $R\n\
for tree in $OLD $NEW; do git --work-tree=$tree add -A -f; git --work-tree=$tree commit -q -m x; done\n\
git tag vA HEAD~1; git tag vB HEAD; git repack -q -a -d --depth=1 --window=0\n\
tar -C $NEW -cf $R/new.tar .";

/// W4.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    prepare(setting)?;
    let mut cases = tools();
    cases.push(
        Case::ours(
            BACK,
            "code=0; $TMP --config $M/tmp.yaml run $R/refused.trigger --now --reason bench || code=$?; [ $code = 10 ]",
        )
        .fresh()
        .before(&site())
        .after("[ -z \"$(diff -rq --no-dereference $OLD $M/target)\" ]"),
    );
    cases.push(
        Case::ours(REVERSE, "$TMP --config $M/tmp.yaml reverse next --reason bench --confirm next")
            .fresh()
            .before(&format!(
                "{}; $TMP --config $M/tmp.yaml run $R/next.trigger --now --reason bench",
                site()
            ))
            .after("[ -z \"$(diff -rq --no-dereference $OLD $M/target)\" ]"),
    );
    let rows = measure(setting, &cases, |_| Ok(()))?;
    let of = |name: &str| median(&rows, name, wall);
    // A migration that is refused at its end has done all that one that succeeds does but for cleaning up.
    let back = of(BACK).zip(of(OURS)).map(|(both, forward)| both - forward);
    let goals = vec![
        Goal::ratio("of rsync -a --delete + sync -f", of(OURS), of(RSYNC), 1.0),
        Goal::ratio("rolling back, of the migration", back, of(OURS), 1.0),
    ];
    let note = "Fresh, warm, files only, each case starts at the old release; TMP archives, keeps its journal and could go back. \
                Rolling back is what the refused run takes beyond the one that succeeds.\n";
    Ok(Section { title: "W4: from release to release".into(), note: note.into(), rows, goals })
}

/// W5.
pub(super) fn mixture(setting: &Setting) -> Done<Section> {
    prepare(setting)?;
    let mut cases: Vec<_> = tools();
    cases.retain(|case| case.name != FLIP && case.name != OSTREE);
    let atomic = format!("{}; sed -i 's/work: .tmp-work/&, switch: atomic/' $M/tmp.yaml", site());
    cases.insert(1, Case::ours(ATOMIC, RUN).fresh().before(&atomic).after(SAME));
    let cases: Vec<_> = cases.into_iter().map(Case::watched).collect();
    let mut rows = measure(setting, &cases, |_| Ok(()))?;
    let seen = |sample: &Sample| sample.mixture;
    let goals = vec![
        Goal::ratio(
            "seen, of rsync's",
            median(&rows, OURS, seen),
            median(&rows, "rsync -a --delete", seen),
            0.02,
        ),
        Goal::ratio(
            "reported, of rsync's",
            reported(&rows, OURS),
            median(&rows, "rsync -a --delete", seen),
            0.02,
        ),
        Goal::ratio(
            "reported with switch: atomic, of rsync's",
            reported(&rows, ATOMIC),
            median(&rows, "rsync -a --delete", seen),
            0.02,
        ),
    ];
    rows.retain(|row| !matches!(row.outcome, Outcome::Missing(_)));
    let reported = reported(&rows, OURS).zip(reported(&rows, ATOMIC)).map_or(String::new(), |(files, atomic)| {
        format!(
            " TMP itself reports {:.2} ms, and {:.3} ms for the one rename of a whole tree, from the journal's clock around \
             the switch.",
            files * 1e3,
            atomic * 1e3
        )
    });
    let note = format!(
        "The time from the first to the last change that inotify sees in the directories of the target (names that come and \
         go, content written), read every 0.1 ms. Copying beside and flipping one symlink is one rename: no mixture for \
         whoever opens every file through the link.{reported}\n"
    );
    Ok(Section { title: "W5: how long old and new can be seen together".into(), note, rows, goals })
}

/// The median of what TMP reports as mixture, in seconds.
fn reported(rows: &[Row], name: &str) -> Option<f64> {
    median(rows, name, |sample| {
        let (_, rest) = sample.said.split_once("mixture_us=")?;
        Some(rest.trim().parse::<f64>().ok()? / 1e6)
    })
}

fn prepare(setting: &Setting) -> Done {
    setting.prepared()?;
    setting.script(PREPARE)?;
    Ok(())
}

/// The old release as a site.
fn site() -> String {
    format!("{SITE} cp -a $OLD $M/target; site target .tmp-work $M")
}

/// The last line that it says is kept: the mixture out of its report.
const RUN: &str = "$TMP --config $M/tmp.yaml --json run $R/next.trigger --now --reason bench | tee $M/report.json; \
                   grep -o '\"mixture_us\": *[0-9]*' $M/report.json | tail -n 1 | sed 's/.*: */mixture_us=/'";
/// The new release is there.
const SAME: &str = "[ -z \"$(diff -rq --no-dereference $NEW $M/target)\" ]";
const FLIP: &str = "cp -a + flip of a symlink + sync -f";
const OSTREE: &str = "ostree checkout of links + flip + sync -f";

/// Everybody's way to the new release.
fn tools() -> Vec<Case> {
    let old = "cp -a $OLD $M/target";
    let rsync = "rsync -a --delete $NEW/ $M/target/";
    let git = "export GIT_DIR=$M/git GIT_WORK_TREE=$M/target; cd $M/target;";
    let git_before = format!(
        "{old}; cp -a $R/git $M/git; {git} git reset -q vA; git update-index -q --refresh; sleep 1.1"
    );
    let checkout = format!("{git} git checkout -q -f vB");
    let flip = "ln -sfn $1 $M/.new && mv -T $M/.new $M/current; sync -f $M";
    let ansible = "cd $M; printf -- '- hosts: localhost\\n  connection: local\\n  gather_facts: false\\n  tasks:\\n  - ansible.posix.synchronize: \
                   {src: %s/, dest: %s/target/, delete: true, recursive: true, archive: true}\\n' $NEW $M > play.yml; \
                   ansible-playbook -i localhost, play.yml; sync -f $M";
    let ostree_before = "ostree --repo=$M/ostree init --mode=bare-user-only; for tree in $OLD $NEW; do ostree --repo=$M/ostree commit \
                         --disable-fsync -b $(basename $(dirname $tree) | tr -d =) -s x --tree=dir=$tree; done";
    let new_branch = "$(basename $(dirname $NEW) | tr -d =)";
    let cases = vec![
        Case::ours(OURS, RUN).before(&site()).after(SAME),
        Case::peer("rsync", "rsync -a --delete", rsync).before(old).after(SAME),
        Case::peer("rsync", RSYNC, &format!("{rsync}; sync -f $M")).before(old).after(SAME),
        Case::peer("rsync", "rsync -a --delete --fsync + sync -f", &format!("{rsync} --fsync; sync -f $M"))
            .before(old)
            .after(SAME),
        Case::peer(
            "rsync",
            "rsync -a --delete --backup-dir + sync -f",
            &format!("{rsync} --backup --backup-dir=$M/kept; sync -f $M"),
        )
        .before(old)
        .after(SAME),
        Case::peer("git", "git checkout", &checkout).before(&git_before).after(SAME),
        Case::peer("git", "git checkout + sync -f", &format!("{checkout}; sync -f $M"))
            .before(&git_before)
            .after(SAME),
        Case::peer("true", FLIP, &format!("cp -a $NEW $M/second; sync -f $M; set -- second; {flip}")).before(old),
        Case::peer(
            "ostree",
            OSTREE,
            &format!("ostree --repo=$M/ostree checkout -H {new_branch} $M/second; sync -f $M; set -- second; {flip}"),
        )
        .before(ostree_before),
        Case::peer("ansible-playbook", "Ansible, synchronize", ansible).before(old).after(SAME).most(3),
    ];
    cases.into_iter().map(Case::fresh).collect()
}
