//! iceoryx2 between two processes: what `omnimind bench process` measures, with its sizes, its pace and its clock, so that the figures
//! can be put side by side. Blocking wait: the publisher sends, then notifies an event on which the listener sleeps. Memory sized for the
//! message, all else at its defaults. The message is there before the stamp is taken; it is read after the second stamp.
//!
//! `cargo run --release [-- --count 200 --period-ms 20]` prints one line per size and way: bytes, read or not, p50 and p99 in microseconds.

use iceoryx2::prelude::*;
use std::error::Error;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SIZES: [usize; 6] = [64, 4 << 10, 64 << 10, 1 << 20, 1920 * 1080 * 3, 8_294_400];
const WARM_UP: usize = 100;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

fn option(name: &str, default: usize) -> usize {
    let words: Vec<String> = std::env::args().collect();
    let value = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    value.and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (count, period) = (option("--count", 200), option("--period-ms", 20));
    let size = option("--publish", 0);
    if size > 0 {
        return publish(size, WARM_UP + count, Duration::from_millis(u64::try_from(period)?));
    }
    println!("bytes,read,p50_us,p99_us,count");
    for size in SIZES {
        for read in [false, true] {
            let mut times = listen(size, count, period, read)?;
            times.sort_by(f64::total_cmp);
            let quantile = |share: f64| times[((times.len() as f64 * share).ceil() as usize).max(1) - 1];
            println!("{size},{read},{:.1},{:.1},{}", quantile(0.5), quantile(0.99), times.len());
        }
    }
    Ok(())
}

fn names(size: usize, pid: usize) -> Result<(ServiceName, ServiceName), Box<dyn Error>> {
    let name = format!("omnimind/bench/{pid}/{size}");
    Ok((name.as_str().try_into()?, format!("{name}/event").as_str().try_into()?))
}

fn listen(size: usize, count: usize, period: usize, read: bool) -> Result<Vec<f64>, Box<dyn Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let (data, event) = names(size, std::process::id() as usize)?;
    let service = node.service_builder(&data).publish_subscribe::<[u8]>().open_or_create()?;
    let subscriber = service.subscriber_builder().create()?;
    let events = node.service_builder(&event).event().open_or_create()?;
    let listener = events.listener_builder().create()?;
    let own = std::process::id().to_string();
    let words = [size.to_string(), count.to_string(), period.to_string()];
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--publish", &words[0], "--count", &words[1], "--period-ms", &words[2], "--owner", &own])
        .stdin(Stdio::null())
        .spawn()?;
    let mut times = Vec::new();
    while times.len() < WARM_UP + count {
        listener.blocking_wait(|_| ())?;
        while let Some(sample) = subscriber.receive()? {
            let arrived = now();
            let payload = sample.payload();
            let sent = payload.first_chunk().map_or(0, |stamp| i64::from_le_bytes(*stamp));
            let ended = if read {
                black_box(payload.as_chunks::<8>().0.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word))));
                now()
            } else {
                arrived
            };
            times.push((ended - sent) as f64 / 1e3);
        }
    }
    child.wait()?;
    Ok(times.split_off(WARM_UP))
}

fn publish(size: usize, count: usize, period: Duration) -> Result<(), Box<dyn Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let (data, event) = names(size, option("--owner", 0))?;
    let service = node.service_builder(&data).publish_subscribe::<[u8]>().open_or_create()?;
    let publisher = service.publisher_builder().initial_max_slice_len(size).create()?;
    let events = node.service_builder(&event).event().open_or_create()?;
    let notifier = events.notifier_builder().create()?;
    std::thread::sleep(Duration::from_millis(200));
    for n in 0..count {
        std::thread::sleep(period);
        let mut sample = publisher.loan_slice(size)?;
        sample.payload_mut().fill(n.to_le_bytes()[0]);
        sample.payload_mut()[..8].copy_from_slice(&now().to_le_bytes());
        sample.send()?;
        notifier.notify()?;
    }
    // What is under way is taken before the memory goes.
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}
