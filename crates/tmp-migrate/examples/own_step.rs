//! A step of an embedder's own, with its undo: it registers the release somewhere outside of the modules.
//! Once the migration succeeds and the step stays; once a check fails and the step is undone.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(clippy::disallowed_methods, reason = "it builds the system, and its step writes where it likes")]

mod support;

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::atomic::AtomicBool};

use support::{Done, Payload, enhancement, workplace};
use tmp_core::{
    Digest,
    enhancement::{Check, Probe},
    event::Silent,
    id::StepName,
    outcome::Outcome,
    step::{Step, StepContext, StepError},
};
use tmp_migrate::{CommandPolicy, Engine, Opened, Party, PlanRequest, Workplace, plan};

/// Keeps a line for each release in a file that other programs read.
struct Register {
    name: StepName,
    file: PathBuf,
}

impl Register {
    /// The line carries the migration's id: so an undo that is called again, or for a step that never
    /// ran, finds out by itself whether there is anything to take back.
    fn line(context: &StepContext<'_>) -> String {
        format!("{} {}\n", context.migration, context.root)
    }

    fn read(&self) -> io::Result<String> {
        match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    /// Replaces the file whole, durably: what a step did must be there when it returns.
    fn write(&self, text: &str) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, text)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &self.file)?;
        fs::File::open(self.file.parent().unwrap_or(&self.file))?.sync_all()
    }
}

fn failed(error: io::Error) -> StepError {
    StepError { message: "the register cannot be written".into(), source: Some(error.into()) }
}

impl Step for Register {
    fn name(&self) -> &StepName {
        &self.name
    }

    fn describe(&self) -> String {
        format!("add this migration to {}", self.file.display())
    }

    fn describe_undo(&self) -> String {
        format!("take this migration out of {}", self.file.display())
    }

    fn apply(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        println!("  apply: {}", self.describe());
        let text = self.read().map_err(failed)?;
        self.write(&(text + &Self::line(context))).map_err(failed)
    }

    fn undo(&mut self, context: &StepContext<'_>) -> Result<(), StepError> {
        println!("  undo: {}", self.describe_undo());
        let text = self.read().map_err(failed)?;
        let line = Self::line(context);
        if text.contains(&line) { self.write(&text.replace(&line, "")).map_err(failed) } else { Ok(()) }
    }
}

fn main() -> Done {
    let dir = tempfile::tempdir()?;
    let place = workplace(dir.path())?;
    fs::create_dir_all(place.target.root.join("bin"))?;
    fs::write(place.target.root.join("bin/billing"), "one")?;
    let file = dir.path().join("register");
    let register = || -> Done<Register> { Ok(Register { name: "register".parse()?, file: file.clone() }) };

    println!("a check that passes");
    let good = run(&place, register()?, "two", "two")?;
    assert!(matches!(good, Outcome::Committed { .. }), "{good:?}");
    let registered = fs::read_to_string(&file)?;
    assert_eq!(registered.lines().count(), 1);

    println!("a check that fails");
    let bad = run(&place, register()?, "three", "something else")?;
    let Outcome::RolledBack { cause, .. } = &bad else { return Err(format!("{bad:?}").into()) };
    println!("  rolled back: {cause}");
    assert!(cause.contains("right-program"));
    assert_eq!(fs::read_to_string(&file)?, registered, "the step was undone");
    assert_eq!(fs::read_to_string(place.target.root.join("bin/billing"))?, "two", "so were the modules");
    Ok(())
}

/// Puts `text` in place of the program, with the step, and checks that the program is `expected`.
fn run(place: &Workplace, step: Register, text: &str, expected: &str) -> Done<Outcome> {
    let mut payload = Payload::default();
    let mut change = enhancement("release", vec![payload.put("bin/billing", text)?])?;
    let probe = Probe::Digest { path: "bin/billing".parse()?, digest: Digest::of(expected.as_bytes()) };
    change.verify.push(Check { name: "right-program".parse()?, probe, within_s: 0 });

    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(step)];
    let request = PlanRequest {
        enhancement: &change,
        provenance: &payload.provenance(),
        commands: &CommandPolicy::Forbidden,
        privileged_modules: false,
        utilities: &BTreeMap::new(),
        steps: &steps,
    };
    let plan = plan(place, &request, &mut [])?;
    let Opened::Ready(mut engine) = Engine::open(place.clone())? else { return Err("one is open".into()) };
    let stop = AtomicBool::new(false);
    // Whoever recovers brings the same steps, so that what a crash left can be undone.
    let mut party = Party { databases: &mut [], steps: &mut steps, observer: &mut Silent, stop: &stop };
    Ok(engine.migrate(&plan, &payload, &mut party)?)
}
