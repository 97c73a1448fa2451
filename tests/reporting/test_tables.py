"""Numbers as they are printed."""

from bayesspec.reporting.tables import selection_table


def test_several_ratios_stand_under_each_other(clusters):
    data = clusters.data.drop_dims("line").assign(
        intensity_draws=(("draw", "phase", "line"), [[[0.8, 0.1, 0.2], [0.1, 0.1, 0.5]]])
    )
    seg = type(clusters)(data.assign_coords(line=["Fe_Ka", "O_Ka", "Si_Ka"]))
    table = seg.table("O_Ka")
    assert table.columns == ("", "phase 0", "phase 1")
    assert [row[0] for row in table.rows] == ["area (%)", "Fe_Ka/O_Ka", "Si_Ka/O_Ka"]
    assert table.rows[1][1].startswith("8\n")
    assert "8 [–]" in table.to_text()


def test_the_choice_is_a_table_only_where_there_was_one(seg, clusters):
    assert selection_table(clusters) is None
    table = selection_table(seg)
    assert table is not None
    assert table.rows[1] == ("2", "0.0", "0.0", "0.0", "chosen")
