//! Two nodes over two stores, and what one exchange between them costs.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use pleach_core::{
    Id,
    storage::Store,
    wire::{Frame, Kind},
};
use pleach_tests::world::{Fate, HostId, World};

use crate::Outcome;

/// What an exchange cost. Bytes are those of frames as encoded, the entries and their lengths aside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) round_trips: u32,
    pub(crate) requests: usize,
    pub(crate) replies: usize,
    /// Entries that moved, and their bytes.
    pub(crate) entries: usize,
    pub(crate) moved: usize,
    /// Seconds, both nodes and their stores together, one after the other.
    pub(crate) seconds: f64,
}

impl Cost {
    pub(crate) const fn beyond(&self) -> usize {
        self.requests + self.replies
    }

    /// Adds a frame; `response` says whether the message under way is one.
    fn add(&mut self, frame: &[u8], response: &mut bool) {
        match Kind::of(frame) {
            Ok(Kind::Sync) => *response = false,
            Ok(Kind::Reply | Kind::Refusal) => *response = true,
            _ => {}
        }
        let mut beyond = frame.len();
        if let Ok(Frame::Entries(entries)) = Frame::read(frame) {
            beyond = 1;
            for entry in entries {
                self.entries += 1;
                self.moved += entry.len();
            }
        }
        *(if *response { &mut self.replies } else { &mut self.requests }) += beyond;
    }
}

/// Two nodes that may sync again and again.
pub(crate) struct Duel {
    world: World,
    tree: Id,
    initiator: HostId,
    responder: HostId,
    stores: [Arc<dyn Store>; 2],
    cost: Rc<RefCell<Cost>>,
}

impl Duel {
    pub(crate) fn new(tree: Id, initiator: Arc<dyn Store>, responder: Arc<dyn Store>) -> Self {
        Self::of_strangers(1, tree, [initiator, responder])
    }

    /// Two nodes with keys of their own for each seed: over stores in which others synced, they have no token.
    pub(crate) fn of_strangers(seed: u64, tree: Id, stores: [Arc<dyn Store>; 2]) -> Self {
        let mut world = World::new(seed);
        let [initiator, responder] = stores.clone().map(|store| world.host_over(store));
        let cost = Rc::new(RefCell::new(Cost::default()));
        let counted = Rc::clone(&cost);
        let mut response = false;
        world.fate(move |frame| {
            counted.borrow_mut().add(frame, &mut response);
            Fate::Arrive
        });
        Self { world, tree, initiator, responder, stores, cost }
    }

    /// The responder's store.
    pub(crate) fn responder(&self) -> &dyn Store {
        &*self.stores[1]
    }

    /// One exchange, after which both hold the same.
    pub(crate) fn sync(&mut self) -> Outcome<Cost> {
        *self.cost.borrow_mut() = Cost::default();
        let start = Instant::now();
        let report = self.world.sync(self.initiator, self.responder, self.tree)?;
        let seconds = start.elapsed().as_secs_f64();
        // What is written after the outcome is known is done before the next exchange.
        self.world.settle();
        let [here, there] = [self.initiator, self.responder].map(|host| self.world.tips(host, self.tree));
        let [mine, theirs] = [self.initiator, self.responder].map(|host| self.world.count(host, self.tree));
        if here != there || mine != theirs {
            return Err("the two stores differ after the exchange".into());
        }
        Ok(Cost { round_trips: report.round_trips, seconds, ..*self.cost.borrow() })
    }
}
