//! Requests for access, and what is answered to them.

use std::{collections::BTreeMap, sync::Arc};

use pleach_core::{
    Id, Position, PublicKey, Range, SecretKey,
    document::{Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    instance::{Approval, InviteOptions, revoke_invite},
    node::{Command, Commit, Limits, Petition, Reply, RequestStatus, decided_requests, pending_requests},
    wire::{
        Ask, AskOutcome, Binding, Frame, Invitation, Kind, ProofTarget, Redemption, Refusal, Side, Versions,
    },
};
use pleach_storage::Memory;
use pleach_tests::{
    frames::frame,
    world::{HostId, World},
};
use serde_json::{Value, json};

use super::{
    hex,
    tape::{Tape, listen, messages},
};

const WRITE: Permission = Permission::Write(100);

/// Milliseconds in 366 days: for so long an invite may be good by the clock of whoever redeems it.
const LONGEST: i64 = 366 * 24 * 60 * 60 * 1_000;

/// Alice with a tree of her own, and Bob, who asks her for access.
struct Scene {
    world: World,
    tape: Tape,
    alice: HostId,
    bob: HostId,
    tree: Id,
}

/// What Bob is told.
enum Told {
    Outcome(AskOutcome),
    Refused,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(1);
        let tape = listen(&mut world);
        let host = |world: &mut World, number: u8| {
            world.host_with(Arc::new(Memory::salted([number; 32])), Limits::new())
        };
        let (alice, bob) = (host(&mut world, 1), host(&mut world, 2));
        let tree = world.create(alice, "notes");
        Self { world, tape, alice, bob, tree }
    }

    fn settings(&mut self, change: impl FnOnce(&Draft)) {
        let (key, tree) = (self.world.secret(self.alice), self.tree);
        let draft = Draft::new(self.world.snapshot(self.alice), tree, key.public(), [0; 32]);
        change(&draft);
        let changes = draft.finish().expect("changes");
        let commit = Commit { tree, key, stores: changes.stores, paths: changes.touched };
        self.world.run(self.alice, Command::Commit(commit)).expect("a commit");
    }

    fn grant(&mut self, key: PublicKey, permission: Permission) {
        self.settings(|draft| {
            let settings = draft.store::<SettingsStore>(SETTINGS).expect("settings");
            settings.grant(Who::Key(key), permission, None).expect("a grant");
        });
    }

    fn revoke(&mut self, key: PublicKey) {
        self.settings(|draft| {
            draft
                .store::<SettingsStore>(SETTINGS)
                .expect("settings")
                .revoke(Who::Key(key))
                .expect("a revocation");
        });
    }

    /// Bob asks as nodes do.
    fn ask(&mut self, petition: Petition) -> AskOutcome {
        let (addresses, tree) = (vec![self.world.address(self.alice)], self.tree);
        match self.world.run(self.bob, Command::Ask { addresses, tree, petition }) {
            Ok(Reply::Asked(outcome, _)) => outcome,
            other => panic!("not the reply to an access request: {other:?}"),
        }
    }

    fn plain(&mut self) -> AskOutcome {
        self.ask(petition("Bob", None))
    }

    fn approve(&mut self, at_most: Option<Permission>) {
        let snapshot = self.world.snapshot(self.alice);
        let request = pending_requests(&*snapshot).expect("requests").remove(0);
        let (by, wall) = (self.world.key(self.alice), self.world.wall(self.alice));
        let approval = Approval::of(&*snapshot, &request.id, by, at_most, wall).expect("an approval");
        self.settings(|draft| approval.grant(draft).expect("a grant"));
        assert_eq!(self.world.run(self.alice, approval.command()), Ok(Reply::Done));
    }

    fn reject(&mut self) {
        let request = pending_requests(&*self.world.snapshot(self.alice)).expect("requests").remove(0).id;
        let by = self.world.key(self.alice);
        let decide = Command::Decide { request, by, granted: None };
        assert_eq!(self.world.run(self.alice, decide), Ok(Reply::Done));
    }

    /// An invite by Alice for one key, made as the runtimes do it.
    fn invite(&mut self) -> Invitation {
        let (key, wall) = (self.world.secret(self.alice), self.world.wall(self.alice));
        let mut made = None;
        self.settings(|draft| {
            made = Some(InviteOptions::new(WRITE).invite(draft, &key, [7; 32], wall).expect("an invite"));
        });
        made.expect("it was made")
    }

    /// One that she made where nobody heard of it.
    fn invite_apart(&self, expires_in: i64) -> Invitation {
        let key = self.world.secret(self.alice);
        let expires = self.world.wall(self.alice).checked_add_signed(expires_in).expect("a time");
        Invitation::sign(&key, self.tree, SecretKey::from_bytes([8; 32]), WRITE, 1, expires)
            .expect("an invite")
    }

    fn held(&self) -> BTreeMap<Position, Vec<u8>> {
        let snapshot = self.world.snapshot(self.alice);
        let all = snapshot.entries(&self.tree, &Range::ALL, 10_000, usize::MAX).expect("entries");
        all.iter().map(|entry| (entry.position(), entry.bytes().to_vec())).collect()
    }

    /// What is asked and answered.
    fn vector(
        mut self,
        names: (&str, &str),
        told: &Told,
        ask: impl FnOnce(&mut Self) -> Option<AskOutcome>,
    ) -> Value {
        self.tape.borrow_mut().clear();
        let before = self.held();
        let decided = decided_requests(&*self.world.snapshot(self.alice)).expect("requests");
        let decided: Vec<_> = decided
            .iter()
            .map(|request| {
                let outcome = match request.status {
                    RequestStatus::Approved { permission, .. } => AskOutcome::Approved(permission),
                    _ => AskOutcome::Rejected,
                };
                json!({ "id": request.id.to_string(), "key": request.key.to_string(), "outcome": outcome })
            })
            .collect();
        let said = ask(&mut self);
        let last = self.tape.borrow().last().expect("an answer")[0].clone();
        let refused = match (Frame::read(&last).expect("a frame"), told) {
            (Frame::Asked(asked), Told::Outcome(outcome)) => {
                assert_eq!(
                    (asked.outcome, said.unwrap_or(asked.outcome)),
                    (*outcome, *outcome),
                    "{}",
                    names.0
                );
                Value::Null
            }
            (Frame::Refusal(refusal @ Refusal::Malformed { .. }), Told::Refused) => {
                serde_json::to_value(refusal).expect("JSON")
            }
            (other, _) => panic!("{}: {other:?}", names.0),
        };
        let after = self.held();
        let ids = |held: &BTreeMap<Position, Vec<u8>>| {
            held.keys().map(|position| position.id.to_string()).collect::<Vec<_>>()
        };
        json!({
            "name": names.0, "about": names.1, "entries": after.values().map(|bytes| hex(bytes)).collect::<Vec<_>>(),
            "before": ids(&before), "after": ids(&after), "decided": decided, "now": self.world.wall(self.alice),
            "keys": {
                "initiator": self.world.key(self.bob).to_string(), "responder": self.world.key(self.alice).to_string(),
            },
            "messages": messages(&self.tape), "refused": refused,
        })
    }
}

