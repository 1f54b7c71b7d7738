//! A user whose key alone was granted: their instance joins, pushes and hears news with it, and nothing more after it.

use std::sync::Arc;

use pleach_blocking::{
    AccessRequest, Address, Bootstrap, Database, DatabaseKey, Doc, DocStore, Error, Id, Instance, Memory,
    MemoryNetwork, Permission, SettingsStore, Snapshot, StorageError, Store, Sync, SyncSettings, Who,
};
use pleach_core::{
    node::NodeError,
    storage::{Write, Written},
};

/// A store that outlives its instance.
struct Shared(Arc<Memory>);

impl Store for Shared {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StorageError> {
        self.0.snapshot()
    }

    fn write(&self, write: &Write) -> Result<Written, StorageError> {
        self.0.write(write)
    }
}

fn node(network: &MemoryNetwork, place: &str, store: &Arc<Memory>) -> (Instance, Sync, Address) {
    let instance = Instance::open(Shared(Arc::clone(store))).unwrap();
    let sync = Sync::new(&instance).unwrap();
    sync.register_transport("memory", network.builder().bind(place)).unwrap();
    let address = sync.accept_connections().unwrap().remove(0);
    (instance, sync, address)
}

fn write(database: &Database, key: &str) -> Id {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().unwrap().id
}

fn holds(instance: &Instance, database: &Id, entry: Id) -> bool {
    instance.snapshot().unwrap().headers(database, &[entry]).unwrap()[0].is_some()
}

fn revoke(database: &Database, key: Who) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<SettingsStore>("_settings").unwrap().revoke(key).unwrap();
    txn.commit().unwrap();
}

#[test]
fn a_user_whose_key_alone_was_granted_joins_pushes_and_hears_news_until_it_is_revoked() {
    let network = MemoryNetwork::new();
    let (there, serving, place) = node(&network, "there", &Arc::default());
    let (here, sync, _) = node(&network, "here", &Arc::default());
    let key = here.create_user("alice", None).unwrap();
    let alice = here.login_user("alice", None).unwrap();
    let grants = vec![(Who::Key(key), Permission::Write(9))];
    let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let id = theirs.root_id();
    let ticket = serving.create_ticket(&id).unwrap();

    // The node may nothing, and the user what was granted.
    let refused = sync.sync_with_ticket(&ticket).unwrap_err();
    assert_eq!(refused, Error::Node(NodeError::NotOffered(id)));
    assert_eq!(sync.discover_peer_trees(&place).unwrap(), []);
    let named = alice.sync().unwrap();
    assert_eq!(named.discover_peer_trees(&place).unwrap()[0].id, id);
    let request = AccessRequest::new(Permission::Read);
    let joined = alice.request_database_access(&ticket, &request).unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "nobody need be asked: {joined:?}");
    assert!(serving.pending_bootstrap_requests().unwrap().is_empty());
    assert_eq!(sync.sync_with_ticket(&ticket).unwrap_err(), refused, "it was for the time of the call");
    assert_eq!(named.sync_with_ticket(&ticket).unwrap().entries_received, 0);

    // The background proves what users track.
    alice.track_database(&id, &key, SyncSettings::on_commit()).unwrap();
    let mine = alice.open_database(&id).unwrap();
    let first = write(&mine, "a");
    sync.flush().unwrap();
    assert!(holds(&there, &id, first), "pushed");
    let changes = mine.watch();
    let news = write(&theirs, "b");
    loop {
        let change = changes.next().expect("the instance is there");
        if change.entries.iter().any(|at| at.id == news) {
            break;
        }
    }
    // The other side may be the one that begins.
    let own = sync.get_server_address().unwrap();
    let late = write(&theirs, "c");
    serving.sync_with_peer(&own, Some(&id)).unwrap();
    assert!(holds(&here, &id, late));

    revoke(&theirs, Who::Key(key));
    let secret = write(&theirs, "d");
    assert_eq!(named.sync_with_ticket(&ticket).unwrap_err(), refused);
    let attempts = sync.flush().unwrap();
    assert!(attempts.iter().all(|attempt| attempt.outcome.is_err()), "{attempts:?}");
    assert!(!holds(&here, &id, secret), "nothing more");
    assert_eq!(named.discover_peer_trees(&place).unwrap(), []);
}

