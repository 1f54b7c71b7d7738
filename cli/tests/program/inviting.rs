//! Getting in by an invite.

use crate::node::{Node, program};

#[test]
fn whoever_joins_with_an_invite_is_in_at_once_and_the_next_is_not() {
    let (a, b, c) = (Node::new(), Node::empty(), Node::new());
    b.run(&["init", "--name", "Bob's laptop"]).good();
    a.run(&["create", "notes"]).good();
    a.run(&["put", "notes", "main", "title", "Pleaching"]).good();
    let serving = a.serve(&["--http", "127.0.0.1:0"]);
    let made = a.run(&["invite", "notes", "--permission", "write", "--uses", "1", "--expires", "12h"]);
    let ticket = made.good()["ticket"].as_str().unwrap().to_owned();
    assert!(ticket.contains("&in="), "{ticket}");
    assert_eq!((&made.good()["permission"], &made.good()["uses"]), (&"write:100".into(), &1.into()));

    let joined = b.run(&["join", &ticket]);
    assert_eq!(joined.good()["outcome"], "joined");
    assert_eq!(b.text(&["get", "notes", "main", "title"], "value"), "Pleaching");
    b.run(&["put", "notes", "main", "title", "by B"]).good();
    b.run(&["sync", "notes"]).good();
    assert_eq!(b.text(&["join", &ticket], "outcome"), "joined", "as often as it likes");

    let pending = c.run(&["join", &ticket]);
    assert_eq!(pending.good()["outcome"], "pending");
    let reason = pending.good()["reason"].as_str().unwrap();
    assert!(reason.contains(&c.key()) && reason.contains("used up"), "{reason}");
    assert!(c.run(&["list"]).lines.is_empty());
    assert_eq!(a.text(&["requests"], "key"), c.key(), "people may still let it in");

    let listed = a.run(&["invite", "notes", "--list"]);
    let [invite] = &listed.lines[..] else { panic!("one was expected: {:?}", listed.lines) };
    assert_eq!(invite["id"], made.good()["id"]);
    assert_eq!((&invite["status"], &invite["used"], &invite["uses"]), (&"used".into(), &1.into(), &1.into()));
    assert_eq!((&invite["by"], &invite["expires"]), (&a.key().into(), &made.good()["expires"]));
    assert_eq!(
        (&invite["redeemed"][0]["key"], &invite["redeemed"][0]["by"]),
        (&b.key().into(), &a.key().into())
    );
    let secret = &ticket[ticket.len() - 40..];
    assert!(!format!("{:?}", listed.lines).contains(secret), "the secret is nowhere but in the ticket");
    let members = a.run(&["keys", "notes"]);
    assert!(members.lines.iter().any(|member| member["name"] == "Bob's laptop"), "{:?}", members.lines);
    serving.stop();
    assert_eq!(a.run(&["invite", "notes", "--list"]).lines, listed.lines, "uses outlive the process");
}

#[test]
fn an_invite_is_revoked_by_its_id_or_by_its_ticket() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes"]).good();
    let _serving = a.serve(&["--http", "127.0.0.1:0"]);
    let made = ["invite", "notes", "--permission", "read", "--uses", "9"];
    let (first, second) = (a.run(&made), a.run(&made));
    let id = first.good()["id"].as_str().unwrap();
    let ticket = second.good()["ticket"].as_str().unwrap();
    for revoked in [id, ticket] {
        assert_eq!(a.run(&["invite", "notes", "--revoke", revoked]).good()["revoked"], true);
    }
    a.run(&["invite", "notes", "--revoke", id]).good();
    assert_eq!(b.text(&["join", ticket], "outcome"), "pending");
    let listed = a.run(&["invite", "notes", "--list"]);
    assert_eq!(listed.lines.len(), 2);
    for invite in &listed.lines {
        assert_eq!((&invite["status"], &invite["revoked_by"]), (&"revoked".into(), &a.key().into()));
    }
    let unknown = a.text(&["stats", "notes"], "id");
    assert!(a.run(&["invite", "notes", "--revoke", &unknown]).error(1).contains("no invite"));
}

#[test]
fn an_invite_is_for_people_to_read_and_to_draw() {
    let a = Node::new();
    a.run(&["create", "notes"]).good();
    let shown = |args: &[&str]| {
        let output = program().arg("--data").arg(a.data()).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (made, told) = shown(&["invite", "notes", "--permission", "admin", "--qr", "--as-root"]);
    assert!(made.contains('▀') && made.trim_end().lines().last().unwrap().contains("&in="), "{made}");
    assert!(told.contains("in private") && told.contains("no server"), "{told}");
    let (listed, _) = shown(&["invite", "notes", "--list"]);
    assert!(listed.contains("admin:0, used 0 of 1") && listed.contains("expires 20"), "{listed}");
}

#[test]
fn what_cannot_be_promised_is_refused_with_a_way_out() {
    let (a, b) = (Node::new(), Node::new());
    a.run(&["create", "notes", "--public", "read"]).good();
    let _serving = a.serve(&["--http", "127.0.0.1:0"]);
    let ticket = a.text(&["ticket", "notes"], "ticket");
    b.run(&["join", &ticket]).good();
    assert!(b.run(&["invite", "notes", "--permission", "read"]).error(1).contains("no administrator"));
    let high = a.run(&["invite", "notes", "--permission", "admin:0"]).error(1);
    assert!(high.contains("admin:1") && high.contains("higher rank"), "{high}");
    assert!(
        a.run(&["invite", "notes", "--permission", "read", "--uses", "0"]).error(1).contains("1 to 1024")
    );
    let long = a.run(&["invite", "notes", "--permission", "read", "--expires", "366d"]).error(1);
    assert!(long.contains("365 days"), "{long}");
    for args in [
        &["invite", "notes"][..],
        &["invite", "notes", "--permission", "owner"],
        &["invite", "notes", "--permission", "read", "--expires", "soon"],
        &["invite", "notes", "--permission", "read", "--list"],
        &["invite", "notes", "--list", "--revoke", "x"],
        &["invite", "notes", "--revoke", &ticket],
        &["join", &format!("{ticket}&in=cut")],
        &["join", &ticket, "--name", "Bob"],
    ] {
        assert!(!b.run(args).error(2).is_empty(), "{args:?}");
    }
    assert!(a.run(&["invite", "notes", "--list"]).lines.is_empty(), "nothing was half made");
}
