//! Parameters: declared once with type, unit and range, changeable while the node runs.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use msgs::rcl_interfaces::msg as rcl;
use parking_lot::RwLock;

use crate::error::SetupError;
use crate::suggest::nearest;

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// true or false
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// Words.
    String(String),
    /// Whole numbers.
    IntegerArray(Vec<i64>),
    /// Numbers.
    DoubleArray(Vec<f64>),
    /// Words.
    StringArray(Vec<String>),
}

impl ParamValue {
    /// The type's name as ROS 2 users say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::IntegerArray(_) => "integer_array",
            Self::DoubleArray(_) => "double_array",
            Self::StringArray(_) => "string_array",
        }
    }

    /// The value as rcl_interfaces writes it.
    pub fn to_msg(&self) -> rcl::ParameterValue {
        let mut msg = rcl::ParameterValue { type_: self.type_code(), ..Default::default() };
        match self.clone() {
            Self::Bool(v) => msg.bool_value = v,
            Self::Integer(v) => msg.integer_value = v,
            Self::Double(v) => msg.double_value = v,
            Self::String(v) => msg.string_value = v,
            Self::IntegerArray(v) => msg.integer_array_value = v,
            Self::DoubleArray(v) => msg.double_array_value = v,
            Self::StringArray(v) => msg.string_array_value = v,
        }
        msg
    }

    /// The value that rcl_interfaces wrote; `None` for "not set" and for types that OmniMind does not use.
    pub fn from_msg(msg: &rcl::ParameterValue) -> Option<Self> {
        Some(match msg.type_ {
            rcl::ParameterType::PARAMETER_BOOL => Self::Bool(msg.bool_value),
            rcl::ParameterType::PARAMETER_INTEGER => Self::Integer(msg.integer_value),
            rcl::ParameterType::PARAMETER_DOUBLE => Self::Double(msg.double_value),
            rcl::ParameterType::PARAMETER_STRING => Self::String(msg.string_value.clone()),
            rcl::ParameterType::PARAMETER_INTEGER_ARRAY => Self::IntegerArray(msg.integer_array_value.clone()),
            rcl::ParameterType::PARAMETER_DOUBLE_ARRAY => Self::DoubleArray(msg.double_array_value.clone()),
            rcl::ParameterType::PARAMETER_STRING_ARRAY => Self::StringArray(msg.string_array_value.clone()),
            _ => return None,
        })
    }

    fn type_code(&self) -> u8 {
        match self {
            Self::Bool(_) => rcl::ParameterType::PARAMETER_BOOL,
            Self::Integer(_) => rcl::ParameterType::PARAMETER_INTEGER,
            Self::Double(_) => rcl::ParameterType::PARAMETER_DOUBLE,
            Self::String(_) => rcl::ParameterType::PARAMETER_STRING,
            Self::IntegerArray(_) => rcl::ParameterType::PARAMETER_INTEGER_ARRAY,
            Self::DoubleArray(_) => rcl::ParameterType::PARAMETER_DOUBLE_ARRAY,
            Self::StringArray(_) => rcl::ParameterType::PARAMETER_STRING_ARRAY,
        }
    }

    /// `self` as the type of `like`, where a person would expect it: a whole number where a number is wanted, an empty list of any type.
    fn coerced(self, like: &ParamValue) -> ParamValue {
        match (self, like) {
            (Self::Integer(v), Self::Double(_)) => Self::Double(v as f64),
            (Self::IntegerArray(v), Self::DoubleArray(_)) => Self::DoubleArray(v.into_iter().map(|x| x as f64).collect()),
            (Self::IntegerArray(v), Self::StringArray(_)) if v.is_empty() => Self::StringArray(Vec::new()),
            (Self::StringArray(v), Self::DoubleArray(_)) if v.is_empty() => Self::DoubleArray(Vec::new()),
            (Self::StringArray(v), Self::IntegerArray(_)) if v.is_empty() => Self::IntegerArray(Vec::new()),
            (value, _) => value,
        }
    }
}

/// A Rust type that a parameter can have.
pub trait ParamType: Clone + Send + Sync + 'static {
    /// Into the general form.
    fn into_value(self) -> ParamValue;
    /// From the general form, if it is this type.
    fn from_value(value: &ParamValue) -> Option<Self>;
}

macro_rules! param_type {
    ($($rust:ty => $variant:ident),*) => {$(
        impl ParamType for $rust {
            fn into_value(self) -> ParamValue { ParamValue::$variant(self) }
            fn from_value(value: &ParamValue) -> Option<Self> {
                if let ParamValue::$variant(v) = value { Some(v.clone()) } else { None }
            }
        }
        impl From<$rust> for ParamValue {
            fn from(value: $rust) -> Self { value.into_value() }
        }
    )*};
}
param_type!(bool => Bool, i64 => Integer, f64 => Double, String => String, Vec<i64> => IntegerArray, Vec<f64> => DoubleArray, Vec<String> => StringArray);

