//! One small story for each rule of the reference model, told with its exact outputs.

use flux_io_testkit::jobs::reference::{
    After, Class, DeadLetter, DropCause, Event, Fragment, Identity, Kind, Late, Leave, Model,
    OverLimit, PartialCause, Policy, Required, Tombstone, WatermarkGenerator,
};

/// A fragment of 10 bytes with identity 0 and payload 0.
fn part(key: u64, var: u32, ts: i64) -> Fragment {
    Fragment { key, var, ts, ident: 0, payload: 0, bytes: 10 }
}

fn row(key: u64, var: u32, ts: i64) -> Event {
    Event::Fragment(part(key, var, ts))
}

/// Two variables and no more rules.
fn pair() -> Policy {
    Policy::new(Required::Static(2))
}

/// What each event emits, joined; the ledger balances at each step.
fn told(model: &mut Model, events: &[Event]) -> Vec<String> {
    let mut told = Vec::new();
    for &event in events {
        told.extend(model.step(event).iter().map(ToString::to_string));
        assert!(model.ledger().balanced(), "{event:?}: {:?}", model.ledger());
    }
    told
}

fn story(policy: Policy, events: &[Event]) -> (Vec<String>, Model) {
    let mut model = Model::new(policy);
    (told(&mut model, events), model)
}

use Event::{Clock, End, Watermark};

#[test]
fn rule_1_a_fragment_larger_than_a_key_may_be_is_oversize() {
    let policy = Policy { max_bytes: Some(10), ..pair() };
    let large = Event::Fragment(Fragment { bytes: 11, ..part(1, 0, 0) });
    let (told, model) = story(policy, &[large, row(1, 0, 0), End]);
    assert_eq!(told, ["1#0 dead_letter(oversize) 0", "1#0 partial(end) 0 without 1"]);
    assert_eq!(model.ledger().count(Class::DeadLetter(DeadLetter::Oversize)), 1);
}

#[test]
fn rule_2_a_copy_is_a_duplicate_whether_its_key_is_open_or_has_left() {
    let other_payload = Event::Fragment(Fragment { payload: 9, ts: 99, ..part(1, 0, 0) });
    let events = [row(1, 0, 0), row(1, 0, 0), other_payload, row(1, 1, 0), row(1, 0, 0), End];
    let (told, model) = story(pair(), &events);
    assert_eq!(told, ["1#0 complete 0 1"]);
    assert_eq!(model.ledger().count(Class::Duplicate), 3);
    assert_eq!(model.ledger().count(Class::Complete), 2);
}

#[test]
fn rule_2_a_copy_moves_no_deadline_and_no_rank_of_use() {
    let idle = Policy { inactivity: Some(10), ..pair() };
    let (told, _) = story(idle, &[row(1, 0, 0), row(1, 0, 5), Watermark(9), Watermark(10)]);
    assert_eq!(told, ["1#0 partial(ttl) 0 without 1"]);
    let two_keys = Policy { max_keys: Some(2), ..pair() };
    let (told, _) = story(two_keys, &[row(1, 0, 0), row(2, 0, 0), row(1, 0, 0), row(3, 0, 0)]);
    assert_eq!(told, ["1#0 partial(evicted) 0 without 1"]);
}

#[test]
fn rule_2_identity_by_ident_lets_a_variable_come_twice() {
    let policy = Policy { identity: Identity::Ident, ..pair() };
    let part = |var, ident| Event::Fragment(Fragment { ident, ..part(1, var, 0) });
    let (told, model) = story(policy, &[part(0, 1), part(0, 2), part(0, 1), part(1, 3)]);
    assert_eq!(told, ["1#0 complete 0 0 1"]);
    assert_eq!(model.ledger().count(Class::Duplicate), 1);
}

