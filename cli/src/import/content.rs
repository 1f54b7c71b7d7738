//! A line with its id and parents filled in, and the digest that tells whether two lines with one id are the same.

use std::sync::Arc;

use super::{change::Change, line::Line};

/// A line that stands by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) id: Arc<str>,
    /// Sorted, each once.
    pub(super) parents: Vec<Arc<str>>,
    pub(super) author: Option<String>,
    /// At least one.
    pub(super) changes: Vec<Change>,
}

/// BLAKE3 over everything but the id.
pub(super) type Digest = [u8; 32];

impl Content {
    /// What two lines with the same id must share.
    pub(super) fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("pleach 2026 import v1 line");
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        field(&(self.parents.len() as u64).to_le_bytes());
        self.parents.iter().for_each(|parent| field(parent.as_bytes()));
        field(&[self.author.is_some().into()]);
        field(self.author.as_deref().unwrap_or_default().as_bytes());
        for change in &self.changes {
            match change {
                Change::Write { store, path, value } => {
                    field(&[0, value.is_some().into()]);
                    field(store.as_bytes());
                    field(path.as_bytes());
                    field(value.as_deref().unwrap_or_default());
                }
                Change::Append { store, bytes } => {
                    field(&[1]);
                    field(store.as_bytes());
                    field(bytes);
                }
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// Fills in what lines leave out. The same file gives the same ids each time.
#[derive(Default)]
pub(super) struct Filler {
    before: Option<Arc<str>>,
    chain: Digest,
}

impl Filler {
    /// The line by itself. One without an id is named after all that came before it, so that the same file read
    /// again is recognised and another is not.
    pub(super) fn fill(&mut self, line: Line) -> (Content, Digest) {
        let mut parents: Vec<Arc<str>> = match line.parents {
            Some(parents) => parents.into_iter().map(Into::into).collect(),
            None => self.before.iter().cloned().collect(),
        };
        parents.sort_unstable();
        parents.dedup();
        let id = line.id.map(Arc::from);
        let mut content = Content {
            id: id.clone().unwrap_or_default(),
            parents,
            author: line.author,
            changes: line.changes,
        };
        let digest = content.digest();
        self.chain = *blake3::Hasher::new().update(&self.chain).update(&digest).finalize().as_bytes();
        content.id = id.unwrap_or_else(|| {
            let hex = blake3::Hash::from_bytes(self.chain).to_hex();
            format!("~{}", &hex.as_str()[..32]).into()
        });
        self.before = Some(Arc::clone(&content.id));
        (content, digest)
    }
}
