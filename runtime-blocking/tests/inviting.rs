//! Getting into a database by an invite, without async.

use pleach_blocking::{
    AccessRequest, Bootstrap, Database, DatabaseKey, DatabaseTicket, Doc, DocStore, Id, Instance, Invitation,
    InviteOptions, Memory, MemoryNetwork, Permission, Sync, Who,
};

struct Node {
    instance: Instance,
    sync: Sync,
}

impl Node {
    fn new() -> Self {
        let instance = Instance::open(Memory::new()).unwrap();
        instance.enable_sync().unwrap();
        let sync = instance.sync().unwrap();
        Self { instance, sync }
    }
}

/// A invites one key: B joins with the ticket, C comes too late, and the rest is revoked.
fn course(a: &Node, b: &Node, c: &Node) {
    let database = Database::create(&a.instance, DatabaseKey::Device, Doc::new()).unwrap();
    let id = database.root_id();
    a.sync.accept_connections().unwrap();
    let options = InviteOptions::new(Permission::Write(100));
    let ticket = a.sync.create_invite(&id, &options).unwrap();
    let text = ticket.to_string();
    let read: DatabaseTicket = text.parse().unwrap();
    assert_eq!(read, ticket);

    let report = b.sync.sync_with_ticket(&read).unwrap();
    assert_eq!((report.peer, report.entries_received), (Some(a.instance.device_key()), 3));
    let theirs = Database::open(&b.instance, &id, DatabaseKey::Device).unwrap();
    let txn = theirs.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set("title", "by B").unwrap();
    txn.commit().unwrap();
    let again = b.sync.sync_with_ticket(&read).unwrap();
    assert_eq!((again.entries_received, again.entries_sent), (0, 1), "who is in is not asked again");

    let late = c.sync.sync_with_ticket(&read).unwrap_err();
    assert!(late.is_permission_denied(), "{late:?}");
    let request = AccessRequest::new(Permission::Read).name("C");
    let pending = c.sync.bootstrap_with_ticket(&read, &request).unwrap();
    assert_eq!(pending, Bootstrap::Pending(None));
    let [asked] = &a.sync.pending_bootstrap_requests().unwrap()[..] else { panic!("one was expected") };
    assert_eq!((asked.key, asked.name.as_str()), (c.instance.device_key(), "C"));

    for sync in [&a.sync, &b.sync] {
        let [invite] = &sync.invites(&id).unwrap()[..] else { panic!("one was made") };
        assert_eq!(Some(&invite.invite), ticket.invite().map(Invitation::invite));
        let [used] = invite.used[..] else { panic!("{invite:?}") };
        assert_eq!((used.key, used.by), (b.instance.device_key(), a.instance.device_key()));
    }
    let made = a.sync.create_invite(&id, &options).unwrap();
    let made_id = made.invite().unwrap().invite().id();
    let refused = b.sync.create_invite(&id, &options).unwrap_err();
    assert!(refused.is_permission_denied(), "{refused:?}");
    assert!(a.sync.revoke_invite(&id, &Id::of(b"none")).unwrap_err().is_not_found());
    assert!(a.sync.revoke_invite(&id, &made_id).unwrap());
    assert!(!a.sync.revoke_invite(&id, &made_id).unwrap(), "it is revoked already");
    assert!(c.sync.sync_with_ticket(&made).unwrap_err().is_permission_denied());

    // With the root key in place of the node's own.
    let root = DatabaseKey::Secret(database.root_key().unwrap().unwrap().key().clone());
    let top = InviteOptions::new(Permission::Admin(0));
    let ticket = a.sync.create_invite_with_key(&id, root.clone(), &top).unwrap();
    let joined = c.sync.bootstrap_with_ticket(&ticket, &request).unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");
    let held = c.instance.snapshot().unwrap().permission(&id, &Who::Key(c.instance.device_key())).unwrap();
    assert_eq!(held, Some(Permission::Admin(0)), "what was promised, not what was asked for");
    let id_of_top = ticket.invite().unwrap().invite().id();
    assert!(a.sync.revoke_invite_with_key(&id, &id_of_top, root).unwrap());

    // C administers now: it makes invites, and takes those of A.
    let theirs = c.sync.create_invite(&id, &options).unwrap();
    assert_eq!(theirs.addresses(), [], "C serves nowhere");
    assert_eq!(c.sync.invites(&id).unwrap().len(), 4);
}

#[test]
fn an_invite_is_redeemed_in_memory() {
    let network = MemoryNetwork::new();
    let (a, b, c) = (Node::new(), Node::new(), Node::new());
    a.sync.register_transport("memory", network.builder().bind("a")).unwrap();
    for node in [&b, &c] {
        node.sync.register_transport("memory", network.builder()).unwrap();
    }
    course(&a, &b, &c);
}

#[cfg(feature = "http")]
#[test]
fn an_invite_is_redeemed_over_http() {
    let (a, b, c) = (Node::new(), Node::new(), Node::new());
    for node in [&a, &b, &c] {
        node.sync.enable_http_transport().unwrap();
    }
    course(&a, &b, &c);
}

#[cfg(feature = "quic")]
#[test]
fn an_invite_is_redeemed_over_quic() {
    let (a, b, c) = (Node::new(), Node::new(), Node::new());
    for node in [&a, &b, &c] {
        node.sync.enable_quic_transport().unwrap();
    }
    course(&a, &b, &c);
}
