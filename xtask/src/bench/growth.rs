//! W9: how time and memory grow with the size of the tree, and recovery with the number of operations.

use super::{
    archive::SITE,
    case::Case,
    measure::{Row, measure},
    setting::Setting,
    table::{Goal, Section, median, wall},
};
use crate::Done;

/// Files that are changed in every size of tree.
const CHANGED: usize = 100;

/// W9.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    setting.prepared()?;
    let sizes: &[usize] = if setting.small { &[500, 2_000] } else { &[1_000, 10_000, 100_000] };
    let mut rows = Vec::new();
    for size in sizes {
        rows.extend(tree(setting, *size)?);
    }
    let (least, most) = (sizes.first().copied().unwrap_or(1), sizes.last().copied().unwrap_or(1));
    let of = |what: &str, size: usize| median(&rows, &format!("{what}, {size} files"), wall);
    let mut goals = Vec::new();
    // What depends on the change alone may grow as little as the walk does; the rest may grow with the tree.
    let growth = |files: usize| f64::from(u32::try_from(files).unwrap_or(u32::MAX));
    for what in ["first archive", "restore", "recovery of all"] {
        let per_file = |size: usize| of(what, size).map(|seconds| seconds / growth(size));
        goals.push(Goal::ratio(
            &format!("{what}, time for a file, {most} of {least} files"),
            per_file(most),
            per_file(least),
            1.0,
        ));
    }
    goals.push(Goal::ratio(
        &format!("migration of {CHANGED} files, {most} of {least} files around them"),
        of("migration", most),
        of("migration", least),
        1.25,
    ));
    goals.push(Goal {
        what: format!("recovery of {least} operations"),
        measured: of("recovery of all", least),
        limit: 2.0,
        unit: " s",
    });
    for what in ["first archive", "archive again", "restore", "migration", "recovery of all"] {
        goals.extend(memory(&rows, what, least, most));
    }
    let note = format!(
        "Fresh, warm. Trees of real files; in each {CHANGED} files change for archiving again and for the migration. Recovery takes back \
         a migration of all files whose process was killed after the switch. A goal of memory is what each file more costs.\n"
    );
    Ok(Section { title: "W9: growth".into(), note, rows, goals })
}

/// What a file more costs in memory, in bytes.
fn memory(rows: &[Row], what: &str, least: usize, most: usize) -> Option<Goal> {
    let peak = |size: usize| median(rows, &format!("{what}, {size} files"), |sample| Some(sample.peak));
    let (small, large) = (peak(least)?, peak(most)?);
    let files = f64::from(u32::try_from(most - least).ok()?);
    let measured = Some((large - small) * 1024.0 / files);
    Some(Goal { what: format!("{what}, memory for a file"), measured, limit: 2048.0, unit: " B" })
}

/// Everything on a tree of so many files.
fn tree(setting: &Setting, size: usize) -> Done<Vec<Row>> {
    // Of names that differ only in case the first: an enhancement may not have both.
    let take = |tree: &str, name: &str, count: &str| {
        format!(
            "mkdir -p $R/tree/{name}; (cd {tree} && find . -type f | LC_ALL=C sort | awk '!seen[tolower($0)]++' | head -n {count} \
             | tar -cf - -T -) | tar -C $R/tree/{name} -xf -; "
        )
    };
    setting.script(&format!(
        "set +o pipefail; rm -rf $R/*; {}rest=$(({size} - $(find $R/tree -type f | wc -l))); {}[ $(find $R/tree -type f | wc -l) -le {size} ]; \
         cp -a $R/tree $R/new",
        take("$A", "a", &size.to_string()),
        take("$B", "b", "$rest"),
    ))?;
    let files: usize = setting.script("find $R/tree -type f | wc -l")?.parse()?;
    // Of every hundredth file as many as are to change.
    change_some(setting, files)?;
    let enhancement = "enhancement() { mkdir -p $R/$1; printf 'schema: tmp/enhancement/v1\\nid: %s\\nrevision: 1\\ntitle: Next\\nsystem: real\\n\
                       developer: {name: bench, email: bench@example.org}\\n%s\\n' $1 \"$4\" > $R/$1/enhancement.yaml; \
                       $TMP package $R/$1 -o $R/$1.trigger --from $2 --to $3; };";
    setting.script(&format!(
        "{enhancement} enhancement next $R/tree $R/new ''; mkdir $R/empty; \
         enhancement all $R/empty $R/tree 'verify: [{{name: killer, run: [bin/kill]}}]'"
    ))?;
    let config = "$TMP --config $M/tmp.yaml";
    let site = format!("{SITE} cp -a $R/tree $M/target; site target .tmp-work $M");
    let id = "id=$($TMP --config $M/tmp.yaml --json archive list | grep -om1 '[0-9a-f]\\{8\\}-[0-9a-f-]\\{27\\}' | head -n 1);";
    let named = |what: &str| format!("{what}, {size} files");
    let cases = [
        Case::ours(&named("first archive"), &format!("{config} archive create")).before(&site),
        Case::ours(&named("archive again"), &format!("{config} archive create"))
            .before(&format!("{site}; sleep 1.2; {config} archive create; cp -a $R/new/. $M/target/")),
        Case::ours(&named("restore"), &format!("{id} {config} archive restore $id --to $M/x"))
            .before(&format!("{site}; {config} archive create")),
        Case::ours(&named("migration"), &format!("{config} run $R/next.trigger --now --reason bench"))
            .before(&site)
            .after("[ -z \"$(diff -rq $R/new $M/target)\" ]"),
        Case::ours(&named("recovery of all"), &format!("code=0; {config} recover || code=$?; [ $code = 10 ]"))
            .before(&format!(
                "{SITE} mkdir -p $M/target/bin; printf '#!/bin/sh\\nkill -9 $PPID\\n' > $M/target/bin/kill; chmod +x $M/target/bin/kill; \
                 site target .tmp-work $M; {config} run $R/all.trigger --now --reason bench > /dev/null 2>&1 || true"
            ))
            .after("[ $(find $M/target -type f | wc -l) = 1 ]"),
    ]
    .map(Case::fresh);
    measure(setting, &cases, |_| Ok(()))
}

/// Changes so many files of `$R/new` and leaves the others.
fn change_some(setting: &Setting, files: usize) -> Done {
    let script = format!(
        "set +o pipefail; cd $R/new; find . -type f | LC_ALL=C sort | awk 'NR % {} == 1' | head -n {CHANGED} | \
         while read -r file; do echo changed >> \"$file\"; done",
        (files / CHANGED).max(2)
    );
    setting.script(&script)?;
    Ok(())
}
