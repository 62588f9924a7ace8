"""The kinds of issue texts that the first version misread, each under its name: read, or refused with the way out."""

from pathlib import Path

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Issue, Profile, SetConstant, Spec
from agent.spec import parser, script
from agent.store import tracks

ROOT = Path(__file__).parents[2]
TRACK = tracks.load(ROOT, "main")
CONSTANTS = script.constants((ROOT / "train.py").read_text(), "train.py")
TABLE = (
    "| ID | DEPTH | ASPECT_RATIO |\n|---|---|---|\n"
    "| 1A | 6 | 128 |\n| 1B | 12 | 32 |\n| 1C | 10 | 64 |\n| 1D | 8 | 96 |\n"
)


def read(body: str, profile: Profile = "mini") -> Spec:
    issue = Issue(7, "a title", body, ("experiment",), source="i.md")
    return parser.parse(issue, TRACK, CONSTANTS, profile)


def refused(body: str) -> str:
    with pytest.raises(BadInput) as caught:
        read(body)
    return str(caught.value)


def sets(spec: Spec) -> dict[str, dict[str, object]]:
    return {v.name: {e.name: e.value for e in v.edits if isinstance(e, SetConstant)} for v in spec.variants}


def execution(text: str) -> str:
    return f"{TABLE}\n## Execution\n\n{text}\n"


def test_column_dropped_entries_of_the_profile_go_by_their_own_name() -> None:
    spec = read("| ID | DEPTH | matrix_rate |\n|-|-|-|\n| A | 10 | 0.02 |")
    assert sets(spec) == {"A": {"DEPTH": 10, "TUNED.mini.matrix_lr": 0.02}}
    assert sets(read("| ID | matrix_lr |\n|-|-|\n| A | 0.02 |", "full")) == {"A": {"TUNED.full.matrix_lr": 0.02}}


def test_column_dropped_what_the_script_lacks_is_refused_by_name() -> None:
    error = refused("| ID | DEPTH | matrix_rate | n_kv_head | Seed |\n|-|-|-|-|-|\n| A | 10 | 0.02 | 1 | 42 |")
    assert "column n_kv_head: train.py has no constant n_kv_head" in error
    assert "describe: [n_kv_head]" in error


@pytest.mark.parametrize(
    "header", ["DEPTH (layers)", "DEPTH:", "`DEPTH`", "Depth[^1]", "depth", "layers", "n_layer", "**DEPTH**"]
)
def test_column_dropped_a_name_counts_in_its_normal_form(header: str) -> None:
    assert sets(read(f"| ID | {header} |\n|-|-|\n| A | 10 |")) == {"A": {"DEPTH": 10}}


@pytest.mark.parametrize(
    ("header", "cell", "name", "value"),
    [
        ("window_pattern", "SSL", "TUNED.mini.window_pattern", "SSL"),
        ("Learning rate", "0.02", "TUNED.mini.matrix_lr", 0.02),
        ("WINDOW_PATTERN", "SSL", "TUNED.mini.window_pattern", "SSL"),
        ("MATRIX_LR", "0.02", "TUNED.mini.matrix_lr", 0.02),
        ("EMBEDDING_LR", "0.3", "TUNED.mini.embed_lr", 0.3),
        ("TOTAL_BATCH_SIZE", "2**12", "TUNED.mini.total_batch", 4096),
        ("HEAD_RATE", "0.01", "HEAD_LR", 0.01),
        ("TUNED.full.matrix_lr", "0.02", "TUNED.full.matrix_lr", 0.02),
    ],
)
def test_upstreams_names_and_what_people_say_are_aliases(header: str, cell: str, name: str, value: object) -> None:
    assert sets(read(f"| ID | {header} |\n|-|-|\n| A | {cell} |")) == {"A": {name: value}}


def test_a_unit_in_brackets_that_names_another_constant_is_no_unit() -> None:
    assert "may be TUNED.mini.matrix_lr or" in refused("| ID | Learning rate (head) |\n|-|-|\n| A | 0.02 |")


@pytest.mark.parametrize("header", ["GPU", "VRAM", "ETA", "VRAM (GB)", "Expected effect", "Owner", "Est. cost"])
def test_column_refused_what_describes_sets_nothing(header: str) -> None:
    assert sets(read(f"| ID | DEPTH | {header} |\n|-|-|-|\n| A | 10 | 80 |\n| B | 12 | 40 |")) == {
        "A": {"DEPTH": 10},
        "B": {"DEPTH": 12},
    }


def test_an_unknown_column_with_values_is_refused_and_described_on_demand() -> None:
    body = "| ID | DEPTH | Activation |\n|-|-|-|\n| A | 10 | SwiGLU |\n| B | 12 | GELU |"
    assert "describe: [Activation]" in refused(body)
    assert sets(read(f"{body}\n\n```yaml\n# autoresearch\ndescribe: [Activation]\n```")) == {
        "A": {"DEPTH": 10},
        "B": {"DEPTH": 12},
    }


def test_false_reason() -> None:
    assert "train.py has no constant n_kv_head" in refused("| ID | n_kv_head | DEPTH |\n|-|-|-|\n| 6A | 1 | 8 |")


