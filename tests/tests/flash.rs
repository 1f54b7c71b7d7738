//! What the firmware keeps in flash, over a flash in memory that loses power at any operation, and in the middle of one.

#[allow(dead_code, unused_imports, reason = "the board and its tests each use another part")]
#[allow(clippy::cast_possible_truncation, reason = "a board's sizes fit into 32 bits")]
#[path = "../firmware/src/flash/mod.rs"]
mod flash;

use flash::{
    ERASED, Flash, FlashError, Journal, MAX_ENTRY, PAGE, PAGES, RING, ROOM, Record, Setup, WORD, count_boot,
};
use pleach_core::{Entropy, Id, Position, SecretKey};

/// How an operation ends that power is lost in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Torn {
    /// It did not begin.
    Before,
    /// Half of it was done.
    Middle,
}

/// Flash in memory, with its rules.
#[derive(Clone)]
struct Memory {
    bytes: Vec<u8>,
    /// Operations until power is lost, and how.
    power: Option<(usize, Torn)>,
    operations: usize,
}

impl Memory {
    fn new() -> Self {
        Self { bytes: vec![ERASED; PAGE * PAGES], power: None, operations: 0 }
    }

    /// What was erased or written before the power was lost.
    fn operation(&mut self, at: usize, with: &[u8]) -> Result<(), FlashError> {
        self.operations += 1;
        let done = match &mut self.power {
            None => with.len(),
            Some((0, Torn::Before)) => 0,
            Some((0, Torn::Middle)) => with.len() / 2,
            Some((left, _)) => {
                *left -= 1;
                with.len()
            }
        };
        self.bytes[at..at + done].copy_from_slice(&with[..done]);
        if done == with.len() { Ok(()) } else { Err(FlashError::Device) }
    }
}

impl Flash for Memory {
    fn read(&mut self, at: usize, room: &mut [u8]) -> Result<(), FlashError> {
        room.copy_from_slice(&self.bytes[at..at + room.len()]);
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashError> {
        self.operation(page * PAGE, &[ERASED; PAGE])
    }

    fn program(&mut self, at: usize, bytes: &[u8]) -> Result<(), FlashError> {
        assert!(
            at.is_multiple_of(WORD)
                && bytes.len().is_multiple_of(WORD)
                && at / PAGE == (at + bytes.len() - 1) / PAGE
        );
        assert!(
            self.bytes[at..at + bytes.len()].iter().all(|byte| *byte == ERASED),
            "programmed without an erase"
        );
        self.operation(at, bytes)
    }
}

/// What a log says: the base with its time, and the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    base: (Option<Position>, u64),
    entries: Vec<Vec<u8>>,
}

fn open(flash: &mut Memory) -> Result<(Journal, Held), FlashError> {
    let mut held = Held::default();
    let mut places = Vec::new();
    let journal = Journal::open(flash, &mut [0; MAX_ENTRY], |record| {
        match record {
            Record::Base { base, time } => held = Held { base: (base, time), entries: Vec::new() },
            Record::Entry { place, bytes } => {
                held.entries.push(bytes.to_vec());
                places.push((place as usize, bytes.to_vec()));
            }
        }
        Ok::<(), FlashError>(())
    })?;
    for (place, bytes) in places {
        assert_eq!(flash.bytes[place..place + bytes.len()], bytes, "a place is where the bytes are");
    }
    Ok((journal, held))
}

fn position(height: u64) -> Position {
    Position { height, id: Id::of(&height.to_le_bytes()) }
}

/// What a board does with its log, drawn from a seed.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Append(usize),
    Advance,
    Restart,
}

/// One deed out of `one_in` is an advance.
fn deed(entropy: &mut Entropy, one_in: u8) -> Deed {
    let [what, low, high] = entropy.draw();
    match what % one_in {
        0 => Deed::Advance,
        1 => Deed::Restart,
        _ => Deed::Append(usize::from(u16::from_le_bytes([low, high])) % MAX_ENTRY + 1),
    }
}

/// Carries deeds out until power is lost. `held` follows what was done; `next` is what the last deed would have made.
fn live(flash: &mut Memory, entropy: &mut Entropy, deeds: usize, held: &mut Held) -> Option<Held> {
    let Ok((mut journal, found)) = open(flash) else { return Some(held.clone()) };
    assert_eq!(found, *held);
    for number in 0..deeds {
        let mut next = held.clone();
        let done = match deed(entropy, 24) {
            Deed::Append(bytes) => {
                let room: usize = held.entries.iter().map(Vec::len).sum();
                if held.entries.len() == RING || room + bytes > ROOM {
                    continue;
                }
                let entry = vec![number.to_le_bytes()[0]; bytes];
                next.entries.push(entry.clone());
                journal.append(flash, &entry).map(drop)
            }
            Deed::Advance => {
                next = Held { base: (Some(position(number as u64)), number as u64), entries: Vec::new() };
                journal.advance(flash, Some(position(number as u64)), number as u64)
            }
            Deed::Restart => open(flash).map(|(again, found)| {
                assert_eq!((&again, &found), (&journal, &*held), "a restart changes nothing");
                journal = again;
            }),
        };
        match done {
            Ok(()) => *held = next,
            Err(FlashError::Device) => return Some(next),
            Err(error) => panic!("{error} in deed {number}"),
        }
    }
    None
}

