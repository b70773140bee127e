//! Who says that a type may lie in shared memory promises what the compiler cannot check.

struct Mine(u32);
impl interproc::Shared for Mine {} //~ E0200
