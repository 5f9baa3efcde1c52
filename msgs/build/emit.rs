//! Writes the Rust code: one module per package and kind, one struct per message, static tables for the registry.

use crate::describe::{describe, list_items, unquote};
use crate::model::{Action, Message, Model, Service};
use crate::parser::{Base, Constant, Field, Shape};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Generated source for the whole model; `sources` are the definition files by full name.
pub fn emit(model: &Model, sources: &BTreeMap<String, String>) -> Result<String, String> {
    let mut modules: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut tables = String::new();
    let (mut messages, mut services, mut actions) = (String::new(), String::new(), String::new());
    for (name, message) in &model.messages {
        if message.is_event() {
            continue;
        }
        let code = modules.entry((&message.package, &message.kind)).or_default();
        emit_struct(code, message)?;
        emit_message_impl(code, message);
        emit_message_type(&mut tables, model, name, message)?;
        let _ = writeln!(messages, "    &{},", static_name(name));
    }
    for (name, service) in &model.services {
        emit_service(modules.entry((&service.package, &service.kind)).or_default(), &mut tables, model, name, service)?;
        let _ = writeln!(services, "    &{},", static_name(name));
    }
    for (name, action) in &model.actions {
        emit_action(modules.entry((&action.package, "action")).or_default(), &mut tables, model, name, action)?;
        let _ = writeln!(actions, "    &{},", static_name(name));
    }
    let mut out = String::new();
    let mut open = "";
    for ((package, kind), code) in &modules {
        if *package != open {
            if !open.is_empty() {
                out.push_str("}\n");
            }
            let _ = writeln!(out, "/// Interfaces of the ROS 2 package `{package}`.\npub mod {package} {{");
            open = package;
        }
        let _ = writeln!(out, "/// `{package}/{kind}`.\npub mod {kind} {{\n{code}}}");
    }
    out.push_str("}\n");
    let _ = writeln!(out, "pub(crate) mod tables {{\nuse crate::types::*;\n{tables}");
    let _ = writeln!(out, "pub(crate) static MESSAGES: &[&MessageType] = &[\n{messages}];");
    let _ = writeln!(out, "pub(crate) static SERVICES: &[&ServiceType] = &[\n{services}];");
    let _ = writeln!(out, "pub(crate) static ACTIONS: &[&ActionType] = &[\n{actions}];");
    let _ = writeln!(out, "pub(crate) static SOURCES: &[(&str, &str)] = &{:?};\n}}", sources.iter().collect::<Vec<_>>());
    Ok(out)
}

fn type_hash(model: &Model, name: &str) -> Result<String, String> {
    Ok(describe(model, name)?.hash())
}

/// `sensor_msgs/msg/Image` -> `SENSOR_MSGS__MSG__IMAGE`.
fn static_name(full: &str) -> String {
    full.replace('/', "__").to_uppercase()
}

/// `sensor_msgs/msg/Image` -> `sensor_msgs::msg::dds_::Image_`.
fn dds_name(full: &str) -> String {
    let (path, name) = full.rsplit_once('/').unwrap_or(("", full));
    format!("{}::dds_::{name}_", path.replace('/', "::"))
}

/// `pkg/srv/SetGoal_Request` -> `crate::pkg::srv::SetGoalRequest`.
fn rust_path(full: &str) -> String {
    let (path, name) = full.rsplit_once('/').unwrap_or(("", full));
    format!("crate::{}::{}", path.replace('/', "::"), rust_name(name))
}

fn rust_name(name: &str) -> String {
    name.replace('_', "")
}

fn rust_field(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "as", "async", "await", "box", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static",
        "struct", "super", "trait", "true", "try", "type", "unsafe", "use", "where", "while", "yield",
    ];
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

