//! Makes the machine's memory ready. A virtual machine gets a page from its host when it first
//! touches it, which costs several times an ordinary page fault; whichever case met such pages
//! would look slow. So before the first round a process of its own touches more memory than any
//! case uses, and its end gives the pages back to the system, which hands them out again first.

use std::{fs, hint::black_box};

use crate::child::{self, ChildError};

const PAGE_BYTES: usize = 4096;
/// Touched before a usual run and before a quick one; several times what the largest case uses.
const WARM_MIB: [usize; 2] = [4096, 1024];

/// Lets a child touch memory, at most a quarter of what is available.
pub(crate) fn memory(quick: bool) -> Result<(), ChildError> {
    let mib = WARM_MIB[usize::from(quick)].min(available_mib() / 4);
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

/// MemAvailable in MiB; 0 where the system does not tell.
fn available_mib() -> usize {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or(0) / 1024
}
