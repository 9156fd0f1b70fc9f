//! The system calls that change something.

use nix::libc;

/// Where a call says whether it creates or truncates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    /// It always changes something.
    Always,
    /// In its argument of this index.
    Argument(usize),
    /// In the first word that its argument of this index points to.
    PointedAt(usize),
    /// It changes something unless its first argument is what the stepper gave it as standard output or error.
    Descriptor,
    /// It is `ioctl` and changes something if its second argument is a request to clone a range.
    Request,
}

const TABLE: &[(libc::c_long, &str, Flags)] = &[
    (libc::SYS_write, "write", Flags::Descriptor),
    (libc::SYS_writev, "writev", Flags::Descriptor),
    (libc::SYS_pwrite64, "pwrite64", Flags::Always),
    (libc::SYS_pwritev, "pwritev", Flags::Always),
    (libc::SYS_pwritev2, "pwritev2", Flags::Always),
    (libc::SYS_copy_file_range, "copy_file_range", Flags::Always),
    (libc::SYS_sendfile, "sendfile", Flags::Descriptor),
    (libc::SYS_splice, "splice", Flags::Always),
    (libc::SYS_ioctl, "ioctl", Flags::Request),
    (libc::SYS_open, "open", Flags::Argument(1)),
    (libc::SYS_openat, "openat", Flags::Argument(2)),
    (libc::SYS_openat2, "openat2", Flags::PointedAt(2)),
    (libc::SYS_creat, "creat", Flags::Always),
    (libc::SYS_mkdir, "mkdir", Flags::Always),
    (libc::SYS_mkdirat, "mkdirat", Flags::Always),
    (libc::SYS_mknod, "mknod", Flags::Always),
    (libc::SYS_mknodat, "mknodat", Flags::Always),
    (libc::SYS_rename, "rename", Flags::Always),
    (libc::SYS_renameat, "renameat", Flags::Always),
    (libc::SYS_renameat2, "renameat2", Flags::Always),
    (libc::SYS_unlink, "unlink", Flags::Always),
    (libc::SYS_unlinkat, "unlinkat", Flags::Always),
    (libc::SYS_rmdir, "rmdir", Flags::Always),
    (libc::SYS_link, "link", Flags::Always),
    (libc::SYS_linkat, "linkat", Flags::Always),
    (libc::SYS_symlink, "symlink", Flags::Always),
    (libc::SYS_symlinkat, "symlinkat", Flags::Always),
    (libc::SYS_chmod, "chmod", Flags::Always),
    (libc::SYS_fchmod, "fchmod", Flags::Always),
    (libc::SYS_fchmodat, "fchmodat", Flags::Always),
    (libc::SYS_fchmodat2, "fchmodat2", Flags::Always),
    (libc::SYS_chown, "chown", Flags::Always),
    (libc::SYS_fchown, "fchown", Flags::Always),
    (libc::SYS_lchown, "lchown", Flags::Always),
    (libc::SYS_fchownat, "fchownat", Flags::Always),
    (libc::SYS_utime, "utime", Flags::Always),
    (libc::SYS_utimes, "utimes", Flags::Always),
    (libc::SYS_futimesat, "futimesat", Flags::Always),
    (libc::SYS_utimensat, "utimensat", Flags::Always),
    (libc::SYS_setxattr, "setxattr", Flags::Always),
    (libc::SYS_lsetxattr, "lsetxattr", Flags::Always),
    (libc::SYS_fsetxattr, "fsetxattr", Flags::Always),
    (libc::SYS_removexattr, "removexattr", Flags::Always),
    (libc::SYS_lremovexattr, "lremovexattr", Flags::Always),
    (libc::SYS_fremovexattr, "fremovexattr", Flags::Always),
    (libc::SYS_truncate, "truncate", Flags::Always),
    (libc::SYS_ftruncate, "ftruncate", Flags::Always),
    (libc::SYS_fallocate, "fallocate", Flags::Always),
    (libc::SYS_fsync, "fsync", Flags::Always),
    (libc::SYS_fdatasync, "fdatasync", Flags::Always),
    (libc::SYS_sync, "sync", Flags::Always),
    (libc::SYS_syncfs, "syncfs", Flags::Always),
    (libc::SYS_sync_file_range, "sync_file_range", Flags::Always),
    (libc::SYS_msync, "msync", Flags::Always),
    (libc::SYS_flock, "flock", Flags::Always),
];

