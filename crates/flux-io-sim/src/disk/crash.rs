//! What a power cut leaves of the simulated disk.

use super::file::put;
use super::{FileOp, Inode, SECTOR, SimDisk};
use flux_io_core::ChoiceKind;

impl SimDisk {
    /// Cuts the power and turns it on again. What was synced is there; each change that was not
    /// survives, is lost, or survives in part. Open files are closed.
    pub fn power_cut(&mut self) {
        for op in std::mem::take(&mut self.pending) {
            // Plain: it survives.
            if self.loses() == 0 {
                op.apply(&mut self.durable_names);
            }
        }
        let ids: Vec<u64> = self.inodes.keys().copied().collect();
        for id in ids {
            let Some(mut inode) = self.inodes.remove(&id) else { continue };
            self.settle(&mut inode);
            self.inodes.insert(id, inode);
        }
        self.names.clone_from(&self.durable_names);
        self.forget_unnamed();
        self.boot += 1;
    }

    fn loses(&mut self) -> u32 {
        self.choices.choose(ChoiceKind::Delay, 2)
    }

    fn settle(&mut self, inode: &mut Inode) {
        for op in std::mem::take(&mut inode.pending) {
            match op {
                FileOp::Write { at, bytes } => self.survive(at, &bytes, &mut inode.durable),
                FileOp::SetLen(_) => {
                    if self.loses() == 0 {
                        op.apply(&mut inode.durable);
                    }
                }
            }
        }
        inode.live.clone_from(&inode.durable);
    }

    /// A write survives whole, not at all, or in some of its sectors.
    fn survive(&mut self, at: usize, bytes: &[u8], durable: &mut Vec<u8>) {
        match self.choices.choose(ChoiceKind::Delay, 3) {
            0 => put(durable, at, bytes),
            1 => {}
            _ => {
                let mut from = at;
                while from < at + bytes.len() {
                    let end = ((from / SECTOR + 1) * SECTOR).min(at + bytes.len());
                    if self.loses() == 0 {
                        put(durable, from, &bytes[from - at..end - at]);
                    }
                    from = end;
                }
            }
        }
    }
}
