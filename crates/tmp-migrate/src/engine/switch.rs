//! Switches the modules, and switches them back. No content is read or written here: each operation
//! is one rename or one change of mode, and a whole tree is one rename.
//!
//! Identity, not content, decides what happened. Per operation the pair (what stands at the path, what
//! lies in the slot) is either as prepared, as switched, or unclear; where it is unclear nothing is
//! changed.

use std::{collections::BTreeMap, ffi::OsStr, io, time::Duration};

use tmp_core::{
    Mode, ModulePath,
    event::Work,
    module::Kind,
    mutant,
    plan::{Action, Operation},
};
use tmp_disk::{At, Barrier, Dir, Disk, DiskError, Identity, OpenFile, Place, Rename, Stat};

use super::{
    ballast::with_room,
    error::{EngineError, Stuck, Trouble},
    run::Run,
    site::{TREE, slots},
};
use crate::journal::{PreparedOperation, PreparedSite};

/// Where an operation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// The old module stands at the path.
    Before,
    /// The new one does.
    After,
    /// Neither can be proven; what was found.
    Unclear(String),
}

/// What moves: one operation's module, or the whole tree.
struct Move {
    /// What it is, for messages.
    shown: String,
    how: How,
    prepared: PreparedOperation,
    place: Place,
    slot: String,
}

/// How something moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// What is staged takes a path where nothing stands.
    Add,
    /// What is staged takes the place of this.
    Replace(Kind),
    /// What stands there is parked.
    Remove,
    /// The mode of this changes.
    Mode { of: Kind, from: Mode, to: Mode },
}

impl How {
    const fn of(operation: &Operation) -> Self {
        match (&operation.action, operation.replaces) {
            (Action::Put { .. }, Kind::Absent) => Self::Add,
            (Action::Put { .. }, kind) => Self::Replace(kind),
            (Action::Remove, _) => Self::Remove,
            (Action::SetMode { from, to }, of) => Self::Mode { of, from: *from, to: *to },
        }
    }
}

impl Move {
    /// The name under which a replaced file is kept where names cannot be exchanged.
    fn aside(&self) -> String {
        format!("{}.old", self.slot)
    }

    const fn is_mode(&self) -> bool {
        matches!(self.how, How::Mode { .. })
    }
}

/// Everything that moves, and where.
pub(super) struct Moves {
    all: Vec<Move>,
    /// The directories in which something moves.
    parents: Vec<Dir>,
    slots: Dir,
    exchange: bool,
}

impl Moves {
    /// Opens the places of every operation, or that of the tree where it is exchanged as a whole.
    pub(super) fn open(run: &Run<'_, '_>, prepared: &PreparedSite) -> Result<Self, DiskError> {
        let name = slots(run.migration());
        let slots = run
            .disk()
            .open_dir(&run.site.work, OsStr::new(&name))
            .map_err(DiskError::at("open", run.site.target.work.join(&name)))?;
        let exchange = prepared.exchange;
        if let (Some(home), Some(trees)) = (&run.home, prepared.tree) {
            let (staged, parked) = (Some(trees.staged), Some(trees.parked));
            let tree = Move {
                shown: home.shown(),
                how: How::Replace(Kind::Directory),
                prepared: PreparedOperation { staged, parked },
                place: home.place.clone(),
                slot: TREE.to_owned(),
            };
            return Ok(Self { all: vec![tree], parents: vec![home.place.dir.clone()], slots, exchange });
        }
        let mut parents: BTreeMap<Option<ModulePath>, Dir> = BTreeMap::new();
        let mut all = Vec::new();
        for (index, (operation, prepared)) in run.plan.operations.iter().zip(&prepared.operations).enumerate()
        {
            let parent = operation.path.parent();
            let dir = if let Some(dir) = parents.get(&parent) {
                dir.clone()
            } else {
                let place = run.tree.locate(&operation.path)?.ok_or_else(|| {
                    let gone = io::ErrorKind::NotFound.into();
                    DiskError::at("enter the directory of", operation.path.as_str())(gone)
                })?;
                parents.insert(parent, place.dir.clone());
                place.dir
            };
            let place = Place { dir, name: operation.path.name().into() };
            let (shown, how) = (operation.path.to_string(), How::of(operation));
            all.push(Move { shown, how, prepared: *prepared, place, slot: index.to_string() });
        }
        Ok(Self { all, parents: parents.into_values().collect(), slots, exchange })
    }

