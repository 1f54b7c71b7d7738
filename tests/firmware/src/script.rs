//! What the board is told to do: words of the command line, each one step, each answered by one line of JSON that also
//! says how many instructions it took.
//!
//! | word | step |
//! |---|---|
//! | `flash=PATH` | first: start from this flash |
//! | `write=A..B` | write the readings from A up to B, B aside |
//! | `fill=A` | write readings from A on until one is refused |
//! | `sync` | one contact |
//! | `patience=N` | take the line to be cut after N seconds without a byte |
//! | `power=N` | lose power after N more operations of flash |
//! | `panic` | panic, to see that panics are found |

use core::fmt;

use cortex_m::singleton;
use pleach_core::session::partial::Outcome;

use crate::{
    board::{Board, BoardError, ContactError, FRAME, Frames, totals},
    clock::{self, INSTRUCTIONS, SECOND},
    flash_file::FlashFile,
    host::{ARGUMENTS, arguments, say},
    stack,
    uart::Uart,
};

/// Why the script ended early.
pub(crate) enum Stopped {
    Arguments,
    Twice,
    NoFlash,
    Board(BoardError),
}

impl From<BoardError> for Stopped {
    fn from(error: BoardError) -> Self {
        Self::Board(error)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments => f.write_str("the command line is not understood: see script.rs"),
            Self::Twice => f.write_str("the board was started twice"),
            Self::NoFlash => f.write_str("the flash file is not there, or of another length"),
            Self::Board(error) => error.fmt(f),
        }
    }
}

/// Counts the instructions of a step, those spent waiting aside.
struct Meter {
    began: u64,
    waited: u64,
}

impl Meter {
    fn start(uart: &Uart) -> Self {
        Self { began: clock::ticks(), waited: uart.waited }
    }

    fn instructions(&self, uart: &Uart) -> u64 {
        (clock::ticks() - self.began).saturating_sub(uart.waited - self.waited) * INSTRUCTIONS
    }
}

/// Carries the command line out.
pub(crate) fn run() -> Result<(), Stopped> {
    let mut parts = cortex_m::Peripherals::take().ok_or(Stopped::Twice)?;
    clock::start(&mut parts.SYST);
    let mut uart = Uart::start();
    let room = singleton!(: [u8; ARGUMENTS] = [0; ARGUMENTS]).ok_or(Stopped::Twice)?;
    let mut words = arguments(room).split_ascii_whitespace().skip_while(|word| !word.starts_with("flash="));
    let path = words.next().and_then(|word| word.strip_prefix("flash=")).ok_or(Stopped::Arguments)?;
    let frames = Frames {
        incoming: singleton!(: [u8; FRAME] = [0; FRAME]).ok_or(Stopped::Twice)?,
        outgoing: singleton!(: [u8; FRAME] = [0; FRAME]).ok_or(Stopped::Twice)?,
    };
    let place = singleton!(: Option<Board<FlashFile>> = None).ok_or(Stopped::Twice)?;
    let board = start(path, frames, place, &uart)?;
    for word in words {
        step(word, board, &mut uart)?;
        say(format_args!("{{\"step\":\"stack\",\"peak\":{}}}", stack::peak()));
    }
    Ok(())
}

/// Starts from a flash. Apart, so that what is moved about in doing so is not on the stack later.
#[inline(never)]
fn start<'a>(
    path: &str,
    frames: Frames,
    place: &'a mut Option<Board<FlashFile>>,
    uart: &Uart,
) -> Result<&'a mut Board<FlashFile>, Stopped> {
    let flash = FlashFile::open(path).ok_or(Stopped::NoFlash)?;
    let meter = Meter::start(uart);
    let board = place.insert(Board::open(flash, frames)?);
    say(format_args!(
        "{{\"step\":\"boot\",\"boots\":{},\"ring\":{},\"base\":{},\"instructions\":{}}}",
        board.boots,
        board.holding.ring().len(),
        board.holding.base().len(),
        meter.instructions(uart)
    ));
    Ok(board)
}

fn step(word: &str, board: &mut Board<FlashFile>, uart: &mut Uart) -> Result<(), Stopped> {
    let (verb, rest) = word.split_once('=').unwrap_or((word, ""));
    match verb {
        "write" => {
            let (from, to) = rest.split_once("..").ok_or(Stopped::Arguments)?;
            write(board, uart, number(from)?..number(to)?);
        }
        "fill" => write(board, uart, number(rest)?..i64::MAX),
        "sync" => sync(board, uart),
        "patience" => board.patience = number(rest)?.unsigned_abs() * SECOND,
        "power" => {
            let operations = rest.parse().map_err(|_| Stopped::Arguments)?;
            board.flash.lose_power_after(operations);
        }
        "panic" => panic!("as it was told"),
        _ => return Err(Stopped::Arguments),
    }
    Ok(())
}

fn number(text: &str) -> Result<i64, Stopped> {
    text.parse().map_err(|_| Stopped::Arguments)
}

/// Writes readings until one is refused.
fn write(board: &mut Board<FlashFile>, uart: &Uart, readings: core::ops::Range<i64>) {
    let meter = Meter::start(uart);
    let mut written = 0;
    let mut refused = None;
    for reading in readings {
        match board.write(reading) {
            Ok(_) => written += 1,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let instructions = meter.instructions(uart);
    say(format_args!(
        "{{\"step\":\"write\",\"written\":{written},\"refused\":\"{}\",\"instructions\":{instructions}}}",
        Shown(refused)
    ));
}

/// One contact.
fn sync(board: &mut Board<FlashFile>, uart: &mut Uart) {
    let meter = Meter::start(uart);
    let ended = board.contact(uart);
    let instructions = meter.instructions(uart);
    let moved = ended.as_ref().map(totals).unwrap_or_default();
    say(format_args!(
        "{{\"step\":\"sync\",\"ended\":\"{}\",\"taken\":{},\"sent\":{},\"advanced\":{},\"rounds\":{},\"ring\":{},\
         \"instructions\":{instructions}}}",
        Ended(&ended),
        moved.taken,
        moved.sent,
        moved.advanced,
        moved.rounds,
        board.holding.ring().len(),
    ));
}

/// Nothing, or what is there.
struct Shown<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |shown| shown.fmt(f))
    }
}

/// The end of a contact, in a few words.
struct Ended<'a>(&'a Result<Outcome, ContactError>);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(Outcome::Equal(_)) => f.write_str("equal"),
            Ok(Outcome::Unequal(_)) => f.write_str("unequal"),
            Ok(Outcome::Behind(id)) => write!(f, "the peer lacks {id}"),
            Ok(Outcome::Refused(refusal)) => write!(f, "refused: {refusal:?}"),
            Ok(_) => f.write_str("in a way unknown here"),
            Err(error) => error.fmt(f),
        }
    }
}