impl From<&str> for ParamValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

/// A declared parameter; reading it gives the present value.
pub struct Param<T> {
    value: Arc<RwLock<ParamValue>>,
    default: T,
}

impl<T: ParamType> Param<T> {
    /// The present value.
    pub fn get(&self) -> T {
        // The store only ever keeps values of the declared type.
        T::from_value(&self.value.read()).unwrap_or_else(|| self.default.clone())
    }
}

/// What is known about a declared parameter.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub description: String,
    pub unit: &'static str,
    pub range: Option<(f64, f64)>,
    pub choices: Vec<String>,
    pub read_only: bool,
    value: Arc<RwLock<ParamValue>>,
}

impl Declaration {
    fn check(&self, value: &ParamValue) -> Result<(), String> {
        let wanted = self.value.read().kind();
        if value.kind() != wanted {
            return Err(format!("it is of type {wanted}, not {}", value.kind()));
        }
        let numbers: Vec<f64> = match value {
            ParamValue::Double(v) => vec![*v],
            ParamValue::Integer(v) => vec![*v as f64],
            ParamValue::DoubleArray(v) => v.clone(),
            ParamValue::IntegerArray(v) => v.iter().map(|v| *v as f64).collect(),
            _ => Vec::new(),
        };
        if numbers.iter().any(|v| !v.is_finite()) {
            return Err("it must be a finite number".into());
        }
        if let Some((low, high)) = self.range
            && let Some(v) = numbers.iter().find(|v| **v < low || **v > high)
        {
            let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
            return Err(format!("{v} is outside {low} to {high}{unit}"));
        }
        let words: &[String] = match value {
            ParamValue::String(v) => std::slice::from_ref(v),
            ParamValue::StringArray(v) => v,
            _ => &[],
        };
        if !self.choices.is_empty()
            && let Some(v) = words.iter().find(|v| !self.choices.contains(v))
        {
            return Err(format!("`{v}` is not one of {}", self.choices.join(", ")));
        }
        Ok(())
    }

    pub(crate) fn descriptor(&self, name: &str) -> rcl::ParameterDescriptor {
        let value = self.value.read();
        let mut description = self.description.clone();
        if !self.unit.is_empty() {
            description = format!("{description} [{}]", self.unit);
        }
        let mut msg = rcl::ParameterDescriptor {
            name: name.to_owned(),
            type_: value.type_code(),
            description,
            additional_constraints: if self.choices.is_empty() {
                String::new()
            } else {
                format!("one of: {}", self.choices.join(", "))
            },
            read_only: self.read_only,
            ..Default::default()
        };
        if let Some((low, high)) = self.range {
            match *value {
                ParamValue::Integer(_) => {
                    msg.integer_range.push(rcl::IntegerRange { from_value: low as i64, to_value: high as i64, step: 0 });
                }
                _ => msg.floating_point_range.push(rcl::FloatingPointRange { from_value: low, to_value: high, step: 0.0 }),
            }
        }
        msg
    }
}

/// The parameters of one node.
#[derive(Default)]
pub(crate) struct ParamStore {
    declared: RwLock<BTreeMap<String, Declaration>>,
}

impl ParamStore {
    pub fn names(&self) -> Vec<String> {
        self.declared.read().keys().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<ParamValue> {
        self.declared.read().get(name).map(|d| d.value.read().clone())
    }

    pub fn describe(&self, name: &str) -> Option<rcl::ParameterDescriptor> {
        self.declared.read().get(name).map(|d| d.descriptor(name))
    }

    /// Checks every change, then makes all or none.
    pub fn set(&self, changes: &[(String, ParamValue)]) -> Result<(), String> {
        let declared = self.declared.read();
        let mut checked = Vec::with_capacity(changes.len());
        for (name, value) in changes {
            let Some(declaration) = declared.get(name) else {
                let hint = nearest(name, declared.keys().map(String::as_str));
                return Err(match hint {
                    Some(near) => format!("no parameter `{name}`; did you mean `{near}`?"),
                    None => format!("no parameter `{name}`"),
                });
            };
            if declaration.read_only {
                return Err(format!("parameter `{name}` can only be set at start"));
            }
            let value = value.clone().coerced(&declaration.value.read());
            declaration.check(&value).map_err(|reason| format!("parameter `{name}`: {reason}"))?;
            checked.push((declaration, value));
        }
        for (declaration, value) in checked {
            *declaration.value.write() = value;
        }
        Ok(())
    }
}

/// A parameter being declared.
pub struct ParamBuilder<'a, T> {
    store: &'a ParamStore,
    overrides: &'a mut BTreeMap<String, ParamValue>,
    node: &'a str,
    name: String,
    default: T,
    declaration: Declaration,
    _type: PhantomData<T>,
}

