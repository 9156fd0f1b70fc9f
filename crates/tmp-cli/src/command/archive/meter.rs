//! Tells how far an archive is: a bar on a terminal, JSON Lines for programs, else nothing.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tmp_archive::Progress;

use crate::{output::Output, render};

/// How it is drawn.
const TEMPLATE: &str = "{spinner} {msg} {wide_bar} {bytes}/{total_bytes}, {eta} left";

/// How often programs and people are told.
const EVERY: Duration = Duration::from_millis(200);

/// Tells as the output's flags say. What cannot be written is lost, and changes nothing.
pub(super) struct Meter {
    form: Form,
    work: &'static str,
    told: Instant,
    began: Instant,
}

enum Form {
    Bar(ProgressBar),
    Json,
    Silent,
}

#[derive(Serialize)]
struct Line {
    schema: &'static str,
    work: &'static str,
    entries: u64,
    all_entries: u64,
    bytes: u64,
    all_bytes: u64,
    /// Milliseconds that are left, as far as that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ms: Option<u64>,
}

impl Meter {
    /// A meter for some work.
    pub(super) fn new(out: &Output, work: &'static str) -> Self {
        let form = if out.json() {
            Form::Json
        } else if out.draws() {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            Form::Bar(bar)
        } else {
            Form::Silent
        };
        let now = Instant::now();
        Self { form, work, told: now, began: now }
    }

    /// Tells, but not too often.
    pub(super) fn tell(&mut self, progress: &Progress) {
        if matches!(self.form, Form::Silent) {
            return;
        }
        let now = Instant::now();
        if now.duration_since(self.told) < EVERY {
            return;
        }
        self.told = now;
        let Progress { entries, all_entries, bytes, all_bytes } = *progress;
        match &self.form {
            Form::Bar(bar) => {
                bar.set_length(all_bytes);
                bar.set_position(bytes);
                bar.set_message(format!("{}: {entries} of {}", self.work, render::entries(all_entries)));
            }
            Form::Json => {
                let left_ms = self.left(bytes, all_bytes);
                let (schema, work) = ("tmp.archive-progress/v1", self.work);
                let line = Line { schema, work, entries, all_entries, bytes, all_bytes, left_ms };
                if let Ok(line) = serde_json::to_string(&line) {
                    let _ = writeln!(anstream::stdout(), "{line}");
                }
            }
            Form::Silent => {}
        }
    }

    fn left(&self, bytes: u64, all: u64) -> Option<u64> {
        let passed = u64::try_from(self.began.elapsed().as_millis()).ok()?;
        passed.checked_mul(all.saturating_sub(bytes))?.checked_div(bytes)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}
