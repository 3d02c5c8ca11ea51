//! RFC 8785: the RFC's own examples, and what must hold for every JSON text.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn of(text: &str) -> Result<String, CanonicalError> {
    canonical(&RawValue::from_string(text.to_owned()).expect("JSON"))
}

#[test]
fn the_example_of_the_rfc_comes_out_as_the_rfc_says() {
    let text = r#"{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(of(text).as_deref(), Ok(expected));
}

#[test]
fn keys_stand_in_the_order_of_their_utf_16_units() {
    let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(of(text).as_deref(), Ok(expected));
}

#[test]
fn the_numbers_of_the_rfcs_appendix_come_out_as_it_says() {
    // Appendix B: IEEE 754 bits and the text that they have.
    for (bits, expected) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let number = f64::from_bits(bits);
        assert_eq!(of(&format!("{number:e}")).as_deref(), Ok(expected), "{bits:x}");
    }
}

#[test]
fn numbers_come_out_as_javascript_prints_them() {
    for (text, expected) in [
        ("100.0", "100"),
        ("1e21", "1e+21"),
        ("1E20", "100000000000000000000"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("12345678901234567890", "12345678901234567000"),
        ("7.980", "7.98"),
        ("0.1e-6", "1e-7"),
        ("1e-400", "0"),
        ("0.30000000000000004", "0.30000000000000004"),
    ] {
        assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn of_equal_keys_the_last_counts_at_every_depth() {
    assert_eq!(of(r#"{"b":1,"a":{"x":1,"\u0078":2},"b":3}"#).as_deref(), Ok(r#"{"a":{"x":2},"b":3}"#));
}

#[test]
fn what_has_no_canonical_form_is_named() {
    for (text, escape) in [
        (r#"["a\ud800"]"#, r"\ud800"),
        (r#"{"\uDC00":1}"#, r"\uDC00"),
        (r#"["\ud83d\ude00\\ud800 \ud83dx"]"#, r"\ud83d"),
        (r#"["\ud83d\n"]"#, r"\ud83d"),
    ] {
        assert_eq!(of(text), Err(CanonicalError::LoneSurrogate { escape: escape.into() }), "{text}");
    }
    assert_eq!(of("[1,-1e400]"), Err(CanonicalError::NumberTooLarge { number: "-1e400".into() }));
    let nested = |depth: usize| of(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(nested(MAX_DEPTH).is_ok());
    assert_eq!(nested(MAX_DEPTH + 1), Err(CanonicalError::TooDeep));
    assert_eq!(nested(100_000), Err(CanonicalError::TooDeep));
}

#[test]
fn halves_of_surrogate_pairs_can_be_replaced() {
    let text = r#"["\\ud800 \ud800\ud83d\ude00\udfff","é\uDBFF"]"#;
    assert_eq!(without_lone_surrogates(text), r#"["\\ud800 \ufffd\ud83d\ude00\ufffd","é\ufffd"]"#);
}

#[test]
fn an_object_of_fields_is_that_object() {
    let fields = [("b", "1.0"), ("a", "[ 2 ]"), ("b", "3")]
        .map(|(key, text)| (key, RawValue::from_string(text.to_owned()).expect("JSON")));
    let object = canonical_object(fields.iter().map(|(key, value)| (*key, &**value)));
    assert_eq!(object.as_deref(), Ok(r#"{"a":[2],"b":3}"#));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number))),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What a JSON text says, each number as the nearest double (`serde_json`'s own may be its neighbour).
#[derive(Debug, PartialEq)]
enum Meaning {
    Number(u64),
    Array(Vec<Meaning>),
    Object(BTreeMap<String, Meaning>),
    Other(Value),
}

fn meaning(text: &str) -> Meaning {
    let parts = |value: Box<RawValue>| meaning(value.get());
    match text.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("an object");
            Meaning::Object(members.into_iter().map(|(key, value)| (key, parts(value))).collect())
        }
        b'[' => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).expect("an array");
            Meaning::Array(items.into_iter().map(parts).collect())
        }
        b'-' | b'0'..=b'9' => Meaning::Number((text.parse::<f64>().expect("a number") + 0.0).to_bits()),
        _ => Meaning::Other(serde_json::from_str(text).expect("JSON")),
    }
}

proptest! {
    #[test]
    fn the_meaning_stays_the_same_and_so_does_the_canonical_form(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.expect("text");
        let once = of(&text).expect("canonical");
        prop_assert_eq!(of(&once), Ok(once.clone()));
        prop_assert_eq!(meaning(&once), meaning(&text));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\",:\\\\u0-9d8ceE.+a-]{0,40}") {
        let _ = Writer::new(&text).value(&mut String::new(), MAX_DEPTH);
        if let Ok(value) = RawValue::from_string(text.clone()) {
            prop_assert!(!matches!(canonical(&value), Err(CanonicalError::NotJson { .. })), "{}", text);
        }
    }
}