/// The names of the calls that are counted. Opening counts where it may create or truncate, `ioctl` where it
/// clones a range, writing where it does not go to the standard output or standard error that the stepper
/// collects. Byte-range locks and shared memory are not counted: they die with the process.
pub fn mutating() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(_, name, _)| *name)
}

/// Calls that look at something. Opening is one where it does not create.
const READING: &[(libc::c_long, &str)] = &[
    (libc::SYS_read, "read"),
    (libc::SYS_pread64, "pread64"),
    (libc::SYS_open, "open"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_stat, "stat"),
    (libc::SYS_lstat, "lstat"),
    (libc::SYS_fstat, "fstat"),
    (libc::SYS_newfstatat, "newfstatat"),
    (libc::SYS_statx, "statx"),
    (libc::SYS_statfs, "statfs"),
    (libc::SYS_fstatfs, "fstatfs"),
    (libc::SYS_access, "access"),
    (libc::SYS_faccessat, "faccessat"),
    (libc::SYS_faccessat2, "faccessat2"),
    (libc::SYS_getdents64, "getdents64"),
    (libc::SYS_readlink, "readlink"),
    (libc::SYS_readlinkat, "readlinkat"),
    (libc::SYS_getxattr, "getxattr"),
    (libc::SYS_lgetxattr, "lgetxattr"),
    (libc::SYS_fgetxattr, "fgetxattr"),
    (libc::SYS_listxattr, "listxattr"),
    (libc::SYS_llistxattr, "llistxattr"),
    (libc::SYS_flistxattr, "flistxattr"),
    (libc::SYS_lseek, "lseek"),
    (libc::SYS_name_to_handle_at, "name_to_handle_at"),
];

/// Calls that reach out to another process or machine.
const REACHING: &[(libc::c_long, &str)] = &[
    (libc::SYS_socket, "socket"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_bind, "bind"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
];

/// The name of a call that reaches out.
pub(super) fn reaches_out(number: u64) -> Option<&'static str> {
    let number = libc::c_long::try_from(number).ok()?;
    REACHING.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Calls that wait, and calls that manage memory and threads.
const CHANCE: &[libc::c_long] = &[
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_restart_syscall,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_exit,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sched_getaffinity,
];

/// Whether the number of such calls is chance.
pub(super) fn is_chance(number: u64) -> bool {
    libc::c_long::try_from(number).is_ok_and(|number| CHANCE.contains(&number))
}

/// The name of a call that looks at something.
pub(super) fn looks(number: u64) -> Option<&'static str> {
    let number = libc::c_long::try_from(number).ok()?;
    READING.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The name of a call that may change something, and how to find out whether it does.
pub(super) fn find(number: u64) -> Option<(&'static str, Flags)> {
    let number = libc::c_long::try_from(number).ok()?;
    TABLE.iter().find(|(known, ..)| *known == number).map(|(_, name, flags)| (*name, *flags))
}

/// Whether a call of this name writes bytes, so that it can be torn.
pub fn writes(name: &str) -> bool {
    matches!(name, "write" | "pwrite64" | "copy_file_range" | "sendfile")
}

/// Whether a call of this name reads bytes, so that it can be short.
pub fn reads(name: &str) -> bool {
    matches!(name, "read" | "pread64")
}

/// Whether a call of this name makes something durable and has one descriptor.
pub(super) fn syncs(name: &str) -> bool {
    matches!(name, "fsync" | "fdatasync" | "syncfs" | "sync_file_range")
}

/// Whether open flags create or truncate.
pub(super) fn creates(flags: u64) -> bool {
    let wanted = u64::from((libc::O_CREAT | libc::O_TRUNC).cast_unsigned());
    // O_TMPFILE holds the bit of O_DIRECTORY, so all of it must be there.
    let unnamed = u64::from(libc::O_TMPFILE.cast_unsigned());
    flags & wanted != 0 || flags & unnamed == unnamed
}

/// Whether a request of `ioctl` clones a range of a file.
pub(super) fn clones(request: u64) -> bool {
    request == libc::FICLONE || request == libc::FICLONERANGE
}
