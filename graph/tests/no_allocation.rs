//! Publishing, delivering, dispatching and counting messages of a fixed size takes no memory once the graph has warmed up. Memory is
//! counted by this program's allocator; a program of its own, as nothing else may run beside.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use graph::{Context, Graph, GraphConfig, HandlerResult, Mode, Node, NodeFactory, NodeSpec, Publisher, Qos, Setup, SetupError};
use msgs::geometry_msgs::msg::Twist;

static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages in a window. The graph's own report, once a second, takes memory: some windows have one in them, most have not.
const WINDOW: usize = 50;
const WINDOWS: usize = 60;

static SEEN: Mutex<(usize, usize, Vec<usize>)> = Mutex::new((0, 0, Vec::new()));

/// Publishes on a timer.
struct Source(Publisher<Twist>);

impl Node for Source {
    const NAME: &'static str = "source";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.timer(Duration::from_millis(1), |node: &mut Self, ctx: &mut Context| {
            node.0.publish(ctx, Twist::default());
            Ok(())
        })?;
        Ok(Self(s.publisher("first", Qos::reliable(10))?))
    }
}

/// Hears one topic and says it on.
struct Relay(Publisher<Twist>);

impl Node for Relay {
    const NAME: &'static str = "relay";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("first", Qos::reliable(10), |node: &mut Self, ctx, twist: Arc<Twist>| {
            node.0.publish(ctx, Twist::clone(&twist));
            Ok(())
        })?;
        Ok(Self(s.publisher("second", Qos::reliable(10))?))
    }
}

struct Sink;

impl Node for Sink {
    const NAME: &'static str = "sink";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.subscribe("first", Qos::reliable(10), |_: &mut Self, _, _: Arc<Twist>| Ok(()))?;
        s.subscribe("second", Qos::reliable(10), Self::hear)?;
        Ok(Self)
    }
}

impl Sink {
    fn hear(&mut self, ctx: &mut Context, _: Arc<Twist>) -> HandlerResult {
        let Ok(mut seen) = SEEN.lock() else { return Ok(()) };
        seen.0 += 1;
        if seen.0 % WINDOW == 0 {
            let now = COUNT.load(Ordering::Relaxed);
            let taken = now - seen.1;
            seen.2.push(taken);
            seen.1 = COUNT.load(Ordering::Relaxed);
            if seen.2.len() == WINDOWS {
                ctx.shutdown("enough");
            }
        }
        Ok(())
    }
}

#[test]
fn messages_of_a_fixed_size_take_no_memory_in_steady_state_in_both_modes() {
    for mode in [Mode::LockStep { step: Duration::from_millis(1), rate: 0.0 }, Mode::FreeRunning] {
        for threads in [1, 3] {
            *SEEN.lock().unwrap() = (0, 0, Vec::with_capacity(WINDOWS + 1));
            let mut graph =
                Graph::new(GraphConfig { mode, threads, log: graph::silent_sink(), ..GraphConfig::default() }).unwrap();
            for factory in [NodeFactory::of::<Source>(), NodeFactory::of::<Relay>(), NodeFactory::of::<Sink>()] {
                graph.add(factory, NodeSpec::default()).unwrap();
            }
            graph.run();
            let taken = &SEEN.lock().unwrap().2;
            let without = taken.iter().filter(|taken| **taken == 0).count();
            // The graph looks at itself four times a second, which takes memory: at 1 kHz in one window of five, on a loaded machine, where
            // a window lasts longer, in more. A message that took memory would do so in all.
            assert!(without >= WINDOWS / 2, "{mode:?}, {threads} threads: {taken:?}");
        }
    }
}
