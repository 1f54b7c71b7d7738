//! A ticket on the command line.

use std::fmt;

use pleach_core::wire::DatabaseTicket;
use serde::{Deserialize, Serialize};

/// The text of a ticket. It may hold a secret, which `Debug` does not show.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TicketText(String);

impl TicketText {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TicketText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketText(…)")
    }
}

/// The text of a ticket that reads.
pub(super) fn ticket(text: &str) -> Result<TicketText, String> {
    text.parse::<DatabaseTicket>().map(|_| TicketText(text.into())).map_err(|error| error.to_string())
}
