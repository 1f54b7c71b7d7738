//! What hostile peers, disks and clocks try, by the rows of `docs/attacks.md`: first the honest case, which goes well,
//! then the attack, which is refused and changes nothing.

mod authority;
mod clocks;
mod decoding;
mod flooding;
mod keys;
mod list;
mod peer;
mod privacy;
mod replay;
mod requests;
mod stage;
mod traps;
mod wiretap;
