//! The rule once more, plain and slow, against random hostile histories in several orders of arrival.

use std::{collections::BTreeSet, vec, vec::Vec};

use super::world::{Says, World, key};
use crate::{
    Position,
    access::{Authority, Census, Facts, Needs, Verdict, View},
    entry::{
        Entry,
        Permission::{self, Admin, Read, Write},
    },
};

struct Node {
    says: Says,
    position: Position,
    /// Proper ancestors.
    ancestors: BTreeSet<usize>,
    /// How many settings entries were let in before it, if it is one.
    ordinal: Option<u32>,
}

impl Node {
    fn grants(&self) -> &[(Option<u8>, Permission)] {
        self.says.settings.as_ref().map_or(&[], |(grants, _)| grants)
    }

    fn revokes(&self, name: Option<u8>) -> bool {
        self.says.settings.as_ref().is_some_and(|(_, revocations)| revocations.contains(&name))
    }

    /// The author must rank above this.
    fn required(&self) -> Permission {
        let Some((grants, _)) = &self.says.settings else { return Read };
        grants.iter().map(|(_, granted)| *granted).fold(Write(0), Permission::max)
    }
}

/// Whether an entry ranks above a bound in a set of entries, by the words of the rule.
fn is_above(all: &[Node], set: &BTreeSet<usize>, entry: usize, bound: Permission) -> bool {
    let e = &all[entry];
    let grant_stands = |maker: usize, name: Option<u8>, granted: Permission| {
        let m = &all[maker];
        let is_for_e = name.is_none() || name == Some(e.says.author);
        is_for_e
            && granted > bound
            && is_above(all, set, maker, m.required())
            && !set.iter().any(|revoker| {
                let r = &all[*revoker];
                let revokes_grant = r.revokes(name) && *revoker != maker && !m.ancestors.contains(revoker);
                let revokes_use = name.is_none() && r.revokes(Some(e.says.author));
                (revokes_grant || revokes_use)
                    && !r.ancestors.contains(&entry)
                    && is_above(all, set, *revoker, r.required().max(granted))
            })
    };
    e.says.author == 0
        || e.ancestors.iter().any(|maker| {
            all[*maker].grants().iter().any(|(name, granted)| grant_stands(*maker, *name, *granted))
        })
}

fn counts(all: &[Node], set: &BTreeSet<usize>, entry: usize) -> bool {
    is_above(all, set, entry, all[entry].required())
}

/// A small generator of its own, so that a seed is a history.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }

    fn name(&mut self) -> Option<u8> {
        u8::try_from(self.below(7)).unwrap().checked_sub(1)
    }

    fn says(&mut self, all: &[Node]) -> Says {
        let mut parents = BTreeSet::new();
        for _ in 0..=self.below(3) {
            parents.insert(all[all.len() - 1 - self.below(all.len().min(5))].position);
        }
        let author = u8::try_from(1 + self.below(5)).unwrap();
        let settings = (self.below(4) > 0).then(|| {
            let mut grants = vec![];
            let mut revocations = vec![];
            for _ in 0..self.below(3) {
                let name = self.name();
                let given = [Read, Write(1), Admin(1), Admin(2), Admin(3)][self.below(5)];
                let given = if name.is_none() { given.min(Write(1)) } else { given };
                if grants.iter().all(|(other, _)| *other != name) {
                    grants.push((name, given));
                }
            }
            for _ in 0..self.below(3) {
                revocations.push(self.name());
            }
            (grants, revocations)
        });
        Says { author, parents: parents.into_iter().collect(), settings }
    }
}

#[derive(Debug, Default)]
struct Tally {
    stood: usize,
    refused: usize,
    masked: usize,
    /// Those that do not count in all that was let in.
    masked_in_all: usize,
}

