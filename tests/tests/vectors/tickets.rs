//! Tickets good and bad, invites, and proofs that one is redeemed.

use pleach_core::{
    Id, SecretKey,
    entry::Permission,
    wire::{Address, DatabaseTicket, Invitation, InviteError, MAX_TICKET, Redemption},
};
use serde_json::{Value, json};

use super::{hex, kind};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

fn tree() -> Id {
    Id::from_bytes([1; 32])
}

fn invitation(permission: Permission, uses: u16, expires: u64) -> Invitation {
    Invitation::sign(&key(2), tree(), key(3), permission, uses, expires).expect("an invite")
}

/// What a ticket says.
fn said(ticket: &DatabaseTicket, secret: &SecretKey) -> Value {
    let addresses = ticket.addresses().iter().map(|address| {
        let key = address.key.expect("a hint names a key").to_string();
        json!({ "transport": address.transport_type, "key": key, "place": address.address })
    });
    let invite = ticket.invite().map(|invitation| {
        let mut invite = serde_json::to_value(invitation.invite()).expect("JSON");
        invite["id"] = json!(invitation.invite().id().to_string());
        invite["secret"] = json!(hex(&secret.to_bytes()));
        invite
    });
    json!({
        "database": ticket.database().to_string(), "addresses": addresses.collect::<Vec<_>>(), "invite": invite,
    })
}

fn texts() -> Vec<(&'static str, String)> {
    let (id, node) = (tree(), key(7).public());
    let bare = format!("pleach:?db={id}");
    let plain = invitation(Permission::Write(100), 1, 86_400_000);
    let longest = invitation(Permission::Admin(u16::MAX), 1_024, u64::MAX).to_text();
    let text = plain.to_text();
    let other =
        Invitation::sign(&key(2), Id::of(b"other"), key(3), Permission::Read, 1, 1).expect("an invite");
    let mut changed = text.clone();
    changed.replace_range(60..61, if text.as_bytes()[60] == b'a' { "b" } else { "a" });
    let hint = |place: &str| format!("&pr=http:{node}@{place}");
    let made = DatabaseTicket::new(
        id,
        [
            Address::http("[2001:db8::1]:8080").with_key(node),
            Address::quic("192.0.2.7:443").with_key(key(8).public()),
        ],
    );
    let made = made.and_then(|made| made.with_invite(plain.clone())).expect("a ticket").to_string();
    vec![
        ("a database alone", bare.clone()),
        ("in upper case", format!("PLEACH:?db={}", id.to_string().to_uppercase())),
        ("white space around it", format!(" {bare}\n")),
        ("two addresses and an invite", made),
        ("an address with escapes", format!("{bare}&pr=serial:{node}@%2Fdev%2Ftty%C3%A4%25%26")),
        (
            "unknown parameters and malformed hints",
            format!(
                "pleach:?new=1&db={id}&pr=nonsense&pr=%zz&pr=http:h:1&flag&pr=http:{node}@h:1&pr=quic:&pr=Http:{node}@h:1\
             &pr=http:{node}@&pr=http:{node}@a%20b&pr=http:{node}@a@b&DB=x"
            ),
        ),
        ("an address of 513 bytes", format!("{bare}&pr=http:{node}@{}", "h".repeat(513 - 58))),
        ("an address of 512 bytes", format!("{bare}&pr=http:{node}@{}", "h".repeat(512 - 58))),
        ("17 addresses", format!("{bare}{}", (0..17).map(|n| hint(&format!("h:{n}"))).collect::<String>())),
        ("the longest invite", format!("{bare}&in={longest}")),
        ("an invite in upper case", format!("{bare}&in={}", text.to_uppercase())),
        ("an invite to read", format!("{bare}&in={}", invitation(Permission::Read, 1, 0).to_text())),
        ("an invite of version 2", format!("{bare}&in=aiaa")),
        ("an invite before the database", format!("pleach:?in={text}&db={id}")),
        ("another scheme", "http://example.org".into()),
        ("a scheme with a slash", format!("pleach:/?db={id}")),
        ("no database", format!("pleach:?pr=http:{node}@h:1")),
        ("a database that is no id", "pleach:?db=abc".into()),
        ("a database with stray bits", format!("{}r", &bare[..bare.len() - 1])),
        ("two databases", format!("{bare}&db={id}")),
        ("two invites", format!("{bare}&in={text}&in={text}")),
        ("an invite to another database", format!("{bare}&in={}", other.to_text())),
        ("an invite with a letter changed", format!("{bare}&in={changed}")),
        ("an invite cut short", format!("{bare}&in={}", &text[..text.len() - 2])),
        ("an invite without letters", format!("{bare}&in=")),
        ("more bytes than a ticket has", "x".repeat(MAX_TICKET + 1)),
    ]
}

fn redemptions() -> Vec<(&'static str, Redemption)> {
    let redeemer = key(9).public();
    let good = invitation(Permission::Write(100), 3, 1 << 41);
    let (promise, secret) = (*good.invite(), key(3));
    let changed = |change: &dyn Fn(&mut pleach_core::wire::Invite)| {
        let mut invite = promise;
        change(&mut invite);
        Redemption::sign(invite, &secret, redeemer)
    };
    vec![
        ("redeemed", good.redeem(redeemer)),
        ("redeemed for another key", good.redeem(key(10).public())),
        ("redeemed without the secret", Redemption::sign(promise, &key(4), redeemer)),
        ("redeemed with a greater permission", changed(&|invite| invite.permission = Permission::Admin(0))),
        ("redeemed with more uses", changed(&|invite| invite.uses += 1)),
        ("redeemed later", changed(&|invite| invite.expires += 1)),
        ("redeemed in another tree", changed(&|invite| invite.tree = Id::of(b"other"))),
        ("redeemed with no use", changed(&|invite| invite.uses = 0)),
        ("redeemed with 1,025 uses", changed(&|invite| invite.uses = 1_025)),
        ("redeemed in version 2", changed(&|invite| invite.version = 2)),
    ]
}

pub(super) fn vectors() -> Vec<Value> {
    let mut list = Vec::new();
    for (name, text) in texts() {
        list.push(match text.parse::<DatabaseTicket>() {
            Ok(ticket) => {
                let (said, written) = (said(&ticket, &key(3)), ticket.to_string());
                json!({ "name": name, "text": text, "ticket": said, "written": written })
            }
            Err(error) => {
                json!({ "name": name, "text": text, "fault": kind(&error), "error": error.to_string() })
            }
        });
    }
    for (name, redemption) in redemptions() {
        let mut vector = serde_json::to_value(redemption).expect("JSON");
        vector["name"] = json!(name);
        vector["redeemer"] = json!(key(9).public().to_string());
        vector["id"] = json!(redemption.invite.id().to_string());
        if let Err(error) = redemption.check(&key(9).public()) {
            let _: InviteError = error;
            vector["fault"] = json!("Worthless");
            vector["error"] = json!(error.to_string());
        }
        list.push(vector);
    }
    list
}
