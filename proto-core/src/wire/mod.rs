//! What peers say to each other, and how they find and prove one another.

#[cfg(feature = "alloc")]
mod address;
#[cfg(feature = "alloc")]
mod ticket;

#[cfg(feature = "alloc")]
pub use address::{Address, AddressError, MAX_ADDRESS};
#[cfg(feature = "alloc")]
pub use ticket::{DatabaseTicket, MAX_HINTS, MAX_TICKET, TicketError};