    /// Where each of them is.
    pub(super) fn positions(&self, disk: &dyn Disk) -> Result<Vec<Position>, DiskError> {
        self.all.iter().map(|it| self.position(disk, it)).collect()
    }

    fn position(&self, disk: &dyn Disk, it: &Move) -> Result<Position, DiskError> {
        let look = |at: At<'_>| disk.stat(at).map_err(DiskError::at("look at", at.name));
        let there = look(it.place.at())?;
        let slot = look(At::new(&self.slots, &it.slot))?.map(|stat| stat.identity);
        let here = there.map(|stat| stat.identity);
        let PreparedOperation { staged, parked } = it.prepared;
        let before = match it.how {
            How::Add | How::Replace(_) => here == parked && slot == staged,
            How::Remove => here == parked && slot.is_none(),
            How::Mode { from, .. } => here == parked && there.is_some_and(|stat| stat.mode == from),
        };
        if before {
            return Ok(Position::Before);
        }
        let after = match it.how {
            How::Replace(_) if !self.exchange => {
                let aside = look(At::new(&self.slots, &it.aside()))?.map(|stat| stat.identity);
                // On the way back the new file has its slot again before the old one has its path.
                here == staged && (slot.is_none() || slot == staged) && aside == parked
            }
            How::Add | How::Replace(_) => here == staged && slot == parked,
            How::Remove => here.is_none() && slot == parked,
            How::Mode { to, .. } => here == parked && there.is_some_and(|stat| stat.mode == to),
        };
        Ok(if after {
            Position::After
        } else if mutant::is("identity") {
            Position::Before
        } else {
            Position::Unclear(unclear(it, there, slot))
        })
    }

