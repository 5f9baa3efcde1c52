//! Types read at run time, and what differs between two versions of a type.

use msgs::cdr::HEADER;
use msgs::definition::{Definition, DefinitionError};
use msgs::description::{describe, differences, sources};
use msgs::type_description_interfaces::msg::{Field, FieldType, IndividualTypeDescription, TypeDescription};
use serde_json::json;

const SEPARATOR: &str = "================================================================================\n";

fn parse(text: &str) -> Result<Definition, DefinitionError> {
    Definition::parse("demo/msg/Thing", text)
}

fn reason(text: &str) -> String {
    parse(text).expect_err("refused").to_string()
}

#[test]
fn a_type_that_was_not_compiled_in_is_encoded_and_decoded() {
    let text = format!(
        "# A comment.\nint8 KIND = 3\nstd_msgs/Header header\nuint16[3] three [7, 8, 9]\nstring<=4[<=2] words [\"a\", \"b, c\"]\n\
         wstring wide \"é\"\nbool[] flags\n{SEPARATOR}MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n\
         {SEPARATOR}MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    );
    let thing = parse(&text).expect("parses");
    let bytes = thing.encode_json(&json!({ "header": { "stamp": { "sec": -1 } }, "flags": [true, false] })).expect("encodes");
    let body = [
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0][..], // stamp, frame_id, padding
        &[7, 0, 8, 0, 9, 0],
        &[2, 0, 0, 0, 2, 0, 0, 0, b'a', 0, 0, 0, 5, 0, 0, 0, b'b', b',', b' ', b'c', 0, 0, 0, 0],
        &[1, 0, 0, 0, 0xe9, 0, 0, 0, 2, 0, 0, 0, 1, 0],
    ];
    assert_eq!(bytes, [&HEADER[..], &body.concat()].concat());
    let back = thing.decode_json(&bytes).expect("decodes");
    assert_eq!(back["three"], json!([7, 8, 9]));
    assert_eq!((&back["words"], &back["wide"]), (&json!(["a", "b, c"]), &json!("é")));
    assert_eq!(thing.recode(&bytes).expect("checks"), bytes);
    let error = thing.encode_json(&json!({ "words": ["too long"] })).expect_err("bound");
    assert_eq!(error.to_string(), "words[0]: 8 elements, wanted at most 4 bytes");
}

#[test]
fn a_wide_string_is_utf16_in_four_bytes_a_unit_as_fast_cdr_writes_it() {
    // Bytes from rclpy's serialize_message(test_msgs/WStrings) with "aé日😀".
    let rclpy = [0x05, 0, 0, 0, 0x61, 0, 0, 0, 0xe9, 0, 0, 0, 0xe5, 0x65, 0, 0, 0x3d, 0xd8, 0, 0, 0x00, 0xde, 0, 0];
    let wide = parse("wstring text").expect("parses");
    let bytes = [&HEADER[..], &rclpy].concat();
    assert_eq!(wide.encode_json(&json!({ "text": "aé日😀" })).expect("encodes"), bytes);
    assert_eq!(wide.decode_json(&bytes).expect("decodes"), json!({ "text": "aé日😀" }));
    let typed = msgs::example_interfaces::msg::WString { data: "aé日😀".into() };
    use msgs::Message;
    assert_eq!(typed.to_cdr(), bytes);
    assert_eq!(msgs::example_interfaces::msg::WString::from_cdr(&bytes), Ok(typed));
    let lone = [&HEADER[..], &[1, 0, 0, 0, 0x3d, 0xd8, 0, 0]].concat();
    assert_eq!(wide.decode_json(&lone).expect_err("half a pair").to_string(), "the wide string at byte 4 is not UTF-16");
}

#[test]
fn definitions_that_cannot_be_are_refused_with_a_reason() {
    assert_eq!(reason("int32"), "demo/msg/Thing: line 1: `int32` has a type but no name");
    assert_eq!(reason("Other x"), "demo/msg/Thing: type `demo/msg/Other` is not defined");
    assert_eq!(reason("Thing x"), "demo/msg/Thing: `demo/msg/Thing` contains itself");
    assert_eq!(
        reason(&format!("int8 x\n{SEPARATOR}IDL: demo/Other\n")),
        "demo/msg/Thing: `IDL: demo/Other` stands where `MSG: package/Name` should"
    );
    assert_eq!(
        reason(&format!("int8 x\n{SEPARATOR}MSG: demo/other\n")),
        "`demo/other` is not the name of a message (package/msg/Name)"
    );
    let twice = format!("A a\n{SEPARATOR}MSG: demo/A\nint8 x\n{SEPARATOR}MSG: demo/A\nint16 x\n");
    assert_eq!(reason(&twice), "`demo/msg/A` is defined twice, and not the same");
    for name in ["Thing", "demo/thing", "demo/msg/Thing/x", "Demo/msg/Thing", "demo/srv/Thing", "demo/action/A_Request", ""] {
        assert!(matches!(Definition::parse(name, "int8 x"), Err(DefinitionError::Name(_))), "{name}");
    }
}

