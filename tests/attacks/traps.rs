//! Where rules of access that look right go wrong. Each history comes to a node over every transport and into both stores.

use std::time::{Duration, Instant};

use pleach_core::{
    Position,
    entry::{Grant, Permission, VerifiedEntry, Who},
    storage::Write,
};
use pleach_storage::conformance::Maker;

use crate::{
    peer::{Peer, bytes_of, push},
    stage::{
        BEGIN, Carrier, Grove, Hands, MEMBER, Node, OTHER, READER, SERVER, STRANGER, Shelf, Stage, grants,
        public,
    },
};

/// An administrator below the others.
const LOW: u8 = 31;

/// A stage, a tree with an administrator of a low rank besides, and a node that holds it.
struct Trap {
    stage: Stage,
    clock: Hands,
    shelf: Shelf,
    grove: Grove,
    server: Node,
}

impl Trap {
    /// One for every carrier and store.
    fn everywhere() -> impl Iterator<Item = Self> {
        Self::in_trees(|| {
            let given = [
                (SERVER, Permission::Admin(1)),
                (OTHER, Permission::Admin(1)),
                (LOW, Permission::Admin(5)),
                (MEMBER, Permission::Write(9)),
                (READER, Permission::Read),
            ];
            Grove::with(1, &given.map(|(seed, permission)| (Who::Key(public(seed)), permission)))
        })
    }

    /// The same, everybody may write, and the node made it.
    fn in_public() -> impl Iterator<Item = Self> {
        Self::in_trees(|| {
            let given = [
                (Who::Key(public(SERVER)), Permission::Admin(1)),
                (Who::Key(public(MEMBER)), Permission::Write(9)),
                (Who::Everyone, Permission::Write(1_000)),
            ];
            Grove::with(1, &given)
        })
    }

    fn in_trees(grove: impl Fn() -> Grove) -> impl Iterator<Item = Self> {
        let places = Carrier::ALL.into_iter().flat_map(|carrier| Shelf::both().map(|shelf| (carrier, shelf)));
        places.map(move |(carrier, shelf)| {
            let (stage, clock, grove) = (Stage::new(carrier), Hands::at(BEGIN), grove());
            grove.plant(&*shelf.open(), &[]);
            let server = stage.node(shelf.open(), SERVER, &clock);
            Self { stage, clock, shelf, grove, server }
        })
    }

    fn by(&self, seed: u8) -> Maker {
        self.grove.root.signed_by(seed)
    }

    fn start(&self) -> Position {
        self.grove.start.position()
    }

    /// Entries arrive, one message each.
    fn arrive(&self, bringer: u8, entries: &[&VerifiedEntry]) {
        let peer = Peer::new(&self.stage, bringer, &self.clock);
        for entry in entries {
            peer.accepted(&self.server.address, &push(self.grove.tree(), &bytes_of(&[entry])));
        }
    }

    fn shows(&self, path: &str) -> bool {
        self.server.shows(&self.grove.tree(), path)
    }

    fn holds(&self, seed: u8) -> Option<Permission> {
        self.server.permission(&self.grove.tree(), seed)
    }

    /// What was masked and never shared goes, as it does after a while.
    fn forget(self) -> Self {
        self.server.close();
        self.shelf.open().write(&Write::Tidy { tree: self.grove.tree() }).expect("a write");
        let server = self.stage.node(self.shelf.open(), SERVER, &self.clock);
        Self { server, ..self }
    }

    /// Whoever fetches the tree now is shown the same, and all of it is intact.
    fn end(self) {
        let tree = self.grove.tree();
        let reader = self.stage.newcomer(READER, &self.clock);
        reader.sync(&self.server.address, &tree).expect("a sync");
        let (theirs, ours) = (reader.state(&tree), self.server.state(&tree));
        assert_eq!((theirs.tips, theirs.shared, theirs.rows), (ours.tips, ours.shared, ours.rows));
        assert!(self.server.is_whole(&tree) && reader.is_whole(&tree));
        reader.close();
        self.server.close();
    }
}

fn who(seed: u8) -> Who {
    Who::Key(public(seed))
}

fn grant(seed: u8, permission: Permission) -> Vec<Grant<'static>> {
    grants(&[(who(seed), permission)])
}

/// Row 14.
#[test]
fn an_honest_entry_on_top_of_a_masked_one_that_was_refused_is_taken_with_it() {
    for trap in Trap::everywhere() {
        let tree = trap.grove.tree();
        let revocation = trap.by(SERVER).settings(&[trap.start()], &[], &[who(MEMBER)]);
        let masked = trap.by(MEMBER).entry(&[trap.start()], "masked", "x");
        trap.arrive(OTHER, &[&revocation, &masked]);
        assert!(!trap.shows("masked"));
        let trap = trap.forget();
        assert_eq!(trap.server.snapshot().entry(&tree, &masked.id()), Ok(None), "it is gone");
        // Somebody who had not heard of the revocation built on it.
        let honest = trap.by(OTHER).entry(&[masked.position()], "honest", "x");
        let other = trap.stage.holder(&trap.grove, OTHER, &trap.clock, &[&masked, &honest]);
        other.sync(&trap.server.address, &tree).expect("a sync");
        assert!(trap.shows("honest") && !trap.shows("masked"));
        assert_eq!(other.state(&tree).tips, trap.server.state(&tree).tips);
        other.close();
        trap.end();
    }
}

