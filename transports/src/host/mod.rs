//! What every runtime shares beside the core: it hosts transports, tells watchers, and asks the operating system.
//!
//! | file | holds |
//! |---|---|
//! | `switchboard` | [`Switchboard`]: which exchange runs over which transport |
//! | `watchers` | [`Watchers`]: who is told of what happens; [`Watch`], [`Callback`] |
//! | `system` | [`SystemClock`], [`system_entropy`], and [`lend`], which makes a transport's [`Context`](crate::Context) |

mod switchboard;
mod system;
mod watchers;

pub use switchboard::{Report, Spawn, Switchboard, Task};
pub use system::{SystemClock, lend, system_entropy};
pub use watchers::{Callback, MAX_WAITING, Wanted, Watch, Watchers};
