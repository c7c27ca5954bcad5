//! Faults, warnings and descriptions of policies.

use super::*;

fn pair() -> Policy {
    Policy::new(Require::all(["a", "b"]))
}

/// Row 121.
#[test]
fn b078_a_policy_under_which_keys_never_leave_is_refused() {
    let endless = pair().on_end(OnEnd::Keep);
    assert_eq!(endless.validate(), Err(vec![PolicyFault::NeverLeaves]));
    assert!(endless.clone().max_keys(1).validate().is_ok());
    assert!(endless.clone().expire_after(Duration::ZERO).validate().is_ok());
    assert!(pair().validate().is_ok());
    let text = "no deadline and no limit: on an endless input, keys that are never completed are held for ever";
    assert!(pair().warnings().iter().any(|w| w == text));
}

/// Row 109.
#[test]
fn every_fault_is_found_at_once() {
    let p = Policy::new(Require::new())
        .max_keys(0)
        .new_keys(0, 1)
        .on_late(OnLate::Correct)
        .on_expire(OnExpire::Extend { times: 0, then: Then::Drop });
    let faults = Policy { durable: false, ..p }.validate().unwrap_err();
    let golden = [
        "`all()` names nothing; give it at least one variable or rule",
        "`max_keys` is 0, so nothing could pass; leave it out or give at least 1",
        "`new_keys` is 0, so nothing could pass; leave it out or give at least 1",
        "`on_late` corrects results, so states must outlive them; give `.durable(save, load)`",
        "`on_expire extend` is 0, so nothing could pass; leave it out or give at least 1",
    ];
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), golden);
}

/// What order decides is named, and nothing where it decides nothing.
#[test]
fn what_the_order_of_arrival_decides_is_named() {
    let told = |p: Policy| p.identity(Identity::Each).order_dependent();
    let of = |require| told(Policy::new(require));
    assert!(of(Require::all(["a"]).and(Require::k_of_n(2, ["b", "c"]))).is_empty());
    let spare = [
        (Require::count(3), "count(3)"),
        (Require::any(["a", "b"]), "any(a, b)"),
        (Require::k_of_n(1, ["a", "b"]), "1 of (a, b)"),
        (Require::weighted(1.0, [("a", 1.0), ("b", 1.0)]), "weight 1 of (a=1, b=1)"),
        (Require::all(["a"]).or(Require::all(["b"])), "(all(a) or all(b))"),
        (Require::all(["x"]).and(Require::count(2)), "count(2)"),
    ];
    for (require, rule) in spare {
        assert_eq!(of(require), [format!("which fragments meet {rule} first")]);
    }
    let generation = ["which fragments one generation of a key holds"];
    assert_eq!(told(pair().on_complete(After::Reset)), generation);
    assert_eq!(told(pair().on_late(OnLate::NewGeneration)), generation);
    assert_eq!(told(pair().max_key_items(3)), ["what is held when a limit is reached"]);
    let lines = Require::new().one("header").each("line", "lines");
    assert_eq!(of(lines), ["which of two bounds that differ counts: the first"]);
    assert_eq!(pair().order_dependent(), ["which of copies that differ counts: the first"]);
}

/// Rows 109, 265.
#[test]
fn what_depends_on_the_schedule_is_named() {
    assert!(pair().expire_after(Duration::from_secs(1)).schedule_dependent().is_empty());
    let p = pair().new_keys(10, 5).timeout(Duration::from_secs(1)).max_keys(3);
    let limit = "key limit, which key meets it first with several instances (`workers = 1` makes it \
                 a function of the data)";
    assert_eq!(p.schedule_dependent(), ["new-key gate", "timeout", limit]);
    let words = p.describe().policy;
    assert_eq!(words["new_keys"], "10 a second, 5 at once");
    assert_eq!(words["require"], "all(a, b)");
}