def test_wrong_table() -> None:
    past = (
        "## Background\n\n| ID | DEPTH | ASPECT_RATIO | val_bpb |\n|-|-|-|-|\n"
        "| 1A | 6 | 128 | 1.01 |\n| 1D | 8 | 96 | 1.02 |\n\n"
    )
    spec = read(f"{past}## Experiments\n\n| ID | DEPTH | ASPECT_RATIO |\n|-|-|-|\n| 2A | 10 | 64 |\n| 2B | 12 | 64 |")
    assert spec.order == ("2A", "2B")
    assert any("it has results" in one.means for one in spec.read_as)


PHASES = (
    "## Experiments\n\n### Phase 1\n\n| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n| 1B | 10 |\n\n"
    "### Phase 2\n\n| ID | HEAD_RATE |\n|-|-|\n| 2A | 0.01 |\n| 2B | 0.02 |\n"
)


def test_table_dropped() -> None:
    assert read(PHASES).order == ("1A", "1B", "2A", "2B")
    assert read(f"{PHASES}\n```yaml\n# autoresearch\ntable: 2\n```").order == ("2A", "2B")
    assert read(f"{PHASES}\n```yaml\n# autoresearch\ntable: Phase 1\n```").order == ("1A", "1B")


def test_table_split() -> None:
    spec = read(
        "| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n| 1B | 10 |\n\nand\n\n| ID | HEAD_LR |\n|-|-|\n| 1A | 0.01 |\n| 1B | 0.02 |"
    )
    assert sets(spec) == {"1A": {"DEPTH": 6, "HEAD_LR": 0.01}, "1B": {"DEPTH": 10, "HEAD_LR": 0.02}}


@pytest.mark.parametrize("between", ["\n", "\n\n", "<!-- later -->\n", "\n<!-- later\nor never -->\n\n"])
def test_rows_lost(between: str) -> None:
    assert read(f"| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n{between}| 1B | 10 |").order == ("1A", "1B")


HTML = (
    "<table>\n<tr><th>ID</th><th>DEPTH</th></tr>\n<tr><td>1A</td><td>6</td></tr>\n"
    "<tr><td>1B</td><td>10</td></tr>\n</table>"
)


@pytest.mark.parametrize(
    "table",
    [
        HTML,
        "ID\tDEPTH\n1A\t6\n1B\t10",
        "| ID | DEPTH |\n| 1A | 6 |\n| 1B | 10 |",
        "| ID | DEPTH |\n|====|=======|\n| 1A | 6 |\n| 1B | 10 |",
        "| ID | DEPTH |\n|---|---|\n| 1A | 6 |\n| 1B | 10 |".replace("|", "\uff5c"),
        "+----+-------+\n| ID | DEPTH |\n+====+=======+\n| 1A | 6 |\n+----+-------+\n| 1B | 10 |\n+----+-------+",
        "┌────┬───────┐\n│ ID │ DEPTH │\n├────┼───────┤\n│ 1A │ 6     │\n│ 1B │ 10    │\n└────┴───────┘",
        "> | ID | DEPTH |\n> | 1A | 6 |\n>\n> | 1B | 10 |",
        "- | ID | DEPTH |\n  |---|---|\n  | 1A | 6 |\n\n  | 1B | 10 |",
        f"<details>\n<summary>s</summary>\n\n{HTML}\n\n</details>",
    ],
)
def test_no_ruler(table: str) -> None:
    spec = read(f"Try these.\n\n{table}\n\nThat is all.")
    assert sets(spec) == {"1A": {"DEPTH": 6}, "1B": {"DEPTH": 10}}


@pytest.mark.parametrize(
    "table",
    [
        "ID, DEPTH\n1A, 6\n1B, 10",
        "```\n| ID | DEPTH |\n|---|---|\n| 1A | 6 |\n```",
        "```csv\nID,DEPTH\n1A,6\n```",
        "ID   DEPTH\n1A   6",
        "<table><tr><th>ID</th><th>DEPTH</th></tr><tr><td rowspan=2>1A</td><td>6</td></tr></table>",
        "| DEPTH | ASPECT_RATIO |\n|---|---|\n| 6 | 128 |",
        "a | b\n--- | ---\nc | d",
    ],
)
def test_anything_like_a_table_is_no_bill(table: str) -> None:
    assert "i.md:" in refused(f"Try these.\n\n{table}\n\nThat is all.")


@pytest.mark.parametrize("text", ["A single run takes 2 minutes to compile.", "Each run has 500 steps of warmup."])
def test_budget_guessed_of_a_part_of_a_run(text: str) -> None:
    assert read(execution(text)).budget is None


def test_budget_guessed_of_a_total() -> None:
    assert "budget:" in refused(execution("Budget: 20 min (4 runs x 5 min)"))


@pytest.mark.parametrize(
    "text", ["Each run: 2 minutes", "Use 2-minute runs.", "Each variant is trained for 2 minutes."]
)
def test_budget_missed(text: str) -> None:
    assert read(execution(text)).budget == Budget("seconds", 120)


