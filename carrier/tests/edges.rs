//! Publishers of a link: who they are, when they come and go. Both ends are in one process here, which is no different.
#![cfg(target_os = "linux")]

use carrier::{EdgeId, Host, Link};
use std::sync::Arc;

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
