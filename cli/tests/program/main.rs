//! The program as a person runs it: real processes, sockets and files.

mod demo;
mod histories;
mod misuse;
mod node;
mod served;
mod sharing;
