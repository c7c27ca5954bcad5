//! The orders job: fragments of TPC-H orders at any scale, made on the spot.
//!
//! Rows are kept as structs of 32 bytes, sorted once and written as text on demand, so that lines
//! that go straight to a pipe are never all in memory.

mod text;

use std::collections::BTreeMap;

use thiserror::Error;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::distribution::Distributions;
use tpchgen::generators::{LineItem, LineItemGenerator, Order, OrderGenerator};
use tpchgen::text::TextPool;

use super::fragment::DeadCause;
use super::lines::Lines;
use super::rng::{SplitMix64, splitmix64};

/// The event-time deadline from an order's first fragment, in days: one more than the longest
/// order lasts.
pub const DEADLINE_DAYS: i64 = 152;

/// The largest scale: every number of a row fits its place up to here.
const MAX_SCALE: f64 = 1000.0;

/// Bytes of the pool that comments are cut from. No fragment shows a comment, and the generator
/// draws every field from a stream of its own, so a small pool spares the 300 MB one.
const TEXT_POOL_BYTES: i32 = 1 << 16;

/// Bytes of the field `pad` of an oversize fragment.
const PAD_BYTES: usize = 1_100_000;

/// In which order the fragments arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By (date, header before shipped before received, line, order).
    Time,
    /// Fragments shuffled by this seed; a second copy stays right behind its first.
    Shuffled(u64),
    /// Time order with all headers after everything else.
    HeaderLast,
}

/// What chaos does to one fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent once, whole.
    Sent,
    /// Not sent.
    NotSent,
    /// Sent twice, the copy right behind.
    SentTwice,
    /// Sent broken: a dead letter of this cause.
    Dead(DeadCause),
}

/// What was sent, in the words of the expected files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines written.
    pub input_lines: u64,
    /// Fragments that were not sent.
    pub not_sent: u64,
    /// Fragments that were sent twice.
    pub second_copies: u64,
    /// Broken lines by cause.
    pub dead_letters: BTreeMap<DeadCause, u64>,
}

/// Why orders cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum OrdersError {
    /// The scale is not a number in `(0, 1000]`.
    #[error("scale {0} is not above 0 and at most 1000")]
    Scale(f64),
    /// The generator gave a number that no row can hold.
    #[error("{what} {value} does not fit its place in a row")]
    Range {
        /// The field.
        what: &'static str,
        /// Its value.
        value: i64,
    },
}

/// What a row is; the order of the variants is their order within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Header,
    Shipped,
    Received,
}

/// One fragment, before it is text.
#[derive(Debug, Clone, Copy)]
struct Row {
    order: i64,
    /// Header: customer. Shipped: part.
    id: u32,
    /// Header: total. Shipped: price. In cents.
    cents: u32,
    /// Header: the clerk's number.
    clerk: u32,
    /// Days since 1970-01-01.
    day: u16,
    kind: Kind,
    /// The line's number; 0 in a header.
    line: u8,
    /// Header: number of lines. Shipped: quantity.
    count: u8,
    /// Priority, ship mode or return flag: a place in `Orders::tags`.
    tag: u8,
}

const _: () = assert!(size_of::<Row>() == 32);

/// All fragments of the orders of one scale, in time order.
#[derive(Debug, Clone)]
pub struct Orders {
    rows: Vec<Row>,
    tags: Vec<String>,
    orders: u64,
}

