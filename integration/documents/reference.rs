//! What pages repeat of the code they say as the code does: `make docs` writes it.

#[path = "../reference/pages/mod.rs"]
mod pages;

use std::path::Path;

#[test]
fn the_pages_say_what_the_code_says() {
    let pages = pages::all(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the pages");
    for page in pages {
        let line = page.now.lines().zip(page.wanted.lines()).position(|(now, wanted)| now != wanted);
        assert!(
            page.now == page.wanted,
            "{}, from line {} on, is not what the code says: run `make docs`, and commit what it writes",
            page.path,
            line.map_or(0, |line| line + 1)
        );
    }
}

#[test]
fn what_stands_between_the_marks_is_exchanged_and_all_else_stays() {
    let page = "# Title\n\n<!-- a: made from the code by `make docs`, not by hand -->\nold\n<!-- end of a -->\nafter\n";
    let new = pages::with_block(page, "a", "new\n").expect("the marks");
    assert!(new.starts_with("# Title\n\n<!-- a: ") && new.ends_with("\n\nnew\n\n<!-- end of a -->\nafter\n"));
    assert_eq!(pages::with_block(&new, "a", "new").as_deref(), Ok(new.as_str()), "twice is once");
    assert!(pages::with_block(page, "b", "new").is_err());
}

#[test]
fn a_text_of_the_code_is_marked_up_and_stays_what_it_is() {
    for (text, marked) in [
        ("see START_RATE_MAX.", "see `START_RATE_MAX`."),
        ("(docs/policy.md). It", "([docs/policy.md](../policy.md)). It"),
        ("hosts, *.domains | <x> a_b", "hosts, \\*.domains \\| \\<x> a\\_b"),
        ("https://h:1/x - … 5s, ./", "https://h:1/x - … 5s, ./"),
        ("`REDIS_DB` and `a_b`, <https://h>", "`REDIS_DB` and `a_b`, <https://h>"),
        ("CHOWN,SETUID -- /dev/shm", "CHOWN,SETUID -- /dev/shm"),
    ] {
        assert_eq!(pages::marked_up(text), marked);
    }
}