fn petition(name: &str, invite: Option<Invitation>) -> Petition {
    let metadata = if invite.is_none() { b"let me in".to_vec() } else { Vec::new() };
    let invite = invite.map(Box::new);
    Petition { permission: WRITE, name: name.into(), metadata, invite, hold: 0 }
}

const RECEIVED: Told = Told::Outcome(AskOutcome::Received);
const APPROVED: Told = Told::Outcome(AskOutcome::Approved(WRITE));

fn plain() -> Vec<Value> {
    let plain = |scene: Scene, names, told: &Told| scene.vector(names, told, |scene| Some(scene.plain()));
    let asked = || {
        let mut scene = Scene::new();
        scene.plain();
        scene
    };
    let mut list = vec![plain(Scene::new(), ("received", "nobody has decided"), &RECEIVED)];
    list.push(Scene::new().vector(
        ("received: a tree that is not there", "the answer is the same"),
        &RECEIVED,
        |scene| {
            let tree = std::mem::replace(&mut scene.tree, Id::of(b"none"));
            let outcome = scene.plain();
            scene.tree = tree;
            Some(outcome)
        },
    ));
    let mut scene = asked();
    scene.approve(None);
    list.push(plain(scene, ("approved", "what was asked for is granted"), &APPROVED));

    let mut scene = asked();
    scene.approve(Some(Permission::Read));
    let told = Told::Outcome(AskOutcome::Approved(Permission::Read));
    list.push(plain(scene, ("approved: less than was asked for", "what is granted is told"), &told));

    let mut scene = asked();
    scene.approve(None);
    let about = "somebody else by name, about whom nobody has decided";
    list.push(scene.vector(("received: another request of the same key", about), &RECEIVED, |scene| {
        Some(scene.ask(petition("Robert", None)))
    }));

    let mut scene = asked();
    scene.approve(None);
    scene.revoke(scene.world.key(scene.bob));
    list.push(plain(scene, ("received: approved and revoked since", "the key holds no grant"), &RECEIVED));

    let mut scene = asked();
    scene.reject();
    list.push(plain(scene, ("rejected", "an administrator said no"), &Told::Outcome(AskOutcome::Rejected)));
    list
}