#[test]
fn rule_3_late_fragments_go_where_the_policy_says() {
    let events = [row(1, 0, 0), Watermark(5), row(1, 1, 0), row(1, 1, 0), row(1, 0, 0), End];
    let with = |late| story(Policy { ttl: Some(5), late, ..pair() }, &events);
    let first = "1#0 partial(ttl) 0 without 1";

    let (told, model) = with(Late::SideOutput);
    assert_eq!(told, [first, "1#0 late 1"]);
    let counts = |model: &Model| {
        let ledger = model.ledger();
        (ledger.count(Class::Late), ledger.count(Class::Duplicate), ledger.partial())
    };
    assert_eq!(counts(&model), (1, 2, 1));

    let (told, model) = with(Late::Drop);
    assert_eq!((told, counts(&model)), (vec![first.to_owned()], (1, 2, 1)));

    let (told, model) = with(Late::Corrected);
    assert_eq!(told, [first, "1#0 corrected 0 1"]);
    assert_eq!(counts(&model), (1, 2, 1));

    let (told, model) = with(Late::NewGeneration);
    // The copy of the late fragment finds the tombstone of generation 1, so it is a duplicate; the
    // first fragment's copy is new to that generation and opens the next.
    let (second, third) = ("1#1 partial(ttl) 1 without 0", "1#2 partial(ttl) 0 without 1");
    assert_eq!(told, [first, second, third]);
    assert_eq!(counts(&model), (0, 1, 3));
}

#[test]
fn rules_4_and_12_a_key_opened_below_the_watermark_leaves_before_the_next_row() {
    let policy = Policy { ttl: Some(10), ..pair() };
    let events = [Watermark(100), row(1, 0, 90), row(2, 0, 91), Watermark(101)];
    let mut model = Model::new(policy);
    let mut told = |event| told(&mut model, &[event]);
    assert!(told(events[0]).is_empty());
    assert_eq!(told(events[1]), ["1#0 partial(ttl) 0 without 1"]);
    assert!(told(events[2]).is_empty());
    assert_eq!(told(events[3]), ["2#0 partial(ttl) 0 without 1"]);
}

#[test]
fn rule_5_a_variable_that_nobody_asked_for_is_kept() {
    let (told, _) = story(pair(), &[row(1, 7, 0), row(1, 0, 0), row(1, 1, 0), row(1, 8, 0)]);
    assert_eq!(told, ["1#0 complete 0 1 7", "1#0 late 8"]);
}

#[test]
fn rule_6_a_full_key_leaves_before_the_fragment_that_would_exceed_it() {
    let three = Policy { max_items: Some(2), ..Policy::new(Required::Static(3)) };
    let bytes = Policy { max_bytes: Some(29), ..Policy::new(Required::Static(3)) };
    let events = [row(1, 0, 0), row(1, 1, 0), row(1, 2, 0), End];
    for policy in [three.clone(), bytes] {
        let (told, _) = story(policy, &events);
        assert_eq!(told, ["1#0 partial(capacity) 0 1 without 2", "1#0 late 2"]);
    }
    let again = Policy { after: After::Reset, ..three.clone() };
    let (told, _) = story(again, &events);
    assert_eq!(told, ["1#0 partial(capacity) 0 1 without 2", "1#1 partial(end) 2 without 0 1"]);
    let dead = Policy { over_limit: OverLimit::DeadLetter, ..three.clone() };
    assert_eq!(story(dead, &events).0, ["1#0 dead_letter(evicted) 0 1", "1#0 late 2"]);
    let refuse = Policy { over_limit: OverLimit::Refuse, ..three };
    let (told, _) = story(refuse, &events);
    assert_eq!(told, ["1#0 dead_letter(refused_key) 2", "1#0 partial(end) 0 1 without 2"]);
}

