//! The accumulator's policy: from the file's words to those of the library, one for one.

use crate::config as file;
use flux_io::accumulate as lib;
use flux_io::accumulate::{Policy, Require};

/// The policy of `[accumulate]`.
pub(crate) fn policy(a: &file::Accumulate) -> Policy {
    let mut p = Policy::new(Require::from(rule(&a.required.value)));
    p.identity = match a.identity {
        file::Identity::Variable => lib::Identity::Variable,
        file::Identity::SourceSeq => lib::Identity::SourceSeq,
        file::Identity::Field(_) => lib::Identity::Id,
    };
    (p.expire_after, p.inactive_after) = (a.expire_after, a.inactive_after);
    (p.timeout, p.idle_timeout) = (a.timeout, a.idle_timeout);
    p.flush_after = a.flush_after;
    p.on_expire = match a.on_expire {
        file::OnExpire::Leave(file::Then::Partial) => lib::OnExpire::Partial,
        file::OnExpire::Leave(file::Then::DeadLetter) => lib::OnExpire::DeadLetter,
        file::OnExpire::Leave(file::Then::Drop) => lib::OnExpire::Drop,
        file::OnExpire::Leave(file::Then::Abort) => lib::OnExpire::Abort,
        file::OnExpire::Extend { times, then } => {
            lib::OnExpire::Extend { times, then: self::then(then) }
        }
    };
    p.after = match a.after {
        file::After::Tombstone => lib::After::Tombstone(keep(a.tombstone_ttl)),
        file::After::Reset => lib::After::Reset,
        file::After::Remove => lib::After::Remove,
    };
    p.on_late = match a.on_late {
        file::OnLate::SideOutput => lib::OnLate::SideOutput,
        file::OnLate::Drop => lib::OnLate::Drop,
        file::OnLate::NewGeneration => lib::OnLate::NewGeneration,
        file::OnLate::Correct => lib::OnLate::Correct,
    };
    p.on_duplicate = match a.on_duplicate {
        file::OnDuplicate::Count => lib::OnDuplicate::Count,
        file::OnDuplicate::DeadLetter => lib::OnDuplicate::DeadLetter,
    };
    p.on_unkeyed = match &a.on_unkeyed {
        file::OnUnkeyed::DeadLetter => lib::OnUnkeyed::DeadLetter,
        file::OnUnkeyed::Key(key) => lib::OnUnkeyed::Default(key.clone().into_bytes()),
    };
    p.on_end = match a.on_end {
        file::OnEnd::Partial => lib::OnEnd::Partial,
        file::OnEnd::DeadLetter => lib::OnEnd::DeadLetter,
        file::OnEnd::Drop => lib::OnEnd::Drop,
        file::OnEnd::Keep => lib::OnEnd::Keep,
    };
    (p.max_keys, p.max_bytes, p.max_items) = (a.max_keys, a.max_bytes, a.max_items);
    (p.max_key_items, p.max_key_bytes) = (a.max_key_items, a.max_key_bytes);
    p.new_keys = a.new_keys.map(|n| lib::NewKeys { per_second: n.per_second, burst: n.burst });
    p.on_limit = match (a.on_limit, a.evict) {
        (file::OnLimit::Refuse, _) => lib::OnLimit::Refuse,
        (file::OnLimit::Evict, file::Evict::Partial) => lib::OnLimit::Evict(lib::EvictTo::Partial),
        (file::OnLimit::Evict, file::Evict::DeadLetter) => {
            lib::OnLimit::Evict(lib::EvictTo::DeadLetter)
        }
    };
    p.max_tombstones = a.max_tombstones.unwrap_or(match a.tombstone_ttl {
        // Kept to the end is kept: the budget bounds them, not a number nobody wrote.
        file::Keep::ToEnd => u64::MAX,
        file::Keep::For(_) => lib::DEFAULT_TOMBSTONES,
    });
    p.max_index = a.max_index.unwrap_or(lib::DEFAULT_MAX_INDEX);
    p
}

const fn then(then: file::Then) -> lib::Then {
    match then {
        file::Then::Partial => lib::Then::Partial,
        file::Then::DeadLetter => lib::Then::DeadLetter,
        file::Then::Drop => lib::Then::Drop,
        file::Then::Abort => lib::Then::Abort,
    }
}

const fn keep(ttl: file::Keep) -> lib::Keep {
    match ttl {
        file::Keep::ToEnd => lib::Keep::ToEnd,
        file::Keep::For(d) => lib::Keep::For(d),
    }
}

fn part(p: &file::Part) -> lib::Part {
    let each = p.each.as_ref().map(|up_to| match up_to {
        file::UpTo::Declared(bound) => lib::UpTo::Declared(bound.clone()),
        file::UpTo::Fixed(n) => lib::UpTo::Fixed(*n),
    });
    lib::Part { name: p.name.clone(), each }
}

fn parts(list: &[file::Part]) -> Vec<lib::Part> {
    list.iter().map(part).collect()
}

fn rule(r: &file::Rule) -> lib::Rule {
    match r {
        file::Rule::All(list) => lib::Rule::All(parts(list)),
        file::Rule::Any(list) => lib::Rule::Any(parts(list)),
        file::Rule::KOfN(k, list) => lib::Rule::KOfN(*k, parts(list)),
        file::Rule::Count(n) => lib::Rule::Count(*n),
        file::Rule::CountFrom(bound) => lib::Rule::CountFrom(bound.clone()),
        file::Rule::Weighted(min, list) => {
            lib::Rule::Weighted(*min, list.iter().map(|(p, w)| (part(p), *w)).collect())
        }
        file::Rule::And(list) => lib::Rule::And(list.iter().map(rule).collect()),
        file::Rule::Or(list) => lib::Rule::Or(list.iter().map(rule).collect()),
    }
}
