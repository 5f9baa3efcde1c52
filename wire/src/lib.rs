//! omnimind-wire
