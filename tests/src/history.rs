//! Histories of a size that a test asks for, whose bytes no line and no disk makes fewer.

use pleach_core::{
    Entropy, Id, Position, SecretKey, canonical,
    entry::{EntryBuilder, Origin, Value, ValueView, VerifiedEntry},
};

/// The claimed time of the first entry; each is one millisecond after the one before.
const TIME: u64 = 1_700_000_000_000;

/// Random bytes drawn at once.
const DRAWN: usize = 1024;

/// Makes entries of one author, each on top of the one before, each with a value of random bytes at a path of its own.
///
/// ```
/// use pleach_storage::conformance::Maker;
/// use pleach_tests::history::Chain;
///
/// let maker = Maker::new(1);
/// let mut chain = Chain::new(maker.key(), maker.tree(), vec![maker.root().position()], 7);
/// let entries = chain.grow(3, 4_096);
/// assert!(entries.iter().all(|entry| (4_096..4_400).contains(&entry.bytes().len())));
/// ```
#[derive(Debug)]
pub struct Chain {
    key: SecretKey,
    tree: Id,
    tips: Vec<Position>,
    entropy: Entropy,
}

impl Chain {
    /// A chain that goes on from these tips of a tree.
    pub fn new(key: &SecretKey, tree: Id, tips: Vec<Position>, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { key: key.clone(), tree, tips, entropy: Entropy::new(bytes) }
    }

    /// The next entries, with so many random bytes in each.
    pub fn grow(&mut self, count: usize, payload: usize) -> Vec<VerifiedEntry> {
        (0..count).map(|_| self.next(payload)).collect()
    }

    fn next(&mut self, payload: usize) -> VerifiedEntry {
        let height = self.tips.iter().map(|tip| tip.height).max().unwrap_or(0);
        let mut builder = EntryBuilder::new(Origin::Tree(self.tree), TIME + height);
        for tip in &self.tips {
            builder.parent(*tip).expect("few tips");
        }
        let mut bytes = Vec::with_capacity(payload + DRAWN);
        while bytes.len() < payload {
            bytes.extend(self.entropy.draw::<DRAWN>());
        }
        bytes.truncate(payload);
        let [high, low] = self.entropy.draw();
        let path = format!("k{height}-{high:02x}{low:02x}");
        let value = Value::Bytes(bytes).encode().expect("bytes are a value");
        let value = ValueView::from_encoded(&value);
        // A map of one write: a slice has its length before it, an array would not.
        let data = [&[0][..], &canonical::to_vec(&[(path.as_str(), Some(value))][..])].concat();
        let entry = VerifiedEntry::sign(&builder, &self.key, &[("main", &data)]).expect("a valid entry");
        self.tips = vec![entry.position()];
        entry
    }
}
