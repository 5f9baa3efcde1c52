//! CDR against samples made by another implementation (`cdr_samples.py`), round trips, and input from outside that is damaged.

use msgs::cdr::{Error, HEADER};
use msgs::{Message, MessageType, registry};
use proptest::prelude::*;

type Sample = (&'static MessageType, serde_json::Value, Vec<u8>);

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal");
    (0..text.len() / 2).map(byte).collect()
}

/// Type, JSON and CDR of each committed sample.
fn samples() -> Vec<Sample> {
    samples_with_big_endian().into_iter().map(|(sample, _)| sample).collect()
}

/// The same, with big-endian CDR where the table has it.
fn samples_with_big_endian() -> Vec<(Sample, Option<Vec<u8>>)> {
    let sample = |line: &str| {
        let mut parts = line.split('\t');
        let mut next = || parts.next().expect("three columns");
        let message_type = registry::find(next()).expect("a shipped type");
        // JSON is YAML, and this reader takes every float for the nearest number, which serde_json's default does not.
        let json = serde_yaml_ng::from_str(next()).expect("JSON");
        ((message_type, json, from_hex(next())), parts.next().map(from_hex))
    };
    include_str!("cdr_samples.txt").lines().filter(|l| !l.starts_with('#')).map(sample).collect()
}

#[test]
fn big_endian_bytes_of_an_independent_implementation_are_read() {
    let mut checked = 0;
    for ((message_type, json, bytes), big) in samples_with_big_endian() {
        let Some(big) = big else { continue };
        assert_eq!(big[..2], [0, 0]);
        assert_eq!(message_type.recode(&big).expect("decodes"), bytes, "{}", message_type.name);
        let value = registry::decode_json(message_type, &big).expect("decodes");
        assert_eq!(registry::encode_json(message_type, &value).expect("encodes"), bytes, "{}: {json}", message_type.name);
        for length in 0..big.len() {
            assert!(message_type.recode(&big[..length]).is_err(), "{} cut to {length} bytes", message_type.name);
        }
        checked += 1;
    }
    assert!(checked >= 150, "only {checked}");
    let image = msgs::sensor_msgs::msg::Image { data: vec![7; 10_000].into(), height: 3, ..Default::default() };
    let mut big = image.to_cdr();
    big[1] = 0;
    assert!(msgs::sensor_msgs::msg::Image::from_shared(&big.into()).is_err(), "lengths the other way round");
}

#[test]
fn json_encodes_to_the_bytes_of_an_independent_implementation() {
    let samples = samples();
    assert!(samples.len() > 300);
    for (message_type, json, bytes) in samples {
        let ours = registry::encode_json(message_type, &json).expect("encodes");
        assert_eq!(ours, bytes, "{}: {json}", message_type.name);
    }
}

#[test]
fn bytes_of_an_independent_implementation_decode_to_its_values() {
    for (message_type, json, bytes) in samples() {
        let ours = registry::decode_json(message_type, &bytes).expect("decodes");
        // Integers and floats are told apart by JSON; compare through the encoder, which is checked above, and field by field.
        assert_eq!(registry::encode_json(message_type, &ours).expect("encodes"), bytes, "{}", message_type.name);
        assert_eq!(ours.as_object().map(|o| o.len()), json.as_object().map(|o| o.len()), "{}", message_type.name);
    }
}

#[test]
fn generated_code_reads_and_writes_the_same_bytes_as_the_field_walk() {
    for (message_type, _, bytes) in samples() {
        assert_eq!(message_type.recode(&bytes).expect("decodes"), bytes, "{}", message_type.name);
    }
}

#[test]
fn defaults_of_generated_code_and_of_the_field_walk_agree() {
    for message_type in registry::messages() {
        let bytes = registry::encode_json(message_type, &serde_json::Value::Null).expect("defaults encode");
        assert_eq!(message_type.recode(&bytes).expect("decodes"), bytes, "{}", message_type.name);
    }
    let pose = msgs::geometry_msgs::msg::Pose::default();
    assert_eq!(pose.orientation.w, 1.0, "Quaternion's default in its definition");
    let bytes = registry::encode_json(registry::find("geometry_msgs/msg/Pose").expect("known"), &serde_json::json!({}));
    assert_eq!(bytes.expect("encodes"), pose.to_cdr());
}

