//! omnimind
