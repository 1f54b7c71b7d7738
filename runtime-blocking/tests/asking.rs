//! Getting into a database by asking, without async.

use pleach_blocking::{
    AccessRequest, Bootstrap, Database, DatabaseKey, Doc, Instance, Memory, MemoryNetwork, Permission, Sync,
};

fn node() -> (Instance, Sync) {
    let instance = Instance::open(Memory::new()).unwrap();
    instance.enable_sync().unwrap();
    let sync = instance.sync().unwrap();
    (instance, sync)
}

/// B asks A for two permissions; one is approved, one rejected.
fn course((a, serving): &(Instance, Sync), (b, sync): &(Instance, Sync)) {
    let database = Database::create(a, DatabaseKey::Device, Doc::new()).unwrap();
    serving.accept_connections().unwrap();
    let ticket = serving.create_ticket(&database.root_id()).unwrap();
    let request = AccessRequest::new(Permission::Write(5)).name("Bob").metadata("let me in");
    for _ in 0..2 {
        assert_eq!(sync.bootstrap_with_ticket(&ticket, &request).unwrap(), Bootstrap::Pending(None));
    }
    let [asked] = &serving.pending_bootstrap_requests().unwrap()[..] else { panic!("one was expected") };
    assert_eq!((asked.key, asked.name.as_str()), (b.device_key(), "Bob"));
    assert_eq!(serving.get_bootstrap_request(&asked.id).unwrap().as_ref(), Some(asked));
    let most = Some(Permission::Write(7));
    let granted = serving.approve_bootstrap_request_with_key(&asked.id, DatabaseKey::Device, most).unwrap();
    assert_eq!(granted, Permission::Write(7));
    assert_eq!(serving.pending_bootstrap_requests().unwrap(), []);
    assert_eq!(serving.approved_bootstrap_requests().unwrap().len(), 1);
    let joined = sync.bootstrap_with_ticket(&ticket, &request).unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");

    let more = AccessRequest::new(Permission::Admin(3));
    let pending = sync.bootstrap_with_ticket(&ticket, &more).unwrap();
    assert!(matches!(pending, Bootstrap::Pending(Some(_))), "{pending:?}");
    let id = serving.pending_bootstrap_requests().unwrap()[0].id;
    serving.reject_bootstrap_request_with_key(&id, DatabaseKey::Device).unwrap();
    assert_eq!(serving.rejected_bootstrap_requests().unwrap()[0].id, id);
    let rejected = sync.bootstrap_with_ticket(&ticket, &more).unwrap();
    assert!(matches!(rejected, Bootstrap::Rejected(Some(_))), "{rejected:?}");
}

#[test]
fn who_asks_in_memory_is_pending_then_approved_or_rejected() {
    let network = MemoryNetwork::new();
    let (a, b) = (node(), node());
    a.1.register_transport("memory", network.builder().bind("a")).unwrap();
    b.1.register_transport("memory", network.builder()).unwrap();
    course(&a, &b);
}

#[cfg(feature = "http")]
#[test]
fn who_asks_over_http_is_pending_then_approved_or_rejected() {
    let (a, b) = (node(), node());
    for (_, sync) in [&a, &b] {
        sync.enable_http_transport().unwrap();
    }
    course(&a, &b);
}
