//! x
pub use door;
