//! Which grants and revocations hold in a view.
//!
//! Whether an entry ranks above some bound depends on grants above that bound, on whether their makers rank above
//! those grants, and on whether their revokers do. Each such question has a strictly higher bound than the one that
//! led to it, so asking ends. Questions wait on a stack of their own, never on the program's.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use crate::{
    PublicKey,
    access::{Facts, GrantRef, Rank, View},
    entry::{Permission, Who},
    storage::StorageError,
};

/// Names and settings entries remembered at most: some megabytes for a whole batch.
const MAX_REMEMBERED: usize = if cfg!(test) { 200 } else { 16_384 };

/// What is remembered of the facts. All of it is unchanging, except what an index by name says while settings
/// entries are added; `as_of` notices that.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    makers: BTreeMap<u32, Arc<Maker>>,
    names: BTreeMap<Who, Arc<Named>>,
    as_of: u32,
    root: Option<PublicKey>,
}

/// A settings entry, without the list of what it says.
#[derive(Debug)]
struct Maker {
    author: PublicKey,
    view: View,
    required: Permission,
}

/// What settings entries say about one name.
#[derive(Debug)]
struct Named {
    /// Highest rank first.
    grants: Vec<GrantRef>,
    revocations: Vec<u32>,
}

impl Memory {
    /// Forgets what may have changed, and all if it has become too much.
    pub(super) fn refresh(&mut self, facts: &dyn Facts) -> Result<(), StorageError> {
        let count = facts.settings_count()?;
        if count != self.as_of || self.names.len() > MAX_REMEMBERED {
            self.names.clear();
            self.as_of = count;
        }
        if self.makers.len() > MAX_REMEMBERED {
            self.makers.clear();
        }
        Ok(())
    }

    pub(super) fn root(&mut self, facts: &dyn Facts) -> Result<PublicKey, StorageError> {
        match self.root {
            Some(root) => Ok(root),
            None => Ok(*self.root.insert(facts.root_key()?)),
        }
    }

    fn maker(&mut self, facts: &dyn Facts, ordinal: u32) -> Result<Arc<Maker>, StorageError> {
        if let Some(maker) = self.makers.get(&ordinal) {
            return Ok(maker.clone());
        }
        let record = facts.record(ordinal)?;
        let required = record.required();
        let maker = Arc::new(Maker { author: record.author, view: record.view, required });
        self.makers.insert(ordinal, maker.clone());
        Ok(maker)
    }

    fn named(&mut self, facts: &dyn Facts, who: &Who) -> Result<Arc<Named>, StorageError> {
        if let Some(named) = self.names.get(who) {
            return Ok(named.clone());
        }
        let mut grants = facts.grants_naming(who)?;
        grants.sort_unstable_by(|a, b| b.permission.cmp(&a.permission).then(a.ordinal.cmp(&b.ordinal)));
        let named = Arc::new(Named { grants, revocations: facts.revocations_naming(who)? });
        self.names.insert(*who, named.clone());
        Ok(named)
    }
}

/// The strongest grant that stands for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strongest {
    pub(super) grant: GrantRef,
    pub(super) who: Who,
}

/// What has been found out about one view: the settings entries that form the set.
#[derive(Clone, Debug)]
pub(super) struct Resolution {
    pub(super) view: Arc<View>,
    known: BTreeMap<u32, Known>,
    pub(super) strongest: BTreeMap<Who, Option<Strongest>>,
}

/// What is known of the rank of a settings entry in this set.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// It ranks strictly above this, and so above all below.
    above: Option<Permission>,
    /// It does not rank strictly above this, nor above anything higher.
    not_above: Option<Permission>,
}

impl Known {
    fn answer(self, bound: Permission) -> Option<bool> {
        if self.above.is_some_and(|above| bound <= above) {
            Some(true)
        } else if self.not_above.is_some_and(|not| bound >= not) {
            Some(false)
        } else {
            None
        }
    }

    fn learn(&mut self, bound: Permission, above: bool) {
        if above {
            self.above = Some(self.above.map_or(bound, |known| known.max(bound)));
        } else {
            self.not_above = Some(self.not_above.map_or(bound, |known| known.min(bound)));
        }
    }
}

/// Does this settings entry rank strictly above the bound?
#[derive(Clone, Copy, Debug)]
struct Question {
    ordinal: u32,
    bound: Permission,
}

/// An answer, or the question to be answered first.
enum Answer<T> {
    Is(T),
    After(Question),
}

/// For whom a grant is to stand.
#[derive(Clone, Copy)]
struct Subject<'a> {
    /// The author, or whoever shows no key.
    who: Who,
    /// The settings entries among its ancestors.
    before: &'a View,
    spared: Spared<'a>,
}