#[test]
fn rule_7_one_key_too_many_evicts_the_one_longest_untouched() {
    let policy = Policy { max_keys: Some(2), ..Policy::new(Required::Static(3)) };
    let events = [row(1, 0, 0), row(2, 0, 0), row(1, 1, 0), row(3, 0, 0), row(2, 1, 0), End];
    let (told, model) = story(policy.clone(), &events);
    let evicted = "2#0 partial(evicted) 0 without 1 2";
    let rest = ["1#0 partial(end) 0 1 without 2", "3#0 partial(end) 0 without 1 2"];
    assert_eq!(told, [evicted, "2#0 late 1", rest[0], rest[1]]);
    assert_eq!(model.ledger().count(Class::Partial(PartialCause::Evicted)), 1);

    let dead = Policy { over_limit: OverLimit::DeadLetter, ..policy.clone() };
    assert_eq!(story(dead, &events[..4]).0, ["2#0 dead_letter(evicted) 0"]);
    let refuse = Policy { over_limit: OverLimit::Refuse, ..policy.clone() };
    assert_eq!(story(refuse, &events[..4]).0, ["3#0 dead_letter(refused_key) 0"]);
    let none = Policy { max_keys: Some(0), ..policy };
    assert_eq!(story(none, &events[..1]).0, ["1#0 dead_letter(refused_key) 0"]);
}

#[test]
fn rule_8_complete_comes_before_due() {
    let policy = Policy { ttl: Some(0), ..Policy::new(Required::Static(1)) };
    assert_eq!(story(policy, &[Watermark(9), row(1, 0, 0)]).0, ["1#0 complete 0"]);
}

#[test]
fn rule_9_a_deadline_fires_at_its_watermark_and_a_fragment_at_the_deadline_is_in_time() {
    let policy = Policy { ttl: Some(10), ..pair() };
    let in_time = [row(1, 0, 0), Watermark(9), row(1, 1, 10)];
    assert_eq!(story(policy.clone(), &in_time).0, ["1#0 complete 0 1"]);
    let fired = [row(1, 0, 0), Watermark(10), Watermark(3), row(1, 1, 10)];
    let (told, _) = story(policy.clone(), &fired);
    assert_eq!(told, ["1#0 partial(ttl) 0 without 1", "1#0 late 1"]);
    let lower = [Watermark(10), Watermark(9), row(1, 0, 0)];
    assert_eq!(story(policy, &lower).0, ["1#0 partial(ttl) 0 without 1"]);
    let clock = Policy { clock_ttl: Some(10), ..pair() };
    let back = [Clock(10), Clock(0), row(1, 0, 0), Clock(10), Clock(19), Clock(20)];
    assert_eq!(told_by_step(clock.clone(), &back), [0, 0, 0, 0, 0, 1]);
    assert_eq!(story(clock, &back).0, ["1#0 partial(latency) 0 without 1"]);
}

#[test]
fn rule_9_the_generator_promises_no_more_than_it_knows() {
    let mut marks = WatermarkGenerator::new(5);
    let marks: Vec<_> = [10, 8, 10, 11].into_iter().map(|ts| marks.before(ts)).collect();
    assert_eq!(marks, [Some(4), None, None, Some(5)]);
    assert_eq!(WatermarkGenerator::new(5).before(i64::MIN), Some(i64::MIN));
}

#[test]
fn rule_10_deadlines_count_from_the_first_arrival_the_newest_event_and_the_clock() {
    let three = Policy::new(Required::Static(3));
    let ttl = Policy { ttl: Some(10), ..three.clone() };
    let first_arrived = [row(1, 0, 20), row(1, 1, 0), Watermark(29), Watermark(30)];
    assert_eq!(told_by_step(ttl, &first_arrived), [0, 0, 0, 1]);
    let idle = Policy { inactivity: Some(10), ..three.clone() };
    let newest = [row(1, 0, 20), row(1, 1, 0), Watermark(29), Watermark(30)];
    assert_eq!(told_by_step(idle.clone(), &newest), [0, 0, 0, 1]);
    let moves = [row(1, 0, 0), Watermark(9), row(1, 1, 9), Watermark(18), Watermark(19)];
    assert_eq!(told_by_step(idle, &moves), [0, 0, 0, 0, 1]);
    let both = Policy { ttl: Some(12), inactivity: Some(10), ..three.clone() };
    let earlier = [row(1, 0, 0), row(1, 1, 9), Watermark(11), Watermark(12)];
    assert_eq!(told_by_step(both, &earlier), [0, 0, 0, 1]);
    let both = Policy { ttl: Some(12), inactivity: Some(5), ..three.clone() };
    let earlier = [row(1, 0, 0), row(1, 1, 2), Watermark(6), Watermark(7)];
    assert_eq!(told_by_step(both, &earlier), [0, 0, 0, 1]);
    let clock = Policy { clock_ttl: Some(5), ..three };
    let clocked = [Clock(3), row(1, 0, 0), Clock(7), row(1, 1, 0), Clock(8)];
    assert_eq!(told_by_step(clock, &clocked), [0, 0, 0, 0, 1]);
}

