//! The board: what it holds, writes, and exchanges.

use core::fmt;

use pleach_core::{
    Entropy, Position, SecretKey,
    entry::{BuildError, EntryView, ValueKind, WriteView},
    session::{
        Fault,
        partial::{Config, Contact, Holding, Input, NotTaken, Outcome, Output, Totals},
    },
    wire::PeerLimits,
};

use crate::{
    clock::{self, SECOND},
    flash::{Flash, FlashError, Journal, MAX_ENTRY, RING, Record, Setup, count_boot},
    line::{Line, LineError},
    uart::Uart,
};

/// Bytes of a frame: the list of a full ring, and the largest entry.
pub(crate) const FRAME: usize = 2_560;

/// What it takes. A node uses half of a message for entries: what is left of that behind the first frame fits into the
/// UART's queue.
const LIMITS: PeerLimits = PeerLimits { frame: FRAME as u32, message: 8 * 1_024 };

/// Requests in one contact.
const ROUNDS: u8 = 8;

const _: () = assert!(FRAME > 200 + RING * 32 && FRAME > MAX_ENTRY + 16, "a frame holds list and entry");

/// Where readings are written.
const STORE: &str = "sensors";
const PATH: &str = "celsius";

/// Why something was not done.
pub(crate) enum BoardError {
    Flash(FlashError),
    NotTaken(NotTaken),
    Build(BuildError),
    /// What is in flash is no entry of this tree.
    Entry,
}

impl From<FlashError> for BoardError {
    fn from(error: FlashError) -> Self {
        Self::Flash(error)
    }
}

impl From<NotTaken> for BoardError {
    fn from(error: NotTaken) -> Self {
        Self::NotTaken(error)
    }
}

impl From<BuildError> for BoardError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => error.fmt(f),
            Self::NotTaken(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Entry => f.write_str("the flash holds what is no entry: set the board up anew"),
        }
    }
}

/// How a contact ended that did not reach the end which it knows.
pub(crate) enum ContactError {
    Line(LineError),
    Fault(Fault),
    Board(BoardError),
}

impl<E: Into<BoardError>> From<E> for ContactError {
    fn from(error: E) -> Self {
        Self::Board(error.into())
    }
}

impl From<LineError> for ContactError {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl From<Fault> for ContactError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for ContactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::Board(error) => error.fmt(f),
        }
    }
}

/// Memory for frames, lent once.
pub(crate) struct Frames {
    pub(crate) incoming: &'static mut [u8; FRAME],
    pub(crate) outgoing: &'static mut [u8; FRAME],
}

/// A board after its start.
pub(crate) struct Board<F> {
    pub(crate) flash: F,
    pub(crate) journal: Journal,
    pub(crate) holding: Holding<RING>,
    /// How often it was started.
    pub(crate) boots: u64,
    /// Ticks without a byte after which the line is taken to be cut. The node at its other end may look through a long
    /// history, or write to a slow disk.
    pub(crate) patience: u64,
    frames: Frames,
    key: SecretKey,
    entropy: Entropy,
    /// A wall time in milliseconds that was heard of, and when, in ticks.
    heard: (u64, u64),
}

impl<F: Flash> Board<F> {
    /// Reads what it holds.
    pub(crate) fn open(mut flash: F, frames: Frames) -> Result<Self, BoardError> {
        let setup = Setup::read(&mut flash)?;
        let boots = count_boot(&mut flash)?;
        let mut holding = Holding::new(setup.charter());
        let journal = Journal::open(&mut flash, frames.incoming, |record| {
            match record {
                Record::Base { base, time } => {
                    holding = Holding::with_base(setup.charter(), base.as_slice(), time)?;
                }
                Record::Entry { place, bytes } => {
                    let entry = EntryView::read(bytes).map_err(|_| BoardError::Entry)?;
                    holding.insert(&entry, place)?;
                }
            }
            Ok::<(), BoardError>(())
        })?;
        let heard = (holding.newest(), clock::ticks());
        Ok(Self {
            flash,
            journal,
            holding,
            boots,
            patience: 30 * SECOND,
            frames,
            key: setup.key(),
            entropy: Entropy::for_run(&setup.entropy, boots),
            heard,
        })
    }

