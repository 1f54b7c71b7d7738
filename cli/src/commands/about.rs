//! `init`, `status`: what this node is.

use std::fmt;

use serde::Serialize;

use crate::{
    context::{self, Context},
    failure::Ending,
    node,
    output::{Shown, entries, faint, strong},
};

#[derive(Serialize)]
struct Status {
    public_key: String,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    serves: bool,
    addresses: Vec<String>,
    databases: usize,
    entries: u64,
    peers: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            writeln!(f, "{:<11}{}", "name", strong(Shown(name)))?;
        }
        writeln!(f, "{:<11}{}", "public key", self.public_key)?;
        writeln!(f, "{:<11}{}", "data", Shown(&self.data))?;
        writeln!(f, "{:<11}{}, {}", "databases", self.databases, entries(self.entries))?;
        write!(f, "{:<11}{}", "peers", self.peers)?;
        match (self.serves, self.addresses.as_slice()) {
            (false, _) => write!(f, "\n{:<11}{}", "serving", faint("no")),
            (true, []) => write!(f, "\n{:<11}{}", "serving", faint("commands of this folder alone")),
            (true, addresses) => addresses.iter().try_for_each(|a| write!(f, "\n{:<11}{a}", "serving")),
        }
    }
}

pub(super) async fn status(cx: &Context) -> anyhow::Result<Ending> {
    let snapshot = cx.instance.snapshot()?;
    let held = cx.instance.databases()?;
    let mut entries = 0;
    for (id, _) in &held {
        entries += snapshot.summary(id)?.map_or(0, |summary| summary.measure.count);
    }
    let sync = context::enabled(&cx.instance).await?;
    let addresses = sync.get_all_server_addresses()?;
    let peers = sync.list_peers().await?.into_iter().filter(|info| info.registered);
    cx.out.put(&Status {
        public_key: cx.instance.device_id(),
        data: cx.data.display().to_string(),
        name: node::name(&cx.data)?,
        serves: cx.serves,
        addresses: addresses.into_iter().map(|(_, address)| address.to_string()).collect(),
        databases: held.len(),
        entries,
        peers: peers.count(),
    })?;
    Ok(Ending::Done)
}

#[derive(Serialize)]
struct Init {
    public_key: String,
    data: String,
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public_key)
    }
}

/// The node was made when it was opened; doing it again changes nothing but the name.
pub(super) fn init(cx: &Context, name: Option<&str>) -> anyhow::Result<Ending> {
    if let Some(name) = name {
        node::set_name(&cx.data, name)?;
    }
    cx.out.put(&Init { public_key: cx.instance.device_id(), data: cx.data.display().to_string() })?;
    Ok(Ending::Done)
}