fn told_by_step(policy: Policy, events: &[Event]) -> Vec<usize> {
    let mut model = Model::new(policy);
    events.iter().map(|&event| model.step(event).len()).collect()
}

#[test]
fn rule_11_deadlines_fire_by_time_then_key() {
    let policy = Policy { ttl: Some(10), ..pair() };
    let late_key = row(1 << 40, 0, 4);
    let events = [row(300, 0, 5), row(2, 0, 5), late_key, row(7, 0, 6), Watermark(100)];
    let keys: Vec<u64> = {
        let mut model = Model::new(policy);
        events.iter().flat_map(|&event| model.step(event)).map(|out| out.key).collect()
    };
    assert_eq!(keys, [1 << 40, 2, 300, 7]);
}

#[test]
fn rule_13_an_extension_moves_the_deadline_by_its_length() {
    let policy = Policy { ttl: Some(10), extend: 2, ..pair() };
    let events = [row(1, 0, 0), Watermark(10), Watermark(20), Watermark(29), Watermark(30)];
    assert_eq!(told_by_step(policy.clone(), &events), [0, 0, 0, 0, 1]);
    let at_once = [row(1, 0, 0), Watermark(29), Watermark(30)];
    assert_eq!(told_by_step(policy.clone(), &at_once), [0, 0, 1]);
    let order = [row(1, 0, 0), row(2, 0, 25), Watermark(100)];
    let (told, _) = story(policy, &order);
    let (one, two) = ("1#0 partial(ttl) 0 without 1", "2#0 partial(ttl) 0 without 1");
    assert_eq!(told, [one, two]);
}

#[test]
fn rules_13_and_14_keys_leave_as_the_policy_says() {
    let events = [row(1, 0, 0), Watermark(10), row(3, 0, 10), row(2, 0, 10), End, row(9, 0, 0)];
    let with = |leave| Policy { ttl: Some(10), on_expire: leave, on_end: leave, ..pair() };
    let (told, model) = story(with(Leave::Partial), &events);
    let ended = ["2#0 partial(end) 0 without 1", "3#0 partial(end) 0 without 1"];
    assert_eq!(told, ["1#0 partial(ttl) 0 without 1", ended[0], ended[1]]);
    assert_eq!(model.ledger().entered, 3);
    let (told, model) = story(with(Leave::DeadLetter), &events);
    let dead = |key| format!("{key}#0 dead_letter(expired) 0");
    assert_eq!(told, [dead(1), dead(2), dead(3)]);
    assert_eq!(model.ledger().count(Class::DeadLetter(DeadLetter::Expired)), 3);
    let (told, model) = story(with(Leave::Drop), &events);
    assert!(told.is_empty());
    assert_eq!(model.ledger().count(Class::Dropped(DropCause::ExpireDrop)), 3);
}

#[test]
fn rule_14_the_end_fires_no_deadline() {
    let policy = Policy { ttl: Some(1), on_expire: Leave::Drop, ..pair() };
    assert_eq!(story(policy, &[row(1, 0, 0), End]).0, ["1#0 partial(end) 0 without 1"]);
}

#[test]
fn rule_15_what_is_kept_of_a_key_that_has_left() {
    let events = [row(1, 0, 0), row(1, 1, 0), row(1, 0, 0), row(1, 1, 0), End];
    let with = |after| story(Policy { after, ..pair() }, &events);
    assert_eq!(with(After::Remove).0, ["1#0 complete 0 1", "1#0 complete 0 1"]);
    assert_eq!(with(After::Reset).0, ["1#0 complete 0 1", "1#1 complete 0 1"]);
    let (told, model) = with(After::Tombstone(Tombstone::ToEnd));
    assert_eq!((told, model.tombstones()), (vec!["1#0 complete 0 1".to_owned()], 1));
}

