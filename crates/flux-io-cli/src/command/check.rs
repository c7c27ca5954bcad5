//! `check`: everything that can be known without running.

use super::workers;
use crate::cli::PipelineFile;
use crate::console::{Exit, Outcome, print};
use crate::job::{Settings, describe};
use crate::json::Object;
use crate::load::load;

pub(super) fn check(args: &PipelineFile, json: bool) -> Outcome {
    let loaded = load(&args.file)?;
    let settings = Settings { workers: workers(&loaded.file.run), ..Settings::default() };
    describe(&loaded.file, &settings).map_err(|e| loaded.refused(&e))?;
    let (sources, sinks) = (loaded.file.sources.len(), loaded.file.sinks.len());
    let name = &loaded.name;
    print(&if json {
        let event = Object::event("checked").text("file", name);
        event.plain("sources", sources).plain("sinks", sinks).line()
    } else {
        format!(
            "{name} is a pipeline: sources {sources}, stages {}, sinks {sinks}",
            loaded.file.stages.len()
        )
    })?;
    Ok(Exit::Done)
}
