//! W3: everything restored to an empty root, and one file in a hundred put back in place.

use super::{
    archive::{SITE, change},
    case::Case,
    measure::{Row, measure},
    setting::Setting,
    table::{Goal, Section, best, median, wall},
};
use crate::Done;

/// W3.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    let prepared = setting.prepared()?;
    // Half of an archive that is written while others fill the cache would be read from disk: everything is read once.
    for (program, script) in ARCHIVES {
        if setting.has(program) {
            setting.script(&format!("{SITE} {script}")).map_err(|error| format!("{program}: {error}"))?;
        }
    }
    setting.script("find $R -type f -print0 | xargs -0 cat > /dev/null")?;
    let mut rows = measure(setting, &whole(), |_| Ok(()))?;
    // What is broken in the second part, as a tar file that is laid over a copy of the tree.
    setting.script("cp -a $A $R/broken")?;
    change(&prepared.join("broken"), 77)?;
    setting.script(
        "cd $R/broken; find . -type f -newer $R/a.tar -print0 | tar -cf $R/broken.tar --null -T -; rm -r $R/broken",
    )?;
    let in_place = in_place(setting)?;
    let of = |name: &str, rows: &[Row]| median(rows, name, wall);
    let digests = ["restic", "rustic", "borg", "ostree"];
    let goals = vec![
        Goal::ratio("whole, of tar", of(OURS, &rows), of("tar", &rows), 1.15),
        Goal::ratio(
            "whole, of the best that keeps digests",
            of(OURS, &rows),
            best(&rows, &digests, wall),
            0.8,
        ),
        Goal::ratio(
            "1 % in place, of git reset --hard",
            of(OURS_IN_PLACE, &in_place),
            of("git reset --hard, in place", &in_place),
            0.8,
        ),
    ];
    rows.extend(in_place);
    let note = "Fresh, warm, `sync -f` at the end where a tool does not sync. In place: the tree was restored or archived there by the \
                same tool before, then every hundredth file changed; TMP also archives what it overwrites.\n";
    Ok(Section { title: "W3: restore".into(), note: note.into(), rows, goals })
}

const OURS: &str = "tmp archive restore";
const OURS_IN_PLACE: &str = "tmp archive restore --in-place";
/// The only snapshot's id.
const ID: &str = "id() { $TMP --config $1/tmp.yaml --json archive list | grep -om1 '[0-9a-f]\\{8\\}-[0-9a-f-]\\{27\\}' | head -n 1; };";

/// Everybody's archive of the tree, made once, beside the scratch file system.
const ARCHIVES: [(&str, &str); 7] = [
    (
        "true",
        "tar -C $A -cf $R/a.tar .; site $A $R/work $R/site; $TMP --config $R/site/tmp.yaml archive create",
    ),
    (
        "git",
        "git init -q --bare $R/git; export GIT_DIR=$R/git GIT_WORK_TREE=$A; cd $A; git add -A -f && git commit -q -m a; git repack -q -a -d --depth=1 --window=0",
    ),
    ("restic", "restic -q -r $R/restic init; cd $A; restic -q --no-cache -r $R/restic backup ."),
    ("rustic", "rustic -r $R/rustic init; cd $A; rustic -r $R/rustic --no-progress backup ."),
    ("borg", "borg init -e none $R/borg; cd $A; borg create -C lz4 $R/borg::a ."),
    (
        "ostree",
        "ostree --repo=$R/ostree init --mode=bare; ostree --repo=$R/ostree commit --disable-fsync -b a -s a --tree=dir=$A",
    ),
    ("casync", "mkdir $R/casync; cd $R/casync; casync make --store=$R/casync/s.castr a.caidx $A"),
];

/// Into an empty root.
fn whole() -> Vec<Case> {
    let check = "[ $(find $M/x -type f | wc -l) = $(find $A -type f | wc -l) ]";
    let git = "mkdir $M/x; export GIT_DIR=$R/git GIT_WORK_TREE=$M/x GIT_INDEX_FILE=$M/index; git read-tree HEAD; \
               git -c checkout.workers=2 -c checkout.thresholdForParallelism=1 checkout -q -f HEAD -- .; sync -f $M";
    [
        Case::ours(
            OURS,
            &format!("{ID} $TMP --config $R/site/tmp.yaml archive restore $(id $R/site) --to $M/x"),
        )
        .after(check),
        Case::floor("tar", "mkdir $M/x; tar -C $M/x -xf $R/a.tar; sync -f $M").after(check),
        Case::floor("cp -a", "cp -a $A $M/x; sync -f $M").after(check),
        Case::peer("git", "git checkout, two workers", git).after(check),
        Case::peer(
            "restic",
            "restic",
            "restic --no-cache -q -r $R/restic restore latest --target $M/x; sync -f $M",
        )
        .after(check)
        .most(3),
        Case::peer("rustic", "rustic", "rustic -r $R/rustic --no-progress restore latest $M/x; sync -f $M")
            .after(check)
            .most(3),
        Case::peer("borg", "borg", "mkdir $M/x; cd $M/x; borg extract $R/borg::a; sync -f $M")
            .after(check)
            .most(3),
        Case::peer("ostree", "ostree", "ostree --repo=$R/ostree checkout -U -C a $M/x; sync -f $M")
            .after(check)
            .most(3),
        Case::peer(
            "casync",
            "casync",
            "cd $R/casync; casync extract --store=$R/casync/s.castr a.caidx $M/x; sync -f $M",
        )
        .after(check)
        .most(2),
    ]
    .map(Case::fresh)
    .into()
}

/// Over a tree of which a hundredth was changed.
fn in_place(setting: &Setting) -> Done<Vec<Row>> {
    let break_it = "sleep 1.2; tar -C $M/t -xf $R/broken.tar";
    let check = "[ -z \"$(diff -rq --no-dereference $A $M/t)\" ]";
    let ours = format!(
        "{SITE} cp -a $A $M/t; site $M/t $M/work $M/site; $TMP --config $M/site/tmp.yaml archive create; {break_it}"
    );
    let git = "export GIT_DIR=$M/git GIT_WORK_TREE=$M/t; cd $M/t;";
    let git_before = format!(
        "cp -a $A $M/t; cp -a $R/git $M/git; {git} git read-tree HEAD; git update-index -q --refresh; {break_it}"
    );
    let other = format!("cp -a $A $M/t; {break_it}");
    let restore = "archive restore $(id $M/site) --in-place --confirm real/model/here";
    let cases = [
        Case::ours(OURS_IN_PLACE, &format!("{ID} $TMP --config $M/site/tmp.yaml {restore}"))
            .before(&ours)
            .after(check),
        Case::peer(
            "git",
            "git reset --hard, in place",
            &format!("{git} git reset -q --hard HEAD; sync -f $M"),
        )
        .before(&git_before)
        .after(check),
        Case::peer("rsync", "rsync -a --delete, in place", "rsync -a --delete $A/ $M/t/; sync -f $M")
            .before(&other)
            .after(check),
        Case::peer(
            "rustic",
            "rustic, in place",
            "rustic -r $R/rustic --no-progress restore latest $M/t; sync -f $M",
        )
        .before(&other)
        .most(2),
    ]
    .map(Case::fresh);
    measure(setting, &cases, |_| Ok(()))
}
