//! Which patterns are about which images, and that no spelling gets round one.

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "sha256:f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn pattern(text: &str) -> Pattern {
    Pattern::read(text).unwrap_or_else(|allowed| panic!("{text}: allowed: {allowed}"))
}

fn matches(text: &str, image: &str) -> bool {
    pattern(text).matches(&Image::read(image).unwrap_or_else(|error| panic!("{image}: {error}")))
}

#[test]
fn a_pattern_is_about_these_and_not_about_those() {
    for (text, these, those) in [
        (
            "grader",
            vec!["grader", "docker.io/library/grader:9", "docker.io/grader"],
            vec!["a/grader", "grader2"],
        ),
        ("docker.io/grader:latest", vec!["grader", "library/grader:latest"], vec!["grader:1", "r.io/grader"]),
        ("school/*", vec!["school/a", "docker.io/school/b:1"], vec!["school/a/b", "r.io/school/a", "school"]),
        (
            "registry.example.org/algebra/*",
            vec!["registry.example.org/algebra/quiz:3", "Registry.Example.org:443/algebra/quiz"],
            vec![
                "registry.example.org/algebra",
                "registry.example.org/algebra/a/b",
                "registry.example.org/algebra2/x",
                "registry.example.org:5000/algebra/x",
                "evil.org/registry.example.org/algebra/x",
                "registry.example.org.evil.org/algebra/x",
                "algebra/x",
            ],
        ),
        ("r.io/**", vec!["r.io/a", "r.io/a/b/c:1"], vec!["a", "rxio/a", "r.io.evil.org/a", "x.r.io/a"]),
        ("*.school.es/a", vec!["x.school.es/a", "y.x.school.es/a"], vec!["school.es/a", "x.school.es:1/a"]),
        ("**/grader", vec!["grader", "r.io/a/grader:1", "localhost:5000/grader"], vec!["r.io/graders"]),
        ("a/**/z", vec!["a/b/z", "a/b/c/z"], vec!["a/z", "a/b/zz"]),
        ("grader:1.*", vec!["grader:1.0", "grader:1."], vec!["grader", "grader:1", "grader:11.0"]),
        ("**", vec!["grader", "r.io/a/b@"], vec![]),
    ] {
        for image in these {
            let image = if image.ends_with('@') { format!("{image}{DIGEST}") } else { image.to_owned() };
            assert!(matches(text, &image), "{text} is about {image}");
        }
        for image in those {
            assert!(!matches(text, image), "{text} is not about {image}");
        }
    }
}

#[test]
fn a_digest_is_matched_only_by_a_name_that_carries_it_and_a_tag_never_beside_a_digest() {
    let with = |tag: &str, digest: &str| format!("grader{tag}@{digest}");
    let by_digest = with("", DIGEST);
    assert!(matches(&by_digest, &with("", DIGEST)) && matches(&by_digest, &with(":1", DIGEST)));
    assert!(matches(&with(":1", DIGEST), &with("", DIGEST)), "the digest says which image it is");
    for image in ["grader", "grader:1", &with("", OTHER), &with(":1", OTHER), DIGEST] {
        assert!(!matches(&by_digest, image), "{image}");
    }
    // Whoever may run the tag may not choose another image by its digest.
    assert!(matches("grader:1", "grader:1"));
    assert!(!matches("grader:1", &with(":1", DIGEST)) && !matches("grader:*", &with(":1", DIGEST)));
    assert!(matches("grader", &with(":1", DIGEST)), "without a tag it is about all versions");
}

#[test]
fn an_id_is_matched_by_the_very_id_and_by_the_pattern_for_every_id_alone() {
    let id = &DIGEST["sha256:".len()..];
    for image in [id, DIGEST] {
        assert!(matches(DIGEST, image) && matches("id:*", image), "{image}");
        for text in ["**", "docker.io/library/*", "sha256*", "**/*", OTHER] {
            assert!(!matches(text, image), "{text}: {image}");
        }
    }
    assert!(matches("id:*", "sha256:0f") && !matches("id:*", "grader") && !matches("**", "sha256:0f"));
    assert!(!matches("docker.io/library/*", "sha256:0f"), "the beginning of an id is no name");
    assert!(matches("docker.io/library/*", "ada"));
}

#[test]
fn a_refusal_of_a_tag_is_not_got_round_by_a_digest() {
    let refuses = |text: &str, image: &str| pattern(text).may_be(&Image::read(image).unwrap());
    for image in ["grader:7".into(), format!("grader:7@{DIGEST}"), format!("library/grader@{OTHER}")] {
        assert!(refuses("grader:7", &image), "{image}");
    }
    for image in ["grader:8".into(), format!("a/grader@{DIGEST}"), DIGEST.to_owned()] {
        assert!(!refuses("grader:7", &image), "{image}");
    }
    let by_digest = format!("grader@{DIGEST}");
    assert!(refuses(&by_digest, &by_digest) && !refuses(&by_digest, &format!("grader@{OTHER}")));
}

