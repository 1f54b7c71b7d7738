//! `requests`: who asks for access here, and what is decided.

use std::fmt;

use pleach_smol::{BootstrapRequest, DatabaseKey, Id, PublicKey, RequestStatus, Sync, Value};
use serde::Serialize;

use crate::{
    args::RequestsAction,
    context::Context,
    failure::Ending,
    output::{Moment, Shown, strong},
    permission::Asked,
};

/// How a request stands.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Pending,
    Expired,
    Approved,
    Rejected,
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    db: Id,
    #[serde(skip_serializing_if = "String::is_empty")]
    db_name: String,
    key: PublicKey,
    permission: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// What was said, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What was said otherwise: bytes, as values show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<serde_json::Value>,
    received: u64,
    status: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<String>,
}

impl Listed {
    fn new(request: BootstrapRequest, databases: &[(Id, String)], wall: u64) -> Self {
        let expired = request.is_expired(wall);
        let (status, by, at, granted) = match request.status {
            RequestStatus::Approved { by, at, permission } => {
                (Standing::Approved, Some(by), Some(at), Some(permission.to_string()))
            }
            RequestStatus::Rejected { by, at } => (Standing::Rejected, Some(by), Some(at), None),
            RequestStatus::Pending if expired => (Standing::Expired, None, None, None),
            RequestStatus::Pending => (Standing::Pending, None, None, None),
        };
        let named = databases.iter().find(|(id, _)| *id == request.tree);
        let (message, metadata) = match String::from_utf8(request.metadata) {
            Ok(text) if text.is_empty() => (None, None),
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(Value::Bytes(error.into_bytes()).to_json())),
        };
        Self {
            id: request.id,
            db: request.tree,
            db_name: named.map(|(_, name)| name.clone()).unwrap_or_default(),
            key: request.key,
            permission: request.permission.to_string(),
            name: request.name,
            message,
            metadata,
            received: request.received,
            status,
            by,
            at,
            granted,
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the asker chose stands behind what this node knows, so that it cannot pass for that.
        let db = if self.db_name.is_empty() { self.db.to_string() } else { self.db_name.clone() };
        write!(f, "{}  {}", strong(self.id), Moment(self.received))?;
        write!(f, "\n  asks for {} in {}", strong(&self.permission), Shown(&db))?;
        write!(f, "\n  key: {}", self.key)?;
        if !self.name.is_empty() {
            write!(f, "\n  name: {}", Shown(&self.name))?;
        }
        if let Some(message) = &self.message {
            write!(f, "\n  says: {}", Shown(message))?;
        }
        if let Some(metadata) = &self.metadata {
            write!(f, "\n  says {metadata}")?;
        }
        match self.status {
            Standing::Pending => Ok(()),
            Standing::Expired => f.write_str("\n  expired: it has to be asked again"),
            Standing::Approved | Standing::Rejected => self.decided(f),
        }
    }
}

impl Listed {
    fn decided(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.granted {
            Some(granted) => write!(f, "\n  approved with {granted}")?,
            None => f.write_str("\n  rejected")?,
        }
        match (self.by, self.at) {
            (Some(by), Some(at)) => write!(f, " by {by}, {}", Moment(at)),
            _ => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Decided {
    id: Id,
    status: Standing,
    key: PublicKey,
    db: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.permission {
            Some(permission) => write!(f, "{} may {permission}", self.key),
            None => write!(f, "{} is not let in", self.key),
        }
    }
}

pub(super) async fn requests(
    cx: &Context,
    all: bool,
    action: Option<RequestsAction>,
) -> anyhow::Result<Ending> {
    let sync = cx.sync().await?;
    match action {
        None => list(cx, &sync, all),
        Some(action) => decide(cx, &sync, action).await,
    }
}

fn list(cx: &Context, sync: &Sync, all: bool) -> anyhow::Result<Ending> {
    let mut requests = sync.pending_bootstrap_requests()?;
    if all {
        requests.extend(sync.approved_bootstrap_requests()?);
        requests.extend(sync.rejected_bootstrap_requests()?);
    }
    let databases = cx.instance.databases()?;
    for request in requests {
        cx.out.put(&Listed::new(request, &databases, wall()))?;
    }
    Ok(Ending::Done)
}

async fn decide(cx: &Context, sync: &Sync, action: RequestsAction) -> anyhow::Result<Ending> {
    let (RequestsAction::Approve { id, .. } | RequestsAction::Reject { id }) = &action;
    let request = sync.get_bootstrap_request(id)?;
    let (status, granted) = match action {
        RequestsAction::Approve { id, permission } => {
            let most = permission.map(Asked::of_another);
            let granted = sync.approve_bootstrap_request_with_key(&id, DatabaseKey::Device, most).await?;
            (Standing::Approved, Some(granted.to_string()))
        }
        RequestsAction::Reject { id } => {
            sync.reject_bootstrap_request_with_key(&id, DatabaseKey::Device).await?;
            (Standing::Rejected, None)
        }
    };
    if let Some(BootstrapRequest { id, key, tree, .. }) = request {
        cx.out.put(&Decided { id, status, key, db: tree, permission: granted })?;
    }
    Ok(Ending::Done)
}

/// Wall milliseconds.
pub(super) fn wall() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
