//! Blocks: what the original's expression finds, the same for every chunking; with a secret, no stranger's.

use proptest::prelude::*;

use super::*;
use crate::seal::tests::seal;

const ORIGINAL: &str = "(?-u)-+BEGIN CORRECTOMATIC RESPONSE-+\n((?s:.)*?)\n-+END CORRECTOMATIC RESPONSE-+";

fn contents(text: &[u8]) -> (usize, Option<Vec<u8>>) {
    let blocks = Scanner::scan(text, None);
    let first = blocks.first.map(|block| match block {
        Block::Whole(content) => content,
        Block::TooLong => unreachable!("the limit is the text's length"),
    });
    (blocks.count, first)
}

fn first(text: &str) -> Option<String> {
    contents(text.as_bytes()).1.map(|content| String::from_utf8(content).expect("ASCII"))
}

#[test]
fn a_block_is_found_whatever_stands_around_it() {
    let block = "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE-";
    for text in [block.to_owned(), format!("a\n text -{block}- more\n"), format!("--B-BEGIN {block}")] {
        assert_eq!(first(&text).as_deref(), Some("{}"), "{text}");
    }
}

#[test]
fn what_only_resembles_a_block_is_none() {
    for text in [
        "BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE-",
        "-BEGIN CORRECTOMATIC RESPONSE\n{}\n-END CORRECTOMATIC RESPONSE-",
        "-BEGIN CORRECTOMATIC RESPONSE- \n{}\n-END CORRECTOMATIC RESPONSE-",
        "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n -END CORRECTOMATIC RESPONSE-",
        "-BEGIN CORRECTOMATIC RESPONSE-\n{}-END CORRECTOMATIC RESPONSE-",
        "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE",
        "-BEGIN CORRECTOMATIC RESPONSE-\n-END CORRECTOMATIC RESPONSE-",
    ] {
        assert_eq!(contents(text.as_bytes()).0, 0, "{text}");
    }
    assert!(Scanner::scan(b"-BEGIN CORRECTOMATIC RESPONSE-\n{}", None).open);
}

#[test]
fn crlf_ends_a_first_line_too_unless_one_that_lf_ends_follows() {
    let text = "-BEGIN CORRECTOMATIC RESPONSE-\r\n{}\r\n-END CORRECTOMATIC RESPONSE-\r\n";
    assert_eq!(first(text).as_deref(), Some("{}\r"));
    let stray = "-BEGIN CORRECTOMATIC RESPONSE-\r\nx\n-BEGIN CORRECTOMATIC RESPONSE-\n{}\n\
                 -END CORRECTOMATIC RESPONSE-";
    assert_eq!(first(stray).as_deref(), Some("{}"));
}

#[test]
fn a_block_longer_than_the_limit_is_counted_and_not_kept() {
    let mut scanner = Scanner::new(4, None);
    scanner.push(b"-BEGIN CORRECTOMATIC RESPONSE-\n12345\n-END CORRECTOMATIC RESPONSE-\n");
    let blocks = scanner.finish();
    assert_eq!((blocks.count, blocks.first), (1, Some(Block::TooLong)));
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "-",
        "--",
        "\n",
        "\r",
        "\r\n",
        "B",
        "E",
        "{}",
        " ",
        "BEGIN CORRECTOMATIC RESPONSE",
        "END CORRECTOMATIC RESPONSE",
        "-BEGIN CORRECTOMATIC RESPONSE-\n",
        "\n-END CORRECTOMATIC RESPONSE-",
        "BEGIN CORRECTOMATIC RESPON",
        "\u{e9}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn without_crlf_it_finds_what_the_originals_expression_finds(mut text in soup()) {
        text.retain(|&byte| byte != b'\r');
        let expression = regex::bytes::Regex::new(ORIGINAL).expect("an expression");
        let expected: Vec<_> = expression.captures_iter(&text).map(|found| found[1].to_vec()).collect();
        prop_assert_eq!(contents(&text), (expected.len(), expected.first().cloned()));
    }

    #[test]
    fn chunks_make_no_difference(text in soup(), size in 1_usize..9, limit in 0_usize..20) {
        let mut whole = Scanner::new(limit, None);
        whole.push(&text);
        let mut chunked = Scanner::new(limit, None);
        text.chunks(size).for_each(|chunk| chunked.push(chunk));
        prop_assert_eq!(chunked.finish(), whole.finish());
    }

    #[test]
    fn without_the_secret_no_text_of_strangers_is_a_block(text in strangers()) {
        let found = Scanner::scan(&text, Some(&seal(7)));
        prop_assert_eq!(found, Blocks::default());
    }

    #[test]
    fn the_block_with_the_secret_is_found_whatever_strangers_print_around_it(
        before in strangers(), content in soup(), after in strangers(), size in 1_usize..50,
    ) {
        let block = sealed(&seal(7), &content);
        let text = [before, block, after].concat();
        let mut scanner = Scanner::new(text.len(), Some(&seal(7)));
        text.chunks(size).for_each(|chunk| scanner.push(chunk));
        let found = scanner.finish();
        prop_assert_eq!(found, Blocks { count: 1, first: Some(Block::Whole(content)), open: false });
    }
}

