//! Tensors that travel between callers and networks.

use ndarray::{Array, ArrayD, ArrayViewD, Dimension};

/// An owned tensor of one of the element types that the catalogue's networks use, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// 32-bit floating point.
    F32(ArrayD<f32>),
    /// 64-bit signed integers (token identifiers, masks).
    I64(ArrayD<i64>),
    /// 32-bit signed integers.
    I32(ArrayD<i32>),
    /// Bytes.
    U8(ArrayD<u8>),
    /// Truth values.
    Bool(ArrayD<bool>),
}

/// A look at a tensor of one of the element types that outputs have.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorView<'a> {
    /// 32-bit floating point.
    F32(ArrayViewD<'a, f32>),
    /// 64-bit signed integers.
    I64(ArrayViewD<'a, i64>),
    /// 32-bit signed integers.
    I32(ArrayViewD<'a, i32>),
}

impl TensorView<'_> {
    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(a) => a.shape(),
            Self::I64(a) => a.shape(),
            Self::I32(a) => a.shape(),
        }
    }
}

/// A tensor is not what was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TensorError {
    /// The network gave no output of this name.
    #[error("the model gave no output `{name}`; it gave: {known}")]
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Another element type.
    #[error("tensor `{name}` holds {found}, not {expected}")]
    Type {
        /// The tensor's name.
        name: String,
        /// The element type asked for.
        expected: &'static str,
        /// The element type found.
        found: String,
    },
}

impl Tensor {
    /// The element type as a word: `f32`, `i64`, ...
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::I64(_) => "i64",
            Self::I32(_) => "i32",
            Self::U8(_) => "u8",
            Self::Bool(_) => "bool",
        }
    }

    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(a) => a.shape(),
            Self::I64(a) => a.shape(),
            Self::I32(a) => a.shape(),
            Self::U8(a) => a.shape(),
            Self::Bool(a) => a.shape(),
        }
    }
}

macro_rules! from_array {
    ($variant:ident, $element:ty) => {
        impl<D: Dimension> From<Array<$element, D>> for Tensor {
            fn from(array: Array<$element, D>) -> Self {
                Self::$variant(array.into_dyn())
            }
        }
    };
}
from_array!(F32, f32);
from_array!(I64, i64);
from_array!(I32, i32);
from_array!(U8, u8);
from_array!(Bool, bool);
