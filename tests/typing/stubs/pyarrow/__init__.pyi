# pyarrow ships no types. This much stands for any stubs a user may have installed, so that "a DuckDB relation comes back as a
# pyarrow Table" can be checked.
class Table:
    @property
    def num_rows(self) -> int: ...
