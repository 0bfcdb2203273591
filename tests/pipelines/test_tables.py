"""Tables of records."""

from pathlib import Path

import pyarrow.parquet as pq

from pipelines.commonsense.records import Triple
from pipelines.tables import TableWriter, read_table


def test_a_column_may_have_a_name_that_is_none_in_python(tmp_path: Path) -> None:
    row = Triple("1", "PersonX naps", "xNeed", "a bed", "…", 0.5, True, True, None, None, None, "train", "t", None, "g")
    with TableWriter(tmp_path / "triples.parquet", Triple) as table:
        table.write(row)
    columns = pq.read_schema(tmp_path / "triples.parquet").names
    assert [name for name in columns if name.startswith("rec")] == [f"rec_0.{n}" for n in range(5, 10)]
    assert list(read_table(tmp_path / "triples.parquet", Triple)) == [row]
