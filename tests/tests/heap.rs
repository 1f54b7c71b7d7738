//! A session and a contact make no heap call: counted, not believed.

use std::{cell::Cell, sync::Arc};

use allocation_counter::measure;
use pleach_core::{
    Id, Position, SecretKey,
    access::GrantRecord,
    document::{Doc, root_settings},
    entry::{Entry, EntryBuilder, Origin, Permission, SETTINGS, VerifiedEntry, Who},
    session::{Config, Fault, HostSession, Ingested, Input, Load, Loaded, Outcome, Output, Session, answer},
    storage::{Snapshot, Store, Write, Written},
    wire::{EntriesWriter, Frame, Salt},
};
use pleach_storage::Memory;

const SHARED: u64 = 10_000;
const FORK: u64 = 500;

thread_local! {
    /// Heap calls inside the machines of this test's thread.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Runs a step of a machine and counts its heap calls.
fn counted<T>(step: impl FnOnce() -> T) -> T {
    let mut result = None;
    let info = measure(|| result = Some(step()));
    CALLS.with(|calls| calls.set(calls.get() + info.count_total));
    result.expect("the step ran")
}

fn calls() -> u64 {
    CALLS.with(Cell::get)
}

/// Stores entries that stand in order; what of them waits for its parents is given back.
fn put(store: &Memory, tree: Id, entries: &[VerifiedEntry]) -> (u64, Vec<VerifiedEntry>, Vec<Id>) {
    let (mut stored, mut held, mut missing) = (0, Vec::new(), Vec::new());
    for batch in entries.chunks(4_096) {
        match store.write(&Write::Put { tree, entries: batch.to_vec() }) {
            Ok(Written::Put(put)) => {
                assert!(put.refused.is_none(), "{put:?}");
                stored += put.stored.len() as u64;
                held.extend(put.held.iter().map(|at| batch[*at].clone()));
                missing.extend(put.missing);
            }
            other => panic!("not stored: {other:?}"),
        }
    }
    (stored, held, missing)
}

/// A tree's root and a chain on top of it.
fn root(key: &SecretKey) -> VerifiedEntry {
    let grant = GrantRecord { who: Who::Key(key.public()), permission: Permission::Write(0), name: None };
    let data = root_settings(&Doc::new(), [grant]).expect("settings");
    let builder = EntryBuilder::new(Origin::Root { nonce: [7; 16] }, 1);
    VerifiedEntry::sign(&builder, &SecretKey::from_bytes([6; 32]), &[(SETTINGS, &data)]).expect("a root")
}

fn chain(tree: Id, from: Position, length: u64, key: &SecretKey, time: u64) -> Vec<VerifiedEntry> {
    let mut tip = from;
    (0..length)
        .map(|_| {
            let mut builder = EntryBuilder::new(Origin::Tree(tree), time);
            builder.parent(tip).expect("one parent");
            let entry = VerifiedEntry::sign(&builder, key, &[]).expect("an entry");
            tip = entry.position();
            entry
        })
        .collect()
}

struct Side {
    session: HostSession,
    store: Arc<Memory>,
    snapshot: Arc<dyn Snapshot>,
    tree: Id,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// Entries that came before their parents.
    spool: Vec<VerifiedEntry>,
    inbox: std::vec::IntoIter<Vec<u8>>,
    outbox: Vec<Vec<u8>>,
}

impl Side {
    fn new(session: HostSession, store: &Arc<Memory>, tree: Id) -> Self {
        Self {
            session,
            snapshot: store.snapshot().expect("a snapshot"),
            store: Arc::clone(store),
            tree,
            incoming: Vec::new(),
            outgoing: vec![0; 64 * 1024],
            spool: Vec::new(),
            inbox: Vec::new().into_iter(),
            outbox: Vec::new(),
        }
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Fault> {
        let (session, incoming, outgoing) = (&mut self.session, &self.incoming, &mut self.outgoing);
        counted(|| session.handle(input, incoming, outgoing))
    }

    /// Runs until it is done, or its message is complete and it waits for an answer.
    fn run(&mut self) -> Option<Outcome> {
        loop {
            let output = {
                let session = &mut self.session;
                counted(|| session.poll())?
            };
            match output {
                Output::Query(query) => {
                    let answer = answer(&*self.snapshot, &self.tree, &query).expect("an answer");
                    self.input(Input::Answer(answer.lend())).expect("a good answer");
                }
                Output::Renew => self.snapshot = self.store.snapshot().expect("a snapshot"),
                Output::Send(length) => {
                    self.outbox.push(self.outgoing[..length].to_vec());
                    self.input(Input::Sent).expect("it was asked for");
                }
                Output::Load(load) => {
                    let loaded = self.load(&load);
                    self.input(Input::Loaded(loaded)).expect("it was asked for");
                }
                Output::Finish => {}
                Output::Receive => {
                    if !self.outbox.is_empty() && self.inbox.len() == 0 {
                        return None;
                    }
                    self.receive();
                }
                Output::Ingest => {
                    let Ok(Frame::Entries(entries)) = Frame::read(&self.incoming) else { panic!("entries") };
                    let read = |bytes| Entry::read(bytes).expect("an entry").verify().expect("signed");
                    let mut entries: Vec<_> = entries.map(read).chain(self.spool.drain(..)).collect();
                    entries.sort_by_key(|entry| entry.position());
                    let (stored, held, missing) = put(&self.store, self.tree, &entries);
                    self.spool = held;
                    self.input(Input::Ingested(Ingested {
                        stored,
                        missing: &missing,
                        ..Ingested::default()
                    }))
                    .expect("it was asked for");
                }
                Output::Done(outcome) => return Some(outcome),
                other => panic!("an output that this test does not know: {other:?}"),
            }
        }
    }

    fn receive(&mut self) {
        if let Some(frame) = self.inbox.next() {
            self.incoming = frame;
            self.input(Input::Frame).expect("a good frame");
        } else {
            self.incoming.clear();
            self.input(Input::End).expect("a whole message");
        }
    }

    fn load(&mut self, load: &Load) -> Loaded {
        let mut loaded = Loaded { entries: 0, bytes: 0, next: None };
        let mut room = vec![0; load.frame];
        let mut writer = EntriesWriter::new(&mut room);
        for range in &load.ranges {
            for entry in self.snapshot.entries(&self.tree, range, 4_096, load.budget).expect("entries") {
                assert!(writer.push(entry.bytes()), "all fits into one frame here");
                loaded.entries += 1;
                loaded.bytes += entry.bytes().len() as u64;
            }
        }
        self.outbox.push(writer.finish().to_vec());
        loaded
    }
}

#[test]
fn a_fork_of_500_and_500_on_10_000_makes_no_heap_call_in_the_session() {
    let key = SecretKey::from_bytes([5; 32]);
    let root = root(&key);
    let tree = root.id();
    let shared = chain(tree, root.position(), SHARED, &key, 2);
    let top = shared.last().expect("a chain").position();
    let stores = [3, 4].map(|time| {
        let store = Arc::new(Memory::new());
        put(&store, tree, std::slice::from_ref(&root));
        put(&store, tree, &shared);
        put(&store, tree, &chain(tree, top, FORK, &key, time));
        store
    });
    let config = Config::host(tree, Salt([7; 8]));
    let mut initiator = Side::new(Session::initiator(config), &stores[0], tree);
    let mut outcome = initiator.run();
    while outcome.is_none() {
        let mut responder = Side::new(Session::responder(config), &stores[1], tree);
        responder.inbox = std::mem::take(&mut initiator.outbox).into_iter();
        assert!(matches!(responder.run(), Some(Outcome::Answered(_))));
        initiator.inbox = responder.outbox.into_iter();
        initiator.receive();
        outcome = initiator.run();
    }
    let Some(Outcome::Equal(totals)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((totals.stored, totals.sent), (FORK, FORK));
    assert_eq!(calls(), 0, "heap calls inside the sessions");
    assert!(measure(|| drop(vec![0_u8; 9])).count_total > 0, "the counter counts");
}

#[test]
fn a_partial_holders_contact_makes_no_heap_call() {
    use pleach_tests::{board::Board, world::World};
    let mut world = World::new(1);
    let host = world.host();
    let tree = world.create_with(host, "greenhouse", vec![(Who::Everyone, Permission::Write(0))]);
    world.write(host, tree, "a", "first").unwrap();
    let mut board = Board::new(tree, &[world.key(host)]);
    board.around = |step| counted(step);
    // Entries down; entries up; a base.
    assert!(board.contact(&mut world, host, 1_000).is_equal());
    for n in 0..40 {
        board.write("t", n).unwrap();
    }
    assert!(board.contact(&mut world, host, 1_000).is_equal());
    assert!(!board.holding.base().is_empty(), "the base advanced");
    assert_eq!(calls(), 0, "heap calls inside the contact");
}
