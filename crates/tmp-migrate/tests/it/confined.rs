//! Confined commands: hostile ones get nothing and leave nothing, real ones run. Each hostile command has a control:
//! unconfined it does the thing, or the test is broken.

use std::{
    fs,
    io::Read as _,
    net::{TcpListener, UdpSocket},
    os::{
        fd::AsRawFd as _,
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command as Process},
};

use tmp_core::{
    enhancement::{BatchStep, Command},
    outcome::Outcome,
    plan::{Confinement, Network},
};
use tmp_migrate::CommandPolicy;

use crate::common::{Lab, text};

/// Whether commands can be confined here. Where not, the proof is left out by name, and fails in CI.
pub(crate) fn confinable(proof: &str) -> bool {
    let lab = Scene::new(0).lab(true, "sh", "true");
    match lab.plan() {
        Ok(_) => true,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{proof} cannot be proven here: {error}");
            eprintln!("left out: {proof}: {error}");
            false
        }
    }
}

/// What a hostile command finds outside of its target.
struct Scene {
    lab: Lab,
    outside: PathBuf,
    token: String,
    victim: Child,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    abstracted: UnixListener,
    leak: fs::File,
}

impl Scene {
    fn new(number: usize) -> Self {
        let lab = Lab::new();
        lab.write("bin/app", "old");
        lab.write("data/live", "live\n");
        let outside = lab.base().join("outside").into_std_path_buf();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), "whole").unwrap();
        fs::set_permissions(outside.join("victim"), fs::Permissions::from_mode(0o640)).unwrap();
        let token = format!("8{}{number:03}", std::process::id());
        let name = SocketAddr::from_abstract_name(lab.base().as_str()).unwrap();
        let leak = fs::File::create(outside.join("leak")).unwrap();
        // An embedder's descriptor that is not closed by exec.
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        let unix = UnixListener::bind(outside.join("socket")).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        tcp.set_nonblocking(true).unwrap();
        let abstracted = UnixListener::bind_addr(&name).unwrap();
        for listener in [&unix, &abstracted] {
            listener.set_nonblocking(true).unwrap();
        }
        Self {
            victim: Process::new("sleep").arg("120").spawn().unwrap(),
            lab,
            outside,
            token,
            tcp,
            udp,
            unix,
            abstracted,
            leak,
        }
    }

    fn lab(mut self, confined: bool, program: &str, script: &str) -> Lab {
        self.prepare(confined, program, script);
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        std::mem::replace(&mut self.lab, Lab::new())
    }

    /// The command as the one batch step, with the scene filled in.
    fn prepare(&mut self, confined: bool, program: &str, script: &str) {
        self.lab.put("bin/app", "new");
        let workplace = self.lab.workplace(std::sync::Arc::new(tmp_disk::RealDisk));
        let script = [
            ("@OUT", self.outside.to_str().unwrap().to_owned()),
            ("@STATE", workplace.state.to_string()),
            ("@WORK", workplace.target.work.to_string()),
            ("@TOKEN", self.token.clone()),
            ("@VICTIM", self.victim.id().to_string()),
            ("@TCP", self.tcp.local_addr().unwrap().port().to_string()),
            ("@UDP", self.udp.local_addr().unwrap().port().to_string()),
            ("@ABSTRACT", self.lab.base().to_string()),
            ("@LEAK", self.leak.metadata().unwrap().ino().to_string()),
            ("@CGROUP", cgroup().display().to_string()),
        ]
        .iter()
        .fold(format!("{script}\n# {}", self.token), |script, (from, to)| script.replace(from, to));
        let program = if program == "python" { "/usr/bin/python3" } else { program };
        self.lab.enhancement.batch.push(BatchStep {
            name: "hostile".parse().unwrap(),
            run: Command { run: vec![program.into(), "-c".into(), script], timeout_s: 20 },
            rollback: None,
            writes: Vec::new(),
        });
        if confined {
            let (memory, processes) = (128 << 20, 64);
            self.lab.commands =
                CommandPolicy::Confined(Confinement { memory, processes, ..Confinement::default() });
        }
    }

    /// Processes that the command started and left.
    fn survivors(&self) -> Vec<i32> {
        marked(&self.token)
    }

    fn marker(&self) -> bool {
        self.lab.root().join("did").exists()
    }

    fn victim_text(&self) -> String {
        fs::read_to_string(self.outside.join("victim")).unwrap_or_else(|_| "gone".into())
    }
}

