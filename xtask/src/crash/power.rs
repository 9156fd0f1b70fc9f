//! The matrices of real file systems: loss of power, failing disks, full disks.

mod hurt;

use std::sync::{Arc, Mutex, PoisonError};

use tmp_testkit::{
    device::{FileSystem, missing, privately},
    matrix::{Package, Verdict, sample},
    power::{Ground, Loss, Place, Recording},
};

use self::hurt::Hurt;
use super::{
    point::Point,
    proof::{Bench, Came, Choice, End, Proof},
    workshop::Workshop,
};
use crate::Done;

/// Every hurt of every place that can be hurt so.
pub(super) fn proofs() -> Vec<Box<dyn Proof>> {
    let (ext4, xfs, btrfs) =
        (Place::Disk(FileSystem::Ext4), Place::Disk(FileSystem::Xfs), Place::Disk(FileSystem::Btrfs));
    let places = |hurt: Hurt| match hurt {
        Hurt::Cut | Hurt::ReadOnly => vec![ext4, xfs],
        Hurt::Replay | Hurt::Failing => vec![ext4, xfs, btrfs],
        Hurt::Full | Hurt::Filled | Hurt::Room => vec![ext4, xfs, btrfs, Place::Memory],
        Hurt::Sync => vec![xfs],
        Hurt::Inodes => vec![ext4, Place::Memory],
        Hurt::Quota => vec![btrfs],
    };
    let all = Hurt::ALL.into_iter().flat_map(|hurt| places(hurt).into_iter().map(move |place| (hurt, place)));
    all.map(|(hurt, place)| Box::new(Hurting { hurt, place, ground: Mutex::default() }) as Box<dyn Proof>)
        .collect()
}

struct Hurting {
    hurt: Hurt,
    place: Place,
    /// What all workers share: the disk that every point begins with, and what reached one during a migration.
    ground: Mutex<Option<(Ground, Option<Arc<Recording>>)>>,
}

impl Proof for Hurting {
    fn matrix(&self) -> &'static str {
        self.hurt.name(self.place)
    }

    fn package(&self) -> &'static str {
        Package::Sqlite.name()
    }

    fn what(&self) -> String {
        format!("{}: {}", self.place.name(), self.hurt.what())
    }

    fn lacks(&self) -> Option<String> {
        let missing = missing();
        (!missing.is_empty()).then(|| format!("it needs {}", missing.join(", ")))
    }

    fn is_called(&self, name: &str) -> bool {
        [self.hurt.word(), self.matrix(), self.package(), &self.id()].contains(&name)
    }

    fn prepare<'a>(&self, shop: &'a Workshop, choice: Choice) -> Done<Box<dyn Bench + 'a>> {
        let mut ground = self.ground.lock().unwrap_or_else(PoisonError::into_inner);
        // Two disks with the same btrfs are one disk to btrfs: there each worker makes its own.
        let shared = self.place != Place::Disk(FileSystem::Btrfs);
        if let Some((ground, recording)) = ground.as_ref().filter(|_| shared) {
            let (ground, recording) = (ground.beside(1), recording.clone());
            return Ok(Box::new(Site { hurt: self.hurt, choice, ground, recording }));
        }
        let folder = shop.folder(&self.id())?;
        // Few inodes, so that all of them can be taken.
        let options: &[&str] = match (self.hurt, self.place) {
            (Hurt::Full | Hurt::Filled | Hurt::Inodes, Place::Disk(FileSystem::Ext4)) => &["-N", "1024"],
            _ => &[],
        };
        let (made, recording) = privately(|| {
            let made = Ground::prepare(shop.tmp(), &folder, Package::Sqlite, self.place, options)?;
            let recording = (self.hurt == Hurt::Replay).then(|| made.record()).transpose()?;
            Ok((made, recording.map(Arc::new)))
        })?;
        *ground = Some((made.clone(), recording.clone()));
        Ok(Box::new(Site { hurt: self.hurt, choice, ground: made, recording }))
    }
}

struct Site {
    hurt: Hurt,
    choice: Choice,
    ground: Ground,
    recording: Option<Arc<Recording>>,
}

impl Bench for Site {
    fn points(&mut self) -> Done<Vec<Point>> {
        let calls = self.ground.calls().len() as u64;
        let all: Vec<Point> = match self.hurt {
            // One more than there are calls: after the migration has ended.
            Hurt::Cut => (1..=calls + 1).map(Point::from).collect(),
            Hurt::Full | Hurt::Filled | Hurt::ReadOnly => (1..=calls).map(Point::from).collect(),
            Hurt::Sync => {
                let syncs = (1..).zip(self.ground.calls()).filter(|(_, name)| name.contains("sync"));
                syncs.map(|(at, _)| Point::from(at)).collect()
            }
            Hurt::Failing => {
                let flushes = privately(|| self.ground.flushes())?;
                (1..=flushes)
                    .flat_map(|flush| (0..hurt::FAULTS).map(move |fault| Point(vec![flush, fault])))
                    .collect()
            }
            Hurt::Replay => {
                let losses = self.recording.as_ref().map(|recording| recording.losses(hurt::SEEDS));
                losses
                    .unwrap_or_default()
                    .into_iter()
                    .map(|loss| Point(vec![loss.requests, loss.dice]))
                    .collect()
            }
            Hurt::Room | Hurt::Quota => (0..64).map(|step| Point::from(step * 640)).collect(),
            Hurt::Inodes => (0..80).map(Point::from).collect(),
        };
        let count = self.choice.count(self.hurt.sample(), self.hurt.most());
        let chosen = sample(self.choice.seed, count, all.len() as u64);
        Ok(chosen.into_iter().filter_map(|at| all.get(usize::try_from(at - 1).ok()?).cloned()).collect())
    }

    fn attempt(&mut self, point: &Point) -> Done<Came> {
        let (ground, hurt, seed) = (&self.ground, self.hurt, self.choice.seed);
        let tried = privately(|| {
            let tried = match (hurt, &self.recording) {
                (Hurt::Replay, Some(recording)) => {
                    let at = |place| point.at(place).map_err(std::io::Error::other);
                    let loss = Loss { requests: at(0)?, dice: at(1)? };
                    ground.lose(recording, loss, seed).map(|verdict| (Some(verdict), None))
                }
                _ => hurt.attempt(ground, point),
            };
            ground.clear()?;
            tried
        });
        let (verdict, note) = tried?;
        let end = match verdict {
            None => End::NotReached,
            Some(Verdict::Before) => End::Before,
            Some(Verdict::After) => End::After,
            Some(Verdict::Violation(lines)) => End::Violated(lines),
        };
        Ok(Came { what: format!("{} at {point}", hurt.what()), end, note })
    }
}
