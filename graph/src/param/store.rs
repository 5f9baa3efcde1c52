//! The parameters of one node: what is declared, and how they change together or not at all.

mod frozen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use msgs::rcl_interfaces::msg as rcl;
use parking_lot::{Mutex, RwLock};

use super::value::{ParamType, ParamValue};
use crate::publisher::Publisher;
use crate::suggest;

/// Why parameters were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// The node has no such parameter.
    #[error("no parameter `{name}`{hint}")]
    Undeclared {
        /// The name that was given.
        name: String,
        /// What was probably meant, in words, or nothing.
        hint: String,
    },
    /// It can only be set at start.
    #[error("parameter `{0}` can only be set at start")]
    ReadOnly(String),
    /// It has a fixed type, so it cannot be without a value.
    #[error("parameter `{0}` has a fixed type and cannot be undeclared")]
    Static(String),
    /// The value does not fit the declaration.
    #[error("parameter `{name}`: {reason}")]
    Invalid {
        /// The parameter.
        name: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// The node refused the change as a whole.
    #[error("{0}")]
    Refused(String),
    /// Nothing was to be changed.
    #[error("the list of parameters is empty")]
    Empty,
}

pub(crate) use frozen::FrozenParam;

/// A parameter's value, shared by the node and its store.
pub(crate) struct Cell {
    value: RwLock<ParamValue>,
    /// Whether the node ever looked at it.
    read: AtomicBool,
    /// Whether somebody other than the node's code gave it a value.
    given: AtomicBool,
}

impl Cell {
    pub fn new(value: ParamValue) -> Arc<Self> {
        Arc::new(Self { value: RwLock::new(value), read: AtomicBool::new(false), given: AtomicBool::new(false) })
    }

    /// The node reads it.
    pub fn read<T: ParamType>(&self) -> Option<T> {
        // Looked at first: a store by each of many readers would move the cache line about.
        if !self.read.load(Ordering::Relaxed) {
            self.read.store(true, Ordering::Relaxed);
        }
        T::from_value(&self.value.read())
    }

    pub fn peek(&self) -> ParamValue {
        self.value.read().clone()
    }

    /// Sets it from outside the node.
    pub fn give(&self, value: ParamValue) {
        *self.value.write() = value;
        self.given.store(true, Ordering::Relaxed);
    }
}

type Check = Box<dyn Fn(&ParamValue) -> Result<(), String> + Send + Sync>;

/// What is known about a declared parameter.
pub(crate) struct Declaration {
    pub description: String,
    pub unit: &'static str,
    pub range: Option<(f64, f64)>,
    /// Zero: any value of the range.
    pub step: f64,
    pub choices: Vec<String>,
    pub constraints: String,
    pub read_only: bool,
    pub dynamic: bool,
    pub check: Option<Check>,
    pub cell: Arc<Cell>,
}

impl Declaration {
    pub fn new(value: ParamValue, dynamic: bool) -> Self {
        Self {
            description: String::new(),
            unit: "",
            range: None,
            step: 0.0,
            choices: Vec::new(),
            constraints: String::new(),
            read_only: false,
            dynamic,
            check: None,
            cell: Cell::new(value),
        }
    }

    /// `value` in the parameter's type, or what is wrong with it.
    pub fn fit(&self, value: ParamValue) -> Result<ParamValue, String> {
        let value = if self.dynamic {
            value
        } else {
            let like = self.cell.value.read();
            let value = value.coerced(&like);
            if value.type_code() != like.type_code() {
                return Err(format!("it is of type {}, not {}", like.kind(), value.kind()));
            }
            value
        };
        self.check_numbers(&value)?;
        self.check_words(&value)?;
        match &self.check {
            Some(check) => check(&value).map(|()| value),
            None => Ok(value),
        }
    }

    fn check_numbers(&self, value: &ParamValue) -> Result<(), String> {
        match value {
            ParamValue::Double(v) => self.check_double(*v),
            ParamValue::DoubleArray(v) => v.iter().try_for_each(|v| self.check_double(*v)),
            ParamValue::Integer(v) => self.check_integer(*v),
            ParamValue::IntegerArray(v) => v.iter().try_for_each(|v| self.check_integer(*v)),
            _ => Ok(()),
        }
    }

    // rclcpp, node_parameters.cpp: the ends of the range are values whatever the step is.
    fn check_double(&self, v: f64) -> Result<(), String> {
        if !v.is_finite() {
            return Err("it must be a finite number".into());
        }
        let Some((low, high)) = self.range else { return Ok(()) };
        if nearly(v, low) || nearly(v, high) {
            return Ok(());
        }
        if v < low || v > high {
            return Err(self.outside(v, low, high));
        }
        if self.step > 0.0 && !nearly(v, low + ((v - low) / self.step).round() * self.step) {
            return Err(format!("{v} is not {low} plus a multiple of {}", self.step));
        }
        Ok(())
    }

