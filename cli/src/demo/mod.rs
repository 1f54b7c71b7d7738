//! The tour: two nodes with real files and sockets meet, part, edit and meet again, and hold the same at the end.
//!
//! | file | holds |
//! |---|---|
//! | `site` | one node of the tour: in this process, or a child |
//! | `guide` | what is told on the way, and the table at the end |
//! | `plant` | a fault that the comparison must find |

mod guide;
mod plant;
mod site;

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{failure::Ending, output::Output, transports};
use guide::{Guide, Took, Verdict};
use site::Site;

/// The shape of a real project's history: smoltcp's, 2,086 commits of 189 authors.
const HISTORY: &str = include_str!("../../../tests/data/dag-smoltcp.jsonl");

/// Commits of each node while they are apart.
const EDITS: usize = 20;

/// The database's name.
const DB: &str = "history";

/// Runs the tour. With `plant`, one row of one node is changed before the comparison.
pub(crate) fn run(out: &Output, plant: bool) -> anyhow::Result<Ending> {
    let folder = tempfile::Builder::new().prefix("pleach-demo-").tempdir().context("no temporary folder")?;
    let guide = Guide::new(out);
    guide.title(&format!("Two nodes, with files and sockets in {}", folder.path().display()))?;
    let mut tour = Tour { guide, steps: Vec::new() };
    let (a, b) = tour.beginnings(folder.path())?;
    tour.import(&a, folder.path())?;
    let http = tour.bootstrap(&a, &b)?;
    tour.apart(&a, &b, "first")?;
    tour.together(&a, &b, "sync over http", &http)?;
    let second = second_transport();
    let other = if second == "http" { http } else { a.listen(second)? };
    tour.guide.chapter(&format!("They part again, and meet over {}", second.to_uppercase()))?;
    tour.apart(&a, &b, "second")?;
    tour.together(&a, &b, &format!("sync over {second}"), &other)?;
    tour.nothing_new(&b, &other)?;
    tour.compare(a, b, folder.path(), plant)
}

/// The transport of the second meeting, if this program was built with it.
fn second_transport() -> &'static str {
    transports::ALL.iter().rfind(|name| **name != "serial").copied().unwrap_or("http")
}

struct Tour<'a> {
    guide: Guide<'a>,
    steps: Vec<Took>,
}

