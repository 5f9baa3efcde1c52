//! omnimind-viewer
