//! Timers without a runtime that drives them.

use super::of_runtime::SHORT;
use super::*;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::Wake;

struct Bell(SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Nobody listens once the test is over.
        let _ = self.0.send(());
    }
}

/// A short wait ends without any help of the runtime, whose ticks nobody drives here; a long one is
/// left to it. From the first short one on the thread is asked for whatever is earliest.
#[test]
fn a_short_wait_needs_no_tick() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let timers = OfRuntime::new(runtime.handle().clone(), Arc::new(Server::new()));
    let (rings, rung) = sync_channel(2);
    let bell = Waker::from(Arc::new(Bell(rings)));
    timers.arm(timers.now().plus(SHORT * 36_000), &bell);
    assert_eq!(timers.asked(), (false, 1));
    timers.arm(timers.now().plus(SHORT / 100), &bell);
    rung.recv().unwrap();
    assert_eq!(timers.asked(), (true, 1));
}
