//! Publishers of a link: who they are, when they come and go. Both ends are in one process here, which is no different.
#![cfg(target_os = "linux")]

use carrier::{EdgeId, Host, Link, Refusal};
use std::sync::Arc;
use std::time::Instant;

/// Two hosts, and a link from the first to the second.
fn linked() -> (Host, Host, Arc<Link>) {
    let (a, b) = (Host::open().unwrap(), Host::open().unwrap());
    let link = a.link(b.address()).unwrap();
    (a, b, link)
}

/// The topics and numbers of all samples that are there.
fn heard(host: &Host) -> Vec<(String, i64)> {
    let mut heard = Vec::new();
    host.drain(&mut |sample| heard.push((sample.topic.to_string(), sample.sequence)));
    heard
}

/// An edge that the listener knows.
fn edge(link: &Link, listener: &Host, gid: [u8; 16], topic: &str) -> EdgeId {
    let edge = link.add_edge(gid, topic).unwrap();
    listener.drain(&mut |_| ());
    assert!(link.is_ready(edge));
    edge
}

#[test]
fn a_publisher_that_comes_after_much_has_been_sent_is_heard_on_its_own_topic() {
    for fill in [b'x', 0xff] {
        let (_a, b, link) = linked();
        let first = edge(&link, &b, [1; 16], "first");
        // The ring holds 1 MiB: what comes now lies where something else has lain.
        let payload = [fill; 4096];
        for sequence in 0..512 {
            link.send(first, sequence, 0, &[&payload]).unwrap();
            assert_eq!(heard(&b), [("first".to_owned(), sequence)]);
        }
        for length in 1..=8 {
            let topic = "t".repeat(length);
            let edge = edge(&link, &b, [1 + length.to_le_bytes()[0]; 16], &topic);
            link.send(edge, 1, 0, &[b"sample"]).unwrap();
            assert_eq!(heard(&b), [(topic, 1)]);
        }
    }
}

#[test]
fn a_publisher_that_changes_its_link_stays_known_when_the_old_one_goes() {
    let (a, b, old) = linked();
    edge(&old, &b, [1; 16], "topic");
    // The listener hears of both at once: that the old link is closed, and that the publisher has come over a new one.
    a.unlink(b.address());
    let new = a.link(b.address()).unwrap();
    let moved = new.add_edge([1; 16], "topic").unwrap();
    b.drain(&mut |_| ());
    assert!(b.knows(&[1; 16]), "by the new link");
    b.note_elsewhere(&[1; 16], 7);
    assert_eq!((new.is_ready(moved), new.seen_elsewhere(moved)), (true, 7));
    // And so where only the publisher goes, while a second link to the listener stays.
    let c = Host::open().unwrap();
    let other = c.link(b.address()).unwrap();
    let last = edge(&other, &b, [1; 16], "topic");
    new.remove_edge(moved);
    b.drain(&mut |_| ());
    assert!(b.knows(&[1; 16]));
    b.note_elsewhere(&[1; 16], 9);
    assert_eq!(other.seen_elsewhere(last), 9);
    other.remove_edge(last);
    b.drain(&mut |_| ());
    assert!(!b.knows(&[1; 16]));
}

#[test]
fn a_publisher_is_known_before_its_sender_is_told_so_and_forgotten_before_its_place_is_free() {
    let (_a, b, link) = linked();
    let witness = edge(&link, &b, [1; 16], "witness");
    let coming = link.add_edge([2; 16], "topic").unwrap();
    link.send(witness, 1, 0, &[b"between"]).unwrap();
    let mut looked = 0;
    b.drain(&mut |_| {
        looked += 1;
        assert!(link.is_ready(coming) && b.knows(&[2; 16]), "the sender may send by now");
    });
    link.remove_edge(coming);
    link.send(witness, 2, 0, &[b"between"]).unwrap();
    b.drain(&mut |_| {
        looked += 1;
        // A sample that comes late, another way.
        b.note_elsewhere(&[2; 16], 50);
        assert!(!b.knows(&[2; 16]));
    });
    assert_eq!(looked, 2);
    let next = edge(&link, &b, [3; 16], "next");
    assert_eq!((next, link.seen_elsewhere(next)), (coming, 0), "the place is free, and nothing stands there");
    // A place that is not free yet is in nobody's way.
    link.remove_edge(next);
    let other = link.add_edge([4; 16], "other").unwrap();
    assert_ne!(other, next);
    b.drain(&mut |_| ());
    assert!(link.is_ready(other) && b.knows(&[4; 16]) && !b.knows(&[3; 16]));
}

#[test]
fn a_sample_says_how_long_it_was_under_way() {
    let (_a, b, link) = linked();
    let edge = edge(&link, &b, [1; 16], "topic");
    let before = Instant::now();
    link.send(edge, 1, 0, &[b"sample"]).unwrap();
    let after = Instant::now();
    let mut ages = Vec::new();
    let least = after.elapsed();
    b.drain(&mut |sample| ages.push(sample.age));
    let most = before.elapsed();
    assert!(ages.len() == 1 && least <= ages[0] && ages[0] <= most, "{least:?} {ages:?} {most:?}");
}

#[test]
fn memory_of_one_host_does_not_go_over_a_link_of_another() {
    let (_a, b, link) = linked();
    let edge = edge(&link, &b, [1; 16], "topic");
    let foreign = Host::open().unwrap().pool();
    let placed = foreign.place(100_000, |bytes| bytes.fill(1)).unwrap();
    for _ in 0..3 {
        assert_eq!(link.send_placed(edge, 1, 0, &placed), Err(Refusal::NotReady));
        assert_eq!(heard(&b), []);
    }
}
