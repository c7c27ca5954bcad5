//! The accumulators of random plans.

use super::build::Rows;
use super::closures::{hurt, planned};
use flux_io::accumulate::{After, Identity, Keep};
use flux_io::core::{Completeness, OnError, Outcome, RowError, Var};
use flux_io::prelude::{AccumulateExt, Require};
use flux_io_testkit::dag::{Acc, Breaks, Gives, Row, Sum};

/// The row that an outcome becomes, unless its key is one that closures panic on.
fn row(acc: Acc, o: &Outcome<u64, Sum>) -> Option<Row> {
    let kind = match o {
        Outcome::Complete { .. } => 0,
        Outcome::Partial { .. } => 1,
        _ => 2,
    };
    (!acc.bad_key(*o.key())).then(|| o.value().row(*o.key(), kind))
}

/// A row into a key.
fn merge(acc: Acc, salt: u64, sum: &mut Sum, row: Row) {
    let bad = acc.bad_key(row.key(salt, acc.keys));
    if bad && acc.breaks == Breaks::Merge && sum.n >= row.pick(salt, 3) {
        planned();
    }
    sum.bad = u64::from(bad);
    sum.add(row, acc.is_chained());
}

/// Panics on a key that is meant to.
fn check(sum: &Sum) {
    if sum.bad > 0 && !sum.first.is_multiple_of(3) {
        planned();
    }
}

/// What is said of an accumulator behind its `merge`, and the rows of its outcomes.
macro_rules! finished {
    ($flow:expr, $name:expr, $salt:expr, $acc:expr, $p:ident => $start:expr) => {{
        let (acc, salt) = ($acc, $salt);
        let flow = $flow;
        let name: &str = $name;
        macro_rules! with {
            ($q:ident => $more:expr) => {
                if acc.durable {
                    flow.accumulate(name, |$p| {
                        let $q = $start;
                        $more.durable(Sum::save, Sum::load)
                    })
                } else {
                    flow.accumulate(name, |$p| {
                        let $q = $start;
                        $more
                    })
                }
            };
        }
        let out = match acc.breaks {
            Breaks::Check => with!(q => q.check(|s: &Sum, _| {
                check(s);
                None::<Completeness>
            })),
            Breaks::Weigh => with!(q => q.weigh(|s: &Sum| {
                check(s);
                8
            })),
            Breaks::Finish => with!(q => q.finish(|_: &u64, s: &mut Sum| {
                check(s);
                *s
            })),
            _ => with!(q => q),
        };
        let _ = salt;
        let out = if acc.parallel > 1 { out.parallel(acc.parallel) } else { out };
        out.on_error(OnError::DeadLetter)
    }};
}

pub(super) fn accumulate(flow: Rows, name: &str, salt: u64, acc: Acc) -> Rows {
    let keys = acc.keys;
    let poison = acc.breaks == Breaks::Key;
    let keyed = flow
        .key_by(&format!("{name} key"), move |r: &Row| {
            hurt(poison, salt, r);
            r.key(salt, keys)
        })
        .on_error(OnError::DeadLetter);
    let out = match acc.gives {
        Gives::Vars(n, tombstones) => {
            let names = (0..n).map(|v| format!("v{v}"));
            let after = if tombstones { After::Tombstone(Keep::ToEnd) } else { After::Remove };
            let poison = acc.breaks == Breaks::Var;
            let var = move |r: &Row| {
                hurt(poison, salt, r);
                Var::one(r.var(salt, n))
            };
            let require = Require::all(names);
            if acc.breaks == Breaks::TryMerge {
                finished!(keyed, name, salt, acc, p => p.require(require.clone()).on_complete(after)
                    .var(var)
                    .try_merge(move |s: &mut Sum, r: &mut Row| try_merge(acc, salt, s, *r)))
            } else {
                finished!(keyed, name, salt, acc, p => p.require(require.clone()).on_complete(after)
                    .var(var)
                    .merge(move |s: &mut Sum, r: &mut Row| merge(acc, salt, s, *r)))
            }
        }
        other => {
            let n = match other {
                Gives::Each => 1,
                Gives::Rounds(n) => n,
                _ => u32::MAX,
            };
            let require = Require::count(n);
            if acc.breaks == Breaks::TryMerge {
                finished!(keyed, name, salt, acc, p => p.require(require.clone())
                    .on_complete(After::Remove)
                    .identity(Identity::Each)
                    .try_merge(move |s: &mut Sum, r: &mut Row| try_merge(acc, salt, s, *r)))
            } else {
                finished!(keyed, name, salt, acc, p => p.require(require.clone())
                    .on_complete(After::Remove)
                    .identity(Identity::Each)
                    .merge(move |s: &mut Sum, r: &mut Row| merge(acc, salt, s, *r)))
            }
        }
    };
    out.filter_map(&format!("{name} row"), move |o: Outcome<u64, Sum>| row(acc, &o))
        .fusion_barrier()
}

/// The same, with an error for poison.
fn try_merge(acc: Acc, salt: u64, sum: &mut Sum, row: Row) -> Result<(), RowError> {
    if row.is_poison(salt) {
        return Err(RowError::new(flux_io::core::DeadCause::Failed, "does not fit"));
    }
    merge(acc, salt, sum, row);
    Ok(())
}
