//! What several modules need: seeded properties, and a stage context to call nodes with.

use flux_io_core::{Batch, ByHand, Out, Stage, StageCx, StageError, Step};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Runs a property over 256 values of `strategy`, the same ones every time. A failing `assert!` is
/// caught and shrunk.
pub(crate) fn check<S: Strategy>(seed: u64, strategy: &S, test: impl Fn(S::Value)) {
    let config = Config {
        cases: 256,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(e) = run {
        panic!("{e}");
    }
}

/// A stage that only calls a function with its context.
struct Call<F, R>(F, Option<R>);

impl<F: FnMut(&mut StageCx<'_>) -> R + Send, R: Send> Stage for Call<F, R> {
    type In = Vec<()>;
    type Out = Vec<()>;

    fn on_batch(
        &mut self,
        _input: &mut Batch<Vec<()>>,
        _out: &mut Out<'_, Vec<()>>,
        cx: &mut StageCx<'_>,
    ) -> Result<Step, StageError> {
        self.1 = Some((self.0)(cx));
        Ok(Step::Done)
    }
}

/// Calls `f` with a stage context, as an engine would have it.
pub(crate) fn with_cx<R: Send>(f: impl FnMut(&mut StageCx<'_>) -> R + Send) -> R {
    let mut hand = ByHand::new(Call(f, None));
    hand.feed(Batch::of(vec![()])).unwrap();
    hand.stage.1.take().unwrap()
}
