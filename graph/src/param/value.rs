//! Values of parameters: the nine types of rcl_interfaces/ParameterType, and "not set".

use msgs::Bytes;
use msgs::rcl_interfaces::msg as rcl;

/// A parameter's value.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum ParamValue {
    /// No value: a parameter of no fixed type may have none.
    #[default]
    NotSet,
    /// true or false
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Double(f64),
    /// Words.
    String(String),
    /// Bytes.
    ByteArray(#[serde(with = "crate::snapshot::shared_bytes")] Bytes),
    /// Truth values.
    BoolArray(Vec<bool>),
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
            Self::NotSet => "not set",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::ByteArray(_) => "byte_array",
            Self::BoolArray(_) => "bool_array",
            Self::IntegerArray(_) => "integer_array",
            Self::DoubleArray(_) => "double_array",
            Self::StringArray(_) => "string_array",
        }
    }

    /// The value as rcl_interfaces writes it.
    pub fn to_msg(&self) -> rcl::ParameterValue {
        let mut msg = rcl::ParameterValue { type_: self.type_code(), ..Default::default() };
        match self.clone() {
            Self::NotSet => {}
            Self::Bool(v) => msg.bool_value = v,
            Self::Integer(v) => msg.integer_value = v,
            Self::Double(v) => msg.double_value = v,
            Self::String(v) => msg.string_value = v,
            Self::ByteArray(v) => msg.byte_array_value = v,
            Self::BoolArray(v) => msg.bool_array_value = v,
            Self::IntegerArray(v) => msg.integer_array_value = v,
            Self::DoubleArray(v) => msg.double_array_value = v,
            Self::StringArray(v) => msg.string_array_value = v,
        }
        msg
    }

    /// The value that rcl_interfaces wrote; `None` for a type that it does not define.
    pub fn from_msg(msg: &rcl::ParameterValue) -> Option<Self> {
        Some(match msg.type_ {
            rcl::ParameterType::PARAMETER_NOT_SET => Self::NotSet,
            rcl::ParameterType::PARAMETER_BOOL => Self::Bool(msg.bool_value),
            rcl::ParameterType::PARAMETER_INTEGER => Self::Integer(msg.integer_value),
            rcl::ParameterType::PARAMETER_DOUBLE => Self::Double(msg.double_value),
            rcl::ParameterType::PARAMETER_STRING => Self::String(msg.string_value.clone()),
            rcl::ParameterType::PARAMETER_BYTE_ARRAY => Self::ByteArray(msg.byte_array_value.clone()),
            rcl::ParameterType::PARAMETER_BOOL_ARRAY => Self::BoolArray(msg.bool_array_value.clone()),
            rcl::ParameterType::PARAMETER_INTEGER_ARRAY => Self::IntegerArray(msg.integer_array_value.clone()),
            rcl::ParameterType::PARAMETER_DOUBLE_ARRAY => Self::DoubleArray(msg.double_array_value.clone()),
            rcl::ParameterType::PARAMETER_STRING_ARRAY => Self::StringArray(msg.string_array_value.clone()),
            _ => return None,
        })
    }

    /// The type as rcl_interfaces/ParameterType numbers it.
    pub fn type_code(&self) -> u8 {
        match self {
            Self::NotSet => rcl::ParameterType::PARAMETER_NOT_SET,
            Self::Bool(_) => rcl::ParameterType::PARAMETER_BOOL,
            Self::Integer(_) => rcl::ParameterType::PARAMETER_INTEGER,
            Self::Double(_) => rcl::ParameterType::PARAMETER_DOUBLE,
            Self::String(_) => rcl::ParameterType::PARAMETER_STRING,
            Self::ByteArray(_) => rcl::ParameterType::PARAMETER_BYTE_ARRAY,
            Self::BoolArray(_) => rcl::ParameterType::PARAMETER_BOOL_ARRAY,
            Self::IntegerArray(_) => rcl::ParameterType::PARAMETER_INTEGER_ARRAY,
            Self::DoubleArray(_) => rcl::ParameterType::PARAMETER_DOUBLE_ARRAY,
            Self::StringArray(_) => rcl::ParameterType::PARAMETER_STRING_ARRAY,
        }
    }

    /// `self` as the type of `like`, where a person would expect it: a whole number where a number is wanted, whole numbers of 0 to 255 where
    /// bytes are wanted, an empty list of any type.
    pub(crate) fn coerced(self, like: &ParamValue) -> ParamValue {
        match (self, like) {
            (Self::Integer(v), Self::Double(_)) => Self::Double(v as f64),
            (Self::IntegerArray(v), Self::DoubleArray(_)) => Self::DoubleArray(v.into_iter().map(|x| x as f64).collect()),
            (Self::IntegerArray(v), Self::ByteArray(_)) => {
                let bytes: Option<Vec<u8>> = v.iter().map(|x| u8::try_from(*x).ok()).collect();
                bytes.map_or(Self::IntegerArray(v), |bytes| Self::ByteArray(bytes.into()))
            }
            (value, _) if value.is_empty_list() && like.is_list() => like.emptied(),
            (value, _) => value,
        }
    }

    fn is_list(&self) -> bool {
        self.type_code() >= rcl::ParameterType::PARAMETER_BYTE_ARRAY
    }

    fn is_empty_list(&self) -> bool {
        self.is_list() && *self == self.emptied()
    }

    /// An empty list of the same type.
    fn emptied(&self) -> ParamValue {
        match self {
            Self::ByteArray(_) => Self::ByteArray(Bytes::new()),
            Self::BoolArray(_) => Self::BoolArray(Vec::new()),
            Self::IntegerArray(_) => Self::IntegerArray(Vec::new()),
            Self::DoubleArray(_) => Self::DoubleArray(Vec::new()),
            Self::StringArray(_) => Self::StringArray(Vec::new()),
            other => other.clone(),
        }
    }
}