fn rust_base(base: &Base) -> Result<String, String> {
    Ok(match base {
        Base::Bool => "bool".into(),
        Base::Byte | Base::U8 => "u8".into(),
        Base::I8 => "i8".into(),
        Base::I16 => "i16".into(),
        Base::U16 => "u16".into(),
        Base::I32 => "i32".into(),
        Base::U32 => "u32".into(),
        Base::I64 => "i64".into(),
        Base::U64 => "u64".into(),
        Base::F32 => "f32".into(),
        Base::F64 => "f64".into(),
        Base::String(_) => "::std::string::String".into(),
        Base::WString(_) => return Err("wstring is supported as a single field only, not in arrays and sequences".into()),
        Base::Named(name) => rust_path(name),
    })
}

/// Size in bytes of a primitive, `None` for the others.
fn primitive_size(base: &Base) -> Option<usize> {
    match base {
        Base::Bool | Base::Byte | Base::I8 | Base::U8 => Some(1),
        Base::I16 | Base::U16 => Some(2),
        Base::I32 | Base::U32 | Base::F32 => Some(4),
        Base::I64 | Base::U64 | Base::F64 => Some(8),
        Base::String(_) | Base::WString(_) | Base::Named(_) => None,
    }
}

/// Sequences of bytes are what pictures and point clouds are made of: shared, not copied.
fn is_bytes(field: &Field) -> bool {
    matches!(field.base, Base::Byte | Base::U8) && matches!(field.shape, Shape::Bounded(_) | Shape::Unbounded)
}

fn doc_lines<'a>(lines: impl IntoIterator<Item = &'a String>) -> String {
    lines.into_iter().filter(|l| !l.is_empty()).map(|line| format!("#[doc = {line:?}]\n")).collect()
}

fn emit_struct(out: &mut String, message: &Message) -> Result<(), String> {
    let name = rust_name(&message.name);
    let doc = format!("`{}`", message.full_name());
    let doc = doc_lines([&doc].into_iter().chain(std::iter::once(&String::new())).chain(&message.doc));
    let fields: &[Field] = if message.is_empty() { &[] } else { &message.fields };
    let plain_default = fields.iter().all(|f| f.default.is_empty() && !matches!(f.shape, Shape::Array(n) if n > 32));
    let derive = if plain_default { "Clone, Debug, Default, PartialEq" } else { "Clone, Debug, PartialEq" };
    let _ = writeln!(out, "{doc}#[derive({derive})]\npub struct {name} {{");
    for field in fields {
        let base = match (&field.base, field.shape) {
            (Base::WString(_), Shape::Single) => "::std::string::String".into(),
            (base, _) => rust_base(base)?,
        };
        let rust = match field.shape {
            Shape::Single => base,
            Shape::Array(n) => format!("[{base}; {n}]"),
            Shape::Bounded(_) | Shape::Unbounded if is_bytes(field) => "crate::Bytes".into(),
            Shape::Bounded(_) | Shape::Unbounded => format!("Vec<{base}>"),
        };
        let _ = writeln!(out, "{}pub {}: {rust},", doc_lines([&field.doc]), rust_field(&field.name));
    }
    out.push_str("}\n");
    if !plain_default {
        let _ = writeln!(out, "impl Default for {name} {{ fn default() -> Self {{ Self {{");
        for field in fields {
            let _ = writeln!(out, "{}: {},", rust_field(&field.name), default_value(field));
        }
        out.push_str("} } }\n");
    }
    if !message.constants.is_empty() {
        let _ = writeln!(out, "impl {name} {{");
        for Constant { name: constant, base, value, doc } in &message.constants {
            let (rust, value) = match base {
                Base::String(_) | Base::WString(_) => ("&'static str".to_owned(), format!("{:?}", unquote(value))),
                other => (rust_base(other)?, literal(other, value)),
            };
            let _ = writeln!(out, "{}pub const {constant}: {rust} = {value};", doc_lines([doc]));
        }
        out.push_str("}\n");
    }
    Ok(())
}

