//! Several users on one instance: their keys, their passwords, what they want to be kept the same.

use std::sync::Arc;

use pleach_blocking::{
    AccessRequest, Address, Bootstrap, Database, DatabaseKey, Doc, DocStore, Error, Id, Instance, Memory,
    MemoryNetwork, Permission, SettingsStore, Snapshot, StorageError, Store, Sync, SyncSettings, Who,
};
use pleach_core::storage::{Write, Written};

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

fn node(network: &MemoryNetwork, place: &str) -> (Instance, Sync, Address) {
    let instance = Instance::open(Memory::new()).unwrap();
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

#[test]
fn users_come_back_after_a_restart_with_their_keys_and_their_passwords() {
    let store = Arc::new(Memory::new());
    let open = || Instance::open(Shared(Arc::clone(&store))).unwrap();
    let instance = open();
    assert_eq!(instance.list_users().unwrap(), []);
    let key = instance.create_user("alice", None).unwrap();
    instance.create_user("bob", None).unwrap();
    assert_eq!(instance.create_user("alice", None).unwrap_err(), Error::UserExists("alice".into()));
    assert_eq!(instance.login_user("eve", None).unwrap_err(), Error::NoUser("eve".into()));
    let wrong = instance.login_user("alice", Some("nonsense")).unwrap_err();
    assert!(wrong.is_permission_denied(), "{wrong}");
    let alice = instance.login_user("alice", None).unwrap();
    assert_eq!((alice.name(), alice.default_key()), ("alice", key));
    let laptop = alice.add_key("laptop").unwrap();
    let database = alice.create_database(Doc::new()).unwrap();
    let id = database.root_id();
    alice.track_database(&id, &laptop, SyncSettings::enabled()).unwrap();
    assert!(instance.sync().is_none(), "users need no sync");
    drop((instance, alice, database));

    let instance = open();
    let names: Vec<_> = instance.list_users().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["alice", "bob"]);
    let alice = instance.login_user("alice", None).unwrap();
    let keys: Vec<_> = alice.list_keys().unwrap().into_iter().map(|key| (key.public, key.name)).collect();
    assert_eq!(keys, [(key, String::new()), (laptop, "laptop".into())]);
    assert_eq!(alice.tracked_databases().unwrap()[0].settings, SyncSettings::enabled());
    assert_eq!(alice.find_key(&id).unwrap(), laptop, "with which it is tracked");
    let refused = alice.open_database(&id).unwrap().new_transaction().unwrap();
    refused.get_store::<DocStore>("notes").unwrap().set("a", 1).unwrap();
    refused.commit().unwrap_err();
    alice.untrack_database(&id).unwrap();
    assert_eq!(alice.find_key(&id).unwrap(), key, "the one that may do most");
    write(&alice.open_database(&id).unwrap(), "a");

    let bob = instance.login_user("bob", None).unwrap();
    assert!(bob.open_database(&id).unwrap_err().is_not_found());
    assert!(bob.key(&key).unwrap_err().is_not_found(), "another's key");
    assert!(bob.track_database(&id, &key, SyncSettings::enabled()).unwrap_err().is_not_found());
    instance.delete_user("alice").unwrap();
    assert!(instance.login_user("alice", None).unwrap_err().is_not_found());
    assert!(alice.key(&key).unwrap_err().is_not_found());
    let again = instance.create_user("alice", None).unwrap();
    assert_ne!(again, key);
}

#[test]
#[cfg(feature = "passphrase")]
fn keys_under_a_password_need_it() {
    let instance = Instance::open(Memory::new()).unwrap();
    let key = instance.create_user("alice", Some("correct horse")).unwrap();
    assert!(instance.list_users().unwrap()[0].protected);
    assert_eq!(instance.login_user("alice", None).unwrap_err(), Error::PasswordNeeded("alice".into()));
    let wrong = instance.login_user("alice", Some("battery staple")).unwrap_err();
    assert_eq!(wrong, Error::WrongPassword("alice".into()));
    let alice = instance.login_user("alice", Some("correct horse")).unwrap();
    let DatabaseKey::Secret(secret) = alice.key(&key).unwrap() else {
        panic!("a user's is never the node's")
    };
    assert_eq!(secret.public(), key);
    let more = alice.add_key("more").unwrap();
    assert_eq!(
        instance.login_user("alice", Some("correct horse")).unwrap().list_keys().unwrap()[1].public,
        more
    );
}