/// Requests that are none.
fn malformed() -> Vec<Value> {
    let mut list = Vec::new();
    for (name, about, proves) in [
        ("refused: a request by nobody", "access is asked for with a key that is proven", false),
        ("refused: a request behind proofs", "access is asked for by node keys alone", true),
    ] {
        let mut vector = Scene::new().vector((name, about), &Told::Refused, |scene| {
            let (bob, to, tree) = (scene.world.key(scene.bob), scene.world.key(scene.alice), scene.tree);
            let name = "Bob".try_into().expect("a short name");
            let ask = Ask { versions: Versions::OURS, tree, permission: WRITE, name, invite: None, hold: 0 };
            let mut request = vec![frame(Kind::Ask, &ask, *b"let me in")];
            let binding: Binding = scene.world.next_binding();
            let target = ProofTarget { side: Side::Initiator, by: bob, to, tree: Some(tree) };
            let proof = target.prove(&SecretKey::from_bytes([201; 32]), &binding);
            request.splice(..0, proves.then(|| frame(Kind::Keys, &(), [proof])));
            scene.tape.borrow_mut().push(request.clone());
            scene.world.ask(scene.alice, proves.then_some(bob), request).expect("an answer");
            None
        });
        if !proves {
            vector["keys"]["initiator"] = Value::Null;
        }
        list.push(vector);
    }
    list
}

/// Invites that let their bearer in.
fn good_invites() -> Vec<Value> {
    let redeem = |scene: Scene, names, invite: Invitation, name: &'static str| {
        scene.vector(names, &APPROVED, move |scene| Some(scene.ask(petition(name, Some(invite)))))
    };
    let mut scene = Scene::new();
    let invite = scene.invite();
    let first = redeem(scene, ("approved: an invite", "the grant and the use are written"), invite, "Bob");

    let scene = Scene::new();
    let invite = scene.invite_apart(1_000);
    let about = "the invite is written too, and nobody is named";
    let apart = redeem(scene, ("approved: an invite that was made apart", about), invite, "");

    let mut scene = Scene::new();
    let invite = scene.invite();
    scene.ask(petition("Bob", Some(invite.clone())));
    let twice = redeem(scene, ("approved: the same invite again", "nothing changes"), invite, "Bob");

    let mut scene = Scene::new();
    let (invite, bob) = (scene.invite(), scene.world.key(scene.bob));
    scene.ask(petition("Bob", Some(invite.clone())));
    scene.revoke(bob);
    scene.grant(bob, Permission::Read);
    let less = Told::Outcome(AskOutcome::Approved(Permission::Read));
    let about = "whoever has used it hears what it holds now";
    let used = scene.vector(
        ("approved: an invite that was used, and less than it promised", about),
        &less,
        |scene| Some(scene.ask(petition("Bob", Some(invite)))),
    );

    let mut scene = Scene::new();
    let (invite, bob) = (scene.invite(), scene.world.key(scene.bob));
    scene.grant(bob, Permission::Write(1));
    let about = "the key holds more than is promised: nothing changes";
    let more = redeem(scene, ("approved: an invite to whoever holds as much", about), invite, "Bob");

    let scene = Scene::new();
    let invite = scene.invite_apart(LONGEST);
    let about = "366 days lie ahead, one more than its maker's clock may have said";
    let longest = redeem(scene, ("approved: an invite for as long as can be", about), invite, "Bob");
    vec![first, apart, twice, used, more, longest]
}