fn history(seed: u64, tally: &mut Tally) {
    let given = [(1, Admin(0)), (2, Admin(1)), (3, Admin(1)), (4, Write(1))];
    let given: Vec<_> = given.map(|(number, given)| (Some(number), given)).into();
    let (mut world, root) = World::new(&given);
    let origin = world.origin();
    let settings = Some((given, vec![]));
    let first = Node {
        says: Says { settings, ..Says::default() },
        position: root.position(),
        ancestors: BTreeSet::new(),
        ordinal: Some(0),
    };
    let mut all = vec![first];
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut judged: Vec<(Entry, Verdict)> = vec![];
    for step in 0..9 {
        let says = chance.says(&all);
        let entry = says.sign(origin, step);
        let parents = (0..all.len()).filter(|at| says.parents.contains(&all[*at].position));
        let ancestors: BTreeSet<_> =
            parents.flat_map(|at| all[at].ancestors.iter().copied().chain([at])).collect();
        let ordinal = says.settings.is_some().then(|| world.settings_count().unwrap());
        all.push(Node { says, position: entry.position(), ancestors, ordinal });
        let this = all.len() - 1;
        let mut set = all[this].ancestors.clone();
        tally.masked += set.iter().filter(|at| !counts(&all, &set, **at)).count();
        set.insert(this);
        let verdict = world.put(&entry);
        let stands = matches!(verdict, Verdict::Stands(_));
        assert_eq!(stands, counts(&all, &set, this), "seed {seed} step {step}: {verdict:?}");
        if stands {
            tally.stood += 1;
        } else {
            tally.refused += 1;
            all.pop();
        }
        judged.push((entry, verdict));
    }
    tally.masked_in_all += take_census(seed, &world, &all);
    in_another_order(seed, &root, judged, &mut chance);
}

/// What counts in all that was let in; returns how many do not.
fn take_census(seed: u64, world: &World, all: &[Node]) -> usize {
    let everything: BTreeSet<usize> = (0..all.len()).collect();
    let mut settings = View::default();
    (0..world.settings_count().unwrap()).for_each(|ordinal| settings.insert(ordinal));
    let mut census = Census::new(world, settings).unwrap();
    let mut masked = 0;
    for (at, node) in all.iter().enumerate() {
        let below = all.iter().filter(|other| other.ancestors.contains(&at));
        let spared: Vec<u32> = below.filter_map(|other| other.ordinal).collect();
        let (before, needs) = match node.ordinal {
            Some(ordinal) => (world.record(ordinal).unwrap().view, Needs::Above(node.required())),
            None => (world.view_of(node.position), Needs::Write),
        };
        let author = key(node.says.author).public();
        let found = census.authority(world, author, needs, &before, &spared).unwrap();
        assert_eq!(found.is_some(), counts(all, &everything, at), "seed {seed} entry {at}: {found:?}");
        assert_eq!(found == Some(Authority::Root), node.says.author == 0);
        if let Some(ordinal) = node.ordinal {
            assert_eq!(
                census.authority_of_settings(world, ordinal).unwrap(),
                found,
                "seed {seed} entry {at}"
            );
        }
        masked += usize::from(found.is_none());
    }
    masked
}

/// What was let in is let in whatever came first, and what was refused is refused for the same reason.
fn in_another_order(seed: u64, root: &Entry, mut judged: Vec<(Entry, Verdict)>, chance: &mut Chance) {
    let mut world = World::of_tree(root.id());
    assert!(matches!(world.put(root), Verdict::Stands(_)));
    while !judged.is_empty() {
        let at = chance.below(judged.len());
        match (world.put(&judged[at].0), &judged[at].1) {
            (Verdict::Missing(_), _) => continue,
            (Verdict::Stands(_), Verdict::Stands(_)) => {}
            (now, before) => assert_eq!(now, *before, "seed {seed}"),
        }
        judged.remove(at);
    }
}

#[test]
fn the_judge_follows_the_rule_in_every_order_of_arrival() {
    let mut tally = Tally::default();
    for seed in 1..=300 {
        history(seed, &mut tally);
    }
    let masked = tally.masked > 20 && tally.masked_in_all > 20;
    assert!(tally.stood > 300 && tally.refused > 300 && masked, "too tame: {tally:?}");
}
