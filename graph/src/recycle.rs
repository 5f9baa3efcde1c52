//! Messages of a fixed size are put where an earlier one was: in steady state publishing them takes no memory.

use std::sync::Arc;

use msgs::{Kind, Message, MessageType, Shape};
use parking_lot::Mutex;

/// So many of a publisher's messages are kept for being used again.
const KEPT: usize = 16;

/// What can be published: an `M` or an `Arc<M>`.
pub trait Outgoing<M> {
    /// The message to be shared; `stock` is the publisher's, if it has one.
    #[doc(hidden)]
    fn share(self, stock: Option<&Stock<M>>) -> Arc<M>;
}

impl<M: Message> Outgoing<M> for M {
    fn share(self, stock: Option<&Stock<M>>) -> Arc<M> {
        match stock {
            Some(stock) => stock.put(self),
            None => Arc::new(self),
        }
    }
}

impl<M: Message> Outgoing<M> for Arc<M> {
    fn share(self, _stock: Option<&Stock<M>>) -> Arc<M> {
        self
    }
}

/// A publisher's earlier messages.
pub struct Stock<M>(Mutex<Vec<Arc<M>>>);

impl<M: Message> Stock<M> {
    /// None for types that hold memory of their own: what they keep, for instance a picture's bytes, would be kept with them.
    pub(crate) fn new() -> Option<Self> {
        is_fixed(M::message_type()).then(|| Self(Mutex::new(Vec::with_capacity(KEPT))))
    }

    fn put(&self, message: M) -> Arc<M> {
        let mut stock = self.0.lock();
        match stock.iter_mut().position(|kept| Arc::get_mut(kept).is_some()) {
            Some(free) => {
                if let Some(place) = Arc::get_mut(&mut stock[free]) {
                    *place = message;
                }
                Arc::clone(&stock[free])
            }
            None => {
                let new = Arc::new(message);
                if stock.len() < KEPT {
                    stock.push(Arc::clone(&new));
                }
                new
            }
        }
    }
}

/// Whether all values take the same memory and own no other.
fn is_fixed(message_type: &MessageType) -> bool {
    message_type.fields.iter().all(|field| {
        let kind = match field.kind {
            Kind::String(_) | Kind::WString(_) => false,
            Kind::Message(inner) => is_fixed(inner),
            Kind::Bool | Kind::I8 | Kind::U8 | Kind::I16 | Kind::U16 | Kind::I32 => true,
            Kind::U32 | Kind::I64 | Kind::U64 | Kind::F32 | Kind::F64 => true,
        };
        kind && !matches!(field.shape, Shape::Sequence(_))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::Field;
    use msgs::geometry_msgs::msg::{Twist, TwistStamped};
    use msgs::std_msgs::msg::Float64;

    #[test]
    fn only_what_nobody_holds_is_used_again() {
        let stock = Stock::<Float64>::new().unwrap();
        let first = Float64 { data: 1.0 }.share(Some(&stock));
        let second = Float64 { data: 2.0 }.share(Some(&stock));
        assert!(!Arc::ptr_eq(&first, &second) && first.data == 1.0);
        let place = Arc::as_ptr(&first);
        drop(first);
        let third = Float64 { data: 3.0 }.share(Some(&stock));
        assert_eq!((Arc::as_ptr(&third), third.data, second.data), (place, 3.0, 2.0));
        let held: Vec<_> = (0..3 * KEPT).map(|_| Float64::default().share(Some(&stock))).collect();
        assert!(held.len() > stock.0.lock().len());
    }

    #[test]
    fn types_with_memory_of_their_own_are_not_kept() {
        assert!(Stock::<Twist>::new().is_some());
        assert!(Stock::<TwistStamped>::new().is_none(), "it has a frame_id");
        assert!(Stock::<msgs::sensor_msgs::msg::Image>::new().is_none());
        let of = |kind| {
            let mut some = MessageType::opaque("x/msg/X", "x::msg::dds_::X_", "");
            some.fields = Box::leak(Box::new([Field { name: "x", kind, shape: Shape::Single, default: "" }]));
            is_fixed(&some)
        };
        assert!(of(Kind::U8) && !of(Kind::String(None)) && !of(Kind::WString(None)) && !of(Kind::WString(Some(8))));
    }
}
