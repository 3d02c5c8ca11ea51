//! Capturing: exact while everything fits, bounded when it does not, the same for every chunking.

use proptest::prelude::*;

use super::*;

const BLOCK: &str = "-----BEGIN CORRECTOMATIC RESPONSE-----\n{\"success\":false,\"error\":\"x\"}\n-----END CORRECTOMATIC RESPONSE-----\n";

fn captured(limit: u64, stdout: &[u8], stderr: &[u8]) -> Output {
    let mut capture = Capture::new(limit);
    capture.stdout(stdout);
    capture.stderr(stderr);
    capture.finish()
}

#[test]
fn what_fits_is_kept_whole() {
    let output = captured(10, b"12345", b"67890");
    assert_eq!((output.stdout(), output.stderr()), (Some(&b"12345"[..]), Some(&b"67890"[..])));
    assert_eq!(output.both().as_deref(), Some(&b"1234567890"[..]));
    assert!(!output.was_cut());
}

#[test]
fn a_flood_of_one_stream_leaves_the_other_whole() {
    let output = captured(10, &[b'x'; 100], b"err");
    assert!(output.was_cut());
    assert_eq!((output.stdout(), output.stderr()), (None, Some(&b"err"[..])));
    assert_eq!(output.total(), 103);
}

#[test]
fn a_block_survives_a_flood_wherever_it_stood() {
    let noise = "noise - noise\n".repeat(10_000);
    for (stdout, stderr) in [
        (format!("{BLOCK}{noise}"), String::new()),
        (format!("{noise}{BLOCK}{noise}"), String::new()),
        (format!("{noise}{BLOCK}"), noise.clone()),
        (noise.clone(), format!("{noise}{BLOCK}{noise}")),
    ] {
        let blocks = captured(1000, stdout.as_bytes(), stderr.as_bytes()).blocks_of_both();
        assert_eq!(blocks.first, Some(Block::Whole(br#"{"success":false,"error":"x"}"#.to_vec())));
        assert_eq!(blocks.count, 1);
    }
}

#[test]
fn the_memory_of_a_flood_is_bounded() {
    let mut capture = Capture::new(10_000);
    for _ in 0..1000 {
        capture.stdout(&[b'x'; 1000]);
        capture.stderr(&[b'\n'; 1000]);
        let kept = capture.stdout.kept() + capture.stderr.kept();
        assert!(kept <= 10_000, "{kept}");
    }
}

proptest! {
    #[test]
    fn chunks_and_their_order_make_no_difference(
        pieces in prop::collection::vec((any::<bool>(), prop_oneof![
            Just(BLOCK.to_owned()), Just("-BEGIN CORRECTOMATIC RESPONSE-\r\n".to_owned()), ".{0,20}", "[-\n]{0,40}",
        ]), 0..12),
        limit in 0_u64..400, size in 1_usize..30,
    ) {
        let stream = |wanted: bool| -> Vec<u8> {
            let of_it = pieces.iter().filter(|(stdout, _)| *stdout == wanted);
            of_it.flat_map(|(_, text)| text.bytes()).collect()
        };
        let expected = captured(limit, &stream(true), &stream(false));
        let mut capture = Capture::new(limit);
        for (stdout, text) in &pieces {
            for chunk in text.as_bytes().chunks(size) {
                if *stdout { capture.stdout(chunk) } else { capture.stderr(chunk) }
            }
        }
        let output = capture.finish();
        prop_assert_eq!(&output, &expected);
        prop_assert_eq!(output.was_cut(), output.total() > limit);
        let kept = output.stdout.kept() + output.stderr.kept();
        prop_assert_eq!(kept as u64, output.total().min(limit));
    }
}
