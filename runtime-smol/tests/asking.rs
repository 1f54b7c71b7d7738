//! Getting into a database by asking.

mod world;

use pleach_smol::{
    AccessRequest, Bootstrap, DatabaseKey, DatabaseTicket, Doc, Memory, MemoryNetwork, Permission,
    RequestStatus, SecretKey, Who,
};
use world::{World, grant_all, write};

/// A serves; B has its ticket for a database with these grants.
async fn pair(grants: &[(Who, Permission)]) -> (World, World, DatabaseTicket) {
    let network = MemoryNetwork::new();
    let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
    a.sync.register_transport("memory", network.builder().bind("a")).await.unwrap();
    b.sync.register_transport("memory", network.builder()).await.unwrap();
    let database = a.create("shared", grants).await;
    a.sync.accept_connections().await.unwrap();
    let ticket = a.sync.create_ticket(&database.root_id()).unwrap();
    (a, b, ticket)
}

#[test]
fn who_asks_is_pending_until_an_administrator_approves_and_then_joins() {
    smol::block_on(async {
        let (a, b, ticket) = pair(&[]).await;
        let request = AccessRequest::new(Permission::Admin(0)).name("Bob").metadata("let me in");
        for _ in 0..2 {
            let outcome = b.sync.bootstrap_with_ticket(&ticket, &request).await.unwrap();
            assert_eq!(outcome, Bootstrap::Pending(None));
        }
        let [asked] = &a.sync.pending_bootstrap_requests().unwrap()[..] else { panic!("one was expected") };
        assert_eq!((asked.key, asked.name.as_str()), (b.instance.device_key(), "Bob"));
        assert_eq!(a.sync.get_bootstrap_request(&asked.id).unwrap().as_ref(), Some(asked));

        let eve = SecretKey::from_bytes([9; 32]);
        let refused = a.sync.approve_bootstrap_request_with_key(&asked.id, eve, None).await.unwrap_err();
        assert!(refused.is_permission_denied(), "{refused:?}");
        let approve = a.sync.approve_bootstrap_request_with_key(&asked.id, DatabaseKey::Device, None);
        assert_eq!(approve.await.unwrap(), Permission::Admin(1), "one below the approver");
        assert_eq!(a.sync.pending_bootstrap_requests().unwrap(), []);
        let [approved] = &a.sync.approved_bootstrap_requests().unwrap()[..] else { panic!() };
        assert!(matches!(approved.status, RequestStatus::Approved { permission: Permission::Admin(1), .. }));

        let outcome = b.sync.bootstrap_with_ticket(&ticket, &request).await.unwrap();
        assert!(matches!(outcome, Bootstrap::Joined(_)), "{outcome:?}");
        write(&b.open(&ticket.database()), "k", "v").await;
    });
}

#[test]
fn who_is_rejected_hears_it_and_reads_what_everybody_may() {
    smol::block_on(async {
        let (a, b, ticket) = pair(&grant_all(Permission::Read)).await;
        let read = AccessRequest::new(Permission::Read);
        let joined = b.sync.bootstrap_with_ticket(&ticket, &read).await.unwrap();
        assert!(matches!(joined, Bootstrap::Joined(_)), "let in at once: {joined:?}");
        assert_eq!(a.sync.pending_bootstrap_requests().unwrap(), []);

        let write = AccessRequest::new(Permission::Write(1));
        let pending = b.sync.bootstrap_with_ticket(&ticket, &write).await.unwrap();
        assert!(matches!(pending, Bootstrap::Pending(Some(_))), "{pending:?}");
        let id = a.sync.pending_bootstrap_requests().unwrap()[0].id;
        a.sync.reject_bootstrap_request_with_key(&id, DatabaseKey::Device).await.unwrap();
        assert_eq!(a.sync.rejected_bootstrap_requests().unwrap()[0].id, id);
        let again = a.sync.reject_bootstrap_request_with_key(&id, DatabaseKey::Device).await.unwrap_err();
        assert!(again.is_not_found(), "{again:?}");
        let rejected = b.sync.bootstrap_with_ticket(&ticket, &write).await.unwrap();
        assert!(matches!(rejected, Bootstrap::Rejected(Some(_))), "{rejected:?}");
    });
}

#[test]
fn a_key_of_its_own_approves_what_the_node_may_not() {
    smol::block_on(async {
        let (a, b, ticket) = pair(&[]).await;
        let owner = SecretKey::from_bytes([3; 32]);
        let database = pleach_smol::Database::create(&a.instance, owner.clone(), Doc::new()).await.unwrap();
        let (address, id) = (&ticket.addresses()[0], database.root_id());
        let request = AccessRequest::new(Permission::Read);
        let ask = b.sync.sync_with_peer_for_bootstrap_with_key(address, &id, &request);
        assert_eq!(ask.await.unwrap(), Bootstrap::Pending(None));
        let asked = a.sync.pending_bootstrap_requests().unwrap().remove(0).id;
        a.sync.approve_bootstrap_request_with_key(&asked, owner, None).await.unwrap();
        let ask = b.sync.sync_with_peer_for_bootstrap_with_key(address, &id, &request);
        assert!(matches!(ask.await.unwrap(), Bootstrap::Joined(_)));
    });
}