@pytest.mark.parametrize(
    "text",
    [
        "Give every run two minutes or so.",
        "We can afford 2 minutes a pop for each run.",
        "Runs should not exceed 2 minutes.",
        "1,5 minutes a run",
    ],
)
def test_what_may_be_a_budget_is_refused_with_the_key(text: str) -> None:
    assert "budget" in refused(f"{TABLE}\n{text}\n")
    assert read(f"{TABLE}\n{text}\n\n```yaml\n# autoresearch\nbudget: 2 minutes\n```").budget == Budget("seconds", 120)


@pytest.mark.parametrize(
    "text",
    [
        "Don\u2019t run 1B.",
        "Leave out 1B.",
        "1B has already been run.",
        "Skip 1B.",
        "Leave 1B out.",
        "Omit 1B",
        "Run all but 1B.",
        "1B is skipped.",
        "Run all variants except 1B.",
    ],
)
def test_exclusion_missed(text: str) -> None:
    spec = read(execution(text))
    assert spec.order == ("1A", "1C", "1D")
    assert "i.md:10" in spec.skipped["1B"]
    assert read(f"{TABLE}\n{text}\n").order == ("1A", "1C", "1D")


def test_only_said_twice_is_refused_unless_it_is_the_same() -> None:
    assert read(execution("Only run 1A. Only run 1A.")).order == ("1A",)
    assert "two sentences say what alone runs" in refused(execution("Only run 1A. Only run 1C."))


def test_a_column_that_is_described_and_not_there_is_refused() -> None:
    block = "```yaml\n# autoresearch\ndescribe: [Activaton]\n```"
    body = f"| ID | DEPTH | Activation |\n|-|-|-|\n| A | 10 | SwiGLU |\n\n{block}"
    assert "describe: 'Activaton' is no column" in refused(body)


@pytest.mark.parametrize("text", ["Only run 1A and 1C.", "Run only 1A and 1C.", "Run 1A and 1C only."])
def test_only(text: str) -> None:
    spec = read(execution(text))
    assert spec.order == ("1A", "1C")
    assert spec.skipped.keys() == {"1B", "1D"}


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Run 1A (3 heads is very few) last.", "1B 1C 1D 1A"),
        ("Before 1A, run 1D.", "1D 1A 1B 1C"),
        ("Run 1A after 1C.", "1B 1C 1A 1D"),
        ("Run 1D before 1B", "1A 1D 1B 1C"),
        ("Run 1A-1D sequentially.", "1A 1B 1C 1D"),
        ("Run 1D, 1C and 1B first.", "1D 1C 1B 1A"),
        ("Run 1D first, because in issue 2 the variant 2A won.", "1D 1A 1B 1C"),
        ("Run them in the order of the table.", "1A 1B 1C 1D"),
    ],
)
def test_order(text: str, order: str) -> None:
    assert " ".join(read(execution(text)).order) == order


@pytest.mark.parametrize(
    "text",
    [
        "Run 1D, 1C first.",
        "Run 1D twice.",
        "Run the wide ones, e.g. 1A and 1D.",
        "Run 1B (optional) last.",
        "Run 1D or 1C first.",
        "If 1D wins, skip 1A.",
        "Run the widest first.",
        "Run 1D with 1C in parallel.",
        "Don't skip 1B.",
        "1B can wait.",
        "Run 1D-1A.",
        "Start with the cheap one, 1B.",
        "Never mind 1B.",
    ],
)
def test_what_may_be_an_order_is_refused_with_the_key(text: str) -> None:
    error = refused(execution(text))
    assert "i.md:10" in error
    assert "order: [1D" in error or "on a condition" in error
    spec = read(execution(text) + "\n```yaml\n# autoresearch\norder: [1C, 1A]\n```")
    assert spec.order == ("1C", "1A", "1B", "1D")


def test_other_issue() -> None:
    assert read(execution("In issue 2 the variant 2A won.")).order == ("1A", "1B", "1C", "1D")
    assert "2A is no variant" in refused(execution("Run 2A first."))


def test_condition() -> None:
    [outcome] = read(f"{TABLE}\n- If 1D wins by more than 0.01: go wider\n").outcomes
    assert (outcome.variant, outcome.min_gain, outcome.unchecked) == ("1D", 0.01, "")
    assert [outcome.holds(gain) for gain in (0.02, 0.005, None)] == [True, False, False]
    [outcome] = read(f"{TABLE}\n- If 1D wins clearly: go wider\n").outcomes
    assert outcome.unchecked == "clearly"


@pytest.mark.parametrize(
    "text",
    [
        "Adopt only if val_bpb improves by at least 0.02.",
        "Minimum gain: 0.02",
        "Require a gain of at least 0.02 bpb.",
        "Promote the winner only if val_bpb drops by more than 0.02",
    ],
)
def test_threshold(text: str) -> None:
    assert read(f"{TABLE}\n## Decision Gate\n\n{text}\n").min_gain == 0.02