/// Invites that are worth nothing, so that the request is one as any other.
fn worthless_invites() -> Vec<Value> {
    let redeem = |scene: Scene, names, invite: Invitation| {
        scene.vector(names, &RECEIVED, move |scene| Some(scene.ask(petition("Bob", Some(invite)))))
    };
    let mut list = Vec::new();
    let scene = Scene::new();
    let invite = scene.invite_apart(0);
    list.push(redeem(scene, ("received: an invite that has expired", "at this very moment"), invite));
    let scene = Scene::new();
    let invite = scene.invite_apart(LONGEST + 1);
    list.push(redeem(scene, ("received: an invite for too long", "more than 366 days lie ahead"), invite));

    let mut scene = Scene::new();
    let (invite, other) = (scene.invite(), SecretKey::from_bytes([55; 32]).public());
    let theirs = redeeming(&mut scene, invite.redeem(other), other);
    assert_eq!(theirs, AskOutcome::Approved(WRITE));
    list.push(redeem(scene, ("received: an invite that somebody else has used", "it was for one"), invite));

    let mut scene = Scene::new();
    let invite = scene.invite();
    scene.settings(|draft| assert_eq!(revoke_invite(draft, &invite.invite().id()), Ok(true)));
    list.push(redeem(scene, ("received: an invite that was revoked", "by an administrator"), invite));

    let mut scene = Scene::new();
    let (invite, bob) = (scene.invite(), scene.world.key(scene.bob));
    scene.ask(petition("Bob", Some(invite.clone())));
    scene.revoke(bob);
    let about = "its use is not taken back with the grant";
    list.push(redeem(scene, ("received: an invite whose bearer was revoked", about), invite));

    let scene = Scene::new();
    let stranger = SecretKey::from_bytes([56; 32]);
    let expires = scene.world.wall(scene.alice) + 1_000;
    let invite = Invitation::sign(&stranger, scene.tree, SecretKey::from_bytes([8; 32]), WRITE, 1, expires);
    let about = "who may grant nothing promises nothing";
    list.push(redeem(scene, ("received: an invite by a stranger", about), invite.expect("an invite")));

    let mut scene = Scene::new();
    let invite = scene.invite();
    let about = "the proof is of another key than asks";
    list.push(scene.vector(("received: an invite that another redeemed", about), &RECEIVED, |scene| {
        let (bob, other) = (scene.world.key(scene.bob), SecretKey::from_bytes([55; 32]).public());
        Some(redeeming(scene, invite.redeem(other), bob))
    }));
    list
}

/// What a key hears that is no node's.
fn redeeming(scene: &mut Scene, redemption: Redemption, key: PublicKey) -> AskOutcome {
    let (tree, permission) = (scene.tree, redemption.invite.permission);
    let name = "Eve".try_into().expect("a short name");
    let ask = Ask { versions: Versions::OURS, tree, permission, name, invite: Some(redemption), hold: 0 };
    let request = vec![frame(Kind::Ask, &ask, [0_u8; 0])];
    scene.tape.borrow_mut().push(request.clone());
    let answer = scene.world.ask(scene.alice, key, request).expect("an answer");
    match Frame::read(&answer[0]) {
        Ok(Frame::Asked(asked)) => asked.outcome,
        other => panic!("not the answer to an access request: {other:?}"),
    }
}

pub(super) fn vectors() -> Vec<Value> {
    [plain(), malformed(), good_invites(), worthless_invites()].concat()
}
