//! Launch files and the `omnimind` command line.
//!
//! [`mod@file`] reads launch files, [`run`] runs them, [`observer`] and [`summary`] say how it went, [`view`] shows it, [`remote`]
//! talks to a graph that runs elsewhere, [`counts`], [`atlas`] and [`explorer`] show one, [`commands`] is what the program does.

pub mod atlas;
pub mod cli;
pub mod commands;
pub mod counts;
pub mod date;
pub mod explain;
pub mod explorer;
pub mod file;
pub mod foreign;
pub mod install;
pub mod map_text;
pub mod networks;
pub mod observer;
pub mod one_node;
pub mod process;
pub mod progress;
pub mod registry;
pub mod remote;
pub mod resume;
pub mod ros_args;
pub mod ros_log;
pub mod run;
pub mod share;
pub mod summary;
pub mod view;