impl Orders {
    /// Makes the fragments of scale `scale` (1 is 1.5 million orders, with nine fragments
    /// each on average).
    ///
    /// # Errors
    /// [`OrdersError::Scale`] for a scale outside `(0, 1000]`.
    pub fn generate(scale: f64) -> Result<Self, OrdersError> {
        if !(scale > 0.0 && scale <= MAX_SCALE) {
            return Err(OrdersError::Scale(scale));
        }
        let words = Distributions::static_default();
        let pool = TextPool::new(TEXT_POOL_BYTES, words);
        let orders =
            OrderGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, &pool);
        let items =
            LineItemGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, &pool);
        let mut items = items.iter().peekable();
        let mut made = Self { rows: Vec::new(), tags: Vec::new(), orders: 0 };
        for order in orders.iter() {
            let header = made.rows.len();
            made.add_header(&order)?;
            while let Some(item) = items.next_if(|item| item.l_orderkey == order.o_orderkey) {
                made.add_line(&item)?;
                if let Some(row) = made.rows.get_mut(header) {
                    row.count += 1;
                }
            }
            made.orders += 1;
        }
        made.rows.sort_unstable_by_key(|row| (row.day, row.kind, row.line, row.order));
        Ok(made)
    }

    /// How many orders there are.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.orders
    }

    /// How many fragments there are, before chaos.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.rows.len()
    }

    /// Gives every line (without a line feed) to `line`, in the order of `arrival`.
    pub fn for_each_line(
        &self,
        arrival: Arrival,
        chaos: bool,
        mut line: impl FnMut(&[u8]),
    ) -> Sent {
        let mut sent = Sent::default();
        let mut buffer = Vec::with_capacity(256);
        let mut send = |row: &Row| {
            let fate = if chaos { row.fate() } else { Fate::Sent };
            sent.count(fate);
            if fate == Fate::NotSent {
                return;
            }
            self.write_row(row, fate, &mut buffer);
            line(&buffer);
            if fate == Fate::SentTwice {
                line(&buffer);
            }
        };
        match arrival {
            Arrival::Time => self.rows.iter().for_each(send),
            Arrival::HeaderLast => {
                self.rows.iter().filter(|row| row.kind != Kind::Header).for_each(&mut send);
                self.rows.iter().filter(|row| row.kind == Kind::Header).for_each(send);
            }
            Arrival::Shuffled(seed) => {
                let mut order: Vec<&Row> = self.rows.iter().collect();
                SplitMix64::new(seed).shuffle(&mut order);
                order.into_iter().for_each(send);
            }
        }
        sent
    }

    /// All lines in the order of `arrival`, in one arena.
    #[must_use]
    pub fn lines(&self, arrival: Arrival, chaos: bool) -> (Lines, Sent) {
        let mut lines = Lines::with_capacity(self.rows.len(), self.rows.len() * 108);
        let sent = self.for_each_line(arrival, chaos, |line| lines.push(line));
        (lines, sent)
    }

    fn add_header(&mut self, order: &Order<'_>) -> Result<(), OrdersError> {
        let clerk = order.o_clerk.to_string();
        let clerk = clerk.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        let row = Row {
            order: order.o_orderkey,
            id: narrow("customer", order.o_custkey)?,
            cents: cents("total", order.o_totalprice)?,
            clerk,
            day: narrow("date", order.o_orderdate.to_unix_epoch().into())?,
            kind: Kind::Header,
            line: 0,
            count: 0,
            tag: self.tag(order.o_orderpriority),
        };
        self.rows.push(row);
        Ok(())
    }

    /// Adds the two fragments of a line: shipped and received.
    fn add_line(&mut self, item: &LineItem<'_>) -> Result<(), OrdersError> {
        let shipped = Row {
            order: item.l_orderkey,
            id: narrow("part", item.l_partkey)?,
            cents: cents("price", item.l_extendedprice)?,
            clerk: 0,
            day: narrow("date", item.l_shipdate.to_unix_epoch().into())?,
            kind: Kind::Shipped,
            line: narrow("line", item.l_linenumber.into())?,
            count: narrow("quantity", item.l_quantity)?,
            tag: self.tag(item.l_shipmode),
        };
        let day = narrow("date", item.l_receiptdate.to_unix_epoch().into())?;
        let tag = self.tag(item.l_returnflag);
        self.rows.push(shipped);
        self.rows.push(Row { day, kind: Kind::Received, tag, ..shipped });
        Ok(())
    }

    /// The place of a word; there are fifteen, so a linear search will do.
    fn tag(&mut self, word: &str) -> u8 {
        let place = self.tags.iter().position(|known| known == word).unwrap_or_else(|| {
            self.tags.push(word.to_owned());
            self.tags.len() - 1
        });
        place as u8
    }

    fn word(&self, row: &Row) -> &str {
        self.tags.get(usize::from(row.tag)).map_or("", String::as_str)
    }
}

impl Row {
    /// The variable's bit, as the outcome line orders them.
    fn bit(&self) -> u32 {
        match self.kind {
            Kind::Header => 0,
            Kind::Shipped => u32::from(self.line),
            Kind::Received => super::fragment::MAX_ORDER_LINES + u32::from(self.line),
        }
    }

    fn fate(&self) -> Fate {
        fate(self.order.unsigned_abs(), self.bit())
    }
}

/// What chaos does to the fragment of order `order` with variable `bit`: a pure function, so that
/// every order of arrival suffers the same.
///
/// The bands are those of the published data: 1,000 parts of 1,000,003 are not sent, the next
/// 10,000 are sent twice, then 100 are cut in half, 100 have a text for a number, 10 are padded.
#[must_use]
pub fn fate(order: u64, bit: u32) -> Fate {
    let hash = splitmix64(order.wrapping_mul(16).wrapping_add(u64::from(bit))) % 1_000_003;
    match hash {
        0..1_000 => Fate::NotSent,
        1_000..11_000 => Fate::SentTwice,
        11_000..11_100 => Fate::Dead(DeadCause::Poison),
        11_100..11_200 => Fate::Dead(DeadCause::Type),
        11_200..11_210 => Fate::Dead(DeadCause::Oversize),
        _ => Fate::Sent,
    }
}

impl Sent {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::NotSent => self.not_sent += 1,
            Fate::Sent => self.input_lines += 1,
            Fate::SentTwice => {
                self.input_lines += 2;
                self.second_copies += 1;
            }
            Fate::Dead(cause) => {
                self.input_lines += 1;
                *self.dead_letters.entry(cause).or_default() += 1;
            }
        }
    }
}

fn narrow<T: TryFrom<i64>>(what: &'static str, value: i64) -> Result<T, OrdersError> {
    T::try_from(value).map_err(|_| OrdersError::Range { what, value })
}

fn cents(what: &'static str, money: TPCHDecimal) -> Result<u32, OrdersError> {
    narrow(what, money.into_inner())
}