    /// Writes a reading as an entry of its own.
    pub(crate) fn write(&mut self, reading: i64) -> Result<Position, BoardError> {
        let (mut number, mut data) = ([0; 16], [0; 64]);
        let value = Some(ValueKind::Int(reading).encode(&mut number)?);
        let data = WriteView::encode(&[WriteView { path: PATH, value }], &mut data)?;
        let builder = self.holding.builder(self.now())?;
        let bytes = builder.sign(&self.key, &[(STORE, data)], self.frames.outgoing.as_mut_slice())?;
        let entry = EntryView::read(bytes).map_err(|_| BoardError::Entry)?;
        self.holding.check(&entry)?;
        let place = self.journal.append(&mut self.flash, bytes)?;
        Ok(self.holding.insert(&entry, place)?)
    }

    /// Wall milliseconds, as far as a board without a clock can tell: a time that others claimed, and what passed since.
    fn now(&self) -> u64 {
        let (wall, then) = self.heard;
        wall + (clock::ticks() - then) * 1_000 / SECOND
    }

    /// Exchanges with whoever is at the other end of the line what either lacks.
    pub(crate) fn contact(&mut self, uart: &mut Uart) -> Result<Outcome, ContactError> {
        if self.journal.is_crowded() {
            self.holding.ask_relief();
        }
        let nonce = self.entropy.draw();
        let mut line = Line::open(uart, self.key.clone(), nonce, LIMITS.frame, self.patience)?;
        let config = Config { limits: LIMITS, rounds: ROUNDS };
        let mut contact = Contact::<RING>::new(config, &self.holding, &line.peer)?;
        let ended = self.talk(&mut contact, &mut line);
        line.close();
        if self.holding.newest() > self.now() {
            self.heard = (self.holding.newest(), clock::ticks());
        }
        ended
    }

    fn talk(&mut self, contact: &mut Contact<RING>, line: &mut Line<'_>) -> Result<Outcome, ContactError> {
        let mut received = 0;
        let mut input = Input::Begin;
        loop {
            let incoming = self.frames.incoming.get(..received).unwrap_or_default();
            contact.handle(input, &mut self.holding, incoming, self.frames.outgoing.as_mut_slice())?;
            let mut next = None;
            while let Some(output) = contact.poll() {
                next = match output {
                    Output::Send(length) => {
                        line.send(self.frames.outgoing.get(..length).unwrap_or_default());
                        Some(Input::Sent)
                    }
                    Output::Load { slot, at } => {
                        let room = self.frames.outgoing.get_mut(at..at + slot.bytes as usize);
                        self.flash.read(slot.place as usize, room.unwrap_or_default())?;
                        Some(Input::Loaded)
                    }
                    Output::Finish => {
                        line.finish();
                        None
                    }
                    Output::Receive => match line.receive(self.frames.incoming.as_mut_slice())? {
                        Some(length) => {
                            received = length;
                            Some(Input::Frame)
                        }
                        None => Some(Input::End),
                    },
                    Output::Take { at, bytes } => {
                        let entry = self.frames.incoming.get(at..at + bytes).unwrap_or_default();
                        Some(Input::Taken { place: self.journal.append(&mut self.flash, entry)? })
                    }
                    Output::Advance { base, time } => {
                        self.journal.advance(&mut self.flash, Some(base), time)?;
                        Some(Input::Advanced)
                    }
                    Output::Done(outcome) => return Ok(outcome),
                    _ => None,
                };
            }
            input = next.ok_or(Fault::Misuse("the contact waits for nothing"))?;
        }
    }
}

/// What a contact moved, however it ended.
pub(crate) fn totals(outcome: &Outcome) -> Totals {
    match outcome {
        Outcome::Equal(totals) | Outcome::Unequal(totals) => *totals,
        _ => Totals::default(),
    }
}
