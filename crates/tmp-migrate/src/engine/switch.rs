//! Switches the modules, and switches them back. No content is read or written here: each operation
//! is one rename or one change of mode.
//!
//! Identity, not content, decides what happened. Per operation the pair (what stands at the path, what
//! lies in the slot) is either as prepared, as switched, or unclear; where it is unclear nothing is
//! changed.

use std::{collections::BTreeMap, ffi::OsStr, io, time::Duration};

use tmp_core::{
    ModulePath,
    event::Work,
    module::Kind,
    plan::{Action, Operation},
};
use tmp_disk::{At, Barrier, Dir, Disk, DiskError, Identity, OpenFile, Place, Rename, Stat};

use super::{
    ballast::with_room,
    error::{EngineError, Stuck, Trouble},
    run::Run,
    site::slots,
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

/// One operation with everything that is needed to move it.
struct Move<'a> {
    operation: &'a Operation,
    prepared: PreparedOperation,
    place: Place,
    slot: String,
}

impl Move<'_> {
    /// The name under which a replaced file is kept where names cannot be exchanged.
    fn aside(&self) -> String {
        format!("{}.old", self.slot)
    }

    const fn is_mode(&self) -> bool {
        matches!(self.operation.action, Action::SetMode { .. })
    }
}

/// Everything that moves, and where.
pub(super) struct Moves<'a> {
    all: Vec<Move<'a>>,
    slots: Dir,
    exchange: bool,
}

impl<'a> Moves<'a> {
    /// Opens the places of every operation.
    pub(super) fn open(run: &Run<'a, '_>, prepared: &PreparedSite) -> Result<Self, DiskError> {
        let name = slots(run.migration());
        let slots = run
            .disk()
            .open_dir(&run.site.work, OsStr::new(&name))
            .map_err(DiskError::at("open", run.site.target.work.join(&name)))?;
        let mut parents: BTreeMap<Option<ModulePath>, Dir> = BTreeMap::new();
        let mut moves = Vec::new();
        for (index, (operation, prepared)) in run.plan.operations.iter().zip(&prepared.operations).enumerate()
        {
            let parent = operation.path.parent();
            let dir = if let Some(dir) = parents.get(&parent) {
                dir.clone()
            } else {
                let place = run.site.tree.locate(&operation.path)?.ok_or_else(|| {
                    let gone = io::ErrorKind::NotFound.into();
                    DiskError::at("enter the directory of", operation.path.as_str())(gone)
                })?;
                parents.insert(parent, place.dir.clone());
                place.dir
            };
            let place = Place { dir, name: operation.path.name().into() };
            moves.push(Move { operation, prepared: *prepared, place, slot: index.to_string() });
        }
        Ok(Self { all: moves, slots, exchange: prepared.exchange })
    }

    /// Where each operation is.
    pub(super) fn positions(&self, disk: &dyn Disk) -> Result<Vec<Position>, DiskError> {
        self.all.iter().map(|it| self.position(disk, it)).collect()
    }

    fn position(&self, disk: &dyn Disk, it: &Move<'_>) -> Result<Position, DiskError> {
        let look = |at: At<'_>| disk.stat(at).map_err(DiskError::at("look at", at.name));
        let there = look(it.place.at())?;
        let slot = look(At::new(&self.slots, &it.slot))?.map(|stat| stat.identity);
        let here = there.map(|stat| stat.identity);
        let PreparedOperation { staged, parked } = it.prepared;
        let before = match it.operation.action {
            Action::Put { .. } => here == parked && slot == staged,
            Action::Remove => here == parked && slot.is_none(),
            Action::SetMode { from, .. } => here == parked && there.is_some_and(|stat| stat.mode == from),
        };
        if before {
            return Ok(Position::Before);
        }
        let after = match it.operation.action {
            Action::Put { .. } if parked.is_some() && !self.exchange => {
                let aside = look(At::new(&self.slots, &it.aside()))?.map(|stat| stat.identity);
                // On the way back the new file has its slot again before the old one has its path.
                here == staged && (slot.is_none() || slot == staged) && aside == parked
            }
            Action::Put { .. } => here == staged && slot == parked,
            Action::Remove => here.is_none() && slot == parked,
            Action::SetMode { to, .. } => here == parked && there.is_some_and(|stat| stat.mode == to),
        };
        Ok(if after { Position::After } else { Position::Unclear(unclear(it, there, slot)) })
    }