impl<'a, T: ParamType> ParamBuilder<'a, T> {
    pub(crate) fn new(
        store: &'a ParamStore,
        overrides: &'a mut BTreeMap<String, ParamValue>,
        node: &'a str,
        name: String,
        default: T,
    ) -> Self {
        let declaration = Declaration {
            description: String::new(),
            unit: "",
            range: None,
            choices: Vec::new(),
            read_only: false,
            value: Arc::new(RwLock::new(default.clone().into_value())),
        };
        Self { store, overrides, node, name, default, declaration, _type: PhantomData }
    }

    /// The unit of the value, in SI's symbols.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.declaration.unit = unit;
        self
    }

    /// The least and the greatest value.
    pub fn range(mut self, low: impl Into<f64>, high: impl Into<f64>) -> Self {
        self.declaration.range = Some((low.into(), high.into()));
        self
    }

    /// The words that are allowed.
    pub fn one_of(mut self, choices: &[&str]) -> Self {
        self.declaration.choices = choices.iter().map(|c| (*c).to_owned()).collect();
        self
    }

    /// What it does, in a sentence.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.declaration.description = description.into();
        self
    }

    /// It can only be set at start.
    pub fn read_only(mut self) -> Self {
        self.declaration.read_only = true;
        self
    }

    /// Declares it, with the value from the launch file if there is one.
    ///
    /// # Errors
    /// [`SetupError::InvalidParameter`] when that value is of another type or out of range, or when the node declared the name before.
    pub fn declare(self) -> Result<Param<T>, SetupError> {
        let Self { store, overrides, node, name, default, declaration, .. } = self;
        if store.declared.read().contains_key(&name) {
            let reason = "the node declares it twice".to_owned();
            return Err(SetupError::InvalidParameter { node: node.to_owned(), name, reason });
        }
        if let Some(value) = overrides.remove(&name) {
            let value = value.coerced(&declaration.value.read());
            declaration.check(&value).map_err(|reason| SetupError::InvalidParameter {
                node: node.to_owned(),
                name: name.clone(),
                reason,
            })?;
            *declaration.value.write() = value;
        }
        let param = Param { value: Arc::clone(&declaration.value), default };
        store.declared.write().insert(name, declaration);
        Ok(param)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(overrides: &mut BTreeMap<String, ParamValue>, store: &ParamStore) -> Result<Param<f64>, SetupError> {
        ParamBuilder::new(store, overrides, "battery", "capacity_wh".into(), 26.0).unit("Wh").range(1, 100).declare()
    }

    #[test]
    fn a_whole_number_is_taken_where_a_number_is_wanted() {
        let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), ParamValue::Integer(30))]);
        let param = declare(&mut overrides, &ParamStore::default()).unwrap();
        assert_eq!(param.get(), 30.0);
        assert!(overrides.is_empty());
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_range_and_unit() {
        for bad in [ParamValue::Double(1000.0), ParamValue::Double(f64::NAN), ParamValue::String("x".into())] {
            let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), bad)]);
            assert!(declare(&mut overrides, &ParamStore::default()).is_err());
        }
        let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), ParamValue::Double(1000.0))]);
        let message = declare(&mut overrides, &ParamStore::default()).err().unwrap().to_string();
        assert_eq!(message, "node `battery`, parameter `capacity_wh`: 1000 is outside 1 to 100 Wh");
    }

    #[test]
    fn every_member_of_a_list_is_checked() {
        let store = ParamStore::default();
        let mut none = BTreeMap::new();
        ParamBuilder::new(&store, &mut none, "n", "ids".into(), vec![1]).range(0, 10).declare().unwrap();
        ParamBuilder::new(&store, &mut none, "n", "words".into(), vec!["a".to_owned()]).one_of(&["a", "b"]).declare().unwrap();
        assert!(store.set(&[("ids".to_owned(), vec![2, 11].into())]).unwrap_err().contains("11 is outside 0 to 10"));
        assert!(store.set(&[("words".to_owned(), vec!["b".to_owned(), "c".to_owned()].into())]).unwrap_err().contains("`c`"));
    }

    #[test]
    fn a_parameter_is_declared_once() {
        let store = ParamStore::default();
        declare(&mut BTreeMap::new(), &store).unwrap();
        assert!(declare(&mut BTreeMap::new(), &store).err().unwrap().to_string().contains("twice"));
    }

    #[test]
    fn changes_are_made_all_or_none() {
        let store = ParamStore::default();
        let param = declare(&mut BTreeMap::new(), &store).unwrap();
        let changes = [("capacity_wh".to_owned(), ParamValue::Double(30.0)), ("capacity".to_owned(), ParamValue::Double(1.0))];
        assert!(store.set(&changes).unwrap_err().contains("capacity_wh"));
        assert_eq!(param.get(), 26.0);
        store.set(&changes[..1]).unwrap();
        assert_eq!(param.get(), 30.0);
    }
}
