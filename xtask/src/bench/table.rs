//! What was measured, as text.

use std::fmt::{self, Write as _};

use super::{
    case::Role,
    measure::{Outcome, Row, Sample},
    setting::Setting,
};

/// A workload's figures.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// What was done, warm or cold, and what is peculiar.
    pub(super) note: String,
    pub(super) rows: Vec<Row>,
    pub(super) goals: Vec<Goal>,
}

/// The head of a table of goals.
pub(super) const GOALS: &str = "| goal | measured | at most | met |\n|---|---|---|---|\n";

/// Something to be reached.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) what: String,
    /// `None` where something is missing.
    pub(super) measured: Option<f64>,
    pub(super) limit: f64,
    pub(super) unit: &'static str,
}

impl Goal {
    /// A ratio that is at most `limit`.
    pub(super) fn ratio(what: &str, ours: Option<f64>, theirs: Option<f64>, limit: f64) -> Self {
        let measured = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        Self { what: what.to_owned(), measured, limit, unit: "" }
    }
}

/// Median, least and most of several figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// The spread of figures; all zero where there are none.
pub(super) fn spread(figures: impl Iterator<Item = f64>) -> Spread {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    };
    Spread { median, least: at(0), most: at(sorted.len().saturating_sub(1)) }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}–{})", seconds(self.median), seconds(self.least), seconds(self.most))
    }
}

fn seconds(figure: f64) -> String {
    match figure {
        _ if figure < 0.01 => format!("{:.2} ms", figure * 1e3),
        _ if figure < 0.1 => format!("{:.1} ms", figure * 1e3),
        _ if figure < 1.0 => format!("{:.0} ms", figure * 1e3),
        _ => format!("{figure:.2} s"),
    }
}

/// The median of one figure over the runs of the case of that name.
pub(super) fn median(rows: &[Row], name: &str, figure: fn(&Sample) -> Option<f64>) -> Option<f64> {
    let row = rows.iter().find(|row| row.name == name)?;
    let Outcome::Measured(samples) = &row.outcome else { return None };
    let figures: Vec<f64> = samples.iter().filter_map(figure).collect();
    (!figures.is_empty()).then(|| spread(figures.into_iter()).median)
}

/// The least median of these cases.
pub(super) fn best(rows: &[Row], names: &[&str], figure: fn(&Sample) -> Option<f64>) -> Option<f64> {
    names.iter().filter_map(|name| median(rows, name, figure)).min_by(f64::total_cmp)
}

/// Seconds until the end.
#[expect(clippy::unnecessary_wraps, reason = "as the other figures")]
pub(super) fn wall(sample: &Sample) -> Option<f64> {
    Some(sample.wall)
}

/// Bytes of what it made.
pub(super) fn size(sample: &Sample) -> Option<f64> {
    sample.size
}

impl Section {
    /// The section as it is printed and kept.
    pub(super) fn text(&self, setting: &Setting) -> String {
        let mut text = format!("## {}\n\n{}\nTrees: {}.\n\n", self.title, self.note, setting.trees.names);
        text += &self.goals();
        let mixture = self.samples().any(|sample| sample.mixture.is_some());
        let sized = self.samples().any(|sample| sample.size.is_some());
        text += "| case | wall: median (min–max) | CPU s | peak MiB |";
        text += if sized { " MB |" } else { "" };
        text += if mixture { " mixture: median (min–max) |" } else { "" };
        text += " runs (disturbed) |\n|---|---|---|---|";
        text += if sized { "---|" } else { "" };
        text += if mixture { "---|" } else { "" };
        text += "---|\n";
        for row in &self.rows {
            let name = match row.role {
                Role::Ours => format!("**{}**", row.name),
                Role::Peer => row.name.clone(),
                Role::Floor => format!("floor: {}", row.name),
            };
            // Writing to a String cannot fail.
            let _ = match &row.outcome {
                Outcome::Measured(samples) => {
                    writeln!(text, "| {name} | {} |", measured(samples, sized, mixture).join(" | "))
                }
                Outcome::Missing(program) => writeln!(text, "| {name} | `{program}` is not installed |"),
                Outcome::Failed(error) => writeln!(text, "| {name} | failed: {} |", one_line(error)),
            };
        }
        text
    }

    fn goals(&self) -> String {
        if self.goals.is_empty() {
            return String::new();
        }
        let mut text = String::from(GOALS);
        for Goal { what, measured, limit, unit } in &self.goals {
            let (figure, met) = match measured {
                Some(figure) => (digits(*figure), if figure <= limit { "yes" } else { "**no**" }),
                None => ("–".to_owned(), "not measured"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {what} | {figure}{unit} | {limit}{unit} | {met} |");
        }
        text + "\n"
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.rows.iter().flat_map(|row| match &row.outcome {
            Outcome::Measured(samples) => samples.as_slice(),
            _ => &[],
        })
    }
}

/// The cells of a case.
fn measured(samples: &[Sample], sized: bool, mixture: bool) -> Vec<String> {
    let of = |figure: fn(&Sample) -> f64| spread(samples.iter().map(figure));
    let wall = of(|sample| sample.wall).to_string();
    let cpu = format!("{:.2}", of(|sample| sample.cpu).median);
    let peak = format!("{:.0}", of(|sample| sample.peak / 1024.0).median);
    let mut cells = vec![wall, cpu, peak];
    if sized {
        let sizes: Vec<f64> = samples.iter().filter_map(|sample| sample.size).collect();
        let figure = spread(sizes.iter().map(|size| size / 1e6)).median;
        cells.push(if sizes.is_empty() { String::new() } else { format!("{figure:.1}") });
    }
    if mixture {
        let figures: Vec<f64> = samples.iter().filter_map(|sample| sample.mixture).collect();
        let figure = spread(figures.iter().copied());
        cells.push(if figures.is_empty() { "nothing seen".to_owned() } else { figure.to_string() });
    }
    let disturbed = samples.iter().filter(|sample| sample.disturbed).count();
    cells.push(format!("{} ({disturbed})", samples.len()));
    cells
}

/// Three digits that matter.
fn digits(figure: f64) -> String {
    match figure {
        _ if figure >= 100.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ if figure >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "/").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        let of = |figures: &[f64]| spread(figures.iter().copied()).median.to_string();
        assert_eq!([of(&[3.0, 1.0, 2.0]), of(&[4.0, 1.0, 2.0, 3.0]), of(&[])], ["2", "2.5", "0"]);
        assert_eq!(spread([0.002, 0.5, 2.0].into_iter()).to_string(), "500 ms (2.00 ms–2.00 s)");
    }

    #[test]
    fn what_is_missing_is_said() {
        let row = |name: &str, outcome| Row { name: name.into(), role: Role::Peer, outcome };
        let sample = |wall| Sample { wall, ..Sample::default() };
        let rows = vec![
            row("a", Outcome::Measured(vec![sample(3.0), sample(1.0), sample(2.0)])),
            row("b", Outcome::Missing("b")),
        ];
        assert_eq!(best(&rows, &["a", "b"], wall), Some(2.0));
        assert_eq!(median(&rows, "b", wall), None);
        let goals = vec![
            Goal::ratio("beat a", Some(1.0), median(&rows, "a", wall), 0.4),
            Goal::ratio("beat b", Some(1.0), None, 1.0),
        ];
        let section = Section { title: String::new(), note: String::new(), rows, goals };
        assert!(
            section.goals().contains("| beat a | 0.50 | 0.4 | **no** |\n| beat b | – | 1 | not measured |")
        );
    }
}