#[test]
fn a_pattern_of_a_version_gives_way_to_one_of_the_repository() {
    let by_digest = format!("a/b@{DIGEST}");
    for (one, other, gives_way) in [
        ("a/b:1", "a/*", true),
        ("a/b:1", "**", true),
        (&by_digest, "a/b", true),
        ("a/b", "a/*", false),
        ("a/b:1", "a/c", false),
        ("a/b:1", "a/b:*", false),
        ("a/b:1", "id:*", false),
    ] {
        assert_eq!(pattern(one).gives_way_to(&pattern(other)), gives_way, "{one} to {other}");
    }
}

#[test]
fn what_could_never_match_or_matches_too_much_is_refused() {
    for (text, part) in [
        ("", "a name of lower-case"),
        ("*", "\"**\" for every image"),
        ("Grader", "a name of lower-case"),
        ("a b", "a name of lower-case"),
        ("a/***", "a name of lower-case"),
        ("a//b", "a name of lower-case"),
        ("https://r.io/a", "a host with"),
        ("r.*/a", "a host with"),
        ("r.io*/a", "a host with"),
        ("*r.io/a", "a host with"),
        ("*:5000/a", "a host with"),
        ("a:", "behind ':' a tag"),
        ("a:b c", "behind ':' a tag"),
        ("a@sha256:0f", "a whole digest"),
        ("a@sha256:*", "a whole digest"),
        ("sha256:0f", "whole id"),
    ] {
        let allowed = Pattern::read(text).expect_err(text);
        assert!(allowed.contains(part), "{text}: {allowed}");
    }
}

#[test]
fn a_pattern_covers_another_that_is_about_nothing_else() {
    let by_digest = format!("a/b@{DIGEST}");
    for (one, other, covers) in [
        ("**", "a", true),
        ("**", DIGEST, false),
        ("**", "id:*", false),
        ("id:*", DIGEST, true),
        ("id:*", "a", false),
        ("a", "**", false),
        ("a/*", "a/b*", true),
        ("a/*", "a/**", false),
        ("a/**", "a/*", true),
        ("a/**", "a/b/*", true),
        ("a/*", "a/b/*", false),
        ("a/b*", "a/*", false),
        ("grader", "docker.io/library/grader:1", true),
        ("grader:1", "grader", false),
        ("grader:*", "grader:1", true),
        ("grader:*", "grader", false),
        ("a/b", &by_digest, true),
        ("a/b:1", &by_digest, false),
        (&by_digest, &by_digest, true),
        (&by_digest, "a/b", false),
        ("**/b", "a/b", true),
    ] {
        assert_eq!(pattern(one).covers(&pattern(other)), covers, "{one} covers {other}");
    }
}

/// Names of few letters, so that they often meet.
fn names() -> impl Strategy<Value = String> {
    "(r\\.io/|docker\\.io/|index\\.docker\\.io:443/|R\\.IO:443/)?(library/)?[ab](/[ab]){0,2}(:[1-2])?"
}

fn patterns() -> impl Strategy<Value = String> {
    "(r\\.io/|docker\\.io/|\\*\\.io/|\\*\\*/)?([ab]|\\*|\\*\\*)(/([ab]|\\*|\\*\\*)){0,2}(:([1-2]|\\*))?"
}

proptest! {
    #[test]
    fn no_spelling_of_a_name_gets_round_a_pattern(text in patterns(), name in names()) {
        let Ok(pattern) = Pattern::read(&text) else { return Ok(()) };
        let Ok(image) = Image::read(&name) else { return Ok(()) };
        let normal = Image::read(&image.to_string()).unwrap();
        prop_assert_eq!(pattern.matches(&image), pattern.matches(&normal));
    }

    #[test]
    fn a_name_is_matched_by_itself_and_by_each_of_its_spellings_as_a_pattern(name in names()) {
        let image = Image::read(&name).unwrap();
        prop_assert!(Pattern::read(&image.to_string()).unwrap().matches(&image));
        if let Ok(pattern) = Pattern::read(&name) {
            prop_assert!(pattern.matches(&image));
        }
    }

    #[test]
    fn what_is_covered_is_matched(one in patterns(), other in patterns(), name in names()) {
        let (Ok(one), Ok(other)) = (Pattern::read(&one), Pattern::read(&other)) else { return Ok(()) };
        let image = Image::read(&name).unwrap();
        if one.covers(&other) && other.matches(&image) {
            prop_assert!(one.matches(&image), "{} covers {}, but not {}", one, other, name);
        }
    }

    #[test]
    fn stars_match_as_a_regular_expression_says(text in patterns(), name in names()) {
        let (Ok(pattern), Ok(Image::Named(image))) = (Pattern::read(&text), Image::read(&name)) else {
            return Ok(());
        };
        let Meaning::Named { repository: Glob(symbols), tag: None, .. } = &pattern.meaning else {
            return Ok(());
        };
        let expression: String = symbols
            .iter()
            .map(|symbol| match symbol {
                Symbol::One(c) => regex::escape(&c.to_string()),
                Symbol::Some => "[^/]*".to_owned(),
                Symbol::Any => ".*".to_owned(),
            })
            .collect();
        let expected = regex::Regex::new(&format!("^{expression}$")).unwrap().is_match(&image.repository());
        prop_assert_eq!(pattern.matches(&Image::Named(image)), expected);
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,30}|[a-z*:@/.]{0,40}") {
        if let Ok(pattern) = Pattern::read(&text) {
            let _ = (pattern.covers(&pattern), matches(&text, "grader"));
        }
    }
}
