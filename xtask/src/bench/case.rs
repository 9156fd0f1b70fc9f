//! One thing that is measured: a script, what comes before it, and what must hold after it.

/// Whose figures they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// TMP's.
    Ours,
    /// Another tool's, as its users run it.
    Peer,
    /// The least that the machine can do.
    Floor,
}

/// A script for bash, run over and over. The variables it may use are those of [`super::setting::Setting`].
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) role: Role,
    /// The program without which it cannot run.
    pub(super) needs: &'static str,
    /// Whether it gets an empty file system of its own.
    pub(super) fresh: bool,
    /// What comes before it and is not measured.
    pub(super) before: String,
    pub(super) command: String,
    /// What must succeed afterwards and is not measured.
    pub(super) after: String,
    /// What it made, as words for `du`.
    pub(super) weigh: String,
    /// The directory whose visible changes are watched.
    pub(super) watched: bool,
    /// Runs that are enough for one that takes long.
    pub(super) most: usize,
}

impl Case {
    fn new(name: &str, role: Role, needs: &'static str, command: &str) -> Self {
        Self {
            name: name.to_owned(),
            role,
            needs,
            fresh: false,
            before: String::new(),
            command: command.to_owned(),
            after: String::new(),
            weigh: String::new(),
            watched: false,
            most: usize::MAX,
        }
    }

    /// A case of TMP.
    pub(super) fn ours(name: &str, command: &str) -> Self {
        Self::new(name, Role::Ours, "true", command)
    }

    /// A case of another tool, called by its program.
    pub(super) fn peer(needs: &'static str, name: &str, command: &str) -> Self {
        Self::new(name, Role::Peer, needs, command)
    }

    /// A floor.
    pub(super) fn floor(name: &str, command: &str) -> Self {
        Self::new(name, Role::Floor, "true", command)
    }

    /// On an empty file system each time.
    pub(super) fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// With something before it.
    pub(super) fn before(mut self, script: &str) -> Self {
        script.clone_into(&mut self.before);
        self
    }

    /// With something that must hold after it.
    pub(super) fn after(mut self, script: &str) -> Self {
        script.clone_into(&mut self.after);
        self
    }

    /// With the size of what it made.
    pub(super) fn weigh(mut self, paths: &str) -> Self {
        paths.clone_into(&mut self.weigh);
        self
    }

    /// With the time between the first and the last visible change of the target.
    pub(super) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    /// At most so many times.
    pub(super) fn most(mut self, runs: usize) -> Self {
        self.most = runs;
        self
    }
}
