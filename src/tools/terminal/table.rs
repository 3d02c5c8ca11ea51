//! A table for people: columns as wide as what stands in them, on a terminal no wider than that.

use super::{Style, Terminal, fit, printable, width};

/// What a terminal that is too narrow leaves to a column that can be cut.
const NARROWEST: usize = 12;

/// Between two columns.
const GAP: usize = 2;

/// A column: its head, to which side its cells stand, and how wide it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    head: &'static str,
    to_the_right: bool,
    most: Option<usize>,
}

impl Column {
    /// A column of texts, which are shown whole.
    #[must_use]
    pub fn left(head: &'static str) -> Self {
        Self { head, to_the_right: false, most: None }
    }

    /// A column of numbers.
    #[must_use]
    pub fn right(head: &'static str) -> Self {
        Self { head, to_the_right: true, most: None }
    }

    /// Cuts what is wider than so many columns, and more where the terminal is narrow.
    #[must_use]
    pub fn at_most(self, columns: usize) -> Self {
        Self { most: Some(columns), ..self }
    }
}

/// What stands in one place of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text that stands out; it may be a stranger's.
    #[must_use]
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: printable(text.as_ref()), style }
    }

    /// Something that may not be known.
    #[must_use]
    pub fn known(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::styled("–", Style::Faint), |text| Self::styled(text, Style::Plain))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::Plain)
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of it, the heads among them; none where there are no rows.
    pub(super) fn lines(&self, on: &Terminal<'_>) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let widths = self.widths(on.columns());
        let heads = self.columns.iter().map(|column| Cell::styled(column.head, Style::Strong)).collect();
        [&heads].into_iter().chain(&self.rows).map(|row| self.line(row, &widths, on)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], on: &Terminal<'_>) -> String {
        let mut line = String::new();
        // Spaces wait until something follows them, so that no line ends with any.
        let mut spaces = 0;
        for ((cell, column), room) in row.iter().zip(&self.columns).zip(widths) {
            let text = fit(&cell.text, *room);
            let rest = room.saturating_sub(width(&text));
            let (before, after) = if column.to_the_right { (rest, 0) } else { (0, rest) };
            if text.is_empty() {
                spaces += before;
            } else {
                line.push_str(&" ".repeat(spaces + before));
                line.push_str(&on.painted(cell.style, &text));
                spaces = 0;
            }
            spaces += after + GAP;
        }
        line
    }

    /// How wide each column is. Where that is more than the terminal has, those that can be cut give way, the
    /// widest first.
    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(place));
                let widest = cells.map(|cell| width(&cell.text)).max().unwrap_or(0);
                widest.min(column.most.unwrap_or(usize::MAX)).max(width(column.head))
            })
            .collect();
        let Some(room) = columns else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > room {
            let can_be_cut = |place: &usize| {
                let column = &self.columns[*place];
                column.most.is_some() && widths[*place] > NARROWEST.max(width(column.head))
            };
            let widest = (0..widths.len()).filter(can_be_cut).max_by_key(|place| widths[*place]);
            let Some(place) = widest else { break };
            widths[place] -= 1;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new([Column::left("NAME").at_most(20), Column::right("COUNT"), Column::left("WHY")]);
        table.row(["日本".into(), "7".into(), Cell::known(None::<&str>)]);
        table.row(["a name of 22 columns..".into(), "12345678".into(), "x\u{1b}[0m\ny".into()]);
        table.row(["z".into(), "1".into(), "".into()]);
        table
    }

    fn lines(table: &Table, on: &Terminal<'_>) -> Vec<String> {
        table.lines(on)
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them_on_the_screen() {
        let expected = [
            "NAME                     COUNT  WHY",
            "日本                         7  –",
            "a name of 22 column…  12345678  x·[0m·y",
            "z                            1",
        ];
        assert_eq!(lines(&table(), &Terminal::plain(Vec::new())), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_what_can_be_cut_and_nothing_else() {
        let shown = lines(&table(), &Terminal::of_columns(Vec::new(), 33));
        assert_eq!(shown[2], "a name of 22 …  12345678  x·[0m·y", "{shown:?}");
        let shown = lines(&table(), &Terminal::of_columns(Vec::new(), 5));
        assert_eq!(shown[2], "a name of 2…  12345678  x·[0m·y", "{shown:?}");
        assert_eq!(
            shown[0],
            "\u{1b}[1mNAME\u{1b}[0m             \u{1b}[1mCOUNT\u{1b}[0m  \u{1b}[1mWHY\u{1b}[0m"
        );
    }

    #[test]
    fn colour_takes_no_room() {
        let mut table = Table::new([Column::left("A"), Column::left("B")]);
        table.row([Cell::styled("red", Style::Bad), "x".into()]);
        assert_eq!(lines(&table, &Terminal::of_columns(Vec::new(), 80))[1], "\u{1b}[1;31mred\u{1b}[0m  x");
    }

    #[test]
    fn a_table_without_rows_has_no_heads() {
        assert!(lines(&Table::new([Column::left("A")]), &Terminal::plain(Vec::new())).is_empty());
    }
}
