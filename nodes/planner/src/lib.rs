//! omnimind-planner