#[test]
fn a_full_ring_always_fits_whatever_is_lost_at_the_ends_of_pages() {
    for seed in 0..40 {
        let mut held = Held::default();
        assert_eq!(live(&mut Memory::new(), &mut Entropy::new([seed; 32]), 2_000, &mut held), None);
    }
    // The worst: after a small entry the largest does not fit into the rest of a page.
    let mut flash = Memory::new();
    let (mut journal, _) = open(&mut flash).unwrap();
    for round in 0..50 {
        for _ in 0..ROOM / (MAX_ENTRY + 8) {
            journal.append(&mut flash, &[1; 8]).unwrap();
            journal.append(&mut flash, &[2; MAX_ENTRY]).unwrap();
        }
        journal.advance(&mut flash, Some(position(round)), round).unwrap();
    }
}

#[test]
fn a_loss_of_power_anywhere_costs_at_most_what_was_under_way() {
    for seed in 0..6 {
        let mut whole = Memory::new();
        live(&mut whole, &mut Entropy::new([seed; 32]), 150, &mut Held::default());
        for cut in 0..whole.operations {
            for torn in [Torn::Before, Torn::Middle] {
                let mut flash = Memory { power: Some((cut, torn)), ..Memory::new() };
                let mut entropy = Entropy::new([seed; 32]);
                let mut held = Held::default();
                let next = live(&mut flash, &mut entropy, 150, &mut held).expect("power was lost");
                flash.power = None;
                let (_, found) =
                    open(&mut flash).unwrap_or_else(|error| panic!("{error}: {seed}, {cut}, {torn:?}"));
                assert!(found == held || found == next, "seed {seed}, cut {cut}, {torn:?}");
                // It goes on, with less room perhaps until the next advance.
                held = found;
                let (mut journal, _) = open(&mut flash).unwrap();
                journal.advance(&mut flash, held.base.0, held.base.1).unwrap();
                held.entries.clear();
                assert_eq!(live(&mut flash, &mut entropy, 100, &mut held), None);
            }
        }
    }
}

#[test]
fn power_that_is_lost_again_and_again_never_keeps_the_base_from_advancing() {
    for torn in [Torn::Before, Torn::Middle] {
        let mut flash = Memory::new();
        let (mut journal, mut held) = open(&mut flash).unwrap();
        let mut crowded = false;
        for number in 0..200_u64 {
            // Each time the record is torn, and the rest of its page is lost.
            flash.power = Some((usize::from(torn == Torn::Before), torn));
            let torn = journal.append(&mut flash, &[7; 40]);
            flash.power = None;
            crowded |= journal.is_crowded();
            (journal, _) = open(&mut flash).unwrap();
            match torn {
                Ok(_) => panic!("power was lost"),
                Err(FlashError::Full) => assert!(journal.is_crowded(), "relief is asked for before"),
                Err(_) => match journal.append(&mut flash, &number.to_le_bytes()) {
                    Ok(_) => held.entries.push(number.to_le_bytes().to_vec()),
                    Err(error) => assert_eq!(error, FlashError::Full),
                },
            }
            assert_eq!(open(&mut flash).unwrap().1, held);
        }
        assert!(crowded);
        for number in 0..50 {
            for cut in 0..4 {
                flash.power = Some((cut, torn));
                let lost = journal.advance(&mut flash, Some(position(number)), number).is_err();
                flash.power = None;
                let found;
                (journal, found) = open(&mut flash).unwrap();
                if lost {
                    assert_eq!(found, held);
                } else {
                    held = Held { base: (Some(position(number)), number), entries: Vec::new() };
                    assert_eq!(found, held);
                }
            }
            journal.advance(&mut flash, None, number).unwrap();
            held = Held { base: (None, number), entries: Vec::new() };
        }
    }
}

#[test]
fn no_number_of_a_start_comes_twice_wherever_power_is_lost() {
    let mut flash = Memory::new();
    let mut last = 0;
    for start in 0..2_000 {
        let torn = if start % 2 == 0 { Torn::Before } else { Torn::Middle };
        flash.power = (start % 3 != 0).then_some((start % 4 / 2, torn));
        if let Ok(number) = count_boot(&mut flash) {
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
    assert!(last > 600, "two pages came round: {last}");
}

#[test]
fn a_setup_is_read_as_it_was_written_and_anything_else_is_refused() {
    let keys = [1, 2, 3].map(|seed| SecretKey::from_bytes([seed; 32]).public());
    let mut flash = Memory::new();
    assert!(matches!(Setup::read(&mut flash), Err(FlashError::Damaged(_))));
    Setup::new([4; 32], [5; 32], Id::of(b"tree"), &keys).write(&mut flash).unwrap();
    let setup = Setup::read(&mut flash).unwrap();
    assert_eq!(
        (setup.charter().tree, setup.charter().allowed.as_slice()),
        (Id::of(b"tree"), keys.as_slice())
    );
    assert_eq!((setup.key().to_bytes(), setup.entropy), ([4; 32], [5; 32]));
    for at in 0..300 {
        let mut other = flash.clone();
        other.bytes[at] ^= 1;
        assert!(Setup::read(&mut other).is_err(), "byte {at}");
    }
}
