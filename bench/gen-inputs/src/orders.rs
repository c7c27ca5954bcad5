//! Turns TPC-H orders and line items into fragments and sorts them by time.

use tpchgen::{
    dates::TPCHDate,
    generators::{LineItem, LineItemGenerator, Order, OrderGenerator},
};

/// Where a fragment stands in time order: day, rank (header, shipped, received), line, order.
type Position = (i32, u8, i32, i64);

/// All fragments of one scale: the text in one buffer, the order beside it.
pub(crate) struct Fragments {
    text: Vec<u8>,
    index: Vec<(Position, usize, usize)>,
}

impl Fragments {
    /// Generates the fragments of a scale factor. The generator gives orders and line items by
    /// ascending order key, so one pass over both joins them.
    pub(crate) fn of_scale(scale: f64) -> Self {
        let mut this = Self { text: Vec::new(), index: Vec::new() };
        let mut items = LineItemGenerator::new(scale, 1, 1).iter().peekable();
        for order in OrderGenerator::new(scale, 1, 1).iter() {
            let mut lines = 0;
            while let Some(item) = items.next_if(|item| item.l_orderkey == order.o_orderkey) {
                lines += 1;
                this.push_item(&item);
            }
            this.push_header(&order, lines);
        }
        this
    }

    /// The lines with their LF, in time order.
    pub(crate) fn in_time_order(&mut self) -> impl Iterator<Item = &[u8]> {
        self.index.sort_unstable();
        self.index.iter().map(|&(_, start, end)| &self.text[start..end])
    }

    fn push_header(&mut self, order: &Order<'_>, lines: i64) {
        let position = (order.o_orderdate.into_inner(), 0, 0, order.o_orderkey);
        let mut line = self.open(position, "header");
        line.date(order.o_orderdate);
        line.number("customer", order.o_custkey);
        line.number("total", order.o_totalprice.into_inner());
        line.number("lines", lines);
        line.text("priority", order.o_orderpriority);
        line.text("clerk", &order.o_clerk.to_string());
        line.close(position);
    }

    fn push_item(&mut self, item: &LineItem<'_>) {
        let number = item.l_linenumber;
        let position = (item.l_shipdate.into_inner(), 1, number, item.l_orderkey);
        let mut line = self.open(position, "shipped");
        line.number("line", i64::from(number));
        line.date(item.l_shipdate);
        line.number("part", item.l_partkey);
        line.number("quantity", item.l_quantity);
        line.number("price", item.l_extendedprice.into_inner());
        line.text("mode", item.l_shipmode);
        line.close(position);

        let position = (item.l_receiptdate.into_inner(), 2, number, item.l_orderkey);
        let mut line = self.open(position, "received");
        line.number("line", i64::from(number));
        line.date(item.l_receiptdate);
        line.text("flag", item.l_returnflag);
        line.close(position);
    }

    fn open(&mut self, position: Position, kind: &str) -> Line<'_> {
        let start = self.text.len();
        self.text.extend_from_slice(b"{\"order\":");
        self.text.extend_from_slice(itoa::Buffer::new().format(position.3).as_bytes());
        let mut line = Line { fragments: self, start };
        line.text("kind", kind);
        line
    }
}

/// A fragment being written at the end of the text.
struct Line<'a> {
    fragments: &'a mut Fragments,
    start: usize,
}

impl Line<'_> {
    fn name(&mut self, name: &str) {
        let text = &mut self.fragments.text;
        text.extend_from_slice(b",\"");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.fragments.text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A text without characters that JSON escapes; TPC-H's codes and names have none.
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.fragments.text.push(b'"');
        self.fragments.text.extend_from_slice(value.as_bytes());
        self.fragments.text.push(b'"');
    }

    fn date(&mut self, date: TPCHDate) {
        self.text("ts", &date.to_string());
    }

    fn close(self, position: Position) {
        self.fragments.text.extend_from_slice(b"}\n");
        self.fragments.index.push((position, self.start, self.fragments.text.len()));
    }
}
