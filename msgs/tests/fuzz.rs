//! Arbitrary and damaged bytes for every shipped type: three decoders (generated code, field table, definition read at run time) never
//! panic and always agree.

mod generate;

use generate::{Numbers, damaged, encoding};
use msgs::definition::Definition;
use msgs::{MessageType, registry};
use proptest::prelude::*;
use std::sync::OnceLock;

/// Every shipped type with its definition read at run time.
fn types() -> &'static [(&'static MessageType, Definition)] {
    static TYPES: OnceLock<Vec<(&'static MessageType, Definition)>> = OnceLock::new();
    TYPES.get_or_init(|| {
        let read = |t: &&'static MessageType| (*t, Definition::parse(t.name, t.definition).expect("a definition"));
        registry::messages().iter().map(read).collect()
    })
}

/// All decoders accept the same bytes and read the same from them (which of several faults they name may differ: generated code takes an
/// array at once); what they accept, they accept again after writing it, unchanged.
fn agree(message_type: &MessageType, definition: &Definition, bytes: &[u8]) {
    let name = message_type.name;
    let typed = message_type.recode(bytes);
    assert_eq!(definition.recode(bytes).ok(), typed.clone().ok(), "{name}");
    let json = registry::decode_json(message_type, bytes);
    let dynamic = definition.decode_json(bytes);
    match typed {
        Err(_) => assert_eq!(json.expect_err("refused"), dynamic.expect_err("refused"), "{name}"),
        Ok(again) => {
            let json = json.expect("accepted");
            assert_eq!(json, dynamic.expect("accepted"), "{name}");
            assert_eq!(message_type.recode(&again).as_ref(), Ok(&again), "{name}");
            assert_eq!(registry::decode_json(message_type, &again).expect("accepted"), json, "{name}");
            assert!(again.len() <= bytes.len() + 8, "{name}: {} bytes from {}", again.len(), bytes.len());
        }
    }
}

#[test]
fn valid_encodings_are_accepted_and_their_big_endian_form_is_not_taken_for_little_endian() {
    let mut numbers = Numbers::new(7);
    for (message_type, definition) in types() {
        for _ in 0..4 {
            let bytes = encoding(message_type, &mut numbers);
            agree(message_type, definition, &bytes);
            assert_eq!(message_type.recode(&bytes).expect("valid"), bytes, "{}", message_type.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(order in 0_u8..3, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[0, order, 0, 0][..], &body].concat();
        for (message_type, definition) in types() {
            agree(message_type, definition, &bytes);
        }
    }

    #[test]
    fn small_numbers_get_deeper_into_a_message(order in 0_u8..2, body in proptest::collection::vec(0_u8..3, 0..300)) {
        let bytes = [&[0, order, 0, 0][..], &body].concat();
        for (message_type, definition) in types() {
            agree(message_type, definition, &bytes);
        }
    }

    #[test]
    fn damaged_encodings(seed in any::<u64>()) {
        let mut numbers = Numbers::new(seed);
        for (message_type, definition) in types() {
            let bytes = encoding(message_type, &mut numbers);
            agree(message_type, definition, &damaged(bytes, &mut numbers));
        }
    }

    #[test]
    fn arbitrary_definition_texts(text in "[a-z/=\\[\\]<0-9 \n\"'#.-]{0,200}", lines in proptest::collection::vec(0_usize..12, 0..20)) {
        let _ = Definition::parse("demo/msg/Thing", &text);
        const LINES: [&str; 12] = [
            "int32 a", "string<=3 b \"x\"", "================================================================================",
            "MSG: demo/Part", "Part p", "Part[2] q", "float64[] r [1, 2", "int8 K = 3", "wstring[<=2] w", "demo/Part[<=1] s",
            "bool f true", "MSG: demo/Thing",
        ];
        let text: String = lines.iter().map(|line| format!("{}\n", LINES[*line])).collect();
        if let Ok(definition) = Definition::parse("demo/msg/Thing", &text) {
            let again = Definition::from_description(&definition.description()).expect("its own description");
            prop_assert_eq!(again.hash(), definition.hash());
            prop_assert_eq!(again.encode_json(&serde_json::Value::Null), definition.encode_json(&serde_json::Value::Null));
        }
    }
}
