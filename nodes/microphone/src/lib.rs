//! omnimind-microphone