/// Row 14.
#[test]
fn an_entry_that_was_dropped_while_it_was_masked_comes_back_when_the_mask_lifts() {
    for trap in Trap::everywhere() {
        let tree = trap.grove.tree();
        let revocation = trap.by(LOW).settings(&[trap.start()], &[], &[who(MEMBER)]);
        let masked = trap.by(MEMBER).entry(&[trap.start()], "masked", "x");
        trap.arrive(OTHER, &[&revocation, &masked]);
        let trap = trap.forget();
        // Who revoked is revoked from above, apart: nothing holds the mask any more, and its author still has it.
        let lifts = trap.grove.root.settings(&[trap.start()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&lifts]);
        assert!(!trap.shows("masked"), "it was dropped");
        let member = trap.stage.holder(&trap.grove, MEMBER, &trap.clock, &[&masked]);
        member.sync(&trap.server.address, &tree).expect("let in again");
        assert!(trap.shows("masked"));
        assert_eq!(member.state(&tree).tips, trap.server.state(&tree).tips);
        member.close();
        trap.end();
    }
}

/// Row 16.
#[test]
fn a_weaker_grant_from_an_inferior_masks_nothing_of_a_writer() {
    for trap in Trap::everywhere() {
        let weaker = trap.by(LOW).settings(&[trap.start()], &grant(MEMBER, Permission::Write(60_000)), &[]);
        let entry = trap.by(MEMBER).entry(&[weaker.position()], "mine", "x");
        // The inferior falls, and its grant with it.
        let falls = trap.grove.root.settings(&[trap.start()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&weaker, &entry]);
        assert!(trap.shows("mine"));
        trap.arrive(OTHER, &[&falls]);
        assert!(trap.shows("mine"));
        assert_eq!(trap.holds(MEMBER), Some(Permission::Write(9)));
        trap.end();
    }
}

/// Row 16.
#[test]
fn who_made_a_public_tree_does_not_write_as_everybody() {
    for trap in Trap::in_public() {
        // Apart from each other: its maker writes, and closes the tree to everybody.
        let entry = trap.by(SERVER).entry(&[trap.start()], "makers", "x");
        let closed = trap.by(SERVER).settings(&[trap.start()], &[], &[Who::Everyone]);
        trap.arrive(MEMBER, &[&entry]);
        assert!(trap.shows("makers"));
        trap.arrive(MEMBER, &[&closed]);
        assert!(trap.shows("makers"));
        let later = trap.server.write(&trap.grove.tree(), "later").expect("it may write");
        assert_eq!(trap.server.state(&trap.grove.tree()).tips, [later]);
        let opened = trap.by(SERVER).settings(&[later], &grant(READER, Permission::Read), &[]);
        trap.arrive(MEMBER, &[&opened]);
        trap.end();
    }
}

/// Row 16.
#[test]
fn closing_a_tree_to_everybody_hides_what_others_wrote_and_nothing_of_named_members() {
    for trap in Trap::in_public() {
        let members = trap.by(MEMBER).entry(&[trap.start()], "members", "x");
        let strangers = trap.by(STRANGER).entry(&[trap.start()], "strangers", "x");
        let closed =
            trap.by(SERVER).settings(&[trap.start()], &grant(READER, Permission::Read), &[Who::Everyone]);
        trap.arrive(MEMBER, &[&members, &strangers]);
        assert!(trap.shows("members") && trap.shows("strangers"));
        trap.arrive(MEMBER, &[&closed]);
        assert!(trap.shows("members") && !trap.shows("strangers"));
        assert_eq!((trap.holds(MEMBER), trap.holds(STRANGER)), (Some(Permission::Write(9)), None));
        trap.end();
    }
}

/// Row 16.
#[test]
fn the_promotion_by_a_rogue_administrator_poisons_nobody_whom_it_promotes() {
    for trap in Trap::everywhere() {
        let promotes = trap.by(LOW).settings(&[trap.start()], &grant(MEMBER, Permission::Admin(6)), &[]);
        let values = trap.by(MEMBER).entry(&[promotes.position()], "values", "x");
        let settings =
            trap.by(MEMBER).settings(&[promotes.position()], &grant(STRANGER, Permission::Write(99)), &[]);
        trap.arrive(OTHER, &[&promotes, &values, &settings]);
        assert_eq!(trap.holds(MEMBER), Some(Permission::Admin(6)));
        assert_eq!(trap.holds(STRANGER), Some(Permission::Write(99)));
        let falls = trap.grove.root.settings(&[trap.start()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&falls]);
        assert!(trap.shows("values"), "it could write before");
        assert_eq!((trap.holds(MEMBER), trap.holds(STRANGER)), (Some(Permission::Write(9)), None));
        trap.end();
    }
}