#[test]
fn size_hint_is_never_too_small() {
    for (message_type, _, bytes) in samples() {
        if message_type.name == "sensor_msgs/msg/CameraInfo" {
            let message = msgs::sensor_msgs::msg::CameraInfo::from_cdr(&bytes).expect("decodes");
            assert!(message.size_hint() + 4 >= bytes.len());
        }
        if message_type.name == "omnimind_msgs/msg/Belief" {
            let message = msgs::omnimind_msgs::msg::Belief::from_cdr(&bytes).expect("decodes");
            assert!(message.size_hint() + 4 >= bytes.len());
        }
    }
}

#[test]
fn every_truncation_of_every_sample_is_an_error() {
    for (message_type, _, bytes) in samples() {
        for length in 0..bytes.len() {
            let result = message_type.recode(&bytes[..length]);
            assert!(result.is_err(), "{} cut to {length} bytes", message_type.name);
            assert!(registry::decode_json(message_type, &bytes[..length]).is_err());
        }
    }
}

#[test]
fn a_hostile_length_is_refused() {
    let mut bytes = HEADER.to_vec();
    bytes.extend([0_u8; 8]); // stamp
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]); // frame_id "", padding
    bytes.extend(u32::MAX.to_le_bytes());
    let result = msgs::tf2_msgs::msg::TFMessage::from_cdr(&[&HEADER[..], &u32::MAX.to_le_bytes()].concat());
    assert!(matches!(result, Err(Error::Truncated { .. })), "{result:?}");
    assert!(matches!(msgs::sensor_msgs::msg::JointState::from_cdr(&bytes), Err(Error::Truncated { .. })));
}

#[test]
fn a_foreign_header_is_refused_by_name() {
    let reason = |header: &[u8]| {
        let bytes = [header, &[0; 40]].concat();
        let reason = msgs::std_msgs::msg::Float64::from_cdr(&bytes).expect_err("refused");
        let point = registry::find("geometry_msgs/msg/Point").expect("known");
        assert_eq!(registry::decode_json(point, &bytes), Err(reason.clone()));
        reason.to_string()
    };
    assert!(reason(&[0, 7, 0, 0]).ends_with(": it is XCDR version 2"), "{}", reason(&[0, 7, 0, 0]));
    assert!(reason(&[0, 3, 0, 0]).ends_with(": it is a parameter list (PL_CDR)"));
    for header in [[1, 1, 0, 0], [0xff; 4], [0, 12, 0, 0]] {
        assert!(reason(&header).starts_with("encapsulation header"));
    }
    for length in 0..4 {
        let error = msgs::std_msgs::msg::Empty::from_cdr(&HEADER[..length]).expect_err("refused");
        assert!(error.to_string().ends_with(": it is too short"), "{error}");
    }
}

#[test]
fn text_that_is_not_utf8_or_has_no_terminator_is_refused() {
    let text = |body: &[u8]| msgs::std_msgs::msg::String::from_cdr(&[&HEADER[..], body].concat());
    assert_eq!(text(&[2, 0, 0, 0, 0xff, 0]), Err(Error::Utf8 { offset: 4 }));
    assert_eq!(text(&[2, 0, 0, 0, b'a', b'b']), Err(Error::Terminator { offset: 4 }));
    assert_eq!(text(&[0, 0, 0, 0]).expect("an empty string of length 0").data, "");
}

#[test]
fn a_boolean_is_zero_or_one() {
    let flag = |value: u8| msgs::std_msgs::msg::Bool::from_cdr(&[0, 1, 0, 0, value]);
    assert!(flag(1).expect("true").data);
    assert_eq!(flag(2), Err(Error::Boolean { offset: 0, value: 2 }));
}

#[test]
fn bounds_are_checked() {
    let descriptor = registry::find("rcl_interfaces/msg/ParameterDescriptor").expect("known");
    let two = serde_json::json!({ "integer_range": [{}, {}] });
    let error = registry::encode_json(descriptor, &two).expect_err("bound of 1");
    assert_eq!(error.to_string(), "integer_range: 2 elements, wanted at most 1");
}

