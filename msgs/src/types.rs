//! What generic code knows about an interface: traits of the generated types and their static descriptions.

use crate::{Bytes, cdr, walk};

/// A message type: encoded as CDR, described by a [`MessageType`].
pub trait Message: Clone + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The static description of this type.
    fn message_type() -> &'static MessageType;

    /// Writes the body, without the encapsulation header.
    fn encode(&self, w: &mut cdr::Writer);

    /// Reads the body, without the encapsulation header.
    ///
    /// # Errors
    /// [`cdr::Error`] if the bytes are not an encoding of this type.
    fn decode(r: &mut cdr::Reader<'_>) -> Result<Self, cdr::Error>;

    /// An upper bound of the encoded body's size in bytes.
    fn size_hint(&self) -> usize;

    /// The message as on the wire: encapsulation header `00 01 00 00` and body (XCDR1, little-endian).
    fn to_cdr(&self) -> Vec<u8> {
        let mut writer = cdr::Writer::with_capacity(self.size_hint());
        self.encode(&mut writer);
        writer.finish()
    }

    /// As [`Message::to_cdr`], but large byte sequences are not copied: they are referred to.
    fn to_pieces(&self) -> cdr::Pieces {
        let mut writer = cdr::Writer::sharing(self.size_hint());
        self.encode(&mut writer);
        writer.finish_pieces()
    }

    /// Reads what [`Message::to_cdr`] wrote, or a big-endian peer (header `00 00 00 00`). Bytes after the message are ignored: some
    /// peers pad.
    ///
    /// # Errors
    /// [`cdr::Error`] if the header is another one or the bytes are not an encoding of this type.
    fn from_cdr(bytes: &[u8]) -> Result<Self, cdr::Error> {
        match walk::to_little_endian(Self::message_type(), bytes)? {
            None => Self::decode(&mut cdr::Reader::new(bytes)?),
            Some(turned) => Self::decode(&mut cdr::Reader::new(&turned)?),
        }
    }

    /// As [`Message::from_cdr`], but large byte sequences are not copied: they keep hold of `bytes`.
    ///
    /// # Errors
    /// As [`Message::from_cdr`].
    fn from_shared(bytes: &Bytes) -> Result<Self, cdr::Error> {
        match walk::to_little_endian(Self::message_type(), bytes)? {
            None => Self::decode(&mut cdr::Reader::sharing(bytes)?),
            Some(turned) => Self::decode(&mut cdr::Reader::sharing(&turned.into())?),
        }
    }
}

/// A service type, a marker with two messages.
pub trait Service: 'static {
    /// What the client sends.
    type Request: Message;
    /// What the server answers.
    type Response: Message;

    /// The static description of this service.
    fn service_type() -> &'static ServiceType;
}

/// Static description of a message type.
pub struct MessageType {
    /// ROS name, e.g. `sensor_msgs/msg/Image`.
    pub name: &'static str,
    /// Name on the wire, e.g. `sensor_msgs::msg::dds_::Image_`.
    pub dds_name: &'static str,
    /// Type hash (REP 2016), e.g. `RIHS01_...`.
    pub hash: &'static str,
    /// Definition text with all dependencies, in the form of MCAP's `ros2msg` schema encoding.
    pub definition: &'static str,
    /// Fewest bytes that an encoded value can take, padding not counted.
    pub min_size: usize,
    /// The fields in order; empty for a type without fields.
    pub fields: &'static [Field],
    /// See [`MessageType::recode`].
    pub(crate) recode: fn(&[u8]) -> Result<Vec<u8>, cdr::Error>,
}

impl MessageType {
    /// A type of which no more than this is known: it has no fields and no definition, and its bytes are only checked for their header.
    #[must_use]
    pub const fn opaque(name: &'static str, dds_name: &'static str, hash: &'static str) -> Self {
        let recode = |bytes: &[u8]| cdr::Reader::new(bytes).map(|_| bytes.to_vec());
        Self { name, dds_name, hash, definition: "", min_size: 0, fields: &[], recode }
    }

    /// Whether no more than name and hash are known, as of [`MessageType::opaque`].
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        // A type without fields still has the byte that its empty structure takes in CDR.
        self.min_size == 0
    }

    /// Decodes an encoded message with the generated code and encodes it again: checks bytes and normalises them (little-endian,
    /// padding is zero, nothing follows the message).
    ///
    /// # Errors
    /// [`cdr::Error`] if the bytes are not an encoding of this type.
    pub fn recode(&self, bytes: &[u8]) -> Result<Vec<u8>, cdr::Error> {
        (self.recode)(bytes)
    }
}

/// One field of a [`MessageType`].
pub struct Field {
    /// Name as in the definition.
    pub name: &'static str,
    /// Element type.
    pub kind: Kind,
    /// How many elements.
    pub shape: Shape,
    /// Default value as written in the definition, empty if none.
    pub default: &'static str,
}

/// Element type of a [`Field`]; `M` stands for a nested message's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind<M = &'static MessageType> {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    /// With the largest number of bytes, if bounded.
    String(Option<usize>),
    /// Text of UTF-16 units, with their largest number, if bounded.
    WString(Option<usize>),
    /// Another message.
    Message(M),
}

/// Number of elements of a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Exactly one, not an array.
    Single,
    /// A fixed number.
    Array(usize),
    /// Any number up to the bound, if there is one.
    Sequence(Option<usize>),
}

/// Static description of a service type.
pub struct ServiceType {
    /// ROS name, e.g. `std_srvs/srv/Trigger`.
    pub name: &'static str,
    /// Name on the wire, e.g. `std_srvs::srv::dds_::Trigger_`.
    pub dds_name: &'static str,
    /// Type hash of the service.
    pub hash: &'static str,
    /// Request message.
    pub request: &'static MessageType,
    /// Response message.
    pub response: &'static MessageType,
}

/// Static description of an action type.
pub struct ActionType {
    /// ROS name, e.g. `omnimind_msgs/action/Act`.
    pub name: &'static str,
    /// Name on the wire, e.g. `omnimind_msgs::action::dds_::Act_`.
    pub dds_name: &'static str,
    /// Type hash of the action.
    pub hash: &'static str,
    /// Goal message.
    pub goal: &'static MessageType,
    /// Result message.
    pub result: &'static MessageType,
    /// Feedback message.
    pub feedback: &'static MessageType,
    /// Service `<action>/_action/send_goal`.
    pub send_goal: &'static ServiceType,
    /// Service `<action>/_action/get_result`.
    pub get_result: &'static ServiceType,
    /// Topic `<action>/_action/feedback`.
    pub feedback_message: &'static MessageType,
}

/// [`MessageType::recode`] of a type.
pub(crate) fn recode<M: Message>(bytes: &[u8]) -> Result<Vec<u8>, cdr::Error> {
    Ok(M::from_cdr(bytes)?.to_cdr())
}

macro_rules! by_name {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({} {})", stringify!($name), self.name, self.hash)
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.name == other.name && self.hash == other.hash
            }
        }
        impl Eq for $name {}
    )*};
}
by_name!(MessageType ServiceType ActionType);
