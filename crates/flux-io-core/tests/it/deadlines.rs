//! Armed timers against a model: a list that is searched.

use crate::kit::check;
use flux_io_core::{Deadlines, Moment, TimerId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

#[derive(Clone, Copy, Debug)]
enum Act {
    Arm(u64),
    /// Of the timers armed so far, whether or not they have fired.
    Cancel(usize),
    TakeDue(u64),
    First,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..20_u64).prop_map(Act::Arm),
        2 => any::<usize>().prop_map(Act::Cancel),
        1 => (0..20_u64).prop_map(Act::TakeDue),
        1 => Just(Act::First),
    ]
}

/// Writes down that it was woken.
struct Woken(TimerId, Arc<Mutex<Vec<TimerId>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Timers come out once, in order, when they are due and were not cancelled; nothing else stays.
#[test]
fn timers_come_out_once_and_in_order() {
    check(0x2a, &vec(act(), 0..60), |acts| {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut timers = Deadlines::default();
        let mut model: Vec<(Moment, TimerId)> = Vec::new();
        let mut given = 0;
        for act in acts {
            model.sort();
            match act {
                Act::Arm(at) => {
                    given += 1;
                    let id = TimerId(given);
                    let waker = Waker::from(Arc::new(Woken(id, Arc::clone(&woken))));
                    assert_eq!(timers.arm(Moment(at), &waker), id);
                    model.push((Moment(at), id));
                }
                Act::Cancel(n) => {
                    let id = TimerId(n as u64 % (given + 1));
                    let known = model.iter().position(|t| t.1 == id);
                    assert_eq!(timers.cancel(id).is_some(), known.is_some());
                    known.map(|i| model.remove(i));
                }
                Act::TakeDue(now) => {
                    timers.take_due(Moment(now)).into_iter().for_each(Waker::wake);
                    let due = model.iter().take_while(|t| t.0 <= Moment(now)).count();
                    let due: Vec<_> = model.drain(..due).map(|t| t.1).collect();
                    assert_eq!(std::mem::take(&mut *woken.lock().unwrap()), due);
                }
                Act::First => {
                    let at = model.first().map(|t| t.0);
                    assert_eq!(timers.next(), at);
                    let tied = model.iter().filter(|t| Some(t.0) == at).map(|t| t.1);
                    assert!(timers.first().eq(tied));
                }
            }
            assert_eq!((timers.len(), timers.armed()), (model.len(), given));
            assert_eq!(timers.is_empty(), model.is_empty());
        }
        // The test keeps no waker: who was cancelled or fired is gone.
        assert_eq!(Arc::strong_count(&woken), 1 + model.len());
    });
}