/// Processes whose arguments hold a text, this one apart. What was killed and not waited for has none.
fn marked(token: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = i32::try_from(std::process::id()).unwrap();
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != own && String::from_utf8_lossy(&line).contains(token)
    };
    numbers.filter(has).collect()
}

/// Where cgroup v2 is mounted.
fn cgroup() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    line.and_then(|line| line.split(' ').nth(4)).unwrap_or("/sys/fs/cgroup").into()
}

/// Cgroups of confined commands that are still there.
pub(crate) fn cgroups(name: &str) -> Vec<PathBuf> {
    fn below(dir: &Path, name: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(name) {
                    found.push(entry.path());
                }
                below(&entry.path(), name, found);
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), name, &mut found);
    found
}

struct Hostile {
    what: &'static str,
    program: &'static str,
    script: &'static str,
    did: fn(&Scene) -> bool,
}

const fn hostile(
    what: &'static str,
    program: &'static str,
    script: &'static str,
    did: fn(&Scene) -> bool,
) -> Hostile {
    Hostile { what, program, script, did }
}

const HOSTILE: &[Hostile] = &[
    hostile("writes outside by its path", "sh", "echo x > @OUT/new", |scene| {
        scene.outside.join("new").exists()
    }),
    hostile("writes outside through a symlink", "sh", "ln -s @OUT/victim link; echo x > link", |scene| {
        scene.victim_text() != "whole"
    }),
    hostile(
        "writes outside through /proc/self/fd",
        "sh",
        "exec 9< @OUT; echo x > /proc/self/fd/9/new",
        |scene| scene.outside.join("new").exists(),
    ),
    hostile(
        "writes outside through another process's root",
        "sh",
        "echo x > /proc/@VICTIM/root@OUT/new",
        |scene| scene.outside.join("new").exists(),
    ),
    hostile("writes outside through a hard link", "sh", "ln @OUT/victim hard && echo x > hard", |scene| {
        scene.victim_text() != "whole"
    }),
    hostile("writes where cron and at look", "sh", "test -w /etc && touch did", Scene::marker),
    hostile("writes into the archive", "sh", "echo x > @STATE/archive/x", |scene| {
        scene.lab.dir.path().join("state/archive/x").exists()
    }),
    hostile("reads the journal", "sh", "cat @STATE/journal/*/* > stolen", |scene| {
        fs::metadata(scene.lab.root().join("stolen")).is_ok_and(|file| file.len() > 0)
    }),
    hostile("reads the work directory", "sh", "find @WORK -type f > stolen", |scene| {
        fs::metadata(scene.lab.root().join("stolen")).is_ok_and(|file| file.len() > 0)
    }),
    hostile("removes a file outside", "sh", "rm -f @OUT/victim", |scene| scene.victim_text() == "gone"),
    hostile("moves a file outside", "sh", "mv @OUT/victim @OUT/moved", |scene| scene.victim_text() == "gone"),
    hostile("changes a mode outside", "sh", "chmod 777 @OUT/victim", |scene| {
        fs::metadata(scene.outside.join("victim")).unwrap().mode() & 0o777 == 0o777
    }),
    hostile("changes an owner outside", "sh", "chown 12345 @OUT/victim", |scene| {
        fs::metadata(scene.outside.join("victim")).unwrap().uid() == 12345
    }),
    hostile("changes a time outside", "sh", "touch -d @1000 @OUT/victim", |scene| {
        fs::metadata(scene.outside.join("victim")).unwrap().mtime() == 1000
    }),
    hostile(
        "sets an attribute outside",
        "python",
        "import os; os.setxattr('@OUT/victim', 'user.x', b'x'); open('did', 'w')",
        Scene::marker,
    ),
    hostile("kills a process that is not its own", "sh", "kill -9 @VICTIM && touch did", Scene::marker),
    hostile("signals TMP", "sh", "kill -0 $PPID && touch did", Scene::marker),
    hostile(
        "traces a process that is not its own",
        "python",
        "import ctypes; ctypes.CDLL(None).ptrace(0x4206, @VICTIM, 0, 0) == 0 and open('did', 'w')",
        Scene::marker,
    ),
    hostile("reads the environment of TMP", "sh", "cat /proc/$PPID/environ > stolen", |scene| {
        fs::metadata(scene.lab.root().join("stolen")).is_ok_and(|file| file.len() > 0)
    }),
    hostile(
        "connects by TCP",
        "python",
        "import socket; socket.create_connection(('127.0.0.1', @TCP), 5)",
        |scene| scene.tcp.accept().is_ok(),
    ),
    hostile(
        "sends by UDP",
        "python",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP))",
        |scene| scene.udp.recv(&mut [0]).is_ok(),
    ),
    hostile(
        "connects to a socket in a directory",
        "python",
        "import os, socket; os.chdir('@OUT'); socket.socket(socket.AF_UNIX).connect('socket')",
        |scene| scene.unix.accept().is_ok(),
    ),
    hostile(
        "connects to an abstract socket",
        "python",
        "import socket; socket.socket(socket.AF_UNIX).connect('\\0@ABSTRACT')",
        |scene| scene.abstracted.accept().is_ok(),
    ),
    hostile(
        "listens",
        "python",
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); open('did', 'w')",
        Scene::marker,
    ),
    hostile(
        "writes to a descriptor that was left open",
        "python",
        "import os
for fd in range(3, 4096):
    try:
        os.fstat(fd).st_ino == @LEAK and os.write(fd, b'x')
    except OSError:
        pass",
        |scene| {
            let mut text = String::new();
            fs::File::open(scene.outside.join("leak")).unwrap().read_to_string(&mut text).unwrap();
            scene.leak.as_raw_fd() > 2 && !text.is_empty()
        },
    ),
    hostile("mounts", "sh", "unshare -m mount -t tmpfs none /usr && touch did", Scene::marker),
    hostile(
        "mounts as root of its own users",
        "sh",
        "unshare -Urm mount -t tmpfs none /usr && touch did",
        Scene::marker,
    ),
    hostile("makes a device", "sh", "mknod device b 7 0", |scene| {
        fs::metadata(scene.lab.root().join("device")).is_ok_and(|made| made.file_type().is_block_device())
    }),
    hostile(
        "raises its limits",
        "python",
        "import resource as r; r.setrlimit(r.RLIMIT_CORE, (-1, -1)); open('did', 'w')",
        Scene::marker,
    ),
    hostile(
        "may gain privileges from what it runs",
        "python",
        "import ctypes; ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 0 and open('did', 'w')",
        Scene::marker,
    ),
    hostile(
        "opens files by their handle",
        "python",
        "import ctypes, os
libc = ctypes.CDLL(None)
class H(ctypes.Structure): _fields_ = [('n', ctypes.c_uint), ('t', ctypes.c_int), ('b', ctypes.c_char * 128)]
h, m = H(128), ctypes.c_int()
assert libc.name_to_handle_at(-100, b'bin/app', ctypes.byref(h), ctypes.byref(m), 0) == 0
libc.open_by_handle_at(os.open('.', os.O_RDONLY), ctypes.byref(h), 0) >= 0 and open('did', 'w')",
        Scene::marker,
    ),
    hostile("changes its root", "python", "import os; os.chroot('.'); open('did', 'w')", Scene::marker),
    hostile(
        "takes the processor from others",
        "python",
        "import os; os.setpriority(0, 0, -10); open('did', 'w')",
        Scene::marker,
    ),
    hostile("leaves its cgroup", "sh", "test -w @CGROUP/cgroup.procs && touch did", Scene::marker),
    hostile(
        "leaves shared memory",
        "python",
        "import ctypes; ctypes.CDLL(None).shmget(int('@TOKEN'[-8:]), 4096, 0o1600) >= 0",
        |scene| {
            let key = scene.token[scene.token.len() - 8..].trim_start_matches('0');
            let there = fs::read_to_string("/proc/sysvipc/shm").unwrap().contains(&format!(" {key} "));
            if there {
                Process::new("ipcrm").args(["-M", key]).status().unwrap();
            }
            there
        },
    ),
    hostile(
        "takes all memory",
        "python",
        "x = bytearray(400 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nopen('did', 'w')",
        Scene::marker,
    ),
    hostile(
        "fills the disk of temporary files",
        "sh",
        "head -c 300M /dev/zero > ${TMPDIR:-@OUT}/big && touch did",
        Scene::marker,
    ),
    hostile(
        "forks and forks",
        "python",
        "import os, time
for i in range(400):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
open('did', 'w')",
        Scene::marker,
    ),
    hostile("leaves a daemon", "sh", "setsid sleep 60.@TOKEN > /dev/null 2>&1 &", survived),
    hostile(
        "leaves a daemon twice removed that hears no signal",
        "sh",
        "setsid sh -c 'trap \"\" TERM HUP INT; setsid sleep 60.@TOKEN & sleep 60.@TOKEN' > /dev/null 2>&1 &",
        survived,
    ),
    hostile(
        "leaves a daemon without environment",
        "sh",
        "env -i /usr/bin/setsid /usr/bin/setsid /bin/sleep 60.@TOKEN > /dev/null 2>&1 &",
        survived,
    ),
    hostile(
        "is over its time in a session of its own",
        "sh",
        "env -i /usr/bin/setsid /bin/sleep 60.@TOKEN & sleep 60",
        survived,
    ),
];