#[test]
fn what_users_want_is_combined_and_followed() {
    let network = MemoryNetwork::new();
    let (there, _serving, place) = node(&network, "there");
    let (here, sync, _) = node(&network, "here");
    here.create_user("alice", None).unwrap();
    here.create_user("bob", None).unwrap();
    let (alice, bob) = (here.login_user("alice", None).unwrap(), here.login_user("bob", None).unwrap());
    let grants = vec![(Who::Everyone, Permission::Write(9))];
    let remote = Database::create_with(&there, DatabaseKey::Device, Doc::new(), grants).unwrap();
    let (id, peer) = (remote.root_id(), there.device_key());
    sync.sync_with_peer(&place, Some(&id)).unwrap();
    assert!(!sync.is_tree_synced_with_peer(&peer, &id).unwrap(), "only remembered");

    // One wants it from time to time: nothing is told at a commit, and a flush tells it.
    alice.track_database(&id, &alice.default_key(), SyncSettings::enabled().with_interval(3_600)).unwrap();
    assert!(sync.is_tree_synced_with_peer(&peer, &id).unwrap());
    sync.flush().unwrap();
    let handle = sync.handle(&peer, &id);
    let local = Database::open(&here, &id, DatabaseKey::Device).unwrap();
    let held = |entry| there.snapshot().unwrap().headers(&id, &[entry]).unwrap()[0].is_some();
    let first = write(&local, "a");
    let due = handle.status().unwrap().next_try.expect("it is followed");
    assert!((3_000_000..=3_600_000).contains(&due), "{due} ms");
    assert!(!held(first));
    assert!(sync.flush().unwrap().iter().any(|attempt| attempt.tree == id && attempt.outcome.is_ok()));
    assert!(held(first));

    // Another wants it at once, and more often: that wins.
    bob.track_database(&id, &bob.default_key(), SyncSettings::on_commit().with_interval(600)).unwrap();
    sync.flush().unwrap();
    let changes = remote.watch();
    let second = write(&local, "b");
    let arrived = std::iter::from_fn(|| changes.next()).any(|c| c.entries.iter().any(|at| at.id == second));
    assert!(arrived);
    sync.flush().unwrap();
    let due = handle.status().unwrap().next_try.expect("it is followed");
    assert!((500_000..=600_000).contains(&due), "{due} ms");

    // What a user says counts no longer when they are not followed, or have gone.
    sync.remove_user("bob").unwrap();
    sync.flush().unwrap();
    assert!(handle.status().unwrap().next_try.expect("alice still wants it") > 600_000);
    sync.sync_user("bob").unwrap();
    sync.flush().unwrap();
    assert!(handle.status().unwrap().next_try.expect("both want it") <= 600_000);
    here.delete_user("bob").unwrap();
    alice.track_database(&id, &alice.default_key(), SyncSettings::disabled()).unwrap();
    assert!(!sync.is_tree_synced_with_peer(&peer, &id).unwrap());
    assert_eq!(handle.status().unwrap().next_try, None);
    assert!(sync.remove_user("eve").unwrap_err().is_not_found());
}

#[test]
fn a_user_shares_a_database_and_another_asks_for_it() {
    let network = MemoryNetwork::new();
    let (there, serving, _) = node(&network, "there");
    let (here, _sync, _) = node(&network, "here");
    there.create_user("alice", None).unwrap();
    here.create_user("bob", None).unwrap();
    let (alice, bob) = (there.login_user("alice", None).unwrap(), here.login_user("bob", None).unwrap());
    let database = alice.create_database(Doc::new()).unwrap();
    let id = database.root_id();
    let ticket = alice.share(&id).unwrap();
    assert_eq!((ticket.database(), ticket.addresses().len()), (id, 1));
    assert!(there.login_user("alice", None).unwrap().share(&Id::of(b"none")).is_err());

    let request = AccessRequest::new(Permission::Read);
    let pending = bob.request_database_access(&ticket, &request).unwrap();
    assert!(matches!(pending, Bootstrap::Pending(None)), "{pending:?}");
    let [asked] = &serving.pending_bootstrap_requests().unwrap()[..] else { panic!("one") };
    assert_eq!(asked.name, "bob");
    let key = alice.key(&alice.default_key()).unwrap();
    serving.approve_bootstrap_request_with_key(&asked.id, key, None).unwrap();
    let joined = bob.request_database_access(&ticket, &request).unwrap();
    assert!(matches!(joined, Bootstrap::Joined(_)), "{joined:?}");
    let settings = Database::open(&here, &id, DatabaseKey::Device).unwrap();
    let settings = settings.get_store_viewer::<SettingsStore>("_settings").unwrap();
    let node = Who::Key(here.device_key());
    assert_eq!(settings.permission_of(node).unwrap(), Some(Permission::Read));
}

#[test]
fn of_many_who_create_the_same_user_at_once_one_does() {
    let instance = Instance::open(Memory::new()).unwrap();
    let created: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| instance.create_user("alice", None))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let [key] = created.iter().flatten().collect::<Vec<_>>()[..] else { panic!("{created:?}") };
    assert_eq!(instance.login_user("alice", None).unwrap().default_key(), *key);
}
