//! Memory that decoding takes: never more than a small multiple of what came in, whatever lengths the bytes claim.
#![allow(unsafe_code)] // A global allocator can only be written so; it only counts and hands on.

mod generate;

use generate::{Numbers, damaged, encoding};
use msgs::definition::Definition;
use msgs::registry;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes in use, and the most since the last reset. The binary has one test, so nobody else counts.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed on to the system's allocator unchanged, so its guarantees hold.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` above with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were in use at once during `work`, beyond those before.
fn most<T>(work: impl FnOnce() -> T) -> usize {
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    drop(work());
    MOST.load(Ordering::Relaxed) - before
}

/// What typed decoding and writing again may take for each byte that came in: a one-word string takes 4 bytes on the wire and 24 as a
/// `String`, and a growing vector is twice there for a moment.
const TYPED: usize = 40;
/// What JSON may take: an object with one small field is a tree node with room for eleven.
const JSON: usize = 1000;
/// What is free.
const FREE: usize = 4096;

#[test]
fn decoding_takes_a_small_multiple_of_the_input() {
    let mut numbers = Numbers::new(11);
    let (mut worst_typed, mut worst_json) = ((0.0, ""), (0.0, ""));
    for message_type in registry::messages() {
        let definition = Definition::parse(message_type.name, message_type.definition).expect("a definition");
        for round in 0..60 {
            let bytes = match round {
                0..20 => encoding(message_type, &mut numbers),
                20..50 => {
                    let bytes = encoding(message_type, &mut numbers);
                    damaged(bytes, &mut numbers)
                }
                // As many of the smallest elements as the bytes can hold.
                50 => [&[0, 1, 0, 0][..], &250_u32.to_le_bytes(), &[0; 20_000]].concat(),
                51 => [&[0, 1, 0, 0][..], &5000_u32.to_le_bytes(), &[0; 20_000]].concat(),
                // Nothing but lengths, of 1, 2, ... as long as they last.
                _ => [&[0, 1, 0, 0][..], &[(round - 51) as u8, 0, 0, 0].repeat(500)].concat(),
            };
            let typed = most(|| message_type.recode(&bytes));
            let dynamic = most(|| definition.recode(&bytes));
            let json = most(|| registry::decode_json(message_type, &bytes)).max(most(|| definition.decode_json(&bytes)));
            let length = bytes.len();
            for (taken, allowed) in [(typed, TYPED), (dynamic, TYPED), (json, JSON)] {
                assert!(taken <= allowed * length + FREE, "{}: {taken} bytes for {length}", message_type.name);
            }
            for (worst, taken) in [(&mut worst_typed, typed.max(dynamic)), (&mut worst_json, json)] {
                let ratio = taken.saturating_sub(FREE) as f64 / length as f64;
                if ratio > worst.0 {
                    *worst = (ratio, message_type.name);
                }
            }
        }
    }
    eprintln!("most bytes taken for a byte that came in: typed {worst_typed:?}, JSON {worst_json:?}");
    for type_name in ["tf2_msgs/msg/TFMessage", "sensor_msgs/msg/Image", "std_msgs/msg/String", "std_msgs/msg/UInt8MultiArray"] {
        let known = registry::find(type_name).expect("known");
        for claimed in [u32::MAX, 1 << 31, 1 << 24] {
            let bytes = [&[0, 1, 0, 0][..], &claimed.to_le_bytes(), &claimed.to_le_bytes(), &[0; 40]].concat();
            assert!(most(|| known.recode(&bytes)) < FREE, "{type_name}");
            assert!(most(|| registry::decode_json(known, &bytes)) < FREE, "{type_name}");
        }
    }
}
