"""What a finished run recommends: its own lists, new queries, and what cannot be asked."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from recjax import configs, evaluate, experiment, fields, newcomers, recommend, trained
from recjax.errors import InputError


@pytest.fixture(scope="module")
def runs(config, tmp_path_factory):
    """The folder of a completed run of each kind."""
    home = tmp_path_factory.mktemp("recommend")
    short = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=1.0))
    net = {"model.query_features": "history,side"}
    tables = {"model.name": "mf", "model.hidden": "256"}
    wals = configs.Config(
        data=config.data,
        model=configs.Model(name="mf", dimension=8),
        wals=configs.Wals(unobserved_weight=0.1, regularization=0.02),
        train=configs.Train(method="wals", epochs=3.0),
        evaluate=config.evaluate,
    )
    given = {"net": fields.override(short, net), "mf": fields.override(short, tables), "wals": wals}
    for name, one in given.items():
        experiment.run(one, workdir=str(home / name), echo=lambda text: None)
    return home


def test_a_loaded_model_is_the_one_that_was_trained(runs):
    model, result = trained.load(runs / "net"), json.loads((runs / "net" / "result.json").read_text())
    held = model.split.test
    ranking = trained.rank(model, held)
    found = evaluate.means(ranking, held.known, model.config.evaluate)
    assert {name: result["metrics"][name] for name in found} == found
    assert (model.steps, model.clock["train_s"]) == (result["steps"], result["timing"]["train_s"])
    with np.load(runs / "net" / "queries.npz") as kept:
        np.testing.assert_array_equal(kept["retrieved"], ranking.ids)


@pytest.mark.parametrize("kind", ["mf", "wals"])
@pytest.mark.parametrize("by", ["history", "features"])
def test_tables_answer_a_new_query_by_the_mean_of_similar_ones(kind, by, runs):
    """With one neighbor, the row of a query with the history, or the features, of an old one is the old one's."""
    model = trained.load(runs / kind, {"model.newcomers": by, "model.neighbors": "1"})
    dataset, trained_on = model.dataset, model.split.train.interactions
    query = 17
    history, features = [], {}
    if by == "history":  # what it trained on: that is what its neighbors are found by
        own = trained_on.item[trained_on.query == query]
        history = dataset.vocabularies["item"][own].astype(str).tolist()
    else:
        side = {name: dataset.queries[name] for name in newcomers.reads(dataset, "query")}
        features = {name: str(dataset.vocabularies[name][values[query]]) for name, values in side.items()}
        query = int(np.flatnonzero(np.all([values == values[query] for values in side.values()], axis=0))[0])
    found = recommend.for_history(model, history, features, 120 - len(history))
    items = np.array([int(row["item"].removeprefix("item_")) for row in found])
    tables = {name: np.asarray(table) for name, table in model.params.tables.items()}
    scores = tables["item"] @ tables["query"][query]
    place = {str(raw): number for number, raw in enumerate(dataset.vocabularies["item"])}
    wanted = [scores[place[f"item_{one}"]] for one in items]
    np.testing.assert_allclose([row["score"] for row in found], wanted, rtol=1e-5, atol=1e-6)
    assert len(found) == 120 - len(history)


@pytest.mark.parametrize("kind", ["net", "wals"])
def test_a_new_query_with_the_history_of_an_old_one_gets_its_list(kind, runs):
    """The scores agree to 1e-5: the matrices that they come from have another shape."""
    model = trained.load(runs / kind, {"wals.fold_in": "true"} if kind == "wals" else {})
    dataset, query = model.dataset, 17
    own = dataset.interactions.query == query
    history = dataset.vocabularies["item"][dataset.interactions.item[own]].astype(str).tolist()
    side = [name for name in dataset.queries if name != "query"] if kind == "net" else []
    features = {name: str(dataset.vocabularies[name][dataset.queries[name][query]]) for name in side}
    old = recommend.for_queries(model, [str(dataset.vocabularies["query"][query])], 10)
    new = recommend.for_history(model, history, features, 10)
    assert [row["item"] for row in old] == [row["item"] for row in new]
    np.testing.assert_allclose([row["score"] for row in old], [row["score"] for row in new], rtol=1e-5)
    assert {row["query"] for row in new} == {recommend.NEW}
    assert [row["rank"] for row in new] == list(range(1, 11))
    assert not {row["item"] for row in new} & set(history)
    assert [row["score"] for row in new] == sorted((row["score"] for row in new), reverse=True)


def test_queries_come_in_the_order_in_which_they_were_asked(runs):
    model = trained.load(runs / "mf")
    apart = [recommend.for_queries(model, [one], 3) for one in ("query_40", "query_7")]
    assert recommend.for_queries(model, ["query_40", "query_7", "query_40"], 3) == [*apart[0], *apart[1]]


def test_what_a_query_met_in_any_part_is_not_recommended(runs):
    model = trained.load(runs / "mf")
    known = model.dataset.interactions
    met = {str(model.dataset.vocabularies["item"][one]) for one in known.item[known.query == 3]}
    found = {row["item"] for row in recommend.for_queries(model, ["query_3"], 120)}
    everything = set(model.dataset.vocabularies["item"].astype(str))
    assert found == everything - met


