//! Every type that goes over the wire, by itself. One table makes what is read, the seeds and the names; a frame with
//! a head or items that are not in it does not compile in the body [`frame`](super::frame).

use alloc::vec::Vec;
use core::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use super::samples::Samples;
use crate::{
    Id, Position, PublicKey, Signature, canonical,
    entry::{Permission, Who},
    storage::{Fingerprint, Token},
    wire::{
        Address, Ask, AskOutcome, Asked, Bound, Capabilities, End, Floor, Have, Hello, IdPrefix, Invite,
        KeyProof, Mode, NodeAnswer, PeerLimits, Prefix, RangeItem, Redemption, Refusal, Reply, ResponseHead,
        Salt, Tips, TreeLine, TreesReply, TreesRequest, Versions,
    },
};

/// A type of the table.
pub(super) trait OnWire: Serialize + DeserializeOwned + PartialEq + Debug {}

/// No head, and a byte of what stands in a frame as it is.
impl OnWire for () {}
impl OnWire for u8 {}

/// The types, each with a value of its own: the first byte of an input is its place here.
macro_rules! on_wire {
    ($($type:ident: $sample:expr,)*) => {
        $(impl OnWire for $type {})*

        /// Their names.
        pub const WIRE_TYPES: &[&str] = &[$(stringify!($type)),*];

        const READ: &[fn(&[u8])] = &[$(one::<$type>),*];

        /// A value of each as its canonical bytes, by name.
        pub(super) fn seeds(samples: &Samples) -> Vec<(&'static str, Vec<u8>)> {
            let encoded = [$((stringify!($type), canonical::to_vec::<$type>(&($sample)(samples)))),*];
            (0_u8..).zip(encoded).map(|(place, (name, bytes))| (name, [&[place][..], &bytes].concat())).collect()
        }
    };
}

on_wire! {
    Id: |s: &Samples| s.root.id(),
    Position: |s: &Samples| s.child.position(),
    PublicKey: |s: &Samples| s.key.public(),
    Signature: |s: &Samples| s.root.view().signature(),
    Permission: |_| Permission::Write(300),
    Who: |s: &Samples| Who::Key(s.key.public()),
    Token: |_| Samples::token(),
    Fingerprint: |s: &Samples| s.fingerprint(),
    Versions: |_| Versions::OURS,
    Capabilities: |_| Capabilities::TOKENS.with(Capabilities::WALKS),
    PeerLimits: |_| PeerLimits::HOST,
    Salt: |_| Samples::SALT,
    Tips: |s: &Samples| s.tips(),
    IdPrefix: |s: &Samples| IdPrefix::of(&s.root.id()),
    Floor: |s: &Samples| Floor::new(&s.child.position()),
    Bound: |s: &Samples| Bound::new(&Position::MIN, &s.child.position()),
    Prefix: |s: &Samples| Prefix::new(&Samples::SALT, &s.root.id()),
    Mode: |_| Mode::Answer { check: 5, wanted: 1 << 40 },
    RangeItem: |s: &Samples| s.ranges().swap_remove(1),
    Hello: |s: &Samples| s.hello(),
    Reply: |_| Samples::reply(),
    End: |s: &Samples| s.end(),
    Refusal: |s: &Samples| s.refusal(),
    TreesRequest: |s: &Samples| s.trees(),
    TreesReply: |_| TreesReply { version: 1, more: true },
    TreeLine: |s: &Samples| s.tree_line(),
    Ask: |s: &Samples| Ask { invite: Some(s.redemption()), ..s.ask() },
    AskOutcome: |_| AskOutcome::Rejected,
    Asked: |_| Samples::asked(),
    Have: |s: &Samples| s.have(),
    KeyProof: |s: &Samples| s.proof(),
    Invite: |s: &Samples| s.invite(),
    Redemption: |s: &Samples| s.redemption(),
    ResponseHead: |s: &Samples| s.response_head(),
    NodeAnswer: |s: &Samples| s.node_answer(),
    Address: |s: &Samples| Address::http("[::1]:8080").with_key(s.key.public()),
}

/// The bytes as one of the types, which the first of them names: canonical, and as JSON.
pub fn wire(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    if let Some(read) = READ.get(usize::from(*first)) {
        read(rest);
    }
}

fn one<T: OnWire>(bytes: &[u8]) {
    if let Ok(value) = canonical::from_bytes::<T>(bytes) {
        assert_eq!(canonical::to_vec(&value), bytes, "one value, one encoding");
        assert_eq!(canonical::encoded_len(&value), bytes.len());
        shown(&value);
    }
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        shown(&value);
        let encoded = canonical::to_vec(&value);
        assert_eq!(canonical::from_bytes::<T>(&encoded).as_ref(), Ok(&value), "what JSON says can be sent");
    }
}

/// A value's JSON stands for it and for no other.
fn shown<T: OnWire>(value: &T) {
    let text = serde_json::to_vec(value).expect("a value can be shown");
    assert_eq!(serde_json::from_slice::<T>(&text).ok().as_ref(), Some(value));
}
