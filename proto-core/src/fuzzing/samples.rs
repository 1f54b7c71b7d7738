//! A value of each thing that peers say, about a tree of two entries.

use alloc::vec::Vec;

use crate::{
    Position, Range, SecretKey,
    entry::{EntryBuilder, Origin, Permission, Value, VerifiedEntry},
    storage::{Epoch, Fingerprint, Measure, Token},
    wire::{
        Ask, AskOutcome, Asked, Binding, Bound, CAPABILITIES, End, Floor, Have, Hello, Invitation, Invite,
        KeyProof, Mode, NodeAnswer, PeerLimits, Prefix, ProofTarget, RangeItem, Redemption, Refusal, Reply,
        RequestHead, RequestTarget, ResponseHead, Rule, Salt, Side, Tips, TreeLine, TreesRequest, VERSION,
        Versions,
    },
};

pub(super) struct Samples {
    pub(super) key: SecretKey,
    pub(super) root: VerifiedEntry,
    pub(super) child: VerifiedEntry,
    /// On top of both, without data.
    pub(super) merge: VerifiedEntry,
    /// The data of settings, of writes at paths, of appends to a log.
    pub(super) settings: Vec<u8>,
    pub(super) writes: Vec<u8>,
    pub(super) log: Vec<u8>,
    /// The encoding of a value with others inside.
    pub(super) nested: Vec<u8>,
}

impl Samples {
    pub(super) const SALT: Salt = Salt([3; 8]);

    pub(super) fn new() -> Self {
        let key = SecretKey::from_bytes([1; 32]);
        let settings = Vec::from([2, 0, 0, 0]);
        let root = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1_700_000_000_000);
        let root = VerifiedEntry::sign(&root, &key, &[("_settings", &settings)]).expect("a root");
        let json = serde_json::json!({"title": "first", "done": false, "n": [1, -2, 0.5, null], "b": {"$bytes": "AAE="}});
        let nested = Value::from_json(&json).and_then(|value| value.encode()).expect("a value");
        // One write: a count, a path with its length, `Some`, the value with its length.
        let length = u8::try_from(nested.len()).expect("short");
        let writes = [&[0, 1, 3][..], b"a.b", &[1, length], &nested].concat();
        let log = Vec::from([1, 2, 1, b'x', 0]);
        let mut child = EntryBuilder::new(Origin::Tree(root.id()), 1_700_000_000_001);
        child.parent(root.position()).expect("one parent");
        let child = VerifiedEntry::sign(&child, &key, &[("log", &log), ("main", &writes)]).expect("a child");
        let mut merge = EntryBuilder::new(Origin::Tree(root.id()), 1_700_000_000_002);
        merge.parent(root.position()).and_then(|merge| merge.parent(child.position())).expect("two parents");
        let merge = VerifiedEntry::sign(&merge, &key, &[]).expect("a merge");
        Self { key, root, child, merge, settings, writes, log, nested }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let measure = Measure::of(self.root.id()).plus(Measure::of(self.child.id()));
        Self::SALT.fingerprint(&measure)
    }

    pub(super) fn ranges(&self) -> Vec<RangeItem> {
        let item = |end: &Position, mode| RangeItem { bound: Bound::new(&Position::MIN, end), mode };
        let child = self.child.position();
        Vec::from([
            item(&child, Mode::Fingerprint { fingerprint: self.fingerprint(), count: 2 }),
            item(&child, Mode::List([Prefix::new(&Self::SALT, &self.root.id())].into_iter().collect())),
            item(&child, Mode::Ids([self.root.id()].into_iter().collect())),
            item(&child, Mode::Answer { check: 5, wanted: 1 << 40 }),
            item(&Range::ALL.end, Mode::Ask),
        ])
    }

    pub(super) fn tips(&self) -> Tips {
        Tips::of(&Measure::of(self.child.id()), &[self.child.position()])
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            versions: Versions::OURS,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            tree: self.root.id(),
            salt: Self::SALT,
            tips: self.tips(),
            count: 2,
            token: None,
            start: Floor::new(&self.child.position()),
            hold: 0,
        }
    }

    pub(super) fn reply() -> Reply {
        let limits = PeerLimits::HOST;
        Reply { version: VERSION, capabilities: CAPABILITIES, limits, same: false, count: 2 }
    }

    pub(super) const fn token() -> Token {
        Token { epoch: Epoch([5; 8]), number: 2 }
    }

    pub(super) fn end(&self) -> End {
        End {
            until: Some(self.child.position()),
            tips: Some(self.tips()),
            count: 2,
            token: Some(Self::token()),
        }
    }

    pub(super) fn refusal(&self) -> Refusal {
        Refusal::Refused { id: self.child.id(), rule: Rule::new() }
    }

    pub(super) fn trees(&self) -> TreesRequest {
        TreesRequest { versions: Versions::OURS, after: Some(self.root.id()) }
    }

    pub(super) fn tree_line(&self) -> TreeLine {
        let name = "notes".try_into().expect("a short name");
        TreeLine { tree: self.root.id(), name, count: 2, changed: 1_700_000_000_001 }
    }

    pub(super) fn have(&self) -> Have {
        Have {
            versions: Versions::OURS,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            tree: self.root.id(),
            entry: 4_096,
            entries: 40,
            bytes: 12_000,
            relieve: true,
            base: [self.root.position()].into_iter().collect(),
        }
    }

    pub(super) fn ask(&self) -> Ask {
        Ask {
            versions: Versions::OURS,
            tree: self.root.id(),
            permission: Permission::Admin(0),
            name: "Bob".try_into().expect("a short name"),
            invite: None,
            hold: 0,
        }
    }

    pub(super) const fn asked() -> Asked {
        Asked { version: VERSION, outcome: AskOutcome::Approved(Permission::Write(300)) }
    }

    pub(super) fn invite(&self) -> Invite {
        let key = self.key.public();
        Invite::sign(&self.key, self.root.id(), key, Permission::Write(100), 1, 1 << 40)
    }

    pub(super) fn redemption(&self) -> Redemption {
        Redemption::sign(self.invite(), &self.key, self.key.public())
    }

    /// With its secret, as it stands in a ticket.
    pub(super) fn invitation(&self) -> Invitation {
        let invitation =
            Invitation::sign(&self.key, self.root.id(), self.key.clone(), Permission::Read, 1, 1 << 40);
        invitation.expect("an invite for one use")
    }

    pub(super) fn proof(&self) -> KeyProof {
        let key = self.key.public();
        let target = ProofTarget { side: Side::Initiator, by: key, to: key, tree: Some(self.root.id()) };
        target.prove(&self.key, &Binding::from_bytes([4; 32]))
    }

    fn request(&self) -> RequestTarget<'static> {
        RequestTarget { audience: self.key.public(), method: "POST", path: "/", body: [0; 32] }
    }

    pub(super) fn request_head(&self) -> RequestHead {
        RequestHead::sign(&SecretKey::from_bytes([2; 32]), &self.request(), 1_000, [3; 16])
    }

    pub(super) fn response_head(&self) -> ResponseHead {
        ResponseHead::sign(&self.key, self.request_head().digest(&self.request()), 1_000)
    }

    pub(super) fn node_answer(&self) -> NodeAnswer {
        NodeAnswer::sign(&self.key, 1_000, &[3; 16])
    }
}
