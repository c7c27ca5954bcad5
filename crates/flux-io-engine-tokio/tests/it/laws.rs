//! One test for each law of an engine and number of workers, so that a broken one is named by its
//! test.

macro_rules! tests {
    ($($module:ident: $($law:ident),+;)+) => { $($(
        #[test]
        fn $law() {
            laws::$module::$law(&Workers(TokioEngine::new(), WORKERS));
        }
    )+)+ };
}

/// One worker: everything on the calling thread.
mod one_worker {
    use flux_io_engine_tokio::TokioEngine;
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    const WORKERS: u32 = 1;
    flux_io_testkit::with_engine_laws!(tests);
}

/// Two workers: tasks really run at the same time.
mod two_workers {
    use flux_io_engine_tokio::TokioEngine;
    use flux_io_testkit::conformance::engine::{self as laws, Workers};

    const WORKERS: u32 = 2;
    flux_io_testkit::with_engine_laws!(tests);
}

#[test]
fn a_handle_serves_one_run() {
    use flux_io_testkit::conformance::engine as laws;
    laws::handle::a_handle_serves_one_run(&flux_io_engine_tokio::TokioEngine::new());
}
