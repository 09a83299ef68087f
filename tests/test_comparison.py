"""Runs beside each other: what may be compared, what is said of it, and the tables of papers."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest

from recjax import commands, comparison, configs, fields, folders, reports, significance, typesetting
from recjax.errors import InputError

QUERIES = 200


@pytest.fixture
def write(tmp_path):
    """Writes the folder of a run with some hits at 10, and gives its path."""

    def write(name, hits, *, seed=0, **changes):
        rng, folder = np.random.default_rng(seed), tmp_path / name
        folder.mkdir(parents=True)
        config = fields.override(configs.Config(seed=seed), changes.pop("overrides", {}))
        found = (rng.random(QUERIES) < hits).astype(np.float32)
        arrays = {"query": np.arange(QUERIES).astype(str), "recall@10": found, "popularity/recall@10": 0 * found}
        np.savez(folder / folders.QUERIES, **{**arrays, **changes.pop("arrays", {})})
        result = {
            "status": "completed",
            "command": fields.command(config, configs.Config()),
            "config": dataclasses.asdict(config),
            "seed": seed,
            "data": {"fingerprint": "one"},
            "metrics": {"recall@10": float(found.mean()), "coverage@10": hits},
            "baselines": {"popularity": {"recall@10": 0.0, "coverage@10": 0.01}},
        }
        (folder / "result.json").write_text(json.dumps({**result, **changes}))
        (folder / "metrics.jsonl").write_text("")
        return folder

    return write


def test_two_runs_side_by_side(write):
    weak, strong = write("weak", 0.2), write("strong", 0.5, overrides={"optimizer.learning_rate": "0.1"})
    first, second = folders.run(weak), folders.run(strong)
    (found,) = comparison.compare(first, second)
    ours, theirs = (np.load(path / folders.QUERIES)["recall@10"] for path in (weak, strong))
    assert (found.metric, found.first, found.second) == ("recall@10", ours.mean(), theirs.mean())
    assert found.interval == significance.bootstrap(theirs - ours)
    told = commands.compare([str(weak), str(strong)])
    assert "strong against weak, over 200 test queries" in told
    assert "optimizer.learning_rate 0.001 -> 0.1" in told
    assert "more than noise, strong is better" in told
    assert "weak is better" not in told
    back = commands.compare([str(strong), str(weak)])
    assert "more than noise, strong is better" in back


def test_what_may_be_noise_is_said_to_be(write):
    told = commands.compare([str(write("a", 0.3)), str(write("b", 0.3, seed=1))])
    assert "it may be noise" in told
    assert "(seed 0 -> 1: what a seed alone does)" in told
    same = commands.compare([str(write("c", 0.3)), str(write("d", 0.3))])
    assert "recall@10: d - c is +.0000 (+0.0 %), by 95 % between +.0000 and +.0000: the same for every query" in same
    assert "(the same settings;" in same


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"fingerprint": "two"}}, "the data's fingerprint is 'one' and 'two'"),
        ({"overrides": {"data.split": "share_out"}}, "data.split is 'last_out' and 'share_out'"),
        ({"overrides": {"data.repeats": "true"}}, "data.repeats is False and True"),
        ({"arrays": {"query": np.arange(5, QUERIES + 5).astype(str)}}, "200 and 200 queries were judged, 195 of them"),
        ({"arrays": {"recall@10": None}}, "cannot be read"),
        ({"status": "failed", "error": "nan"}, "the run is 'failed': nan; wanted a completed one"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_the_difference(changes, message, write):
    with pytest.raises(InputError, match=re.escape(message)):
        commands.compare([str(write("a", 0.2)), str(write("b", 0.2, **changes))])


@pytest.mark.parametrize(
    ("word", "arguments", "message"),
    [
        ("compare", ["a"], "compare got one folder, a; type: python launch.py compare RUN RUN"),
        ("table", [], "table got no folder"),
        ("table", ["nowhere"], "nowhere/result.json cannot be read"),
        ("table", ["a", "--format=latx"], "unknown format 'latx'; did you mean 'latex'"),
        ("table", ["a", "--colums=x"], "unknown option of table '--colums=x'; did you mean '--columns=VALUE'"),
        ("table", ["a", "--columns=recal@10"], "unknown metric in --columns 'recal@10'; did you mean 'recall@10'"),
        ("compare", ["a", "b", "--columns=coverage@10"], "'coverage@10' is not known of each query of both"),
    ],
)
def test_bad_input_is_told(word, arguments, message, write, tmp_path, monkeypatch):
    write("a", 0.2)
    write("b", 0.2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        getattr(commands, word)(arguments)


def test_the_best_of_single_runs_is_bold_where_queries_bear_it(write):
    """Coverage is no mean over queries and no quality by itself, so none is best in it."""
    places = [str(write("weak", 0.2)), str(write("strong", 0.5))]
    told = commands.table(places)
    best = folders.run(pathlib.Path(places[1])).result["metrics"]["recall@10"]
    assert f"| strong     | **{reports.number(best)}** |" in told
    assert told.count("**") == 2
    assert "paired bootstrap over queries" in told
    near = commands.table([*places, str(write("near", 0.51))])
    assert "**" not in near


def row(name, values, **more):
    return typesetting.Row(name, {seed: {"ndcg@10": value} for seed, value in enumerate(values)}, {}, **more)


def test_over_seeds_the_paired_test_decides():
    """A constant gain in every seed is sure, however much the seeds differ; a gain in two of three is not."""
    base = np.array([0.1, 0.3, 0.5])
    sure, unsure = row("sure", base + 0.01), row("unsure", base + np.array([0.2, 0.1, -0.05]))

    def bold(rows):
        return [line[0].bold for line in typesetting.cells(rows, ["ndcg@10"])]

    assert bold([row("base", base), sure]) == [False, True]
    assert bold([row("base", base), unsure]) == [False, False]
    assert bold([row("base", base), sure, row("same", base + 0.01)]) == [False, False, False]
    assert bold([row("base", base), row("elsewhere", base + 0.01, judged="other")]) == [False, False]
    assert bold([sure]) == [False]


def test_less_is_better_where_it_is():
    rows = [
        typesetting.Row(name, {seed: {"cross_group_share@10": value + seed / 100} for seed in range(3)}, {})
        for name, value in (("folded", 0.7), ("apart", 0.1))
    ]
    assert [line[0].bold for line in typesetting.cells(rows, ["cross_group_share@10"])] == [False, True]


def test_names_and_metrics_are_escaped_for_latex():
    rows = [row("50 % of_a & b $x^2$ {~\\}", [0.1, 0.2]), row("α0 = 1", [0.3, 0.4])]
    told = typesetting.latex(rows, ["ndcg@10"])
    assert r"50 \% of\_a \& b \$x\textasciicircum{}2\$ \{\textasciitilde{}\textbackslash{}\}" in told
    assert told.count(r"\\" + "\n") == 3
    assert all(rule in told for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"α0 = 1 & \textbf{.3500} $\pm$ .0707 \\" in told
