//! A user whose key alone was granted: their instance joins, pushes and hears news with it, and nothing more after it.

use std::sync::Arc;

use pleach_core::{
    node::NodeError,
    storage::{Write, Written},
};
use pleach_smol::{
    AccessRequest, Address, Bootstrap, Database, DatabaseKey, Doc, DocStore, Error, Id, Instance, Memory,
    MemoryNetwork, Permission, SettingsStore, Snapshot, StorageError, Store, Sync, SyncSettings, Who,
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

async fn node(network: &MemoryNetwork, place: &str, store: &Arc<Memory>) -> (Instance, Sync, Address) {
    let instance = Instance::open(Shared(Arc::clone(store))).await.unwrap();
    let sync = Sync::new(&instance).await.unwrap();
    sync.register_transport("memory", network.builder().bind(place)).await.unwrap();
    let address = sync.accept_connections().await.unwrap().remove(0);
    (instance, sync, address)
}

async fn write(database: &Database, key: &str) -> Id {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<DocStore>("notes").unwrap().set(key, "x").unwrap();
    txn.commit().await.unwrap().id
}

fn holds(instance: &Instance, database: &Id, entry: Id) -> bool {
    instance.snapshot().unwrap().headers(database, &[entry]).unwrap()[0].is_some()
}

async fn revoke(database: &Database, key: Who) {
    let txn = database.new_transaction().unwrap();
    txn.get_store::<SettingsStore>("_settings").unwrap().revoke(key).unwrap();
    txn.commit().await.unwrap();
}

#[test]
fn a_user_whose_key_alone_was_granted_joins_pushes_and_hears_news_until_it_is_revoked() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (there, serving, place) = node(&network, "there", &Arc::default()).await;
        let (here, sync, _) = node(&network, "here", &Arc::default()).await;
        let key = here.create_user("alice", None).await.unwrap();
        let alice = here.login_user("alice", None).await.unwrap();
        let grants = vec![(Who::Key(key), Permission::Write(9))];
        let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = theirs.root_id();
        let ticket = serving.create_ticket(&id).unwrap();

        // The node may nothing, and the user what was granted.
        let refused = sync.sync_with_ticket(&ticket).await.unwrap_err();
        assert_eq!(refused, Error::Node(NodeError::NotOffered(id)));
        assert_eq!(sync.discover_peer_trees(&place).await.unwrap(), []);
        let named = alice.sync().unwrap();
        assert_eq!(named.discover_peer_trees(&place).await.unwrap()[0].id, id);
        let request = AccessRequest::new(Permission::Read);
        let joined = alice.request_database_access(&ticket, &request).await.unwrap();
        assert!(matches!(joined, Bootstrap::Joined(_)), "nobody need be asked: {joined:?}");
        assert!(serving.pending_bootstrap_requests().unwrap().is_empty());
        assert_eq!(
            sync.sync_with_ticket(&ticket).await.unwrap_err(),
            refused,
            "it was for the time of the call"
        );
        assert_eq!(named.sync_with_ticket(&ticket).await.unwrap().entries_received, 0);

        // The background proves what users track.
        alice.track_database(&id, &key, SyncSettings::on_commit()).await.unwrap();
        let mine = alice.open_database(&id).unwrap();
        let first = write(&mine, "a").await;
        sync.flush().await.unwrap();
        assert!(holds(&there, &id, first), "pushed");
        let changes = mine.watch();
        let news = write(&theirs, "b").await;
        loop {
            let change = changes.next().await.expect("the instance is there");
            if change.entries.iter().any(|at| at.id == news) {
                break;
            }
        }
        // The other side may be the one that begins.
        let own = sync.get_server_address().unwrap();
        let late = write(&theirs, "c").await;
        serving.sync_with_peer(&own, Some(&id)).await.unwrap();
        assert!(holds(&here, &id, late));

        revoke(&theirs, Who::Key(key)).await;
        let secret = write(&theirs, "d").await;
        assert_eq!(named.sync_with_ticket(&ticket).await.unwrap_err(), refused);
        let attempts = sync.flush().await.unwrap();
        assert!(attempts.iter().all(|attempt| attempt.outcome.is_err()), "{attempts:?}");
        assert!(!holds(&here, &id, secret), "nothing more");
        assert_eq!(named.discover_peer_trees(&place).await.unwrap(), []);
    });
}

