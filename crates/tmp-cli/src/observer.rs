//! Tells a migration while it runs: JSON Lines, a bar on a terminal, one line per step elsewhere.

use std::{io::Write as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tmp_core::event::{Direction, Event, Observer, Progress};

use crate::{
    output::{Output, printable},
    render,
};

/// Tells as the output's flags say. What cannot be written is lost, and changes nothing.
#[derive(Debug)]
pub(crate) struct Teller {
    form: Form,
    verbose: bool,
}

#[derive(Debug)]
enum Form {
    Json,
    Lines,
    Bar(ProgressBar),
    Silent,
}

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

impl Teller {
    /// A teller in the form the output has.
    pub(crate) fn new(out: &Output) -> Self {
        let form = if out.json() {
            Form::Json
        } else if out.quiet() {
            Form::Silent
        } else if out.draws() {
            Form::Bar(bar())
        } else {
            Form::Lines
        };
        Self { form, verbose: out.verbose() }
    }

    fn told(&self, event: &Event) {
        if let Some(text) = text(event, self.verbose) {
            self.line(&text);
        }
    }

    fn line(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.println(printable(text)),
            _ => drop(writeln!(anstream::stderr(), "{}", printable(text))),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Teller {
    fn event(&mut self, event: &Event) {
        match &self.form {
            Form::Json => json("tmp.event/v1", event),
            Form::Silent => {}
            Form::Lines => self.told(event),
            Form::Bar(bar) => match event {
                Event::StepBegan { step, direction } => label(bar, &format!("{} {step}", what(*direction))),
                Event::Done { .. } | Event::Step { .. } => {
                    label(bar, "");
                    self.told(event);
                }
                _ => self.told(event),
            },
        }
    }

    fn progress(&mut self, progress: &Progress) {
        match &self.form {
            Form::Json => json("tmp.progress/v1", progress),
            Form::Bar(bar) => {
                set_style(bar, if progress.total > 0 { WITH_BAR } else { WITHOUT_BAR });
                bar.set_length(progress.total);
                bar.set_position(progress.done);
                bar.set_message(progress.work.as_str());
            }
            Form::Lines | Form::Silent => {}
        }
    }
}

/// How work is drawn whose items are counted.
const WITH_BAR: &str = "{spinner} {msg} {wide_bar} {pos}/{len}";

/// How other work is drawn.
const WITHOUT_BAR: &str = "{spinner} {msg}";

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    set_style(&bar, WITHOUT_BAR);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn set_style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// Says what goes on where nothing is counted.
fn label(bar: &ProgressBar, text: &str) {
    set_style(bar, WITHOUT_BAR);
    bar.set_message(printable(text));
}

/// What goes this way.
const fn what(direction: Direction) -> &'static str {
    match direction {
        Direction::Apply => "step",
        Direction::Undo => "undo of step",
    }
}

fn json<T: Serialize>(schema: &'static str, body: &T) {
    if let Ok(line) = serde_json::to_string(&Line { schema, body }) {
        let _ = writeln!(anstream::stdout(), "{line}");
    }
}

fn text(event: &Event, verbose: bool) -> Option<String> {
    Some(match event {
        Event::Started { migration } => format!("migration {migration}"),
        Event::Phase { phase, at_ms } if verbose => {
            format!("  [{phase}, {} after the start]", render::milliseconds(*at_ms))
        }
        Event::Done { work, items, bytes, took_ms } => {
            let took = render::milliseconds(*took_ms);
            match bytes {
                0 => format!("  {}: {}, {took}", work.as_str(), render::count(*items, "item")),
                bytes => format!(
                    "  {}: {}, {}, {took}",
                    work.as_str(),
                    render::count(*items, "item"),
                    render::bytes(*bytes)
                ),
            }
        }
        Event::StepBegan { step, direction } => format!("  {} {step}: begun", what(*direction)),
        Event::Step { step, direction, failure, took_ms } => {
            let what = what(*direction);
            match failure {
                None => format!("  {what} {step}: done, {}", render::milliseconds(*took_ms)),
                Some(failure) => format!("  {what} {step}: FAILED: {failure}"),
            }
        }
        Event::TurnedBack { cause } => format!("  turning back: {cause}"),
        Event::Finding { text } => format!("  note: {text}"),
        _ => return None,
    })
}
