//! What a trigger file may hold at most. `docs/format/trigger.md` lists the same numbers.

/// Bytes of `SHA256SUMS`.
pub(crate) const SUMS: u64 = 64 << 10;

/// Bytes of `trigger.yaml`.
pub(crate) const HEADER: u64 = 1 << 20;

/// Bytes of `manifest.json`.
pub(crate) const MANIFEST: u64 = 32 << 20;

/// Commas of `manifest.json`. Each may stand for a value, which takes far more memory than its text.
pub(crate) const COMMAS: u64 = 2_000_000;

/// Modules of an enhancement.
pub(crate) const MODULES: usize = 250_000;

/// Steps of one sort.
pub(crate) const STEPS: usize = 10_000;

/// Enhancements that one is related to in one way.
pub(crate) const RELATIONS: usize = 1000;

/// Bytes of one script. Split by tokens, a script takes many times its size in memory.
pub(crate) const SCRIPT: u64 = 4 << 20;

/// The window of the compressor, as a power of two: what unpacking keeps in memory.
pub(crate) const WINDOW_LOG: u32 = 23;

/// Uncompressed bytes of a payload of `compressed` bytes: a thousand to one, and 64 MiB in any case.
pub(crate) const fn payload(compressed: u64) -> u64 {
    compressed.saturating_mul(1000).saturating_add(64 << 20)
}
