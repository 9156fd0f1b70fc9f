use std::time::Instant;
use tmp_testkit::{device::*, matrix::*, power::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let on = FileSystem::ALL.into_iter().find(|f| f.name() == a[2]).map_or(Place::Memory, Place::Disk);
    let package = Package::ALL.into_iter().find(|p| p.name() == a[3]).unwrap();
    let step: usize = a[4].parse().unwrap();
    let tmp = std::env::var("TMP_BIN").unwrap_or("/tmp/target-power/debug/tmp".into());
    privately(|| {
        let dir = tempfile::tempdir_in("/dev/shm")?;
        let t = Instant::now();
        let g = Ground::prepare(tmp.as_ref(), dir.path(), package, on, &a.get(6).map_or(vec![], |o| o.split(" ").collect()))?;
        println!("{} {} {}: {} calls, prepared {:?}", a[1], a[2], a[3], g.calls().len(), t.elapsed());
        let t = Instant::now();
        let (mut n, mut b, mut v) = (0u32, 0, 0);
        let mut count = |what: String, verdict: Verdict| {
            n += 1;
            match verdict { Verdict::Before => b += 1, Verdict::After => {}, Verdict::Violation(l) => { v += 1; println!("{what}: {l:#?}"); } }
        };
        match a[1].as_str() {
            "cut" => for at in (1..=g.calls().len() as u64 + 1).step_by(step) { count(format!("{at} {:?}", g.calls().get(at as usize - 1)), g.cut(at)?); },
            "lose" => {
                let r = g.record()?;
                let losses = r.losses(a[5].parse().unwrap());
                println!("{} requests {} flushes {} losses", r.requests(), r.flushes(), losses.len());
                for l in losses.iter().step_by(step) { count(format!("{l:?}"), g.lose(&r, *l)?); }
            }
            "fail" => {
                let n = g.flushes()?;
                println!("{n} flushes");
                for at in (1..=n).step_by(step) { for f in [DiskFault::Flush(at), DiskFault::Writes(at), DiskFault::Gone(at)] {
                    let r = g.fail(f)?;
                    count(format!("{f:?} {:?} {} {}", r.ended, r.refused, r.failed_syncs), r.verdict);
                }}
            }
            "sync" => for at in (1..=g.calls().len() as u64).step_by(step) { if let Some(v) = g.fail_sync(at)? { count(format!("{at} {:?}", g.calls().get(at as usize - 1)), v); } },
            "after" => for at in (1..=g.calls().len() as u64).step_by(step) { count(format!("{at} {:?}", g.calls().get(at as usize - 1)), g.shorten(Shortage::FullAfter(at))?); },
            "from" => for at in (1..=g.calls().len() as u64).step_by(step) { count(format!("{at} {:?}", g.calls().get(at as usize - 1)), g.shorten(Shortage::FullFrom(at))?); },
            "ro" => for at in (1..=g.calls().len() as u64).step_by(step) { count(format!("{at} {:?}", g.calls().get(at as usize - 1)), g.shorten(Shortage::ReadOnlyFrom(at))?); },
            "size" => for at in (0..60).step_by(step) { count(format!("{at} MiB"), g.shorten(Shortage::Kibibytes(at << 10))?); },
            "inodes" => for at in (0..120).step_by(step) { count(format!("{at}"), g.shorten(Shortage::Inodes(at))?); },
            "quota" => for at in (0..60).step_by(step) { count(format!("{at} MiB"), g.shorten(Shortage::Quota(at << 10))?); },
            _ => panic!(),
        }
        println!("{} {} {}: {n} points, {b} before, {v} violations, {:?} each", a[1], a[2], a[3], t.elapsed() / n.max(1));
        Ok(())
    }).unwrap();
}