fn literal(base: &Base, value: &str) -> String {
    match base {
        Base::Bool => value.to_lowercase().replace('1', "true").replace('0', "false"),
        Base::F32 | Base::F64 if !value.contains(['.', 'e', 'E']) => format!("{value}.0"),
        Base::String(_) | Base::WString(_) => format!("{:?}.to_owned()", unquote(value)),
        _ => value.to_owned(),
    }
}

fn default_value(field: &Field) -> String {
    if field.default.is_empty() {
        return match field.shape {
            Shape::Array(_) => "std::array::from_fn(|_| Default::default())".into(),
            _ => "Default::default()".into(),
        };
    }
    let items = || list_items(&field.default).iter().map(|v| literal(&field.base, v)).collect::<Vec<_>>().join(", ");
    match field.shape {
        Shape::Single => literal(&field.base, &field.default),
        Shape::Array(_) => format!("[{}]", items()),
        Shape::Bounded(_) | Shape::Unbounded => format!("vec![{}].into()", items()),
    }
}

fn emit_message_impl(out: &mut String, message: &Message) {
    let name = rust_name(&message.name);
    let (mut encode, mut decode) = (String::new(), String::new());
    let mut fixed = 0;
    let mut variable = String::new();
    if message.is_empty() {
        encode.push_str("w.put(0_u8);");
        decode.push_str("r.get::<u8>()?;\nOk(Self {})");
        fixed = 1;
    } else {
        decode.push_str("Ok(Self {\n");
        for field in &message.fields {
            let access = rust_field(&field.name);
            let _ = writeln!(encode, "{}", encode_call(field, &access));
            let _ = writeln!(decode, "{access}: {},", decode_call(field));
            size_terms(field, &access, &mut fixed, &mut variable);
        }
        decode.push_str("})");
    }
    let full = static_name(&message.full_name());
    let _ = writeln!(
        out,
        "impl crate::Message for {name} {{
fn message_type() -> &'static crate::MessageType {{ &crate::tables::{full} }}
fn encode(&self, w: &mut crate::cdr::Writer) {{\n{encode}}}
fn decode(r: &mut crate::cdr::Reader<'_>) -> Result<Self, crate::cdr::Error> {{\n{decode}\n}}
fn size_hint(&self) -> usize {{ {fixed}{variable} }}
}}"
    );
}

fn encode_call(field: &Field, access: &str) -> String {
    match (&field.base, field.shape) {
        (Base::Named(_), Shape::Single) => format!("crate::Message::encode(&self.{access}, w);"),
        (Base::Named(_), Shape::Array(_)) => format!("w.put_message_array(&self.{access});"),
        (Base::Named(_), _) => format!("w.put_message_sequence(&self.{access});"),
        (Base::WString(_), _) => format!("w.put_wstring(&self.{access});"),
        (Base::String(_), Shape::Single) => format!("w.put_string(&self.{access});"),
        (Base::String(_), Shape::Array(_)) => format!("w.put_string_array(&self.{access});"),
        (Base::String(_), _) => format!("w.put_string_sequence(&self.{access});"),
        (_, Shape::Single) => format!("w.put(self.{access});"),
        (_, Shape::Array(_)) => format!("w.put_array(&self.{access});"),
        (_, _) if is_bytes(field) => format!("w.put_bytes(&self.{access});"),
        (_, _) => format!("w.put_sequence(&self.{access});"),
    }
}

fn decode_call(field: &Field) -> String {
    let bound = match field.shape {
        Shape::Bounded(n) => format!("Some({n})"),
        _ => "None".into(),
    };
    match (&field.base, field.shape) {
        (Base::Named(_), Shape::Single) => "crate::Message::decode(r)?".into(),
        (Base::Named(_), Shape::Array(_)) => "r.get_message_array()?".into(),
        (Base::Named(_), _) => format!("r.get_message_sequence({bound})?"),
        (Base::WString(n), _) => format!("r.get_wstring({})?", string_bound(*n)),
        (Base::String(n), Shape::Single) => format!("r.get_string({})?", string_bound(*n)),
        (Base::String(n), Shape::Array(_)) => format!("r.get_string_array({})?", string_bound(*n)),
        (Base::String(n), _) => format!("r.get_string_sequence({bound}, {})?", string_bound(*n)),
        (_, Shape::Single) => "r.get()?".into(),
        (_, Shape::Array(_)) => "r.get_array()?".into(),
        (_, _) if is_bytes(field) => format!("r.get_bytes({bound})?"),
        (_, _) => format!("r.get_sequence({bound})?"),
    }
}

