//! Planner: from words and goals to admissible plans of the eight actions, and their execution step by step.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`words`] | similarity of words that a recogniser may have misheard |
//! | [`intent`] | what a sentence asks for |
//! | [`goals`] | the life cycle of goals |
//! | [`energy`] | what an action costs in Wh, learnt on the way; the forecast |
//! | [`travel`] | travel distances over the map |
//! | [`world`] | places, what is believed of objects, where to look first |
//! | [`domain`] | states and actions with preconditions, effects, duration and energy |
//! | [`search`] | A* over them |
//! | [`mission`] | carries plans out: one action at a time, retries, replanning, reports |
//!
//! None of these knows the graph; the node is a thin coat around [`mission`].

pub mod domain;
pub mod energy;
mod frozen;
pub mod goals;
pub mod intent;
pub mod mission;
mod node;
pub mod search;
pub mod travel;
mod wire;
pub mod words;
pub mod world;

pub use node::Planner;
