//! An observer of an embedder's own: prints what happens, counts progress, and asks for the way back when it
//! has seen enough. An observer cannot fail a migration; the flag it sets is the embedder's own `stop`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(clippy::disallowed_methods, reason = "it builds the system that is migrated")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use support::{Done, Payload, enhancement, workplace};
use tmp_core::{
    Phase,
    event::{Direction, Event, Observer, Progress},
    outcome::Outcome,
};
use tmp_migrate::{CommandPolicy, Engine, Opened, Party, PlanRequest, Workplace, plan};

/// Prints a line for each event and for each tenth item of progress.
struct Printer {
    phases: Vec<Phase>,
    progress: u64,
    /// Set once this phase is reached: the embedder's way to say "no further".
    stop_at: Option<Phase>,
    stop: Arc<AtomicBool>,
}

impl Observer for Printer {
    fn event(&mut self, event: &Event) {
        let line = match event {
            Event::Started { migration } => format!("started {migration}"),
            Event::Phase { phase, at_ms } => {
                self.phases.push(*phase);
                if self.stop_at == Some(*phase) {
                    self.stop.store(true, Ordering::Relaxed);
                }
                format!("phase {phase} after {at_ms} ms")
            }
            Event::Done { work, items, bytes, took_ms } => {
                format!("{}: {items} items, {bytes} bytes, {took_ms} ms", work.as_str())
            }
            Event::StepBegan { step, .. } => format!("{step} begins"),
            Event::Step { step, direction, failure, .. } => {
                let way = if *direction == Direction::Apply { "step" } else { "undo of" };
                format!("{way} {step}: {}", failure.as_deref().unwrap_or("done"))
            }
            Event::TurnedBack { cause } => format!("turning back: {cause}"),
            Event::Finding { text } => format!("note: {text}"),
            // Events may be added; an observer that does not know one leaves it out.
            _ => return,
        };
        println!("  {line}");
    }

    fn progress(&mut self, progress: &Progress) {
        self.progress += 1;
        if progress.done.is_multiple_of(10) {
            println!("    {} {} of {}", progress.work.as_str(), progress.done, progress.total);
        }
    }
}

fn main() -> Done {
    let dir = tempfile::tempdir()?;
    let place = workplace(dir.path())?;
    fs::create_dir_all(place.target.root.join("doc"))?;

    println!("watched to its end");
    let (outcome, seen) = run(&place, "first", None)?;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert!(seen.phases.contains(&Phase::Committed) && seen.progress > 0);
    assert_eq!(seen.phases.last(), Some(&outcome.report().phase));

    println!("stopped before anything is switched");
    let (outcome, seen) = run(&place, "second", Some(Phase::Archived))?;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!seen.phases.contains(&Phase::Applying));
    assert_eq!(seen.phases.last(), Some(&Phase::RolledBack));
    assert_eq!(fs::read_to_string(place.target.root.join("doc/0"))?, "first");
    Ok(())
}

/// Writes `text` into forty files, watched.
fn run(place: &Workplace, text: &str, stop_at: Option<Phase>) -> Done<(Outcome, Printer)> {
    let mut payload = Payload::default();
    let mut modules = Vec::new();
    for number in 0..40 {
        modules.push(payload.put(&format!("doc/{number}"), text)?);
    }
    modules.sort_by(|a, b| a.path.cmp(&b.path));
    let change = enhancement("pages", modules)?;
    let request = PlanRequest {
        enhancement: &change,
        provenance: &payload.provenance(),
        commands: &CommandPolicy::Forbidden,
        privileged_modules: false,
        utilities: &BTreeMap::new(),
        steps: &[],
    };
    let plan = plan(place, &request, &mut [])?;
    let Opened::Ready(mut engine) = Engine::open(place.clone())? else { return Err("one is open".into()) };
    let stop = Arc::new(AtomicBool::new(false));
    let mut seen = Printer { phases: Vec::new(), progress: 0, stop_at, stop: Arc::clone(&stop) };
    let mut party = Party { databases: &mut [], steps: &mut [], observer: &mut seen, stop: &stop };
    let outcome = engine.migrate(&plan, &payload, &mut party)?;
    Ok((outcome, seen))
}
