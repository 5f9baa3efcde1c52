//! One measurement: a publishing process and its listening processes. Which peer carries the samples is behind two small interfaces;
//! everything else, the confirmations included, is the same for all.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::sample::{WARM_UP, head, now_ns, read, touch};

/// How long listeners may take to be found.
const DISCOVERY: Duration = Duration::from_secs(20);
/// After so long a sample counts as lost.
const LOST: Duration = Duration::from_secs(2);
/// Closed loop: the pause before the next sample, so that every listener waits in the system again.
const PAUSE: Duration = Duration::from_millis(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Size of a sample, bytes.
    pub bytes: usize,
    /// Samples measured.
    pub count: u32,
    /// Listening processes.
    pub listeners: usize,
    /// Samples per second; none: the next one when all have confirmed the last.
    pub hz: Option<f64>,
    /// Listeners look at every byte.
    pub touch: bool,
    /// Socket for confirmations.
    pub acks: PathBuf,
    /// Number of this listener.
    pub id: u8,
}

/// A peer's publisher.
pub trait Sender {
    /// Sends a sample of the planned size that begins with `head`.
    fn send(&mut self, head: &[u8]) -> Result<()>;
}

/// Publishes as planned; says how many samples were not confirmed by everybody.
///
/// # Errors
/// When listeners are not found, or the peer cannot send.
pub fn publish(plan: &Plan, sender: &mut dyn Sender) -> Result<u32> {
    let socket = UnixDatagram::bind(&plan.acks).with_context(|| format!("cannot bind {}", plan.acks.display()))?;
    println!("ready");
    find_listeners(plan, &socket, sender)?;
    let mut lost = 0;
    let mut next = now_ns();
    for number in 0..plan.count {
        let at = match plan.hz {
            None => {
                sleep(PAUSE);
                now_ns()
            }
            Some(hz) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let period = (1e9 / hz) as u64;
                next += period;
                sleep(Duration::from_nanos(next.saturating_sub(now_ns())));
                next
            }
        };
        sender.send(&head(at, number))?;
        if plan.hz.is_none() && !confirmed(plan, &socket, number)? {
            lost += 1;
        }
    }
    Ok(lost)
}

fn find_listeners(plan: &Plan, socket: &UnixDatagram, sender: &mut dyn Sender) -> Result<()> {
    let until = Instant::now() + DISCOVERY;
    let mut heard = vec![0; plan.listeners];
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    // Ten each: buffers and pools grow to their size.
    while heard.iter().any(|times| *times < 10) {
        if Instant::now() > until {
            bail!("{} of {} listeners were found", heard.iter().filter(|times| **times > 0).count(), plan.listeners);
        }
        sender.send(&head(now_ns(), WARM_UP))?;
        let mut ack = [0; 5];
        while socket.recv(&mut ack).is_ok() {
            if let Some(times) = heard.get_mut(usize::from(ack[0])) {
                *times += 1;
            }
        }
    }
    Ok(())
}

/// Whether every listener has confirmed sample `number` in time.
fn confirmed(plan: &Plan, socket: &UnixDatagram, number: u32) -> Result<bool> {
    let until = Instant::now() + LOST;
    let mut missing = plan.listeners;
    let mut ack = [0; 5];
    while missing > 0 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        if socket.recv(&mut ack).is_ok() && ack[1..] == number.to_le_bytes() {
            missing -= 1;
        }
    }
    Ok(true)
}

/// Takes the times of samples until all have come, or `finish` says that no more will; prints them, nanoseconds, a line each.
pub struct Listening {
    plan: Plan,
    socket: UnixDatagram,
    times: Vec<(u32, u64)>,
    sum: u64,
}

impl Listening {
    /// # Errors
    /// When the socket for confirmations cannot be had.
    pub fn new(plan: &Plan) -> Result<Self> {
        let times = Vec::with_capacity(plan.count as usize);
        println!("ready");
        Ok(Self { plan: plan.clone(), socket: UnixDatagram::unbound()?, times, sum: 0 })
    }

    /// Takes one sample; whether more are wanted.
    pub fn take(&mut self, sample: &[u8]) -> bool {
        if self.plan.touch {
            self.sum = self.sum.wrapping_add(std::hint::black_box(touch(sample)));
        }
        let arrived = now_ns();
        let Some((at, number)) = read(sample) else { return true };
        if sample.len() < self.plan.bytes {
            return true;
        }
        if number != WARM_UP {
            self.times.push((number, arrived.saturating_sub(at)));
        }
        // In an open loop nobody takes confirmations once the listeners are found, and a full socket would hold this one up.
        if self.plan.hz.is_some() && number != WARM_UP {
            return number.wrapping_add(1) != self.plan.count;
        }
        let mut ack = [self.plan.id; 5];
        ack[1..].copy_from_slice(&number.to_le_bytes());
        // A publisher that has ended wants no confirmation.
        let _ = self.socket.send_to(&ack, &self.plan.acks);
        number.wrapping_add(1) != self.plan.count
    }

    /// Prints the times.
    pub fn report(&self) {
        for (number, time) in &self.times {
            println!("{number} {time}");
        }
        println!("end");
    }
}
