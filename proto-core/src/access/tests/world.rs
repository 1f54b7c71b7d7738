//! A store made of lists, and keys by number: 0 is the root key.

use std::{collections::BTreeMap, vec::Vec};

use crate::{
    Id, Position, PublicKey, SecretKey,
    access::{Before, Facts, GrantRef, Header, Judge, SettingsRecord, Verdict, View, ViewId},
    canonical,
    entry::{Entry, EntryBuilder, Grant, Origin, Permission, VerifiedEntry, Who, WriteView},
    storage::StorageError,
};

pub(in crate::access) fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

/// A key by number, or everybody.
pub(in crate::access) fn who(number: Option<u8>) -> Who {
    number.map_or(Who::Everyone, |number| Who::Key(key(number).public()))
}

/// Grants and revocations.
pub(in crate::access) type Records = (Vec<(Option<u8>, Permission)>, Vec<Option<u8>>);

/// What an entry is to say.
#[derive(Clone, Debug, Default)]
pub(in crate::access) struct Says {
    pub(in crate::access) author: u8,
    pub(in crate::access) parents: Vec<Position>,
    /// Nothing: a merge.
    pub(in crate::access) settings: Option<Records>,
}

impl Says {
    pub(in crate::access) fn sign(&self, origin: Origin, time: u64) -> Entry {
        let mut builder = EntryBuilder::new(origin, time);
        for parent in &self.parents {
            builder.parent(*parent).unwrap();
        }
        let data = self.settings.as_ref().map(|(grants, revocations)| {
            let grants: BTreeMap<_, _> = grants.iter().map(|(name, given)| (who(*name), *given)).collect();
            let grants: Vec<_> =
                grants.into_iter().map(|(who, permission)| Grant { who, permission, name: None }).collect();
            let mut revocations: Vec<_> = revocations.iter().map(|name| who(*name)).collect();
            revocations.sort();
            revocations.dedup();
            canonical::to_vec(&(2_u8, Vec::<WriteView<'_>>::new(), grants, revocations))
        });
        let stores: Vec<_> = data.iter().map(|data| ("_settings", data.as_slice())).collect();
        VerifiedEntry::sign(&builder, &key(self.author), &stores).unwrap().into_entry()
    }
}

#[derive(Default)]
pub(in crate::access) struct World {
    tree: Option<Id>,
    headers: BTreeMap<Id, Header>,
    views: Vec<View>,
    records: Vec<SettingsRecord>,
    pub(in crate::access) judge: Judge,
}

impl World {
    /// A tree whose root makes these grants, with the root's position.
    pub(in crate::access) fn new(grants: &[(Option<u8>, Permission)]) -> (Self, Entry) {
        let settings = Some((grants.to_vec(), Vec::new()));
        let root = Says { settings, ..Says::default() }.sign(Origin::Root { nonce: [0; 16] }, 0);
        let mut world = Self { tree: Some(root.id()), ..Self::default() };
        assert!(matches!(world.put(&root), Verdict::Stands(_)));
        (world, root)
    }

    pub(in crate::access) fn of_tree(tree: Id) -> Self {
        Self { tree: Some(tree), ..Self::default() }
    }

    pub(in crate::access) fn origin(&self) -> Origin {
        Origin::Tree(self.tree.unwrap())
    }

    /// Judges, and stores what stands.
    pub(in crate::access) fn put(&mut self, entry: &Entry) -> Verdict {
        let mut judge = core::mem::take(&mut self.judge);
        let verdict = judge.judge(self, &entry.view()).unwrap();
        self.judge = judge;
        assert_eq!(
            verdict,
            crate::access::judge(self, &entry.view()).unwrap(),
            "remembering changes nothing"
        );
        let Verdict::Stands(standing) = &verdict else { return verdict };
        let before = match &standing.before {
            Before::Stored(id) => self.view(*id).unwrap(),
            Before::New(view) => (**view).clone(),
        };
        let mut view = before.clone();
        if standing.writes_settings {
            let ordinal = u32::try_from(self.records.len()).unwrap();
            let settings = entry.view().settings().unwrap();
            let record = SettingsRecord::new(ordinal, entry.position(), &entry.view(), &settings, before);
            assert_eq!(canonical::from_bytes(&canonical::to_vec(&record)), Ok(record.clone()));
            self.records.push(record);
            view.insert(ordinal);
        }
        let number = self.views.iter().position(|known| *known == view).unwrap_or(self.views.len());
        if number == self.views.len() {
            self.views.push(view);
        }
        let view = ViewId(u32::try_from(number).unwrap());
        self.headers.insert(
            entry.id(),
            Header { position: entry.position(), view, bytes: 0, shared: true, counts: true },
        );
        verdict
    }

    /// Says something and expects it to be let in.
    #[track_caller]
    pub(in crate::access) fn let_in(&mut self, says: &Says) -> Position {
        let entry = says.sign(self.origin(), 1);
        let verdict = self.put(&entry);
        assert!(matches!(verdict, Verdict::Stands(_)), "{verdict:?}");
        entry.position()
    }

    /// Says something that is no reason to store it.
    pub(in crate::access) fn verdict(&self, says: &Says) -> Verdict {
        crate::access::judge(self, &says.sign(self.origin(), 1).view()).unwrap()
    }

    pub(in crate::access) fn view_of(&self, entry: Position) -> View {
        self.view(self.headers[&entry.id].view).unwrap()
    }
}

fn lost() -> StorageError {
    StorageError::Damaged("not there".into())
}

impl Facts for World {
    fn tree(&self) -> Id {
        self.tree.unwrap()
    }

    fn root_key(&self) -> Result<PublicKey, StorageError> {
        Ok(key(0).public())
    }

    fn header(&self, id: &Id) -> Result<Option<Header>, StorageError> {
        Ok(self.headers.get(id).copied())
    }

    fn view(&self, id: ViewId) -> Result<View, StorageError> {
        self.views.get(id.0 as usize).cloned().ok_or_else(lost)
    }

    fn settings_count(&self) -> Result<u32, StorageError> {
        Ok(u32::try_from(self.records.len()).unwrap())
    }

    fn record(&self, ordinal: u32) -> Result<SettingsRecord, StorageError> {
        self.records.get(ordinal as usize).cloned().ok_or_else(lost)
    }

    fn grants_naming(&self, who: &Who) -> Result<Vec<GrantRef>, StorageError> {
        let grants = self.records.iter().flat_map(|record| {
            let of_record = record.grants.iter().filter(|grant| grant.who == *who);
            of_record.map(|grant| GrantRef { ordinal: record.ordinal, permission: grant.permission })
        });
        Ok(grants.collect())
    }

    fn revocations_naming(&self, who: &Who) -> Result<Vec<u32>, StorageError> {
        let naming = self.records.iter().filter(|record| record.revocations.contains(who));
        Ok(naming.map(|record| record.ordinal).collect())
    }
}