/// Which revocations do not concern an entry, since they descend from it.
#[derive(Clone, Copy)]
pub(super) enum Spared<'a> {
    /// These.
    By(&'a [u32]),
    /// Those that have this settings entry among their ancestors.
    Below(u32),
}

impl Spared<'_> {
    fn by(self, revoker: u32, revocation: &Maker) -> bool {
        match self {
            Self::By(these) => these.contains(&revoker),
            Self::Below(ordinal) => revocation.view.contains(ordinal),
        }
    }
}

impl Resolution {
    pub(super) const fn new(view: Arc<View>) -> Self {
        Self { view, known: BTreeMap::new(), strongest: BTreeMap::new() }
    }

    /// The rank of a name for an entry on top of the whole set, with the grant that gives it.
    pub(super) fn rank(
        &mut self,
        facts: &dyn Facts,
        memory: &mut Memory,
        who: &Who,
    ) -> Result<Option<(Rank, Option<Strongest>)>, StorageError> {
        if *who == Who::Key(memory.root(facts)?) {
            return Ok(Some((Rank::Root, None)));
        }
        let strongest = self.strongest(facts, memory, who)?;
        Ok(strongest.map(|strongest| (Rank::Granted(strongest.grant.permission), Some(strongest))))
    }

    fn strongest(
        &mut self,
        facts: &dyn Facts,
        memory: &mut Memory,
        who: &Who,
    ) -> Result<Option<Strongest>, StorageError> {
        if let Some(known) = self.strongest.get(who) {
            return Ok(*known);
        }
        let view = self.view.clone();
        let found =
            self.find(facts, memory, Subject { who: *who, before: &view, spared: Spared::By(&[]) })?;
        self.strongest.insert(*who, found);
        Ok(found)
    }

    /// The rank in the set of an entry of it, given its author and the settings entries among its ancestors.
    pub(super) fn rank_of(
        &mut self,
        facts: &dyn Facts,
        memory: &mut Memory,
        author: PublicKey,
        before: &View,
        spared: Spared<'_>,
    ) -> Result<Option<(Rank, Option<Strongest>)>, StorageError> {
        if author == memory.root(facts)? {
            return Ok(Some((Rank::Root, None)));
        }
        let strongest = self.find(facts, memory, Subject { who: Who::Key(author), before, spared })?;
        Ok(strongest.map(|strongest| (Rank::Granted(strongest.grant.permission), Some(strongest))))
    }

    /// The strongest grant that stands for a subject.
    fn find(
        &mut self,
        facts: &dyn Facts,
        memory: &mut Memory,
        subject: Subject<'_>,
    ) -> Result<Option<Strongest>, StorageError> {
        loop {
            match self.first_standing(facts, memory, subject, None)? {
                Answer::Is(found) => return Ok(found),
                Answer::After(question) => self.settle(facts, memory, question)?,
            }
        }
    }

    /// Answers a question, and before it all that it depends on.
    fn settle(
        &mut self,
        facts: &dyn Facts,
        memory: &mut Memory,
        question: Question,
    ) -> Result<(), StorageError> {
        let mut open = Vec::from([question]);
        while let Some(question) = open.last().copied() {
            match self.ranks_above(facts, memory, question)? {
                Answer::Is(above) => {
                    self.known.entry(question.ordinal).or_default().learn(question.bound, above);
                    open.pop();
                }
                Answer::After(first) => open.push(first),
            }
        }
        Ok(())
    }

    fn ranks_above(
        &self,
        facts: &dyn Facts,
        memory: &mut Memory,
        question: Question,
    ) -> Result<Answer<bool>, StorageError> {
        let maker = memory.maker(facts, question.ordinal)?;
        if maker.author == memory.root(facts)? {
            return Ok(Answer::Is(true));
        }
        let spared = Spared::Below(question.ordinal);
        let subject = Subject { who: Who::Key(maker.author), before: &maker.view, spared };
        Ok(match self.first_standing(facts, memory, subject, Some(question.bound))? {
            Answer::Is(found) => Answer::Is(found.is_some()),
            Answer::After(first) => Answer::After(first),
        })
    }

