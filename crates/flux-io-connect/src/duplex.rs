//! Both directions between a program and a pipeline, each a bounded channel of its own.
//!
//! Closing or dropping one end ends its direction and leaves the other as it is: a program may stop
//! sending and still receive all answers.

use crate::channel::{ChannelSink, ChannelSource, Receiver, Sender, channel, outlet};

/// The pipeline's side.
#[derive(Debug)]
pub struct Inside<I, O> {
    /// What the program sends.
    pub source: ChannelSource<I>,
    /// What the program receives.
    pub sink: ChannelSink<O>,
}

/// The program's side.
#[derive(Debug)]
pub struct Outside<I, O> {
    /// Sends into the pipeline.
    pub sender: Sender<I>,
    /// Receives from the pipeline.
    pub receiver: Receiver<O>,
}

/// Two bounded channels: `inward` items may wait on their way in, `outward` on their way out.
#[must_use]
pub fn duplex<I: Send + 'static, O: Send + 'static>(
    inward: usize,
    outward: usize,
) -> (Outside<I, O>, Inside<I, O>) {
    let (sender, source) = channel(inward);
    let (sink, receiver) = outlet(outward);
    (Outside { sender, receiver }, Inside { source, sink })
}