@pytest.mark.parametrize(
    "text",
    [
        "Adopt only if val_bpb improves by at least 2%.",
        "It must beat the baseline by 0.02.",
        "Use p < 0.01.",
        "Reject gains under 0.02.",
        "Adopt only if val_bpb improves by at most 0.02.",
    ],
)
def test_what_may_be_a_threshold_is_refused_with_the_key(text: str) -> None:
    body = f"{TABLE}\n## Decision Gate\n\n{text}\n"
    assert "min_gain: 0.002" in refused(body)
    assert read(f"{body}\n```yaml\n# autoresearch\nmin_gain: 0.02\n```").min_gain == 0.02


@pytest.mark.parametrize(
    "cell", ["0,005", "0,040", "+0.01", "2x", "50%", "0.01-0.02", "~0.01", "0.01 or 0.02", "1,024", ">0.01"]
)
def test_decimal_comma_sign_and_their_like_are_refused(cell: str) -> None:
    assert "row A, column HEAD_LR" in refused(f"| ID | HEAD_LR |\n|-|-|\n| A | {cell} |")


def test_decimal_comma_says_what_to_write() -> None:
    assert "write 0.005" in refused("| ID | HEAD_RATE |\n|-|-|\n| A | 0,005 |\n| B | 0,040 |")


def test_sign_says_what_to_write() -> None:
    assert "a difference? write the value itself: 12" in refused("| ID | DEPTH |\n|-|-|\n| A | +4 |")


def test_an_arrow_leads_from_the_baselines_value() -> None:
    assert sets(read("| ID | ASPECT_RATIO |\n|-|-|\n| A | 64 -> 96 |")) == {"A": {"ASPECT_RATIO": 96}}
    assert "the baseline has 64, not '48'" in refused("| ID | ASPECT_RATIO |\n|-|-|\n| A | 48 → 96 |")


def test_false_hint() -> None:
    error = refused("| ID | WARMUP_RATIO |\n|-|-|\n| A | 0.1 |")
    assert "did you mean" not in error
    assert "warmdown_ratio" in error


def test_baseline_row() -> None:
    spec = read(
        "| ID | DEPTH | ASPECT_RATIO | model_dim |\n|-|-|-|-|\n| baseline | 8 | current | 512 |\n| 1A | 10 | 64 | - |"
    )
    assert spec.order == ("1A",)
    assert [(one.column, one.value) for one in spec.baseline_stated] == [("model_dim", 512)]
    assert "the baseline's DEPTH is 8, not 6" in refused("| ID | DEPTH |\n|-|-|\n| baseline | 6 |\n| 1A | 10 |")


def test_seeds_as_rows() -> None:
    error = refused("| ID | DEPTH | Seed |\n|-|-|-|\n| a42 | 10 | 42 |\n| a43 | 10 | 43 |")
    assert "seeds: [42, 43]" in error
    body = (
        "| ID | DEPTH | Seed |\n|-|-|-|\n| a | 10 | 42 |\n| b | 12 | 42 |\n\n```yaml\n# autoresearch\nseeds: [42]\n```"
    )
    assert read(body).seeds == (42,)


def test_bad_example() -> None:
    shown = refused("| ID | Why |\n|-|-|\n| 1A | x |").split("a table looks like this:")[1]
    example = "\n".join(line.strip() for line in shown.splitlines() if line.strip().startswith("|"))
    [variant] = read(example).variants
    assert {edit.name: edit.value for edit in variant.edits if isinstance(edit, SetConstant)} == {
        "DEPTH": 10,
        "ASPECT_RATIO": 64,
    }


def test_change_column() -> None:
    spec = read("| ID | Change |\n|-|-|\n| A | `DEPTH=12, HEAD_RATE=0.01` |\n| B | ASPECT_RATIO=96 |")
    assert sets(spec) == {"A": {"DEPTH": 12, "HEAD_LR": 0.01}, "B": {"ASPECT_RATIO": 96}}
    assert "is no list of settings" in refused("| ID | Change |\n|-|-|\n| A | use SwiGLU |")


@pytest.mark.parametrize(
    "text",
    [
        "- Try DEPTH 6, 8 and 12 with ASPECT_RATIO 128, 96 and 64",
        "## Try DEPTH 6, 8 and 12\n\nWith ASPECT_RATIO to match.",
        "Sweep `DEPTH` in {6, 8, 10}.",
        "Set matrix_lr to 0.02 and 0.08.",
    ],
)
def test_settings_as_text(text: str) -> None:
    assert "grid:" in refused(f"An idea.\n\n{text}\n")


def test_a_grid_says_what_such_text_means() -> None:
    spec = read(
        "```yaml\n# autoresearch\ngrid:\n  DEPTH: [8, 10]\n  layers_per: [1]\n```".replace(
            "  layers_per: [1]\n", "  HEAD_LR: [0.005, 1e-2]\n"
        )
    )
    assert sets(spec) == {
        "G1": {"DEPTH": 8, "HEAD_LR": 0.01},
        "G2": {"DEPTH": 10, "HEAD_LR": 0.005},
        "G3": {"DEPTH": 10, "HEAD_LR": 0.01},
    }


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("Run the baseline with seeds 42, 43, 44. No code changes.", (42, 43, 44)),
        ("Measure the baseline on 3 seeds.", (0, 1, 2)),
        ("Repeat the baseline five times.", (0, 1, 2, 3, 4)),
    ],
)
def test_baseline_only(text: str, seeds: tuple[int, ...]) -> None:
    spec = read(text)
    assert (spec.baseline_only, spec.seeds, spec.variants, spec.proposals) == (True, seeds, (), 0)


