//! An access request, from its frame to its answer.

use alloc::boxed::Box;

use crate::{
    Now,
    node::{BootstrapRequest, Op, deciding::Asking, exchanges::Next, outbox::Outbox},
    session::{Fault, rule},
    storage::StorageError,
    wire::{Ask, AskOutcome, Asked, Kind, Refusal, VERSION, Versions, write},
};

use super::{MAX_HOLD, Phase, Responder, Then};

/// Bytes of an answer to an access request at most.
const ASKED: usize = 16;

impl Responder {
    /// Until when a decision is waited for, if it is, in monotonic milliseconds.
    pub(in crate::node) const fn awaits(&self) -> Option<u64> {
        match &self.phase {
            Phase::Awaiting(asking) => asking.until,
            _ => None,
        }
    }

    /// Somebody has decided about something: who waits for that asks once more.
    pub(in crate::node) fn ask_again(&mut self) {
        if let Phase::Awaiting(asking) = &self.phase {
            self.phase = Phase::Asking(asking.clone());
        }
    }

    pub(super) fn ask(&mut self, ask: &Ask, metadata: &[u8], out: &mut Outbox) {
        if ask.versions.agree(Versions::OURS).is_none() {
            let fault = Fault::Incompatible { theirs: ask.versions, ours: Versions::OURS };
            return self.refuse(&fault.reply(), out);
        }
        let Some(key) = self.proven else {
            let rule = rule("an access request is made for a key that is proven");
            return self.refuse(&Refusal::Malformed { rule }, out);
        };
        // When it came is said when its turn comes.
        let mut request =
            BootstrapRequest::new(self.seen_as(ask.tree), key, ask.permission, &ask.name, metadata, 0);
        request.signed = self.signed.unwrap_or_default();
        let invite = ask.invite.map(Box::new);
        let hold = ask.hold.min(MAX_HOLD);
        self.phase = Phase::Asking(Asking { request: Box::new(request), invite, hold, until: None });
    }

    /// An access request that waits for its turn, which has come.
    pub(in crate::node) fn take_request(&mut self, now: Now) -> Option<Asking> {
        let Phase::Asking(asking) = &mut self.phase else { return None };
        asking.request.received = now.wall;
        let asking = asking.clone();
        // An invite is redeemed once; what it did not do then it does not do later.
        let until = asking.until.unwrap_or(now.monotonic.saturating_add(asking.hold.into()));
        self.phase = Phase::Asked(Asking { invite: None, until: Some(until), ..asking.clone() });
        Some(asking)
    }

    /// What became of the access request is durable.
    pub(in crate::node) fn asked(
        &mut self,
        outcome: &Result<AskOutcome, StorageError>,
        now: u64,
        out: &mut Outbox,
    ) -> Next {
        let Phase::Asked(asking) = &self.phase else { return Next::On };
        match *outcome {
            Ok(AskOutcome::Received) if asking.until.is_some_and(|until| until > now) => {
                self.phase = Phase::Awaiting(asking.clone());
            }
            Ok(outcome) => self.tell(outcome, out),
            Err(_) => self.refuse(&Refusal::Failed, out),
        }
        Next::On
    }

    pub(super) fn tell(&mut self, outcome: AskOutcome, out: &mut Outbox) {
        let mut room = [0; ASKED];
        let asked = Asked { version: VERSION, outcome };
        let length = write(Kind::Asked, &asked, core::iter::empty::<()>(), &mut room).unwrap_or(0);
        out.exchange(self.id, Op::Send(room.get(..length).unwrap_or_default().into()));
        self.finish(Then::Drain, out);
    }
}
