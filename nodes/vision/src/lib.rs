//! omnimind-vision
