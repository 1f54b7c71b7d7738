//! `invite` on the command line.

use std::time::Duration;

use clap::Args;
use pleach_core::{Id, wire::DatabaseTicket};
use serde::{Deserialize, Serialize};

use crate::permission::Asked;

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub(crate) struct Invite {
    /// Id or name
    pub(crate) db: String,
    /// What is granted: `read`, `write[:N]` or `admin[:N]`, below what this node holds
    #[arg(long, required_unless_present_any = ["list", "revoke"], conflicts_with_all = ["list", "revoke"])]
    pub(crate) permission: Option<Asked>,
    /// How many nodes it lets in, up to 1024
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) uses: u16,
    /// For how long it is good: `30m`, `12h`, `7d` or `4w`, up to 365 days
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    pub(crate) expires: Duration,
    /// Draw the ticket as a QR code as well
    #[arg(long, conflicts_with_all = ["list", "revoke"])]
    pub(crate) qr: bool,
    /// Sign with the root key, which ranks above everybody, in place of the node's own
    #[arg(long, conflicts_with = "list")]
    pub(crate) as_root: bool,
    /// List all invites, and whom they let in
    #[arg(long, conflicts_with = "revoke")]
    pub(crate) list: bool,
    /// Take one back, by its id or by its ticket; whom it let in stays
    #[arg(long, value_name = "INVITE", value_parser = invite)]
    pub(crate) revoke: Option<Id>,
}

/// The id of an invite, or that of the invite in a ticket.
fn invite(text: &str) -> Result<Id, String> {
    if let Ok(ticket) = text.parse::<DatabaseTicket>() {
        let invite = ticket.invite().ok_or("the ticket holds no invite: there is nothing to revoke")?;
        return Ok(invite.invite().id());
    }
    text.parse().map_err(|error| format!("expected the id of an invite, or its ticket: {error}"))
}

/// A span of time: a number and its unit.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || String::from("expected a number and a unit, as in `30m`, `12h`, `7d` or `4w`");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_has_a_unit() {
        assert_eq!(span("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(span("2w"), span("14d"));
        for wrong in ["", "7", "d", "-1d", "1.5h", "7 d", "7ä", "99999999999d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