#[test]
fn rule_16_a_tombstone_dies_in_its_own_time() {
    let until = |after| Policy { after: After::Tombstone(after), ..pair() };
    let complete = [row(1, 0, 3), row(1, 1, 5)];
    let stands = |policy: Policy, before: &[Event], last: Event| {
        let (_, model) = story(policy, &[before, &complete, &[last]].concat());
        model.tombstones() == 1
    };
    let event = until(Tombstone::EventTime(10));
    assert!(stands(event.clone(), &[], Watermark(14)));
    assert!(!stands(event.clone(), &[], Watermark(15)));
    assert!(stands(event.clone(), &[Watermark(20)], Watermark(29)));
    assert!(!stands(event.clone(), &[Watermark(20)], Watermark(30)));
    assert!(stands(event, &[], Clock(1_000)));
    let clock = until(Tombstone::Clock(10));
    assert!(stands(clock.clone(), &[Clock(7)], Clock(16)));
    assert!(!stands(clock.clone(), &[Clock(7)], Clock(17)));
    assert!(stands(clock, &[], Watermark(1_000)));

    let reopened = [complete.as_slice(), &[Watermark(15), row(1, 0, 9), End]].concat();
    let (told, _) = story(until(Tombstone::EventTime(10)), &reopened);
    assert_eq!(told, ["1#0 complete 0 1", "1#0 partial(end) 0 without 1"]);
}

#[test]
fn rule_17_only_what_was_emitted_is_corrected() {
    let three = Policy::new(Required::Static(3));
    let corrected = Policy { ttl: Some(5), late: Late::Corrected, ..three };
    let events = [row(1, 0, 0), Watermark(5), row(1, 2, 0), row(1, 1, 0)];
    let first = "1#0 partial(ttl) 0 without 1 2";
    let (told, _) = story(corrected.clone(), &events);
    assert_eq!(told, [first, "1#0 corrected 0 2 without 1", "1#0 corrected 0 1 2"]);
    for leave in [Leave::Drop, Leave::DeadLetter] {
        let (told, _) = story(Policy { on_expire: leave, ..corrected.clone() }, &events);
        assert_eq!(told[told.len() - 2..], ["1#0 late 2", "1#0 late 1"]);
    }
}

#[test]
fn the_header_declares_what_is_missing_and_what_it_is_worth() {
    let policy = Policy::new(Required::Declared { header: 0, bases: vec![0, 7] });
    let header = |lines| Event::Fragment(Fragment { payload: lines, ..part(1, 0, 0) });
    let complete = [row(1, 8, 0), row(1, 2, 0), row(1, 9, 0), header(2), row(1, 1, 0)];
    assert_eq!(story(policy.clone(), &complete).0, ["1#0 complete 0 1 2 8 9"]);
    let last = [row(1, 8, 0), row(1, 1, 0), header(1)];
    assert_eq!(story(policy.clone(), &last).0, ["1#0 complete 0 1 8"]);

    let score = |events: &[Event]| {
        let mut model = Model::new(policy.clone());
        let outs: Vec<_> = events.iter().flat_map(|&event| model.step(event)).collect();
        match &outs[..] {
            [out] => match &out.kind {
                Kind::Partial { missing, score, .. } => (missing.clone(), *score),
                kind => panic!("{kind:?}"),
            },
            outs => panic!("{outs:?}"),
        }
    };
    assert_eq!(score(&[header(2), row(1, 2, 0), End]), (vec![1, 8, 9], (2, 5)));
    assert_eq!(score(&[row(1, 7, 0), End]), (vec![0], (1, 15)));
    assert_eq!(score(&[row(1, 1, 0), row(1, 8, 0), End]), (vec![0], (2, 3)));
}
