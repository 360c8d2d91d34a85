//! Everything of Longbow that is written in Rust, as one static library: two of them in one program would bring the
//! standard library twice. A crate whose C functions shall be in it is named here.

pub use door;
