//! The firmware on an emulated board, over a serial line, with a node of the program at the other end.
//!
//! ```text
//!  pleach serve --serial A        cable         qemu-system-arm, its UART tied to B
//!        (one process) -------- A : B -------- (one process each time the board is on)
//! ```

#![cfg(unix)]

mod board;
mod cable;
mod elf;
mod image;
#[path = "../program/node.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod node;
mod panics;
mod place;

#[allow(dead_code, unused_imports, reason = "the board and its tests each use another part")]
#[allow(clippy::cast_possible_truncation, reason = "a board's sizes fit into 32 bits")]
#[path = "../../../tests/firmware/src/flash/mod.rs"]
mod flash;

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use cable::{Damage, Way};
use image::Image;
use place::Place;
use pleach_core::limits::MAX_ENTRY;

/// Bytes that the whole firmware may take in flash.
const FLASH: usize = 160 * 1_024;

/// Bytes that it may take in RAM: what is static, and the stack at its peak.
const RAM: usize = 40 * 1_024;

/// Entries in a full ring at most; larger ones fill it sooner.
const FULL: u64 = flash::RING as u64;

/// What each step took, for whoever reads the log. Not a test: nothing fails when it grows.
static FIGURES: Mutex<String> = Mutex::new(String::new());

fn note(step: &str, report: &serde_json::Value) {
    let mut figures = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(figures, "{:>12} instructions  {step}", report["instructions"]).unwrap();
}

/// Says something to whoever runs the tests, though they pass.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

/// The firmware; nothing, said aloud, where there is no emulator or no compiler for the board.
fn image() -> Option<Image> {
    match image::build() {
        Ok(image) => Some(image),
        Err(why) if std::env::var_os("PLEACH_FIRMWARE").is_some() => panic!("{why}"),
        Err(why) => {
            say(&format!("!!! SKIPPED: the firmware on an emulated board: {why}\n"));
            None
        }
    }
}

#[test]
fn a_board_and_a_node_keep_each_other_the_same_whatever_happens() {
    let Some(image) = image() else { return };
    let place = Place::new(image);
    first_contact(&place);
    readings_up_and_entries_down(&place);
    a_line_that_is_cut(&place);
    garbage_on_the_line(&place);
    an_entry_that_is_too_large(&place);
    an_old_side_branch(&place);
    many_entries_while_the_board_was_off(&place);
    a_full_ring(&place);
    place.node.run(&["verify", "greenhouse"]).good();
    let (peak, image) = (place.board.peak(), &place.board.image);
    let all = image.ram + peak;
    say(&format!(
        "\nthe firmware on an emulated Cortex-M3\n{:>12} bytes of flash, of {FLASH}\n{:>12} bytes of RAM in all, of \
         {RAM}: {} static, {peak} of stack at its peak\n{}\n",
        image.flash,
        all,
        image.ram,
        FIGURES.lock().unwrap_or_else(PoisonError::into_inner)
    ));
    assert!(image.flash <= FLASH, "{} bytes of flash", image.flash);
    assert!(peak > 4_096 && all <= RAM, "{all} bytes of RAM, {peak} of them the stack's");
}

fn first_contact(place: &Place) {
    place.put("a", "first");
    let run = place.board.run(&["sync"]);
    let met = run.equal();
    assert_eq!(
        (&met["taken"], &met["advanced"]),
        (&place.count().into(), &0.into()),
        "a small tree comes whole"
    );
    note("start with nothing", run.boot());
    note("first contact, a small tree", met);
}

fn readings_up_and_entries_down(place: &Place) {
    let run = place.board.run(&["write=100..101", "write=101..105", "sync"]);
    assert_eq!(run.equal()["sent"], 5);
    assert_eq!(place.reading(), "104");
    note("one reading: sign, check, store", run.step("write"));
    note("contact: 5 readings up", run.equal());
    place.put("a", "second");
    let run = place.board.run(&["sync"]);
    assert_eq!((&run.equal()["taken"], &run.equal()["sent"]), (&1.into(), &0.into()));
    note("contact: 1 entry down", run.equal());
    place.put("a", "third");
    let run = place.board.run(&["write=105..107", "sync", "sync"]);
    assert_eq!((&run.equal()["taken"], &run.equal()["sent"]), (&1.into(), &2.into()));
    note("contact: 2 readings up, 1 entry down", run.equal());
    note("contact: nothing new", run.steps("sync")[1]);
    assert_eq!(place.reading(), "106");
}

fn a_line_that_is_cut(place: &Place) {
    // In the greeting, in the middle of what goes up, and in the middle of what comes down.
    for (number, (way, after)) in [(Way::Up, 100), (Way::Up, 900), (Way::Down, 200)].into_iter().enumerate() {
        let from = 200 + 10 * number;
        place.put("a", &format!("before cut {number}"));
        place.cable.damage(way, after, Damage::Cut);
        let run = place.board.run(&["patience=6", &format!("write={from}..{}", from + 3), "sync"]);
        assert_eq!(run.step("sync")["ended"], "the line is silent");
        place.cable.mend();
        let run = place.board.run(&["sync"]);
        run.equal();
        assert_eq!(place.reading(), (from + 2).to_string());
    }
}