    fn check_integer(&self, v: i64) -> Result<(), String> {
        let Some((low, high, step)) = self.whole_range() else { return Ok(()) };
        if v < low || v > high {
            return Err(self.outside(v, low, high));
        }
        if step > 0 && v != high && v.abs_diff(low) % step != 0 {
            return Err(format!("{v} is not {low} plus a multiple of {step}"));
        }
        Ok(())
    }

    fn whole_range(&self) -> Option<(i64, i64, u64)> {
        self.range.map(|(low, high)| (low.ceil() as i64, high.floor() as i64, self.step as u64))
    }

    fn outside(&self, v: impl std::fmt::Display, low: impl std::fmt::Display, high: impl std::fmt::Display) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        format!("{v} is outside {low} to {high}{unit}")
    }

    fn check_words(&self, value: &ParamValue) -> Result<(), String> {
        let words: &[String] = match value {
            ParamValue::String(v) => std::slice::from_ref(v),
            ParamValue::StringArray(v) => v,
            _ => &[],
        };
        match words.iter().find(|v| !self.choices.is_empty() && !self.choices.contains(v)) {
            Some(v) => Err(format!("`{v}` is not one of {}", self.choices.join(", "))),
            None => Ok(()),
        }
    }

    fn descriptor(&self, name: &str) -> rcl::ParameterDescriptor {
        let value = self.cell.value.read();
        let mut description = self.description.clone();
        if !self.unit.is_empty() {
            description = format!("{description} [{}]", self.unit);
        }
        let choices = if self.choices.is_empty() { String::new() } else { format!("one of: {}", self.choices.join(", ")) };
        let constraints = [choices.as_str(), self.constraints.as_str()];
        let constraints: Vec<&str> = constraints.into_iter().filter(|text| !text.is_empty()).collect();
        let mut msg = rcl::ParameterDescriptor {
            name: name.to_owned(),
            type_: value.type_code(),
            description,
            additional_constraints: constraints.join("; "),
            read_only: self.read_only,
            dynamic_typing: self.dynamic,
            ..Default::default()
        };
        match &*value {
            ParamValue::Integer(_) | ParamValue::IntegerArray(_) => {
                let range =
                    self.whole_range().map(|(from_value, to_value, step)| rcl::IntegerRange { from_value, to_value, step });
                msg.integer_range.extend(range);
            }
            _ => {
                let range =
                    self.range.map(|(from_value, to_value)| rcl::FloatingPointRange { from_value, to_value, step: self.step });
                msg.floating_point_range.extend(range);
            }
        }
        msg
    }
}

/// Equal up to rounding, as rclcpp compares the ends and steps of ranges (100 units in the last place).
fn nearly(a: f64, b: f64) -> bool {
    a == b || (a.is_finite() && b.is_finite() && (a - b).abs() <= f64::EPSILON * (a + b).abs() * 100.0)
}

/// Parameters that are about to change, and those that stay.
pub struct ParamChanges<'a> {
    declared: &'a BTreeMap<String, Declaration>,
    changes: &'a [(String, ParamValue)],
}

impl ParamChanges<'_> {
    /// What changes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamValue)> {
        self.changes.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value that `name` would have; `None` if there is no such parameter or it is no `T`.
    pub fn get<T: ParamType>(&self, name: &str) -> Option<T> {
        match self.changes.iter().find(|(changed, _)| changed == name) {
            Some((_, value)) => T::from_value(value),
            None => self.declared.get(name).and_then(|declaration| T::from_value(&declaration.cell.value.read())),
        }
    }
}

/// What was changed; becomes a message on /parameter_events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changed {
    pub new: Vec<(String, ParamValue)>,
    pub changed: Vec<(String, ParamValue)>,
    pub deleted: Vec<(String, ParamValue)>,
}

