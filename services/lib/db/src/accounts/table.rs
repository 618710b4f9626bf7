//! The tables of a service that have rows of accounts, as data: what an export reads and an erasure deletes.

/// A table whose rows are found by an index that begins with `account_id`.
#[derive(Clone, Copy, Debug)]
pub struct AccountTable {
    /// Its name.
    pub name: &'static str,
    /// The columns of such an index after the account, which together are unique within the account. Empty: an account has one row.
    pub order: &'static [&'static str],
    /// A condition for the rows that are erased, in SQL of both databases. Empty: all are.
    pub erased_if: &'static str,
    /// Tables whose rows are found by those of this one, which has the column `id`.
    pub children: &'static [ChildTable],
    /// Whether an export has its rows. Not those that are made from others, and no secrets.
    pub is_exported: bool,
    /// Columns that an export leaves out: secrets. None of `order`.
    pub hidden: &'static [&'static str],
}

/// A table whose rows are found by an index that begins with the id of a row of another table. It has `account_id` too.
#[derive(Clone, Copy, Debug)]
pub struct ChildTable {
    /// Its name.
    pub name: &'static str,
    /// The column with the id of the other table's row.
    pub parent: &'static str,
    /// The columns of such an index after it, which together are unique for one id. Empty: an id has one row.
    pub order: &'static [&'static str],
    /// Whether an export has its rows.
    pub is_exported: bool,
}

impl AccountTable {
    /// A table that is exported and erased.
    pub const fn new(name: &'static str, order: &'static [&'static str]) -> Self {
        Self { name, order, erased_if: "", children: &[], is_exported: true, hidden: &[] }
    }

    /// With these tables, whose rows are deleted before its own.
    pub const fn with(self, children: &'static [ChildTable]) -> Self {
        Self { children, ..self }
    }

    /// Not exported.
    pub const fn not_exported(self) -> Self {
        Self { is_exported: false, ..self }
    }

    /// Exported without these columns.
    pub const fn without(self, hidden: &'static [&'static str]) -> Self {
        Self { hidden, ..self }
    }

    /// Only rows for which the condition holds are erased.
    pub const fn erased_if(self, condition: &'static str) -> Self {
        Self { erased_if: condition, ..self }
    }

    /// Its name and those of its children.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.children.iter().map(|child| child.name))
    }
}

impl ChildTable {
    /// A table that is exported and erased.
    pub const fn new(name: &'static str, parent: &'static str, order: &'static [&'static str]) -> Self {
        Self { name, parent, order, is_exported: true }
    }

    /// Not exported.
    pub const fn not_exported(self) -> Self {
        Self { is_exported: false, ..self }
    }
}