    /// The strongest grant above the bound that stands for the subject.
    fn first_standing(
        &self,
        facts: &dyn Facts,
        memory: &mut Memory,
        subject: Subject<'_>,
        bound: Option<Permission>,
    ) -> Result<Answer<Option<Strongest>>, StorageError> {
        let mut best: Option<Strongest> = None;
        // A key is named by itself and by `*`; whoever shows no key, by `*` alone.
        let names = [Some(subject.who), (subject.who != Who::Everyone).then_some(Who::Everyone)];
        for who in names.into_iter().flatten() {
            for grant in &memory.named(facts, &who)?.grants {
                let beaten = best.is_some_and(|best| grant.permission <= best.grant.permission);
                if beaten || bound.is_some_and(|bound| grant.permission <= bound) {
                    break;
                }
                let candidate = Strongest { grant: *grant, who };
                match self.stands(facts, memory, subject, candidate)? {
                    Answer::Is(true) => {
                        best = Some(candidate);
                        break;
                    }
                    Answer::Is(false) => {}
                    Answer::After(question) => return Ok(Answer::After(question)),
                }
            }
        }
        Ok(Answer::Is(best))
    }

    fn stands(
        &self,
        facts: &dyn Facts,
        memory: &mut Memory,
        subject: Subject<'_>,
        candidate: Strongest,
    ) -> Result<Answer<bool>, StorageError> {
        if !subject.before.contains(candidate.grant.ordinal) {
            return Ok(Answer::Is(false));
        }
        let maker = memory.maker(facts, candidate.grant.ordinal)?;
        match self.counts(facts, memory, candidate.grant.ordinal, maker.required)? {
            Answer::Is(true) => {}
            other => return Ok(other),
        }
        self.unrevoked(facts, memory, subject, candidate, &maker)
    }

    /// Whether no revocation that counts revokes the grant, or the subject's use of `*`.
    fn unrevoked(
        &self,
        facts: &dyn Facts,
        memory: &mut Memory,
        subject: Subject<'_>,
        candidate: Strongest,
        maker: &Maker,
    ) -> Result<Answer<bool>, StorageError> {
        let made_by = candidate.grant.ordinal;
        let of_use = (candidate.who == Who::Everyone && subject.who != Who::Everyone).then_some(subject.who);
        for (name, is_of_use) in [(Some(candidate.who), false), (of_use, true)] {
            let Some(name) = name else { continue };
            for revoker in &memory.named(facts, &name)?.revocations {
                let revoker = *revoker;
                let spares_grant = revoker == made_by || maker.view.contains(revoker);
                if !self.view.contains(revoker) || (spares_grant && !is_of_use) {
                    continue;
                }
                let revocation = memory.maker(facts, revoker)?;
                if subject.spared.by(revoker, &revocation) {
                    continue;
                }
                // It has to count, and to rank above the grant. (A grant to `*` is below every administrator.)
                let bound = revocation.required.max(candidate.grant.permission);
                match self.counts(facts, memory, revoker, bound)? {
                    Answer::Is(false) => {}
                    Answer::Is(true) => return Ok(Answer::Is(false)),
                    after @ Answer::After(_) => return Ok(after),
                }
            }
        }
        Ok(Answer::Is(true))
    }

    fn counts(
        &self,
        facts: &dyn Facts,
        memory: &mut Memory,
        ordinal: u32,
        bound: Permission,
    ) -> Result<Answer<bool>, StorageError> {
        let author = memory.maker(facts, ordinal)?.author;
        if author == memory.root(facts)? {
            return Ok(Answer::Is(true));
        }
        let known = self.known.get(&ordinal).and_then(|known| known.answer(bound));
        Ok(known.map_or(Answer::After(Question { ordinal, bound }), Answer::Is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::world::{Says, World, who};

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_settings_are_added() {
        let most = u32::try_from(MAX_REMEMBERED).unwrap();
        let (mut world, root) = World::new(&[]);
        let mut tip = root.position();
        let mut writes = |world: &mut World| {
            let settings = Some(Default::default());
            tip = world.let_in(&Says { author: 0, parents: Vec::from([tip]), settings });
        };
        (0..most).for_each(|_| writes(&mut world));
        let mut memory = Memory::default();
        memory.refresh(&world).unwrap();
        for number in 0..most {
            memory.maker(&world, number).unwrap();
            memory.named(&world, &who(u8::try_from(number).ok())).unwrap();
        }
        memory.refresh(&world).unwrap();
        assert_eq!((memory.makers.len(), memory.names.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        memory.maker(&world, most).unwrap();
        memory.named(&world, &who(u8::try_from(most).ok())).unwrap();
        memory.refresh(&world).unwrap();
        assert_eq!((memory.makers.len(), memory.names.len()), (0, 0), "one too many");
        memory.maker(&world, 0).unwrap();
        memory.named(&world, &who(Some(0))).unwrap();
        writes(&mut world);
        memory.refresh(&world).unwrap();
        assert_eq!((memory.makers.len(), memory.names.len()), (1, 0), "new settings may name anybody");
    }
}
