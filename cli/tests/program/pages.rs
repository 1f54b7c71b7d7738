//! The pages that walk through the program: every command in them runs, in order, and does what the page says. Which pages
//! have to be here is held by `tests/tests/book.rs`.

use pleach_tests::pages::{blocks, read, session};

use crate::reader::Reader;

/// The line of an output that begins with this.
fn line<'a>(printed: &'a str, begin: &str) -> &'a str {
    printed.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {printed}"))
}

#[test]
fn whoever_follows_the_page_about_the_first_sync_gets_where_it_says() {
    let mut reader = Reader::new();
    let mut hashes = Vec::new();
    for command in session("docs/first-sync.md") {
        let printed = reader.types(&command);
        let expected = match command.as_str() {
            "pleach --data bob join $INVITE" => "joined",
            "pleach --data bob get notes trees" => "keeps its leaves",
            "pleach --data bob sync notes" => "1 entry",
            _ => "",
        };
        assert!(printed.contains(expected), "{command}: {printed}");
        if command.contains(" stats ") {
            hashes.push(line(&printed, "content hash").to_owned());
        }
    }
    assert_eq!(hashes.len(), 2);
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn whoever_follows_the_page_about_servers_gets_where_it_says() {
    let mut reader = Reader::new();
    for command in session("docs/server.md") {
        let printed = reader.types(&command);
        let expected = match command.as_str() {
            "pleach --data server join $INVITE" | "pleach --data bob join $TICKET" => "joined",
            "pleach --data server --json status" => "quic:",
            "pleach --data server peers" => "http:",
            _ => "",
        };
        assert!(printed.contains(expected), "{command}: {printed}");
    }
    assert!(reader.variable("TICKET").contains("@localhost:"), "the place in the ticket is another one");
    // What the service manager is to start is something that starts.
    let page = read("docs/server.md");
    let start = page.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
    assert!(start.contains("--data /var/lib/pleach serve"), "{start}");
    let start = start.replace("/var/lib/pleach", "bob-copy");
    reader.types(&format!("{start} &"));
    assert!(reader.types("pleach --data bob-copy status").contains("quic:"));
}

#[test]
fn whoever_follows_the_page_about_imports_gets_where_it_says() {
    let mut reader = Reader::new();
    let page = blocks(&read("docs/import.md"));
    let history = &page.iter().find(|block| block.language == "json").unwrap().text;
    std::fs::write(reader.place("history.jsonl"), history).unwrap();
    for command in session("docs/import.md") {
        reader.types(&command);
    }
    let out = std::fs::read_to_string(reader.place("out.jsonl")).unwrap();
    assert_eq!(out.lines().count(), history.lines().count(), "{out}");
    // What went in comes out, and goes in once more without a change.
    assert!(reader.types("pleach --data ann --json get notes trees elm || true").trim().is_empty());
    assert!(reader.types("pleach --data ann get notes trees").contains("meters"));
    reader.types("pleach --data ann import notes history.jsonl");
    assert_eq!(reader.types("pleach --data ann export notes -").trim(), out.trim());
}

#[test]
fn whoever_follows_the_page_about_sharing_gets_where_it_says() {
    let mut reader = Reader::new();
    for command in session("docs/sharing.md") {
        let printed = reader.types(&command);
        let expected = match command.as_str() {
            "pleach --data bob join $INVITE" => "joined",
            "pleach --data eve join $INVITE" | "pleach --data eve join $LEAKED" => "pending",
            "pleach --data ann invite notes --list" => "used 1 of 1",
            "pleach --data ann requests" => "Dave",
            _ => "",
        };
        assert!(printed.contains(expected), "{command}: {printed}");
    }
    // Revoked, Bob stays out.
    assert!(reader.types("pleach --data bob join $INVITE").contains("pending"));
}

#[test]
fn whoever_follows_the_page_about_peers_gets_where_it_says() {
    let mut reader = Reader::new();
    for command in session("docs/peers.md") {
        let printed = reader.types(&command);
        let expected: &[&str] = match command.as_str() {
            "pleach --data laptop peers" => &["desk", "quic:", "http:"],
            "pleach --data laptop peers block $DESK" => &["blocked"],
            _ => &[],
        };
        assert!(expected.iter().all(|expected| printed.contains(expected)), "{command}: {printed}");
    }
    let key = reader.variable("DESK");
    assert!(!reader.types("pleach --data laptop peers").contains(&key), "it was removed again");
}

#[test]
fn whoever_follows_the_page_about_a_lost_device_gets_where_it_says() {
    let mut reader = Reader::new();
    for command in session("docs/lost-keys.md") {
        // The thief is faster than the owner.
        if command.contains("root import notes.key") && reader.variable("ENTRY").is_empty() {
            let put = reader.types("pleach --data desk --json put notes main title nonsense");
            let put: serde_json::Value = serde_json::from_str(put.trim()).unwrap();
            reader.types(&format!("ENTRY={}", &put["entry"].as_str().unwrap()[..8]));
            reader.types("pleach --data laptop sync notes");
            assert!(reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
        }
        reader.types(&command);
    }
    let [desk, laptop, phone] = ["DESK", "LAPTOP", "PHONE"].map(|name| reader.variable(name));
    let members = reader.types("pleach --data laptop keys notes");
    let of = |key: &str| members.lines().find(|line| line.contains(key));
    assert!(of(&desk).is_none(), "{members}");
    assert!(of(&laptop).is_some_and(|line| line.contains("admin:0")), "{members}");
    assert!(of(&phone).is_some_and(|line| line.contains("write:100")), "{members}");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
    // The file from before is as good as the one from after: it is the same key.
    reader.types("cmp notes.key notes-again.key");
    // Whoever has the stolen device is served no more, and what it writes is taken by nobody.
    reader.types("pleach --data desk put notes main title stolen");
    reader.types("pleach --data laptop sync notes || true");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("stolen"));
}

#[test]
fn whoever_follows_the_readme_brings_anns_and_bobs_trees_together() {
    let mut reader = Reader::new();
    let mut shown = 0;
    for command in session("README.md") {
        if command.starts_with("git log") {
            takes_in_a_history(&mut reader, &command);
            continue;
        }
        let printed = reader.types(&command);
        // What one shows the other goes by hand, by post, by a code on a screen.
        let carried = match command.split(" #").next().unwrap().trim() {
            "pleach --data $BOB init --name Bob" => Some("BOBS_KEY"),
            "pleach --data $ANN ticket notes" => Some("TICKET"),
            command if command.starts_with("pleach --data $ANN invite notes") => Some("INVITE"),
            _ => None,
        };
        if let Some(name) = carried {
            reader.types(&format!("{name}='{}'", printed.trim()));
        }
        if command.starts_with("pleach --data $ANN requests  ") {
            assert!(printed.contains("Carol"), "{printed}");
            reader.types(&format!("ID={}", printed.split_whitespace().next().unwrap()));
        }
        if command.starts_with("pleach --data $ANN get notes trees") {
            assert!(printed.contains("slow, dense") && printed.contains("fast, soft"), "{printed}");
            shown += 1;
        }
    }
    assert_eq!(shown, 2, "step by step, and all of it to paste");
}

/// The last block of the session, in a git repository with a history.
fn takes_in_a_history(reader: &mut Reader, command: &str) {
    let tools = ["git", "jq"];
    let missing =
        tools.iter().find(|tool| reader.types(&format!("command -v {tool} || true")).trim().is_empty());
    if let Some(missing) = missing {
        return eprintln!("!!! SKIPPED: the README's import of a git history needs {missing}");
    }
    reader.types("git init -q . && git config user.name Ann && git config user.email ann@example.com");
    for subject in ["plant \"hornbeam\"", "cut it"] {
        reader.types(&format!("git commit -q --allow-empty -m '{subject}'"));
    }
    reader.types(command);
    let exported = reader.types("pleach --data $ANN export notes");
    assert!(exported.contains(r#""plant \"hornbeam\"""#) && exported.contains("cut it"), "{exported}");
    // The line that the README shows is one of that form.
    let page = read("README.md");
    let json = blocks(&page).into_iter().find(|block| block.language == "json").unwrap();
    std::fs::write(reader.place("history.jsonl"), json.text).unwrap();
    reader.types("pleach --data $ANN create other");
    reader.types("pleach --data $ANN import other history.jsonl");
    assert!(reader.types("pleach --data $ANN export other").contains("planted"));
}
