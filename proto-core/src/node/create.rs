//! Making a tree.

use alloc::vec::Vec;

use crate::{
    Entropy, Id, PublicKey, SecretKey,
    access::GrantRecord,
    document::{Doc, root_settings},
    entry::{EntryBuilder, Origin, Permission, SETTINGS, VerifiedEntry, Who},
    node::NodeError,
    storage::MetaChanges,
};

pub(crate) const ROOT_KEY_PREFIX: &[u8] = b"root-key/";

/// The key under which the metadata keeps the root key of a tree, while this node has it.
pub fn root_key_place(tree: &Id) -> Vec<u8> {
    [ROOT_KEY_PREFIX, tree.as_bytes()].concat()
}

/// Makes the root of a tree, signed by a key of its own that grants the creator `Admin(0)`. Returns the tree's id,
/// the root key's place in the metadata, and the root.
pub(super) fn create_root(
    entropy: &mut Entropy,
    wall: u64,
    creator: PublicKey,
    settings: &Doc,
    grants: &[(Who, Permission)],
) -> Result<(Id, MetaChanges, VerifiedEntry), NodeError> {
    let key = SecretKey::from_bytes(entropy.draw());
    let creators = (Who::Key(creator), Permission::Admin(0));
    // The creator's own grant comes last: of two for one name, the last counts.
    let grants = grants.iter().copied().chain([creators]);
    let records = grants.map(|(who, permission)| GrantRecord { who, permission, name: None });
    let data = root_settings(settings, records)?;
    let builder = EntryBuilder::new(Origin::Root { nonce: entropy.draw() }, wall);
    let root = VerifiedEntry::sign(&builder, &key, &[(SETTINGS, &data)])?;
    let place = root_key_place(&root.id());
    Ok((root.id(), MetaChanges::from([(place, Some(key.to_bytes().to_vec()))]), root))
}
