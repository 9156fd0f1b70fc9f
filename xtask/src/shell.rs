//! Starts programs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Done;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// `cargo`, the one that runs this task, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(workspace());
    command
}

/// Runs a command, whose output goes to the developer.
pub(crate) fn run(command: &mut Command) -> Done {
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command)).into()) }
}

/// What a command writes to its standard output.
pub(crate) fn read(command: &mut Command) -> Done<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot start {}: {error}", name(command)))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("{}: {}", line(command), output.status).into())
    }
}

/// Whether a command can be started and ends well; it says nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Builds the program `tmp` in the dev profile and returns where it is.
pub(crate) fn build_tmp() -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--package", "tmp-cli"]))?;
    Ok(target_directory()?.join("debug/tmp"))
}

/// Builds a program of the workspace as it is released and returns where it is.
pub(crate) fn build_released(package: &str, program: &str) -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--release", "--package", package, "--bin", program]))?;
    Ok(target_directory()?.join("release").join(program))
}

/// Where `cargo` builds.
pub(crate) fn target_directory() -> Done<PathBuf> {
    let metadata = metadata()?;
    let target = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(Path::new(target.ok_or("cargo metadata names no target directory")?).to_owned())
}

/// What `cargo metadata` says of the members of the workspace.
pub(crate) fn metadata() -> Done<serde_json::Value> {
    let text = read(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    Ok(serde_json::from_str(&text)?)
}

fn name(command: &Command) -> String {
    command.get_program().display().to_string()
}

fn line(command: &Command) -> String {
    command.get_args().fold(name(command), |line, word| format!("{line} {}", word.display()))
}
