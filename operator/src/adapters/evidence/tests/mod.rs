//! Tests of the evidence sources: a server that plays answers, tables of odd answers, properties of a window.

mod client;
mod recorded;
mod server;
mod window;
