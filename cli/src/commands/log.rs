//! `log`: the history of a database, newest first, or of one value.

use std::{collections::HashMap, fmt};

use anyhow::{Context as _, bail, ensure};
use pleach_core::{
    Range,
    entry::{Entry, EntryView, StoreData},
};
use pleach_smol::{Id, Position, Snapshot, Who};
use serde::Serialize;

use super::graph::Graph;
use crate::{
    args,
    context::Context,
    failure::Ending,
    import::{self, IMPORT},
    output::{Moment, Shown, faint, strong},
};

/// Positions read at once.
const POSITIONS: usize = 4_096;

/// Entries read at once.
const PAGE: u64 = 256;

/// Writes of one entry that people are shown.
const MAX_SHOWN: usize = 4;

#[derive(Serialize)]
struct Logged {
    id: Id,
    height: u64,
    time: u64,
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    parents: Vec<Id>,
    writes: Vec<Write>,
    /// It does not count: what it says is hidden.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
    #[serde(skip)]
    settings: Option<String>,
    #[serde(skip)]
    graph: Option<String>,
}

#[derive(Serialize)]
struct Write {
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    deleted: bool,
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(graph) = &self.graph {
            write!(f, "{graph}  ")?;
        }
        let author = self.name.as_deref().unwrap_or_else(|| short(&self.author));
        write!(
            f,
            "{}  {}  {}  ",
            faint(short(&self.id.to_string())),
            Moment(self.time),
            strong(Shown(author))
        )?;
        if self.masked {
            f.write_str("(masked) ")?;
        }
        if let Some(settings) = &self.settings {
            return f.write_str(settings);
        }
        if self.writes.is_empty() {
            return f.write_str("merge");
        }
        for (n, write) in self.writes.iter().take(MAX_SHOWN).enumerate() {
            let sign = if write.deleted { "-" } else { "" };
            let key = write.key.as_deref().unwrap_or("(append)");
            write!(f, "{}{sign}{}/{}", if n == 0 { "" } else { ", " }, Shown(&write.store), Shown(key))?;
        }
        match self.writes.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn short(text: &str) -> &str {
    text.get(..8).unwrap_or(text)
}

pub(super) fn log(cx: &Context, log: &args::Log) -> anyhow::Result<Ending> {
    let id = cx.id(&log.db)?;
    let snapshot = cx.instance.snapshot()?;
    let names = names(&*snapshot, &id)?;
    if let (Some(store), Some(key)) = (&log.store, &log.key) {
        return value(cx, &*snapshot, &id, (store, key), &names, log.limit);
    }
    let mut graph = log.graph.then(Graph::default);
    let mut left = log.limit.unwrap_or(u64::MAX);
    newest_first(&*snapshot, &id, |entry| {
        let Some(less) = left.checked_sub(1) else { return Ok(false) };
        left = less;
        cx.still_wanted()?;
        let view = entry.view();
        let mut logged = logged(&entry, &view, &names);
        logged.masked = matches!(snapshot.headers(&id, &[entry.id()])?[..], [Some(header)] if !header.counts);
        logged.graph = graph.as_mut().map(|graph| graph.row(entry.id(), &logged.parents));
        cx.out.put(&logged)?;
        Ok(true)
    })?;
    Ok(Ending::Done)
}

/// The entry with this id, or the only one whose id begins so.
pub(super) fn find(snapshot: &dyn Snapshot, tree: &Id, text: &str) -> anyhow::Result<Id> {
    if let Ok(id) = text.parse() {
        let known = snapshot.headers(tree, &[id])?.into_iter().flatten().any(|header| header.shared);
        ensure!(known, "no entry {id} in this database: see `pleach log`");
        return Ok(id);
    }
    let mut found = None;
    let mut range = Range::ALL;
    loop {
        let page = snapshot.positions(tree, &range, POSITIONS)?;
        let Some(last) = page.last() else { break };
        range.start = last.next();
        for id in page.iter().map(|position| position.id).filter(|id| id.to_string().starts_with(text)) {
            if let Some(other) = found.replace(id) {
                bail!(
                    "several entries begin with {text:?}, {other} and {id} among them: give more of the id"
                );
            }
        }
    }
    found.with_context(|| format!("no entry of this database begins with {text:?}: see `pleach log`"))
}

/// What grants call the keys.
fn names(snapshot: &dyn Snapshot, id: &Id) -> anyhow::Result<HashMap<Who, String>> {
    let members = snapshot.members(id)?.into_iter();
    Ok(members.filter_map(|member| Some((member.who, member.name?))).collect())
}

/// Gives entries to `take` from the last position down, until it wants no more.
fn newest_first(
    snapshot: &dyn Snapshot,
    tree: &Id,
    mut take: impl FnMut(Entry) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut left = snapshot.measure(tree, &Range::ALL)?.count;
    let mut end = Position::END;
    while left > 0 {
        let below = left.saturating_sub(PAGE);
        let start =
            snapshot.nth(tree, &Range::ALL, below)?.context("the store counts wrong: run `pleach verify`")?;
        let mut page = Vec::new();
        let mut at = start;
        // A page may be cut short where entries are large.
        while at < end {
            let part = snapshot.entries(tree, &Range { start: at, end }, 256, usize::MAX)?;
            let Some(last) = part.last() else { break };
            at = last.position().next();
            page.extend(part);
        }
        for entry in page.into_iter().rev() {
            if !take(entry)? {
                return Ok(());
            }
        }
        (left, end) = (below, start);
    }
    Ok(())
}

fn logged(entry: &Entry, view: &EntryView<'_>, names: &HashMap<Who, String>) -> Logged {
    let author = view.author();
    let settings = view.settings().map(|settings| {
        let (granted, revoked) = (settings.grants.len(), settings.revocations.len());
        match (granted, revoked) {
            (0, 0) => "settings".to_owned(),
            (granted, 0) => format!("settings: {granted} granted"),
            (0, revoked) => format!("settings: {revoked} revoked"),
            (granted, revoked) => format!("settings: {granted} granted, {revoked} revoked"),
        }
    });
    Logged {
        id: entry.id(),
        height: view.height(),
        time: view.time(),
        author: author.to_string(),
        name: names.get(&Who::Key(author)).cloned(),
        parents: view.parents().iter().collect(),
        writes: writes(view),
        masked: false,
        settings,
        graph: None,
    }
}

fn writes(view: &EntryView<'_>) -> Vec<Write> {
    let mut writes = Vec::new();
    for store in view.stores().iter().filter(|store| store.name != IMPORT) {
        let name = store.name.to_owned();
        match store.read() {
            Ok(StoreData::Map(map)) => writes.extend(map.iter().map(|write| Write {
                store: name.clone(),
                key: Some(shown_path(write.path)),
                deleted: write.value.is_none(),
            })),
            Ok(StoreData::Log(appends)) => {
                writes.extend(appends.iter().map(|_| Write {
                    store: name.clone(),
                    key: None,
                    deleted: false,
                }));
            }
            _ => {}
        }
    }
    writes
}

/// A key as it was given; nested ones joined by dots.
fn shown_path(path: &str) -> String {
    import::keys_of(path).join(".")
}

#[derive(Serialize)]
struct Edit {
    time: u64,
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    id: Id,
    value: Option<serde_json::Value>,
    deleted: bool,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let author = self.name.as_deref().unwrap_or_else(|| short(&self.author));
        let id = self.id.to_string();
        write!(f, "{}  {}  {}  ", faint(short(&id)), Moment(self.time), strong(Shown(author)))?;
        match &self.value {
            Some(value) => Shown(&value.to_string()).fmt(f),
            None => f.write_str("(deleted)"),
        }
    }
}

