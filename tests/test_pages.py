"""Reports are whole in one file: nothing is fetched, and what comes from data is text and never markup."""

import dataclasses
import html
import html.parser
import json
import re
import time

import pytest

from recjax import commands, configs, fields, plots
from recjax.errors import InputError
from recjax.pages import elements

HOSTILE = "<script>alert('1')</script> & \"quoted\" <img src=http://example.com/x.png>"
VOID = {"meta", "img", "br", "wbr"}


class Page(html.parser.HTMLParser):
    """Reads a page strictly: every element is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.images += [value for name, value in attrs if name in ("src", "href", "srcset", "xlink:href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    """The page, which needs no network."""
    text = path.read_text()
    found = Page(text)
    assert "script" not in found.tags
    assert all(re.fullmatch(r"data:image/(png|svg\+xml);base64,[\w+/=]+", one) for one in found.images)
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace(html.escape(HOSTILE), "")
    return found, "".join(found.text)


@pytest.fixture
def run(tmp_path):
    """Writes the folder of a run with hostile names."""

    def run(place="run", metric=0.25, **overrides):
        folder = tmp_path / place
        (folder / "plots").mkdir(parents=True)
        config = fields.override(configs.Config(), overrides)
        metrics = {"recall@10": metric, "ndcg@10": metric / 2, "cross_group_share@10": 0.1, "coverage@10": 0.3}
        result = {
            "status": "completed",
            "experiment": f"mine {HOSTILE}",
            "command": f"python launch.py --config.seed={config.seed} '{HOSTILE}'",
            "config": dataclasses.asdict(config),
            "seed": config.seed,
            "data": {"name": HOSTILE, "queries": 10, "items": 20, "interactions": 30, "fingerprint": "one"},
            "environment": {"python": "3"},
            "best_step": 20,
            "steps": 40,
            "metrics": {**metrics, "validation_ndcg@10": metric / 2},
            "interval": {"ndcg@10": [metric - 0.01, metric + 0.01]},
            "slices": {"history": {"5 to 9": {"queries": 1234.0, "ndcg@10": metric}}},
            "curve": [{"step": step, "seconds": 1.0, "ndcg@10": metric * step} for step in (20, 40)],
            "standard_error": {"cross_group_share@10": 0.01},
            "refused": {"folding_excess": f"no scale {HOSTILE}"},
            "diagnosis": {"collapse": 0.5, "dead_rows": {HOSTILE: 0.25}},
            "baselines": {"popularity": {name: value / 3 for name, value in metrics.items()}},
            "timing": {"train_s": 2.0, "compile_s": 1.0, "steps_per_s": 20.0, "examples_per_s": 200.0},
        }
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "metrics.jsonl").write_text("")
        plots.plt.figure(figsize=(1, 1)).savefig(folder / "plots" / "curves.png")
        plots.plt.close("all")
        quoted = HOSTILE.replace('"', '""')
        header = "query,item,title,rank,score,relatedness,popularity,why"
        line = f'"{quoted}",7,"{quoted}",1,2.5,.1,3,"group {quoted}"'
        (folder / "offenders.csv").write_text(f"{header}\n{line}\n")
        return folder

    return run


def test_a_run_in_less_than_a_second(run):
    folder = run(**{"optimizer.learning_rate": "0.01"})
    begin = time.perf_counter()
    assert commands.report([str(folder)]) == str(folder / "report.html")
    assert time.perf_counter() - begin < 1.0
    found, text = read(folder / "report.html")
    assert len(found.images) == 1
    assert text.count(HOSTILE) >= 6  # title, heading, command, data, refusal, diagnosis, offender
    assert "recall@10.2500popularity .0833" in text
    assert "optimizer.learning_rate0.010.001" in text
    assert all(one in text for one in ("Diagnosis", "Worst offenders", "Time", "Settings", "Data and environment"))


def test_a_run_at_its_defaults_without_pictures_or_offenders(run):
    folder = run()
    (folder / "plots" / "curves.png").unlink()
    (folder / "offenders.csv").unlink()
    commands.report([str(folder)])
    found, text = read(folder / "report.html")
    assert found.images == []
    assert "Every setting is at its default." in text
    assert "Nothing spurious was retrieved." in text


@pytest.fixture
def sweep(run, tmp_path):
    """A sweep of two rates by two seeds, with a trial that failed."""
    trials = []
    for number, (rate, seed) in enumerate([("0.01", 0), ("0.01", 1), ("0.1", 0), ("0.1", 1)]):
        name = f"{number:03d}"
        overrides = {"optimizer.learning_rate": rate, "seed": str(seed)}
        folder = run(f"sweep/trials/{name}", metric=0.2 + 0.1 * number, **overrides)
        trials.append(
            {"name": name, "overrides": overrides, "status": "completed", "seconds": 1.0, "folder": str(folder)}
        )
    failed = {"optimizer.learning_rate": HOSTILE, "seed": "0"}
    trials.append(
        {"name": "004", "overrides": failed, "status": "failed", "seconds": 1, "folder": "x", "error": HOSTILE}
    )
    head = {"command": f"python launch.py --sweep={HOSTILE}", "trials": trials}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(head))
    return tmp_path / "sweep"


def test_a_sweep(sweep):
    commands.report([str(sweep)])
    found, text = read(sweep / "report.html")
    assert len(found.images) == 3  # curves, the swept field, the best trial's
    assert "2 settings, 2 seeds, 4 runs completed, 1 without a result" in text
    best, other = "optimizer.learning_rate=0.1", "optimizer.learning_rate=0.01"
    assert text.index(f"1. {best}") < text.index(f"2. {other}")
    assert f"--config.seed=1 '{HOSTILE}'" in text  # the command of the best seed
    assert f"004optimizer.learning_rate={HOSTILE} seed=0failed{HOSTILE}" in text
    assert f"{best}.4500± .0707" in text  # recall@10 of .4 and .5
    assert "in a paired t-test over seeds" in text


def test_a_sweep_that_was_moved_is_found_in_its_new_place(sweep):
    moved = sweep.rename(sweep.with_name("moved"))
    commands.report([str(moved)])
    assert "Sweep moved" in read(moved / "report.html")[1]


def test_a_sweep_without_a_completed_trial_is_refused(sweep):
    head = json.loads((sweep / "sweep.json").read_text())
    for trial in head["trials"]:
        trial["status"] = "failed"
    (sweep / "sweep.json").write_text(json.dumps(head))
    with pytest.raises(InputError, match="none of 5 trials is completed"):
        commands.report([str(sweep)])


def test_a_study(run, tmp_path):
    head = {
        "command": "python launch.py",
        "seeds": [0, 1],
        "columns": ["recall@10"],
        "configs": {"one two": {}, "b": {}},
    }
    for number, name in enumerate(("one-two-0", "one-two-1", "b-0", "b-1")):
        run(f"study/{name}", metric=0.2 + 0.1 * number, seed=name[-1])
    (tmp_path / "study" / "study.json").write_text(json.dumps(head))
    commands.report([str(tmp_path / "study")])
    found, text = read(tmp_path / "study" / "report.html")
    assert len(found.images) == 3  # curves, and each arm's
    assert "one two.2500± .0707" in text
    assert "Trials" not in text


def test_a_measurement(tmp_path):
    rows = {HOSTILE: {"x": {"mean": 2.0, "sd": 0.5}}, "b": {}}
    head = {"command": "python launch.py", "seeds": [0, 1], "columns": ["x"], "rows": rows, "config": {}}
    (tmp_path / "study.json").write_text(json.dumps(head))
    commands.report([str(tmp_path)])
    assert f"{HOSTILE}2.000± .5000" in read(tmp_path / "report.html")[1]


def test_text_becomes_markup_by_escaping_alone():
    assert elements.markup(HOSTILE) == HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(
        '"', "&quot;"
    ).replace("'", "&#x27;")
    assert elements.tag("p", elements.tag("b", "<"), "<") == "<p><b>&lt;</b>&lt;</p>"
    assert 'class="&quot;&gt;"' in elements.tag("p", kind='">')
