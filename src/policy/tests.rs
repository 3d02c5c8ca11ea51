//! Policy files as they are written.
