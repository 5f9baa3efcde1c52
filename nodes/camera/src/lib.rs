//! omnimind-camera
