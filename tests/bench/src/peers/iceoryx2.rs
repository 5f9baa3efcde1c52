//! iceoryx2: a loaned slice with its head written in place, and an event that wakes the listener.

use std::time::Duration;

use anyhow::{Result, anyhow};
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::prelude::*;

use crate::run::{Listening, Plan, Sender};

fn failed(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// One service for each measurement, named after its socket.
fn name(plan: &Plan, what: &str) -> String {
    format!("peers/{what}{}", plan.acks.display())
}

struct Iceoryx {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Notifier<ipc::Service>,
    bytes: usize,
}

impl Sender for Iceoryx {
    fn send(&mut self, head: &[u8]) -> Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(self.bytes).map_err(failed)?;
        for (to, from) in sample.payload_mut().iter_mut().zip(head) {
            to.write(*from);
        }
        // SAFETY: the head is written; the rest is a picture that was not drawn anew, memory that any process of the service may write
        // and for which every value is a byte.
        unsafe { sample.assume_init() }.send().map_err(failed)?;
        self.notifier.notify().map_err(failed)?;
        Ok(())
    }
}

pub fn publish(plan: &Plan) -> Result<u32> {
    let node = NodeBuilder::new().create::<ipc::Service>().map_err(failed)?;
    let topic = name(plan, "topic");
    let service = node.service_builder(&topic.as_str().try_into().map_err(failed)?).publish_subscribe::<[u8]>();
    let service = service.max_subscribers(8).subscriber_max_buffer_size(16).open_or_create().map_err(failed)?;
    let publisher = service.publisher_builder().initial_max_slice_len(plan.bytes).create().map_err(failed)?;
    let topic = name(plan, "event");
    let event = node.service_builder(&topic.as_str().try_into().map_err(failed)?).event().open_or_create().map_err(failed)?;
    let notifier = event.notifier_builder().create().map_err(failed)?;
    crate::run::publish(plan, &mut Iceoryx { publisher, notifier, bytes: plan.bytes })
}

pub fn listen(plan: &Plan) -> Result<()> {
    let node = NodeBuilder::new().create::<ipc::Service>().map_err(failed)?;
    let topic = name(plan, "topic");
    let service = node.service_builder(&topic.as_str().try_into().map_err(failed)?).publish_subscribe::<[u8]>();
    let service = service.max_subscribers(8).subscriber_max_buffer_size(16).open_or_create().map_err(failed)?;
    let subscriber = service.subscriber_builder().create().map_err(failed)?;
    let topic = name(plan, "event");
    let event = node.service_builder(&topic.as_str().try_into().map_err(failed)?).event().open_or_create().map_err(failed)?;
    let listener = event.listener_builder().create().map_err(failed)?;
    let mut listening = Listening::new(plan)?;
    loop {
        listener.timed_wait(|_| {}, Duration::from_secs(60)).map_err(failed)?;
        while let Some(sample) = subscriber.receive().map_err(failed)? {
            if !listening.take(sample.payload()) {
                listening.report();
                return Ok(());
            }
        }
    }
}
