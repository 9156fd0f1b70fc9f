//! The house rules that a script can check.

mod crates;
mod documents;
mod files;
mod mutants;
mod requirements;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Done, arguments::Arguments, shell};

/// A file of the workspace that holds text.
pub(crate) struct TextFile {
    /// Relative to the root of the workspace, with `/`.
    path: String,
    text: String,
}

/// Checks everything and tells all that is wrong at once.
pub(crate) fn run(words: &[String]) -> Done {
    Arguments::new(words, &[], &[])?;
    let root = shell::workspace();
    let files = read_all(&root)?;
    let mut wrong: Vec<String> = files.iter().flat_map(files::check).collect();
    wrong.extend(documents::check(&files));
    wrong.extend(requirements::check(&files));
    wrong.extend(mutants::check(&files));
    wrong.extend(crates::check(&files, &shell::metadata()?));
    if wrong.is_empty() {
        println!("tidy: {} files, nothing to complain about", files.len());
        return Ok(());
    }
    wrong.sort();
    Err(format!("tidy:\n  {}", wrong.join("\n  ")).into())
}

/// The text of a file of the workspace.
fn find<'a>(files: &'a [TextFile], path: &str) -> Option<&'a str> {
    files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
}

/// Every file that git would commit or has committed and that is text.
fn read_all(root: &Path) -> Done<Vec<TextFile>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut paths: Vec<PathBuf> = shell::read(&mut git)?.split_terminator('\0').map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    let text = |path: PathBuf| {
        let bytes = fs::read(root.join(&path)).ok()?;
        Some(TextFile { path: path.to_str()?.to_owned(), text: String::from_utf8(bytes).ok()? })
    };
    Ok(paths.into_iter().filter_map(text).collect())
}