/// As YAML writes it.
impl std::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSet => f.write_str("null"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Double(v) => write!(f, "{v:?}"),
            Self::String(v) => f.write_str(v),
            Self::ByteArray(v) => write!(f, "{:?}", &v[..]),
            Self::BoolArray(v) => write!(f, "{v:?}"),
            Self::IntegerArray(v) => write!(f, "{v:?}"),
            Self::DoubleArray(v) => write!(f, "{v:?}"),
            Self::StringArray(v) => write!(f, "{v:?}"),
        }
    }
}

/// A Rust type that a parameter can have. [`ParamValue`] itself is for parameters of no fixed type.
pub trait ParamType: Clone + Send + Sync + 'static {
    /// Into the general form.
    fn into_value(self) -> ParamValue;
    /// From the general form, if it is this type.
    fn from_value(value: &ParamValue) -> Option<Self>;
    /// Whether values of any type are taken.
    const DYNAMIC: bool = false;
}

impl ParamType for ParamValue {
    fn into_value(self) -> ParamValue {
        self
    }
    fn from_value(value: &ParamValue) -> Option<Self> {
        Some(value.clone())
    }
    const DYNAMIC: bool = true;
}

macro_rules! param_type {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
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
param_type!(
    bool => Bool,
    i64 => Integer,
    f64 => Double,
    String => String,
    Bytes => ByteArray,
    Vec<bool> => BoolArray,
    Vec<i64> => IntegerArray,
    Vec<f64> => DoubleArray,
    Vec<String> => StringArray,
);

impl From<&str> for ParamValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value of each type, in the order of the type codes.
    fn one_of_each() -> Vec<ParamValue> {
        vec![
            ParamValue::NotSet,
            true.into(),
            (-7).into(),
            2.5.into(),
            "words".into(),
            Bytes::from_static(&[0, 255]).into(),
            vec![true, false].into(),
            vec![1, 2].into(),
            vec![0.5, 1.5].into(),
            vec!["a".to_owned()].into(),
        ]
    }

    #[test]
    fn every_type_goes_through_the_message_and_has_its_official_code() {
        for (code, value) in one_of_each().into_iter().enumerate() {
            let msg = value.to_msg();
            assert_eq!(usize::from(msg.type_), code);
            assert_eq!(ParamValue::from_msg(&msg), Some(value));
        }
        assert_eq!(ParamValue::from_msg(&rcl::ParameterValue { type_: 10, ..Default::default() }), None);
    }

    #[test]
    fn values_are_coerced_only_where_nothing_is_lost() {
        let bytes = ParamValue::ByteArray(vec![1].into());
        assert_eq!(ParamValue::IntegerArray(vec![0, 255]).coerced(&bytes), ParamValue::ByteArray(vec![0, 255].into()));
        assert_eq!(ParamValue::IntegerArray(vec![0, 256]).coerced(&bytes), ParamValue::IntegerArray(vec![0, 256]));
        assert_eq!(ParamValue::StringArray(vec![]).coerced(&ParamValue::BoolArray(vec![true])), ParamValue::BoolArray(vec![]));
        assert_eq!(ParamValue::StringArray(vec![]).coerced(&ParamValue::Bool(true)), ParamValue::StringArray(vec![]));
        assert_eq!(ParamValue::Double(1.0).coerced(&ParamValue::Integer(1)), ParamValue::Double(1.0));
    }
}