/// What a grader that knows the secret prints.
fn sealed(seal: &Seal, content: &[u8]) -> Vec<u8> {
    let line = |word: &str| format!("---{word} CORRECTOMATIC RESPONSE {}--", seal.reveal()).into_bytes();
    [&line("BEGIN"), &b"\n"[..], content, b"\n", &line("END"), b"\n"].concat()
}

/// What somebody prints who knows all but the secret: plain separators, those of other secrets, and such with
/// parts of the right one.
fn strangers() -> impl Strategy<Value = Vec<u8>> {
    let right = seal(7).reveal().to_owned();
    let words = |secret: &str| {
        let line = |word: &str| format!("-{word} CORRECTOMATIC RESPONSE{secret}-");
        vec![
            line("BEGIN") + "\n",
            "\n".to_owned() + &line("END"),
            line("BEGIN") + "\r\n{}\n" + &line("END") + "\n",
        ]
    };
    let mut pieces = words("");
    for guess in [seal(8).reveal(), &right[1..], &right[..39], &right.to_uppercase(), "", "<secret>"] {
        pieces.extend(words(&format!(" {guess}")));
    }
    // The secret twice or with more around it is not the secret between its words and a dash.
    pieces.extend(words(&format!(" {right}{right}")).into_iter().chain(words(&format!("  {right}"))));
    pieces.extend(words(&format!(" {right} ")).into_iter().chain(words(&format!(" {right}\n"))));
    pieces.extend(
        [
            "-",
            "\n",
            "\r",
            "{}",
            "BEGIN CORRECTOMATIC RESPONSE ",
            "-BEGIN",
            "-----BEGIN CORRECTOMATIC RESPONSE ",
        ]
        .map(str::to_owned),
    );
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

#[test]
fn only_the_right_secret_in_both_lines_makes_a_block() {
    let (right, wrong) = (seal(7), seal(8));
    let text = String::from_utf8(sealed(&right, b"{}")).expect("ASCII");
    let count = |text: &str| Scanner::scan(text.as_bytes(), Some(&right)).count;
    assert_eq!(count(&text), 1);
    assert_eq!(count(&text.replace("---BEGIN", "log --BEGIN").replace('\n', "\r\n")), 1);
    assert_eq!(count(&text.replacen(right.reveal(), wrong.reveal(), 1)), 0);
    assert_eq!(
        count(&text.replace(
            &format!("END CORRECTOMATIC RESPONSE {}", right.reveal()),
            "END CORRECTOMATIC RESPONSE"
        )),
        0
    );
    assert_eq!(Scanner::scan(text.as_bytes(), None).count, 0, "nor is it one where no secret is wanted");
    assert_eq!(count(&format!("{text}{text}")), 2);
    assert!(!format!("{:?}", Scanner::new(1, Some(&right))).contains(right.reveal()));
}
