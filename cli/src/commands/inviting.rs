//! `invite`: tickets that let their bearer in, who used them, and taking them back.

use std::fmt;

use pleach_core::entry::SETTINGS;
use pleach_smol::{DatabaseKey, Id, InviteInfo, InviteOptions, Permission, PublicKey, SettingsStore, Who};
use qrcode::QrCode;
use serde::Serialize;

use super::{keys, requests::wall, sharing};
use crate::{
    args::Invite,
    context::Context,
    failure::Ending,
    output::{Moment, bad, strong},
    permission::Asked,
};

#[derive(Serialize)]
struct Made {
    ticket: String,
    id: Id,
    permission: String,
    uses: u16,
    expires: u64,
    #[serde(skip)]
    code: Option<QrCode>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sharing::show(f, &self.ticket, self.code.as_ref())
    }
}

/// How an invite stands.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Open,
    Used,
    Expired,
    Revoked,
}

#[derive(Serialize)]
struct Redeemed {
    key: PublicKey,
    by: PublicKey,
    at: u64,
}

#[derive(Serialize)]
struct Listed {
    id: Id,
    status: Standing,
    permission: String,
    uses: u16,
    used: usize,
    expires: u64,
    by: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_by: Option<PublicKey>,
    redeemed: Vec<Redeemed>,
}

impl Listed {
    fn new(info: &InviteInfo, wall: u64) -> Self {
        let InviteInfo { invite, revoked, used } = info;
        let status = match revoked {
            Some(_) => Standing::Revoked,
            None if used.len() >= usize::from(invite.uses) => Standing::Used,
            None if invite.is_expired(wall) => Standing::Expired,
            None => Standing::Open,
        };
        let redeemed = used.iter().map(|used| Redeemed { key: used.key, by: used.by, at: used.at });
        Self {
            id: invite.id(),
            status,
            permission: invite.permission.to_string(),
            uses: invite.uses,
            used: used.len(),
            expires: invite.expires,
            by: invite.by,
            revoked_by: *revoked,
            redeemed: redeemed.collect(),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", strong(self.id), self.permission)?;
        if self.used > usize::from(self.uses) {
            // Administrators who were apart let in too many.
            write!(f, ", {}", bad(format_args!("used {} of {}", self.used, self.uses)))?;
        } else {
            write!(f, ", used {} of {}", self.used, self.uses)?;
        }
        match (self.status, self.revoked_by) {
            (_, Some(by)) => write!(f, "\n  revoked by {by}")?,
            (Standing::Expired, None) => write!(f, "\n  expired {}", Moment(self.expires))?,
            (_, None) => write!(f, "\n  expires {}", Moment(self.expires))?,
        }
        write!(f, "\n  made by {}", self.by)?;
        for Redeemed { key, by, at } in &self.redeemed {
            write!(f, "\n  let in {key}, {}, by {by}", Moment(*at))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Revoked {
    id: Id,
    revoked: bool,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lets nobody in any more", self.id)
    }
}

pub(super) async fn invite(cx: &Context, args: &Invite) -> anyhow::Result<Ending> {
    if args.list {
        return list(cx, &args.db).await;
    }
    let db = keys::signed_by(cx.database(&args.db)?, &args.db, args.as_root)?;
    let (id, key) = (db.root_id(), DatabaseKey::Secret(db.key().clone()));
    let sync = cx.sync().await?;
    if let Some(invite) = args.revoke {
        if !sync.revoke_invite_with_key(&id, &invite, key).await? {
            cx.out.remark("it was revoked already")?;
        }
        cx.out.put(&Revoked { id: invite, revoked: true })?;
        return Ok(Ending::Done);
    }
    let Some(asked) = args.permission else { return Ok(Ending::Done) };
    let permission = match asked {
        // One below the root key.
        Asked::AdminBelow if args.as_root => Permission::Admin(0),
        asked => {
            let settings = db.get_store_viewer::<SettingsStore>(SETTINGS)?;
            asked.below(settings.permission_of(Who::Key(db.key().public()))?)?
        }
    };
    let options = InviteOptions::new(permission).uses(args.uses).valid_for(args.expires);
    let ticket = sync.create_invite_with_key(&id, key, &options).await?;
    sharing::remark_addresses(cx, &ticket)?;
    cx.out.remark(
        "whoever has this ticket gets in: hand it over in private (`pleach invite DB --list` shows who did)",
    )?;
    let code = if args.qr { Some(sharing::code(&ticket)?) } else { None };
    if let Some(invitation) = ticket.invite() {
        let (invite, ticket) = (invitation.invite(), ticket.to_string());
        let (id, permission) = (invite.id(), invite.permission.to_string());
        cx.out.put(&Made { ticket, id, permission, uses: invite.uses, expires: invite.expires, code })?;
    }
    Ok(Ending::Done)
}

async fn list(cx: &Context, db: &str) -> anyhow::Result<Ending> {
    for info in cx.sync().await?.invites(&cx.id(db)?)? {
        cx.out.put(&Listed::new(&info, wall()))?;
    }
    Ok(Ending::Done)
}
