//! copper: a source task and a sink task of one runtime, which runs them one after the other on one thread. 64 B only: its messages
//! have a fixed size and live in preallocated lists.

use std::cell::RefCell;

use anyhow::{Result, anyhow, ensure};
use cu29::prelude::*;

use crate::sample::now_ns;

thread_local! {
    static TIMES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

#[derive(Reflect)]
struct Source;

impl Freezable for Source {}

impl CuSrcTask for Source {
    type Resources<'r> = ();
    type Output<'m> = output_msg!([u64; 8]);

    fn new(_config: Option<&ComponentConfig>, _resources: Self::Resources<'_>) -> CuResult<Self> {
        Ok(Self)
    }

    fn process(&mut self, _ctx: &CuContext, output: &mut Self::Output<'_>) -> CuResult<()> {
        output.set_payload([now_ns(), 0, 0, 0, 0, 0, 0, 0]);
        Ok(())
    }
}

#[derive(Reflect)]
struct Sink;

impl Freezable for Sink {}

impl CuSinkTask for Sink {
    type Resources<'r> = ();
    type Input<'m> = input_msg!([u64; 8]);

    fn new(_config: Option<&ComponentConfig>, _resources: Self::Resources<'_>) -> CuResult<Self> {
        Ok(Self)
    }

    fn process(&mut self, _ctx: &CuContext, input: &Self::Input<'_>) -> CuResult<()> {
        let arrived = now_ns();
        if let Some(payload) = input.payload() {
            TIMES.with_borrow_mut(|times| times.push(arrived.saturating_sub(payload[0])));
        }
        Ok(())
    }
}

#[copper_runtime(config = "src/peers/copper.ron")]
struct Pair {}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

pub fn inprocess(bytes: usize, count: u32) -> Result<()> {
    ensure!(bytes == 64, "the copper row has one size, 64 B");
    let folder = tempfile::tempdir()?;
    let builder = Pair::builder().with_log_path(&folder.path().join("pair.copper"), Some(64 << 20)).map_err(failed)?;
    let mut running = builder.build().map_err(failed)?.start().map_err(failed)?;
    for _ in 0..1000 + count {
        running.run_one_iteration().map_err(failed)?;
    }
    drop(running.stop().map_err(failed)?);
    TIMES.with_borrow(|times| times.iter().skip(1000).enumerate().for_each(|(number, time)| println!("{number} {time}")));
    println!("end");
    Ok(())
}
