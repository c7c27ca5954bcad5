//! Fields, templates, filters and times: every text is read or refused with a place in it.
#![no_main]

use flux_io_record::{Filter, Limits, Path, Record, Template, parse_time};
use libfuzzer_sys::fuzz_target;

const RECORD: &[u8] = br#"{"a":{"b":1,"c":[1,2.5,"x"]},"d":"UA","e":null,"f":true}"#;

fuzz_target!(|text: &str| {
    let Ok(record) = Record::parse(RECORD, &Limits::default()) else { return };
    match Path::parse(text) {
        Ok(path) => drop(record.view().find(&path)),
        Err(e) => assert!(text.is_char_boundary(e.at)),
    }
    if let Ok(template) = Template::parse(text) {
        let _ = template.render(record.view(), &mut String::new());
    }
    match Filter::parse(text) {
        Ok(filter) => drop(filter.passes(record.view())),
        Err(e) => assert!(text.is_char_boundary(e.at)),
    }
    let _ = parse_time(text);
});
