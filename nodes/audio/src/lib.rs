//! omnimind-audio
