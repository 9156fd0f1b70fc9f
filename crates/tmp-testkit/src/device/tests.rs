use super::*;
use std::os::unix::fs::FileExt as _;

#[test]
fn a_replay_keeps_what_was_flushed_and_may_lose_or_tear_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let write = |offset, byte| LogEntry::Write { offset, bytes: vec![byte; 8192] };
    let log = DiskLog { entries: vec![write(0, 1), LogEntry::Flush, write(8192, 2), write(0, 3)] };
    let empty = Image::read(&{
        let path = dir.path().join("empty");
        std::fs::File::create(&path).unwrap().set_len(32768).unwrap();
        path
    })
    .unwrap();
    let after = |requests, dice| {
        let file = empty.lay(&dir.path().join("disk")).unwrap();
        log.replay(requests, dice, FileSystem::Ext4, &file).unwrap();
        let mut bytes = vec![0; 32768];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    assert_eq!(after(0, Some(1)), vec![0; 32768]);
    assert!((0..50).all(|seed| after(2, Some(seed))[..8192].iter().all(|byte| *byte == 1)));
    assert!((0..50).any(|seed| after(1, Some(seed))[..8192].contains(&0)));
    let all = after(4, None);
    assert!(all[..8192].iter().all(|byte| *byte == 3) && all[8192..16384].iter().all(|byte| *byte == 2));
    let states: std::collections::BTreeSet<_> = (0..100).map(|seed| after(4, Some(seed))).collect();
    assert!(states.len() > 20, "{}", states.len());
    let sectors = |bytes: &[u8]| bytes.chunks(512).map(|sector| (sector[0], sector[511])).collect::<Vec<_>>();
    assert!(states.iter().all(|state| sectors(state).iter().all(|(first, last)| first == last)));
    assert!(
        states.iter().any(|state| state[4096..8192].iter().any(|byte| *byte != state[4096])),
        "no block is torn"
    );
    assert_eq!(after(4, Some(5)), after(4, Some(5)));
}
