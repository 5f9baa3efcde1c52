//! Expands parsed interfaces into a flat set of messages, services and actions.
//!
//! A service is two messages and an event; an action is three messages, two services and a feedback message, as rosidl's
//! `rosidl_parser/definition.py` lays them down.

use super::parser::{Base, Constant, Field, Interface, Section, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// Field that stands in for "no field": C has no empty structs.
pub const EMPTY_FIELD: &str = "structure_needs_at_least_one_member";

/// How deep messages may lie in each other. rosidl has no limit; real interfaces stay below 10.
const MAX_DEPTH: usize = 64;

/// A message type, written by hand or implied by a service or an action.
#[derive(Debug, Clone)]
pub struct Message {
    pub package: String,
    pub kind: String,
    /// ROS name, e.g. `SetGoal_Request`.
    pub name: String,
    pub fields: Vec<Field>,
    pub constants: Vec<Constant>,
    /// Definition text of this type alone.
    pub text: String,
    pub doc: Vec<String>,
}

/// A service: names of its parts are derived from its own.
#[derive(Debug, Clone)]
pub struct Service {
    pub package: String,
    pub kind: String,
    pub name: String,
}

/// An action: names of its parts are derived from its own.
#[derive(Debug, Clone)]
pub struct Action {
    pub package: String,
    pub name: String,
}

/// Everything, by full ROS name.
#[derive(Debug, Default)]
pub struct Model {
    pub messages: BTreeMap<String, Message>,
    pub services: BTreeMap<String, Service>,
    pub actions: BTreeMap<String, Action>,
}

impl Message {
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.package, self.kind, self.name)
    }

    /// Service events exist only in type hashes.
    pub fn is_event(&self) -> bool {
        self.kind != "msg" && self.name.ends_with("_Event")
    }

    pub fn is_empty(&self) -> bool {
        self.fields.len() == 1 && self.fields[0].name == EMPTY_FIELD
    }
}

impl Model {
    pub fn build(interfaces: Vec<Interface>) -> Result<Self, String> {
        let mut model = Self::default();
        for interface in interfaces {
            let Interface { package, kind, name, sections } = interface;
            let mut sections = sections.into_iter();
            let mut next = || sections.next().unwrap_or_default();
            match kind.as_str() {
                "msg" => model.add(&package, "msg", &name, next()),
                "srv" => {
                    let (request, response) = (next(), next());
                    model.add_service(&package, "srv", &name, request, response);
                }
                _ => {
                    model.add(&package, "action", &format!("{name}_Goal"), next());
                    model.add(&package, "action", &format!("{name}_Result"), next());
                    model.add(&package, "action", &format!("{name}_Feedback"), next());
                    model.add_action(&package, &name);
                }
            }
        }
        model.check()?;
        Ok(model)
    }

    /// Messages by package, kind and name, without the services and actions that imply some of them.
    ///
    /// # Errors
    /// If one of them contains itself, contains what is not there, or appears twice with different fields.
    #[allow(dead_code)] // The build script has whole interfaces.
    pub fn of_messages(messages: Vec<(String, String, String, Section)>) -> Result<Self, String> {
        let mut model = Self::default();
        for (package, kind, name, section) in messages {
            let full = format!("{package}/{kind}/{name}");
            let before = model.messages.get(&full).map(|m| m.fields.clone());
            model.add(&package, &kind, &name, section);
            if before.is_some_and(|fields| fields != model.messages[&full].fields) {
                return Err(format!("`{full}` is defined twice, and not the same"));
            }
        }
        model.check()?;
        Ok(model)
    }

    fn add(&mut self, package: &str, kind: &str, name: &str, section: Section) {
        let Section { text, doc, mut fields, constants } = section;
        if fields.is_empty() {
            fields.push(single(EMPTY_FIELD, Base::U8));
        }
        let message = Message { package: package.into(), kind: kind.into(), name: name.into(), fields, constants, text, doc };
        self.messages.insert(message.full_name(), message);
    }

