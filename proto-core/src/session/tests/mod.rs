//! Two real sessions against each other, over small stores in memory.

mod bytes;
mod collisions;
mod convergence;
mod hostile;
mod oracle;
mod world;