def test_baseline_only_and_more_is_refused() -> None:
    assert "baseline_only: true" in refused("Run the baseline with seeds 42, 43, 44. Then replace the MLP by SwiGLU.")


@pytest.mark.parametrize(
    ("cell", "first"),
    [
        ("1", True),
        ("Med", True),
        ("H", True),
        ("High (P1)", True),
        ("🔥 high", True),
        ("P0", True),
        ("🔴 P0", True),
        ("5", False),
        ("low", False),
    ],
)
def test_priorities(cell: str, first: bool) -> None:
    spec = read(
        f"| ID | DEPTH | Priority |\n|-|-|-|\n| 1A | 6 | {'P4' if first else 'P3'} |\n| 1B | 10 | {cell} |".replace(
            "P3", "3"
        )
    )
    assert spec.order == (("1B", "1A") if first else ("1A", "1B"))


def test_priorities_that_contradict_are_refused() -> None:
    assert "is no priority" in refused("| ID | DEPTH | Priority |\n|-|-|-|\n| 1A | 6 | High (P3) |")


def test_status_skip_is_obeyed_and_what_is_unclear_refused() -> None:
    assert read("| ID | DEPTH | Status |\n|-|-|-|\n| 1A | 6 | skip |\n| 1B | 10 | todo |").order == ("1B",)
    assert "write skip" in refused("| ID | DEPTH | Status |\n|-|-|-|\n| 1A | 6 | done |\n| 1B | 10 | |")


def test_a_budget_column_is_obeyed_where_all_rows_have_the_same() -> None:
    assert read("| ID | DEPTH | Steps |\n|-|-|-|\n| 1A | 6 | 500 |\n| 1B | 10 | 500 |").budget == Budget("steps", 500)
    assert "another budget" in refused("| ID | DEPTH | Steps |\n|-|-|-|\n| 1A | 6 | 500 |\n| 1B | 10 | 600 |")


@pytest.mark.parametrize(
    "text",
    ["1B should not be run.", "Note: 1B must not run.", "We will not run 1B.", "No need to run 1B again.",
     "1B was run already.", "1B has already been run in issue 2.", "1B already ran.", "1B is finished.",
     "1B isn't needed.", "1B: too expensive, skip.", "Not 1B.", "All but 1B.", "1A and 1C only",
     "For now only 1A and 1C.", "1D should run first.", "Order: 1D -> 1C -> 1A -> 1B", "1A after 1D.", "Finally, 1A."],
)  # fmt: skip
def test_what_leaves_out_or_orders_is_read_or_refused_wherever_it_stands(text: str) -> None:
    try:
        spec = read(f"## Experiments\n\n{text}\n\n{TABLE}")
    except BadInput:
        return
    assert spec.skipped or spec.order != ("1A", "1B", "1C", "1D")


@pytest.mark.parametrize("heading", ["Skip", "Not to run", "Already done", "Skipped"])
def test_variants_under_a_heading_that_leaves_them_out_are_refused(heading: str) -> None:
    assert "is it left out?" in refused(f"{TABLE}\n## {heading}\n\n- 1B\n")


@pytest.mark.parametrize(
    "text", ["Do 1A and 1C; ignore the rest.", "Run rows 1 and 3.", "Top two rows only.", "Random order.",
             "Run everything twice.", "Stop after the first win."]
)  # fmt: skip
def test_what_picks_or_repeats_rows_is_refused_in_execution(text: str) -> None:
    assert "i.md:10" in refused(execution(text))


@pytest.mark.parametrize("text", ["Steps: 500", "max_steps=500", "Steps per run: 500", "All runs take 20 minutes."])
def test_steps_without_a_form_and_totals_are_refused(text: str) -> None:
    assert "budget" in refused(f"{TABLE}\n{text}\n")


def test_a_heading_says_what_an_amount_alone_is() -> None:
    assert read(f"{TABLE}\n## Budget\n\n2 minutes\n").budget == Budget("seconds", 120)
    assert read(f"{TABLE}\n## Training budget per run\n\n500 steps\n").budget == Budget("steps", 500)


def test_numbers_of_a_block_are_what_they_look_like() -> None:
    spec = read("```yaml\n# autoresearch\nvariants: [{id: 1A, set: {DEPTH: 012}}]\n```")
    assert sets(spec) == {"1A": {"DEPTH": 12}}
    assert "seeds" in refused(f"{TABLE}\n```yaml\n# autoresearch\nseeds: [042]\n```")
    assert "budget" in refused(f"{TABLE}\n```yaml\n# autoresearch\nbudget: 1:30\n```")


def test_a_decimal_comma_in_an_outcome_is_for_a_person_to_judge() -> None:
    [outcome] = read(f"{TABLE}\n- If 1A wins by more than 0,01: go\n").outcomes
    assert (outcome.min_gain, outcome.unchecked) == (None, "by more than 0,01")


