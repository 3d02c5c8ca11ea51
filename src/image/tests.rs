//! Spellings of image names, and what they come to.

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn told(text: &str) -> String {
    Image::read(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn all_spellings_of_one_image_come_to_one_form() {
    let with_digest = format!("grader:1@{DIGEST}");
    let by_digest = format!("docker.io/library/grader@{DIGEST}");
    for (text, form) in [
        ("grader", "docker.io/library/grader:latest"),
        ("grader:latest", "docker.io/library/grader:latest"),
        ("library/grader", "docker.io/library/grader:latest"),
        ("docker.io/grader", "docker.io/library/grader:latest"),
        ("docker.io/library/grader:latest", "docker.io/library/grader:latest"),
        ("index.docker.io/library/grader", "docker.io/library/grader:latest"),
        ("registry-1.docker.io:443/library/grader", "docker.io/library/grader:latest"),
        ("Docker.IO/grader", "docker.io/library/grader:latest"),
        ("school/grader:V2", "docker.io/school/grader:V2"),
        ("localhost/grader", "localhost/grader:latest"),
        ("localhost:5000/grader", "localhost:5000/grader:latest"),
        ("Registry.School.es:443/a/b", "registry.school.es/a/b:latest"),
        ("registry.school.es:5000/a__b/c--d/e.f_g:1", "registry.school.es:5000/a__b/c--d/e.f_g:1"),
        ("[fe80::1]:5000/a", "[fe80::1]:5000/a:latest"),
        ("ada", "docker.io/library/ada:latest"),
        (with_digest.as_str(), by_digest.as_str()),
    ] {
        assert_eq!(told(text), form, "{text}");
    }
}

#[test]
fn what_no_image_can_be_called_is_refused_as_the_engine_refuses_it() {
    let upper = DIGEST.to_uppercase().replace("SHA", "sha");
    let long = "a/".repeat(130) + "a";
    for (text, error) in [
        ("", NoImage::Name),
        (" grader", NoImage::Name),
        ("grader\n", NoImage::Name),
        ("Grader", NoImage::Name),
        ("school/Grader", NoImage::Name),
        ("School/grader", NoImage::Name),
        ("a//b", NoImage::Name),
        ("/a", NoImage::Name),
        ("a/", NoImage::Name),
        ("a..b", NoImage::Name),
        ("a___b", NoImage::Name),
        ("-a", NoImage::Name),
        ("a-", NoImage::Name),
        ("r.io./a", NoImage::Name),
        ("r.io:x/a", NoImage::Name),
        ("ré.io/a", NoImage::Name),
        ("https://r.io/a", NoImage::Name),
        ("../../a", NoImage::Name),
        ("a:", NoImage::Tag),
        ("a:-1", NoImage::Tag),
        ("a:1:2", NoImage::Tag),
        ("a:ñ", NoImage::Tag),
        ("a@", NoImage::Digest),
        ("a@sha256:0f", NoImage::Digest),
        (&format!("a@{upper}"), NoImage::Digest),
        (&format!("a@{DIGEST}@{DIGEST}"), NoImage::Digest),
        (&long, NoImage::TooLong),
    ] {
        assert_eq!(Image::read(text), Err(error), "{text}");
    }
}

#[test]
fn what_the_engine_takes_for_an_id_is_no_name() {
    let id = &DIGEST["sha256:".len()..];
    for text in [id, DIGEST] {
        assert_eq!(Image::read(text), Ok(Image::ById(id.to_owned())), "{text}");
    }
    assert_eq!(Image::read("sha256:0f"), Ok(Image::ById("0f".to_owned())));
    assert_eq!(only_as_read(id), DIGEST, "the engine would take the bare digits for a name with a tag");
    assert_eq!((only_as_read(DIGEST), only_as_read("sha256:0f")), (DIGEST.into(), "sha256:0f".into()));
    // 'ada' is a name as well as the beginning of an id: the engine is told that it is the name.
    assert_eq!(only_as_read("ada"), "ada:latest");
    for text in ["grader", "ada:1", "school/ada", "r.io/ada"] {
        assert_eq!(only_as_read(text), text);
    }
}

proptest! {
    #[test]
    fn the_one_form_is_a_spelling_of_itself(text in "([a-zA-Z.:0-9]{1,9}/)?[a-z0-9._-]{1,8}(/[a-z]{1,3})?(:[a-z0-9.]{1,4})?") {
        if let Ok(Image::Named(name)) = Image::read(&text) {
            prop_assert_eq!(Image::read(&name.to_string()), Ok(Image::Named(name)));
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,40}|[a-f0-9:@/.\\[\\]]{0,80}") {
        let _ = Image::read(&text);
        let only = only_as_read(&text);
        prop_assert!(only == text || only.contains(':'));
    }
}
