//! What a test's transport declares when nobody is in other processes.

use crate::Time;
use crate::message::Erased;
use crate::transport::{Carrier, RemoteClient, RemotePublisher, ReplySink, Token, TransportError};

/// A declaration that nobody hears and nobody answers. It holds something of the test's for as long as it lasts, for instance what counts it.
pub struct Nobody<T>(pub T);

impl<T: Send + Sync> Token for Nobody<T> {}

impl<T: Send + Sync> RemotePublisher for Nobody<T> {
    fn matched(&self) -> bool {
        false
    }
    fn publish(&self, _: &dyn Erased, _: Time) -> Result<(), TransportError> {
        Ok(())
    }
    fn carrier(&self) -> Carrier {
        ("", 0)
    }
    fn assert_liveliness(&self) -> Result<(), TransportError> {
        Ok(())
    }
}

impl<T: Send + Sync> RemoteClient for Nobody<T> {
    fn available(&self) -> bool {
        false
    }
    fn call(&self, _: Vec<u8>, reply: ReplySink) {
        reply(Err(TransportError::NoAnswer("nobody".into())));
    }
}
