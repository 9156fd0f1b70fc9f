//! A repository, and what its labels name.

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    blobs::Blobs,
    program::{GitError, Program},
};
use crate::{exit::Exit, failure::Failure, files};

/// A git repository: a working copy or a bare one.
#[derive(Debug)]
pub(crate) struct Repository {
    program: Program,
    top: Utf8PathBuf,
}

/// What a label names.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// The label as it was given.
    pub(crate) label: String,
    /// The full id.
    pub(crate) id: String,
    /// The tag, where the label is one.
    pub(crate) tag: Option<String>,
}

impl Repository {
    /// The repository that `path` lies in, whether anything stands there or not, and the path below its
    /// top; empty for the top itself.
    ///
    /// # Errors
    /// It lies in none that git reads.
    pub(crate) fn around(path: &Utf8Path) -> Result<(Self, String), Failure> {
        let path = files::real(&files::absolute(path)?);
        let folder = path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Utf8Path::new("/"));
        let program = Program::new(folder);
        let top = top(&program).map_err(|error| none(&path, error))?;
        let below = path.strip_prefix(&top).map_err(|_| {
            Failure::new(Exit::Usage, format!("{path} does not lie below {top}, the top of its repository"))
                .rule("git-repository")
        })?;
        let below = below.as_str().to_owned();
        Ok((Self { program: Program::new(&top), top }, below))
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// Its contents.
    pub(crate) fn blobs(&self) -> Blobs {
        Blobs::new(&self.program)
    }

    /// What people call it: the end of the address it was cloned from, otherwise its directory.
    pub(crate) fn name(&self) -> String {
        let origin = self.program.answer(&["config", "--get", "remote.origin.url"]).unwrap_or_default();
        let origin = without_credentials(&origin);
        let last = origin.trim_end_matches('/').rsplit(['/', ':', '\\']).next().unwrap_or_default();
        let name = if last.is_empty() { self.top.file_name().unwrap_or_default() } else { last };
        name.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(name).to_owned()
    }

    /// The commit that `label` names: a tag, a branch, or whatever else git reads as a commit.
    ///
    /// # Errors
    /// It names none, or a tag and a branch that differ.
    pub(crate) fn commit(&self, label: &str) -> Result<Commit, Failure> {
        let short = label.strip_prefix("refs/tags/").unwrap_or(label);
        let tag = self.reference(&format!("refs/tags/{short}"));
        let branch = if short == label { self.reference(&format!("refs/heads/{label}")) } else { None };
        let found = match (&tag, &branch) {
            (Some(tag), Some(branch)) => {
                let (tag, branch) = (self.peeled(tag), self.peeled(branch));
                if tag.as_ref().ok() != branch.as_ref().ok() {
                    return Err(Failure::new(
                        Exit::Usage,
                        format!("{label:?} is a tag and a branch of {}, and they differ", self.top),
                    )
                    .rule("git-label")
                    .help(format!("refs/tags/{label} or refs/heads/{label} says which")));
                }
                tag
            }
            (Some(id), None) | (None, Some(id)) => self.peeled(id),
            (None, None) => self.peeled(label),
        };
        let id = found.map_err(|error| self.unknown(label, error))?;
        Ok(Commit { label: label.to_owned(), id, tag: tag.map(|_| short.to_owned()) })
    }

    /// The id of the directory `below` in a commit; `None` where nothing stands there.
    ///
    /// # Errors
    /// Something else stands there, or git cannot read it.
    pub(crate) fn directory(&self, commit: &Commit, below: &str) -> Result<Option<String>, Failure> {
        let place = format!("{}:{below}", commit.id);
        let verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", &place];
        let id = match self.program.answer(&verify) {
            Ok(id) if is_id(&id) => id,
            Err(GitError::Start { source }) => return Err(failed(GitError::Start { source })),
            _ => return Ok(None),
        };
        match self.program.answer(&["cat-file", "-t", &id]).map_err(failed)?.as_str() {
            "tree" => Ok(Some(id)),
            kind => {
                let message = format!("{below} is a {kind} in {}, not a directory", commit.label);
                Err(Failure::new(Exit::InvalidInput, message).rule("git-path"))
            }
        }
    }

    /// The id of a directory that holds nothing; it is computed, not stored.
    pub(super) fn nothing(&self) -> Result<String, GitError> {
        self.program.answer(&["hash-object", "-t", "tree", "--stdin"])
    }

    /// What a reference of exactly this name points to.
    fn reference(&self, name: &str) -> Option<String> {
        let id = self.program.answer(&["show-ref", "--verify", "--hash", "--", name]).ok()?;
        is_id(&id).then_some(id)
    }

    fn peeled(&self, revision: &str) -> Result<String, GitError> {
        let commit = format!("{revision}^{{commit}}");
        let id = self.program.answer(&["rev-parse", "--verify", "--end-of-options", &commit])?;
        if is_id(&id) {
            return Ok(id);
        }
        Err(GitError::Answer { verb: "rev-parse".into(), what: format!("{id:?} is not the id of a commit") })
    }

    fn unknown(&self, label: &str, error: GitError) -> Failure {
        if matches!(error, GitError::Start { .. }) {
            return failed(error);
        }
        let shallow = self.program.answer(&["rev-parse", "--is-shallow-repository"]);
        let (exit, kind, help) = if shallow.is_ok_and(|answer| answer == "true") {
            let help = "`git fetch --unshallow` brings its whole history; `git fetch --tags` may be enough";
            (Exit::InvalidInput, ", a shallow clone", help)
        } else {
            (
                Exit::Usage,
                "",
                "`git tag`, `git branch` and `git log` list what there is; `git fetch` brings more",
            )
        };
        let message = format!("{label:?} names no commit of the repository {}{kind}", self.top);
        Failure::caused(exit, error).told_as(message).rule("git-label").help(help)
    }
}

/// The directory that everything in a repository is relative to.
fn top(program: &Program) -> Result<Utf8PathBuf, GitError> {
    let bare = program.answer(&["rev-parse", "--is-bare-repository"])? == "true";
    let what = if bare { "--absolute-git-dir" } else { "--show-toplevel" };
    program.answer(&["rev-parse", what]).map(Utf8PathBuf::from)
}

fn none(path: &Utf8Path, error: GitError) -> Failure {
    if matches!(error, GitError::Start { .. }) {
        return failed(error);
    }
    let message = format!("{path} does not lie in a git repository that can be read");
    Failure::caused(Exit::Usage, error)
        .told_as(message)
        .rule("git-repository")
        .help("name a directory of a clone, or package without --from-git")
}

/// What git could not do, for a person.
pub(super) fn failed(error: GitError) -> Failure {
    match error {
        GitError::Start { .. } => {
            Failure::caused(Exit::Error, error).rule("git-program").help("install git, and have it in PATH")
        }
        error => Failure::caused(Exit::InvalidInput, error).rule("git-repository"),
    }
}

/// An address without what may stand before its host: a user, a password, a token.
fn without_credentials(address: &str) -> &str {
    let Some((_, rest)) = address.split_once("://") else { return address };
    let host = rest.split('/').next().unwrap_or_default();
    host.rfind('@').and_then(|at| rest.get(at + 1..)).unwrap_or(rest)
}

/// Whether a text is the id of an object, SHA-1 or SHA-256.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