@pytest.mark.parametrize("headings", [("What we tried", "Next"), ("Already run", "To run")])
def test_a_table_under_what_was_tried_does_not_run(headings: tuple[str, str]) -> None:
    past = "| ID | DEPTH |\n|-|-|\n| 0A | 6 |\n"
    assert read(f"## {headings[0]}\n\n{past}\n## {headings[1]}\n\n{TABLE}").order == ("1A", "1B", "1C", "1D")


@pytest.mark.parametrize(
    "text",
    ["All variants use ASPECT_RATIO 48.", "HEAD_LR = 0.01 throughout.", "All with HEAD_LR=0.01.",
     "Double the batch size everywhere."],
)  # fmt: skip
def test_a_value_for_all_beside_a_table_is_refused_where_it_is_not_the_baselines(text: str) -> None:
    assert "beside the table" in refused(f"{TABLE}\n{text}\n")
    assert read(f"{TABLE}\nAll variants use HEAD_LR = 0.005.\n").order == ("1A", "1B", "1C", "1D")


@pytest.mark.parametrize("header", ["HEAD_LR (old)", "DEPTH (baseline)", "DEPTH (current)"])
def test_a_column_of_what_was_sets_nothing_in_silence(header: str) -> None:
    assert "would set it" in refused(f"| ID | {header} | ASPECT_RATIO |\n|-|-|-|\n| A | 8 | 96 |")


def test_a_priority_that_counts_the_other_way_is_refused() -> None:
    assert "1 is the most urgent" in refused("| ID | DEPTH | Priority (5 = most urgent) |\n|-|-|-|\n| A | 6 | 5 |")


@pytest.mark.parametrize("status", ["\u274c", "\u2705", "\U0001f6ab"])
def test_a_status_that_is_an_emoji_alone_is_refused(status: str) -> None:
    assert "write skip" in refused(f"| ID | DEPTH | Status |\n|-|-|-|\n| A | 6 | {status} |\n| B | 10 | |")


# --- what a second reader found ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("Hours", "Budget (min)"),
        ("Min", "Budget (min)"),
        ("Train time", "Budget (min)"),
        ("Corpus", "--corpus C"),
        ("Profile", "--profile full"),
        ("Repeats", "seeds: [0, 1, 2]"),
        ("Order", "name the column Priority"),
        ("Run?", "name the column Status"),
        ("Depends on", "after #3"),
        ("Gate", "gate: lowest"),
    ],
)
def test_column_refused_with_what_says_it(header: str, advice: str) -> None:
    error = refused(f"| ID | DEPTH | {header} |\n|-|-|-|\n| 1A | 10 | the same |\n| 1B | 12 | the same |\n")
    assert f"column {header}" in error
    assert advice in error
    assert f"describe: [{header}]" in error


@pytest.mark.parametrize("header", ["GPU hours", "Est. h", "ETA (min)", "Cost ($/h)"])
def test_column_of_an_estimate_in_hours_describes(header: str) -> None:
    assert sets(read(f"| ID | DEPTH | {header} |\n|-|-|-|\n| 1A | 10 | 0.2 |\n")) == {"1A": {"DEPTH": 10}}


@pytest.mark.parametrize(
    "text",
    [
        "Minimise peak memory.",
        "Optimise for speed, not loss.",
        "Peak memory must stay under 40 GB.",
        "Do not adopt if VRAM exceeds 20 GB.",
        "We require an improvement of 0.005.",
        "Use fp8.",
        "Try also GQA.",
        "Longer context.",
        "Widen the MLP to 6x.",
        "The learning rate is halved.",
        "Batch size doubled in all runs.",
        "Run the baseline 5 times.",
        "Run on an A100.",
    ],
)
def test_a_wish_beside_a_table_that_no_row_has_is_refused(text: str) -> None:
    assert repr(text[:-1])[1:-1] in refused(f"{text}\n\n{TABLE}")


def test_a_size_alone_is_a_setting_and_an_idea_alone_is_an_editors() -> None:
    assert "gives a constant a value, and there is no table" in refused("Widen the MLP to 6x.")
    assert read("Longer context.").strategy == "freeform"
    assert "the track's metric decides" in refused("Minimise peak memory.")


def test_widen_to_what_a_row_has_describes() -> None:
    body = "Widen the MLP to 6x.\n\n| ID | MLP_RATIO |\n|-|-|\n| 1A | 6 |\n"
    assert sets(read(body)) == {"1A": {"MLP_RATIO": 6}}


@pytest.mark.parametrize(
    "text",
    [
        "Keep an eye on memory for 1C.",
        "Monitor 1C for OOM.",
        "Use the standard settings.",
        "Use the defaults for everything else.",
        "Keep all other constants as they are.",
        "Use the same budget for all runs.",
    ],
)
def test_what_asks_for_nothing_new_in_execution_describes(text: str) -> None:
    spec = read(execution(f"Run 1D first. {text}"))
    assert spec.order == ("1D", "1A", "1B", "1C")
    assert spec.budget is None


