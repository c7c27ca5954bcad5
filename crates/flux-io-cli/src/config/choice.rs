//! Words of the language that stand for one of a few settings.

/// An enum whose variants are words of the language.
macro_rules! choices { ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum $name { $($(#[$vdoc])* $variant,)* }
    impl $name {
        /// The words, in the order of the variants.
        pub const WORDS: &'static [&'static str] = &[$($word),*];
        /// The word.
        #[must_use]
        pub const fn word(self) -> &'static str {
            match self { $(Self::$variant => $word,)* }
        }
    }
    impl crate::config::choice::Choice for $name {
        fn from_word(word: &str) -> Option<Self> {
            match word { $($word => Some(Self::$variant),)* _ => None }
        }
        fn words() -> &'static [&'static str] { Self::WORDS }
    }
)* } }
pub(super) use choices;

/// What [`choices!`] gives an enum.
pub(super) trait Choice: Sized {
    /// The setting that a word stands for.
    fn from_word(word: &str) -> Option<Self>;
    /// All words.
    fn words() -> &'static [&'static str];
}
