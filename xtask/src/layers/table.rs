//! The one place where a crate's rank, the arrows between ranks and the fences around other
//! people's crates are written, so that no crate can promote itself.

use crate::metadata::Kind;

/// What a crate is in the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// The nouns and contracts.
    Core,
    /// One concern on top of core; parts never see each other.
    Part,
    /// The derive macros: core may re-export them, so they know nothing here.
    Derive,
    /// What tests share; never a dependency of shipped code.
    Testkit,
    /// Joins the parts for users.
    Facade,
    /// The program, on the facade alone.
    App,
    /// The example that shows two crates without the facade.
    BareExample,
    /// Builds and checks the rest, on nothing of it.
    Tool,
}

/// Every crate the workspace may have. One that is not named here fails the check.
const CRATES: &[(&str, Rank)] = &[
    ("flux-io-core", Rank::Core),
    ("flux-io-flow", Rank::Part),
    ("flux-io-accumulate", Rank::Part),
    ("flux-io-backpressure", Rank::Part),
    ("flux-io-memory", Rank::Part),
    ("flux-io-checkpoint", Rank::Part),
    ("flux-io-engine-sync", Rank::Part),
    ("flux-io-engine-tokio", Rank::Part),
    ("flux-io-engine-rayon", Rank::Part),
    ("flux-io-engine-hybrid", Rank::Part),
    ("flux-io-engine-timely", Rank::Part),
    ("flux-io-sim", Rank::Part),
    ("flux-io-observe", Rank::Part),
    ("flux-io-connect", Rank::Part),
    ("flux-io-record", Rank::Part),
    ("flux-io-stack", Rank::Part),
    ("flux-io-derive", Rank::Derive),
    ("flux-io-testkit", Rank::Testkit),
    ("flux-io", Rank::Facade),
    ("flux-io-cli", Rank::App),
    ("flux-io-example-bare", Rank::BareExample),
    ("xtask", Rank::Tool),
];

/// The rank of a crate, when it has one.
pub(super) fn rank(name: &str) -> Option<Rank> {
    CRATES.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank)
}

/// Whether a crate of rank `from` may depend on crate `to` in this way. Being optional or limited
/// to a platform makes no arrow right that would be wrong without it.
pub(super) fn allowed(from: Rank, to: &str, kind: Kind) -> bool {
    let Some(target) = rank(to) else { return false };
    let normal = match from {
        Rank::Core => target == Rank::Derive,
        Rank::Part | Rank::Testkit => target == Rank::Core,
        Rank::Facade => matches!(target, Rank::Core | Rank::Part),
        Rank::App => target == Rank::Facade,
        Rank::BareExample => matches!(to, "flux-io-core" | "flux-io-accumulate"),
        Rank::Derive | Rank::Tool => false,
    };
    let tested_with_kit = matches!(from, Rank::Core | Rank::Part | Rank::Facade | Rank::App);
    match kind {
        Kind::Normal => normal,
        Kind::Dev => normal || (tested_with_kit && target == Rank::Testkit),
        Kind::Build => false,
    }
}

/// Somebody else's crate that only some of ours may name.
#[derive(Debug)]
pub(super) struct Fence {
    /// Its name; the family around it (`tokio-util`, `opentelemetry_sdk`) is fenced with it.
    pub(super) name: &'static str,
    /// Crates that may depend on it directly, in any way.
    pub(super) named_by: &'static [&'static str],
    /// Crates that may do so behind a feature, or for their tests.
    pub(super) optional_in: &'static [&'static str],
}

/// The fences. None of them may stand below core, directly or through something else.
pub(super) const FENCES: &[Fence] = &[
    Fence {
        name: "tokio",
        named_by: &["flux-io-engine-tokio", "flux-io", "flux-io-cli"],
        optional_in: &["flux-io-connect"],
    },
    Fence { name: "rayon", named_by: &["flux-io-engine-rayon"], optional_in: &[] },
    Fence { name: "timely", named_by: &["flux-io-engine-timely"], optional_in: &[] },
    Fence { name: "memmap2", named_by: &["flux-io-memory"], optional_in: &[] },
    Fence { name: "opentelemetry", named_by: &["flux-io-observe"], optional_in: &[] },
];

impl Fence {
    /// Whether the fence stands around `name`.
    pub(super) fn holds(&self, name: &str) -> bool {
        name.strip_prefix(self.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    }

    /// Whether `from` may depend on a crate of this family in this way.
    pub(super) fn admits(&self, from: &str, kind: Kind, optional: bool) -> bool {
        self.named_by.contains(&from)
            || (self.optional_in.contains(&from) && (optional || kind == Kind::Dev))
    }
}
