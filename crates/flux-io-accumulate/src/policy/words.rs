//! The words that set a policy, written once for the three types that have them.

/// The words of a policy, the same on [`Policy`], `Assembly` and `Assembled`.
macro_rules! policy_words {
    ($($path:ident)?) => {
        /// What a key needs to be complete.
        #[must_use]
        pub fn require(mut self, require: crate::require::Require) -> Self {
            self.$($path.)?require = require;
            self
        }
        /// What makes two fragments of a key the same.
        #[must_use]
        pub fn identity(mut self, identity: crate::policy::Identity) -> Self {
            self.$($path.)?identity = identity;
            self
        }
        /// Absolute deadline in event time: the key leaves when the watermark reaches the event
        /// time of the fragment that came first plus `ttl`.
        #[must_use]
        pub fn expire_after(mut self, ttl: std::time::Duration) -> Self {
            self.$($path.)?expire_after = Some(ttl);
            self
        }
        /// Inactivity in event time: the key leaves when the watermark reaches the greatest event
        /// time seen of it plus `gap`.
        #[must_use]
        pub fn inactive_after(mut self, gap: std::time::Duration) -> Self {
            self.$($path.)?inactive_after = Some(gap);
            self
        }
        /// Absolute deadline by the engine's clock, armed beside the ones in event time.
        #[must_use]
        pub fn timeout(mut self, after: std::time::Duration) -> Self {
            self.$($path.)?timeout = Some(after);
            self
        }
        /// Inactivity by the engine's clock, armed beside the ones in event time.
        #[must_use]
        pub fn idle_timeout(mut self, gap: std::time::Duration) -> Self {
            self.$($path.)?idle_timeout = Some(gap);
            self
        }
        /// A partial leaves this long after its first fragment, by the engine's clock, reason
        /// `latency`, whatever `on_expire` says.
        #[must_use]
        pub fn flush_after(mut self, after: std::time::Duration) -> Self {
            self.$($path.)?flush_after = Some(after);
            self
        }
        /// What happens at a deadline.
        #[must_use]
        pub fn on_expire(mut self, on: crate::policy::OnExpire) -> Self {
            self.$($path.)?on_expire = on;
            self
        }
        /// What stays of a key that has left, for whatever reason.
        #[must_use]
        pub fn on_complete(mut self, after: crate::policy::After) -> Self {
            self.$($path.)?after = after;
            self
        }
        /// What happens to new fragments of a key that has left.
        #[must_use]
        pub fn on_late(mut self, on: crate::policy::OnLate) -> Self {
            self.$($path.)?on_late = on;
            self
        }
        /// What happens to copies of a fragment.
        #[must_use]
        pub fn on_duplicate(mut self, on: crate::policy::OnDuplicate) -> Self {
            self.$($path.)?on_duplicate = on;
            self
        }
        /// What happens to rows without a key.
        #[must_use]
        pub fn on_unkeyed(mut self, on: crate::policy::OnUnkeyed) -> Self {
            self.$($path.)?on_unkeyed = on;
            self
        }
        /// What happens to open keys at the end of input.
        #[must_use]
        pub fn on_end(mut self, on: crate::policy::OnEnd) -> Self {
            self.$($path.)?on_end = on;
            self
        }
        /// At most `n` open keys in the whole run. Instances lease their share: with several, the limit
        /// may be met up to 1/64 of it (or one key) an instance early, never passed.
        #[must_use]
        pub fn max_keys(mut self, n: u64) -> Self {
            self.$($path.)?max_keys = Some(n);
            self
        }
        /// At most `n` bytes of open keys in the whole run, leased like `max_keys`.
        #[must_use]
        pub fn max_bytes(mut self, n: u64) -> Self {
            self.$($path.)?max_bytes = Some(n);
            self
        }
        /// At most `n` fragments held in the whole run, leased like `max_keys`.
        #[must_use]
        pub fn max_items(mut self, n: u64) -> Self {
            self.$($path.)?max_items = Some(n);
            self
        }
        /// A key that reaches `n` fragments leaves, reason `capacity`.
        #[must_use]
        pub fn max_key_items(mut self, n: u64) -> Self {
            self.$($path.)?max_key_items = Some(n);
            self
        }
        /// A key whose state reaches `n` bytes leaves, reason `capacity`.
        #[must_use]
        pub fn max_key_bytes(mut self, n: u64) -> Self {
            self.$($path.)?max_key_bytes = Some(n);
            self
        }
        /// At most `per_second` new keys a second, `burst` at once, by the engine's clock; others
        /// are dead letters, cause `refused_key`.
        #[must_use]
        pub fn new_keys(mut self, per_second: u32, burst: u32) -> Self {
            self.$($path.)?new_keys = Some(crate::policy::NewKeys { per_second, burst });
            self
        }
        /// What happens at a limit.
        #[must_use]
        pub fn on_limit(mut self, on: crate::policy::OnLimit) -> Self {
            self.$($path.)?on_limit = on;
            self
        }
        /// At most `n` tombstones in the whole run, leased like `max_keys`; over it an instance's oldest
        /// goes, counted.
        #[must_use]
        pub fn max_tombstones(mut self, n: u64) -> Self {
            self.$($path.)?max_tombstones = n;
            self
        }
        /// Numbers of variables and bounds above `n` make a row a dead letter, cause `type`.
        #[must_use]
        pub fn max_index(mut self, n: u32) -> Self {
            self.$($path.)?max_index = n;
            self
        }
    };
}
pub(crate) use policy_words;