#[test]
fn a_key_is_proven_while_a_database_is_open_with_it_and_for_the_calls_of_a_handle_that_names_it() {
    let network = MemoryNetwork::new();
    let (there, serving, place) = node(&network, "there", &Arc::default());
    let (here, sync, _) = node(&network, "here", &Arc::default());
    let secret = pleach_core::SecretKey::from_bytes([9; 32]);
    let grants = vec![(Who::Key(secret.public()), Permission::Read)];
    let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let id = theirs.root_id();
    let ticket = serving.create_ticket(&id).unwrap();
    let request = AccessRequest::new(Permission::Read);
    let proving = sync.proving(secret.clone());
    let joined = proving.sync_with_peer_for_bootstrap_with_key(&place, &id, &request).unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");
    assert_eq!(proving.sync_with_peer(&place, None).unwrap().len(), 1, "all that the key may read");
    sync.sync_with_ticket(&ticket).unwrap_err();
    let open = Database::open(&here, &id, secret).unwrap();
    let clone = open.clone();
    drop(open);
    sync.sync_with_ticket(&ticket).unwrap();
    drop(clone);
    sync.sync_with_ticket(&ticket).unwrap_err();
}

#[test]
fn after_a_restart_the_keys_of_users_without_a_password_are_proven_again() {
    let network = MemoryNetwork::new();
    let (there, serving, _) = node(&network, "there", &Arc::default());
    let store = Arc::new(Memory::new());
    let (here, _, _) = node(&network, "here", &store);
    let key = here.create_user("alice", None).unwrap();
    let alice = here.login_user("alice", None).unwrap();
    let grants = vec![(Who::Key(key), Permission::Write(9))];
    let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let id = theirs.root_id();
    alice.sync().unwrap().sync_with_ticket(&serving.create_ticket(&id).unwrap()).unwrap();
    alice.track_database(&id, &key, SyncSettings::enabled()).unwrap();
    here.close();
    let news = write(&theirs, "a");

    let (here, sync, _) = node(&network, "here", &store);
    sync.sync_tree_with_peer(&there.device_key(), &id).unwrap();
    assert!(holds(&here, &id, news), "nobody has logged in");
    let alice = here.login_user("alice", None).unwrap();
    alice.untrack_database(&id).unwrap();
    sync.sync_tree_with_peer(&there.device_key(), &id).unwrap_err();
    alice.track_database(&id, &key, SyncSettings::enabled()).unwrap();
    sync.sync_tree_with_peer(&there.device_key(), &id).unwrap();
    here.delete_user("alice").unwrap();
    sync.sync_tree_with_peer(&there.device_key(), &id).unwrap_err();
}

#[test]
#[cfg(feature = "passphrase")]
fn a_key_under_a_password_is_proven_while_its_user_is_logged_in_and_the_status_says_so_otherwise() {
    let network = MemoryNetwork::new();
    let (there, serving, _) = node(&network, "there", &Arc::default());
    let store = Arc::new(Memory::new());
    let (here, _, _) = node(&network, "here", &store);
    let password = Some("correct horse");
    let key = here.create_user("alice", password).unwrap();
    let alice = here.login_user("alice", password).unwrap();
    let grants = vec![(Who::Key(key), Permission::Write(9))];
    let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let (id, peer) = (theirs.root_id(), there.device_key());
    alice.sync().unwrap().sync_with_ticket(&serving.create_ticket(&id).unwrap()).unwrap();
    alice.track_database(&id, &key, SyncSettings::enabled()).unwrap();
    here.close();
    drop(alice);
    let news = write(&theirs, "a");

    let (here, sync, _) = node(&network, "here", &store);
    sync.flush().unwrap();
    assert!(!holds(&here, &id, news));
    let stuck = sync.handle(&peer, &id).status().unwrap().stuck;
    assert_eq!(stuck, Some(pleach_blocking::Stuck::LoggedOut { user: "alice".into() }));
    let alice = here.login_user("alice", password).unwrap();
    sync.flush().unwrap();
    assert!(holds(&here, &id, news), "she is back");
    assert_eq!(sync.handle(&peer, &id).status().unwrap().stuck, None);
    drop(alice);
    sync.sync_tree_with_peer(&peer, &id).unwrap_err();
}
