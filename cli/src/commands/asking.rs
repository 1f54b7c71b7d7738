//! `join --request`, and `join` with an invite: getting into a database by asking.

use std::time::{Duration, Instant};

use pleach_smol::{AccessRequest, Bootstrap, DatabaseTicket, Sync, SyncError};

use super::{
    exchange::with_progress,
    sharing::{Attempt, Outcome},
};
use crate::{args::Join, context::Context, failure::Misuse, node};

/// The first pause between two requests; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest: somebody who has decided plausibly waits this long to see the other come in.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Milliseconds for which a peer may keep its answer back, so that the outcome is here as soon as somebody has decided.
const HOLD: u32 = 10_000;

/// How often a pause looks whether anybody still waits for the outcome.
const GLANCE: Duration = Duration::from_millis(200);

/// What the command line asks for, if it asks.
pub(super) fn request(
    cx: &Context,
    join: &Join,
    ticket: &DatabaseTicket,
) -> anyhow::Result<Option<AccessRequest>> {
    let asked = join.request.map(|asked| AccessRequest::new(asked.of_another()));
    let Some(mut request) = asked.or_else(|| AccessRequest::of_ticket(ticket)) else {
        if join.name.is_some() {
            return Err(Misuse("there is nothing to ask under this name: add --request".into()).into());
        }
        return Ok(None);
    };
    if let Some(name) = &join.name {
        request = request.name(name);
    } else if let Some(name) = node::name(&cx.data)? {
        request = request.name(fitting(&name));
    }
    if let Some(message) = &join.message {
        if message.is_empty() {
            return Err(Misuse("the message is empty: leave it out".into()).into());
        }
        request = request.metadata(message.as_bytes());
    }
    Ok(Some(request))
}

/// As much of a name as a request carries.
fn fitting(name: &str) -> &str {
    let fits = |(at, c): (usize, char)| {
        (at + c.len_utf8() <= pleach_core::limits::MAX_GRANT_NAME).then_some(at + c.len_utf8())
    };
    &name[..name.char_indices().map_while(fits).last().unwrap_or(0)]
}

/// Joins, or asks; with `wait`, again until somebody has decided.
pub(super) async fn join(
    cx: &Context,
    sync: &Sync,
    ticket: &DatabaseTicket,
    request: &AccessRequest,
    wait: bool,
) -> Result<Attempt, SyncError> {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        // Whoever has been told that it waits may as well wait for the answer.
        let request = &request.clone().hold(if told { HOLD } else { 0 });
        let began = Instant::now();
        let asked = with_progress(cx, sync, sync.bootstrap_with_ticket(ticket, request)).await;
        let outcome = match asked {
            // A peer that cannot be reached now is no answer.
            Err(error) if wait && told && error.is_retryable() => None,
            Err(error) => return Err(error),
            Ok(outcome) => Some(outcome),
        };
        match outcome {
            Some(Bootstrap::Joined(report)) => {
                return Ok(Attempt { outcome: Outcome::Joined, report: Some(report), reason: None });
            }
            Some(Bootstrap::Rejected(report)) => {
                let reason = Some("somebody has decided against this request".into());
                return Ok(Attempt { outcome: Outcome::Rejected, report, reason });
            }
            Some(Bootstrap::Pending(report)) if !wait => {
                let key = cx.instance.device_key();
                let reason = if ticket.invite().is_some() {
                    format!(
                        "the invite lets nobody in there: it may be used up, revoked or expired, or the peer cannot take \
                         it; ask for a new one, or for an administrator to approve this node ({key}), and join again"
                    )
                } else {
                    format!("an administrator has to approve it (this node is {key}); join again after that")
                };
                return Ok(Attempt { outcome: Outcome::Pending, report, reason: Some(reason) });
            }
            Some(Bootstrap::Pending(_)) | None => {}
        }
        if !told {
            // Whoever reads this has hung up if it fails, which the pause finds out.
            let _ = cx.out.remark(format!("asked, and waiting (this node is {})", cx.instance.device_key()));
            told = true;
        }
        // A peer that kept its answer back is asked again at once.
        if began.elapsed() < Duration::from_millis(HOLD.into()) / 2 {
            if !rest(cx, jittered(pause)).await {
                return Err(SyncError::CLOSED);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        } else if cx.still_wanted().is_err() {
            return Err(SyncError::CLOSED);
        }
    }
}

/// Between half of a pause and all of it, so that many who wait do not ask at the same time.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness everybody pauses as long.
    let _ = getrandom::fill(&mut random);
    pause / 2 + pause / 2 * u32::from(u16::from_le_bytes(random)) / u32::from(u16::MAX)
}

/// Lets time pass. Says whether anybody still waits.
async fn rest(cx: &Context, pause: Duration) -> bool {
    let mut left = pause;
    while !left.is_zero() {
        let glance = left.min(GLANCE);
        async_io::Timer::after(glance).await;
        left -= glance;
        if cx.still_wanted().is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_a_character_and_a_pause_is_never_longer() {
        assert_eq!(fitting("Bob"), "Bob");
        assert_eq!(fitting(&"ä".repeat(40)), "ä".repeat(32));
        assert_eq!(fitting(&format!("x{}", "ä".repeat(40))).len(), 63);
        for _ in 0..100 {
            let pause = jittered(LONGEST_PAUSE);
            assert!(pause >= LONGEST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{pause:?}");
        }
    }
}
