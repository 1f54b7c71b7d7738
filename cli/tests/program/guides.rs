//! The pages that walk through the program: every command in them runs, in order, and does what the page says.

use crate::reader::{Reader, commands};

fn page(name: &str) -> String {
    let path = format!("{}/../docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The line of an output that begins with this.
fn line<'a>(printed: &'a str, begin: &str) -> &'a str {
    printed.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {printed}"))
}

#[test]
fn whoever_follows_the_page_about_the_first_sync_gets_where_it_says() {
    let page = page("first-sync");
    let mut reader = Reader::new();
    let commands = commands(&page);
    assert!(commands.len() > 12, "the page's commands are found");
    let mut hashes = Vec::new();
    for command in commands {
        let printed = reader.types(command);
        let expected = match command {
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
    let page = page("server");
    let mut reader = Reader::new();
    let commands = commands(&page);
    assert!(commands.len() > 15, "the page's commands are found");
    for command in commands {
        let printed = reader.types(command);
        let expected = match command {
            "pleach --data server join $INVITE" | "pleach --data bob join $TICKET" => "joined",
            "pleach --data server --json status" => "quic:",
            "pleach --data server peers" => "http:",
            _ => "",
        };
        assert!(printed.contains(expected), "{command}: {printed}");
    }
    assert!(reader.variables["TICKET"].contains("@localhost:"), "the place in the ticket is another one");
    // What the service manager is to start is something that starts.
    let start = page.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
    assert!(start.contains("--data /var/lib/pleach serve"), "{start}");
    let start = start.replace("/var/lib/pleach", "bob-copy");
    reader.types(&format!("{start} &"));
    assert!(reader.types("pleach --data bob-copy status").contains("quic:"));
}

#[test]
fn what_the_readme_shows_to_paste_brings_anns_and_bobs_trees_together() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, rest) = readme.split_once("to paste:\n\n```sh\n").unwrap();
    let (session, _) = rest.split_once("```").unwrap();
    // A person waits a moment; a test waits for the door that `serve` opens last.
    assert!(session.contains("sleep 1\n"), "{session}");
    let session =
        session.replace(":8080", ":0").replace("sleep 1\n", "until [ -S $ANN/socket ]; do :; done\n");
    let mut reader = Reader::new();
    std::fs::write(reader.place("session"), session).unwrap();
    let printed = reader.types("TMPDIR=$PWD bash session");
    let got = printed.lines().rev().take(2).collect::<Vec<_>>().join("\n");
    assert!(got.contains("slow, dense") && got.contains("fast, soft"), "{printed}");
}
