//! Texts and what the npm package makes of them.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> HashMap<String, Entry> {
    read(text).0
}

fn values(text: &str) -> Vec<(String, String)> {
    let mut values: Vec<_> = parse(text).into_iter().map(|(key, entry)| (key, entry.value)).collect();
    values.sort();
    values
}

/// What `require('dotenv').parse(text)` of 16.4.5 and 18.0.10 gave for each text.
#[test]
fn values_are_those_that_the_npm_package_reads() {
    for (text, expected) in [
        ("A=1", "1"),
        ("A = 1 ", "1"),
        ("  A=1", "1"),
        ("\u{feff}A=1", "1"),
        ("A: 1", "1"),
        ("export A=1", "1"),
        ("export  A = 1", "1"),
        ("A=", ""),
        ("A=''", ""),
        ("A=a b c", "a b c"),
        ("A=a#b", "a"),
        ("A=a # b", "a"),
        ("A='a#b' # c", "a#b"),
        ("A=\"a#b\"#c", "a#b"),
        ("A=`a'\"b`", "a'\"b"),
        ("A='a' 'b'", "a' 'b"),
        ("A='a' b", "'a' b"),
        ("A=\"a' b", "\"a' b"),
        ("A='a", "'a"),
        ("A='", "'"),
        (r#"A="a\nb\tc""#, "a\nb\\tc"),
        (r"A='a\nb'", r"a\nb"),
        (r"A=a\nb", r"a\nb"),
        (r#"A="it\"s""#, r#"it\"s"#),
        (r"A='a\'", r"a\"),
        (r"A='a\' x", r"'a\' x"),
        ("A='one\ntwo\n\nthree' # end", "one\ntwo\n\nthree"),
        ("A=\"one\r\ntwo\"", "one\ntwo"),
        ("A=\n'b'", "b"),
        ("A=\nB", ""),
        ("A\n=1", "1"),
        ("A:\n1", "1"),
        ("A=$B ${C}", "$B ${C}"),
        ("A=1\nA=2", "2"),
        ("A=1\rA=2", "2"),
        ("A=pa=ss", "pa=ss"),
        ("A={\"a\": 1}", "{\"a\": 1}"),
        ("A='{\n  \"host\": \"x\"\n}'", "{\n  \"host\": \"x\"\n}"),
    ] {
        assert_eq!(values(text), [(String::from("A"), String::from(expected))], "{text:?}");
    }
}

#[test]
fn what_is_no_statement_is_skipped_and_harms_no_other() {
    assert_eq!(values("nonsense\n# A=1\n=x\n-- ?\nB=2\nA:3\n?A=4\n"), [("B".into(), "2".into())]);
    assert_eq!(values("export\nB=2"), [("B".into(), "2".into())]);
    assert_eq!(values("export=2"), [("export".into(), "2".into())]);
    assert_eq!(values("export A B\nC=2"), [("C".into(), "2".into())]);
    assert_eq!(values("a.b-C_1=x"), [("a.b-C_1".into(), "x".into())]);
    assert_eq!(values(""), []);
}

#[test]
fn the_line_of_a_key_is_known() {
    let entries = parse("# one\n\nA=1\r\nB='x\ny\nz'\nC=3\nexport\n\n D=4");
    let lines: Vec<_> = ["A", "B", "C", "D"].iter().map(|key| entries[*key].line).collect();
    assert_eq!(lines, [3, 4, 7, 10]);
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text: String) {
        parse(&text);
    }

    #[test]
    fn no_mix_of_what_is_special_is_too_strange(
        text in r#"(export|A|B|é|=|: |'|"|`|\\|\n|\r|#| |\\n|\u{feff}){0,40}"#,
    ) {
        for (key, entry) in parse(&text) {
            prop_assert!(!key.is_empty());
            let line = text.replace("\r\n", "\n").replace('\r', "\n");
            let line = line.split('\n').nth(entry.line - 1).unwrap_or_default().to_owned();
            prop_assert!(line.contains(&key), "{key:?} is not on line {} of {text:?}", entry.line);
        }
    }

    #[test]
    fn a_value_in_single_quotes_comes_back_as_it_is(value in "[^'\\\\\r]*") {
        let text = format!("KEY='{value}'\nOTHER=1");
        let entries = parse(&text);
        prop_assert_eq!(&entries["KEY"].value, &value);
        prop_assert_eq!(&entries["OTHER"].value, "1");
    }
}
