//! The shape of a message as the walkers see it: a compiled type's static table and a [`Definition`](crate::definition::Definition)
//! read at run time are the same to them.

use crate::{Kind, MessageType, Shape};

/// A message type whose fields can be walked. `'a` is how long its names live.
pub trait Layout<'a>: Copy {
    /// ROS name, e.g. `sensor_msgs/msg/Image`.
    fn name(self) -> &'a str;
    /// Fewest bytes that an encoded value can take, padding not counted; at least 1.
    fn min_size(self) -> usize;
    /// The fields in order; none for a type without fields, which is encoded as one byte.
    fn fields(self) -> impl Iterator<Item = FieldView<'a, Self>>;
}

/// One field of a [`Layout`].
pub struct FieldView<'a, L> {
    /// Name as in the definition.
    pub name: &'a str,
    /// Element type.
    pub kind: Kind<L>,
    /// How many elements.
    pub shape: Shape,
    /// Default value as written in a definition, empty if none.
    pub default: &'a str,
}

impl<'a> Layout<'a> for &'a MessageType {
    fn name(self) -> &'a str {
        self.name
    }

    fn min_size(self) -> usize {
        self.min_size
    }

    fn fields(self) -> impl Iterator<Item = FieldView<'a, Self>> {
        self.fields.iter().map(|f| FieldView { name: f.name, kind: f.kind, shape: f.shape, default: f.default })
    }
}

/// Fewest bytes of an encoded element.
pub(crate) fn min_size<'a, L: Layout<'a>>(kind: Kind<L>) -> usize {
    match kind {
        Kind::Bool | Kind::I8 | Kind::U8 => 1,
        Kind::I16 | Kind::U16 => 2,
        Kind::I32 | Kind::U32 | Kind::F32 | Kind::String(_) | Kind::WString(_) => 4,
        Kind::I64 | Kind::U64 | Kind::F64 => 8,
        Kind::Message(inner) => inner.min_size(),
    }
}