def test_the_command_prints_a_table_and_writes_it(runs, launched, capsys, tmp_path):
    folder = str(runs / "net")
    assert launched("recommend", folder, "--query=query_3,query_5", "--k=2", "--csv=found.csv") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["|", "query", "|", "rank", "|", "item", "|", "score", "|"]
    assert len(told) == 6
    with (tmp_path / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["query"], row["rank"]) for row in rows] == [
        ("query_3", "1"),
        ("query_3", "2"),
        ("query_5", "1"),
        ("query_5", "2"),
    ]
    assert launched("recommend", folder, "--query=query_3", "--csv=missing/found.csv") == 2
    assert "--csv=missing/found.csv cannot be written" in capsys.readouterr().err
    assert launched("recommend", str(runs / "wals"), "--history=item_3,item_50") == 0
    assert len(capsys.readouterr().out.splitlines()) == 12


FEATURES = "--features=country=country_1,age=young,device=phone"


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("net", [], "wanted one run, and queries of its data or else a history"),
        ("net", ["--query=query_1", "--history=item_2"], "wanted one run, and queries of its data or else a history"),
        ("net", ["--query=query_1", "--k=ten"], "wanted one run, and queries of its data or else a history"),
        ("net", ["--query=999"], "query '999' is none of the 120 of the data set; wanted one as query_"),
        ("net", ["--query=query_1", "--k=121"], "k is 121; wanted 1 to 120, the number of items"),
        ("net", ["--history=999", FEATURES], "item '999' is none of the 120"),
        ("net", ["--history=item_3"], "the model reads country, age, device of a query; type --features=country=VALUE"),
        (
            "net",
            ["--history=item_3", "--features=city=9"],
            "the model does not read 'city' of a query; it reads country",
        ),
        ("net", ["--history=item_3", FEATURES.replace("country_1", "99")], "country '99' is none of the 3"),
        ("mf", ["--history=item_3"], "model.name='mf' has no row for a new query; type"),
        ("wals", ["--features=country=1"], "a new query's row is found from its history"),
        ("mf", ["--features=country=1", "--config.model.newcomers=history"], "is found from its history"),
        (
            "mf",
            ["--history=item_3", "--config.model.newcomers=features"],
            "the model reads country, age, device of a query",
        ),
        ("wals", ["--history=item_3", "--features=country=1"], "does not read 'country' of a query; it reads none"),
        (
            "net",
            ["--query=query_1", "--config.data.path=elsewhere", "--quick=1"],
            "unknown option of recommend '--quick=1'",
        ),
        ("none", ["--query=query_1"], "cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_told(kind, arguments, message, runs, launched, capsys):
    assert launched("recommend", str(runs / kind), *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(message, error)


def test_other_data_is_refused(runs):
    with pytest.raises(InputError, match=r"the run's data had the fingerprint \w+, and what is read from"):
        trained.load(runs / "net", {"data.world.seed": "1"})


def test_other_parameters_are_refused(runs):
    with pytest.raises(InputError, match=r"wanted .*: run it again with this version"):
        trained.load(runs / "net", {"model.dimension": "4"})


def without(interactions, query):
    kept = interactions.query != query
    return type(interactions)(*(part if part is None else part[kept] for part in interactions))


def test_a_query_that_trained_nothing_is_refused(runs):
    model = trained.load(runs / "mf")
    train = model.split.train._replace(interactions=without(model.split.train.interactions, 3))
    with pytest.raises(InputError, match="query query_3 had no training interactions"):
        recommend.for_queries(model._replace(split=model.split._replace(train=train)), ["query_3"], 5)


@pytest.mark.parametrize("changes", [{"wals.fold_in": "true"}, {"model.newcomers": "history"}])
def test_a_query_that_did_nothing_at_all_has_nothing_to_be_found_from(changes, runs):
    model = trained.load(runs / "wals", changes)
    train = model.split.train._replace(interactions=without(model.split.train.interactions, 3))
    dataset = model.dataset._replace(interactions=without(model.dataset.interactions, 3))
    model = model._replace(dataset=dataset, split=model.split._replace(train=train))
    with pytest.raises(InputError, match="query query_3 has no interactions, and its row would be found from them"):
        recommend.for_queries(model, ["query_4", "query_3"], 5)


def test_a_query_like_no_other_is_refused(config, tmp_path):
    """All items would have the score 0, in the order of their ids."""
    texts = {"model.name": "mf", "model.hidden": "256", "data.split": "cold_items"}
    short = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=0.2))
    experiment.run(fields.override(short, texts), workdir=str(tmp_path / "run"), echo=lambda text: None)
    model = trained.load(tmp_path / "run", {"model.newcomers": "history"})
    cold, known = model.split.test.relevant.item[0], model.split.train.interactions.item[0]
    with pytest.raises(InputError, match=r"query \(new\) is like no query that trained: its row is 0"):
        recommend.for_history(model, [f"item_{cold}"], {}, 5)
    assert len(recommend.for_history(model, [f"item_{cold}", f"item_{known}"], {}, 5)) == 5


def test_an_item_that_is_named_twice_was_met_once(runs):
    model = trained.load(runs / "wals", {"wals.fold_in": "true"})
    once, twice = (recommend.for_history(model, ["item_3", "item_50", *more], {}, 5) for more in ([], ["item_3"]))
    assert once == twice


def test_a_run_that_judged_newcomers_otherwise_answers_by_history(config, tmp_path):
    """The run's held-out queries have no history; those that are asked for do."""
    texts = {"model.name": "mf", "model.hidden": "256", "model.newcomers": "features", "data.split": "cold_queries"}
    short = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=0.2))
    experiment.run(fields.override(short, texts), workdir=str(tmp_path / "run"), echo=lambda text: None)
    model = trained.load(tmp_path / "run", {"model.newcomers": "history"})
    assert len(recommend.for_history(model, ["item_3"], {}, 5)) == 5