    /// Moves one of them forward.
    fn forward(&self, disk: &dyn Disk, it: &Move) -> io::Result<()> {
        let (place, slot) = (it.place.at(), At::new(&self.slots, &it.slot));
        match it.how {
            How::Mode { to, .. } => disk.set_mode(place, to),
            How::Remove => disk.rename(place, slot, Rename::NoReplace),
            How::Add => disk.rename(slot, place, Rename::NoReplace),
            How::Replace(_) if mutant::is("two-renames") => {
                let aside = it.aside();
                disk.rename(place, At::new(&self.slots, &aside), Rename::NoReplace)?;
                disk.rename(slot, place, Rename::NoReplace)?;
                disk.rename(At::new(&self.slots, &aside), slot, Rename::NoReplace)
            }
            How::Replace(_) if self.exchange => disk.rename(slot, place, Rename::Exchange),
            How::Replace(Kind::File | Kind::Symlink) => disk.rename(slot, place, Rename::Replace),
            How::Replace(_) => {
                let text = "this file system cannot exchange names, so only files can be replaced";
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }

    /// Moves one of them back.
    fn back(&self, disk: &dyn Disk, it: &Move) -> io::Result<()> {
        let (place, slot) = (it.place.at(), At::new(&self.slots, &it.slot));
        match it.how {
            How::Mode { from, .. } => disk.set_mode(place, from),
            How::Remove => disk.rename(slot, place, Rename::NoReplace),
            How::Add => disk.rename(place, slot, Rename::NoReplace),
            How::Replace(_) if self.exchange => disk.rename(slot, place, Rename::Exchange),
            How::Replace(_) => disk.rename(At::new(&self.slots, &it.aside()), place, Rename::Replace),
        }
    }

    /// Where names cannot be exchanged, gives what stands at a path a second name before it is replaced: the
    /// old file one aside, the new one on the way back its slot, so that the pair is as prepared again. Answers
    /// whether there has to be one.
    fn second_name(&self, disk: &dyn Disk, it: &Move, back: bool) -> io::Result<bool> {
        let needed = !self.exchange && matches!(it.how, How::Replace(Kind::File | Kind::Symlink));
        let name = if back { it.slot.clone() } else { it.aside() };
        let at = At::new(&self.slots, &name);
        if needed && (!back || disk.stat(at)?.is_none()) {
            disk.create_link(it.place.at(), at)?;
        }
        Ok(needed)
    }

    /// Makes the second names durable: a replacement that survives a power loss without them would have taken
    /// the last name from what it replaced.
    fn settle_names(&self, barrier: &Barrier) -> Result<(), EngineError> {
        let settled = barrier.settle(&[], std::slice::from_ref(&self.slots));
        settled.map_err(|source| EngineError::Sync { source })
    }

    /// Removes the second name of a file that was linked aside and never replaced.
    fn forget_aside(&self, disk: &dyn Disk, it: &Move) -> io::Result<()> {
        let aside = it.aside();
        let at = At::new(&self.slots, &aside);
        match disk.stat(at)? {
            Some(stat) if Some(stat.identity) == it.prepared.parked => disk.remove_file(at),
            _ => Ok(()),
        }
    }

    /// Makes the moves durable.
    fn settle(&self, disk: &dyn Disk, barrier: &Barrier) -> Result<(), DiskError> {
        let mut dirs = vec![self.slots.clone()];
        dirs.extend(self.parents.iter().cloned());
        let mut files: Vec<OpenFile> = Vec::new();
        for it in &self.all {
            let fault = DiskError::at("open", &it.place.name);
            match it.how {
                How::Mode { of: Kind::Directory, .. } => {
                    dirs.push(disk.open_dir(&it.place.dir, &it.place.name).map_err(fault)?);
                }
                How::Mode { .. } => files.push(disk.open_file(it.place.at()).map_err(fault)?),
                How::Add | How::Replace(_) | How::Remove => {}
            }
        }
        barrier.settle(&files, &dirs)
    }
}

fn unclear(it: &Move, there: Option<Stat>, slot: Option<Identity>) -> String {
    let shown =
        |identity: Option<Identity>| identity.map_or("nothing".into(), |it| format!("inode {}", it.inode));
    let there_shown = shown(there.map(|stat| stat.identity));
    format!(
        "{}: {there_shown} stands there and {} lies in its slot; expected were {} (old) and {} (new)",
        it.shown,
        shown(slot),
        shown(it.prepared.parked),
        shown(it.prepared.staged),
    )
}

impl Run<'_, '_> {
    /// Switches every module and makes that durable. Directories whose mode changes come last, so that
    /// no right that a rename needs is taken away before it. Returns the site's time before the first move and after the
    /// last: what comes before and after them nobody can see.
    pub(super) fn switch(&mut self, prepared: &PreparedSite) -> Result<(Duration, Duration), Trouble> {
        let barrier = Barrier::open(self.site.tree.disk(), &self.site.work)?;
        let moves = Moves::open(self, prepared)?;
        let disk = self.site.disk();
        if moves.positions(disk)?.iter().any(|position| *position != Position::Before) {
            self.memory.switching = false;
            return Err(Trouble::TurnBack("a module was changed just before the switch".into()));
        }
        let mut named = false;
        for it in &moves.all {
            named |= moves.second_name(disk, it, false).map_err(DiskError::at("switch", &it.shown))?;
        }
        if named {
            moves.settle_names(&barrier)?;
        }
        let since = self.site.clock().elapsed();
        for modes in [false, true] {
            for it in moves.all.iter().filter(|it| it.is_mode() == modes) {
                moves.forward(disk, it).map_err(DiskError::at("switch", &it.shown))?;
            }
        }
        let moved = self.site.clock().elapsed();
        if !mutant::is("switch-barrier") {
            moves.settle(disk, &barrier).map_err(|source| EngineError::Sync { source })?;
        }
        for position in moves.positions(disk)? {
            if let Position::Unclear(found) = position {
                return Err(Trouble::TurnBack(format!("a module was changed during the switch: {found}")));
            }
        }
        self.look_again(prepared.tree.as_ref())?;
        self.done(Work::Switch, moves.all.len() as u64, 0, since);
        Ok((since, moved))
    }

    /// Whether every module is switched.
    pub(super) fn all_switched(&self, prepared: &PreparedSite) -> Result<(), Stuck> {
        let moves = self.moves(prepared)?;
        let positions = moves.positions(self.disk())?;
        let all = moves.all.iter().zip(positions);
        let not: Vec<String> = all
            .filter(|(_, position)| *position != Position::After)
            .map(|(it, position)| format!("{} is not switched ({position:?})", it.shown))
            .collect();
        if not.is_empty() { Ok(()) } else { Err(Stuck::InDoubt(not.join("; "))) }
    }

    /// Opens the places of every operation for the way back. One that is gone is a missing fact.
    fn moves(&self, prepared: &PreparedSite) -> Result<Moves, Stuck> {
        Moves::open(self, prepared).map_err(|error| match error.source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Stuck::InDoubt(crate::text(&error)),
            _ => error.into(),
        })
    }

    /// Where each operation is, if that can be proven of every one.
    pub(super) fn proven(&self, prepared: &PreparedSite) -> Result<Vec<Position>, Stuck> {
        let positions = self.moves(prepared)?.positions(self.disk())?;
        let unclear: Vec<&str> = positions
            .iter()
            .filter_map(|position| match position {
                Position::Unclear(found) => Some(found.as_str()),
                Position::Before | Position::After => None,
            })
            .collect();
        if unclear.is_empty() { Ok(positions) } else { Err(Stuck::InDoubt(unclear.join("; "))) }
    }

    /// Switches back whatever is switched. Nothing is changed unless every operation's position can be
    /// proven first.
    pub(super) fn switch_back(&mut self, prepared: &PreparedSite) -> Result<(), Stuck> {
        let since = self.site.clock().elapsed();
        let disk = self.site.disk();
        let positions = self.proven(prepared)?;
        let moves = Moves::open(self, prepared)?;
        let barrier = Barrier::open(self.site.tree.disk(), &self.site.work)?;
        for (it, _) in moves.all.iter().zip(&positions).filter(|(_, position)| **position == Position::Before)
        {
            moves.forget_aside(disk, it).map_err(DiskError::at("remove the second name of", &it.shown))?;
        }
        let mut named = false;
        for (it, _) in moves.all.iter().zip(&positions).filter(|(_, position)| **position == Position::After)
        {
            named |= with_room(disk, &self.site.work, || moves.second_name(disk, it, true))
                .map_err(DiskError::at("switch back", &it.shown))?;
        }
        if named {
            moves.settle_names(&barrier)?;
        }
        for modes in [true, false] {
            let to_move = moves
                .all
                .iter()
                .zip(&positions)
                .filter(|(it, position)| it.is_mode() == modes && **position == Position::After);
            for (it, _) in to_move {
                with_room(disk, &self.site.work, || moves.back(disk, it))
                    .map_err(DiskError::at("switch back", &it.shown))?;
            }
        }
        if !mutant::is("undo-barrier") {
            moves.settle(disk, &barrier).map_err(|source| EngineError::Sync { source })?;
        }
        self.look_again(prepared.tree.as_ref())?;
        self.taken_back.push("the modules");
        self.done(Work::SwitchBack, moves.all.len() as u64, 0, since);
        Ok(())
    }
}