#[test]
fn hostile_definitions_neither_overflow_nor_take_memory() {
    assert!(reason("uint8[18446744073709551615] x").contains("bytes at least"));
    // Types in each other, each twice as large as the next.
    let mut text = "T0[2] x\n".to_owned();
    for depth in 0..60 {
        text.push_str(&format!("{SEPARATOR}MSG: demo/T{depth}\nT{}[2] x\n", depth + 1));
    }
    text.push_str(&format!("{SEPARATOR}MSG: demo/T60\nuint8 x\n"));
    assert!(reason(&text).contains("bytes at least"));
    let deep =
        (0..5000).fold("T0 x\n".to_owned(), |text, depth| text + &format!("{SEPARATOR}MSG: demo/T{depth}\nT{} x\n", depth + 1));
    assert!(reason(&deep).contains("types, at most"));
    let deep =
        (0..500).fold("T0 x\n".to_owned(), |text, depth| text + &format!("{SEPARATOR}MSG: demo/T{depth}\nT{} x\n", depth + 1));
    assert!(reason(&deep).contains("deep"));
    // As deep, through fields that come before and lead to types half way down, which are known when the way from the top comes there.
    let deep = (0..500)
        .fold("T450 a\nT400 b\nT350 c\nT300 d\nT250 e\nT200 f\nT150 g\nT100 h\nT50 i\nT0 j\n".to_owned(), |text, depth| {
            text + &format!("{SEPARATOR}MSG: demo/T{depth}\nT{} x\n", depth + 1)
        })
        + &format!("{SEPARATOR}MSG: demo/T500\nuint8 x\n");
    assert!(reason(&deep).contains("deep"));
    // What is large if all of it is written is not set aside for one that does not fit.
    let large = Definition::parse("demo/msg/Large", "uint8[200000000] x\nstring<=1 y").expect("it may be");
    assert!(large.encode_json(&serde_json::json!({"x": "no"})).is_err());
}

#[test]
fn hostile_descriptions_are_refused() {
    let field = |type_id, nested: &str| Field {
        name: "x".into(),
        type_: FieldType { type_id, nested_type_name: nested.into(), ..Default::default() },
        ..Default::default()
    };
    let one = |field| TypeDescription {
        type_description: IndividualTypeDescription { type_name: "demo/msg/A".into(), fields: vec![field] },
        referenced_type_descriptions: Vec::new(),
    };
    let error = |description| Definition::from_description(&description).expect_err("refused").to_string();
    assert_eq!(error(one(field(1, "demo/msg/A"))), "`demo/msg/A` contains itself, or types lie in each other more than 64 deep");
    assert_eq!(error(one(field(1, "demo/msg/B"))), "demo/msg/A: type `demo/msg/B` is not defined");
    assert_eq!(error(one(field(12, ""))), "demo/msg/A: field `x` has type 12, which messages cannot have");
    assert_eq!(error(one(field(250, ""))), "demo/msg/A: field `x` has type 250, which messages cannot have");
    let mut twice = one(field(2, ""));
    twice.referenced_type_descriptions.push(twice.type_description.clone());
    assert_eq!(error(twice), "type `demo/msg/A` is there twice");
}

#[test]
fn an_array_longer_than_the_bytes_is_an_error_at_once() {
    let large = parse("uint8[100000000] x").expect("a type");
    let error = large.decode_json(&[&HEADER[..], &[0; 20]].concat()).expect_err("truncated").to_string();
    assert!(error.starts_with("truncated"), "{error}");
}