fn survived(scene: &Scene) -> bool {
    !scene.survivors().is_empty()
}

/// Runs one, and tells whether it did what it wanted, and how many processes were left.
fn run(number: usize, hostile: &Hostile, confined: bool) -> (bool, usize, Outcome) {
    let mut scene = Scene::new(number * 2 + usize::from(confined));
    scene.prepare(confined, hostile.program, hostile.script);
    if hostile.what.contains("time") && hostile.what.contains("over") {
        scene.lab.enhancement.batch[0].run.timeout_s = 2;
    }
    let outcome = scene.lab.migrate();
    let left = scene.survivors();
    let did = (hostile.did)(&scene);
    for pid in &left {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::SIGKILL);
    }
    let _ = scene.victim.kill();
    let _ = scene.victim.wait();
    (did, left.len(), outcome)
}

/// How often a command that nothing confines may fail to do what it is to do.
const CONTROLS: usize = 5;

#[test]
fn hostile_commands_do_nothing_and_leave_nothing() {
    if !confinable("hostile commands") {
        return;
    }
    assert!(HOSTILE.len() >= 25);
    let mut wrong = Vec::new();
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let (did, left, outcome) = run(number, hostile, true);
        if did || left > 0 {
            wrong.push(format!("{}: confined it did, {left} processes left: {outcome:?}", hostile.what));
        }
        // What it does in the background may be killed with its group before it is out of that: then once more.
        if !(0..CONTROLS).any(|_| run(number, hostile, false).0) {
            wrong.push(format!("{}: unconfined it did not, so nothing is proven", hostile.what));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), HOSTILE.len(), wrong.join("\n"));
}