#[test]
fn bytes_after_the_message_are_ignored() {
    let mut bytes = msgs::std_msgs::msg::String { data: "x".into() }.to_cdr();
    bytes.extend([7, 7, 7]);
    assert_eq!(msgs::std_msgs::msg::String::from_cdr(&bytes).expect("decodes").data, "x");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&HEADER[..], &body].concat();
        for message_type in registry::messages() {
            let typed = message_type.recode(&bytes);
            let walked = registry::decode_json(message_type, &bytes);
            prop_assert_eq!(typed.is_ok(), walked.is_ok(), "{}", message_type.name);
        }
    }

    #[test]
    fn one_changed_byte_never_panics(index in 0_usize..10_000, value in any::<u8>()) {
        for (message_type, _, mut bytes) in samples() {
            let at = index % bytes.len();
            bytes[at] = value;
            let typed = message_type.recode(&bytes);
            prop_assert_eq!(typed.is_ok(), registry::decode_json(message_type, &bytes).is_ok(), "{}", message_type.name);
        }
    }

    #[test]
    fn float_sequences_keep_every_bit(ranges in proptest::collection::vec(any::<u32>(), 0..40)) {
        let scan = msgs::sensor_msgs::msg::LaserScan {
            ranges: ranges.iter().map(|bits| f32::from_bits(*bits)).collect(),
            ..Default::default()
        };
        let back = msgs::sensor_msgs::msg::LaserScan::from_cdr(&scan.to_cdr()).expect("decodes");
        let bits: Vec<u32> = back.ranges.iter().map(|r| r.to_bits()).collect();
        prop_assert_eq!(bits, ranges);
    }
}

#[test]
fn a_message_in_pieces_is_the_same_bytes_and_copies_no_picture() {
    use msgs::sensor_msgs::msg::{Image, PointCloud2};
    let pixels: Vec<u8> = (0..10_000_u32).map(|i| (i * 7) as u8).collect();
    let image = Image { encoding: "rgb8".into(), data: pixels.clone().into(), ..Image::default() };
    let pieces = image.to_pieces();
    assert_eq!((pieces.len(), pieces.shared_len()), (image.to_cdr().len(), 10_000));
    assert_eq!(pieces.iter().collect::<Vec<_>>().concat(), image.to_cdr());
    let mut target = vec![0xAA; pieces.len()];
    pieces.copy_to(&mut target);
    assert_eq!(target, image.to_cdr());
    let bytes = pieces.into_bytes();
    assert!(bytes.iter().any(|piece| piece.as_ptr() == image.data.as_ptr()), "copied");
    assert_eq!(bytes.concat(), image.to_cdr());
    // Something follows the bytes, and is aligned as if they had been written.
    for length in 4093..4105 {
        let cloud = PointCloud2 { data: pixels[..length].to_vec().into(), is_dense: true, ..PointCloud2::default() };
        assert_eq!(cloud.to_pieces().into_bytes().concat(), cloud.to_cdr(), "{length}");
    }
    assert_eq!(msgs::cdr::Pieces::from(vec![1, 2, 3]).into_bytes().concat(), [1, 2, 3]);
    let whole = msgs::Bytes::from(vec![1, 2, 3]);
    let pieces = msgs::cdr::Pieces::from(whole.clone());
    assert_eq!((pieces.len(), pieces.shared_len(), pieces.iter().collect::<Vec<_>>()), (3, 3, vec![&whole[..]]));
    assert_eq!(pieces.into_bytes()[0].as_ptr(), whole.as_ptr());
}

#[test]
fn a_picture_read_from_a_shared_buffer_is_a_view_of_it_and_a_small_one_is_not() {
    use msgs::sensor_msgs::msg::Image;
    for (length, shared) in [(10_000, true), (100, false)] {
        let bytes = msgs::Bytes::from(Image { data: vec![9; length].into(), ..Image::default() }.to_cdr());
        let read = Image::from_shared(&bytes).expect("decodes");
        assert_eq!(read.data, vec![9; length]);
        assert_eq!(bytes.as_ptr_range().contains(&read.data.as_ptr()), shared, "{length}");
    }
    let cut = msgs::Bytes::from(Image { data: vec![9; 10_000].into(), ..Image::default() }.to_cdr()).slice(..9_000);
    assert!(matches!(Image::from_shared(&cut), Err(Error::Truncated { .. })));
}
