//! From arguments to exit code.

use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    args::{Cli, Command, Globals},
    command,
    exit::Exit,
    failure::Failure,
    output::Output,
};

/// Parses, runs, reports.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    leave_no_core();
    let mut out = Output::new(&cli.globals);
    let ended = dispatch(&cli.command, &cli.globals, &mut out);
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) => {
            out.failure(&failure);
            failure.exit
        }
    };
    match out.close() {
        Err(failure) if exit == Exit::Done => {
            out.failure(&failure);
            failure.exit.into()
        }
        _ => exit.into(),
    }
}

/// Keeps the kernel from writing what this process and its children know to a core file. Lowering a limit is always
/// allowed.
fn leave_no_core() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
}

fn dispatch(command: &Command, globals: &Globals, out: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(command) => command.run(out),
        Command::New(command) => command.run(out),
        Command::Check(command) => command.run(out),
        Command::Package(command) => command.run(out),
        Command::Import(command) => command.run(out),
        Command::Inspect(command) => command.run(out),
        Command::Rehearse(command) => command.run(globals, out),
        Command::Plan(command) => command.run(globals, out),
        Command::Run(command) => command.run(globals, out),
        Command::Status(command) => command.run(globals, out),
        Command::History(command) => command.run(globals, out),
        Command::Log(command) => command.run(globals, out),
        Command::Recover(command) => command.run(globals, out),
        Command::Resolve(command) => command.run(globals, out),
        Command::Reverse(command) => command.run(globals, out),
        Command::Drift(command) => command.run(globals, out),
        Command::Archive(command) => command.run(globals, out),
        Command::Demo(command) => command.run(out),
        Command::Doctor => command::doctor::run(globals, out),
        Command::Config(command) => command.run(globals, out),
        Command::Schema(command) => command.run(out),
        Command::Explain(command) => command.run(out),
        Command::Completions(command) => Ok(command.run(out)),
        Command::Man(command) => command.run(out),
    }
}
