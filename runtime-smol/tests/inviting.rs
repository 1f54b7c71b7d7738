//! Getting into a database by an invite.

use pleach_smol::{
    AccessRequest, Bootstrap, Database, DatabaseKey, DatabaseTicket, Doc, DocStore, Id, Instance, Invitation,
    InviteOptions, Memory, MemoryNetwork, Permission, Sync, Who,
};

struct Node {
    instance: Instance,
    sync: Sync,
}

impl Node {
    async fn new() -> Self {
        let instance = Instance::open(Memory::new()).await.unwrap();
        instance.enable_sync().await.unwrap();
        let sync = instance.sync().unwrap();
        Self { instance, sync }
    }
}

/// A invites one key: B joins with the ticket, C comes too late, and the rest is revoked.
async fn course(a: &Node, b: &Node, c: &Node) {
    let database = Database::create(&a.instance, DatabaseKey::Device, Doc::new()).await.unwrap();
    let id = database.root_id();
    a.sync.accept_connections().await.unwrap();
    let options = InviteOptions::new(Permission::Write(100));
    let ticket = a.sync.create_invite(&id, &options).await.unwrap();
    let text = ticket.to_string();
    let read: DatabaseTicket = text.parse().unwrap();
    assert_eq!(read, ticket);

    let report = b.sync.sync_with_ticket(&read).await.unwrap();
    assert_eq!((report.peer, report.entries_received), (Some(a.instance.device_key()), 3));
    let theirs = Database::open(&b.instance, &id, DatabaseKey::Device).unwrap();
    let txn = theirs.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set("title", "by B").unwrap();
    txn.commit().await.unwrap();
    let again = b.sync.sync_with_ticket(&read).await.unwrap();
    assert_eq!((again.entries_received, again.entries_sent), (0, 1), "who is in is not asked again");

    let late = c.sync.sync_with_ticket(&read).await.unwrap_err();
    assert!(late.is_permission_denied(), "{late:?}");
    let request = AccessRequest::new(Permission::Read).name("C");
    let pending = c.sync.bootstrap_with_ticket(&read, &request).await.unwrap();
    assert_eq!(pending, Bootstrap::Pending(None));
    let [asked] = &a.sync.pending_bootstrap_requests().unwrap()[..] else { panic!("one was expected") };
    assert_eq!((asked.key, asked.name.as_str()), (c.instance.device_key(), "C"));

    for sync in [&a.sync, &b.sync] {
        let [invite] = &sync.invites(&id).unwrap()[..] else { panic!("one was made") };
        assert_eq!(Some(&invite.invite), ticket.invite().map(Invitation::invite));
        let [used] = invite.used[..] else { panic!("{invite:?}") };
        assert_eq!((used.key, used.by), (b.instance.device_key(), a.instance.device_key()));
    }
    let made = a.sync.create_invite(&id, &options).await.unwrap();
    let made_id = made.invite().unwrap().invite().id();
    let refused = b.sync.create_invite(&id, &options).await.unwrap_err();
    assert!(refused.is_permission_denied(), "{refused:?}");
    assert!(a.sync.revoke_invite(&id, &Id::of(b"none")).await.unwrap_err().is_not_found());
    assert!(a.sync.revoke_invite(&id, &made_id).await.unwrap());
    assert!(!a.sync.revoke_invite(&id, &made_id).await.unwrap(), "it is revoked already");
    assert!(c.sync.sync_with_ticket(&made).await.unwrap_err().is_permission_denied());

    // With the root key in place of the node's own.
    let root = DatabaseKey::Secret(database.root_key().unwrap().unwrap().key().clone());
    let top = InviteOptions::new(Permission::Admin(0));
    let ticket = a.sync.create_invite_with_key(&id, root.clone(), &top).await.unwrap();
    let joined = c.sync.bootstrap_with_ticket(&ticket, &request).await.unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");
    let held = c.instance.snapshot().unwrap().permission(&id, &Who::Key(c.instance.device_key())).unwrap();
    assert_eq!(held, Some(Permission::Admin(0)), "what was promised, not what was asked for");
    let id_of_top = ticket.invite().unwrap().invite().id();
    assert!(a.sync.revoke_invite_with_key(&id, &id_of_top, root).await.unwrap());

    // C administers now: it makes invites, and takes those of A.
    let theirs = c.sync.create_invite(&id, &options).await.unwrap();
    assert_eq!(theirs.addresses(), [], "C serves nowhere");
    assert_eq!(c.sync.invites(&id).unwrap().len(), 4);
}

#[test]
fn an_invite_is_redeemed_in_memory() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b, c) = (Node::new().await, Node::new().await, Node::new().await);
        a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
        for node in [&b, &c] {
            node.sync.register_transport("memory", network.builder()).await.unwrap();
        }
        course(&a, &b, &c).await;
    });
}

#[cfg(feature = "http")]
#[test]
fn an_invite_is_redeemed_over_http() {
    smol::block_on(async {
        let (a, b, c) = (Node::new().await, Node::new().await, Node::new().await);
        for node in [&a, &b, &c] {
            node.sync.enable_http_transport().await.unwrap();
        }
        course(&a, &b, &c).await;
    });
}

#[cfg(feature = "quic")]
#[test]
fn an_invite_is_redeemed_over_quic() {
    smol::block_on(async {
        let (a, b, c) = (Node::new().await, Node::new().await, Node::new().await);
        for node in [&a, &b, &c] {
            node.sync.enable_quic_transport().await.unwrap();
        }
        course(&a, &b, &c).await;
    });
}

#[test]
fn an_invite_is_taken_where_it_can_be_whatever_address_comes_first() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (a, b, c) = (Node::new().await, Node::new().await, Node::new().await);
        for (node, place) in [(&a, "a"), (&b, "b")] {
            node.sync.register_transport("memory", network.builder().bind(place)).await.unwrap();
            node.sync.accept_connections().await.unwrap();
        }
        c.sync.register_transport("memory", network.builder()).await.unwrap();
        let grants = vec![(Who::Key(b.instance.device_key()), Permission::Read)];
        let database = Database::create_with(&a.instance, DatabaseKey::Device, Doc::new(), grants);
        let id = database.await.unwrap().root_id();
        let ticket = a.sync.create_invite(&id, &InviteOptions::new(Permission::Read)).await.unwrap();
        b.sync.sync_with_ticket(&a.sync.create_ticket(&id).unwrap()).await.unwrap();
        // B may read and can let nobody in; its address comes first.
        let addresses = [b.sync.get_server_address().unwrap(), ticket.addresses()[0].clone()];
        let ticket =
            DatabaseTicket::new(id, addresses).unwrap().with_invite(ticket.invite().unwrap().clone());
        let report = c.sync.sync_with_ticket(&ticket.unwrap()).await.unwrap();
        assert_eq!(report.peer, Some(a.instance.device_key()));
    });
}
