//! What surrounds the program where it is installed: its version, its image, its units, its pages.

mod archive;
mod compose;
mod context;
mod image;
mod notify;
mod pages;
mod units;
mod version;
