//! OmniMind: a `std_msgs/UInt8MultiArray` from node to node in two processes, with default settings; and a `geometry_msgs/Pose` (56 B)
//! from node to node within one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use graph::{Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::Pose;
use msgs::std_msgs::msg::UInt8MultiArray;
use wire::{Wire, WireConfig};

use crate::run::{Listening, Plan, Sender};
use crate::sample::now_ns;

const TOPIC: &str = "peers";

/// What the one node of this process works with: parameters are all that a graph hands to its nodes, so the rest waits here.
static WORK: Mutex<Option<Work>> = Mutex::new(None);

enum Work {
    /// With the bytes made in a loan or not.
    Publish(Plan, bool),
    Listen(Listening),
    Ended(Result<u32>),
}

fn put(work: Work) {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
}

fn take() -> Option<Work> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn graph(peer: &str, router: &str) -> Result<Graph> {
    let mut config = WireConfig { router: router.to_owned(), embed_router: false, ..WireConfig::default() };
    if peer == "omnimind-network" {
        config.shared_memory = false;
    }
    let wire = Arc::new(Wire::open(config)?);
    let log = graph::silent_sink();
    Ok(Graph::new(GraphConfig { mode: Mode::FreeRunning, log, transport: Some(wire), ..GraphConfig::default() })?)
}

/// Publishes in one long handler: no thread of the harness stands between the plan and the graph.
struct Talker {
    out: Publisher<UInt8MultiArray>,
}

impl Node for Talker {
    const NAME: &'static str = "peers_publisher";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(10), Self::work)?;
        Ok(Self { out: s.publisher(TOPIC, Qos::reliable(10))? })
    }
}

struct Out<'a> {
    node: &'a Talker,
    ctx: &'a mut Context,
    bytes: usize,
    loan: bool,
}

impl Sender for Out<'_> {
    fn send(&mut self, head: &[u8]) -> Result<()> {
        let data = if self.loan {
            // As with the other peers that lend memory, the picture is not drawn anew.
            let mut room = self.node.out.loan(self.bytes);
            room.as_mut_slice()[..head.len()].copy_from_slice(head);
            room.freeze()
        } else {
            let mut data = vec![7; self.bytes];
            data[..head.len()].copy_from_slice(head);
            data.into()
        };
        self.node.out.publish(self.ctx, UInt8MultiArray { data, ..Default::default() });
        Ok(())
    }
}

impl Talker {
    fn work(&mut self, ctx: &mut Context) -> HandlerResult {
        let (plan, loan) = match take() {
            Some(Work::Publish(plan, loan)) => (plan, loan),
            // The graph is ending.
            other => {
                other.into_iter().for_each(put);
                return Ok(());
            }
        };
        let lost = crate::run::publish(&plan, &mut Out { node: self, ctx, bytes: plan.bytes, loan });
        ctx.shutdown("published");
        put(Work::Ended(lost));
        Ok(())
    }
}

struct Ear {
    listening: Option<Listening>,
}

impl Node for Ear {
    const NAME: &'static str = "peers_listener";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe(TOPIC, Qos::reliable(10), |node: &mut Self, ctx, message: Arc<UInt8MultiArray>| {
            if let Some(listening) = &mut node.listening
                && !listening.take(&message.data)
            {
                listening.report();
                node.listening = None;
                ctx.shutdown("heard");
            }
            Ok(())
        })?;
        match take() {
            Some(Work::Listen(listening)) => Ok(Self { listening: Some(listening) }),
            _ => Err(s.failed("nothing to listen for")),
        }
    }
}

pub fn publish(peer: &str, plan: &Plan, router: &str) -> Result<u32> {
    put(Work::Publish(plan.clone(), peer == "omnimind-loan"));
    let mut graph = graph(peer, router)?;
    graph.add(NodeFactory::of::<Talker>(), NodeSpec::default())?;
    let report = graph.run();
    match take() {
        Some(Work::Ended(lost)) => lost,
        _ => Err(anyhow!("the publisher ended: {}", report.reason)),
    }
}

pub fn listen(peer: &str, plan: &Plan, router: &str) -> Result<()> {
    put(Work::Listen(Listening::new(plan)?));
    let mut graph = graph(peer, router)?;
    let name = Some(format!("peers_listener_{}", plan.id));
    graph.add(NodeFactory::of::<Ear>(), NodeSpec { name, ..NodeSpec::default() })?;
    graph.run();
    Ok(())
}

struct Tick {
    out: Publisher<Pose>,
    left: u32,
}

impl Node for Tick {
    const NAME: &'static str = "peers_tick";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let left = s.param("count", 1_i64).range(1.0, 1e9).describe("messages").declare()?.get();
        s.timer(Duration::from_millis(1), |node: &mut Self, ctx| {
            if node.left == 0 {
                ctx.shutdown("measured");
                return Ok(());
            }
            node.left -= 1;
            let mut pose = Pose::default();
            pose.position.x = f64::from_bits(now_ns());
            node.out.publish(ctx, pose);
            Ok(())
        })?;
        let left = u32::try_from(left).map_err(|e| s.failed(e))?;
        Ok(Self { out: s.publisher(TOPIC, Qos::reliable(10))?, left })
    }
}

struct Tock {
    times: Vec<u64>,
}

impl Node for Tock {
    const NAME: &'static str = "peers_tock";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe(TOPIC, Qos::reliable(10), |node: &mut Self, _, pose: Arc<Pose>| {
            node.times.push(now_ns().saturating_sub(pose.position.x.to_bits()));
            Ok(())
        })?;
        Ok(Self { times: Vec::new() })
    }

    fn stop(&mut self, _ctx: &mut Context) -> HandlerResult {
        self.times.iter().skip(200).enumerate().for_each(|(number, time)| println!("{number} {time}"));
        println!("end");
        Ok(())
    }
}

pub fn inprocess(lock_step: bool, bytes: usize, count: u32) -> Result<()> {
    anyhow::ensure!(bytes == 64, "the in-process row has one size, a Pose");
    let mode = if lock_step { Mode::LockStep { step: Duration::from_millis(1), rate: 0.0 } } else { Mode::FreeRunning };
    let mut graph = Graph::new(GraphConfig { mode, log: graph::silent_sink(), ..GraphConfig::default() })?;
    let parameters = [("count".to_owned(), i64::from(200 + count).into())].into();
    graph.add(NodeFactory::of::<Tick>(), NodeSpec { parameters, ..NodeSpec::default() })?;
    graph.add(NodeFactory::of::<Tock>(), NodeSpec::default())?;
    graph.run();
    Ok(())
}
