//! omnimind-motion