/// A lab whose commands are confined, with a directory and a database beside its root that are granted.
pub(crate) fn granted() -> (Lab, PathBuf) {
    let mut lab = Lab::with_database("CREATE TABLE t (x); INSERT INTO t VALUES (1);");
    lab.write("data/live", "live\n");
    let beside = lab.base().join("granted");
    fs::create_dir(&beside).unwrap();
    fs::copy(lab.database_path(), beside.join("own.db")).unwrap();
    fs::create_dir(lab.base().join("read")).unwrap();
    fs::write(lab.base().join("read/known"), "known\n").unwrap();
    lab.commands = CommandPolicy::Confined(Confinement {
        read: vec![lab.base().join("read")],
        write: vec![beside.clone()],
        ..Confinement::default()
    });
    (lab, beside.into())
}

#[test]
fn real_batches_run_confined() {
    if !confinable("real batches") {
        return;
    }
    let (mut lab, beside) = granted();
    let beside_text = beside.display().to_string();
    let read = lab.base().join("read");
    let script = "#!/bin/sh\nset -e\nwc -l < data/live | sort > data/count\n";
    lab.put("bin/reindex", script);
    if let tmp_core::module::Change::Put(tmp_core::module::Content::File { mode, .. }) =
        &mut lab.enhancement.modules[0].change
    {
        *mode = tmp_core::Mode::from_bits(0o755);
    }
    let python = "import json, csv, hashlib, sqlite3, tempfile, subprocess; \
                  tempfile.TemporaryFile().write(b'x'); subprocess.run(['true'], check=True); \
                  json.dump([1], open('data/json', 'w'))";
    let batches = [
        ("script", "bin/reindex".to_owned()),
        ("python", format!("/usr/bin/python3 -c \"{python}\"")),
        ("sqlite", format!("sqlite3 {beside_text}/own.db 'INSERT INTO t VALUES (2)'")),
        (
            "python-sqlite",
            format!(
                "/usr/bin/python3 -c \"import sqlite3; c = sqlite3.connect('{beside_text}/own.db'); \
                 c.execute('PRAGMA journal_mode = WAL'); c.execute('INSERT INTO t VALUES (3)'); c.commit()\""
            ),
        ),
        ("sed", "sed -i s/live/edited/ data/live".to_owned()),
        ("tar", format!("tar -cf {beside_text}/data.tar data && tar -tf {beside_text}/data.tar")),
        ("read", format!("cat {read}/known | grep -q known")),
        ("temporary", "f=$(mktemp) && echo x > $f && test \"${f#$TMPDIR/}\" != \"$f\"".to_owned()),
        ("owner", "touch data/mine && chown 1:1 data/mine && chmod 600 data/mine".to_owned()),
    ];
    for (name, shell) in &batches {
        lab.batch(name, shell, Some("true"), &["data/**"]);
    }
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(text(lab.root().join("data/count")).trim(), "1");
    assert_eq!(text(lab.root().join("data/json")), "[1]");
    assert_eq!(text(lab.root().join("data/live")), "edited\n");
    assert!(beside.join("data.tar").exists());
    let rows = rusqlite::Connection::open(beside.join("own.db")).unwrap();
    assert_eq!(rows.query_row("SELECT count(*) FROM t", (), |row| row.get::<_, i64>(0)).unwrap(), 3);
}

