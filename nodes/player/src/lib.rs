//! Plays recordings: the messages of a bag come back as topics of the graph, in their order and at their pace.
//!
//! [`Player`] is the node; [`timeline`] maps the graph's clock to the recording's, [`replay`] compares what nodes make anew with what was
//! recorded. Bags are read by the crate `bags`.

mod frozen;
mod images;
mod keyboard;
mod node;
pub mod replay;
mod routes;
mod services;
pub mod timeline;

pub use keyboard::{Keyboard, on_space};
pub use node::Player;