/// Row 16.
#[test]
fn a_key_that_one_entry_revokes_and_grants_holds_what_it_grants() {
    for trap in Trap::everywhere() {
        let apart = trap.by(MEMBER).entry(&[trap.start()], "apart", "x");
        let lowered =
            trap.by(SERVER).settings(&[trap.start()], &grant(MEMBER, Permission::Write(30)), &[who(MEMBER)]);
        let after = trap.by(MEMBER).entry(&[lowered.position()], "after", "x");
        trap.arrive(OTHER, &[&apart]);
        assert!(trap.shows("apart"));
        trap.arrive(OTHER, &[&lowered, &after]);
        assert_eq!(trap.holds(MEMBER), Some(Permission::Write(30)));
        assert!(
            trap.shows("after") && !trap.shows("apart"),
            "the old grant is gone, the new one is not in its past"
        );
        trap.end();
    }
}

/// Row 12.
#[test]
fn merges_over_many_tips_are_written_where_their_author_may_write() {
    for trap in Trap::everywhere() {
        let tree = trap.grove.tree();
        // Forty tips on which the newcomer may not write yet, and the one that lets it in.
        let fan = trap.by(MEMBER).fan(trap.start(), 40);
        let lets_in = trap.by(SERVER).settings(&[trap.start()], &grant(STRANGER, Permission::Write(20)), &[]);
        trap.arrive(OTHER, &[&lets_in]);
        let peer = Peer::new(&trap.stage, OTHER, &trap.clock);
        peer.accepted(&trap.server.address, &push(tree, &bytes_of(&fan.iter().collect::<Vec<_>>())));
        let newcomer = trap.stage.newcomer(STRANGER, &trap.clock);
        newcomer.sync(&trap.server.address, &tree).expect("it may read");
        assert_eq!(newcomer.state(&tree).tips.len(), 41);
        let written = newcomer.write(&tree, "newcomers").expect("it may write");
        assert_eq!(newcomer.state(&tree).tips, [written]);
        newcomer.sync(&trap.server.address, &tree).expect("a sync");
        assert!(trap.shows("newcomers"), "no merge of it was refused");
        assert_eq!(trap.server.state(&tree).tips, [written]);
        newcomer.close();
        trap.end();
    }
}

/// Row 16.
#[test]
fn a_backdated_revocation_that_was_seen_and_built_upon_can_be_undone() {
    for trap in Trap::everywhere() {
        let good = trap.by(MEMBER).entry(&[trap.start()], "good", "x");
        // A rogue revokes a writer on old parents; somebody saw it and went on from there.
        let rogue = trap.by(LOW).settings(&[trap.start()], &[], &[who(MEMBER)]);
        trap.arrive(OTHER, &[&good]);
        assert!(trap.shows("good"));
        trap.arrive(OTHER, &[&rogue]);
        assert!(!trap.shows("good"));
        let honest = trap.by(OTHER).entry(&[rogue.position()], "honest", "x");
        trap.arrive(OTHER, &[&honest]);
        // Revoking the rogue on top of all would leave its word standing: it was seen.
        let on_top = trap.grove.root.settings(&[honest.position()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&on_top]);
        assert!(!trap.shows("good"));
        // Beside it, on what there was without it, it does not.
        let beside = trap.grove.root.settings(&[good.position()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&beside]);
        assert!(trap.shows("good") && trap.shows("honest"));
        assert_eq!(trap.holds(MEMBER), Some(Permission::Write(9)));
        trap.end();
    }
}

/// Row 14.
#[test]
fn a_token_misses_no_entry_whose_mask_has_lifted() {
    for trap in Trap::everywhere() {
        let tree = trap.grove.tree();
        let revocation = trap.by(LOW).settings(&[trap.start()], &[], &[who(MEMBER)]);
        let masked = trap.by(MEMBER).chain(trap.start(), 30);
        trap.arrive(OTHER, &[&revocation]);
        let peer = Peer::new(&trap.stage, OTHER, &trap.clock);
        peer.accepted(&trap.server.address, &push(tree, &bytes_of(&masked.iter().collect::<Vec<_>>())));
        let reader = trap.stage.newcomer(READER, &trap.clock);
        reader.sync(&trap.server.address, &tree).expect("a sync");
        assert_eq!(reader.state(&tree).shared.len(), 3);
        // Where it stood is written down behind the caller's back.
        let known = || reader.snapshot().metas(b"known/", None, 9).expect("the metadata").len();
        let limit = Instant::now() + Duration::from_secs(60);
        while known() == 0 {
            assert!(Instant::now() < limit, "it remembers where it stood");
            std::thread::yield_now();
        }
        let lifts = trap.grove.root.settings(&[trap.start()], &[], &[who(LOW)]);
        trap.arrive(OTHER, &[&lifts]);
        let report = reader.sync(&trap.server.address, &tree).expect("a sync");
        assert_eq!((report.entries_received, report.round_trips), (31, 1), "what came back has arrived");
        assert!(reader.shows(&tree, "chain.29"));
        assert_eq!(reader.state(&tree).shared, trap.server.state(&tree).shared);
        reader.close();
        trap.end();
    }
}