fn string_bound(bound: usize) -> String {
    if bound == 0 { "None".into() } else { format!("Some({bound})") }
}

/// Adds the field's part of an upper bound of the encoded size: every item is counted with its largest padding.
fn size_terms(field: &Field, access: &str, fixed: &mut usize, variable: &mut String) {
    let term = match (&field.base, field.shape) {
        (Base::Named(_), Shape::Single) => format!(" + crate::Message::size_hint(&self.{access})"),
        (Base::Named(_), _) => format!(" + 8 + self.{access}.iter().map(crate::Message::size_hint).sum::<usize>()"),
        // Four bytes for every UTF-16 unit, of which there are at most as many as bytes of UTF-8.
        (Base::WString(_), _) => format!(" + 8 + 4 * self.{access}.len()"),
        (Base::String(_), Shape::Single) => format!(" + 8 + self.{access}.len()"),
        (Base::String(_), _) => {
            format!(" + 8 + self.{access}.iter().map(|s| s.len() + 8).sum::<usize>()")
        }
        (base, shape) => {
            let size = primitive_size(base).unwrap_or(8);
            match shape {
                Shape::Single => *fixed += 2 * size - 1,
                Shape::Array(n) => *fixed += n * size + size - 1,
                _ => *fixed += 7 + size - 1,
            }
            match shape {
                Shape::Single | Shape::Array(_) => return,
                _ => format!(" + {size} * self.{access}.len()"),
            }
        }
    };
    variable.push_str(&term);
}

fn emit_message_type(out: &mut String, model: &Model, name: &str, message: &Message) -> Result<(), String> {
    let mut fields = String::new();
    let shown: &[Field] = if message.is_empty() { &[] } else { &message.fields };
    for field in shown {
        let kind = match &field.base {
            Base::Named(inner) => format!("Kind::Message(&{})", static_name(inner)),
            Base::String(0) => "Kind::String(None)".into(),
            Base::String(n) => format!("Kind::String(Some({n}))"),
            Base::WString(0) => "Kind::WString(None)".into(),
            Base::WString(n) => format!("Kind::WString(Some({n}))"),
            Base::Byte => "Kind::U8".into(),
            other => format!("Kind::{other:?}"),
        };
        let shape = match field.shape {
            Shape::Single => "Shape::Single".into(),
            Shape::Array(n) => format!("Shape::Array({n})"),
            Shape::Bounded(n) => format!("Shape::Sequence(Some({n}))"),
            Shape::Unbounded => "Shape::Sequence(None)".into(),
        };
        let _ =
            writeln!(fields, "Field {{ name: {:?}, kind: {kind}, shape: {shape}, default: {:?} }},", field.name, field.default);
    }
    let _ = writeln!(
        out,
        "pub(crate) static {}: MessageType = MessageType {{ name: {name:?}, dds_name: {:?}, hash: {:?}, definition: {:?}, \
         min_size: {}, fields: &[{fields}], recode: recode::<{}> }};",
        static_name(name),
        dds_name(name),
        type_hash(model, name)?,
        model.definition(name)?,
        min_size(model, message),
        rust_path(name)
    );
    Ok(())
}

/// Fewest bytes that an encoded value can take, padding not counted.
fn min_size(model: &Model, message: &Message) -> usize {
    let size = |field: &Field| {
        let element = match &field.base {
            Base::Named(inner) => model.messages.get(inner).map_or(1, |m| min_size(model, m)),
            base => primitive_size(base).unwrap_or(4),
        };
        match field.shape {
            Shape::Single => element,
            Shape::Array(n) => n * element,
            Shape::Bounded(_) | Shape::Unbounded => 4,
        }
    };
    message.fields.iter().map(size).sum::<usize>().max(1)
}

