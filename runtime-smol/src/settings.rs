//! What programs and transports keep in `_sync`, and what users want.

use std::sync::Arc;

use pleach_core::{
    document::Typed,
    entry::Value,
    instance::{Error, sync_settings},
    storage::Store,
};
use pleach_transports::{Context, Transport};

use crate::Sync;

/// What is kept.
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Instance, Memory, Sync, Typed};
/// #[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Radio { channel: u8 }
/// impl Typed for Radio {
///     const TYPE_ID: &'static str = "radio:v1";
/// }
/// let instance = Instance::open(Memory::new()).await?;
/// let sync = Sync::new(&instance).await?;
/// sync.save_transport_config("radio", &Radio { channel: 11 }).await?;
/// assert_eq!(sync.load_transport_config::<Radio>("radio")?, Radio { channel: 11 });
/// assert_eq!(sync.load_transport_config::<Radio>("spare")?, Radio::default());
/// sync.set_setting("theme", "dark").await?;
/// assert_eq!(sync.get_setting("theme")?, Some("dark".into()));
/// # Ok::<(), pleach_smol::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # smol::block_on(async {
/// use pleach_smol::{Instance, Memory, MemoryNetwork, Sync};
/// # let instance = Instance::open(Memory::new()).await?;
/// # let sync = Sync::new(&instance).await?;
/// // A transport that a program makes by itself.
/// let network = MemoryNetwork::new();
/// let transport = network.builder().bind("desk").transport(sync.transport_context()?);
/// sync.add_transport("memory", transport)?;
/// assert_eq!(sync.accept_connections().await?.len(), 1);
/// assert!(sync.backend()?.snapshot()?.summary(&sync.sync_tree_root_id()?)?.is_some());
///
/// // Whose wishes count here.
/// instance.create_user("alice", None).await?;
/// sync.remove_user("alice").await?;
/// sync.sync_user("alice").await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
impl Sync {
    /// Keeps a setting of the program, under a key.
    pub async fn set_setting(&self, key: &str, value: impl Into<Value>) -> Result<(), Error> {
        let value = value.into();
        self.change(|draft| sync_settings::keep_setting(draft, key, value)).await
    }

    /// The setting with a key.
    pub fn get_setting(&self, key: &str) -> Result<Option<Value>, Error> {
        let tree = self.sync_tree()?;
        sync_settings::setting(tree.snapshot()?, &tree.root_id(), key)
    }

    /// The configuration that is kept for the transport of this name; the default if there is none. One of another type
    /// than `C` is an error that names both.
    pub fn load_transport_config<C: Typed + Default>(&self, name: &str) -> Result<C, Error> {
        let tree = self.sync_tree()?;
        sync_settings::transport_config(tree.snapshot()?, &tree.root_id(), name)
    }

    /// Keeps a configuration for the transport of this name. In place of one of another type it is an error.
    pub async fn save_transport_config<C: Typed>(&self, name: &str, config: &C) -> Result<(), Error> {
        self.change(|draft| sync_settings::keep_transport_config(draft, name, config)).await
    }

    /// Adds a transport that is made already under a name, in place of one that had it; see [`Sync::transport_context`].
    pub fn add_transport(&self, name: &str, transport: impl Transport + 'static) -> Result<(), Error> {
        self.instance()?.board().add(name, Arc::new(transport));
        Ok(())
    }

    /// What transports of this node are made with: its key, its clock, its entropy.
    pub fn transport_context(&self) -> Result<Context, Error> {
        self.instance()?.context()
    }

    /// The store of the instance. What is written past the instance is not seen by it.
    pub fn backend(&self) -> Result<Arc<dyn Store>, Error> {
        self.instance()?.store()
    }

    /// Follows the preferences of a user, as they are by default, and takes up at once what they say.
    pub async fn sync_user(&self, name: &str) -> Result<(), Error> {
        self.edit(|book| book.follow_user(name, true)).await
    }

    /// Follows the preferences of a user no longer, until [`Sync::sync_user`]; the user stays.
    pub async fn remove_user(&self, name: &str) -> Result<(), Error> {
        self.edit(|book| book.follow_user(name, false)).await
    }
}