    /// Moves one operation forward.
    fn forward(&self, disk: &dyn Disk, it: &Move<'_>) -> io::Result<()> {
        let (place, slot) = (it.place.at(), At::new(&self.slots, &it.slot));
        match (&it.operation.action, it.operation.replaces) {
            (Action::SetMode { to, .. }, _) => disk.set_mode(place, *to),
            (Action::Remove, _) => disk.rename(place, slot, Rename::NoReplace),
            (Action::Put { .. }, Kind::Absent) => disk.rename(slot, place, Rename::NoReplace),
            (Action::Put { .. }, _) if self.exchange => disk.rename(slot, place, Rename::Exchange),
            (Action::Put { .. }, Kind::File | Kind::Symlink) => {
                disk.create_link(place, At::new(&self.slots, &it.aside()))?;
                disk.rename(slot, place, Rename::Replace)
            }
            (Action::Put { .. }, _) => {
                let text = "this file system cannot exchange names, so only files can be replaced";
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }

    /// Moves one operation back.
    fn back(&self, disk: &dyn Disk, it: &Move<'_>) -> io::Result<()> {
        let (place, slot) = (it.place.at(), At::new(&self.slots, &it.slot));
        match (&it.operation.action, it.operation.replaces) {
            (Action::SetMode { from, .. }, _) => disk.set_mode(place, *from),
            (Action::Remove, _) => disk.rename(slot, place, Rename::NoReplace),
            (Action::Put { .. }, Kind::Absent) => disk.rename(place, slot, Rename::NoReplace),
            (Action::Put { .. }, _) if self.exchange => disk.rename(slot, place, Rename::Exchange),
            (Action::Put { .. }, _) => {
                // The new file gets its slot back, so that the pair is as prepared again.
                if disk.stat(slot)?.is_none() {
                    disk.create_link(place, slot)?;
                }
                disk.rename(At::new(&self.slots, &it.aside()), place, Rename::Replace)
            }
        }
    }

    /// Removes the second name of a file that was linked aside and never replaced.
    fn forget_aside(&self, disk: &dyn Disk, it: &Move<'_>) -> io::Result<()> {
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
        let mut files: Vec<OpenFile> = Vec::new();
        let mut seen: Vec<Option<ModulePath>> = Vec::new();
        for it in &self.all {
            let parent = it.operation.path.parent();
            if seen.last() != Some(&parent) {
                dirs.push(it.place.dir.clone());
                seen.push(parent);
            }
            if it.is_mode() {
                match it.operation.replaces {
                    Kind::Directory => dirs.push(
                        disk.open_dir(&it.place.dir, &it.place.name)
                            .map_err(DiskError::at("open", &it.place.name))?,
                    ),
                    _ => files
                        .push(disk.open_file(it.place.at()).map_err(DiskError::at("open", &it.place.name))?),
                }
            }
        }
        barrier.settle(&files, &dirs)
    }
}

fn unclear(it: &Move<'_>, there: Option<Stat>, slot: Option<Identity>) -> String {
    let shown =
        |identity: Option<Identity>| identity.map_or("nothing".into(), |it| format!("inode {}", it.inode));
    let there_shown = shown(there.map(|stat| stat.identity));
    format!(
        "{}: {there_shown} stands there and {} lies in its slot; expected were {} (old) and {} (new)",
        it.operation.path,
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
            return Err(Trouble::TurnBack("a module was changed just before the switch".into()));
        }
        let since = self.site.clock().elapsed();
        for modes in [false, true] {
            for it in moves.all.iter().filter(|it| it.is_mode() == modes) {
                moves.forward(disk, it).map_err(DiskError::at("switch", it.operation.path.as_str()))?;
            }
        }
        let moved = self.site.clock().elapsed();
        moves.settle(disk, &barrier).map_err(|source| EngineError::Sync { source })?;
        for position in moves.positions(disk)? {
            if let Position::Unclear(found) = position {
                return Err(Trouble::TurnBack(format!("a module was changed during the switch: {found}")));
            }
        }
        self.done(Work::Switch, moves.all.len() as u64, 0, since);
        Ok((since, moved))
    }

    /// Whether every module is switched.
    pub(super) fn all_switched(&self, prepared: &PreparedSite) -> Result<(), Stuck> {
        let positions = self.moves(prepared)?.positions(self.disk())?;
        let paths = self.plan.operations.iter().map(|operation| &operation.path);
        let not: Vec<String> = paths
            .zip(positions)
            .filter(|(_, position)| *position != Position::After)
            .map(|(path, position)| format!("{path} is not switched ({position:?})"))
            .collect();
        if not.is_empty() { Ok(()) } else { Err(Stuck::InDoubt(not.join("; "))) }
    }

    /// Opens the places of every operation for the way back. One that is gone is a missing fact.
    fn moves(&self, prepared: &PreparedSite) -> Result<Moves<'_>, Stuck> {
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
            moves
                .forget_aside(disk, it)
                .map_err(DiskError::at("remove the second name of", it.operation.path.as_str()))?;
        }
        for modes in [true, false] {
            let to_move = moves
                .all
                .iter()
                .zip(&positions)
                .filter(|(it, position)| it.is_mode() == modes && **position == Position::After);
            for (it, _) in to_move {
                with_room(disk, &self.site.work, || moves.back(disk, it))
                    .map_err(DiskError::at("switch back", it.operation.path.as_str()))?;
            }
        }
        moves.settle(disk, &barrier).map_err(|source| EngineError::Sync { source })?;
        self.taken_back.push("the modules");
        self.done(Work::SwitchBack, moves.all.len() as u64, 0, since);
        Ok(())
    }
}
