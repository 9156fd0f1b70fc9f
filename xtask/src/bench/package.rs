//! W8: a trigger packaged, opened and verified: 100,000 small modules, and a large one.

use super::{
    case::Case,
    measure::measure,
    setting::Setting,
    table::{Goal, Section, median, wall},
};
use crate::Done;

/// MiB of the large module.
const LARGE: u32 = 4096;

/// W8.
pub(super) fn run(setting: &Setting) -> Done<Section> {
    setting.prepared()?;
    let (count, large) = if setting.small { (2_000, 64) } else { (100_000, LARGE) };
    let describe = "describe() { mkdir -p $R/$1/files/all; printf 'schema: tmp/enhancement/v1\\nid: %s\\nrevision: 1\\ntitle: Next\\nsystem: real\\n\
                developer: {name: bench, email: bench@example.org}\\nmodules: [{put: all/, from: files/all/}]\\n' $1 > $R/$1/enhancement.yaml; };";
    // Real files, of two trees; of names that differ only in case, the first.
    setting.script(&format!(
        "set +o pipefail; {describe} describe small; describe large; cd $R/small/files/all; mkdir a b; \
         distinct() {{ find . -type f -size -64k | awk '!seen[tolower($0)]++'; }}; (cd $A && distinct | head -n {count} | tar -cf - -T -) | tar -C a -xf -; \
         rest=$(({count} - $(find a -type f | wc -l))); \
         (cd $B && distinct | head -n $rest | tar -cf - -T -) | tar -C b -xf -; \
         cd $R; (while find $A -type f -print0 | xargs -0 cat 2> /dev/null; do :; done) | head -c {large}M > $R/large/files/all/large || true; \
         [ $(stat -c %s $R/large/files/all/large) = $(({large} << 20)) ]"
    ))?;
    let mut cases = Vec::new();
    for which in ["small", "large"] {
        cases.push(
            Case::ours(
                &format!("tmp package, {which}"),
                &format!("$TMP package $R/{which} -o $M/{which}.trigger; sync -f $M"),
            )
            .after(&format!("[ $(stat -c %s $M/{which}.trigger) -gt 1000000 ]"))
            .weigh(&format!("$M/{which}.trigger")),
        );
        cases.push(Case::ours(
            &format!("tmp inspect, {which}"),
            &format!("$TMP inspect $R/{which}.trigger > /dev/null"),
        ));
        cases.push(
            Case::peer(
                "zstd",
                &format!("tar + zstd + sha256sum, {which}"),
                &format!("tar -C $R/{which} -cf - . | tee >(sha256sum > $M/sum) | zstd -q -3 -o $M/{which}.tzst; sync -f $M"),
            )
            .weigh(&format!("$M/{which}.tzst")),
        );
        cases.push(Case::peer(
            "zstd",
            &format!("zstd -d + sha256sum + tar -t, {which}"),
            &format!("zstd -q -d -c $R/{which}.tzst | tee >(sha256sum > $M/sum) | tar -tf - > /dev/null"),
        ));
        setting.script(&format!(
            "$TMP package $R/{which} -o $R/{which}.trigger; tar -C $R/{which} -cf - . | zstd -q -3 -f -o $R/{which}.tzst"
        ))?;
    }
    let cases: Vec<_> = cases.into_iter().map(Case::fresh).collect();
    let rows = measure(setting, &cases, |_| Ok(()))?;
    let mut goals = Vec::new();
    for which in ["small", "large"] {
        let of = |name: &str| median(&rows, &format!("{name}, {which}"), wall);
        goals.push(Goal::ratio(
            &format!("package, {which}, of the pipeline"),
            of("tmp package"),
            of("tar + zstd + sha256sum"),
            1.2,
        ));
        goals.push(Goal::ratio(
            &format!("inspect, {which}, of the pipeline"),
            of("tmp inspect"),
            of("zstd -d + sha256sum + tar -t"),
            1.2,
        ));
        for command in ["tmp package", "tmp inspect"] {
            goals.push(Goal {
                what: format!("memory of {command}, {which}"),
                measured: median(&rows, &format!("{command}, {which}"), |sample| Some(sample.peak / 1024.0)),
                limit: 64.0,
                unit: " MiB",
            });
        }
    }
    let note = format!(
        "Warm. Small: {count} files below 64 KiB; large: one file of {large} MiB, source text. The pipeline compresses as TMP does \
         (zstd 3, one thread) and takes one digest of everything; TMP takes one of each module besides.\n"
    );
    Ok(Section { title: "W8: trigger files".into(), note, rows, goals })
}