fn emit_service(out: &mut String, tables: &mut String, model: &Model, full: &str, service: &Service) -> Result<(), String> {
    let (name, table) = (rust_name(&service.name), static_name(full));
    let _ = writeln!(
        out,
        "/// Service `{full}`.
#[derive(Clone, Copy, Debug)]
pub struct {name};
impl crate::Service for {name} {{
type Request = {name}Request;
type Response = {name}Response;
fn service_type() -> &'static crate::ServiceType {{ &crate::tables::{table} }}
}}"
    );
    let _ = writeln!(
        tables,
        "pub(crate) static {table}: ServiceType = ServiceType {{ name: {full:?}, dds_name: {:?}, hash: {:?}, \
         request: &{table}_REQUEST, response: &{table}_RESPONSE }};",
        dds_name(full),
        type_hash(model, full)?
    );
    Ok(())
}

fn emit_action(out: &mut String, tables: &mut String, model: &Model, full: &str, action: &Action) -> Result<(), String> {
    let (name, table) = (rust_name(&action.name), static_name(full));
    let (uuid, time) = ("crate::unique_identifier_msgs::msg::UUID", "crate::builtin_interfaces::msg::Time");
    let _ = writeln!(
        out,
        "/// Action `{full}`.
#[derive(Clone, Copy, Debug)]
pub struct {name};
impl crate::Action for {name} {{
type Goal = {name}Goal;
type Result = {name}Result;
type Feedback = {name}Feedback;
type SendGoal = {name}SendGoal;
type GetResult = {name}GetResult;
type FeedbackMessage = {name}FeedbackMessage;
fn action_type() -> &'static crate::ActionType {{ &crate::tables::{table} }}
fn send_goal_request(goal_id: {uuid}, goal: {name}Goal) -> {name}SendGoalRequest {{ {name}SendGoalRequest {{ goal_id, goal }} }}
fn split_send_goal_request(request: {name}SendGoalRequest) -> ({uuid}, {name}Goal) {{ (request.goal_id, request.goal) }}
fn send_goal_response(accepted: bool, stamp: {time}) -> {name}SendGoalResponse {{ {name}SendGoalResponse {{ accepted, stamp }} }}
fn split_send_goal_response(response: {name}SendGoalResponse) -> (bool, {time}) {{ (response.accepted, response.stamp) }}
fn get_result_request(goal_id: {uuid}) -> {name}GetResultRequest {{ {name}GetResultRequest {{ goal_id }} }}
fn split_get_result_request(request: {name}GetResultRequest) -> {uuid} {{ request.goal_id }}
fn get_result_response(status: i8, result: {name}Result) -> {name}GetResultResponse {{ {name}GetResultResponse {{ status, result }} }}
fn split_get_result_response(response: {name}GetResultResponse) -> (i8, {name}Result) {{ (response.status, response.result) }}
fn feedback_message(goal_id: {uuid}, feedback: {name}Feedback) -> {name}FeedbackMessage {{ {name}FeedbackMessage {{ goal_id, feedback }} }}
fn split_feedback_message(message: {name}FeedbackMessage) -> ({uuid}, {name}Feedback) {{ (message.goal_id, message.feedback) }}
}}"
    );
    let _ = writeln!(
        tables,
        "pub(crate) static {table}: ActionType = ActionType {{ name: {full:?}, dds_name: {:?}, hash: {:?}, \
         goal: &{table}_GOAL, result: &{table}_RESULT, feedback: &{table}_FEEDBACK, send_goal: &{table}_SENDGOAL, \
         get_result: &{table}_GETRESULT, feedback_message: &{table}_FEEDBACKMESSAGE }};",
        dds_name(full),
        type_hash(model, full)?
    );
    Ok(())
}