#[test]
fn what_may_be_read_is_not_to_be_changed() {
    if !confinable("read grants") {
        return;
    }
    let (mut lab, _) = granted();
    let read = lab.base().join("read");
    lab.batch("write", &format!("echo x >> {read}/known"), None, &[]);
    let outcome = lab.migrate();
    assert!(
        matches!(&outcome, Outcome::RolledBack { cause, .. } if cause.contains("write failed")),
        "{outcome:?}"
    );
    let (mut lab, _) = granted();
    let read = lab.base().join("read");
    lab.batch("mode", &format!("chmod 777 {read}/known"), None, &[]);
    assert!(matches!(lab.migrate(), Outcome::RolledBack { .. }));
    assert_eq!(text(read.join("known")), "known\n");
}

#[test]
fn a_port_that_is_granted_is_reached_and_no_other() {
    if !confinable("granted ports") {
        return;
    }
    for (granted, expected) in [(true, true), (false, false)] {
        let mut scene = Scene::new(900 + usize::from(granted));
        scene.prepare(true, "python", "import socket; socket.create_connection(('127.0.0.1', @TCP), 5)");
        let port = scene.tcp.local_addr().unwrap().port();
        let ports = vec![if granted { port } else { port ^ 1 }];
        let network = Network::Connect(ports);
        scene.lab.commands = CommandPolicy::Confined(Confinement { network, ..Confinement::default() });
        let outcome = scene.lab.migrate();
        assert_eq!(scene.tcp.accept().is_ok(), expected, "{outcome:?}");
        let _ = scene.victim.kill();
        let _ = scene.victim.wait();
    }
}

#[test]
fn what_tmp_keeps_in_a_granted_tree_is_not_seen() {
    if !confinable("hidden directories") {
        return;
    }
    // The work directory lies in the root, as where the root is a mount.
    let mut lab = Lab::new();
    lab.write("bin/app", "old");
    lab.put("bin/app", "new");
    lab.commands = CommandPolicy::Confined(Confinement::default());
    lab.batch(
        "look",
        "test -d .tmp-work && test -z \"$(ls -A .tmp-work)\" && ! touch .tmp-work/x",
        None,
        &[],
    );
    lab.work = "site/live/.tmp-work";
    let outcome = lab.migrate();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

#[test]
fn nothing_is_granted_that_is_not_there_or_is_tmps_own() {
    let refused = |write: Vec<&str>| {
        let (mut lab, _) = granted();
        lab.batch("do", "true", None, &[]);
        let base = lab.base();
        let write = write.iter().map(|path| path.replace('@', base.as_str()).into()).collect();
        lab.commands = CommandPolicy::Confined(Confinement { write, ..Confinement::default() });
        let before = lab.seen();
        let error = lab.plan().unwrap_err();
        assert_eq!(before, lab.seen());
        error.to_string().replace(base.as_str(), "[BASE]")
    };
    fs::create_dir_all(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    insta::assert_snapshot!(refused(vec!["/", "relative", "@/absent", "@/site/.tmp-work-live", "@"]));
}
