//! What comes from strangers is read without panics, and what is taken for a token is one.

use proptest::prelude::*;
use wire::{Attachment, GraphView, format_qos, parse_qos, parse_token};

const GOOD: &str = "@ros2_lv/0/ab/1/2/MP/%/%ns/node/%topic/std_msgs::msg::dds_::String_/RIHS01_1/1:1:1,10:1,2:3,4:3,5,6";

/// A chunk of a token as a stranger may write it.
fn chunk() -> impl Strategy<Value = String> {
    prop_oneof![
        "[%a-z/_0-9:,.+-]{0,12}",
        "\\PC{0,8}",
        Just(String::new()),
        Just("%".repeat(50)),
        Just("18446744073709551616".to_owned()),
        Just("-0".to_owned()),
        Just("%00%2F%25".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_is_not(text in "\\PC{0,200}") {
        let _ = parse_token(&text);
        let _ = parse_qos(&text);
    }

    #[test]
    fn a_token_with_a_chunk_exchanged_has_good_names_or_is_refused(at in 0..13_usize, chunk in chunk()) {
        let mut chunks: Vec<&str> = GOOD.split('/').collect();
        chunks[at] = &chunk;
        let text = chunks.join("/");
        if let Some(entity) = parse_token(&text) {
            let named = |name: &str| name.starts_with('/') && !name.contains("//") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_".contains(&b));
            prop_assert!(named(&entity.name) && named(&entity.namespace) && named(&entity.node_name()), "{entity:?}");
            prop_assert!(entity.qos.is_some());
            prop_assert_eq!(GraphView::from_tokens([text.as_str()]).endpoints.len(), 1);
        }
    }

    #[test]
    fn a_quality_of_service_that_is_read_is_written_so_that_it_is_read_again(fields in prop::collection::vec("[0-9]{0,20}", 10)) {
        let [r, d, h, n, a, b, c, e, l, f] = &fields[..] else { unreachable!() };
        let text = format!("{r}:{d}:{h},{n}:{a},{b}:{c},{e}:{l},{f},{a}");
        if let Some(qos) = parse_qos(&text) {
            let again = parse_qos(&format_qos(&qos)).expect("is read");
            prop_assert_eq!(format_qos(&again), format_qos(&qos));
            prop_assert_eq!((again.deadline, again.lifespan, again.lease), (qos.deadline, qos.lifespan, qos.lease));
        }
    }

    #[test]
    fn any_bytes_are_an_attachment_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let read = Attachment::from_bytes(&bytes);
        prop_assert_eq!(read.is_some(), bytes.len() >= 33 && bytes[16] == 16);
        if let Some(attachment) = read {
            prop_assert_eq!(&attachment.to_bytes()[..], &bytes[..33]);
        }
    }
}
