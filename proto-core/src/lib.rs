//! The core of Pleach: a pure state machine that keeps signed, content-addressed databases the same on every
//! device that holds them.
//!
//! Nothing here reads a clock, draws a random number, opens a file or a socket, or spawns anything. Time and
//! entropy are arguments; storage and network are actions that a runtime carries out.
//!
//! | room | holds |
//! |---|---|
//! | [`Id`], [`PublicKey`], [`Position`], [`limits`] | the ground |
//! | [`entry`] | one entry: bytes, rules |
//! | [`access`] | who may do what |
//! | [`storage`] | what every store does |
//! | [`document`] | what applications read and write |
//! | [`wire`] | what peers say to each other |
//! | [`session`] | one exchange about one tree, without a heap |
//! | [`node`] | the engine: commands, peers, sessions, timers |
//! | [`instance`] | what the handles of every runtime are made of |
//!
//! A room imports only from rooms above it in this table (but for an error of `storage` that `access` names).

#![no_std]
#![forbid(unsafe_code)]
// No panic is reachable from outside bytes, from storage replies or from time running backwards. (Tests panic.)
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod access;
#[cfg(feature = "alloc")]
pub mod budget;
pub mod canonical;
pub mod document;
mod entropy;
pub mod entry;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod id;
#[cfg(feature = "alloc")]
pub mod instance;
mod key;
pub mod limits;
#[cfg(feature = "alloc")]
pub mod node;
pub mod path;
#[cfg(feature = "planted-faults")]
#[doc(hidden)]
pub mod planted;
mod position;
mod seq;
pub mod session;
pub mod storage;
mod text;
mod time;
pub mod wire;

pub use entropy::Entropy;
pub use id::Id;
pub use key::{KeyError, PublicKey, SecretKey, Signature, SignatureTextError};
pub use position::{Position, Range};
pub use seq::{Iter as SeqIter, Seq, SeqError};
pub use text::{Shown, TEXT_LEN, TextError};
pub use time::Now;