#[test]
fn a_key_is_proven_while_a_database_is_open_with_it_and_for_the_calls_of_a_handle_that_names_it() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (there, serving, place) = node(&network, "there", &Arc::default()).await;
        let (here, sync, _) = node(&network, "here", &Arc::default()).await;
        let secret = pleach_core::SecretKey::from_bytes([9; 32]);
        let grants = vec![(Who::Key(secret.public()), Permission::Read)];
        let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = theirs.root_id();
        let ticket = serving.create_ticket(&id).unwrap();
        let request = AccessRequest::new(Permission::Read);
        let proving = sync.proving(secret.clone());
        let joined = proving.sync_with_peer_for_bootstrap_with_key(&place, &id, &request).await.unwrap();
        assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");
        assert_eq!(proving.sync_with_peer(&place, None).await.unwrap().len(), 1, "all that the key may read");
        sync.sync_with_ticket(&ticket).await.unwrap_err();
        let open = Database::open(&here, &id, secret).unwrap();
        let clone = open.clone();
        drop(open);
        sync.sync_with_ticket(&ticket).await.unwrap();
        drop(clone);
        sync.sync_with_ticket(&ticket).await.unwrap_err();
    });
}

#[test]
fn after_a_restart_the_keys_of_users_without_a_password_are_proven_again() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (there, serving, _) = node(&network, "there", &Arc::default()).await;
        let store = Arc::new(Memory::new());
        let (here, _, _) = node(&network, "here", &store).await;
        let key = here.create_user("alice", None).await.unwrap();
        let alice = here.login_user("alice", None).await.unwrap();
        let grants = vec![(Who::Key(key), Permission::Write(9))];
        let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let id = theirs.root_id();
        alice.sync().unwrap().sync_with_ticket(&serving.create_ticket(&id).unwrap()).await.unwrap();
        alice.track_database(&id, &key, SyncSettings::enabled()).await.unwrap();
        here.close().await;
        let news = write(&theirs, "a").await;

        let (here, sync, _) = node(&network, "here", &store).await;
        sync.sync_tree_with_peer(&there.device_key(), &id).await.unwrap();
        assert!(holds(&here, &id, news), "nobody has logged in");
        let alice = here.login_user("alice", None).await.unwrap();
        alice.untrack_database(&id).await.unwrap();
        sync.sync_tree_with_peer(&there.device_key(), &id).await.unwrap_err();
        alice.track_database(&id, &key, SyncSettings::enabled()).await.unwrap();
        sync.sync_tree_with_peer(&there.device_key(), &id).await.unwrap();
        here.delete_user("alice").await.unwrap();
        sync.sync_tree_with_peer(&there.device_key(), &id).await.unwrap_err();
    });
}

#[test]
#[cfg(feature = "passphrase")]
fn a_key_under_a_password_is_proven_while_its_user_is_logged_in_and_the_status_says_so_otherwise() {
    smol::block_on(async {
        let network = MemoryNetwork::new();
        let (there, serving, _) = node(&network, "there", &Arc::default()).await;
        let store = Arc::new(Memory::new());
        let (here, _, _) = node(&network, "here", &store).await;
        let password = Some("correct horse");
        let key = here.create_user("alice", password).await.unwrap();
        let alice = here.login_user("alice", password).await.unwrap();
        let grants = vec![(Who::Key(key), Permission::Write(9))];
        let theirs = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).await.unwrap();
        let (id, peer) = (theirs.root_id(), there.device_key());
        alice.sync().unwrap().sync_with_ticket(&serving.create_ticket(&id).unwrap()).await.unwrap();
        alice.track_database(&id, &key, SyncSettings::enabled()).await.unwrap();
        here.close().await;
        drop(alice);
        let news = write(&theirs, "a").await;

        let (here, sync, _) = node(&network, "here", &store).await;
        sync.flush().await.unwrap();
        assert!(!holds(&here, &id, news));
        let stuck = sync.handle(&peer, &id).status().await.unwrap().stuck;
        assert_eq!(stuck, Some(pleach_smol::Stuck::LoggedOut { user: "alice".into() }));
        let alice = here.login_user("alice", password).await.unwrap();
        sync.flush().await.unwrap();
        assert!(holds(&here, &id, news), "she is back");
        assert_eq!(sync.handle(&peer, &id).status().await.unwrap().stuck, None);
        drop(alice);
        sync.sync_tree_with_peer(&peer, &id).await.unwrap_err();
    });
}
