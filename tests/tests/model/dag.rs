//! Small histories: entries by number, in order of position, and sets of them.

use std::convert::Infallible;

use pleach_core::{
    Id, Position, Range,
    session::{Source, Summary},
    storage::{Epoch, Measure, Token},
    wire::NAMED_TIPS,
};

/// Bytes of an entry: two of them never fit into what [`super::store::Size::Tight`] leaves of a message.
const ENTRY: usize = 600;

/// Some entries of a [`Dag`], a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Set(u8);

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(entries: I) -> Self {
        entries.into_iter().fold(Self::default(), |set, entry| set.with(Self::of(entry)))
    }
}

impl Set {
    pub(crate) const fn of(entry: usize) -> Self {
        Self(1 << entry)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..8).filter(move |entry| self.0 >> entry & 1 == 1)
    }

    pub(crate) const fn len(self) -> u64 {
        self.0.count_ones() as u64
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn holds(self, other: Self) -> bool {
        other.without(self).0 == 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A history. An entry without parents is the root, or stands on a root that both sides hold: to a session these are
/// the same.
#[derive(Clone, Debug)]
pub(crate) struct Dag {
    parents: Vec<Set>,
    positions: Vec<Position>,
}

impl Dag {
    /// Every history of so many entries, up to names: entries of one height in each order of ids.
    pub(crate) fn all(entries: usize) -> Vec<Self> {
        let mut all = vec![Self { parents: Vec::new(), positions: Vec::new() }];
        for entry in 0..entries {
            let above = |dag: &Self| (0..1 << entry).filter_map(|parents| dag.with(Set(parents))).collect();
            all = all.iter().flat_map(|dag| -> Vec<Self> { above(dag) }).collect();
        }
        all
    }

    /// The same with one more entry on top of these, unless its position would lie below the last.
    fn with(&self, parents: Set) -> Option<Self> {
        let height = parents.iter().map(|parent| self.positions[parent].height + 1).max().unwrap_or(0);
        if self.positions.last().is_some_and(|last| height < last.height) {
            return None;
        }
        let number = u8::try_from(self.parents.len()).expect("few entries");
        let mut dag = self.clone();
        // Ascending, and apart in their first byte.
        dag.positions.push(Position { height, id: Id::from_bytes([16 * (number + 1); 32]) });
        dag.parents.push(parents);
        Some(dag)
    }

    /// The same history, its entries at the positions of real ones; nothing if these come in another order.
    pub(crate) fn at(&self, positions: Vec<Position>) -> Option<Self> {
        assert_eq!(positions.len(), self.parents.len());
        positions.is_sorted().then(|| Self { parents: self.parents.clone(), positions })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// All entries.
    pub(crate) fn whole(&self) -> Set {
        (0..self.parents.len()).collect()
    }

    pub(crate) fn parents(&self, entry: usize) -> Set {
        self.parents[entry]
    }

    pub(crate) fn position(&self, entry: usize) -> Position {
        self.positions[entry]
    }

    pub(crate) fn entry(&self, id: &Id) -> Option<usize> {
        self.positions.iter().position(|position| position.id == *id)
    }

    /// Whether a set holds all ancestors of what it holds.
    pub(crate) fn is_closed(&self, set: Set) -> bool {
        set.iter().all(|entry| set.holds(self.parents[entry]))
    }

    /// Every set that holds all ancestors of what it holds.
    pub(crate) fn closed(&self) -> impl Iterator<Item = Set> {
        (0..=self.whole().0).map(Set).filter(|set| self.whole().holds(*set) && self.is_closed(*set))
    }

    /// Entries of a set on which no other stands.
    pub(crate) fn tips(&self, set: Set) -> Set {
        set.iter().fold(set, |tips, entry| tips.without(self.parents[entry]))
    }

    /// The bytes of an entry: a session looks at their length alone.
    pub(crate) fn bytes(entry: usize) -> Vec<u8> {
        vec![u8::try_from(entry).expect("few entries"); ENTRY]
    }

    /// The entry with these bytes.
    pub(crate) fn read(bytes: &[u8]) -> usize {
        assert_eq!(bytes.len(), ENTRY);
        usize::from(bytes[0])
    }

    fn measured(&self, set: Set) -> Measure {
        set.iter().fold(Measure::default(), |sum, entry| sum.plus(Measure::of(self.positions[entry].id)))
    }
}

/// A set as a store shows it.
pub(crate) struct Shown<'a> {
    pub(crate) dag: &'a Dag,
    pub(crate) set: Set,
}

impl Shown<'_> {
    fn inside(&self, range: &Range) -> impl Iterator<Item = usize> {
        self.set.iter().filter(|entry| range.contains(&self.dag.positions[*entry]))
    }
}

impl Source for Shown<'_> {
    type Error = Infallible;

    fn summary(&self) -> Result<Summary, Infallible> {
        let tips = self.dag.tips(self.set);
        let mut first_tips = [None; NAMED_TIPS];
        for (to, tip) in first_tips.iter_mut().zip(tips.iter()) {
            *to = Some(self.dag.positions[tip]);
        }
        let arrival = Token { epoch: Epoch([1; 8]), number: self.set.len() };
        let (measure, tips) = (self.dag.measured(self.set), self.dag.measured(tips));
        Ok(Summary { measure, tips, first_tips, arrival })
    }

    fn measure(&self, range: &Range) -> Result<Measure, Infallible> {
        Ok(self.dag.measured(self.inside(range).collect()))
    }

    fn nth(&self, range: &Range, n: u64) -> Result<Option<Position>, Infallible> {
        let n = usize::try_from(n).expect("few entries");
        Ok(self.inside(range).nth(n).map(|entry| self.dag.positions[entry]))
    }

    fn positions(&self, range: &Range, limit: usize) -> Result<Vec<Position>, Infallible> {
        Ok(self.inside(range).take(limit).map(|entry| self.dag.positions[entry]).collect())
    }

    fn held(&self, ids: &[Id]) -> Result<Vec<Position>, Infallible> {
        let held = |position: &&Position| ids.contains(&position.id);
        let positions = self.set.iter().map(|entry| &self.dag.positions[entry]);
        Ok(positions.filter(held).copied().collect())
    }

    fn tips(&self, limit: usize) -> Result<Vec<Position>, Infallible> {
        Ok(self.dag.tips(self.set).iter().take(limit).map(|tip| self.dag.positions[tip]).collect())
    }

    fn parents(&self, id: &Id) -> Result<(Vec<Position>, usize), Infallible> {
        let Some(entry) = self.dag.entry(id) else { return Ok((Vec::new(), 0)) };
        Ok((self.dag.parents[entry].iter().map(|parent| self.dag.positions[parent]).collect(), ENTRY))
    }
}

#[test]
fn every_history_of_a_few_entries_is_there_once() {
    assert_eq!([0, 1, 2, 3].map(|entries| Dag::all(entries).len()), [1, 1, 2, 7]);
    // Three entries that do not know each other: any of the eight sets may be held.
    assert_eq!(Dag::all(3)[0].closed().count(), 8);
}
