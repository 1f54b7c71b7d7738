//! `peers`: who is known, where, in what state, and what is kept the same with whom.

use std::fmt;

use pleach_smol::{ConnectionState, Id, PeerInfo, PeerStatus, PublicKey, Stuck, Sync, SyncPhase, SyncStatus};
use serde::Serialize;

use crate::{
    args::{PeerAddressAction, PeersAction},
    commands::exchange::address,
    context::Context,
    failure::Ending,
    output::{Moment, Shown, faint, strong},
};

/// A database that a peer is known for.
#[derive(Serialize)]
struct Kept {
    id: Id,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// What is happening about it.
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    failures: u32,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<u64>,
    /// Why it does not get on.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
}

impl Kept {
    fn new(id: Id, databases: &[(Id, String)], status: SyncStatus) -> Self {
        let named = databases.iter().find(|(held, _)| *held == id);
        // What the peer itself is in the way of is said of the peer.
        let stuck = status.stuck.filter(|stuck| !matches!(stuck, Stuck::Blocked | Stuck::Inactive));
        Self {
            id,
            name: named.map(|(_, name)| name.clone()).unwrap_or_default(),
            phase: match status.phase {
                SyncPhase::Off => "on request",
                SyncPhase::Paused => "paused",
                SyncPhase::Waiting => "in step",
                SyncPhase::Connecting => "connecting",
                SyncPhase::Syncing => "syncing",
                SyncPhase::Asking => "asking",
                SyncPhase::Retrying => "retrying",
                _ => "other",
            },
            last_sync: status.last_sync,
            last_error: status.last_error.map(|error| error.reason),
            failures: status.failures,
            next_try: status.next_try,
            stuck: stuck.map(|stuck| stuck.to_string()),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "{}, {}", self.id, self.phase)?;
        } else {
            write!(f, "{}  {}, {}", faint(self.id), Shown(&self.name), self.phase)?;
        }
        if let Some(last) = self.last_sync {
            write!(f, ", last {}", Moment(last))?;
        }
        match (&self.stuck, &self.last_error) {
            (Some(why), _) | (None, Some(why)) => write!(f, "\n    {}", Shown(why)),
            (None, None) => Ok(()),
        }
    }
}

/// A peer.
#[derive(Serialize)]
struct Listed {
    peer: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    status: PeerStatus,
    connection: ConnectionState,
    /// Somebody put it into the book; others came by themselves.
    registered: bool,
    addresses: Vec<String>,
    databases: Vec<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<u64>,
}

impl Listed {
    async fn new(cx: &Context, sync: &Sync, info: PeerInfo) -> anyhow::Result<Self> {
        let held = cx.instance.databases()?;
        let mut databases = Vec::with_capacity(info.databases.len());
        for id in info.databases {
            let status = sync.handle(&info.pubkey, &id).status().await?;
            databases.push(Kept::new(id, &held, status));
        }
        Ok(Self {
            peer: info.pubkey,
            name: info.display_name,
            status: info.status,
            connection: info.connection,
            registered: info.registered,
            addresses: info.addresses.iter().map(ToString::to_string).collect(),
            last_sync: databases.iter().filter_map(|kept| kept.last_sync).max(),
            databases,
            last_seen: info.seen.map(|seen| seen.last),
        })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", strong(self.peer))?;
        if let Some(name) = &self.name {
            write!(f, "  {}", Shown(name))?;
        }
        match self.status {
            PeerStatus::Active => {}
            PeerStatus::Inactive => f.write_str("  inactive")?,
            PeerStatus::Blocked => f.write_str("  blocked")?,
        }
        match self.connection {
            ConnectionState::Connected => f.write_str("  connected")?,
            ConnectionState::Connecting => f.write_str("  connecting")?,
            ConnectionState::Failed => f.write_str("  not reached")?,
            ConnectionState::Disconnected => {}
        }
        if !self.registered {
            write!(f, "  {}", faint("came by itself"))?;
        }
        self.addresses.iter().try_for_each(|address| write!(f, "\n  at {}", Shown(address)))?;
        self.databases.iter().try_for_each(|kept| write!(f, "\n  {kept}"))?;
        match self.last_seen {
            Some(seen) => write!(f, "\n  met {}", Moment(seen)),
            None => Ok(()),
        }
    }
}

/// A peer that is in the book no more.
#[derive(Serialize)]
struct Removed {
    peer: PublicKey,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgot {}", self.peer)
    }
}

pub(super) async fn peers(cx: &Context, action: Option<PeersAction>) -> anyhow::Result<Ending> {
    let sync = cx.sync().await?;
    let changed = match action {
        None => {
            for info in sync.list_peers().await? {
                cx.out.put(&Listed::new(cx, &sync, info).await?)?;
            }
            return Ok(Ending::Done);
        }
        Some(PeersAction::Add { key, name, address: texts }) => {
            let addresses = texts.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
            sync.register_peer(&key, name.as_deref()).await?;
            for address in &addresses {
                sync.add_peer_address(&key, address).await?;
            }
            key
        }
        Some(PeersAction::Remove { key }) => {
            sync.remove_peer(&key).await?;
            cx.out.put(&Removed { peer: key })?;
            return Ok(Ending::Done);
        }
        Some(PeersAction::Block { key }) => {
            sync.update_peer_status(&key, PeerStatus::Blocked).await?;
            key
        }
        Some(PeersAction::Unblock { key }) => {
            sync.update_peer_status(&key, PeerStatus::Active).await?;
            key
        }
        Some(PeersAction::Address { action }) => match action {
            PeerAddressAction::Add { key, address: text } => {
                sync.add_peer_address(&key, &address(&text)?).await?;
                key
            }
            PeerAddressAction::Remove { key, address: text } => {
                sync.remove_peer_address(&key, &address(&text)?).await?;
                key
            }
        },
    };
    if let Some(info) = sync.get_peer_info(&changed).await? {
        cx.out.put(&Listed::new(cx, &sync, info).await?)?;
    }
    Ok(Ending::Done)
}