    fn add_service(&mut self, package: &str, kind: &str, name: &str, request: Section, response: Section) {
        self.add(package, kind, &format!("{name}_Request"), request);
        self.add(package, kind, &format!("{name}_Response"), response);
        let part = |suffix: &str| Field {
            shape: Shape::Bounded(1),
            ..single(&suffix.to_lowercase(), Base::Named(format!("{package}/{kind}/{name}_{suffix}")))
        };
        let info = single("info", Base::Named("service_msgs/msg/ServiceEventInfo".into()));
        let event = section(vec![info, part("Request"), part("Response")]);
        self.add(package, kind, &format!("{name}_Event"), event);
        let service = Service { package: package.into(), kind: kind.into(), name: name.into() };
        self.services.insert(format!("{package}/{kind}/{name}"), service);
    }

    fn add_action(&mut self, package: &str, name: &str) {
        let own = |suffix: &str| Base::Named(format!("{package}/action/{name}_{suffix}"));
        let goal_id = || single("goal_id", Base::Named("unique_identifier_msgs/msg/UUID".into()));
        let stamp = single("stamp", Base::Named("builtin_interfaces/msg/Time".into()));
        let send_request = section(vec![goal_id(), single("goal", own("Goal"))]);
        let send_response = section(vec![single("accepted", Base::Bool), stamp]);
        self.add_service(package, "action", &format!("{name}_SendGoal"), send_request, send_response);
        let result_request = section(vec![goal_id()]);
        let result_response = section(vec![single("status", Base::I8), single("result", own("Result"))]);
        self.add_service(package, "action", &format!("{name}_GetResult"), result_request, result_response);
        let feedback = section(vec![goal_id(), single("feedback", own("Feedback"))]);
        self.add(package, "action", &format!("{name}_FeedbackMessage"), feedback);
        let action = Action { package: package.into(), name: name.into() };
        self.actions.insert(format!("{package}/action/{name}"), action);
    }

    /// Every referenced type exists and no type contains itself.
    fn check(&self) -> Result<(), String> {
        for name in self.messages.keys() {
            self.references(name).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }

    /// Full names of all types that `name` contains, directly or not, sorted.
    pub fn references(&self, name: &str) -> Result<BTreeSet<String>, String> {
        let mut found = BTreeSet::new();
        self.collect(name, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    fn collect(&self, name: &str, path: &mut Vec<String>, found: &mut BTreeSet<String>) -> Result<(), String> {
        let message = self.messages.get(name).ok_or_else(|| format!("type `{name}` is not defined"))?;
        if path.len() >= MAX_DEPTH {
            return Err(format!("types lie in each other more than {MAX_DEPTH} deep"));
        }
        path.push(name.to_owned());
        for field in &message.fields {
            if let Base::Named(inner) = &field.base {
                if path.contains(inner) {
                    return Err(format!("`{inner}` contains itself"));
                }
                if found.insert(inner.clone()) {
                    self.collect(inner, path, found)?;
                }
            }
        }
        path.pop();
        Ok(())
    }

    /// The schema text of a message with its dependencies, in the form of MCAP's `ros2msg` encoding.
    pub fn definition(&self, name: &str) -> Result<String, String> {
        let own = self.messages.get(name).ok_or_else(|| format!("type `{name}` is not defined"))?;
        let mut text = own.text.clone();
        for dependency in self.references(name)? {
            let message = &self.messages[&dependency];
            text.push_str(&"=".repeat(80));
            text.push_str(&format!("\nMSG: {}/{}\n{}", message.package, message.name, message.text));
        }
        Ok(text)
    }
}

fn single(name: &str, base: Base) -> Field {
    Field { name: name.into(), base, shape: Shape::Single, default: String::new(), doc: String::new() }
}

/// A section for an implied type; its text is written in the message language.
fn section(fields: Vec<Field>) -> Section {
    let mut text = String::new();
    for field in &fields {
        let base = match &field.base {
            Base::Named(full) => {
                let mut parts = full.split('/');
                let (package, name) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
                format!("{package}/{name}")
            }
            Base::Bool => "bool".into(),
            _ => "int8".into(),
        };
        let shape = if field.shape == Shape::Single { "" } else { "[<=1]" };
        text.push_str(&format!("{base}{shape} {}\n", field.name));
    }
    Section { text, fields, ..Section::default() }
}
