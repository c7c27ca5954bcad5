//! Makes memory ready for a case. A virtual machine gets a page from its host when it first touches
//! it, which costs many times an ordinary page fault, and the case that met such pages looked up
//! to five times slower than it is. So before a case that needs much memory, a process of its own
//! touches as much and ends; the system hands those pages out again first.

use std::hint::black_box;

use crate::child::{self, ChildError};

const PAGE_BYTES: usize = 4096;

/// Lets a child of this very program touch memory.
pub(crate) fn memory(mib: usize) -> Result<(), ChildError> {
    if mib > 0 {
        child::run("bench", &["--touch-mib", &mib.to_string()])?;
    }
    Ok(())
}

/// Touches each page of `mib` MiB once.
pub(crate) fn touch(mib: usize) {
    let mut memory: Vec<u8> = Vec::with_capacity(mib << 20);
    for page in memory.spare_capacity_mut().iter_mut().step_by(PAGE_BYTES) {
        page.write(1);
    }
    black_box(&mut memory);
}