impl Tour<'_> {
    fn beginnings(&mut self, folder: &Path) -> anyhow::Result<(Site, Site)> {
        self.guide.chapter("Two nodes")?;
        let a = Site::here("A", &folder.join("a"))?;
        self.guide.tell("A", "init", &format!("public key {}", a.key))?;
        let b = Site::child("B", &folder.join("b"))?;
        self.guide.tell("B", "init", &format!("public key {}, a process of its own", b.key))?;
        Ok((a, b))
    }

    fn import(&mut self, a: &Site, folder: &Path) -> anyhow::Result<()> {
        self.guide.chapter("A takes in the history of a real project")?;
        a.ask_for(&["create", DB], "id").and_then(|id| self.guide.tell("A", &format!("create {DB}"), &id))?;
        let file = folder.join("dag-smoltcp.jsonl");
        fs::write(&file, HISTORY)?;
        let done = a.ask(&["import", DB, &file.display().to_string()])?.last()?;
        let (entries, seconds) = (number(&done, "entries"), done["seconds"].as_f64().unwrap_or_default());
        let authors =
            HISTORY.lines().filter_map(|line| line.split(r#""author":""#).nth(1)?.split('"').next());
        let authors = authors.collect::<std::collections::HashSet<_>>().len();
        let told = format!("{entries} commits of {authors} authors, signed and stored in {seconds:.2} s");
        self.guide.tell("A", &format!("import {DB} dag-smoltcp.jsonl"), &told)?;
        let stats = a.ask(&["stats", DB])?.last()?;
        self.steps.push(Took {
            step: "import".into(),
            entries,
            bytes: number(&stats, "bytes"),
            round_trips: 0,
            seconds,
        });
        Ok(())
    }

    /// B is refused, is granted access, and joins. Returns where A listens.
    fn bootstrap(&mut self, a: &Site, b: &Site) -> anyhow::Result<String> {
        self.guide.chapter("B joins by ticket")?;
        let http = a.listen("http")?;
        self.guide.tell("A", "serve --http 127.0.0.1:0", &http)?;
        let ticket = a.ask_for(&["ticket", DB], "ticket")?;
        self.guide.tell("A", &format!("ticket {DB}"), &ticket)?;
        let refused = b.ask(&["join", &ticket])?;
        ensure!(refused.ending == Ending::Failed, "a join without permission was not refused");
        self.guide.tell(
            "B",
            "join TICKET",
            &format!("{}: nobody has let B in yet", text(&refused.last()?, "outcome")),
        )?;
        let granted = a.ask_for(&["keys", DB, "grant", &b.key, "write", "--name", "B"], "permission")?;
        self.guide.tell(
            "A",
            &format!("keys {DB} grant {}… write", &b.key[..8]),
            &format!("B may {granted}"),
        )?;
        let joined = b.ask(&["join", &ticket, "--once"])?.good()?;
        self.record("bootstrap over http", &joined);
        let told = format!("{}: {}", text(&joined, "outcome"), moved(&joined));
        self.guide.tell("B", "join TICKET --once", &told)?;
        self.guide.chapter("They part, and both go on")?;
        Ok(http)
    }

    /// Both write what the other does not see, also to the same keys.
    fn apart(&mut self, a: &Site, b: &Site, round: &str) -> anyhow::Result<()> {
        for site in [a, b] {
            for n in 0..EDITS {
                let (key, value) = match n {
                    0 => ("title".to_owned(), format!("{}'s {round} title", site.name)),
                    n if n % 4 == 0 => (format!("shared-{n}"), format!("{} was here", site.name)),
                    n => (format!("{}-{round}-{n}", site.name), format!("edit {n}")),
                };
                site.ask(&["put", DB, "notes", &key, &value])?.good()?;
            }
            let title = title(site)?;
            let told = format!("and {} more commits; sees {title:?}", EDITS - 1);
            self.guide.tell(site.name, &format!("put {DB} notes title \"{title}\""), &told)?;
        }
        Ok(())
    }

    fn together(&mut self, a: &Site, b: &Site, step: &str, address: &str) -> anyhow::Result<()> {
        let synced = b.ask(&["sync", DB, "--peer", address])?.good()?;
        self.record(step, &synced);
        let kind = address.split(':').next().unwrap_or_default();
        self.guide.tell("B", &format!("sync {DB} --peer {kind}:A"), &moved(&synced))?;
        let (at_a, at_b) = (title(a)?, title(b)?);
        self.guide.tell("A", &format!("get {DB} notes title"), &at_a)?;
        self.guide.tell("B", &format!("get {DB} notes title"), &at_b)
    }

    fn nothing_new(&mut self, b: &Site, address: &str) -> anyhow::Result<()> {
        let synced = b.ask(&["sync", DB, "--peer", address])?.good()?;
        self.record("sync with nothing new", &synced);
        self.guide.tell("B", &format!("sync {DB} --peer {}:A", second_transport()), &moved(&synced))
    }

    /// Closes both stores, opens them again, and compares what they hold.
    fn compare(self, a: Site, b: Site, folder: &Path, plant: bool) -> anyhow::Result<Ending> {
        self.guide.chapter("Both stores are closed, opened again and compared")?;
        a.close()?;
        b.close()?;
        if plant {
            plant::change_a_row(&folder.join("b"))?;
        }
        let mut found = Vec::new();
        for (name, folder) in [("A", folder.join("a")), ("B", folder.join("b"))] {
            let site = Site::here(name, &folder)?;
            let stats = site.ask(&["stats", DB])?.good()?;
            let (tips, hash) = (stats["tips"].to_string(), text(&stats, "content_hash").to_owned());
            let tip = stats["tips"][0].as_str().unwrap_or_default();
            let more = stats["tips"].as_array().map_or(0, |tips| tips.len().saturating_sub(1));
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let entries = number(&stats, "entries");
            self.guide.tell(name, &format!("stats {DB}"), &format!("{entries} entries"))?;
            self.guide.note(&format!("tip           {tip}{more}"))?;
            self.guide.note(&format!("content hash  {hash}"))?;
            site.close()?;
            found.push((tips, hash, entries));
        }
        let same = found.windows(2).all(|pair| pair[0] == pair[1]);
        self.guide.verdict(&Verdict { same, steps: self.steps })?;
        Ok(if same { Ending::Done } else { Ending::Failed })
    }

    fn record(&mut self, step: &str, moved: &Value) {
        self.steps.push(Took {
            step: step.to_owned(),
            entries: number(moved, "entries_received") + number(moved, "entries_sent"),
            bytes: number(moved, "bytes_received") + number(moved, "bytes_sent"),
            round_trips: number(moved, "round_trips"),
            seconds: moved["seconds"].as_f64().unwrap_or_default(),
        });
    }
}

fn title(site: &Site) -> anyhow::Result<String> {
    site.ask_for(&["get", DB, "notes", "title"], "value")
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn moved(value: &Value) -> String {
    format!(
        "{} entries in, {} out, {} round trips, {:.2} s",
        number(value, "entries_received"),
        number(value, "entries_sent"),
        number(value, "round_trips"),
        value["seconds"].as_f64().unwrap_or_default()
    )
}
