//! omnimind-gpu_manager
