//! Histories of real projects, and what two random parts of one cost to bring together.

use std::collections::BTreeMap;

use pleach_core::{Entropy, Position, entry::VerifiedEntry, limits::MAX_PARENTS};
use serde_json::Value as Json;

use crate::{
    Outcome,
    duel::{Cost, Duel},
    history::History,
};

/// A history's entries, each after its parents, by their places in the list.
pub(crate) struct Real {
    entries: Vec<VerifiedEntry>,
    parents: Vec<Vec<usize>>,
}

/// The greatest and the mean of many exchanges.
pub(crate) struct Spread {
    pub(crate) seeds: u64,
    pub(crate) most_trips: u32,
    pub(crate) most: usize,
    pub(crate) sum: usize,
    pub(crate) moved: usize,
    /// Exchanges that took more round trips than 4 and one for each 8 MiB.
    pub(crate) over: u64,
}

impl Real {
    /// Reads a file of JSON lines, one commit a line.
    pub(crate) fn read(history: &History, text: &str) -> Outcome<Self> {
        let mut places = BTreeMap::new();
        let (mut entries, mut parents) = (Vec::<VerifiedEntry>::new(), Vec::new());
        for line in text.lines() {
            let line: Json = serde_json::from_str(line)?;
            let id = line["id"].as_str().ok_or("a line without an id")?.to_owned();
            let listed = line["parents"].as_array().ok_or("a line without parents")?;
            let own = listed.iter().map(|parent| {
                let parent = parent.as_str().ok_or("a parent that is no text")?;
                places.get(parent).copied().ok_or("a parent that comes later")
            });
            let own: Vec<usize> = own.collect::<Result<_, _>>()?;
            let mut below: Vec<Position> = own.iter().map(|place| entries[*place].position()).collect();
            if below.is_empty() {
                below.push(history.start());
            }
            below.truncate(MAX_PARENTS);
            places.insert(id.clone(), entries.len());
            entries.push(history.leaf(&below, &format!("real{id}")));
            parents.push(own);
        }
        Ok(Self { entries, parents })
    }

    /// A random part that holds the ancestors of all that it holds.
    fn part(&self, entropy: &mut Entropy) -> Vec<VerifiedEntry> {
        let mut held = vec![false; self.entries.len()];
        // Half of the entries are left out at random, and with them all that builds on them.
        let [odds] = entropy.draw();
        for place in 0..held.len() {
            let [chance, again] = entropy.draw();
            let kept = chance > odds / 16 || again > 8;
            held[place] = kept && self.parents[place].iter().all(|parent| held[*parent]);
        }
        let entries = self.entries.iter().zip(&held);
        entries.filter(|(_, held)| **held).map(|(entry, _)| entry.clone()).collect()
    }

    /// Many pairs of parts.
    pub(crate) fn run(&self, history: &History, seeds: u64) -> Outcome<Spread> {
        let mut spread = Spread { seeds, most_trips: 0, most: 0, sum: 0, moved: 0, over: 0 };
        let ground = history.store(&[])?;
        for seed in 0..seeds {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            let mut entropy = Entropy::new(bytes);
            let [mine, theirs] = [0, 1].map(|_| history.fork(&ground, &self.part(&mut entropy)));
            let cost: Cost = Duel::new(history.tree(), mine?, theirs?).sync()?;
            spread.most_trips = spread.most_trips.max(cost.round_trips);
            spread.most = spread.most.max(cost.beyond());
            spread.sum += cost.beyond();
            spread.moved += cost.moved;
            spread.over += u64::from(cost.round_trips > 4);
        }
        Ok(spread)
    }
}
