//! What came of all matrices.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    model::Model,
    proof::{Came, Choice, End, Proof},
};
use crate::Done;

/// The results of a run.
pub(crate) struct Results {
    pub(super) choice: Choice,
    pub(super) scratch: PathBuf,
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Vec<Left>,
    /// What could not be run to its end, and the others went on.
    pub(super) broken: Vec<Left>,
    /// What came of the model, whose states are no faults put into processes.
    pub(super) model: Option<Model>,
    /// How many calls were counted.
    pub(super) counted: Vec<String>,
}

/// A proof that could not be run, here or to its end, and why.
pub(crate) struct Left {
    pub(super) id: String,
    pub(super) lack: String,
}

/// What came of one matrix.
pub(crate) struct Row {
    pub(super) matrix: &'static str,
    pub(super) package: &'static str,
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) notes: BTreeMap<&'static str, u64>,
    pub(super) violations: Vec<String>,
    pub(super) took: Duration,
}

impl Row {
    pub(super) fn new(proof: &dyn Proof) -> Self {
        Self {
            matrix: proof.matrix(),
            package: proof.package(),
            before: 0,
            after: 0,
            notes: BTreeMap::new(),
            violations: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Adds a point; `again` is the command that repeats it.
    pub(super) fn count(&mut self, again: &str, came: Came) {
        if let Some(note) = came.note {
            *self.notes.entry(note).or_default() += 1;
        }
        match came.end {
            End::Before => self.before += 1,
            End::After => self.after += 1,
            End::NotReached => {}
            End::Violated(lines) => {
                self.violations.push(format!(
                    "VIOLATED: {}\n  {}\n  again: {again}",
                    came.what,
                    lines.join("\n  ")
                ));
            }
        }
    }

    /// How many faults were put.
    pub(super) fn points(&self) -> u64 {
        self.before + self.after + self.violations.len() as u64
    }

    /// Tells the developer how it stands.
    pub(super) fn tell(&self) {
        print!("{}", self.line());
        self.violations.iter().for_each(|violation| println!("{violation}"));
    }

    pub(super) fn line(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            self.matrix,
            self.package,
            self.points(),
            self.before,
            self.after,
            self.violations.len(),
            self.took.as_secs_f64().round(),
        )
    }
}

impl Results {
    pub(super) fn new(choice: Choice, scratch: &Path) -> Self {
        Self {
            choice,
            scratch: scratch.into(),
            rows: Vec::new(),
            left_out: Vec::new(),
            broken: Vec::new(),
            model: None,
            counted: Vec::new(),
        }
    }

    /// How many faults were put into processes.
    pub(super) fn points(&self) -> u64 {
        self.rows.iter().map(Row::points).sum()
    }

    pub(super) fn violations(&self) -> usize {
        self.rows.iter().map(|row| row.violations.len()).sum()
    }

    /// The table, with what was noted and left out after it.
    pub(super) fn table(&self) -> String {
        let head = "| matrix | package | points | ended before | ended after | violations | seconds |\n\
                    |---|---|---|---|---|---|---|\n";
        let mut text = head.to_owned();
        text.extend(self.rows.iter().map(Row::line));
        let sum = |count: fn(&Row) -> u64| self.rows.iter().map(count).sum::<u64>();
        let seconds: f64 = self.rows.iter().map(|row| row.took.as_secs_f64()).sum();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| all | | {} | {} | {} | {} | {} |",
            self.points(),
            sum(|row| row.before),
            sum(|row| row.after),
            self.violations(),
            seconds.round(),
        );
        if let Some(model) = &self.model {
            let _ = write!(text, "\n* {model}");
        }
        for line in &self.counted {
            let _ = write!(text, "\n* {line}");
        }
        for row in &self.rows {
            for (note, count) in &row.notes {
                let _ = write!(text, "\n* {}-{}: {count} points {note}", row.matrix, row.package);
            }
        }
        for Left { id, lack } in &self.left_out {
            let _ = write!(text, "\n* {id}: LEFT OUT: {lack}");
        }
        for Left { id, lack } in &self.broken {
            let _ = write!(text, "\n* {id}: FAILED: {lack}");
        }
        text.trim_end().to_owned() + "\n"
    }

    /// Fails when a point was violated or a proof broke off, and where it is `strict` when a proof was left out.
    pub(super) fn verdict(&self, strict: bool) -> Done {
        let count = self.violations();
        if count > 0 {
            let all: Vec<_> = self.rows.iter().flat_map(|row| row.violations.iter().cloned()).collect();
            return Err(
                format!("{}\n{count} of {} points are violated", all.join("\n"), self.points()).into()
            );
        }
        let broken: Vec<_> = self.broken.iter().map(|Left { id, lack }| format!("{id}: {lack}")).collect();
        if !broken.is_empty() {
            return Err(format!("not run to their end:\n{}", broken.join("\n")).into());
        }
        let left: Vec<_> = self.left_out.iter().map(|left| left.id.as_str()).collect();
        if strict && !left.is_empty() {
            return Err(format!("left out, which is a failure in CI: {}", left.join(", ")).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(violations: &[&str]) -> Row {
        Row {
            matrix: "kill",
            package: "files",
            before: 2,
            after: 1,
            notes: BTreeMap::from([("stuck", 1)]),
            violations: violations.iter().map(|&text| text.to_owned()).collect(),
            took: Duration::from_secs(3),
        }
    }

    fn results(violations: &[&str]) -> Results {
        let mut results = Results::new(Choice { long: false, seed: 1 }, Path::new("/nowhere"));
        results.rows = vec![row(violations), row(&[])];
        results
    }

    #[test]
    fn points_are_added_up_and_notes_and_what_was_left_out_are_told() {
        let mut results = results(&[]);
        results.left_out.push(Left { id: "power-ext4".into(), lack: "root is needed".into() });
        let text = results.table();
        assert!(text.contains("| kill | files | 3 | 2 | 1 | 0 | 3 |\n"), "{text}");
        assert!(text.contains("| all | | 6 | 4 | 2 | 0 | 6 |\n"), "{text}");
        assert!(text.contains("* kill-files: 1 points stuck"), "{text}");
        assert!(text.ends_with("* power-ext4: LEFT OUT: root is needed\n"), "{text}");
        assert!(results.verdict(false).is_ok());
        assert!(results.verdict(true).unwrap_err().to_string().contains("power-ext4"));
    }

    #[test]
    fn what_broke_off_is_told_and_fails_the_run() {
        let mut results = results(&[]);
        results.broken.push(Left { id: "model".into(), lack: "a state is violated".into() });
        assert!(results.table().ends_with("* model: FAILED: a state is violated\n"), "{}", results.table());
        assert!(results.verdict(false).unwrap_err().to_string().contains("model: a state is violated"));
    }

    #[test]
    fn a_violation_fails_the_run_and_says_how_to_repeat_it() {
        assert!(results(&["neither"]).verdict(false).unwrap_err().to_string().contains("1 of 7 points"));
        let mut row = row(&[]);
        let came = |end| Came { what: "killed before call 5".into(), end, note: None };
        row.count("cargo xtask crash --seed 1 --point kill-files/5", came(End::NotReached));
        assert_eq!(row.points(), 3);
        row.count(
            "cargo xtask crash --seed 1 --point kill-files/5",
            came(End::Violated(vec!["neither".into()])),
        );
        assert_eq!(row.points(), 4);
        let expected = "VIOLATED: killed before call 5\n  neither\n  again: cargo xtask crash --seed 1 --point kill-files/5";
        assert_eq!(row.violations, [expected]);
    }
}
