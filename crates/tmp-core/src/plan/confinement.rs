//! What confined commands may use besides what every command may.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// What the commands of one system may use besides the tree of modules, the programs and libraries of the
/// machine, and a temporary directory of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// Paths that they may read and run, absolute; each with everything below it.
    pub read: Vec<Utf8PathBuf>,
    /// Paths that they may also change.
    pub write: Vec<Utf8PathBuf>,
    /// What they may reach over a network.
    pub network: Network,
    /// How much memory all processes of one command may use together, in bytes; their temporary directory
    /// counts.
    pub memory: u64,
    /// How many processes and threads one command may have at a time.
    pub processes: u32,
    /// The version of Landlock's interface that confines them.
    pub landlock: u32,
}

/// What a confined command may reach over a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Network {
    /// Nothing, not even the machine it runs on.
    None,
    /// TCP connections to these ports, anywhere. It cannot listen. UDP is open.
    Connect(Vec<u16>),
    /// Everything.
    Any,
}

impl Default for Confinement {
    /// What is granted where nothing is said.
    fn default() -> Self {
        Self {
            read: Vec::new(),
            write: Vec::new(),
            network: Network::None,
            memory: 1 << 30,
            processes: 256,
            landlock: Self::LANDLOCK,
        }
    }
}

impl Confinement {
    /// The version of Landlock's interface that is asked for: the first that also keeps signals and abstract
    /// sockets apart. Linux has it since 6.12.
    pub const LANDLOCK: u32 = 6;
}
