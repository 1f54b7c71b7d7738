//! The settings of a tree, worked out again from its entries alone.

use alloc::{collections::BTreeMap, string::String, string::ToString, vec::Vec};

use crate::{
    Id, PublicKey,
    access::{Before, Facts, GrantRef, Header, Judge, SettingsRecord, Verdict, View, ViewId},
    entry::{Entry, Who},
    storage::StorageError,
};

/// Judges entries, given parents first, as a store that holds nothing else would.
#[derive(Debug)]
pub(super) struct Replay {
    facts: Replayed,
    judge: Judge,
}

#[derive(Debug)]
struct Replayed {
    tree: Id,
    root_key: Option<PublicKey>,
    headers: BTreeMap<Id, Header>,
    views: Vec<View>,
    numbers: BTreeMap<View, ViewId>,
    records: Vec<SettingsRecord>,
}

impl Replay {
    pub(super) fn new(tree: Id) -> Self {
        let facts = Replayed {
            tree,
            root_key: None,
            headers: BTreeMap::new(),
            views: Vec::new(),
            numbers: BTreeMap::new(),
            records: Vec::new(),
        };
        Self { facts, judge: Judge::default() }
    }

    /// What is wrong with the next entry, or nothing.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<Option<String>, StorageError> {
        let view = entry.view();
        let standing = match self.judge.judge(&self.facts, &view)? {
            Verdict::Stands(standing) => standing,
            Verdict::Refused(refusal) => return Ok(Some(refusal.to_string())),
            Verdict::Missing(missing) => {
                let first = missing.first().map(ToString::to_string).unwrap_or_default();
                return Ok(Some(alloc::format!("{} parents are not intact, first {first}", missing.len())));
            }
        };
        if entry.id() == self.facts.tree {
            self.facts.root_key = Some(view.author());
        }
        let before = match standing.before {
            Before::Stored(id) => self.facts.view(id)?,
            Before::New(view) => (*view).clone(),
        };
        let mut after = before.clone();
        if let (true, Some(settings)) = (standing.writes_settings, view.settings()) {
            let ordinal = self.facts.settings_count()?;
            after.insert(ordinal);
            let record = SettingsRecord::new(ordinal, entry.position(), &view, &settings, before);
            self.facts.records.push(record);
        }
        let header = Header {
            position: entry.position(),
            view: self.facts.number(after),
            bytes: u32::try_from(entry.bytes().len()).unwrap_or(u32::MAX),
            shared: true,
            counts: true,
        };
        self.facts.headers.insert(entry.id(), header);
        Ok(None)
    }
}

impl Replayed {
    fn number(&mut self, view: View) -> ViewId {
        if let Some(number) = self.numbers.get(&view) {
            return *number;
        }
        let number = ViewId(u32::try_from(self.views.len()).unwrap_or(u32::MAX));
        self.views.push(view.clone());
        self.numbers.insert(view, number);
        number
    }
}

fn at<T>(items: &[T], number: u32) -> Result<&T, StorageError> {
    let item = usize::try_from(number).ok().and_then(|number| items.get(number));
    item.ok_or_else(|| StorageError::Damaged("a replayed settings entry is lost".to_string()))
}

impl Facts for Replayed {
    fn tree(&self) -> Id {
        self.tree
    }

    fn root_key(&self) -> Result<PublicKey, StorageError> {
        self.root_key.ok_or_else(|| StorageError::Damaged("the root is not intact".to_string()))
    }

    fn header(&self, id: &Id) -> Result<Option<Header>, StorageError> {
        Ok(self.headers.get(id).copied())
    }

    fn view(&self, id: ViewId) -> Result<View, StorageError> {
        at(&self.views, id.0).cloned()
    }

    fn settings_count(&self) -> Result<u32, StorageError> {
        Ok(u32::try_from(self.records.len()).unwrap_or(u32::MAX))
    }

    fn record(&self, ordinal: u32) -> Result<SettingsRecord, StorageError> {
        at(&self.records, ordinal).cloned()
    }

    fn grants_naming(&self, who: &Who) -> Result<Vec<GrantRef>, StorageError> {
        let all =
            self.records.iter().flat_map(|record| record.grants.iter().map(move |g| (record.ordinal, g)));
        let named = all.filter(|(_, grant)| grant.who == *who);
        Ok(named.map(|(ordinal, grant)| GrantRef { ordinal, permission: grant.permission }).collect())
    }

    fn revocations_naming(&self, who: &Who) -> Result<Vec<u32>, StorageError> {
        let named = self.records.iter().filter(|record| record.revocations.contains(who));
        Ok(named.map(|record| record.ordinal).collect())
    }
}