@pytest.mark.parametrize(
    "text", ["Monitor 1C and skip 1B.", "Use the same settings as in 2 but DEPTH=9.", "Watch 1C first."]
)
def test_what_asks_for_more_than_to_watch_is_refused(text: str) -> None:
    assert refused(execution(text))


@pytest.mark.parametrize(
    "text",
    [
        "We saw noisy gradients at batch 64.",
        "Kaplan et al. report that aspect ratios between 40 and 120 are all within 1%.",
        "Each step processes 2048 tokens.",
        "A 12-layer model at width 768 has about 85M parameters.",
        "Chinchilla suggests 20 tokens per parameter, which we miss by a factor of 4.",
        "Our baseline takes 900 steps in 5 minutes.",
        "All variants use the same batch size of 2048 tokens.",
        "See https://example.org/issues/12 for the run with DEPTH=20.",
    ],
)
@pytest.mark.parametrize("heading", ["", "## Background\n\n", "## Motivation\n\n", "## Hypothesis\n\n"])
def test_prose_with_numbers_describes(text: str, heading: str) -> None:
    spec = read(f"{heading}{text}\n\n## Experiments\n\n{TABLE}")
    assert (spec.budget, spec.cap_s, spec.seeds, len(spec.variants)) == (None, None, None, 4)


@pytest.mark.parametrize("text", ["Run 1A and 1B.", "Please run 1A.", "Run 1A & 1B"])
def test_only_or_order_names_without_a_word_that_orders_are_refused_where_others_are_left(text: str) -> None:
    assert "says not whether" in refused(execution(text))


@pytest.mark.parametrize(
    "text", ["Run 1D, 1C, 1A and 1B.", "Run 1A-1D.", "1. Run 1D\n2. Run 1A", "Run 1A. Skip 1B, 1C and 1D."]
)
def test_only_or_order_names_of_all_or_in_a_list_are_read(text: str) -> None:
    assert read(execution(text)).variants


def test_deepest_first_is_refused_in_execution() -> None:
    assert "names no variant" in refused(execution("Deepest first."))


def test_condition_of_two_winners_is_for_a_person() -> None:
    spec = read(f"{TABLE}\n## Expected\n\nIf both 1A and 1D win: combine\n\nIf 1C wins by 0.01 or more: deeper\n")
    assert [(one.variant, one.unchecked) for one in spec.outcomes[:2]] == [
        ("1A", "both 1A and 1D"),
        ("1D", "both 1A and 1D"),
    ]
    assert (spec.outcomes[2].variant, spec.outcomes[2].unchecked) == ("1C", "")


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("budget:", "budget: has no value"),
        ("cap: 2", "cap: 2 has no unit"),
        ("variants: 5", "an editor's proposals"),
        ("seeds: [1, 2]", "a variant has no seed of its own"),
    ],
)
def test_block_that_says_half_is_refused(block: str, problem: str) -> None:
    table = "| ID | DEPTH | Seed |\n|-|-|-|\n| 1A | 10 | 1 |\n| 1B | 12 | 2 |\n" if "seeds" in block else TABLE
    assert problem in refused(f"```yaml\n# autoresearch\n{block}\n```\n\n{table}")


def test_decimal_comma_in_a_list_of_the_block_is_refused() -> None:
    assert "a point parts the decimals" in refused("```yaml\n# autoresearch\ngrid: {HEAD_LR: [0,01]}\n```\n")
    assert "differ from it" in refused("```yaml\n# autoresearch\ngrid: {DEPTH: [8]}\n```\n")


def test_a_word_that_begins_with_a_digit_is_no_value() -> None:
    body = "| ID | DEPTH | Rationale |\n|-|-|-|\n| 1A | 10 | Same depth 5eCret-value |\n"
    assert sets(read(body)) == {"1A": {"DEPTH": 10}}


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("At most 1 hour of GPU time in total.", 3600),
        ("Total GPU time: 2 hours", 7200),
        ("Overall compute budget: 2 hours", 7200),
    ],
)
def test_budget_missed_no_more_the_cap_of_all_runs(text: str, cap: float) -> None:
    assert read(f"{text}\n\n{TABLE}").cap_s == cap


def test_budget_missed_a_cap_in_words_is_refused() -> None:
    assert "may give a budget" in refused(f"No more than an hour overall.\n\n{TABLE}")


@pytest.mark.parametrize(
    ("note", "advice"),
    [("too expensive, skip", "column Status"), ("P0", "column Priority"), ("lower priority", "column Priority")],
)
def test_a_note_that_leaves_out_or_orders_is_refused(note: str, advice: str) -> None:
    assert advice in refused(f"| ID | DEPTH | Note |\n|-|-|-|\n| 1A | 10 | {note} |\n| 1B | 6 | - |\n")


def test_a_link_gives_no_value() -> None:
    link = "https://x.org/a?DEPTH=12"
    assert sets(read(f"See {link}\n\n| ID | DEPTH | Note |\n|-|-|-|\n| 1A | 10 | {link} |\n")) == {"1A": {"DEPTH": 10}}


@pytest.mark.parametrize(
    "text", ["Blocked by #3.", "Do not run this before #3 is done.", "Wait for #3.", "Requires #3."]
)
def test_another_issue_to_wait_for_is_refused_with_the_words_that_the_queue_reads(text: str) -> None:
    assert "after #3" in refused(f"{text}\n\n{TABLE}")
    assert read(f"Runs after #3.\n\n{TABLE}").variants