fn garbage_on_the_line(place: &Place) {
    for (number, (way, after)) in [(Way::Up, 0), (Way::Up, 700), (Way::Down, 150)].into_iter().enumerate() {
        let from = 300 + 10 * number;
        place.put("a", &format!("before garbage {number}"));
        let garbage = (0..997_usize).map(|n| (n * 31 % 256).to_le_bytes()[0]).collect();
        place.cable.damage(way, after, Damage::Garbage(garbage));
        let run = place.board.run(&["patience=5", &format!("write={from}..{}", from + 3), "sync", "sync"]);
        assert_eq!(run.steps("sync")[1]["ended"], "equal", "{:?}", run.steps("sync"));
        assert_eq!(place.reading(), (from + 2).to_string());
    }
    assert_eq!(place.cable.mended(), 3, "all of it came to the line");
}

fn an_entry_that_is_too_large(place: &Place) {
    place.append(MAX_ENTRY);
    let run = place.board.run(&["write=400..402", "sync", "write=402..403", "sync"]);
    assert_eq!(run.equal()["advanced"], 1, "it is passed by");
    assert_eq!(run.steps("sync")[1]["sent"], 1);
    assert_eq!(place.reading(), "402");
    note("contact: an entry of 256 KiB on the host", run.equal());
}

fn an_old_side_branch(place: &Place) {
    let side = json!({"id": "side", "parents": [], "store": "main", "key": "side", "value": 1}).to_string();
    place.node.run_with(&["import", "greenhouse", "-"], &side).good();
    let run = place.board.run(&["write=500..501", "sync"]);
    assert_eq!((&run.equal()["advanced"], &run.equal()["taken"]), (&1.into(), &0.into()), "it is passed by");
    note("contact: an old side branch on the host", run.equal());
    let run = place.board.run(&["write=501..502", "sync"]);
    assert_eq!((&run.equal()["advanced"], &run.equal()["sent"]), (&0.into(), &1.into()));
    assert_eq!(place.reading(), "501");
}

fn many_entries_while_the_board_was_off(place: &Place) {
    let mut lines = String::new();
    for n in 0..10_000 {
        writeln!(lines, "{}", json!({"id": format!("n{n}"), "store": "main", "key": "n", "value": n}))
            .unwrap();
    }
    place.node.run_with(&["import", "greenhouse", "-"], &lines).good();
    let run = place.board.run(&["write=600..602", "sync"]);
    assert_eq!((&run.equal()["advanced"], &run.equal()["taken"]), (&1.into(), &0.into()));
    assert_eq!(place.reading(), "601");
    note("contact: 10,000 new entries on the host", run.equal());
}

fn a_full_ring(place: &Place) {
    let run = place.board.run(&["fill=700", "write=0..1"]);
    let refused = run.steps("write");
    assert!(refused[0]["refused"].as_str().unwrap().contains("the ring is full"), "{refused:?}");
    let written = refused[0]["written"].as_u64().unwrap();
    assert!((FULL / 2..=FULL).contains(&written) && refused[1]["written"] == 0, "it was empty: {refused:?}");
    note(&format!("{written} readings, until the ring is full"), refused[0]);
    // A restart changes nothing; a contact does.
    let run = place.board.run(&["write=0..1", "sync", "write=800..801", "sync"]);
    assert_eq!((&run.step("write")["written"], &run.boot()["ring"]), (&0.into(), &written.into()));
    assert_eq!((&run.equal()["sent"], &run.equal()["advanced"]), (&written.into(), &1.into()));
    assert_eq!(place.reading(), "800");
    note("start with a full ring", run.boot());
    note("contact: a full ring up, then the base advances", run.equal());
}

#[test]
fn a_board_that_loses_power_between_any_two_operations_of_flash_goes_on() {
    let Some(image) = image() else { return };
    let place = Place::new(image);
    place.put("a", "first");
    place.board.run(&["sync"]).equal();
    let mut reading = 1_000;
    let mut cuts = 0;
    // Entries come down in every other round; in the others there are more of them than fit, so that the base advances.
    for (entries, advanced) in [(1, 0), (40, 1)] {
        for operations in 0.. {
            for _ in 0..entries {
                place.put("a", &format!("before {operations}"));
            }
            let write = format!("write={reading}..{}", reading + 2);
            let run = place.board.run(&[&format!("power={operations}"), &write, "sync"]);
            reading += 2;
            if !run.lost_power() {
                assert_eq!(run.equal()["advanced"], advanced);
                break;
            }
            cuts += 1;
            let again = place.board.run(&[&format!("write={reading}..{}", reading + 1), "sync"]);
            assert!(
                again.boot()["boots"].as_u64() > run.boot()["boots"].as_u64(),
                "no start is counted twice"
            );
            again.equal();
            assert_eq!(place.reading(), reading.to_string());
            reading += 1;
        }
    }
    assert!(cuts > 10, "power was lost in the middle: {cuts} times");
}

#[test]
fn every_panic_that_is_left_in_the_image_is_listed_with_its_reason() {
    let Some(image) = image() else { return };
    let sites = panics::sites(&image.elf);
    match panics::compare(&image.elf) {
        Ok(note) => say(&format!("\n{:>12} panics left in the firmware\n{note}", sites.len())),
        Err(difference) => panic!("cli/tests/firmware/panics.txt: {difference}"),
    }
    // Panics are found where they are: the board says where it panics when it is told to.
    let place = Place::new(image);
    let end = place.board.fail(&["panic"]);
    let why = end.step("failed")["why"].as_str().unwrap();
    let said = |site: &panics::Site| why == format!("panic at {}:{}", site.file, site.line);
    assert!(sites.iter().any(said), "{why} is not among {sites:?}");
}
