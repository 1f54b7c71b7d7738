//! What every runtime shares beside the core: it hosts transports, tells watchers, and asks the operating system.
//!
//! | file | holds |
//! |---|---|
//! | `switchboard` | [`Switchboard`]: which exchange runs over which transport |
//! | `keyring` | [`Keyring`]: further keys that the node may prove |
//! | `threads` | [`Threads`]: named, kept, and waited for at the end; [`Ending`] |
//! | `turns` | [`Turns`]: reading something and writing what follows from it, one at a time |
//! | `workers` | [`Verifier`]: the threads that check signatures |
//! | `writer` | [`Writer`]: writes in order, on a thread or by a caller's [`Claim`] |
//! | `watchers` | [`Watchers`]: who is told of what happens; [`Watch`], [`Callback`] |
//! | `reach` | [`reachable`]: where others find a server that listens everywhere |
//! | `system` | [`SystemClock`], [`system_entropy`], and [`lend`], which makes a transport's [`Context`](crate::Context) |

mod keyring;
mod reach;
mod switchboard;
mod system;
mod threads;
mod turns;
mod watchers;
mod workers;
mod writer;

pub use keyring::{Keyring, Lent, LoggedIn, Purpose};
pub use reach::reachable;
pub use switchboard::{Report, Spawn, Switchboard, Task};
pub use system::{SystemClock, lend, system_entropy};
pub use threads::{Ending, Threads};
pub use turns::{Turn, Turns};
pub use watchers::{Callback, MAX_WAITING, Wanted, Watch, Watchers};
pub use workers::Verifier;
pub use writer::{Claim, Writer};