def test_rows_lost_a_blank_line_between_rows_of_tabs_ends_no_table() -> None:
    assert sets(read("ID\tDEPTH\n1A\t10\n\n1B\t12\n")) == {"1A": {"DEPTH": 10}, "1B": {"DEPTH": 12}}
    assert "1B" in refused("ID\tDEPTH\tHEAD_LR\n1A\t10\t0.01\n1B\t12\n")


@pytest.mark.parametrize("heading", ["Future work", "Next steps", "Rejected", "Ideas for later", "Deferred"])
def test_wrong_table_what_is_not_to_run_now_does_not(heading: str) -> None:
    spec = read(f"{TABLE}\n## {heading}\n\n| ID | DEPTH |\n|-|-|\n| 2A | 10 |\n")
    assert list(sets(spec)) == ["1A", "1B", "1C", "1D"]
    assert any(heading in one.means for one in spec.read_as)


def test_column_refused_where_it_is_struck_out() -> None:
    assert "struck out" in refused("| ID | ~~DEPTH~~ | HEAD_LR |\n|-|-|-|\n| 1A | 10 | 0.01 |\n")


@pytest.mark.parametrize(
    "text",
    [
        "1B ran in #2 already.",
        "1B's result is known.",
        "1D is most important, so run it first.",
        "1D before the others.",
        "w/o 1B",
        "Sequence: 1D 1C 1A 1B",
    ],
)
def test_exclusion_or_order_missed_no_more_outside_of_execution(text: str) -> None:
    assert "1A" in refused(f"{text}\n\n{TABLE}")


def test_a_factor_is_no_variant() -> None:
    assert read("The MLP is 4x wide; try 3x with SwiGLU.").strategy == "freeform"


def test_budget_missed_no_more_under_its_own_heading() -> None:
    budget = f"{TABLE}\n## Budget\n\n"
    assert read(f"{budget}600 seconds of training").budget == Budget("seconds", 600)
    assert "may give a budget" in refused(f"{budget}One GPU hour.")
    assert read(f"{budget}Evaluation takes 30 seconds.").budget is None


def test_what_states_the_present_values_in_execution_describes() -> None:
    assert read(execution("Keep HEAD_DIM at 128 and MLP_RATIO at 4.")).variants
    assert refused(execution("Keep HEAD_DIM at 128 and the pattern at L."))


def test_budget_in_passing_is_the_budget_where_nothing_else_gives_one() -> None:
    text = "At a fixed budget of 10 minutes, larger models see fewer tokens (400M vs 600M)."
    assert read(f"{text}\n\n{TABLE}").budget == Budget("seconds", 600)


@pytest.mark.parametrize("text", ["L=12", "bs=4096", "beta1=0.8, beta2 = 0.99"])
def test_settings_of_no_constant_are_refused_beside_a_table_and_alone(text: str) -> None:
    assert "train.py has no constant" in refused(f"{text}\n\n{TABLE}")
    assert "train.py has no constant" in refused(text)


@pytest.mark.parametrize("text", ["sigma = 0.0007", "val_bpb = 1.031", "n_head = 4"])
def test_a_measured_number_describes(text: str) -> None:
    assert read(f"{text}\n\n{TABLE}").variants


def test_a_value_that_replaces_another_is_refused() -> None:
    for text in ("Replace HEAD_DIM 128 by 64.", "Change HEAD_DIM from 128 to 64."):
        assert "gives HEAD_DIM a value beside the table" in refused(f"{text}\n\n{TABLE}")
        assert "gives HEAD_DIM a value" in refused(text)


def test_threshold_of_the_block_may_have_an_exponent() -> None:
    assert read(f"```yaml\n# autoresearch\nmin_gain: 2e-3\n```\n\n{TABLE}").min_gain == 0.002
    assert "min_gain: Input should be a number" in refused(f"```yaml\n# autoresearch\nmin_gain: 0.2%\n```\n\n{TABLE}")


@pytest.mark.parametrize(("key", "advice"), [("steps: 500", "budget: 500steps"), ("profile: full", "--profile full")])
def test_a_key_that_people_try_is_refused_with_what_says_it(key: str, advice: str) -> None:
    assert advice in refused(f"```yaml\n# autoresearch\n{key}\n```\n\n{TABLE}")


def test_seeds_and_thresholds_may_stand_as_assignments() -> None:
    assert read(f"seed=42\n\n{TABLE}").seeds == (42,)
    assert read(f"min_gain = 0.005\n\n{TABLE}").min_gain == 0.005


def test_order_refused_no_more_a_range_one_after_the_other() -> None:
    assert read(execution("Run 1A-1D sequentially.")).order == ("1A", "1B", "1C", "1D")


@pytest.mark.parametrize("text", ["All variants run once.", "Run each variant once.", "Everything once."])
def test_runs_of_one_each_are_refused_with_the_gate_that_says_it(text: str) -> None:
    assert "gate: lowest" in refused(execution(text))
