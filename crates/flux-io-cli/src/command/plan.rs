//! `plan`: how a pipeline would run.

use super::workers;
use crate::cli::Plan;
use crate::console::{Exit, Outcome, print};
use crate::job::{Settings, describe};
use crate::load::load;
use flux_io::flow::Explain;

pub(super) fn plan(args: &Plan) -> Outcome {
    let mut loaded = load(&args.pipeline.file)?;
    args.overrides.apply(&mut loaded.file.run);
    let run = &loaded.file.run;
    let settings = Settings { workers: workers(run), ..Settings::default() };
    let job = describe(&loaded.file, &settings).map_err(|e| loaded.refused(&e))?;
    let head = format!(
        "pipeline {}: engine {}, workers {}, batches of {} rows\n\
         budget {} bytes: covers keyed state (keys, fragments, timers, tombstones); batches in \
         flight come on top\n",
        loaded.file.name,
        run.engine.word(),
        settings.workers,
        run.batch_rows,
        run.budget.value,
    );
    let notes: String = job.notes.iter().map(|note| format!("note: {note}\n")).collect();
    print(&format!("{head}{notes}{}", job.plan.explain()))?;
    Ok(Exit::Done)
}
