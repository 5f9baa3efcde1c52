//! Messages of types that are not compiled in: recorded as they come, with the definition that their publisher tells.

use bags::{Channel, QosProfile, WriteError};
use graph::{AnyMessage, Context, Learned, Time};

use crate::node::{Recorder, Recording, stamp_ns};

impl Recorder {
    /// Writes what waited for a definition that has come or will not come; with `all` everything. What cannot be written is dropped.
    pub(crate) fn write_held(&mut self, ctx: &mut Context, all: bool) -> Result<(), WriteError> {
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let learner = &mut self.learner;
        let ready = |(message, _): &(AnyMessage, Time)| all || learner.definition(message.message_type) != Learned::Asked;
        let mut waiting = recording.held.take(ready).into_iter();
        while let Some((message, at)) = waiting.next() {
            if let Err(error) = self.write_foreign(ctx, &message, at, true) {
                self.drop_messages(reason(&error), waiting.len() as u64 + 1);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Keeps or writes a message of a type that is not compiled in.
    pub(crate) fn take_foreign(&mut self, ctx: &mut Context, message: &AnyMessage, at: Time) -> Result<(), WriteError> {
        // None overtakes those that wait.
        self.write_held(ctx, false)?;
        let (kind, size) = (message.message_type, message.size_hint());
        let Some(Recording { held, .. }) = &mut self.recording else { return Ok(()) };
        if self.learner.definition(kind) == Learned::Asked {
            if !held.is_full_for(size) {
                held.push(kind.name, kind.hash, size, (message.clone(), at));
                return Ok(());
            }
            self.learner.give_up(kind, "too much came before anybody told it");
            self.write_held(ctx, false)?;
        }
        self.write_foreign(ctx, message, at, false)
    }

    /// Writes a message of a type that is not compiled in as it is, with the definition that its publisher told.
    fn write_foreign(&mut self, ctx: &mut Context, message: &AnyMessage, at: Time, late: bool) -> Result<(), WriteError> {
        let Some(Recording { writer, .. }) = &mut self.recording else { return Ok(()) };
        let kind = message.message_type;
        let definition = match self.learner.definition(kind) {
            Learned::Told(text) => text,
            Learned::Asked => "".into(),
            Learned::Unknown(why) => {
                if self.unknown.insert((kind.name, kind.hash)) {
                    ctx.warn(format!("{} is recorded without the definition of {}: {why}", message.topic, kind.name));
                }
                "".into()
            }
        };
        let offered = self.overrides.get(&*message.topic).copied().unwrap_or_else(|| QosProfile::from(&message.qos));
        let channel = Channel {
            topic: &message.topic,
            message_type: kind.name,
            definition: &definition,
            // A system without type hashes has a word for it in their place.
            type_hash: if kind.hash.starts_with("RIHS") { kind.hash } else { "" },
            qos: std::slice::from_ref(&offered),
        };
        let (at_ns, stamp) = (stamp_ns(at), stamp_ns(message.stamp));
        #[allow(clippy::cast_possible_truncation)]
        let sequence = message.sequence as u32;
        if late {
            writer.write_late(&channel, at_ns, stamp, sequence, &message.to_cdr())
        } else {
            writer.write(&channel, at_ns, stamp, sequence, &message.to_cdr()).map(drop)
        }
    }
}

/// What a message that could not be written counts as.
pub(crate) fn reason(error: &WriteError) -> &'static str {
    if matches!(error, WriteError::Full { .. }) { "over the limit" } else { "disk" }
}