#[test]
fn differences_name_the_field() {
    let description = |text: &str| parse(text).expect("parses").description();
    let ours = description("int32 a\nfloat64[9] b\nstring c");
    assert_eq!(differences(&ours, &ours), Vec::<String>::new());
    assert_eq!(
        differences(&ours, &description("int32 a 5\nfloat64[9] b\nstring c")),
        Vec::<String>::new(),
        "defaults do not count"
    );
    assert_eq!(
        differences(&ours, &description("int32 a\nfloat32[9] b\nbool d")),
        [
            "demo/msg/Thing: field `b` is float64[9] in ours and float32[9] in theirs",
            "demo/msg/Thing: field `c` (string) is missing in theirs",
            "demo/msg/Thing: theirs has a field `d` (bool) that ours has not",
        ]
    );
    assert_eq!(
        differences(&ours, &description("float64[9] b\nint32 a\nstring c")),
        ["demo/msg/Thing: the fields stand in another order: ours has a, b, c, theirs has b, a, c"]
    );
    let nested = |inner: &str| description(&format!("Part[<=2] part\n{SEPARATOR}MSG: demo/Part\n{inner}\n"));
    assert_eq!(
        differences(&nested("string<=5 x"), &nested("string<=6 x")),
        ["demo/msg/Part: field `x` is string<=5 in ours and string<=6 in theirs"]
    );
    let other = describe("std_msgs/msg/Bool").expect("known");
    assert_eq!(differences(&ours, &other), ["the types are different: ours is demo/msg/Thing, theirs is std_msgs/msg/Bool"]);
}

#[test]
fn sources_are_the_files_and_what_is_implied_has_none() {
    let trigger = sources("std_srvs/srv/Trigger");
    assert_eq!(
        (trigger[0].encoding.as_str(), trigger[0].raw_file_contents.as_str()),
        ("srv", "---\nbool success\nstring message\n")
    );
    let of = |name: &str| trigger.iter().find(|s| s.type_name == name).expect("listed");
    assert_eq!(of("std_srvs/srv/Trigger_Event").encoding, "implicit");
    assert_eq!(of("std_srvs/srv/Trigger_Event").raw_file_contents, "");
    assert_eq!(of("builtin_interfaces/msg/Time").raw_file_contents, "int32 sec\nuint32 nanosec\n");
    assert!(sources("no/msg/Such").is_empty());
    assert!(describe("no/msg/Such").is_none());
}

#[test]
fn a_description_becomes_a_text_that_says_the_same() {
    let types = msgs::registry::messages().iter().map(|kind| kind.name);
    for name in types {
        let described = Definition::from_description(&describe(name).expect("described")).expect("reads");
        let text = described.to_text().unwrap_or_else(|| panic!("{name} has no text"));
        assert_eq!(Definition::parse(name, &text).expect("parses").hash(), described.hash(), "{name}");
        // With the files that come along the text is the one that bags have of the types that are compiled in; what services and actions
        // imply has no file.
        let kind = msgs::registry::find(name).expect("is there");
        let with_files = described.to_text_with(&sources(name)).expect("has a text");
        if name.contains("/msg/") {
            assert_eq!(with_files, kind.definition, "{name}");
        }
        assert_eq!(Definition::parse(name, &with_files).expect("parses").hash(), described.hash(), "{name}");
    }
}

#[test]
fn files_that_say_something_else_than_the_description_are_left_aside() {
    let spot = Definition::parse("demo/msg/Spot", "float64 x\nstring<=3[<=2] names\n").expect("parses");
    let told = Definition::from_description(&spot.description()).expect("reads");
    let file = |text: &str| {
        let (type_name, encoding) = ("demo/msg/Spot".into(), "msg".into());
        [msgs::type_description_interfaces::msg::TypeSource { type_name, encoding, raw_file_contents: text.into() }]
    };
    let plain = "float64 x\nstring<=3[<=2] names\n";
    assert_eq!(told.to_text().as_deref(), Some(plain));
    let commented = "# A spot.\nint8 KIND=3\nfloat64 x 1.5\nstring<=3[<=2] names";
    assert_eq!(told.to_text_with(&file(commented)), Some(format!("{commented}\n")));
    let separated = format!("{plain}{SEPARATOR}MSG: other/Thing\nint8 a\n");
    for other in ["float32 x\n", "float64", "", separated.as_str()] {
        assert_eq!(
            told.to_text_with(&file(other)).as_deref(),
            (other == separated).then_some(other).or(Some(plain)),
            "{other:?}"
        );
    }
    // What the message language cannot say has no text: a name with a line in it, a character of IDL.
    let mut odd = spot.description();
    odd.type_description.fields[0].name = "x\nint8 y".into();
    assert_eq!(Definition::from_description(&odd).expect("reads").to_text(), None);
    let mut odd = spot.description();
    odd.type_description.fields[0].type_.type_id = 13;
    assert_eq!(Definition::from_description(&odd).expect("reads").to_text(), None);
}