type WholeCheck = Box<dyn Fn(&ParamChanges<'_>) -> Result<(), String> + Send + Sync>;

/// The parameters of one node.
#[derive(Default)]
pub(crate) struct ParamStore {
    declared: RwLock<BTreeMap<String, Declaration>>,
    checks: RwLock<Vec<WholeCheck>>,
    /// Whether parameters that the node did not declare are taken, with any type.
    pub open: AtomicBool,
    /// What was declared and not told yet on /parameter_events.
    pub news: Mutex<Vec<(String, ParamValue)>>,
    /// Where changes are told.
    pub events: RwLock<Option<Publisher<rcl::ParameterEvent>>>,
}

impl ParamStore {
    pub fn names(&self) -> Vec<String> {
        self.declared.read().keys().cloned().collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.declared.read().contains_key(name)
    }

    /// A parameter's value, not counted as read by the node.
    pub fn get(&self, name: &str) -> Option<ParamValue> {
        self.declared.read().get(name).map(|declaration| declaration.cell.peek())
    }

    /// As [`ParamStore::get`], for the node itself.
    pub fn read(&self, name: &str) -> Option<ParamValue> {
        self.declared.read().get(name).and_then(|declaration| declaration.cell.read())
    }

    pub fn describe(&self, name: &str) -> Option<rcl::ParameterDescriptor> {
        self.declared.read().get(name).map(|declaration| declaration.descriptor(name))
    }

    pub fn declare(&self, name: String, declaration: Declaration) {
        let value = declaration.cell.peek();
        if value != ParamValue::NotSet {
            self.news.lock().push((name.clone(), value));
        }
        self.declared.write().insert(name, declaration);
    }

    pub fn add_check(&self, check: WholeCheck) {
        self.checks.write().push(check);
    }

    /// Lets the node's own checks see the values that it starts with.
    pub fn check_all(&self) -> Result<(), String> {
        let declared = self.declared.read();
        let changes = ParamChanges { declared: &declared, changes: &[] };
        self.checks.read().iter().try_for_each(|check| check(&changes))
    }

    /// Parameters that were given a value and never looked at by the node.
    pub fn unread(&self) -> Vec<(String, ParamValue)> {
        let declared = self.declared.read();
        let unread = declared.iter().filter(|(_, declaration)| {
            declaration.cell.given.load(Ordering::Relaxed) && !declaration.cell.read.load(Ordering::Relaxed)
        });
        unread.map(|(name, declaration)| (name.clone(), declaration.cell.peek())).collect()
    }

    /// Checks every change, then makes all or none.
    pub fn set(&self, changes: &[(String, ParamValue)]) -> Result<Changed, ParamError> {
        if changes.is_empty() {
            return Err(ParamError::Empty);
        }
        let mut declared = self.declared.write();
        let mut fitting: Vec<(String, ParamValue)> = Vec::with_capacity(changes.len());
        for (name, value) in changes {
            let value = self.fit(&declared, name, value.clone())?;
            // Of a name that comes twice the last value counts.
            fitting.retain(|(earlier, _)| earlier != name);
            fitting.push((name.clone(), value));
        }
        let proposed = ParamChanges { declared: &declared, changes: &fitting };
        self.checks.read().iter().try_for_each(|check| check(&proposed)).map_err(ParamError::Refused)?;
        let mut done = Changed::default();
        for (name, value) in fitting {
            match declared.get(&name) {
                Some(declaration) if value == ParamValue::NotSet => {
                    let before = declaration.cell.peek();
                    declaration.cell.give(ParamValue::NotSet);
                    if before == ParamValue::NotSet {
                        // rclcpp: it had no value before either, so it stays declared.
                        done.changed.push((name, value));
                    } else {
                        declared.remove(&name);
                        done.deleted.push((name, before));
                    }
                }
                Some(declaration) => {
                    declaration.cell.give(value.clone());
                    done.changed.push((name, value));
                }
                None => {
                    let declaration = Declaration::new(ParamValue::NotSet, true);
                    declaration.cell.give(value.clone());
                    declared.insert(name.clone(), declaration);
                    done.new.push((name, value));
                }
            }
        }
        Ok(done)
    }

    fn fit(&self, declared: &BTreeMap<String, Declaration>, name: &str, value: ParamValue) -> Result<ParamValue, ParamError> {
        let invalid = |reason| ParamError::Invalid { name: name.to_owned(), reason };
        match declared.get(name) {
            Some(declaration) if declaration.read_only => Err(ParamError::ReadOnly(name.to_owned())),
            Some(declaration) if value == ParamValue::NotSet && !declaration.dynamic => Err(ParamError::Static(name.to_owned())),
            Some(_) if value == ParamValue::NotSet => Ok(value),
            Some(declaration) => declaration.fit(value).map_err(invalid),
            None if self.open.load(Ordering::Relaxed) && !name.is_empty() => Ok(value),
            None => {
                let hint = suggest::hint(name, declared.keys().map(String::as_str));
                Err(ParamError::Undeclared { name: name.to_owned(), hint })
            }
        }
    }

    /// Forgets a parameter. As in rclcpp it must be neither read-only nor of a fixed type.
    pub fn undeclare(&self, name: &str) -> Result<Changed, ParamError> {
        let mut declared = self.declared.write();
        let value = self.fit(&declared, name, ParamValue::NotSet)?;
        let before = declared.remove(name).map(|declaration| declaration.cell.peek()).unwrap_or(value);
        Ok(Changed { deleted: vec![(name.to_owned(), before)], ..Changed::default() })
    }

    /// rcl_interfaces/ListParameters as rclcpp answers it: without prefixes, names with less than `depth` dots; with prefixes, the prefix itself and
    /// what stands below it with less than `depth` further dots; depth zero: all. The result's prefixes are what stands before the last dot.
    pub fn list(&self, prefixes: &[String], depth: u64) -> rcl::ListParametersResult {
        let shallow = |name: &str| depth == 0 || (name.matches('.').count() as u64) < depth;
        let below = |name: &str, prefix: &String| {
            name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(&shallow))
        };
        let mut result = rcl::ListParametersResult::default();
        for name in self.declared.read().keys() {
            let wanted = if prefixes.is_empty() { shallow(name) } else { prefixes.iter().any(|prefix| below(name, prefix)) };
            if !wanted {
                continue;
            }
            result.names.push(name.clone());
            if let Some((prefix, _)) = name.rsplit_once('.')
                && !result.prefixes.iter().any(|known| known == prefix)
            {
                result.prefixes.push(prefix.to_owned());
            }
        }
        result
    }
}
