//! Redeeming an invite: whether it lets its bearer in, and what is written then.

use alloc::{boxed::Box, sync::Arc};

use crate::{
    Id, PublicKey, SecretKey,
    document::{Changes, DocumentError, Draft, SettingsStore},
    entry::{Permission, SETTINGS, Who},
    node::{
        BootstrapRequest, Commit, CommitContext, NodeError, RequestStatus,
        create::root_key_place,
        invites::{Uses, record_invite, record_use},
        read::commit_context,
        requests,
    },
    storage::{MetaChanges, Snapshot, StorageError},
    wire::Redemption,
};

/// What an invite is worth, here and now.
pub(super) enum Worth {
    /// Nothing: the request is one as any other.
    Nothing,
    /// Its bearer holds as much already, by this invite or otherwise.
    Held(Permission),
    /// It lets its bearer in. The grant is signed with the root key, or else with the node's own.
    Grant(Option<Box<SecretKey>>),
}

/// A grant to be written for the bearer of an invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeeming {
    /// The commit, and what it needs to know.
    pub(super) commit: Commit,
    pub(super) context: CommitContext,
    /// What changes in the metadata with it.
    pub(super) meta: MetaChanges,
}

/// Weighs the invite that came with a request. For each of them the same is looked up.
pub(super) fn weigh(
    snapshot: &dyn Snapshot,
    request: &BootstrapRequest,
    redemption: &Redemption,
    own: &PublicKey,
) -> Result<Worth, StorageError> {
    let (tree, key, wall) = (&request.tree, &request.key, request.received);
    let invite = &redemption.invite;
    let granted = invite.permission;
    // Whoever asks knows this much.
    let is_theirs = invite.tree == *tree && redemption.check(key).is_ok();
    let root = snapshot.entry(tree, tree)?.map(|root| root.view().author());
    let maker = snapshot.permission(tree, &Who::Key(invite.by))?;
    let ours = snapshot.permission(tree, &Who::Key(*own))?;
    let kept = snapshot.meta(&root_key_place(tree))?;
    let personal = snapshot.permission(tree, &Who::Key(*key))?;
    let held = personal.max(snapshot.permission(tree, &Who::Everyone)?);
    let uses = Uses::of(snapshot, tree, (&invite.id(), invite.uses), key)?;

    let above = |key: PublicKey, held: Option<Permission>| {
        root == Some(key) || held.is_some_and(|held| held.administers() && held > granted)
    };
    if !is_theirs {
        return Ok(Worth::Nothing);
    }
    if held >= Some(granted) {
        return Ok(Worth::Held(granted));
    }
    match (uses.by_key, personal) {
        // It is worth nothing to whom it has let in and who was revoked since.
        (true, None) => return Ok(Worth::Nothing),
        (true, Some(less)) => return Ok(Worth::Held(less)),
        (false, _) => {}
    }
    let is_good = above(invite.by, maker)
        && !invite.is_expired(wall)
        && !uses.revoked
        && uses.count < usize::from(invite.uses);
    if is_good && above(*own, ours) {
        return Ok(Worth::Grant(None));
    }
    let seed = kept.and_then(|kept| <[u8; 32]>::try_from(kept).ok());
    let root_key = seed.map(SecretKey::from_bytes).filter(|kept| root == Some(kept.public()));
    Ok(root_key.filter(|_| is_good).map_or(Worth::Nothing, |key| Worth::Grant(Some(Box::new(key)))))
}

/// The grant for the bearer of an invite, the use of the invite, and the note that somebody was let in; nothing if it
/// lets nobody in any more. Asked when no other write of the tree is under way, so that no use is missed.
pub(super) fn redeem(
    snapshot: &Arc<dyn Snapshot>,
    request: &BootstrapRequest,
    redemption: &Redemption,
    own: &SecretKey,
) -> Result<Option<Box<Redeeming>>, StorageError> {
    let Worth::Grant(root) = weigh(&**snapshot, request, redemption, &own.public())? else { return Ok(None) };
    let (tree, permission) = (request.tree, redemption.invite.permission);
    let key = root.map_or_else(|| own.clone(), |root| *root);
    let by = key.public();
    let Changes { stores, touched } = match changes(snapshot, request, redemption, by) {
        Ok(changes) => changes,
        Err(DocumentError::Storage(error)) => return Err(error),
        // Nothing that a rule of entries refuses can be granted.
        Err(_) => return Ok(None),
    };
    let context = match commit_context(snapshot, &tree, &by, &touched, None) {
        Ok(context) => context,
        Err(NodeError::Storage(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    let status = RequestStatus::Approved { by, at: request.received, permission };
    let meta = requests::note(&**snapshot, request, status)?.into();
    let commit = Commit { tree, key, stores, paths: touched };
    Ok(Some(Box::new(Redeeming { commit, context, meta })))
}

fn changes(
    snapshot: &Arc<dyn Snapshot>,
    request: &BootstrapRequest,
    redemption: &Redemption,
    by: PublicKey,
) -> Result<Changes, DocumentError> {
    let (tree, key, invite) = (request.tree, request.key, &redemption.invite);
    let id: Id = invite.id();
    // Nothing here derives keys of rows.
    let draft = Draft::new(Arc::clone(snapshot), tree, by, [0; 32]);
    let name = Some(request.name.as_str()).filter(|name| !name.is_empty());
    draft.store::<SettingsStore>(SETTINGS)?.grant(Who::Key(key), invite.permission, name)?;
    // Whoever made it may not have been heard of for a while, and all who administer shall see it.
    if !Uses::of(&**snapshot, &tree, (&id, invite.uses), &key)?.made {
        record_invite(&draft, invite)?;
    }
    record_use(&draft, &id, &key)?;
    draft.finish()
}
