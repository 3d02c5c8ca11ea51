//! Corrections by the image of their grader, whose name is a stranger's.
//!
//! A name costs a few hundred bytes here and a series for each outcome in every database that scrapes. So there are
//! [`MOST_IMAGES`] of them, first come first served, and all further ones are `other`; and of those places only
//! [`MOST_UNSTARTED`] are for names under which nothing was ever started: anybody can make up names.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::kinds::{Counter, Family, Series};
use super::labels::{Ending, Label};
use super::page::{Kind, LabelOf, Lines};

/// How many images have a name of their own.
pub const MOST_IMAGES: usize = 50;
/// How many of them may be such as never ran.
const MOST_UNSTARTED: usize = 10;
/// A name that is longer is `other`.
const LONGEST: usize = 200;

/// What stands in the place of a name.
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// An image as it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageLabel {
    /// It is not known: the job is of the original's starter, or cannot be read.
    #[default]
    Unknown,
    /// It has no name of its own.
    Other,
    /// It has this place.
    Named(u8),
}

/// Corrections by image and by how they ended.
#[derive(Debug)]
pub struct Corrections {
    known: RwLock<Known>,
    named: Box<[Family<Ending, Counter>]>,
    other: Family<Ending, Counter>,
    unknown: Family<Ending, Counter>,
}

#[derive(Debug, Default)]
struct Known {
    places: HashMap<Box<str>, u8>,
    unstarted: usize,
}

impl Default for Corrections {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            named: (0..MOST_IMAGES).map(|_| Family::default()).collect(),
            other: Family::default(),
            unknown: Family::default(),
        }
    }
}

impl Corrections {
    /// The label of an image; `ran` = a container of it was started.
    #[must_use]
    pub fn label(&self, image: &str, ran: bool) -> ImageLabel {
        // An image may have the name of either: no sample may be there twice.
        if image.is_empty() || image.len() > LONGEST || [OTHER, UNKNOWN].contains(&image) {
            return ImageLabel::Other;
        }
        let place = self.known.read().unwrap_or_else(PoisonError::into_inner).places.get(image).copied();
        if let Some(place) = place {
            return ImageLabel::Named(place);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.places.get(image) {
            return ImageLabel::Named(*place);
        }
        let is_full = known.places.len() >= MOST_IMAGES || !ran && known.unstarted >= MOST_UNSTARTED;
        let Some(place) = u8::try_from(known.places.len()).ok().filter(|_| !is_full) else {
            return ImageLabel::Other;
        };
        known.unstarted += usize::from(!ran);
        known.places.insert(image.into(), place);
        ImageLabel::Named(place)
    }

    /// A correction ended.
    pub fn ended(&self, image: ImageLabel, ending: Ending) {
        self.of(image).of(ending).one();
    }

    fn of(&self, image: ImageLabel) -> &Family<Ending, Counter> {
        match image {
            ImageLabel::Unknown => &self.unknown,
            ImageLabel::Other => &self.other,
            ImageLabel::Named(place) => self.named.get(usize::from(place)).unwrap_or(&self.other),
        }
    }
}

impl Series for Corrections {
    const KIND: Kind = Kind::Counter;

    fn labels() -> Vec<LabelOf> {
        [LabelOf { name: "image", values: Vec::new() }]
            .into_iter()
            .chain(Family::<Ending, Counter>::labels())
            .collect()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        let mut named: Vec<_> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.places.iter().map(|(name, place)| (name.clone(), ImageLabel::Named(*place))).collect()
        };
        named.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (name, label) in named {
            lines.with("image", &name, |lines| self.of(label).write(lines));
        }
        for (name, family) in [(OTHER, &self.other), (UNKNOWN, &self.unknown)] {
            if Ending::all().iter().any(|ending| family.of(*ending).count() > 0) {
                lines.with("image", name, |lines| family.write(lines));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(corrections: &Corrections) -> usize {
        corrections.known.read().unwrap().places.len()
    }

    #[test]
    fn names_that_never_ran_take_a_few_places_only_and_there_is_an_end_to_all() {
        let corrections = Corrections::default();
        for number in 0..1000 {
            corrections.ended(corrections.label(&format!("made-up-{number}"), false), Ending(None));
        }
        assert_eq!(named(&corrections), MOST_UNSTARTED);
        assert_eq!(corrections.label("made-up-0", false), ImageLabel::Named(0));
        assert_eq!(corrections.label("made-up-999", false), ImageLabel::Other);
        assert_eq!(corrections.other.of(Ending(None)).count(), 1000 - MOST_UNSTARTED as u64);
        for number in 0..1000 {
            let _ = corrections.label(&format!("grader-{number}"), true);
        }
        assert_eq!(named(&corrections), MOST_IMAGES);
        assert_eq!(corrections.label("grader-0", false), ImageLabel::Named(10), "known is known");
        assert_eq!(corrections.label("grader-999", true), ImageLabel::Other);
    }

    #[test]
    fn a_name_that_is_too_long_or_none_or_a_word_of_ours_is_other() {
        let corrections = Corrections::default();
        assert_eq!(corrections.label(&"a".repeat(LONGEST + 1), true), ImageLabel::Other);
        for name in ["", "other", "unknown"] {
            assert_eq!(corrections.label(name, true), ImageLabel::Other, "{name}");
        }
        assert_eq!(named(&corrections), 0);
    }
}
