//! One test for each law of an engine, so that a broken one is named by its test.

use flux_io_engine_sync::SyncEngine;
use flux_io_testkit::conformance::engine as laws;

macro_rules! tests {
    ($($module:ident: $($law:ident),+;)+) => { $($(
        #[test]
        fn $law() {
            laws::$module::$law(&SyncEngine::new());
        }
    )+)+ };
}

flux_io_testkit::with_engine_laws!(tests);
flux_io_testkit::with_virtual_time_laws!(tests);
flux_io_testkit::with_outside_laws!(tests);

#[test]
fn a_handle_serves_one_run() {
    laws::handle::a_handle_serves_one_run(&SyncEngine::new());
}
