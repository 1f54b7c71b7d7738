//! The page about lost devices: every command in it runs, in order, and does what the page says.

use crate::reader::{Reader, commands};

#[test]
fn whoever_follows_the_page_about_a_lost_device_gets_where_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lost-keys.md")).unwrap();
    let mut reader = Reader::new();
    let commands = commands(&page);
    assert!(commands.len() > 10, "the page's commands are found");
    for line in commands {
        // The thief is faster than the owner.
        if line.contains("root import notes.key") && !reader.variables.contains_key("ENTRY") {
            let put = reader.types("pleach --data desk --json put notes main title nonsense");
            let put: serde_json::Value = serde_json::from_str(&put).unwrap();
            reader.variables.insert("ENTRY".to_owned(), put["entry"].as_str().unwrap()[..8].to_owned());
            reader.types("pleach --data laptop sync notes");
            assert!(reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
        }
        reader.types(line);
    }
    let members = reader.types("pleach --data laptop keys notes");
    let of = |name: &str| members.lines().find(|line| line.contains(&reader.variables[name]));
    assert!(of("DESK").is_none(), "{members}");
    assert!(of("LAPTOP").is_some_and(|line| line.contains("admin:0")), "{members}");
    assert!(of("PHONE").is_some_and(|line| line.contains("write:100")), "{members}");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("nonsense"));
    // The file from before is as good as the one from after: it is the same key.
    reader.types("cmp notes.key notes-again.key");
    // Whoever has the stolen device is served no more, and what it writes is taken by nobody.
    reader.types("pleach --data desk put notes main title stolen");
    reader.types("pleach --data laptop sync notes || true");
    assert!(!reader.types("pleach --data laptop get notes main title || true").contains("stolen"));
}
