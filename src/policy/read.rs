//! A policy file is read: TOML in, rules out, with everything that is wrong told at once.
//!
//! It is walked by hand and not by serde, so that each fault has its place and none hides the others.

use std::collections::HashMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::change::{self, Change, KEYS, in_order};
use super::fault::{Faults, FaultyPolicy};
use super::pattern::Pattern;
use super::{Bases, List, Rule};
use crate::profile::RuleName;

/// The keys that only a rule has.
const OF_RULES: [&str; 3] = ["name", "images", "allow"];
/// How long a rule's name may be.
const LONGEST_NAME: usize = 64;

/// Reads the text of a policy file.
pub fn list(text: &str, file: &Path, bases: &Bases) -> Result<List, FaultyPolicy> {
    let mut faults = Faults::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(error.span().unwrap_or(0..0), format!("this is no TOML: {}", error.message()));
    }
    // What is left of a broken text would only be told wrong things about.
    let rules = if errors.is_empty() { rules(document.get_ref(), bases, &mut faults) } else { Vec::new() };
    let faults = faults.found();
    if faults.is_empty() {
        Ok(List { file: file.to_owned(), rules })
    } else {
        Err(FaultyPolicy { file: file.to_owned(), faults })
    }
}

fn rules(document: &DeTable<'_>, bases: &Bases, faults: &mut Faults<'_>) -> Vec<Rule> {
    let (mut defaults, mut tables) = (Vec::new(), None);
    for (key, value) in in_order(document) {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => defaults = changes(table, &[], faults),
            ("defaults", _) => faults.value("defaults", value, "a table: [defaults]"),
            ("rule", DeValue::Array(array)) => tables = Some(array),
            ("rule", _) => faults.value("rule", value, "a list of tables: [[rule]], with two brackets"),
            (other, _) => {
                faults.add(key.span(), format!("there is no {other:?} here; allowed: [defaults], [[rule]]"));
            }
        }
    }
    let Some(tables) = tables.filter(|tables| !tables.is_empty()) else {
        if faults.is_empty() {
            faults.add(
                0..0,
                "there is no [[rule]], so that no image might run; to allow every image write one with \
                 images = \"**\"",
            );
        }
        return Vec::new();
    };
    let mut rules = Vec::new();
    let mut named = HashMap::new();
    for value in tables {
        let DeValue::Table(table) = value.get_ref() else {
            faults.value("rule", value, "tables: [[rule]]");
            continue;
        };
        let Some(rule) = rule(table, value, &defaults, bases, faults) else { continue };
        if let Some(line) = named.insert(rule.name.clone(), rule.line) {
            let at = table.get("name").map_or(value.span(), Spanned::span);
            faults.add(
                at,
                format!(
                    "the rule of line {line} is called {:?} too; give each a name of its own",
                    rule.name.as_str()
                ),
            );
        }
        rules.push(rule);
    }
    rules
}

fn rule(
    table: &DeTable<'_>,
    whole: &Spanned<DeValue<'_>>,
    defaults: &[Change],
    bases: &Bases,
    faults: &mut Faults<'_>,
) -> Option<Rule> {
    let changes = changes(table, &OF_RULES, faults);
    let line = faults.line(whole.span().start);
    let patterns = if let Some(images) = table.get("images") {
        patterns(images, faults)
    } else {
        faults.add(whole.span(), "the rule has no key images, which says what images it is about");
        None
    };
    let allow = match table.get("allow").map(|value| (value, value.get_ref())) {
        None => true,
        Some((_, DeValue::Boolean(allow))) => *allow,
        Some((value, _)) => {
            faults.value("allow", value, "true or false");
            true
        }
    };
    let name = match table.get("name") {
        Some(value) => name(value, faults),
        None => patterns.as_ref().and_then(|patterns| Some(RuleName::new(patterns.first()?.as_str()))),
    };
    let hardened = |changes: &[Change]| changes.iter().filter_map(Change::hardened).next_back();
    let mut profile = bases.of(hardened(&changes).or_else(|| hardened(defaults))).clone();
    defaults.iter().chain(&changes).for_each(|change| change.apply(&mut profile));
    let (name, patterns) = (name?, patterns?);
    profile.rule = name.clone();
    Some(Rule { name, line, patterns, profile: allow.then(|| profile.completed()) })
}

/// What the keys of a table change; those in `others` are read elsewhere.
fn changes(table: &DeTable<'_>, others: &[&str], faults: &mut Faults<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, value) in in_order(table) {
        let name = key.get_ref().as_ref();
        if KEYS.contains(&name) {
            changes.extend(change::read(name, value, faults));
        } else if !others.contains(&name) {
            let allowed = others.iter().chain(&KEYS).copied().collect::<Vec<_>>().join(", ");
            faults.add(key.span(), format!("there is no {name:?} here; allowed: {allowed}"));
        }
    }
    changes
}

fn name(value: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> Option<RuleName> {
    let name = value.get_ref().as_str().map(str::trim).filter(|name| {
        !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control)
    });
    if name.is_none() {
        faults.value("name", value, &format!("a text of up to {LONGEST_NAME} characters"));
    }
    name.map(RuleName::new)
}

fn patterns(value: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> Option<Vec<Pattern>> {
    let texts = texts(value, "a pattern of images, or a list of them", faults)?;
    if texts.is_empty() {
        faults.value("images", value, "at least one pattern");
        return None;
    }
    let mut patterns = Vec::new();
    for (text, place) in &texts {
        match Pattern::read(text.trim()) {
            Ok(pattern) => patterns.push(pattern),
            Err(allowed) => faults.value("images", place, &allowed),
        }
    }
    (patterns.len() == texts.len()).then_some(patterns)
}

type Placed<'t, 'i> = (String, &'t Spanned<DeValue<'i>>);

/// A text, or a list of texts, each with its place.
pub fn texts<'t, 'i>(
    value: &'t Spanned<DeValue<'i>>,
    allowed: &str,
    faults: &mut Faults<'_>,
) -> Option<Vec<Placed<'t, 'i>>> {
    let values: Vec<&Spanned<DeValue<'i>>> = match value.get_ref() {
        DeValue::Array(array) => array.iter().collect(),
        _ => vec![value],
    };
    let mut texts = Vec::new();
    for value in &values {
        match value.get_ref().as_str() {
            Some(text) => texts.push((text.to_owned(), *value)),
            None => faults.value("what stands here", value, allowed),
        }
    }
    (texts.len() == values.len()).then_some(texts)
}
