//! What is wrong with a graph: all faults at once, each with its place and the nearest fix.
//!
//! | code | fault |
//! |---|---|
//! | P001 | two stages or operators have one name |
//! | P002 | an output leads nowhere |
//! | P003 | there is no source |
//! | P004 | stages form a cycle |
//! | P005 | an orphan: nothing leads to an input, or to a stage |
//! | P006 | an edge joins ports of different columns, or a port that is not there |
//! | P007 | a buffer, batch or plan that holds nothing |
//! | P008 | a buffer that drops rows where all rows are promised |
//! | P009 | parallel instances of a stage that cannot be copied, or none at all |
//! | P010 | an accumulator whose incomplete keys never leave |
//! | P011 | a connector that needs an engine with a reactor (found by the engine) |
//! | P012 | an empty name, or one with a control character |
//! | P013 | an option behind a stage that does not have it (found by the builder) |
//! | P014 | flows of two pipelines are joined (found by the builder) |
//! | P015 | a second sink for dead letters (found by the builder) |
//! | P016 | the policy of a keyed stage has a fault (found by its description) |
//! | P017 | a retry that never tries |
//! | P018 | two edges at one port |
//! | P019 | a merge of one flow, a branch to none |
//! | P021 | branches of one flow that meet again by place, although one may drop, add or hold rows |
//! | P022 | a stored graph names a part that is not there, or that refuses (found by the registry) |
//! | P023 | a part is another stage than the stored graph says (found by the registry) |
//! | P024 | a stored graph names a stage that is not there (found by the registry) |
//! | P030 | a scheduler on an engine that has its own (found by the engine) |
//! | P031 | a block of a dataflow network that no stage has (found by the engine) |

mod branches;
mod shape;
mod values;

pub(crate) use branches::{Starves, asks, by_id, entangled, in_step, may_starve, silent, upstream};

use flux_io_core::skip::skips;
use flux_io_core::{Graph, PlanFault};
use std::error::Error;
use std::fmt;
use std::panic::Location;

/// All faults of a description, never none.
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

/// Faults as they are found.
#[derive(Debug, Default)]
struct Found(Vec<PlanFault>);

impl Found {
    #[track_caller]
    fn at(&mut self, code: &'static str, path: Vec<String>, what: String, fix: impl Into<String>) {
        let check = Location::caller();
        if skips(format_args!("{}:{}", check.file(), check.line())) {
            return;
        }
        // A name may hold what a terminal would obey.
        let plain = |name: String| match name.contains(char::is_control) {
            true => name.escape_debug().to_string(),
            false => name,
        };
        let path = path.into_iter().map(plain).collect();
        self.0.push(PlanFault { code, path, what, fix: fix.into() });
    }
}

/// The place of a fault that is nowhere in particular.
fn plan_wide() -> Vec<String> {
    vec!["the plan".to_owned()]
}

/// Checks a graph; `dead_letters` is the stage that takes them, which has no edge.
///
/// # Errors
/// Every fault found, by code and then in the order of description.
pub fn validate(graph: &Graph, dead_letters: Option<usize>) -> Result<(), PlanFaults> {
    let mut found = Found::default();
    shape::names(graph, &mut found);
    shape::sources(graph, &mut found);
    shape::ports(graph, dead_letters, &mut found);
    shape::joints(graph, &mut found);
    shape::cycles(graph, &mut found);
    shape::columns(graph, &mut found);
    values::capacities(graph, &mut found);
    values::drops(graph, &mut found);
    values::parallelism(graph, &mut found);
    values::liveness(graph, &mut found);
    values::retries(graph, &mut found);
    branches::meetings(graph, &mut found);
    found.0.sort_by_key(|f| f.code);
    if found.0.is_empty() { Ok(()) } else { Err(PlanFaults(found.0)) }
}
