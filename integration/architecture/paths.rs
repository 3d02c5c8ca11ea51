//! Finds the paths in Rust source that lead to modules of the crate's root: `crate::…` and `super::…`,
//! alone or in groups, in imports and in code, but not in comments and strings.

/// A piece of Rust that matters here, with its line.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Word(String),
    /// `::`
    Into,
    Other(char),
}

/// The names of the root's modules that a file refers to, each with its line. `module` is the file's
/// own path, which `super` is relative to. Importing the whole root comes out as a name that no
/// module can have and that is never allowed.
pub fn imported_modules(module: &[String], text: &str) -> Vec<(usize, String)> {
    let pieces = pieces(text);
    let mut found = Vec::new();
    // How deep in braces we are, and at which depths an inline module began.
    let mut depth = 0_usize;
    let mut inline: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some((line, piece)) = pieces.get(at) {
        let line = *line;
        match piece {
            Piece::Other('{') => depth += 1,
            Piece::Other('}') => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            Piece::Word(word) if word == "mod" => {
                if matches!(pieces.get(at + 2), Some((_, Piece::Other('{')))) {
                    inline.push(depth);
                }
            }
            Piece::Word(word) if word == "crate" || word == "super" => {
                let (levels, after) = climbed(&pieces, at, module.len() + inline.len());
                at = after;
                if levels == 0 {
                    if matches!(pieces.get(at), Some((_, Piece::Into))) {
                        found.extend(first_names(&pieces, at + 1));
                    } else if matches!(pieces.get(at), Some((_, Piece::Word(word))) if word == "as") {
                        found.push((line, WHOLE_ROOT.to_owned()));
                    }
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Stands for the whole root, imported with `*` or under another name.
pub const WHOLE_ROOT: &str = "*";

/// Follows `crate` or `super::super…` from a piece: how many levels below the root that is, and the
/// piece that comes after.
fn climbed(pieces: &[(usize, Piece)], start: usize, depth: usize) -> (usize, usize) {
    let is =
        |at: usize, wanted: &str| matches!(pieces.get(at), Some((_, Piece::Word(word))) if word == wanted);
    if is(start, "crate") {
        return (0, start + 1);
    }
    let (mut levels, mut at) = (depth.saturating_sub(1), start + 1);
    while matches!(pieces.get(at), Some((_, Piece::Into))) && is(at + 1, "super") {
        levels = levels.saturating_sub(1);
        at += 2;
    }
    (levels, at)
}

/// The first names of what follows a `::`: one name, or one for each member of a group.
fn first_names(pieces: &[(usize, Piece)], start: usize) -> Vec<(usize, String)> {
    match pieces.get(start) {
        Some((line, Piece::Word(word))) => vec![(*line, word.clone())],
        Some((line, Piece::Other('*'))) => vec![(*line, WHOLE_ROOT.to_owned())],
        Some((_, Piece::Other('{'))) => {
            let (mut names, mut depth, mut expecting) = (Vec::new(), 0, true);
            for (line, piece) in &pieces[start + 1..] {
                match piece {
                    Piece::Other('{') => depth += 1,
                    Piece::Other('}') if depth == 0 => break,
                    Piece::Other('}') => depth -= 1,
                    Piece::Other(',') if depth == 0 => expecting = true,
                    Piece::Word(word) if expecting => {
                        // `{self}` of the root is the root; a name of its own is needed to use it.
                        let name = if word == "self" { WHOLE_ROOT } else { word };
                        names.push((*line, name.to_owned()));
                        expecting = false;
                    }
                    Piece::Other('*') if expecting => names.push((*line, WHOLE_ROOT.to_owned())),
                    _ => {}
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

/// Cuts source into words, `::` and single characters, leaving out comments, strings and white space.
fn pieces(text: &str) -> Vec<(usize, Piece)> {
    let bytes: Vec<char> = text.chars().collect();
    let (mut pieces, mut line, mut at) = (Vec::new(), 1, 0);
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            ('/', Some('/')) => end_of_line(&bytes, at),
            ('/', Some('*')) => end_of_comment(&bytes, at),
            ('"', _) => end_of_string(&bytes, at),
            ('\'', _) => end_of_quote(&bytes, at),
            (':', Some(':')) => {
                pieces.push((line, Piece::Into));
                at + 2
            }
            (first, _) if first.is_alphabetic() || first == '_' => {
                let end = (at..bytes.len())
                    .find(|&next| !bytes[next].is_alphanumeric() && bytes[next] != '_')
                    .unwrap_or(bytes.len());
                let word: String = bytes[at..end].iter().collect();
                if let Some(end) = raw_string_end(&bytes, &word, end) {
                    end
                } else {
                    pieces.push((line, Piece::Word(word)));
                    end
                }
            }
            (other, _) => {
                if !other.is_whitespace() {
                    pieces.push((line, Piece::Other(other)));
                }
                at + 1
            }
        };
        line += bytes[at..end].iter().filter(|&&character| character == '\n').count();
        at = end;
    }
    pieces
}

fn end_of_line(text: &[char], start: usize) -> usize {
    (start..text.len()).find(|&at| text[at] == '\n').unwrap_or(text.len())
}

/// Block comments nest in Rust.
fn end_of_comment(text: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

fn end_of_string(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A character (`'x'`, `'\n'`, `'"'`) is skipped whole; of a lifetime only the quote.
fn end_of_quote(text: &[char], start: usize) -> usize {
    match (text.get(start + 1), text.get(start + 2)) {
        (Some('\\'), _) => {
            (start + 3..text.len()).find(|&at| text[at] == '\'').map_or(text.len(), |at| at + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start + 1,
    }
}

/// Where a raw string ends whose prefix (`r`, `br`, `cr`) is the word that ends at `after`; nothing
/// where that word is no such prefix.
fn raw_string_end(text: &[char], word: &str, after: usize) -> Option<usize> {
    if !matches!(word, "r" | "br" | "cr") {
        return None;
    }
    let hashes = text[after..].iter().take_while(|&&character| character == '#').count();
    if text.get(after + hashes) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        text[at] == '"' && text[at + 1..].iter().take_while(|&&character| character == '#').count() >= hashes
    };
    let end = (after + hashes + 1..text.len()).find(|&at| closes(at));
    Some(end.map_or(text.len(), |at| at + 1 + hashes))
}