/// The history of one value, newest first: the first is what holds.
fn value(
    cx: &Context,
    snapshot: &dyn Snapshot,
    tree: &Id,
    (store, key): (&str, &str),
    names: &HashMap<Who, String>,
    limit: Option<u64>,
) -> anyhow::Result<Ending> {
    use pleach_core::storage::{OfPath, Paths, RowKind, RowQuery};
    let path = import::path_of(&[key])?;
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let query = RowQuery {
            store: store.to_owned(),
            kind: RowKind::Map,
            paths: Paths::One(path.clone()),
            after,
            of_path: OfPath::All,
            limit: 1_024,
        };
        let page = snapshot.rows(tree, &query)?;
        let Some(last) = page.last() else { break };
        after = Some((last.path.clone(), last.stamp));
        rows.extend(page);
    }
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    for row in rows.iter().rev().take(limit) {
        let value = row.value.as_ref().map(|value| pleach_smol::Value::decode(value)).transpose()?;
        cx.out.put(&Edit {
            time: row.stamp.time,
            author: row.author.to_string(),
            name: names.get(&Who::Key(row.author)).cloned(),
            id: row.stamp.position.id,
            deleted: value.is_none(),
            value: value.map(|value| value.to_json()),
        })?;
    }
    Ok(Ending::Done)
}
