//! A twentieth of the change sets of at most three operations on the real file system, with deaths at effects. All
//! of them, at every effect and with losses of power, run on the simulated one: `tests/sim`.

use std::{os::unix::fs::symlink, sync::Arc};

use crate::common::{Lab, assert_same};
use tmp_core::{
    Mode,
    module::{Change, Content},
    outcome::Outcome,
};
use tmp_disk::{Fault, FaultDisk, RealDisk};
use tmp_testkit::walk;

#[path = "../sim/change_sets.rs"]
mod every;

impl every::System for Lab {
    fn write(&self, path: &str, text: &str) {
        Self::write(self, path, text);
    }

    fn write_link(&self, path: &str, target: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn put(&mut self, path: &str, text: &str, mode: Mode, owner: Option<&str>) {
        // Who is not root gives nothing away.
        let owner = owner.filter(|_| rustix::process::geteuid().is_root()).map(str::to_owned);
        let digest = self.payload.add(text.as_bytes());
        self.change(path, Change::Put(Content::File { digest, size: text.len() as u64, mode }));
        let module = self.enhancement.modules.iter_mut().find(|module| module.path.as_str() == path);
        module.unwrap().owner = owner;
    }

    fn link(&mut self, path: &str, target: &str) {
        self.change(path, Change::Put(Content::Symlink { target: target.into() }));
    }

    fn directory(&mut self, path: &str) {
        self.change(path, Change::Put(Content::Directory { mode: Mode::DIRECTORY }));
    }

    fn remove(&mut self, path: &str) {
        Self::remove(self, path);
    }
}

fn lab(set: u64) -> Lab {
    let mut lab = Lab::new();
    lab.write("kept", "kept");
    lab.write("lib/kept", "kept too");
    for (position, operation) in every::operations(set).into_iter().enumerate() {
        every::add(&mut lab, position, operation);
    }
    lab
}

#[test]
fn a_twentieth_of_all_change_sets_on_the_real_file_system() {
    let (mut backs, mut forwards) = (0, 0);
    for set in (0..every::COUNT).step_by(20) {
        let mut sound = lab(set);
        let counted = Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::None));
        let outcome = sound.migrate_on(counted.clone()).unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{set}: {outcome:?}");
        for (position, operation) in every::operations(set).into_iter().enumerate() {
            for (path, expected) in every::expected(position, operation) {
                let there = std::fs::symlink_metadata(sound.root().join(&path));
                assert_eq!(there.is_ok(), expected.is_some(), "{set}: {path}");
            }
        }
        let after = sound.seen().tree.without_mtimes(|_| true);
        // Where it begins is another with every set, so that all effects have their turn.
        for at in (1 + set % 13..=counted.effects()).step_by(13) {
            let what = format!("set {set}, dead at {at}");
            let mut lab = lab(set);
            let before = lab.seen();
            drop(lab.migrate_on(Arc::new(FaultDisk::new(Arc::new(RealDisk), Fault::Stop { at }))));
            lab.recover();
            let now = lab.seen();
            if walk::diff(&after, &now.tree.without_mtimes(|_| true)).is_empty() {
                forwards += 1;
            } else {
                assert_same(&before, &now);
                backs += 1;
            }
            assert!(lab.recover().is_none(), "{what}: nothing is left to recover");
            assert_eq!(lab.leftovers(), [""; 0], "{what}");
        }
    }
    assert!(backs > 200 && forwards > 20, "{backs} back, {forwards} forward");
}
