//! What came of a matrix, for people.

use std::{collections::BTreeMap, fmt::Write as _};

use tmp_testkit::{
    matrix::{Fault as Point, Tried, Verdict},
    stepper::Action,
};

/// All points of one matrix.
pub(super) struct Table<'a> {
    pub(super) calls: &'a [&'static str],
    pub(super) seed: u64,
    pub(super) tried: &'a [(Point, Tried)],
}

/// Points that ended before, after, violated.
type Counts = [usize; 3];

impl Table<'_> {
    /// The table, with every violation after it.
    pub(super) fn text(&self) -> String {
        let mut text = rows("fault", &self.count(|point, _| Some(fault(point))));
        text.push('\n');
        let by_call = |point: &Point, tried: &Tried| {
            let single = matches!(point.action, Action::Kill(_)) && point.again.is_empty();
            single.then_some(tried.hit).flatten().map(str::to_owned)
        };
        text += &rows("killed before", &self.count(by_call));
        for (point, tried) in self.tried {
            if let Verdict::Violation(lines) = &tried.verdict {
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "\nVIOLATED {point:?} at {}\n  {}\n",
                    tried.hit.unwrap_or("the end"),
                    lines.join("\n  ")
                );
            }
        }
        text
    }

    /// The page of the last whole run.
    pub(super) fn page(&self) -> String {
        format!(
            "# The crash matrix\n\n\
             The reference migration (every kind of module, four SQL changes, one of them outside the transaction, a check) is disturbed at each of its\n\
             {} calls that change something, then `tmp recover` runs. Every point must end in exactly the state before or\n\
             exactly the state after, files and database alike, as an independent walker sees it; a second `tmp recover`\n\
             must find nothing to do; nothing may be left in the work directory. Written by\n\
             `cargo xtask crash --write`; seed {}. One point again: `cargo xtask crash --point K`.\n\n{}",
            self.calls.len(),
            self.seed,
            self.text()
        )
    }

    fn count(&self, group: impl Fn(&Point, &Tried) -> Option<String>) -> BTreeMap<String, Counts> {
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for (point, tried) in self.tried {
            let Some(name) = group(point, tried) else { continue };
            let [before, after, violated] = counts.entry(name).or_default();
            *match tried.verdict {
                Verdict::Before => before,
                Verdict::After => after,
                Verdict::Violation(_) => violated,
            } += 1;
        }
        counts
    }
}

fn fault(point: &Point) -> String {
    let name = match point.action {
        Action::Count => "none".to_owned(),
        Action::Kill(_) => "kill".to_owned(),
        Action::Tear(_) => "half a write, then kill".to_owned(),
        Action::Fail { errno, persistent, .. } => {
            format!("error {errno} {}", if persistent { "from then on" } else { "once" })
        }
        Action::Short(_) => "short".to_owned(),
        Action::Signal { signal, .. } => format!("signal {signal}"),
    };
    if !point.again.is_empty() { format!("{name}, and recover killed too") } else { name }
}

fn rows(head: &str, counts: &BTreeMap<String, Counts>) -> String {
    let mut text = format!("| {head} | points | before | after | violated |\n|---|---|---|---|---|\n");
    let mut sum = Counts::default();
    for (name, counts) in counts {
        text += &row(name, *counts);
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    text + &row("all", sum)
}

fn row(name: &str, counts: Counts) -> String {
    let [before, after, violated] = counts;
    format!("| {name} | {} | {before} | {after} | {violated} |\n", before + after + violated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted_by_fault_and_by_call_and_violations_are_told() {
        let tried = |at, again: Option<u64>, verdict| {
            (
                Point {
                    counting: tmp_testkit::stepper::Counting::Changing,
                    action: Action::Kill(at),
                    again: again.into_iter().collect(),
                },
                Tried {
                    hit: Some("write"),
                    killed: 0,
                    recovery_calls: 4,
                    step_interrupted: false,
                    stuck: false,
                    verdict,
                },
            )
        };
        let tried = [
            tried(1, None, Verdict::Before),
            tried(2, None, Verdict::After),
            tried(2, Some(3), Verdict::Violation(vec!["neither".into()])),
        ];
        let text = Table { calls: &["write"], seed: 1, tried: &tried }.text();
        assert!(
            text.contains("| kill | 2 | 1 | 1 | 0 |\n| kill, and recover killed too | 1 | 0 | 0 | 1 |\n"),
            "{text}"
        );
        assert!(text.contains("| write | 2 | 1 | 1 | 0 |"), "{text}");
        assert!(text.contains("VIOLATED") && text.contains("neither"), "{text}");
    }
}
