//! `graph`: a pipeline drawn.

use super::workers;
use crate::cli::{Drawing, Graph};
use crate::console::{Exit, Outcome, print};
use crate::job::{Settings, describe};
use crate::load::load;
use flux_io::flow::Explain;

pub(super) fn graph(args: &Graph) -> Outcome {
    let loaded = load(&args.pipeline.file)?;
    let settings = Settings { workers: workers(&loaded.file.run), ..Settings::default() };
    let job = describe(&loaded.file, &settings).map_err(|e| loaded.refused(&e))?;
    let text = match args.language {
        Drawing::Mermaid => job.plan.mermaid(),
        Drawing::Dot => job.plan.dot(),
        Drawing::Ascii => job.plan.ascii(),
    };
    print(&text)?;
    Ok(Exit::Done)
}
