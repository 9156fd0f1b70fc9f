//! `tmp explain`: what a rule means and how to keep it.

use serde::Serialize;

use crate::{
    exit::Exit,
    explain,
    failure::Failure,
    output::{Output, Report},
};

/// Arguments of `tmp explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The rule an error names; all of them when not given
    rule: Option<String>,
}

#[derive(Debug, Serialize)]
struct Explained {
    rules: Vec<Entry>,
    #[serde(skip)]
    whole: bool,
}

#[derive(Debug, Serialize)]
struct Entry {
    rule: &'static str,
    title: &'static str,
    explanation: &'static str,
}

impl Report for Explained {
    const SCHEMA: &'static str = "tmp.rules/v1";

    fn text(&self) -> String {
        self.rules
            .iter()
            .map(|Entry { rule, title, explanation }| {
                if self.whole {
                    format!("{rule}: {title}\n\n{explanation}\n")
                } else {
                    format!("{rule:24} {title}\n")
                }
            })
            .collect()
    }
}

impl Explain {
    /// Prints one rule, or the list.
    pub(crate) fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        let fits = |id: &str| self.rule.as_ref().is_none_or(|wanted| wanted == id);
        let mut rules: Vec<_> = explain::rules()
            .filter(|rule| fits(rule.id))
            .map(|rule| Entry { rule: rule.id, title: rule.title, explanation: rule.explanation })
            .collect();
        rules.sort_by_key(|entry| entry.rule);
        match &self.rule {
            Some(rule) if rules.is_empty() => {
                Err(Failure::new(Exit::Usage, format!("there is no rule {rule:?}"))
                    .help("`tmp explain` lists them"))
            }
            rule => {
                out.report(&Explained { rules, whole: rule.is_some() });
                Ok(Exit::Done)
            }
        }
    }
}
