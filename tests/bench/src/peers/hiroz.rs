//! hiroz: a `std_msgs/ByteMultiArray` from node to node, through the router that the others have too.

use anyhow::{Result, anyhow};
use hiroz::context::{ZContext, ZContextBuilder};
use hiroz::{Builder as _, ZBuf};
use hiroz_msgs::std_msgs::ByteMultiArray;
use zenoh_buffers::buffer::SplitBuffer as _;

use crate::run::{Listening, Plan, Sender};

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

fn open(shared: bool, router: &str) -> Result<ZContext> {
    let builder = ZContextBuilder::default().with_router_endpoint(router).map_err(failed)?;
    let builder = if shared { builder.with_shm_pool_size(128 << 20).map_err(failed)? } else { builder };
    builder.build().map_err(failed)
}

struct Hiroz<P: FnMut(&ByteMultiArray) -> Result<()>> {
    publish: P,
    bytes: usize,
}

impl<P: FnMut(&ByteMultiArray) -> Result<()>> Sender for Hiroz<P> {
    fn send(&mut self, head: &[u8]) -> Result<()> {
        // It takes the buffer: a new one each time, as its own benchmark does.
        let mut sample = vec![7; self.bytes];
        sample[..head.len()].copy_from_slice(head);
        (self.publish)(&ByteMultiArray { data: ZBuf::from(sample), ..Default::default() })
    }
}

pub fn publish(shared: bool, plan: &Plan, router: &str) -> Result<u32> {
    let context = open(shared, router)?;
    let node = context.create_node("peers_publisher").build().map_err(failed)?;
    let publisher = node.create_pub::<ByteMultiArray>("peers").build().map_err(failed)?;
    crate::run::publish(plan, &mut Hiroz { publish: |message| publisher.publish(message).map_err(failed), bytes: plan.bytes })
}

pub fn listen(shared: bool, plan: &Plan, router: &str) -> Result<()> {
    let context = open(shared, router)?;
    let node = context.create_node(format!("peers_listener_{}", plan.id)).build().map_err(failed)?;
    let subscription = node.create_sub::<ByteMultiArray>("peers").build().map_err(failed)?;
    let mut listening = Listening::new(plan)?;
    loop {
        let message = subscription.recv().map_err(failed)?;
        if !listening.take(&message.data.contiguous()) {
            listening.report();
            return Ok(());
        }
    }
}
