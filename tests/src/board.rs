//! A device that is a partial holder, with a disk that survives its restarts, and a line that can be cut.

use pleach_core::{
    Id, Position, PublicKey, SecretKey,
    entry::{EntryView, ValueKind, WriteView},
    session::{
        Fault,
        partial::{Charter, Config, Contact, Holding, Input, NotTaken, Outcome, Output},
    },
    wire::PeerLimits,
};

use crate::world::{HostId, World};

/// Entries in the ring of a [`Board`].
pub const RING: usize = 64;

/// Bytes of a frame that it takes.
pub const FRAME: u16 = 4 * 1024;

/// A device with 16 KiB of room.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its key.
    pub key: SecretKey,
    charter: Charter,
    /// What is durable.
    base: Vec<Position>,
    time: u64,
    ring: Vec<Vec<u8>>,
    /// What it knows of it.
    pub holding: Holding<RING>,
    /// What is done around each step of its machine.
    pub around: fn(&mut dyn FnMut()),
}

/// How a contact of a [`Board`] ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// As the machine says.
    Done(Outcome),
    /// By a fault.
    Fault(Fault),
    /// The line was cut.
    Cut,
}

impl Ended {
    /// Whether both sides lack nothing of the other's.
    pub fn is_equal(&self) -> bool {
        matches!(self, Self::Done(Outcome::Equal(_)))
    }
}

impl Board {
    /// A device that holds nothing yet.
    pub fn new(tree: Id, allowed: &[PublicKey]) -> Self {
        let allowed = allowed.iter().copied().collect();
        let charter = Charter { tree, allowed, room: 16 * 1024, entry: 2_048 };
        let holding = Holding::new(charter.clone());
        let key = SecretKey::from_bytes([0xb0; 32]);
        Self { key, charter, base: Vec::new(), time: 0, ring: Vec::new(), holding, around: |step| step() }
    }

    /// The same device, set up with a base.
    #[must_use]
    pub fn based(mut self, base: &[Position]) -> Self {
        self.base = base.to_vec();
        self.restart();
        self
    }

    /// Forgets all that is not durable, and reads that again.
    pub fn restart(&mut self) {
        self.holding =
            Holding::with_base(self.charter.clone(), &self.base, self.time).expect("a base that was made");
        for (place, bytes) in (0..).zip(&self.ring) {
            let entry = EntryView::read(bytes).expect("an entry that was written");
            self.holding.insert(&entry, place).expect("an entry that was taken");
        }
    }

    /// The bytes of the entries in its ring, in the order in which it took them.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.ring
    }

    /// Writes one value.
    pub fn write(&mut self, path: &str, value: u32) -> Result<Position, NotTaken> {
        let builder = self.holding.builder(0)?;
        let (mut number, mut data, mut room) = ([0; 16], [0; 256], [0; 2_048]);
        let value = ValueKind::Int(value.into()).encode(&mut number).expect("a number");
        let writes = [WriteView { path, value: Some(value) }];
        let data = WriteView::encode(&writes, &mut data).expect("a short path");
        let bytes = builder.sign(&self.key, &[("sensors", data)], &mut room).expect("a small entry");
        let entry = EntryView::read(bytes).expect("what was just made");
        self.holding.check(&entry)?;
        let place = u32::try_from(self.ring.len()).expect("a small ring");
        self.ring.push(bytes.to_vec());
        self.holding.insert(&entry, place)
    }

    /// Talks to a host until the end, or until `cut` frames have gone either way.
    pub fn contact(&mut self, world: &mut World, host: HostId, cut: usize) -> Ended {
        let mut left = cut;
        let key = self.key.public();
        self.talk(world.key(host), |request| {
            let whole = request.len() <= left;
            left = left.saturating_sub(request.len());
            // A cut request never ends, so that the host has nothing to answer.
            let mut answer = if whole { world.ask(host, key, request)? } else { return None };
            let whole = answer.len() <= left;
            answer.truncate(left);
            left = left.saturating_sub(answer.len());
            Some((answer, whole))
        })
    }

    /// Talks to whoever answers its requests: with frames, and whether the end of the message came too.
    pub fn talk(
        &mut self,
        peer: PublicKey,
        mut ask: impl FnMut(Vec<Vec<u8>>) -> Option<(Vec<Vec<u8>>, bool)>,
    ) -> Ended {
        let limits = PeerLimits { frame: u32::from(FRAME), message: 64 * 1024 };
        let mut contact = Contact::<RING>::new(Config { limits, rounds: 8 }, &self.holding, &peer)
            .expect("a peer on the allow-list");
        let (mut incoming, mut outgoing) = (Vec::new(), vec![0; usize::from(FRAME)]);
        let (mut request, mut answer) = (Vec::new(), Vec::new().into_iter());
        let mut whole = false;
        let mut input = Some(Input::Begin);
        while let Some(next) = input.take() {
            let mut result = Ok(());
            let holding = &mut self.holding;
            (self.around)(&mut || result = contact.handle(next, holding, &incoming, &mut outgoing));
            if let Err(fault) = result {
                return Ended::Fault(fault);
            }
            while let Some(output) = contact.poll() {
                input = match output {
                    Output::Send(length) => {
                        request.push(outgoing[..length].to_vec());
                        Some(Input::Sent)
                    }
                    Output::Load { slot, at } => {
                        let bytes = &self.ring[slot.place as usize];
                        outgoing[at..at + bytes.len()].copy_from_slice(bytes);
                        Some(Input::Loaded)
                    }
                    Output::Finish => {
                        let Some((frames, all)) = ask(std::mem::take(&mut request)) else {
                            return Ended::Cut;
                        };
                        (answer, whole) = (frames.into_iter(), all);
                        None
                    }
                    Output::Receive => match answer.next() {
                        Some(frame) => {
                            incoming = frame;
                            Some(Input::Frame)
                        }
                        None if whole => Some(Input::End),
                        None => return Ended::Cut,
                    },
                    Output::Take { at, bytes } => {
                        self.ring.push(incoming[at..at + bytes].to_vec());
                        Some(Input::Taken {
                            place: u32::try_from(self.ring.len() - 1).expect("a small ring"),
                        })
                    }
                    Output::Advance { base, time } => {
                        (self.base, self.time) = (vec![base], time);
                        self.ring.clear();
                        Some(Input::Advanced)
                    }
                    Output::Done(outcome) => return Ended::Done(outcome),
                    other => panic!("an output that this board does not know: {other:?}"),
                };
            }
        }
        panic!("the contact waits for nothing")
    }
}
